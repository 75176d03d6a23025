//! From desired and observed to an ordered, immutable plan. Makes no request and leaves no choice to execution.
//!
//! [`plan`] decides about every object of the desired set and of the inventory, orders what is to be done, and says for
//! everything else why nothing is done. It takes no hint of what changed: first install, drift repair and resuming after
//! a crash are one path. What it never does: delete what is not in the inventory under that uid, delete on an incomplete
//! desired set or a partial read, or create what it could not look for.

mod adopt;
mod claim;
mod decide;
mod dependencies;
mod gate;
mod identity;
mod input;
mod order;
mod prune;
mod recreate;
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diff::FieldChange;
use crate::drift::ForeignEntry;
use crate::object::{DesiredObject, ObjectId, ObjectRef};
use crate::problem::Problem;

pub use adopt::{InvalidMatcher, ObjectMatcher};
pub use decide::plan;
pub use dependencies::{Definitions, dependencies};
pub use identity::plan_id;
pub use input::{Failure, PlanInput, PlanSettings, PruneSettings};
pub use order::phase_of;
pub(crate) use prune::nothing_left;
pub use recreate::is_recreated;
pub use summary::Counts;

/// One step on one object.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Server-side apply.
    Apply(Apply),
    /// Delete with a uid precondition.
    Delete(Delete),
}

/// A server-side apply of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Apply {
    /// What is sent.
    pub object: Arc<DesiredObject>,
    /// Why.
    pub reason: ApplyReason,
    /// The uid that the live object must have; none when it must be created.
    pub uid: Option<String>,
    /// The resourceVersion that it must have, where the plan depends on what it saw (drift repair).
    pub resource_version: Option<String>,
    /// Migrate the entries of kubectl managers to us first, so that what they added goes.
    pub migrate: bool,
}

/// Why an object is applied.
#[derive(Debug, Clone, PartialEq)]
pub enum ApplyReason {
    /// It does not exist and never did.
    Create,
    /// It was in the inventory and is gone: somebody deleted it.
    Recreate,
    /// Git asks for something else than what was last applied.
    Changed,
    /// Live differs from git; by whom and in what.
    Drift {
        /// Changed fields, live to desired.
        changes: Vec<FieldChange>,
        /// The managers that hold them.
        by: Vec<ForeignEntry>,
    },
    /// A create or apply of ours was cut short: applied again to know what stands.
    Resume,
    /// It exists and is not in the inventory: taken over (unmarked, or adoption is asked for).
    Adopt,
}

/// A delete of one object of the inventory.
#[derive(Debug, Clone, PartialEq)]
pub struct Delete {
    /// What.
    pub object: ObjectRef,
    /// The uid that it must have.
    pub uid: String,
}

/// The order of kinds within one wave. Each phase begins when the one before it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Namespaces.
    Namespaces,
    /// CustomResourceDefinitions; the phase ends when they are served.
    Definitions,
    /// Other cluster-scoped objects.
    ClusterScoped,
    /// ConfigMaps, Secrets, ServiceAccounts, RBAC, quotas, claims.
    Config,
    /// Everything that runs.
    Workloads,
    /// Services, Ingresses, routes, autoscalers, disruption budgets.
    Routes,
    /// Custom objects and kinds that no list names.
    Custom,
    /// Webhook configurations and admission policies: last, so that they cannot hold up what they depend on.
    Admission,
    /// Deletes of what left git, dependents first. Begins only when every action before it in the same plan ended
    /// [`crate::outcome::Outcome::Done`] or `Unchanged`; otherwise the next plan decides anew.
    Prune,
}

/// Actions that may run side by side. The same wave and phase may stand several times in a row, when objects of one phase
/// need each other; each stage begins when the one before it has ended. The dependents of an object whose action failed are
/// skipped (see [`Plan::needs`]); the next plan says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// `tidegate.dev/wave`.
    pub wave: i32,
    /// The phase within the wave.
    pub phase: Phase,
    /// The actions, in order of their objects.
    pub actions: Vec<Action>,
}

/// An ordered, immutable plan for one environment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// What is done, stage after stage.
    pub stages: Vec<Stage>,
    /// For each object that is applied: the objects of this plan that it needs. When one of these was not done, it is skipped.
    pub needs: BTreeMap<ObjectId, Vec<ObjectId>>,
    /// Objects whose live state must be asked for by a dry-run before anything is decided about them.
    pub inspect: Vec<ObjectId>,
    /// What is not done, and why.
    pub waiting: Vec<Waiting>,
    /// What is wrong (ownership, budget, …); each also has a [`Waiting`] or concerns the whole environment.
    pub problems: Vec<Problem>,
    /// Entries of the inventory whose object is gone and which are no longer desired.
    pub forget: Vec<ObjectId>,
    /// Objects that a dry-run found in sync: the shell records it (see [`crate::inventory::Inventory::record_accepted`]).
    pub accept: Vec<ObjectId>,
}

impl Plan {
    /// True when something that the action's object needs has failed in this execution.
    pub fn is_skipped(&self, action: &Action, failed: &BTreeSet<ObjectId>) -> bool {
        match action {
            Action::Apply(apply) => {
                let needs = self.needs.get(&apply.object.reference.id());
                needs.is_some_and(|needs| needs.iter().any(|needed| failed.contains(needed)))
            }
            Action::Delete(_) => false,
        }
    }
}

impl Stage {
    /// True when it is left to the next plan, given what failed before it: nothing is deleted after a failure.
    pub fn is_left(&self, failed: &BTreeSet<ObjectId>) -> bool {
        self.phase == Phase::Prune && !failed.is_empty()
    }
}

/// Why nothing is done about an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// The object.
    pub object: ObjectId,
    /// Why.
    pub reason: WaitingReason,
}

/// Why nothing is done about an object, and what will wake it.
#[derive(Debug, Clone, PartialEq)]
pub enum WaitingReason {
    /// It could not be read; the next pass tries again.
    Unread(String),
    /// The dry-run failed; a new dry-run is asked for when the object or git changes, or after a back-off.
    DryRunFailed(String),
    /// The API server refused it; tried again when git or the object changes, or at the failure's own time.
    Refused(String),
    /// A delete: it comes after this object of the desired set is applied and healthy.
    PruneAfter(ObjectId),
    /// It is being deleted; the watch says when it is gone. Finalizers that hold it.
    Deleting(Vec<String>),
    /// An earlier wave is not healthy yet.
    EarlierWave(i32),
    /// An object that it needs failed or waits.
    Dependency(ObjectId),
    /// It belongs to another tool or environment.
    Ownership(String),
    /// The prune budget is exceeded.
    PruneBudget,
    /// Pruning is off, or the kind needs an explicit permission.
    PruneNotAllowed(String),
    /// The environment is suspended.
    Suspended(String),
    /// The same field flips again and again: backing off.
    FightingOver(String),
}

#[cfg(test)]
mod tests;
