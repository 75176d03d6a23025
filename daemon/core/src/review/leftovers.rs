//! What becomes of objects that leave git, by the rules of [`crate::plan`] as far as git decides them.
//!
//! The cluster may know better: an object may be gone already, or not be ours. That is said by [`super::live`].

use std::collections::BTreeSet;

use serde_json::Value;

use super::Action;
use super::input::Complete;
use crate::desired::PruneBudget;
use crate::inventory::PRUNE;
use crate::object::{DesiredObject, ObjectId};
use crate::plan::nothing_left;
use crate::problem::{Code, Problem};

/// The percentage of the budget counts from this many objects in the inventory, as in the daemon's own plan.
const PERCENT_FROM: usize = 10;

/// What happens to an object that head no longer asks for.
pub(super) fn fate(object: &DesiredObject, head: &Complete, wanted: &BTreeSet<ObjectId>) -> Action {
    match keeps(object, head, wanted) {
        Some(why) => Action::Keep { why },
        None => Action::Delete,
    }
}

fn keeps(object: &DesiredObject, head: &Complete, wanted: &BTreeSet<ObjectId>) -> Option<String> {
    let id = object.reference.id();
    let prune = &head.environment.prune;
    let annotations = object.value().pointer("/metadata/annotations");
    if annotations.and_then(|all| all.get(PRUNE)).and_then(Value::as_str) == Some("disabled") {
        return Some(format!("`{PRUNE}: disabled` stands on it"));
    }
    if !prune.enabled && !head.environment.decommission {
        return Some("`prune.enabled` is false".to_owned());
    }
    let guarded = matches!(
        (id.group.as_str(), id.kind.as_str()),
        ("", "Namespace" | "PersistentVolumeClaim") | ("apiextensions.k8s.io", "CustomResourceDefinition")
    );
    if guarded && !prune.allow.contains(&id.kind) {
        return Some(format!("`prune.allow` does not name {}", id.kind));
    }
    let inside = |other: &&ObjectId| match (id.group.as_str(), id.kind.as_str()) {
        ("", "Namespace") => other.namespace.as_ref() == Some(&id.name),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            id.name.split_once('.').is_some_and(|(_, group)| group == other.group)
        }
        _ => false,
    };
    wanted.iter().find(inside).map(|inside| format!("{inside} is in it and still wanted"))
}

/// Why nothing at all would be deleted: more would be than the budget allows.
///
/// `total` is how many objects the environment owns when its deletes come, which is after its creates.
pub(super) fn over_budget(deletes: usize, total: usize, head: &Complete) -> Option<Problem> {
    if deletes == 0 || head.environment.decommission {
        return None;
    }
    let place = |problem: Problem| problem.at(head.place(head.file.spans.locate("/spec/prune/budget")));
    if let Some(nothing) = nothing_left(head.wanted(), &head.environment.location.file) {
        return Some(place(nothing.problem(deletes)));
    }
    let PruneBudget { max, percent } = head.environment.prune.budget;
    let too_many = u32::try_from(deletes).map_or(true, |deletes| deletes > max);
    let share = deletes.saturating_mul(100);
    let too_large = total >= PERCENT_FROM && share > total.saturating_mul(percent as usize);
    if !too_many && !too_large {
        return None;
    }
    let message = format!(
        "{deletes} of {total} objects leave git, more than the prune budget of {max} objects or {percent} % allows: nothing is deleted"
    );
    let help =
        "if that is what you want, raise `prune.budget` in environment.yaml, or bring the objects back";
    Some(place(Problem::error(Code::PruneBudget, message)).help(help))
}
