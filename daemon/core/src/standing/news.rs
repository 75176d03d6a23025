//! Whether a status record says anything new, and whether it is written now: every record is a write of its own.

use std::time::Duration;

use jiff::Timestamp;

use super::{Judgement, Progress};
use crate::status::{EnvironmentStatus, State};

/// Records of a state that goes on changing are written at most this often.
pub const WRITE_INTERVAL: Duration = Duration::from_secs(1);
/// After a commit was applied, its way to health is recorded only when it takes longer than this.
pub const SETTLING: Duration = Duration::from_secs(3);
/// The same while there is nothing to be read of it but that controllers have not looked: where many environments are applied
/// at once they do so one after another, and each would be recorded twice. One that does not look at all is recorded.
pub const UNSEEN: Duration = Duration::from_secs(15);

/// What is done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It says nothing new: it is not written.
    Nothing,
    /// It does, but it is too early to write again before this is over.
    Later(Duration),
    /// It is written.
    Now,
}

/// What is left of the time in which the way of a commit to health is not recorded, because mostly all is healthy when it is
/// over, and one record says it all. None when it is over, or the commit has been live.
pub fn settling(progress: &Progress, judgement: &Judgement, now: Timestamp) -> Option<Duration> {
    let applied = progress.applied.filter(|_| progress.live.is_none())?;
    // Nothing sick: what is on its way is a rollout, and people watch it.
    let is_unseen = judgement.telling.is_empty() && !judgement.sick.is_empty();
    let limit = if is_unseen { UNSEEN } else { SETTLING };
    let left = limit.saturating_sub(now.duration_since(applied).unsigned_abs());
    (!left.is_zero()).then_some(left)
}

/// What is done with a record. `before`: the one that stands; `since_written`: the time since this replica wrote one;
/// `settling`: see there.
pub fn news(
    before: Option<&EnvironmentStatus>,
    now: &EnvironmentStatus,
    since_written: Option<Duration>,
    settling: Option<Duration>,
) -> News {
    if before.is_some_and(|before| says_the_same(before, now)) {
        return News::Nothing;
    }
    let no_repair = before.map_or(now.drift.is_empty(), |before| before.drift == now.drift);
    if let (State::Progressing, true, Some(left)) = (now.state, no_repair, settling) {
        return News::Later(left);
    }
    let same_state = before.is_some_and(|before| before.state == now.state && before.drift == now.drift);
    // Two replicas that both take the environment for theirs, until their Leases are seen, do not outshout each other.
    let by_other = before.is_some_and(|before| before.replica != now.replica);
    let left = since_written.map_or(Duration::ZERO, |since| WRITE_INTERVAL.saturating_sub(since));
    if (same_state || by_other) && !left.is_zero() {
        return News::Later(left);
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
