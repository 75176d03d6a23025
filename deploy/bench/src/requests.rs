//! A steady stream of requests to a Service, half of them over a connection of their own, half over kept ones; what came back.
//!
//! A kept connection that turns out to be closed before a byte of the answer is no failed request: it goes over a new one, and is
//! counted. RFC 9110, 9.2.2, leaves that to a client that knows its POST to be idempotent, and a prediction changes nothing.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// No answer within this time is a failed request.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Requests a second of one worker.
const WORKER_RATE: u32 = 50;
/// So many failures are remembered in words.
const REMEMBERED: usize = 5;

/// What came back so far.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// Requests that were answered 200.
    pub answered: u64,
    /// Requests that were not.
    pub failed: u64,
    /// Requests that found their kept connection closed and went over a new one; they are among the others, too.
    pub retried: u64,
    /// Some of those that failed, in words.
    pub failures: Vec<String>,
    /// When the last fresh connection was opened that each version answered.
    pub last: BTreeMap<String, Instant>,
}

/// A load that runs until it is dropped.
pub struct Load {
    answers: Arc<Mutex<Answers>>,
    _workers: JoinSet<()>,
}

impl Load {
    /// So many requests a second, rounded up to whole pairs of workers.
    pub fn on(address: SocketAddr, rate: u32) -> Self {
        let answers = Arc::new(Mutex::new(Answers::default()));
        let mut workers = JoinSet::new();
        for _ in 0..rate.div_ceil(2 * WORKER_RATE) {
            for keeps in [Keeps::Nothing, Keeps::Connection] {
                workers.spawn(work(address, keeps, answers.clone()));
            }
        }
        Self { answers, _workers: workers }
    }

    /// What came back so far.
    pub fn so_far(&self) -> Answers {
        lock(&self.answers).clone()
    }
}

fn lock(answers: &Mutex<Answers>) -> MutexGuard<'_, Answers> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeps {
    Nothing,
    Connection,
}

async fn work(address: SocketAddr, keeps: Keeps, answers: Arc<Mutex<Answers>>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / WORKER_RATE);
    // A worker that has fallen behind does not catch up by a burst.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut kept = None;
    loop {
        ticks.tick().await;
        let begun = Instant::now();
        let mut is_retried = false;
        let came = tokio::time::timeout(TIMEOUT, one(address, keeps, &mut kept, &mut is_retried)).await;
        let came = came.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer in time")));
        let mut answers = lock(&answers);
        answers.retried += u64::from(is_retried);
        match came {
            Ok(version) => {
                answers.answered += 1;
                if keeps == Keeps::Nothing {
                    let last = answers.last.entry(version).or_insert(begun);
                    *last = begun.max(*last);
                }
            }
            Err(error) => {
                answers.failed += 1;
                if answers.failures.len() < REMEMBERED {
                    answers.failures.push(format!("{error:#}"));
                }
            }
        }
    }
}

/// One request, where need be once more over a new connection.
async fn one(
    address: SocketAddr,
    keeps: Keeps,
    kept: &mut Option<BufReader<TcpStream>>,
    is_retried: &mut bool,
) -> Result<String> {
    if let Some(mut stream) = kept.take() {
        if begins(&mut stream, keeps).await? {
            let (version, is_open) = read(&mut stream).await?;
            *kept = is_open.then_some(stream);
            return Ok(version);
        }
        *is_retried = true;
    }
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    ask(&mut stream, keeps).await?;
    let (version, is_open) = read(&mut stream).await?;
    *kept = (is_open && keeps == Keeps::Connection).then_some(stream);
    Ok(version)
}

/// Asks over a kept connection: true once an answer begins, false where the other side had closed it.
async fn begins(stream: &mut BufReader<TcpStream>, keeps: Keeps) -> std::io::Result<bool> {
    let first = match ask(stream, keeps).await {
        Ok(()) => stream.fill_buf().await.map(|bytes| !bytes.is_empty()),
        Err(error) => Err(error),
    };
    first.or_else(|error| match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => Ok(false),
        _ => Err(error),
    })
}

async fn ask(stream: &mut BufReader<TcpStream>, keeps: Keeps) -> std::io::Result<()> {
    const BODY: &str = "{\"rooms\":6.5}";
    let connection = match keeps {
        Keeps::Nothing => "close",
        Keeps::Connection => "keep-alive",
    };
    let request = format!(
        "POST /predict HTTP/1.1\r\nHost: house-price\r\nContent-Type: application/json\r\nConnection: {connection}\r\n\
         Content-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    stream.get_mut().write_all(request.as_bytes()).await
}

/// The version that answered, and whether the connection stays.
async fn read(stream: &mut BufReader<TcpStream>) -> Result<(String, bool)> {
    let mut line = String::new();
    ensure!(stream.read_line(&mut line).await? > 0, "closed before an answer");
    let status = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let (mut version, mut length, mut is_open) = (String::new(), 0, true);
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let header = header.trim().to_ascii_lowercase();
        match header.split_once(": ") {
            Some(("x-version", value)) => value.clone_into(&mut version),
            Some(("content-length", value)) => length = value.parse()?,
            Some(("connection", "close")) => is_open = false,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    if status != "200" {
        bail!("{status} by version {version}: {}", String::from_utf8_lossy(&body));
    }
    Ok((version, is_open))
}
