//! What is true once a plan has settled: everything is applied, or nothing is left, or something still holds the commit up.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::object::ObjectId;
use crate::plan::{Failure, Plan, WaitingReason};
use crate::problem::Problem;

/// What a settled plan means for the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// Something waits or was refused.
    Open,
    /// The commit is applied whole.
    Applied,
    /// The environment is taken down, and what it owned goes.
    TakenDown,
}

/// What a settled plan means for the commit. `failed`: what still holds something up ([`drop_overcome`]).
pub fn conclude(plan: &Plan, failed: &BTreeMap<ObjectId, Failure>, decommission: bool) -> Conclusion {
    let waits = plan.waiting.iter().any(|waiting| waiting.reason.holds_commit());
    if waits || plan.problems.iter().any(Problem::is_error) || !failed.is_empty() {
        Conclusion::Open
    } else if decommission {
        Conclusion::TakenDown
    } else {
        Conclusion::Applied
    }
}

/// The failures that still hold something up. A plan that has settled and finds nothing to do about an object needs no retry
/// of what failed on it: it is as git asks for by now, or gone, by somebody else's hand or by a write whose answer was lost.
/// Nor does a failure whose time is over tell anything while the object waits for another reason: its kind may have gone
/// meanwhile, and people are to read that.
pub fn drop_overcome(
    mut failed: BTreeMap<ObjectId, Failure>,
    plan: &Plan,
    now: Timestamp,
) -> BTreeMap<ObjectId, Failure> {
    let held: BTreeMap<&ObjectId, &WaitingReason> = plan
        .waiting
        .iter()
        .filter(|waiting| waiting.reason.holds_commit())
        .map(|waiting| (&waiting.object, &waiting.reason))
        .collect();
    failed.retain(|id, failure| {
        let refused = matches!(held.get(id), Some(WaitingReason::Refused(_)));
        let lasts = failure.retry_at.is_none_or(|retry_at| now < retry_at);
        held.contains_key(id) && (refused || lasts)
    });
    failed
}

/// What git left and what may not be deleted: it stays in the cluster, and is nobody's once the environment is gone.
pub fn kept(plan: &Plan) -> BTreeSet<ObjectId> {
    let kept = plan.waiting.iter().filter(|waiting| waiting.reason.is_kept());
    kept.map(|waiting| waiting.object.clone()).collect()
}
