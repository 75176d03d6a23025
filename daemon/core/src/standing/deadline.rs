//! Deadlines: since when what is not applied, or not healthy, has been so, and what is said when that is too long.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Enforced, Judgement};
use crate::ids::Digest;
use crate::object::ObjectId;
use crate::problem::{Code, Problem};
use crate::status::Anew;

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
    /// The deadline began anew after nobody had looked.
    pub anew: Option<Anew>,
    /// This replica looked at it last, with a plan that had settled.
    pub looked: Option<Timestamp>,
    /// Nobody looks at it since: it is suspended, waits for another environment, or its cluster is out of reach.
    pub away: bool,
    /// Somebody has looked after the deadline: what follows from it was decided.
    pub missed: bool,
}

/// How often the deadline of one set begins anew, so that a daemon which starts again and again comes to an end with it.
pub const MAX_ANEW: u32 = 3;

impl Progress {
    /// Notes that a plan has settled and its objects are judged now. Where nobody has looked for a while, less than half of
    /// the deadline is left and nobody has seen its end, it begins anew: what is unhealthy at the first look has the time to
    /// recover that it would have had under somebody's eyes.
    pub fn look(&mut self, deadline: Duration, now: Timestamp) {
        let half = deadline / 2;
        let before = self.looked.replace(now);
        let away = std::mem::take(&mut self.away);
        // How long nobody looked before the first look of a replica is not known.
        let unwatched = before.is_none_or(|before| away && is_late(before, half, now));
        let is_short = match self.deadline_from() {
            Some(from) => is_late(from, half, now),
            // Objects that others wait for have deadlines of their own, once they were looked at.
            None => before.is_some(),
        };
        let count = self.anew.map_or(0, |anew| anew.count);
        if unwatched && is_short && !self.missed && self.live.is_none() && count < MAX_ANEW {
            self.anew = Some(Anew { since: now, count: count + 1 });
        }
        self.missed |= self.deadline_from().is_some_and(|from| is_late(from, deadline, now));
    }

    /// From when the deadline counts, once everything is applied.
    fn deadline_from(&self) -> Option<Timestamp> {
        let anew = self.anew.map(|anew| anew.since);
        self.applied.map(|applied| anew.map_or(applied, |anew| anew.max(applied)))
    }
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
    let anew = progress.anew.map_or(Timestamp::MIN, |anew| anew.since);
    let (from, earliest) = match (progress.deadline_from(), progress.live) {
        (Some(from), None) => (from, from),
        // What was unwell before the last write has the whole time after it.
        (Some(from), Some(_)) => (now, from),
        (None, _) => (now, anew),
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
