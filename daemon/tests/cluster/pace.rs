//! An API server that bears little: it is asked less, and everything is applied all the same.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tidegate_core::schedule::WINDOW_START;

use crate::scene::kubeconfig_to;
use crate::support::{Daemon, Proxy, World, check, config_map, environment, within};

/// Requests that the server bears side by side.
const BEARS: u32 = 4;
/// What each of them takes at least, so that they meet.
const TAKES: Duration = Duration::from_millis(20);
/// Objects of each environment.
const OBJECTS: usize = 40;

/// In front of the API server: answers 429 while more than [`BEARS`] requests are under way (watches and Leases apart, as
/// priority and fairness has it).
struct Throttle {
    port: u16,
    counts: Arc<Counts>,
    _upstream: Proxy,
}

#[derive(Default)]
struct Counts {
    under_way: AtomicU32,
    all: AtomicU32,
    refused: AtomicU32,
}

impl Throttle {
    fn start(world: &World) -> Self {
        let upstream = Proxy::start(&world.kube);
        let address = upstream.address().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let counts: Arc<Counts> = Arc::default();
        let shared = counts.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (address, counts) = (address.clone(), shared.clone());
                std::thread::spawn(move || drop(serve(client, &address, &counts)));
            }
        });
        Self { port, counts, _upstream: upstream }
    }

    /// All counted requests and the refused ones since the last call.
    fn take(&self) -> (u32, u32) {
        (self.counts.all.swap(0, Ordering::SeqCst), self.counts.refused.swap(0, Ordering::SeqCst))
    }
}

/// One request of one connection.
fn serve(mut client: TcpStream, address: &str, counts: &Counts) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut piece = [0; 16 * 1024];
    let head = loop {
        let count = client.read(&mut piece)?;
        request.extend_from_slice(&piece[..count]);
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if count == 0 {
            return Ok(());
        }
    };
    let text = String::from_utf8_lossy(&request[..head]).into_owned();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    while request.len() < head + length.unwrap_or(0) {
        let count = client.read(&mut piece)?;
        request.extend_from_slice(&piece[..count]);
        if count == 0 {
            return Ok(());
        }
    }
    let first = text.lines().next().unwrap_or_default();
    let apart = first.contains("watch=true") || first.contains("/leases");
    if apart {
        return forward(&mut client, address, &text, &request[head..]);
    }
    counts.all.fetch_add(1, Ordering::SeqCst);
    let under_way = counts.under_way.fetch_add(1, Ordering::SeqCst) + 1;
    let done = if under_way > BEARS {
        counts.refused.fetch_add(1, Ordering::SeqCst);
        let body = "Too many requests, please try again later.\n";
        let head = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nRetry-After: 1\r\nConnection: close\r\n";
        write!(client, "{head}Content-Length: {}\r\n\r\n{body}", body.len())
    } else {
        std::thread::sleep(TAKES);
        forward(&mut client, address, &text, &request[head..])
    };
    counts.under_way.fetch_sub(1, Ordering::SeqCst);
    done
}

/// The request to the API server with the rights of `kubectl proxy`, and its answer to its end.
fn forward(client: &mut TcpStream, address: &str, head: &str, body: &[u8]) -> std::io::Result<()> {
    let mut server = TcpStream::connect(address)?;
    let dropped = ["authorization:", "connection:"];
    for line in head.trim_end().lines() {
        if !dropped.iter().any(|name| line.to_ascii_lowercase().starts_with(name)) {
            write!(server, "{line}\r\n")?;
        }
    }
    write!(server, "Connection: close\r\n\r\n")?;
    server.write_all(body)?;
    std::io::copy(&mut server, client).map(drop)
}

fn commit(world: &World, names: &[&str], value: &str) -> String {
    for name in names {
        let folder = format!("environments/{name}");
        world.repo.write(&format!("{folder}/environment.yaml"), &environment(name, name, ""));
        for n in 0..OBJECTS {
            let name = format!("c{n:02}");
            world.repo.write(&format!("{folder}/{name}.yaml"), &config_map(&name, "k", value));
        }
    }
    world.repo.commit(value)
}

#[test]
fn a_server_that_refuses_most_requests_is_asked_less_and_everything_is_applied() {
    let world = World::new("pace");
    let names = ["pace", "pace-b", "pace-c"];
    let throttle = Throttle::start(&world);
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = kubeconfig_to(folder.path(), throttle.port);
    let first = commit(&world, &names, "one");
    let daemon = Daemon::start(&world.repo.url(), &kubeconfig, &[]);
    let live = |commit: &str| {
        for name in names {
            within(Duration::from_mins(3), &format!("{name} is live"), || {
                let status = world.status_of(name);
                let is_live = status["state"] == "live" && status["seen"]["id"] == commit;
                check(is_live, format!("{status:#}"))
            });
        }
    };
    live(&first);
    let (all, refused) = throttle.take();
    println!("first commit: {refused} of {all} requests refused");
    assert!(refused > 0, "it was asked for more than it bears");
    let second = commit(&world, &names, "two");
    live(&second);
    let (all, refused) = throttle.take();
    println!("second commit: {refused} of {all} requests refused");
    // One in fourteen or so: the window goes from two to five, and back.
    assert!(refused * 5 < all, "{refused} of {all} refused\n{}", daemon.log());
    for name in names {
        for n in 0..OBJECTS {
            assert_eq!(world.kube.field("configmap", name, &format!("c{n:02}"), "/data/k"), "two");
        }
    }
    assert!(daemon.log().contains("an API server is busy"), "{}", daemon.log());
    let metrics = daemon.http("/metrics");
    let mut shown =
        metrics.lines().filter_map(|line| line.strip_prefix("tidegate_api_requests_borne{cluster="));
    let size: u32 = shown.next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!((1..WINDOW_START).contains(&size), "{metrics}");
}
