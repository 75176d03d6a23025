//! What leaves the cluster: inventory minus desired, under every guard.
//!
//! An object is deleted only when the inventory has its uid (or, for a create that was cut short, the object carries our
//! label), it carries our ApplySet's label, the desired set is complete, everything could be read, nobody asked to keep
//! it, and the whole prune is within the budget: all of it or nothing. Deletes come after everything that git asks for is
//! applied and healthy, so that a renamed workload never leaves before its successor serves. Kinds that can themselves
//! be what keeps the others from becoming healthy (quotas, policies, webhooks) do not wait for that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::decide::{Decisions, Verdict, still_holds};
use super::gate::is_unwell;
use super::{Action, Delete, Phase, PlanInput, Stage, Waiting, WaitingReason, phase_of};
use crate::inventory::InventoryEntry;
use crate::object::{DesiredObject, Gvk, ObjectId, ObjectRef};
use crate::observed::{LiveObject, Ownership};
use crate::problem::{Code, Problem};

/// The percentage of the budget counts from this many objects in the inventory; of fewer, any share is small.
const PERCENT_FROM: usize = 10;

/// What a prune comes to.
#[derive(Default)]
pub(super) struct Pruned {
    pub stages: Vec<Stage>,
    pub waiting: Vec<Waiting>,
    pub problems: Vec<Problem>,
    pub forget: Vec<ObjectId>,
}

/// What is to be done about one entry that is no longer desired.
enum Fate {
    /// The object is gone, or not ours any more.
    Forget(Option<Problem>),
    /// It stays in the inventory until another plan.
    Keep(WaitingReason, Option<Problem>),
    /// It may be deleted, if the whole prune may.
    Delete(Delete),
}

/// Decides about everything in the inventory that the desired set does not name.
pub(super) fn prune(input: &PlanInput<'_>, decisions: &Decisions<'_>) -> Pruned {
    let mut pruned = Pruned::default();
    let mut deletes: BTreeMap<ObjectId, Delete> = BTreeMap::new();
    let desired_uids: BTreeSet<&str> =
        decisions.values().filter_map(|decision| decision.live).map(|live| live.uid.as_str()).collect();
    for (id, entry) in input.inventory.entries.iter().filter(|(id, _)| !decisions.contains_key(*id)) {
        let leftover = Leftover { input, decisions, id, entry };
        match leftover.fate(&desired_uids) {
            Fate::Forget(problem) => {
                pruned.forget.push(id.clone());
                pruned.problems.extend(problem);
            }
            Fate::Keep(reason, problem) => {
                pruned.waiting.push(Waiting { object: id.clone(), reason });
                pruned.problems.extend(problem);
            }
            Fate::Delete(delete) => {
                deletes.insert(id.clone(), delete);
            }
        }
    }
    match stop(input, decisions, deletes.len()) {
        Some((reason, problem)) => {
            let kept = deletes.into_keys().map(|object| Waiting { object, reason: reason.clone() });
            pruned.waiting.extend(kept);
            pruned.problems.extend(problem);
        }
        None => release(deletes, decisions, &mut pruned),
    }
    pruned
}

/// Why nothing at all may be deleted now.
fn stop(
    input: &PlanInput<'_>,
    decisions: &Decisions<'_>,
    deletes: usize,
) -> Option<(WaitingReason, Option<Problem>)> {
    if deletes == 0 {
        return None;
    }
    if let Some((unread, _)) = input.observed.unread.iter().next() {
        return Some((
            WaitingReason::Unread(format!("nothing is deleted while {unread} cannot be read")),
            None,
        ));
    }
    if let Some(problem) = over_budget(input, decisions, deletes) {
        return Some((WaitingReason::PruneBudget, Some(problem)));
    }
    input.settings.suspended.as_ref().map(|reason| (WaitingReason::Suspended(reason.clone()), None))
}

