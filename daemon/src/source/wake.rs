//! When to ask next: the timer with jitter and back-off, `poll_now`, and the file watcher.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::handle::{Origin, Watching};
use super::watch::{Watcher, watch};

/// How long the files must be quiet after a change before they are read.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// The shortest pause between two polls, however many calls there are.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The same while the source is in trouble.
const PAUSE_MIN_IN_TROUBLE: Duration = Duration::from_secs(1);
/// Doublings of the pause; the cap ends it long before.
const DOUBLINGS_MAX: u32 = 16;

/// How often a source is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// While all is well.
    pub interval: Duration,
    /// At most, while it is not.
    pub back_off: Duration,
}

impl Pace {
    /// The pause after so many failures in a row, with 20 % of jitter.
    pub fn pause(self, failures: u32) -> Duration {
        let factor = 1_u32 << failures.saturating_sub(1).min(DOUBLINGS_MAX);
        let pause = self.interval.saturating_mul(factor);
        let pause = if failures == 0 { pause } else { pause.min(self.back_off.max(self.interval)) };
        pause.mul_f64(0.8 + 0.4 * fraction())
    }
}

/// A number from 0 to 1 that differs between daemons: the standard library seeds its hasher randomly.
fn fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

/// Everything that can wake the loop.
pub(super) struct Wake {
    poll_now: Arc<Notify>,
    files: Arc<Notify>,
    /// Kept alive; dropping it ends the watch.
    _watcher: Option<Watcher>,
}

impl Wake {
    /// Starts watching what is local, and says what it could do.
    pub fn start(origin: &Origin) -> (Self, Watching) {
        let files = Arc::new(Notify::new());
        let (watcher, watching) = match watch(origin, &files) {
            None => (None, Watching::Timer),
            Some(Ok(watcher)) => (Some(watcher), Watching::Files),
            Some(Err(reason)) => {
                tracing::warn!(%reason, "source: files cannot be watched; a change is seen at the next poll");
                (None, Watching::TimerBecause(reason))
            }
        };
        (Self { poll_now: Arc::new(Notify::new()), files, _watcher: watcher }, watching)
    }

    /// What `poll_now` rings.
    pub fn poll_now(&self) -> Arc<Notify> {
        Arc::clone(&self.poll_now)
    }

    /// Waits for the timer, a call or a change of the files.
    pub async fn wait(&mut self, pause: Duration, failures: u32) {
        let least = if failures == 0 { PAUSE_MIN } else { PAUSE_MIN_IN_TROUBLE };
        tokio::time::sleep(least.min(pause)).await;
        tokio::select! {
            () = tokio::time::sleep(pause.saturating_sub(least)) => {}
            () = self.poll_now.notified() => {}
            () = self.files.notified() => tokio::time::sleep(DEBOUNCE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_jittered_and_grow_to_a_cap() {
        let pace = Pace { interval: Duration::from_secs(10), back_off: Duration::from_mins(2) };
        let well = pace.pause(0);
        assert!(well >= Duration::from_secs(8) && well <= Duration::from_secs(12), "{well:?}");
        assert!(pace.pause(3) > Duration::from_secs(30));
        assert!(pace.pause(u32::MAX) <= Duration::from_secs(144));
        assert_ne!(pace.pause(0), pace.pause(0));
    }

    #[test]
    fn a_source_polled_rarely_is_not_polled_more_often_in_trouble() {
        let pace = Pace { interval: Duration::from_mins(10), back_off: Duration::from_mins(2) };
        assert!(pace.pause(5) >= Duration::from_mins(8));
    }
}
