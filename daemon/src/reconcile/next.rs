//! When the next pass of a lane is due at the latest, whatever wakes it before.

use std::time::Duration;

use jiff::Timestamp;
use tidegate_core::schedule::Backoff;
use tidegate_core::standing::{Wait, next, until_deadline};
use tidegate_core::status::State;

use super::lane::{Lane, Wanted};
use super::standings::Standings;
use super::{Next, Rounds};

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
        let left = |until: Timestamp| Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO);
        let mut waits = Vec::new();
        if rounds == Some(Rounds::Unfinished) {
            waits.push(Wait::Work(GO_ON.delay(self.memory.unfinished, crate::run::jitter())));
        }
        if standings.state == State::Progressing || !standings.judgement.sick.is_empty() {
            waits.push(Wait::Health);
        }
        if self.memory.last.as_ref().is_some_and(|(observed, _)| !observed.unread.is_empty()) {
            waits.push(Wait::Read);
        }
        let plan = self.memory.last.as_ref().map(|(_, plan)| plan);
        let waiting = plan.is_some_and(|plan| !plan.waiting.is_empty()) || !self.memory.failed.is_empty();
        // A commit that leaves the environment as it is wakes nobody, and may be the one that this waits for.
        let rewinds = self.memory.parent.as_ref().is_some_and(|parent| parent.rewind.is_some());
        if waiting || self.memory.behind || rewinds {
            waits.push(Wait::Others);
        }
        let retries = self.memory.failed.values().filter_map(|failure| failure.retry_at);
        waits.extend(retries.filter(|at| *at > now).map(|at| Wait::Retry(left(at))));
        if self.memory.rejected.is_some() || self.without_past().is_some() {
            waits.push(Wait::Commit);
        }
        if let Some(desired) = self.worked_for() {
            let end = until_deadline(&self.memory.unwell, desired.environment.deadlines.healthy, now);
            waits.extend(end.map(|left| Wait::Time(left + Duration::from_millis(100))));
        }
        let flips = self.memory.flips.next_end(now);
        waits.extend(flips.map(|end| Wait::Time(left(end) + Duration::from_millis(100))));
        let resumed = self.suspension_ends(wanted);
        waits.extend(resumed.map(|until| Wait::Time(left(until) + Duration::from_secs(1))));
        Next(next(&waits))
    }

    /// The pause after a pass that failed; one failure more than before.
    pub(super) fn back_off(&mut self) -> Next {
        self.memory.failures = self.memory.failures.saturating_add(1);
        Next(BACKOFF.delay(self.memory.failures, crate::run::jitter()))
    }
}