/// `decommission: true` is the confirmation for everything; otherwise a prune of more than `max` objects, or of more than
/// `percent` of the inventory, or of all of it but what `createNamespaces` makes, stops and asks.
fn over_budget(input: &PlanInput<'_>, decisions: &Decisions<'_>, deletes: usize) -> Option<Problem> {
    let settings = &input.settings.prune;
    if input.settings.decommission {
        return None;
    }
    if let Some(nothing) =
        nothing_left(decisions.values().map(|decision| decision.object), &input.settings.file)
    {
        return Some(nothing.problem(deletes));
    }
    let total = input.inventory.entries.len();
    let share = deletes.saturating_mul(100);
    let too_many = u32::try_from(deletes).map_or(true, |deletes| deletes > settings.max);
    let too_large = total >= PERCENT_FROM && share > total.saturating_mul(settings.percent as usize);
    if !too_many && !too_large {
        return None;
    }
    let message = format!(
        "{deletes} of {total} objects left git, more than the prune budget of {} objects or {} % allows: nothing is deleted",
        settings.max, settings.percent
    );
    let help =
        "if that is what you want, raise `prune.budget` in environment.yaml, or bring the objects back";
    Some(Problem::error(Code::PruneBudget, message).help(help))
}

/// A desired set that names nothing which was made for its own sake. A moved folder looks like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NothingLeft {
    /// No object at all.
    Empty,
    /// Only Namespaces that `createNamespaces` makes: they are for what is in them.
    OwnNamespaces,
}

/// Whether a desired set names nothing. `file`: the environment's own, where the Namespaces of `createNamespaces` stand.
pub(crate) fn nothing_left<'a>(
    desired: impl IntoIterator<Item = &'a Arc<DesiredObject>>,
    file: &str,
) -> Option<NothingLeft> {
    let mut nothing = NothingLeft::Empty;
    for object in desired {
        if *object.location().file != *file {
            return None;
        }
        nothing = NothingLeft::OwnNamespaces;
    }
    Some(nothing)
}

impl NothingLeft {
    /// What people are told instead of a prune of so many objects.
    pub(crate) fn problem(self, deletes: usize) -> Problem {
        let asks = match self {
            Self::Empty => "no object at all",
            Self::OwnNamespaces => "nothing but the Namespaces of `createNamespaces`",
        };
        let message = format!("git asks for {asks}, which would delete {deletes}: nothing is deleted");
        let help = "to take the environment down, set `decommission: true` in environment.yaml";
        Problem::error(Code::PruneBudget, message).help(help)
    }
}

/// Puts the deletes into stages, dependents first; what must come after unfinished applies waits.
fn release(deletes: BTreeMap<ObjectId, Delete>, decisions: &Decisions<'_>, pruned: &mut Pruned) {
    let unfinished = decisions.iter().find(|(_, decision)| holds_deletes(decision)).map(|(id, _)| id);
    let last_wave = decisions.values().map(|decision| decision.object.wave).max().unwrap_or_default();
    let mut by_phase: BTreeMap<Phase, Vec<Action>> = BTreeMap::new();
    for (id, delete) in deletes {
        match unfinished {
            Some(first) if !is_obstacle(&id) => {
                pruned.waiting.push(Waiting { object: id, reason: WaitingReason::PruneAfter(first.clone()) });
            }
            Some(_) | None => {
                by_phase.entry(phase_of(&id.group, &id.kind)).or_default().push(Action::Delete(delete));
            }
        }
    }
    let reversed = by_phase.into_values().rev();
    pruned.stages = reversed.map(|actions| Stage { wave: last_wave, phase: Phase::Prune, actions }).collect();
}

/// Whether an object of the desired set is not yet what git asks for, or not well.
fn holds_deletes(decision: &super::decide::Decision<'_>) -> bool {
    let pending = match &decision.verdict {
        Verdict::InSync { .. } | Verdict::Inspect => false,
        Verdict::Apply { apply: _, restores } => !restores || decision.live.is_none(),
        Verdict::Wait { reason: WaitingReason::FightingOver(_), problem: _ } => decision.live.is_none(),
        Verdict::Wait { .. } => true,
    };
    pending || is_unwell(decision)
}

/// Kinds that can keep other objects from being applied or from becoming healthy, and that nothing runs from.
fn is_obstacle(id: &ObjectId) -> bool {
    matches!(
        (id.group.as_str(), id.kind.as_str()),
        ("", "ResourceQuota" | "LimitRange")
            | ("networking.k8s.io", "NetworkPolicy")
            | ("policy", "PodDisruptionBudget")
            | ("autoscaling", "HorizontalPodAutoscaler")
            | ("admissionregistration.k8s.io", _)
    )
}

