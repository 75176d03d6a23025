//! What a plan is about to do to objects, and what was done to them, as the deploy log tells it. Pure.

use tidegate_core::ledger::{Capped, ObjectOperation, Operation, Outcome as Record, Repair};
use tidegate_core::outcome::Outcome;
use tidegate_core::plan::{Action, ApplyReason, Plan};
use tidegate_core::status::DriftRecord;

use super::execute::{ADOPT, Done};

/// So many repairs are held of one record; of more only the number.
const REPAIRS: usize = 1_000;

/// True where a plan takes back what a commit had brought: an environment that goes back still has some of it. All else that is to
/// be done there is what somebody has changed.
pub fn is_way_back(plan: &Plan) -> bool {
    plan.stages.iter().flat_map(|stage| &stage.actions).any(|action| match action {
        Action::Delete(_) => true,
        Action::Apply(apply) => match apply.reason {
            ApplyReason::Create | ApplyReason::Changed => true,
            ApplyReason::Recreate | ApplyReason::Drift { .. } | ApplyReason::Resume | ApplyReason::Adopt => {
                false
            }
        },
    })
}

/// True where a plan deletes what left git, and does nothing else.
pub fn is_prune(plan: &Plan) -> bool {
    let mut actions = plan.stages.iter().flat_map(|stage| &stage.actions);
    actions.all(|action| match action {
        Action::Delete(_) => true,
        Action::Apply(_) => false,
    })
}

/// What a plan is about to do.
pub fn pending_of(plan: &Plan) -> Capped<ObjectOperation> {
    let actions = plan.stages.iter().flat_map(|stage| &stage.actions);
    let pending = actions.map(|action| {
        let (object, uid, op) = match action {
            Action::Delete(delete) => (delete.object.clone(), Some(delete.uid.clone()), Operation::Delete),
            Action::Apply(apply) => {
                let op = match apply.reason {
                    ApplyReason::Create => Operation::Create,
                    ApplyReason::Recreate => Operation::Recreate,
                    ApplyReason::Changed | ApplyReason::Resume => Operation::Change,
                    ApplyReason::Drift { .. } => Operation::Repair,
                    ApplyReason::Adopt => Operation::Adopt,
                };
                (apply.object.reference.clone(), apply.uid.clone(), op)
            }
        };
        ObjectOperation { object, uid, op, fields: Capped::default(), times: 1 }
    });
    Capped::all(pending.collect())
}

/// What was done to an object; none where nothing was.
pub fn operation(done: &Done) -> Option<ObjectOperation> {
    let op = match (&done.outcome, done.action) {
        (Outcome::Conflict, _) => return None,
        (Outcome::Refused(_), _) => Operation::Refused,
        (_, "create") => Operation::Create,
        (_, "repair") => Operation::Repair,
        (_, "recreate") => Operation::Recreate,
        (_, "delete") => Operation::Delete,
        (_, action) if action == ADOPT => Operation::Adopt,
        (_, _) => Operation::Change,
    };
    let fields = match &done.outcome {
        Outcome::Unknown(why) => vec![format!("nobody knows whether it was done: {why}")],
        Outcome::Refused(problem) => vec![problem.message.clone()],
        Outcome::Done | Outcome::Unchanged | Outcome::Conflict => {
            done.drift.as_ref().map(|drift| drift.changes.clone()).unwrap_or_default()
        }
    };
    let uid = done.uid().map(str::to_owned);
    Some(ObjectOperation { object: done.reference.clone(), uid, op, fields: Capped::all(fields), times: 1 })
}

/// Takes a repair down: what was changed, and by whom.
pub fn note_repair(outcome: &mut Record, drift: &DriftRecord) {
    outcome.repairs.total = outcome.repairs.total.saturating_add(1);
    if outcome.repairs.items.len() >= REPAIRS {
        return;
    }
    outcome.repairs.items.push(Repair {
        object: drift.object.clone(),
        changes: Capped::all(drift.changes.clone()),
        manager: drift.manager.clone(),
        seen: drift.seen,
        times: 1,
    });
}
