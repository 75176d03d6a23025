//! The objects that say something about a commit by not being healthy, and until when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::deadline::is_late;
use crate::object::ObjectId;
use crate::observed::Observed;
use crate::plan::{Failure, Plan};
use crate::rollback::{Patience, Unhealthy};
use crate::status::ObjectStatus;

/// What tells whether an object's status is about what git asks for, and since when it is unwell.
pub struct Seen<'a> {
    /// What the last round saw.
    pub observed: &'a Observed,
    /// What it planned.
    pub plan: &'a Plan,
    /// What was refused.
    pub failed: &'a BTreeMap<ObjectId, Failure>,
    /// See [`super::unwell_since`].
    pub unwell: &'a BTreeMap<ObjectId, Timestamp>,
}

/// The objects that are applied as git asks, exist, and are not healthy. One that is refused or waits to be written is not
/// among them: its status is not about what git asks for.
pub fn unhealthy(
    objects: &[ObjectStatus],
    seen: &Seen<'_>,
    deadline: Duration,
    now: Timestamp,
) -> Vec<Unhealthy> {
    let Seen { observed, plan, failed, unwell } = seen;
    let held = plan.waiting.iter().filter(|waiting| waiting.reason.holds_commit());
    let waiting: BTreeSet<&ObjectId> = held.map(|waiting| &waiting.object).collect();
    let is_applied = |id: &ObjectId| {
        observed.objects.contains_key(id) && !failed.contains_key(id) && !waiting.contains(id)
    };
    let patience = |id: &ObjectId| match unwell.get(id) {
        Some(since) if is_late(*since, deadline, now) => Patience::Over,
        Some(_) | None => Patience::Left,
    };
    objects
        .iter()
        .filter(|status| status.state.is_unhealthy() && is_applied(&status.object))
        .map(|status| Unhealthy { status: status.clone(), patience: patience(&status.object) })
        .collect()
}

/// How long until the first of these objects misses the deadline; none when each has.
pub fn until_deadline(
    unwell: &BTreeMap<ObjectId, Timestamp>,
    deadline: Duration,
    now: Timestamp,
) -> Option<Duration> {
    let left = |since: &Timestamp| {
        let end = since.checked_add(deadline).ok()?;
        Duration::try_from(end.duration_since(now)).ok()
    };
    unwell.values().filter_map(left).min()
}

#[cfg(test)]
mod tests;