/// One entry of the inventory that is no longer desired.
struct Leftover<'a> {
    input: &'a PlanInput<'a>,
    decisions: &'a Decisions<'a>,
    id: &'a ObjectId,
    entry: &'a InventoryEntry,
}

impl Leftover<'_> {
    fn fate(&self, desired_uids: &BTreeSet<&str>) -> Fate {
        let Self { input, id, entry, decisions: _ } = self;
        if let Some(reason) = input.observed.unread.get(*id) {
            return Fate::Keep(WaitingReason::Unread(reason.clone()), None);
        }
        let Some(live) = input.observed.objects.get(*id) else { return Fate::Forget(None) };
        // The same object under another group (`extensions` and `apps` once): what is desired is never deleted.
        if desired_uids.contains(live.uid.as_str()) {
            return Fate::Forget(None);
        }
        if let Some(fate) = self.not_ours(live) {
            return fate;
        }
        if live.deleting {
            return Fate::Keep(WaitingReason::Deleting(live.finalizers.clone()), None);
        }
        if let Some(why) = self.not_allowed(live) {
            return Fate::Keep(WaitingReason::PruneNotAllowed(why), None);
        }
        if let Some(failure) = input.failed.get(*id)
            && failure.desired.is_none()
            && still_holds(failure, Some(live), input)
        {
            let reason = WaitingReason::Refused(failure.problem.message.clone());
            return Fate::Keep(reason, Some(failure.problem.clone()));
        }
        let version = Gvk::from_api_version(&entry.api_version, &id.kind).version;
        let gvk = Gvk { group: id.group.clone(), version, kind: id.kind.clone() };
        let object = ObjectRef { gvk, namespace: id.namespace.clone(), name: id.name.clone() };
        Fate::Delete(Delete { object, uid: live.uid.clone() })
    }

    /// An object that somebody else made, took over or set free is forgotten, never deleted.
    fn not_ours(&self, live: &LiveObject) -> Option<Fate> {
        let Self { input, id, entry, decisions: _ } = self;
        let labelled = match &live.ownership {
            Ownership::ApplySet { id: set, environment: _ } => *set == input.settings.apply_set,
            Ownership::Unmarked | Ownership::Other { .. } => false,
        };
        let same = entry.uid.as_ref().is_none_or(|uid| *uid == live.uid);
        if labelled && same {
            return None;
        }
        if entry.is_pending() {
            return Some(Fate::Forget(None));
        }
        let why =
            if same { "no longer carries our ApplySet's label" } else { "was created anew by somebody else" };
        let message = format!("{id} left git and stays in the cluster: it {why}");
        Some(Fate::Forget(Some(Problem::warning(Code::Ownership, message))))
    }

    fn not_allowed(&self, live: &LiveObject) -> Option<String> {
        let Self { input, id, entry, decisions: _ } = self;
        if let Some(held) = input.settings.rolled_back_from.as_ref().filter(|_| entry.adopted) {
            return Some(format!(
                "it was there before {held} took it over, and a rollback does not delete it"
            ));
        }
        let settings = &input.settings.prune;
        if live.prune_disabled {
            return Some("`tidegate.dev/prune: disabled` stands on it".to_owned());
        }
        if !settings.enabled && !input.settings.decommission {
            return Some("`prune.enabled` is false in environment.yaml".to_owned());
        }
        let guarded = matches!(
            (id.group.as_str(), id.kind.as_str()),
            ("", "Namespace" | "PersistentVolumeClaim")
                | ("apiextensions.k8s.io", "CustomResourceDefinition")
        );
        if guarded && !settings.allow.contains(&id.kind) {
            return Some(format!("`prune.allow` in environment.yaml does not name {}", id.kind));
        }
        self.still_needed().map(|needing| format!("{needing} is in it and still desired"))
    }

    /// Deleting a namespace or a definition deletes what is in it: not while git asks for any of that.
    fn still_needed(&self) -> Option<&ObjectId> {
        let id = self.id;
        let inside = |other: &&ObjectId| match (id.group.as_str(), id.kind.as_str()) {
            ("", "Namespace") => other.namespace.as_ref() == Some(&id.name),
            ("apiextensions.k8s.io", "CustomResourceDefinition") => {
                id.name.split_once('.').is_some_and(|(_, group)| group == other.group)
            }
            _ => false,
        };
        self.decisions.keys().find(inside)
    }
}
