//! How many requests are under way at one API server, and whose turn it is.
//!
//! Every client of a cluster has one [`Pace`]: its [`Window`] adapts to the server's answers, and the environments that wait
//! take turns, so that one with thousands of objects does not hold up one with a single change. What is only written down
//! after the fact ([`after_others`]) lets changes of objects go first, for a while. Watches are apart (they last), and so are
//! Leases (whoever is late with them is taken for dead).

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::ops::Bound;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use prometheus_client::metrics::gauge::Gauge;
use serde_json::{Value, json};
use tidegate_core::schedule::{Load, Ticket, Window};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};

use super::call::CALL_DEADLINE;

/// Longest text of a refusal that is read.
const REFUSAL_CAP: usize = 64 * 1024;
/// A server that is busy again and again is named in the log this often.
const SAID_EVERY: Duration = Duration::from_mins(1);
/// While others wait, every so many turns is of one that lets them go first.
const AFTER_EVERY: u32 = 8;
/// The same once the first of these has waited for [`AFTER_PATIENCE`].
const AFTER_EVERY_LATE: u32 = 2;
/// Far below the longest wait for a turn.
const AFTER_PATIENCE: Duration = Duration::from_secs(10);

tokio::task_local! {
    /// Whose requests these are.
    static LINE: Arc<str>;
    /// Told when the request has its turn.
    static TURN: Arc<Notify>;
    /// The others go first.
    static AFTER: ();
}

/// Runs a task whose requests wait in a line of its own.
pub async fn in_line<T>(name: String, task: impl Future<Output = T>) -> T {
    LINE.scope(Arc::from(name), task).await
}

/// Runs calls that let those of others go first: what they write has already happened, and nobody waits for it to go on.
pub async fn after_others<T>(calls: impl Future<Output = T>) -> T {
    AFTER.scope((), calls).await
}

/// Runs a call; `turn` is told when its request has its turn.
pub async fn with_turn<T>(turn: Arc<Notify>, call: impl Future<Output = T>) -> T {
    TURN.scope(turn, call).await
}

/// The requests of one client.
#[derive(Default)]
pub struct Pace {
    inner: Mutex<Inner>,
    /// Shows the size of the window.
    shown: Gauge,
}

#[derive(Default)]
struct Inner {
    window: Window,
    under_way: u32,
    /// Those who wait, by line. Bounded by what environments do side by side.
    waiting: BTreeMap<Arc<str>, VecDeque<oneshot::Sender<Pass>>>,
    /// The line that had the last turn.
    last: Option<Arc<str>>,
    /// Those who let others go first, the oldest first; an environment has one of them at a time.
    after: VecDeque<(Instant, oneshot::Sender<Pass>)>,
    /// Turns since one of these had one.
    turns: u32,
    said: Option<Instant>,
}

/// The permission for one request, given back when it is dropped.
pub struct Pass {
    pace: Arc<Pace>,
    ticket: Ticket,
}

