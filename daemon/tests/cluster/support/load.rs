//! A steady stream of requests to a Service, over fresh and kept-alive connections, that remembers every answer.
//!
//! A kept connection that turns out to be closed before a byte of the answer is no failed request: it goes over a new one. RFC
//! 9110, 9.2.2, leaves that to a client that knows its POST to be idempotent, and this one asks for a prediction, which changes
//! nothing. How many there were is counted, told and bounded: pods that end are to be the only cause.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
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
/// A kept connection ends with its pod: so often at once, as colours of a few pods come and go, ...
const CLOSED_AT_ONCE: u64 = 4;
/// ... and else no more often than once in so many seconds.
const CLOSED_EVERY: u64 = 2;
/// So many failures are remembered in words.
const REMEMBERED: usize = 20;

/// What came back so far.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// Requests that were answered 200, by the version that answered.
    pub by_version: BTreeMap<String, u64>,
    /// The last time that each version answered.
    pub last: BTreeMap<String, Option<Instant>>,
    /// Requests that failed: when (of the day, as in logs), over which connections, and why.
    pub failures: Vec<String>,
    /// How many failed.
    pub failed: u64,
    /// Those that found their kept connection closed and went over a new one; they are among the others, too.
    pub retried: u64,
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
    /// Workers that keep their connections.
    kept: u64,
}

/// How a request came back.
struct Came {
    version: Result<String, String>,
    is_retried: bool,
}

/// What went wrong with one exchange.
enum Failed {
    /// The other side had closed the connection before a byte of the answer.
    Closed(String),
    /// Anything else.
    Otherwise(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Connections {
    Fresh,
    Kept,
}

impl Connections {
    fn words(self) -> &'static str {
        match self {
            Self::Fresh => "a fresh connection",
            Self::Kept => "a kept connection",
        }
    }
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
        let kept = kinds.iter().filter(|(kind, _)| *kind == Connections::Kept).count();
        Self { answers, stop, workers, begun: Instant::now(), rate, kept: u64::try_from(kept).unwrap() }
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
        let (answers, lasted) = (self.so_far(), self.begun.elapsed());
        let Answers { failed, retried, .. } = answers;
        let reached = u128::from(answers.total()) * 1000 / lasted.as_millis().max(1);
        let test = std::thread::current().name().unwrap_or("a load").to_owned();
        let _ = writeln!(
            std::io::stderr(),
            "{test}: {} requests answered in {lasted:.1?}, {reached} a second of {} planned; {failed} failed, {retried} sent again \
             over a new connection",
            answers.total(),
            self.rate
        );
        let cap = self.kept * (CLOSED_AT_ONCE + lasted.as_secs() / CLOSED_EVERY);
        assert!(
            retried <= cap,
            "{retried} requests were sent again in {lasted:?}, more than {cap}: {answers:?}"
        );
        answers
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
        let Came { version, is_retried } = one(address, kind, &mut kept);
        let mut answers = answers.lock().unwrap();
        answers.retried += u64::from(is_retried);
        match version {
            Ok(version) => {
                *answers.by_version.entry(version.clone()).or_default() += 1;
                answers.last.insert(version, Some(Instant::now()));
            }
            Err(why) => {
                answers.failed += 1;
                if answers.failures.len() < REMEMBERED {
                    let over =
                        if is_retried { "a new connection for one that was closed" } else { kind.words() };
                    answers.failures.push(format!("{} over {over}: {why}", jiff::Timestamp::now()));
                }
            }
        }
    }
}

/// One request, where need be once more over a new connection.
fn one(address: SocketAddr, kind: Connections, kept: &mut Option<BufReader<TcpStream>>) -> Came {
    let mut is_retried = false;
    if let Some(mut stream) = kept.take() {
        match exchange(&mut stream, kind) {
            Ok((version, is_open)) => {
                *kept = is_open.then_some(stream);
                return Came { version: Ok(version), is_retried };
            }
            Err(Failed::Closed(_)) => is_retried = true,
            Err(Failed::Otherwise(why)) => return Came { version: Err(why), is_retried },
        }
    }
    Came { version: over_a_new_one(address, kind, kept), is_retried }
}

fn over_a_new_one(
    address: SocketAddr,
    kind: Connections,
    kept: &mut Option<BufReader<TcpStream>>,
) -> Result<String, String> {
    let stream =
        TcpStream::connect_timeout(&address, TIMEOUT).map_err(|error| format!("connect: {error}"))?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let mut stream = BufReader::new(stream);
    let (version, is_open) = exchange(&mut stream, kind).map_err(|failed| match failed {
        Failed::Closed(why) | Failed::Otherwise(why) => why,
    })?;
    if kind == Connections::Kept && is_open {
        *kept = Some(stream);
    }
    Ok(version)
}

/// How an exchange failed that had not begun to be answered.
fn before_an_answer(doing: &str, error: &std::io::Error) -> Failed {
    let why = format!("{doing}: {error}");
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Failed::Closed(why)
        }
        _ => Failed::Otherwise(why),
    }
}

/// The version that answered, and whether the connection stays.
fn exchange(stream: &mut BufReader<TcpStream>, kind: Connections) -> Result<(String, bool), Failed> {
    const BODY: &str = "{\"rooms\":6.5}";
    let connection = if kind == Connections::Fresh { "close" } else { "keep-alive" };
    let request = format!(
        "POST /predict HTTP/1.1\r\nHost: house-price\r\nContent-Type: application/json\r\nConnection: {connection}\r\n\
         Content-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    stream.get_mut().write_all(request.as_bytes()).map_err(|error| before_an_answer("write", &error))?;
    if stream.fill_buf().map_err(|error| before_an_answer("read", &error))?.is_empty() {
        return Err(Failed::Closed("closed before an answer".to_owned()));
    }
    let (status, version, is_open, body) =
        read_answer(stream).map_err(|error| Failed::Otherwise(format!("read: {error}")))?;
    if status != "200" {
        let body = String::from_utf8_lossy(&body);
        return Err(Failed::Otherwise(format!("{status} by version {version}: {body}")));
    }
    Ok((version, is_open && kind == Connections::Kept))
}

/// Status, version, whether the connection stays, and the body.
fn read_answer(stream: &mut BufReader<TcpStream>) -> std::io::Result<(String, String, bool, Vec<u8>)> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let (mut version, mut length, mut is_open) = (String::new(), 0, true);
    loop {
        let mut header = String::new();
        stream.read_line(&mut header)?;
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
    stream.read_exact(&mut body)?;
    Ok((status, version, is_open, body))
}
