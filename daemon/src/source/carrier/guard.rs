//! The limits of one operation: a deadline, a number of bytes, and the daemon's shutdown.
//!
//! What ends an operation is remembered here, because gix's own error would only say that reading failed.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::source::error::SourceError;

/// How long the watchdog sleeps at most before it looks at the shutdown again.
const WATCH_STEP: Duration = Duration::from_millis(200);

/// The limits of one operation.
#[derive(Debug)]
pub(in crate::source) struct Guard {
    /// The repository, masked, for messages.
    pub url: String,
    state: Mutex<State>,
    /// gix looks at this between objects.
    pub interrupt: AtomicBool,
    /// The daemon goes down.
    pub stop: CancellationToken,
}

#[derive(Debug)]
struct State {
    deadline: Instant,
    after: Duration,
    bytes_left: u64,
    bytes_max: u64,
    failure: Option<SourceError>,
}

impl Guard {
    /// Limits that begin now.
    pub fn new(url: String, after: Duration, bytes_max: u64, stop: CancellationToken) -> Arc<Self> {
        let deadline = Instant::now() + after;
        let state = State { deadline, after, bytes_left: bytes_max, bytes_max, failure: None };
        Arc::new(Self { url, state: Mutex::new(state), interrupt: AtomicBool::new(false), stop })
    }

    /// Other limits, from now on: a poll becomes a fetch.
    pub fn extend(&self, after: Duration, bytes_max: u64) {
        let mut state = self.state();
        state.deadline = Instant::now() + after;
        state.after = after;
        state.bytes_left = bytes_max;
        state.bytes_max = bytes_max;
    }

    /// Time left; none when it is over.
    pub fn remaining(&self) -> Duration {
        self.state().deadline.saturating_duration_since(Instant::now())
    }

    /// Counts bytes that came in.
    pub fn spend(&self, bytes: usize) -> io::Result<()> {
        let mut state = self.state();
        if let Some(left) = state.bytes_left.checked_sub(bytes as u64) {
            state.bytes_left = left;
            return Ok(());
        }
        let limit = state.bytes_max;
        drop(state);
        Err(self.fail(SourceError::TooMuch { url: self.url.clone(), limit }))
    }

    /// Ends the operation: the first reason stays.
    pub fn fail(&self, error: SourceError) -> io::Error {
        self.interrupt.store(true, Ordering::Relaxed);
        let text = error.to_string();
        self.state().failure.get_or_insert(error);
        io::Error::other(text)
    }

    /// Ends the operation because its time is over.
    pub fn expire(&self) -> io::Error {
        let after = self.state().after;
        self.fail(SourceError::Deadline { url: self.url.clone(), after })
    }

    /// Ends the operation because the daemon goes down.
    pub fn stopped(&self) -> io::Error {
        self.fail(SourceError::Stopped { url: self.url.clone() })
    }

    /// Why the operation ended, if it was ended from here.
    pub fn failure(&self) -> Option<SourceError> {
        self.state().failure.clone()
    }

    /// Waits beside the operation and ends it in time; `end` is called then. Dropping the watchdog ends it.
    pub fn watchdog(self: &Arc<Self>, end: impl FnOnce() + Send + 'static) -> Watchdog {
        let (alive, gone) = std::sync::mpsc::channel::<()>();
        let guard = Arc::clone(self);
        std::thread::spawn(move || {
            loop {
                let step = guard.remaining().min(WATCH_STEP);
                match gone.recv_timeout(step) {
                    Ok(()) | Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return,
                    Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
                }
                let over = guard.remaining().is_zero();
                let failed = guard.interrupt.load(Ordering::Relaxed);
                if over {
                    guard.expire();
                }
                if guard.stop.is_cancelled() {
                    guard.stopped();
                }
                if over || failed || guard.stop.is_cancelled() {
                    return end();
                }
            }
        });
        Watchdog { _alive: alive }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a watchdog alive.
#[derive(Debug)]
pub(in crate::source) struct Watchdog {
    _alive: std::sync::mpsc::Sender<()>,
}
