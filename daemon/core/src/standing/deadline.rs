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
/// afterwards (a node went, a pod was restarted) from when it was first seen.
pub fn unwell_since(
    progress: &Progress,
    known: &BTreeMap<ObjectId, Timestamp>,
    sick: &[ObjectId],
    now: Timestamp,
) -> BTreeMap<ObjectId, Timestamp> {
    let Some(applied) = progress.applied else { return BTreeMap::new() };
    let from = if progress.live.is_some() { now } else { applied };
    sick.iter().map(|id| (id.clone(), known.get(id).copied().unwrap_or(from))).collect()
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
    let late = |since: Timestamp, deadline: Duration| {
        SignedDuration::try_from(deadline).is_ok_and(|deadline| now.duration_since(since) > deadline)
    };
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