impl Pass {
    /// Takes in what the answer says about the load of the server.
    pub fn note(&self, load: Load) {
        let mut inner = self.pace.lock();
        let cut = inner.window.note(self.ticket, load);
        self.pace.shown.set(i64::from(inner.window.size()));
        if cut {
            let size = inner.window.size();
            tracing::debug!(requests = size, "the API server is busy: fewer requests at once");
            if inner.said.is_none_or(|at| at.elapsed() > SAID_EVERY) {
                inner.said = Some(Instant::now());
                tracing::info!(
                    requests = size,
                    "an API server is busy: it is asked less at once until it answers again"
                );
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inner = self.pace.lock();
        inner.under_way = inner.under_way.saturating_sub(1);
        drop(inner);
        Pace::grant(&self.pace);
    }
}

impl Pace {
    /// One whose window a metric shows.
    pub fn shown_by(shown: Gauge) -> Self {
        let pace = Self { shown, ..Self::default() };
        pace.shown.set(i64::from(pace.lock().window.size()));
        pace
    }

    /// Waits for a turn in this line, or after the others.
    pub async fn admit(self: &Arc<Self>, place: Place) -> Pass {
        let waiting = {
            let mut inner = self.lock();
            let (sender, receiver) = oneshot::channel();
            match place {
                Place::Line(line) => inner.waiting.entry(line).or_default().push_back(sender),
                Place::After => inner.after.push_back((Instant::now(), sender)),
            }
            receiver
        };
        Self::grant(self);
        if let Ok(pass) = waiting.await {
            return pass;
        }
        // A sender is only dropped when its receiver waits no more; whoever is here all the same goes on.
        let mut inner = self.lock();
        inner.under_way = inner.under_way.saturating_add(1);
        Pass { pace: self.clone(), ticket: inner.window.ticket() }
    }

    /// Gives turns to those who wait, as long as there is room.
    fn grant(this: &Arc<Self>) {
        // Dropped after the lock is given back: a pass that nobody takes any more gives itself back.
        let mut untaken = Vec::new();
        let mut inner = this.lock();
        while inner.under_way < inner.window.size() {
            let Some(next) = inner.next() else { break };
            inner.under_way = inner.under_way.saturating_add(1);
            let pass = Pass { pace: this.clone(), ticket: inner.window.ticket() };
            if let Err(pass) = next.send(pass) {
                untaken.push(pass);
            }
        }
        drop(inner);
        drop(untaken);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a request waits.
pub enum Place {
    /// In the line of an environment.
    Line(Arc<str>),
    /// After the others.
    After,
}

impl Place {
    fn of_this_task() -> Self {
        if AFTER.try_with(|()| ()).is_ok() {
            return Self::After;
        }
        Self::Line(LINE.try_with(Arc::clone).unwrap_or_else(|_| Arc::from("")))
    }
}

impl Inner {
    /// Whose turn it is.
    fn next(&mut self) -> Option<oneshot::Sender<Pass>> {
        self.turns = self.turns.saturating_add(1);
        if self.turns >= self.after_every()
            && let Some(next) = self.next_after()
        {
            return Some(next);
        }
        self.next_in_line().or_else(|| self.next_after())
    }

    fn after_every(&self) -> u32 {
        let late = self.after.front().is_some_and(|(since, _)| since.elapsed() > AFTER_PATIENCE);
        if late { AFTER_EVERY_LATE } else { AFTER_EVERY }
    }

    fn next_after(&mut self) -> Option<oneshot::Sender<Pass>> {
        self.turns = 0;
        while let Some((_, next)) = self.after.pop_front() {
            if !next.is_closed() {
                return Some(next);
            }
        }
        None
    }

    /// The first of the line after the one that had the last turn.
    fn next_in_line(&mut self) -> Option<oneshot::Sender<Pass>> {
        loop {
            let after = self.last.as_ref().and_then(|last| {
                let beyond = (Bound::Excluded(last.clone()), Bound::Unbounded);
                self.waiting.range(beyond).next().map(|(line, _)| line.clone())
            });
            let line = after.or_else(|| self.waiting.keys().next().cloned())?;
            let queue = self.waiting.get_mut(&line)?;
            let first = queue.pop_front();
            if queue.is_empty() {
                self.waiting.remove(&line);
            }
            self.last = Some(line);
            if let Some(first) = first.filter(|first| !first.is_closed()) {
                return Some(first);
            }
        }
    }
}

/// Puts the pace into a client.
#[derive(Clone)]
pub struct PaceLayer {
    /// The pace.
    pub pace: Arc<Pace>,
}

impl<S> Layer<S> for PaceLayer {
    type Service = Paced<S>;

    fn layer(&self, inner: S) -> Paced<S> {
        Paced { pace: self.pace.clone(), inner }
    }
}

/// A client whose requests wait for their turn.
pub struct Paced<S> {
    pace: Arc<Pace>,
    inner: S,
}

type Text = UnsyncBoxBody<Bytes, BoxError>;

impl<S, R, B> Service<Request<R>> for Paced<S>
where
    S: Service<Request<R>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Text>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let apart = is_apart(request.uri());
        // Nothing is sent until it is polled.
        let answer = self.inner.call(request);
        let pace = self.pace.clone();
        Box::pin(async move {
            if apart {
                tell_turn();
                return answer.await.map(|answer| answer.map(boxed));
            }
            let pass = pace.admit(Place::of_this_task()).await;
            tell_turn();
            let Ok(answer) = tokio::time::timeout(CALL_DEADLINE, answer).await else {
                pass.note(Load::TooMuch);
                return Err(no_answer());
            };
            pass.note(match &answer {
                Ok(answer) => load_of(answer),
                Err(_) => Load::Unknown,
            });
            drop(pass);
            match answer {
                Ok(busy) if is_busy(busy.status()) => refusal(busy.map(boxed)).await,
                Ok(answer) => Ok(answer.map(boxed)),
                Err(error) => Err(error),
            }
        })
    }
}

fn no_answer() -> BoxError {
    let why = format!("no answer within {} s", CALL_DEADLINE.as_secs());
    Box::new(std::io::Error::new(std::io::ErrorKind::TimedOut, why))
}

fn tell_turn() {
    // Nobody waits to be told of a watch.
    let _ = TURN.try_with(|turn| turn.notify_one());
}

fn boxed<B>(body: B) -> Text
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}

/// Watches last as long as they can, and Leases must not wait.
fn is_apart(uri: &http::Uri) -> bool {
    let watches = uri.query().is_some_and(|query| query.split('&').any(|part| part == "watch=true"));
    watches || uri.path().contains("/apis/coordination.k8s.io/")
}

fn is_busy(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE
}

/// 503 without `Retry-After` is what an aggregated API says whose server is down: that is no load.
fn load_of<B>(answer: &Response<B>) -> Load {
    let too_much = match answer.status() {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::GATEWAY_TIMEOUT => true,
        StatusCode::SERVICE_UNAVAILABLE => answer.headers().contains_key(RETRY_AFTER),
        _ => false,
    };
    if too_much { Load::TooMuch } else { Load::Fine }
}

/// A busy server says in a header when to come back, and often nothing in the body (priority and fairness answers plain
/// text); kube reads the body only.
async fn refusal(answer: Response<Text>) -> Result<Response<Text>, BoxError> {
    let seconds =
        answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse::<u32>().ok());
    let (mut parts, mut body) = answer.into_parts();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) if bytes.len().saturating_add(data.len()) <= REFUSAL_CAP => {
                bytes.extend_from_slice(&data);
            }
            Ok(Ok(_) | Err(_)) => break,
            Err(error) => return Err(error),
        }
    }
    let status = with_retry_after(&bytes, parts.status, seconds);
    parts.headers.remove(http::header::CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    let body = Full::new(Bytes::from(status.to_string())).map_err(|never| match never {}).boxed_unsync();
    Ok(Response::from_parts(parts, body))
}

/// The refusal as a `Status` that names the seconds of the header, unless it names others itself.
fn with_retry_after(body: &[u8], code: StatusCode, seconds: Option<u32>) -> Value {
    let parsed = serde_json::from_slice::<Value>(body).ok();
    let mut status = parsed.filter(|value| value["kind"] == "Status").unwrap_or_else(|| {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code.as_u16(),
            "reason": code.canonical_reason().unwrap_or_default(), "message": String::from_utf8_lossy(body).trim(),
        })
    });
    let named = status.pointer("/details/retryAfterSeconds").and_then(Value::as_u64).unwrap_or(0);
    if let (0, Some(seconds), Some(map)) = (named, seconds, status.as_object_mut()) {
        let details = map.entry("details").or_insert_with(|| json!({}));
        if let Some(details) = details.as_object_mut() {
            details.insert("retryAfterSeconds".to_owned(), Value::from(seconds));
        }
    }
    status
}

#[cfg(test)]
mod tests;
