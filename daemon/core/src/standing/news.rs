//! Whether a status record says anything new, and whether it is written now: every record is a write of its own.

use std::time::Duration;

use crate::status::{EnvironmentStatus, State};

/// Records of a state that goes on changing are written at most this often.
pub const WRITE_INTERVAL: Duration = Duration::from_secs(1);
/// After a commit was applied, its way to health is recorded only when it takes longer than this.
pub const SETTLING: Duration = Duration::from_secs(3);

/// What is done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It says nothing new: it is not written.
    Nothing,
    /// It does, but it is too early to write again.
    Later,
    /// It is written.
    Now,
}

/// What is done with a record. `before`: the one that stands; `since_written`: the time since this replica wrote one;
/// `just_applied`: the last write of the commit was a moment ago (mostly all is healthy when it is over, and one record says
/// it all).
pub fn news(
    before: Option<&EnvironmentStatus>,
    now: &EnvironmentStatus,
    since_written: Option<Duration>,
    just_applied: bool,
) -> News {
    if before.is_some_and(|before| says_the_same(before, now)) {
        return News::Nothing;
    }
    let no_repair = before.map_or(now.drift.is_empty(), |before| before.drift == now.drift);
    if now.state == State::Progressing && no_repair && just_applied {
        return News::Later;
    }
    let same_state = before.is_some_and(|before| before.state == now.state && before.drift == now.drift);
    // Two replicas that both take the environment for theirs, until their Leases are seen, do not outshout each other.
    let by_other = before.is_some_and(|before| before.replica != now.replica);
    if (same_state || by_other) && since_written.is_some_and(|since| since < WRITE_INTERVAL) {
        return News::Later;
    }
    News::Now
}

/// Everything but the time of writing and the words of a state that goes on.
fn says_the_same(before: &EnvironmentStatus, now: &EnvironmentStatus) -> bool {
    let seen = |status: &EnvironmentStatus| (status.inputs.clone(), status.state);
    let mut same = before.clone();
    same.updated = now.updated;
    same.replica.clone_from(&now.replica);
    if seen(before) == seen(now) && now.state == State::Live {
        // Commits that do not concern the environment are not written on it.
        same.seen.clone_from(&now.seen);
        same.applied.clone_from(&now.applied);
        same.times = now.times;
    }
    same == *now
}
