//! When the next pass of a lane is due at the latest, whatever wakes it before.

use std::time::Duration;

use jiff::Timestamp;
use tidegate_core::schedule::Backoff;
use tidegate_core::status::State;

use super::fetch::RETRY_REJECTED;
use super::lane::{Lane, Wanted};
use super::standings::Standings;
use super::{Next, Rounds, SAFETY_INTERVAL};

/// While objects are on their way, their pods are looked at this often.
pub(super) const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// What could not be read (a kind that is not served yet, for one) is read again this often.
const UNREAD_INTERVAL: Duration = Duration::from_secs(2);
/// What waits for other objects, or was refused, is looked at this often.
const WAITING_INTERVAL: Duration = Duration::from_secs(10);
/// Passes that fail are tried again with growing pauses.
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_mins(1) };
/// Passes that end with work left go on at once, and with growing pauses where there is always more (a cluster in which
/// every write meets a conflict).
const GO_ON: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_secs(10) };

impl Lane {
    /// When to look again, by how the environment stands.
    pub(super) fn next(
        &self,
        wanted: &Wanted,
        standings: &Standings,
        rounds: Option<Rounds>,
        now: Timestamp,
    ) -> Next {
        let mut next = SAFETY_INTERVAL;
        if rounds == Some(Rounds::Unfinished) {
            next = GO_ON.delay(self.memory.unfinished, crate::run::jitter());
        }
        if standings.state == State::Progressing || !standings.judgement.sick.is_empty() {
            next = next.min(PROGRESS_INTERVAL);
        }
        let unread = self.memory.last.as_ref().is_some_and(|(observed, _)| !observed.unread.is_empty());
        if unread {
            next = next.min(UNREAD_INTERVAL);
        }
        let plan = self.memory.last.as_ref().map(|(_, plan)| plan);
        if plan.is_some_and(|plan| !plan.waiting.is_empty()) || !self.memory.failed.is_empty() {
            next = next.min(WAITING_INTERVAL);
        }
        let retries = self.memory.failed.values().filter_map(|failure| failure.retry_at);
        if let Some(retry_at) = retries.filter(|retry_at| *retry_at > now).min() {
            let left = Duration::try_from(retry_at.duration_since(now)).unwrap_or(Duration::ZERO);
            next = next.min(left.max(UNREAD_INTERVAL));
        }
        // A commit that leaves the environment as it is wakes nobody, and may be the one that this waits for.
        let rewinds = self.memory.parent.as_ref().is_some_and(|parent| parent.rewind.is_some());
        if self.memory.behind || rewinds {
            next = next.min(WAITING_INTERVAL);
        }
        if self.memory.rejected.is_some() {
            next = next.min(RETRY_REJECTED);
        }
        if let Some(end) = self.memory.flips.next_end(now) {
            let left = Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO);
            next = next.min(left + Duration::from_millis(100));
        }
        for until in self.suspension_ends(wanted) {
            let left = Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO);
            next = next.min(left + Duration::from_secs(1));
        }
        Next(next)
    }

    /// The pause after a pass that failed; one failure more than before.
    pub(super) fn back_off(&mut self) -> Next {
        self.memory.failures = self.memory.failures.saturating_add(1);
        Next(BACKOFF.delay(self.memory.failures, crate::run::jitter()))
    }
}
