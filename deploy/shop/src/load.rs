//! A steady load for the demo: `POST /predict` over fresh and kept connections, and a line with what came back each second.
//!
//! Not a benchmark: it never catches up by a burst. A request on a kept connection that was closed before the answer goes over a
//! new one, and is counted. RFC 9110, 9.2.2, leaves that to a client that knows its POST to be idempotent, and a prediction
//! changes nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::client::Address;

/// No answer within this time is a failed request.
const DEADLINE: Duration = Duration::from_secs(3);
/// Half of them open a connection for each request, half keep theirs.
const WORKERS: u32 = 4;
/// The most bytes of an answer that are read.
const MAX_BODY: usize = 1 << 20;
/// What every request asks.
const BODY: &str = "{\"rooms\": 6.5}";

/// What came back so far.
#[derive(Debug, Default)]
struct Tally {
    by_version: BTreeMap<String, u64>,
    failed: u64,
    first_failure: Option<String>,
    /// Sent again over a new connection; they are among the others, too.
    retried: u64,
}

impl Tally {
    fn line(&self) -> String {
        let Self { by_version, failed, first_failure, retried } = self;
        let total = by_version.values().sum::<u64>().saturating_add(*failed);
        let versions: Vec<String> =
            by_version.iter().map(|(version, count)| format!("{count} by {version}")).collect();
        let why = first_failure.as_ref().map(|why| format!(" (the first: {why})")).unwrap_or_default();
        let again = if *retried > 0 {
            format!(", {retried} sent again after their kept connection was closed")
        } else {
            String::new()
        };
        format!("{total} requests, {failed} failed{why}{again}; answered: {}", versions.join(", "))
    }
}

/// Asks so many times a second until it is told to end; then an error where a request failed.
pub async fn run(address: Address, rate: u32) -> anyhow::Result<()> {
    let tally = Arc::new(Mutex::new(Tally::default()));
    let period = Duration::from_secs(u64::from(WORKERS)) / rate.max(1);
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| tokio::spawn(work(address.clone(), number % 2 == 0, period, tally.clone())))
        .collect();
    let mut terminate = signal(SignalKind::terminate()).context("failed to handle SIGTERM")?;
    let mut seconds = interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = seconds.tick() => println!("{}", lock(&tally).line()),
        }
    }
    workers.iter().for_each(tokio::task::JoinHandle::abort);
    let tally = lock(&tally);
    println!("{}", tally.line());
    if tally.failed > 0 {
        bail!("{} requests failed", tally.failed);
    }
    Ok(())
}

fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn work(address: Address, keeps: bool, period: Duration, tally: Arc<Mutex<Tally>>) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut kept = None;
    loop {
        ticks.tick().await;
        let begun = Instant::now();
        let mut is_retried = false;
        let came = timeout(DEADLINE, ask(&address, &mut kept, &mut is_retried)).await;
        if !keeps {
            kept = None;
        }
        let mut tally = lock(&tally);
        tally.retried += u64::from(is_retried);
        match came {
            Ok(Ok(version)) => *tally.by_version.entry(version).or_default() += 1,
            Ok(Err(why)) => {
                kept = None;
                tally.failed += 1;
                tally.first_failure.get_or_insert_with(|| format!("{why:#}"));
            }
            Err(_) => {
                kept = None;
                tally.failed += 1;
                tally.first_failure.get_or_insert_with(|| format!("no answer within {:?}", begun.elapsed()));
            }
        }
    }
}

type Connection = SendRequest<Full<Bytes>>;

/// One request; the version that answered it.
async fn ask(
    address: &Address,
    kept: &mut Option<Connection>,
    is_retried: &mut bool,
) -> anyhow::Result<String> {
    if let Some(mut connection) = kept.take()
        && connection.ready().await.is_ok()
    {
        match exchange(address, &mut connection).await {
            Ok(version) => {
                *kept = Some(connection);
                return Ok(version);
            }
            Err(error) if was_closed(&error) => *is_retried = true,
            Err(error) => return Err(error),
        }
    }
    let stream = TcpStream::connect(address.authority()).await.context("failed to connect")?;
    stream.set_nodelay(true)?;
    let (mut connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the connection; its errors show up in the request.
    tokio::spawn(driver);
    let version = exchange(address, &mut connection).await?;
    *kept = Some(connection);
    Ok(version)
}

/// True when the other side closed before it had answered anything.
fn was_closed(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<hyper::Error>()
        .is_some_and(|error| error.is_incomplete_message() || error.is_canceled() || error.is_closed())
}

async fn exchange(address: &Address, connection: &mut Connection) -> anyhow::Result<String> {
    let request = hyper::Request::post(address.path())
        .header("host", address.host())
        .header("content-type", "application/json")
        .body(Full::from(BODY))?;
    let response = connection.send_request(request).await?;
    let status = response.status();
    let version = response.headers().get("x-version").and_then(|value| value.to_str().ok());
    let version = version.unwrap_or("unknown").to_owned();
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    body.map_err(|error| anyhow::anyhow!("failed to read the answer: {error}"))?;
    if status.is_success() { Ok(version) } else { bail!("version {version} answered {status}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_who_answered_and_what_failed_first() {
        let mut tally = Tally::default();
        tally.by_version.extend([("1.0.0".to_owned(), 7), ("1.1.0".to_owned(), 3)]);
        assert_eq!(tally.line(), "10 requests, 0 failed; answered: 7 by 1.0.0, 3 by 1.1.0");
        tally.failed = 1;
        tally.first_failure = Some("failed to connect".to_owned());
        assert_eq!(
            tally.line(),
            "11 requests, 1 failed (the first: failed to connect); answered: 7 by 1.0.0, 3 by 1.1.0"
        );
        tally.retried = 2;
        assert!(
            tally.line().contains("connect), 2 sent again after their kept connection was closed; answered"),
            "{}",
            tally.line()
        );
    }
}
