//! The life of a real cluster: up, use, interrupted up, down. Needs root on Linux; one test, as the steps build on
//! each other and each measures the whole machine.

#![allow(clippy::unwrap_used)] // also helpers of a test fail where they stand

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use local_cluster::image::{Image, pack};
use local_cluster::{Audit, Cluster, Options, down, root};

const NAME: &str = "life-test";
/// The promise of `up` when everything is built.
const UP_LIMIT: Duration = Duration::from_secs(10);
const RESOLVE_LIMIT: Duration = Duration::from_secs(20);
/// kube-proxy reads a new Service and its endpoints on its own, so ready pods can be ahead of its rules. Until these are
/// there, the node looks for a neighbour with the Service's address, and finds none.
const SERVICE_LIMIT: Duration = Duration::from_secs(20);
/// Late enough that some of the cluster runs, early enough that not all of it does.
const KILL_AFTER: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(700), Duration::from_millis(1800)];
const IMAGE: &str = "docker.io/local/probe:1";

#[test]
fn a_cluster_comes_up_serves_survives_a_killed_caller_and_leaves_nothing() {
    root::require_root().expect("the tests of the local cluster run as root on Linux");
    down(NAME).unwrap();
    local_cluster::parts::Parts::ensure().unwrap();
    let before = Traces::of_the_machine();

    let started = Instant::now();
    let cluster = Cluster::up(&options()).unwrap();
    println!("up from nothing: {:.1} s", started.elapsed().as_secs_f64());
    assert!(started.elapsed() < UP_LIMIT, "a built cluster came up in {:?}", started.elapsed());
    deploy_probe(&cluster);
    names_resolve_in_a_pod(&cluster);
    requests_are_logged(&cluster);

    let started = Instant::now();
    Cluster::up(&options()).unwrap();
    println!("up again: {:.1} s", started.elapsed().as_secs_f64());
    assert!(Traces::of_the_machine().of_the_cluster(), "the traces that are looked for are the right ones");
    let started = Instant::now();
    cluster.down().unwrap();
    println!("down: {:.1} s", started.elapsed().as_secs_f64());
    assert_eq!(Traces::of_the_machine(), before);

    for delay in KILL_AFTER {
        kill_an_up_after(delay);
        let started = Instant::now();
        let cluster = Cluster::up(&options()).unwrap();
        println!("up after a kill at {delay:?}: {:.1} s", started.elapsed().as_secs_f64());
        deploy_probe(&cluster);
        kill_an_up_after(delay);
        down(NAME).unwrap();
        assert_eq!(Traces::of_the_machine(), before);
    }
    kill_an_up_after(Duration::from_millis(900));
    down(NAME).unwrap();
    assert_eq!(Traces::of_the_machine(), before, "after a kill without a second up");
}

fn options() -> Options {
    let dns = vec![("postgres.shop.internal".to_owned(), IpAddr::from([198, 18, 0, 77]))];
    Options { nodes: 2, audit: Audit::Metadata, dns, ..Options::named(NAME) }
}

