//! Deadlines: since when what is not applied, or not healthy, has been so, and what is said when that is too long.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Enforced, Judgement};
use crate::ids::Digest;
use crate::object::ObjectId;
use crate::problem::{Code, Problem};

/// How far the enforced inputs have come.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The inputs that this is about.
    pub inputs: Option<Digest>,
    /// First seen by this replica.
    pub seen: Option<Timestamp>,
    /// Applied whole.
    pub applied: Option<Timestamp>,
    /// Applied and healthy.
    pub live: Option<Timestamp>,
}

/// `90s` or `10m`.
fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds >= 60 && seconds.is_multiple_of(60) {
        format!("{}m", seconds / 60)
    } else {
        format!("{seconds}s")
    }
}

/// Since when each of these objects is unwell at a stretch. Until the environment was live, the time counts from the apply;
/// afterwards (a node went, a pod was restarted), and while something still waits to be applied, from when it was first seen.
pub fn unwell_since(
    progress: &Progress,
    known: &BTreeMap<ObjectId, Timestamp>,
    sick: &[ObjectId],
    now: Timestamp,
) -> BTreeMap<ObjectId, Timestamp> {
    let (from, earliest) = match (progress.applied, progress.live) {
        (Some(applied), None) => (applied, applied),
        // What was unwell before the last write has the whole time after it.
        (Some(applied), Some(_)) => (now, applied),
        (None, _) => (now, Timestamp::MIN),
    };
    let since = |id: &ObjectId| known.get(id).copied().unwrap_or(from).max(earliest);
    sick.iter().map(|id| (id.clone(), since(id))).collect()
}

/// The problems of what is not applied, or not healthy, although its deadline is over. `unwell`: since when objects are.
pub fn overdue(
    enforced: Enforced<'_>,
    judgement: &Judgement,
    progress: &Progress,
    unwell: &BTreeMap<ObjectId, Timestamp>,
    now: Timestamp,
) -> Vec<Problem> {
    let deadlines = enforced.environment.deadlines;
    let late = |since: Timestamp, deadline: Duration| is_late(since, deadline, now);
    if progress.applied.is_none() {
        if !progress.seen.is_some_and(|seen| late(seen, deadlines.apply)) {
            return Vec::new();
        }
        let first = judgement.first.as_deref().unwrap_or("something keeps it from being applied");
        let message = format!("not applied whole within {}: {first}", shown(deadlines.apply));
        return vec![Problem::error(Code::ApplyDeadline, message).at(enforced.environment.location.clone())];
    }
    let deadline = deadlines.healthy;
    let reasons: BTreeMap<&ObjectId, &str> = judgement
        .objects
        .iter()
        .filter(|status| status.state.is_unhealthy())
        .map(|status| (&status.object, status.reason.as_str()))
        .collect();
    enforced
        .objects
        .iter()
        .filter_map(|object| {
            let id = object.reference.id();
            unwell.get(&id).filter(|since| late(**since, deadline))?;
            let message = format!("not healthy within {}: {}", shown(deadline), reasons.get(&id)?);
            Some(
                Problem::error(Code::HealthDeadline, message).object(&object.reference).at(object.location()),
            )
        })
        .collect()
}

/// Whether the time is over.
pub(super) fn is_late(since: Timestamp, deadline: Duration, now: Timestamp) -> bool {
    SignedDuration::try_from(deadline).is_ok_and(|deadline| now.duration_since(since) > deadline)
}
