//! One call to an API server: a deadline around it, its failure classified, its retry decided by one table.
//!
//! Not a general retry loop: whoever plans decides again after [`CallError::Conflict`] and the like. Only calls that are
//! safe to repeat unchanged are repeated here.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kube::core::Status;
use tokio::sync::Notify;

use super::exec::keep::CredentialError;
use super::pace::with_turn;

/// Longest wait for one answer.
pub const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// Longest wait for a turn while the API server takes few requests at a time.
pub const TURN_DEADLINE: Duration = Duration::from_mins(2);
/// Longest wait that a `Retry-After` may ask for; longer ones are cut to this.
pub const RETRY_AFTER_CAP: Duration = Duration::from_secs(10);
/// How often one call is repeated before the environment's own back-off takes over.
pub const ATTEMPTS: u32 = 4;
/// How often an object that is written meanwhile is read and asked about.
const UNDISTURBED: u32 = 5;

/// Why a call failed, as far as the caller's next step depends on it.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The object (or its kind) does not exist.
    #[error("not found: {}", .0.message)]
    NotFound(Box<Status>),
    /// A precondition did not hold, or somebody else wrote at the same time.
    #[error("conflict: {}", .0.message)]
    Conflict(Box<Status>),
    /// The API server understood and refused; the same request will be refused again.
    #[error("refused: {}", .0.message)]
    Refused(Box<Status>),
    /// The identity lacks a right.
    #[error("forbidden: {}", .0.message)]
    Forbidden(Box<Status>),
    /// The credentials are not accepted.
    #[error("not authenticated: {}", .0.message)]
    Unauthorized(Box<Status>),
    /// The server asks to come back later (429, 503).
    #[error("the API server is busy: {}", .status.message)]
    Busy {
        /// What it said.
        status: Box<Status>,
        /// When to come back, already capped.
        after: Option<Duration>,
    },
    /// What Tidegate itself keeps in the cluster is not as it was left: a person has to look at it.
    #[error("{0}")]
    Damaged(String),
    /// The server failed (500 and the like), or answered what no API server answers.
    #[error("the API server failed: {0}")]
    Server(String),
    /// No answer: connection refused or lost, TLS failure, time-out. Whether the write happened is unknown.
    #[error("the API server is out of reach: {0}")]
    Unreachable(String),
}

impl CallError {
    /// True when repeating the same request later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Server(_) | Self::Unreachable(_) | Self::Unauthorized(_) => true,
            Self::NotFound(_)
            | Self::Conflict(_)
            | Self::Refused(_)
            | Self::Forbidden(_)
            | Self::Damaged(_) => false,
        }
    }
}

impl From<kube::Error> for CallError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => classify(status),
            kube::Error::SerdeError(error) => {
                Self::Server(format!("the answer is not what was asked for: {error}"))
            }
            kube::Error::FromUtf8(error) => Self::Server(format!("the answer is not UTF-8: {error}")),
            kube::Error::Service(error) if error.is::<CredentialError>() => {
                let (status, reason) = (kube::core::response::StatusSummary::Failure, "Unauthorized");
                Self::Unauthorized(Box::new(Status {
                    status: Some(status),
                    code: 401,
                    message: error.to_string(),
                    reason: reason.to_owned(),
                    ..Status::default()
                }))
            }
            other => Self::Unreachable(chain(&other)),
        }
    }
}

fn classify(status: Box<Status>) -> CallError {
    match status.code {
        404 => CallError::NotFound(status),
        409 => CallError::Conflict(status),
        401 => CallError::Unauthorized(status),
        403 if lacks_right(&status) => CallError::Forbidden(status),
        429 | 503 => {
            let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
            let after = (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)).min(RETRY_AFTER_CAP));
            CallError::Busy { status, after }
        }
        400 | 403 | 405 | 406 | 410 | 413 | 415 | 422 => CallError::Refused(status),
        code => CallError::Server(format!("{code} {}", status.message)),
    }
}

/// Admission (quotas, policies, pod security, a namespace that is terminating) answers 403 as well; only authorisation says
/// who cannot do what.
fn lacks_right(status: &Status) -> bool {
    status.reason == "Forbidden" && status.message.contains("User \"") && status.message.contains(" cannot ")
}

/// True when "not found" was said of an object: an API server that serves the kind names what it looked for. In answer to a
/// path that it does not serve (a kind or a version that is gone) it says nothing of the sort.
pub fn is_about_object(status: &Status) -> bool {
    status.code == 404
        && status.reason == "NotFound"
        && status.details.as_ref().is_some_and(|details| !details.name.is_empty())
}

/// The error with everything that it was caused by, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    let mut depth = 0;
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
        depth += 1;
        if depth > 10 {
            break;
        }
    }
    text
}

/// One call with a deadline, not repeated. The deadline begins when the call has its turn (see [`super::pace`]).
pub async fn once<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, CallError> {
    let turn = Arc::new(Notify::new());
    let call = with_turn(turn.clone(), call);
    tokio::pin!(call);
    tokio::select! {
        biased;
        answer = &mut call => return answer.map_err(CallError::from),
        () = turn.notified() => {}
        () = tokio::time::sleep(TURN_DEADLINE) => {
            let seconds = TURN_DEADLINE.as_secs();
            return Err(CallError::Unreachable(format!("too busy: no turn for a request within {seconds} s")));
        }
    }
    match tokio::time::timeout(CALL_DEADLINE, call).await {
        Ok(answer) => answer.map_err(CallError::from),
        Err(_) => Err(CallError::Unreachable(format!("no answer within {} s", CALL_DEADLINE.as_secs()))),
    }
}

/// A call that may be repeated unchanged (reads, applies and deletes with preconditions): busy and failed answers are
/// tried again, at most [`ATTEMPTS`] times, with growing waits.
pub async fn repeated<T, F>(mut call: impl FnMut() -> F) -> Result<T, CallError>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    let mut wait = Duration::from_millis(100);
    let mut attempt = 1;
    loop {
        let error = match once(call()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let pause = match &error {
            CallError::Busy { after, .. } => after.unwrap_or(wait),
            CallError::Server(_) => wait,
            CallError::Unreachable(_)
            | CallError::NotFound(_)
            | CallError::Conflict(_)
            | CallError::Refused(_)
            | CallError::Forbidden(_)
            | CallError::Damaged(_)
            | CallError::Unauthorized(_) => return Err(error),
        };
        if attempt >= ATTEMPTS {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        attempt += 1;
        wait *= 2;
    }
}

/// Asks about an object again as long as somebody else writes it in between, at most [`UNDISTURBED`] times.
pub async fn undisturbed<T, F>(mut ask: impl FnMut() -> F) -> Result<T, CallError>
where
    F: Future<Output = Result<T, CallError>>,
{
    let mut answer = ask().await;
    for _ in 1..UNDISTURBED {
        if !matches!(answer, Err(CallError::Conflict(_))) {
            break;
        }
        answer = ask().await;
    }
    answer
}
