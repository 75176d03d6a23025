//! A steady stream of requests to a Service, over fresh and kept-alive connections, that remembers every answer.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No answer within this time is a failed request.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A worker that is later than this begins anew from now.
const BEHIND: Duration = Duration::from_millis(200);
/// Of the requests that were due, one in so many has been answered at least: this machine may be busy with other things.
const SPARSE: u64 = 20;
/// So many failures are remembered in words.
const REMEMBERED: usize = 20;

/// What came back so far.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// Requests that were answered 200, by the version that answered.
    pub by_version: BTreeMap<String, u64>,
    /// The last time that each version answered.
    pub last: BTreeMap<String, Option<Instant>>,
    /// Requests that failed, in words.
    pub failures: Vec<String>,
    /// How many failed.
    pub failed: u64,
}

impl Answers {
    pub fn total(&self) -> u64 {
        self.by_version.values().sum()
    }

    pub fn versions(&self) -> Vec<&str> {
        self.by_version.keys().map(String::as_str).collect()
    }
}

/// A load that runs until it is dropped or stopped.
pub struct Load {
    answers: Arc<Mutex<Answers>>,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
    begun: Instant,
    /// Requests a second, of all workers.
    rate: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Connections {
    Fresh,
    Kept,
}

impl Load {
    /// Some 300 requests a second: two workers with a connection for each request, two that keep theirs.
    pub fn on(address: SocketAddr) -> Self {
        let kinds = [
            (Connections::Fresh, 60),
            (Connections::Fresh, 60),
            (Connections::Kept, 90),
            (Connections::Kept, 90),
        ];
        Self::of(address, &kinds)
    }

    /// Some 40 requests a second, half of them with a connection each: where many loads run side by side.
    pub fn light(address: SocketAddr) -> Self {
        Self::of(address, &[(Connections::Fresh, 20), (Connections::Kept, 20)])
    }

    /// Some 30 requests a second, with a connection each: whoever answers was chosen just then.
    pub fn fresh(address: SocketAddr) -> Self {
        Self::of(address, &[(Connections::Fresh, 15), (Connections::Fresh, 15)])
    }

    fn of(address: SocketAddr, kinds: &[(Connections, u32)]) -> Self {
        let answers = Arc::new(Mutex::new(Answers::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let workers = kinds
            .iter()
            .map(|&(kind, rate)| {
                let (answers, stop) = (answers.clone(), stop.clone());
                std::thread::spawn(move || work(address, kind, rate, &answers, &stop))
            })
            .collect();
        let rate = kinds.iter().map(|&(_, rate)| u64::from(rate)).sum();
        Self { answers, stop, workers, begun: Instant::now(), rate }
    }

    /// What came back so far.
    pub fn so_far(&self) -> Answers {
        self.answers.lock().unwrap().clone()
    }

    /// Ends, and says what came back.
    pub fn end(mut self) -> Answers {
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers.drain(..) {
            worker.join().unwrap();
        }
        self.so_far()
    }

    /// Ends; every request has been answered, only by these versions, and there were as many as its rate lets expect.
    pub fn ends_well(self, versions: &[&str]) -> Answers {
        let answers = self.ends();
        assert_eq!(answers.versions(), versions, "{answers:?}");
        answers
    }

    /// The same, where not each of them need have answered.
    pub fn ends_among(self, versions: &[&str]) -> Answers {
        let answers = self.ends();
        assert!(answers.versions().iter().all(|version| versions.contains(version)), "{answers:?}");
        answers
    }

    fn ends(self) -> Answers {
        let lasted = self.begun.elapsed();
        let least = lasted.as_secs() * self.rate / SPARSE;
        let answers = self.end();
        assert_eq!(answers.failed, 0, "{} answers, {answers:?}", answers.total());
        assert!(answers.total() >= least, "{} answers in {lasted:?}, not {least}", answers.total());
        answers
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn work(address: SocketAddr, kind: Connections, rate: u32, answers: &Mutex<Answers>, stop: &AtomicBool) {
    let pause = Duration::from_secs(1) / rate;
    let mut kept: Option<BufReader<TcpStream>> = None;
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        // A worker that has fallen behind does not catch up by a burst.
        next = if next.elapsed() > BEHIND { Instant::now() } else { next + pause };
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let came = one(address, kind, &mut kept);
        let mut answers = answers.lock().unwrap();
        match came {
            Ok(version) => {
                *answers.by_version.entry(version.clone()).or_default() += 1;
                answers.last.insert(version, Some(Instant::now()));
            }
            Err(why) => {
                answers.failed += 1;
                if answers.failures.len() < REMEMBERED {
                    answers.failures.push(why);
                }
            }
        }
    }
}

/// One request. One that finds its kept connection closed before a byte of the answer goes over a new one, as HTTP clients do
/// (RFC 9110, 9.2.2).
fn one(
    address: SocketAddr,
    kind: Connections,
    kept: &mut Option<BufReader<TcpStream>>,
) -> Result<String, String> {
    if let Some(mut stream) = kept.take() {
        match exchange(&mut stream, kind) {
            Ok((version, is_open)) => {
                *kept = is_open.then_some(stream);
                return Ok(version);
            }
            Err((_, false)) => {}
            Err((why, true)) => return Err(why),
        }
    }
    let stream =
        TcpStream::connect_timeout(&address, TIMEOUT).map_err(|error| format!("connect: {error}"))?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let mut stream = BufReader::new(stream);
    let (version, is_open) = exchange(&mut stream, kind).map_err(|(why, _)| why)?;
    if kind == Connections::Kept && is_open {
        *kept = Some(stream);
    }
    Ok(version)
}

/// The version that answered, and whether the connection stays; else what went wrong, and whether any of an answer had come.
fn exchange(stream: &mut BufReader<TcpStream>, kind: Connections) -> Result<(String, bool), (String, bool)> {
    const BODY: &str = "{\"rooms\":6.5}";
    let connection = if kind == Connections::Fresh { "close" } else { "keep-alive" };
    let request = format!(
        "POST /predict HTTP/1.1\r\nHost: house-price\r\nContent-Type: application/json\r\nConnection: {connection}\r\n\
         Content-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let nothing = |error: &dyn std::fmt::Display| (format!("{error}"), false);
    stream.get_mut().write_all(request.as_bytes()).map_err(|error| nothing(&error))?;
    let mut line = String::new();
    let read = stream.read_line(&mut line).map_err(|error| {
        let timed_out = matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
        (format!("read: {error}"), timed_out)
    })?;
    if read == 0 {
        return Err(("closed before an answer".to_owned(), false));
    }
    let some = |error: &dyn std::fmt::Display| (format!("{error}"), true);
    let status = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let (mut version, mut length, mut is_open) = (String::new(), 0, true);
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).map_err(|error| some(&error))?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        match header.split_once(": ") {
            Some(("x-version", value)) => value.clone_into(&mut version),
            Some(("content-length", value)) => length = value.parse().unwrap_or(0),
            Some(("connection", "close")) => is_open = false,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).map_err(|error| some(&error))?;
    if status != "200" {
        return Err((format!("{status} by version {version}: {}", String::from_utf8_lossy(&body)), true));
    }
    Ok((version, is_open && kind == Connections::Kept))
}