/// Starts an `up` as a process of its own and kills it in the middle.
fn kill_an_up_after(delay: Duration) {
    let mut caller = Command::new(env!("CARGO_BIN_EXE_local-cluster"))
        .args(["up", "--name", NAME, "--nodes", "2"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    sleep(delay);
    caller.kill().unwrap();
    caller.wait().unwrap();
}

/// A Deployment of an image packed here, one pod on each node, becomes ready.
fn deploy_probe(cluster: &Cluster) {
    cluster.load_image(&probe_archive()).unwrap();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/probe/probe.yaml");
    cluster.kubectl_output(&["apply", "-f", manifest.to_str().unwrap()]).unwrap();
    let rollout = Command::new(cluster.kubectl())
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        .args(["rollout", "status", "deployment/probe", "--timeout=60s"])
        .output()
        .unwrap();
    let pods = || cluster.kubectl_output(&["describe", "pods"]).unwrap_or_default();
    assert!(rollout.status.success(), "{}\n{}", String::from_utf8_lossy(&rollout.stderr), pods());
}

fn probe_archive() -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned();
    let built = Command::new("go")
        .args(["build", "-trimpath", "-buildvcs=false", "-o"])
        .arg(out.join("probe"))
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/probe"))
        .envs([("CGO_ENABLED", "0"), ("GOWORK", "off"), ("GOFLAGS", "")])
        .status()
        .unwrap();
    assert!(built.success());
    let archive = out.join("probe.tar");
    pack(&Image::of_binary(IMAGE, out.join("probe")), &archive).unwrap();
    archive
}

/// Asked through the Service from the host, answered by pods: routes, kube-proxy and DNS in one.
fn names_resolve_in_a_pod(cluster: &Cluster) {
    let service = ["get", "service", "probe", "-o", "jsonpath={.spec.clusterIP}"];
    let service: IpAddr = cluster.kubectl_output(&service).unwrap().parse().unwrap();
    becomes_reachable(service);
    let api = cluster.slice().unwrap().api_service().to_string();
    assert!(resolve(service, "kubernetes.default").contains(&api));
    assert!(resolve(service, "probe").contains(&service.to_string()));
    assert!(resolve(service, "postgres.shop.internal").contains("198.18.0.77"));
    assert!(resolve(service, "absent.example").contains("no such host"));
    cluster.add_name("later.shop.internal", IpAddr::from([198, 18, 0, 78])).unwrap();
    let started = Instant::now();
    while !resolve(service, "later.shop.internal").contains("198.18.0.78") {
        assert!(started.elapsed() < RESOLVE_LIMIT, "a name added later does not resolve");
        sleep(Duration::from_millis(200));
    }
}

fn becomes_reachable(service: IpAddr) {
    let started = Instant::now();
    while let Err(error) =
        TcpStream::connect_timeout(&SocketAddr::from((service, 80)), Duration::from_secs(1))
    {
        assert!(started.elapsed() < SERVICE_LIMIT, "the Service is not reachable: {error}");
        sleep(Duration::from_millis(100));
    }
}

/// The body of the probe's answer.
fn resolve(service: IpAddr, name: &str) -> String {
    let timeout = Duration::from_secs(10);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((service, 80)), timeout).unwrap();
    stream.set_read_timeout(Some(timeout)).unwrap();
    write!(stream, "GET /resolve?name={name} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn requests_are_logged(cluster: &Cluster) {
    let log = fs::read_to_string(cluster.audit_log().unwrap()).unwrap();
    assert!(log.lines().any(|line| line.contains(r#""user":{"username":"local-cluster:admin""#)));
}

/// Whatever of this cluster can be seen on the machine. Other clusters come and go meanwhile, so what carries no
/// name counts unless it belongs to the index of another.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    processes: Vec<String>,
    mounts: Vec<String>,
    links: Vec<String>,
    routes: Vec<String>,
    groups: Vec<PathBuf>,
    state: bool,
}

impl Traces {
    fn of_the_machine() -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let routes = Command::new("ip").args(["route", "show", "table", "all"]).output().unwrap().stdout;
        let routes = String::from_utf8(routes).unwrap();
        let ours = |text: &str| text.contains(NAME);
        Self {
            processes: process_lines().into_iter().filter(|line| ours(line)).collect(),
            mounts: mounts.lines().filter(|line| ours(line)).map(str::to_owned).collect(),
            links: bridges_without_a_cluster(),
            routes: routes
                .lines()
                .filter(|line| is_route_without_a_cluster(line))
                .map(str::to_owned)
                .collect(),
            groups: groups(Path::new("/sys/fs/cgroup"), 2),
            state: Path::new("/var/lib/tidegate/local-cluster").join(NAME).exists(),
        }
    }

    fn of_the_cluster(&self) -> bool {
        !self.processes.is_empty()
            && !self.mounts.is_empty()
            && !self.links.is_empty()
            && !self.routes.is_empty()
            && !self.groups.is_empty()
            && self.state
    }
}

/// The indexes of the other clusters.
fn other_indexes() -> Vec<u8> {
    let all = local_cluster::status::read(None).unwrap();
    all.into_iter().filter(|status| status.name != NAME).filter_map(|status| status.index).collect()
}

fn bridges_without_a_cluster() -> Vec<String> {
    let others: Vec<String> = other_indexes().iter().map(|index| format!("tidegate{index}")).collect();
    let links = fs::read_dir("/sys/class/net").unwrap().flatten();
    let mut links: Vec<String> = links
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|link| link.starts_with("tidegate") && !others.iter().any(|other| link.starts_with(other)))
        .collect();
    links.sort();
    links
}

/// Routes of 198.18.0.0/15 that belong to no other cluster.
fn is_route_without_a_cluster(route: &str) -> bool {
    let octets = |word: &str| -> Option<(u8, u8)> {
        let mut octets = word.split('.');
        octets.next().filter(|first| *first == "198")?;
        Some((octets.next()?.parse().ok()?, octets.next()?.parse().ok()?))
    };
    let Some((second, third)) = route.split_whitespace().find_map(octets) else { return false };
    (18..=19).contains(&second) && !other_indexes().contains(&((second - 18) * 4 + third / 64))
}

fn process_lines() -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|entry| {
            entry.file_name().to_string_lossy().parse::<u32>().is_ok_and(|id| id != std::process::id())
        })
        .filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok())
        .map(|line| line.replace('\0', " "))
        .collect()
}

/// Control groups of the cluster, in every hierarchy.
fn groups(folder: &Path, depth: u8) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        if path.to_string_lossy().contains(NAME) {
            found.push(path);
        } else if depth > 0 {
            found.extend(groups(&path, depth - 1));
        }
    }
    found.sort();
    found
}
