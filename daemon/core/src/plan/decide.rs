//! The plan itself: one verdict per object, then what must wait for others, then order.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::claim::{Claim, claim};
use super::{
    Action, Apply, ApplyReason, Failure, Plan, PlanInput, Stage, Waiting, WaitingReason, gate, order, prune,
};
use crate::drift::{ADDED_FIELDS, WHOLE_OBJECT, is_settled, suspect};
use crate::ids::Digest;
use crate::inventory::InventoryEntry;
use crate::object::{DesiredObject, ObjectId};
use crate::observed::{DryRun, LiveObject};
use crate::problem::{Code, Problem};

/// What one object of the desired set needs.
pub(super) enum Verdict {
    /// Nothing; `accept`: a dry-run said so, and the inventory does not know it yet.
    InSync { accept: bool },
    /// A dry-run, before anything is decided.
    Inspect,
    /// An apply; `restores`: of what was applied before, so that it rolls out nothing new.
    Apply { apply: Apply, restores: bool },
    /// Nothing at this time.
    Wait { reason: WaitingReason, problem: Option<Box<Problem>> },
}

impl Verdict {
    fn wait(reason: WaitingReason) -> Self {
        Self::Wait { reason, problem: None }
    }
}

/// One object of the desired set with what was decided about it.
pub(super) struct Decision<'a> {
    pub object: &'a Arc<DesiredObject>,
    pub live: Option<&'a LiveObject>,
    pub verdict: Verdict,
}

/// The decisions by object.
pub(super) type Decisions<'a> = BTreeMap<ObjectId, Decision<'a>>;

/// What is to be done, in which order, and why nothing else is.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let Some(complete) = input.desired else { return Plan::default() };
    let desired = if input.settings.decommission { &[] } else { complete };
    let mut decisions: Decisions<'_> = desired.iter().map(|object| decide(input, object)).collect();
    let needs = gate::needs(desired, &decisions);
    gate::hold_dependents(&mut decisions, &needs);
    gate::hold_later_waves(&mut decisions, input.settings.unfinished_wave);
    gate::hold_dependents(&mut decisions, &needs);
    suspend(input, &mut decisions);
    let pruned = prune::prune(input, &decisions);
    let plan = assemble(decisions, &needs, pruned);
    plan.assert_safe(input);
    plan
}

fn decide<'a>(input: &PlanInput<'a>, object: &'a Arc<DesiredObject>) -> (ObjectId, Decision<'a>) {
    let id = object.reference.id();
    let live = input.observed.objects.get(&id).map(Arc::as_ref);
    let verdict = match (input.observed.unread.get(&id), live) {
        (Some(reason), _) => Verdict::wait(WaitingReason::Unread(reason.clone())),
        (None, Some(live)) if live.deleting => {
            Verdict::wait(WaitingReason::Deleting(live.finalizers.clone()))
        }
        (None, live) => {
            let case = Case {
                input,
                object,
                digest: object.digest(),
                entry: input.inventory.entries.get(&id),
                id: &id,
            };
            let verdict = match live {
                None => case.absent(),
                Some(live) => case.present(live),
            };
            case.unless_refused(verdict, live)
        }
    };
    (id, Decision { object, live, verdict })
}

/// One object of the desired set, for which the cluster has been read.
struct Case<'a> {
    input: &'a PlanInput<'a>,
    object: &'a Arc<DesiredObject>,
    digest: Digest,
    entry: Option<&'a InventoryEntry>,
    id: &'a ObjectId,
}

impl Case<'_> {
    fn absent(&self) -> Verdict {
        let known = self.entry.is_some_and(|entry| entry.uid.is_some() || entry.applied.is_some());
        if !known {
            return self.apply(ApplyReason::Create, None);
        }
        match self.input.flips.backoff(self.id, [WHOLE_OBJECT], self.input.now) {
            Some(fight) => Verdict::wait(WaitingReason::FightingOver(fight.to_string())),
            None => self.apply(ApplyReason::Recreate, None),
        }
    }

    fn present(&self, live: &LiveObject) -> Verdict {
        let claim = claim(self.input.settings, self.id, live, self.entry);
        let reason = match (claim, self.entry) {
            (Claim::Foreign(whose), _) => return self.refuse_foreign(whose),
            (Claim::Free, _) | (Claim::Ours, None) => ApplyReason::Adopt,
            (Claim::Ours, Some(entry)) => match &entry.uid {
                None => ApplyReason::Resume,
                Some(uid) if *uid != live.uid => ApplyReason::Adopt,
                Some(_) => match &entry.applied {
                    None => ApplyReason::Resume,
                    Some(applied) if *applied != self.digest => ApplyReason::Changed,
                    Some(_) => return self.drift(live, entry),
                },
            },
        };
        self.apply(reason, Some(live))
    }

    /// Git asks for what was applied last: is it still so?
    fn drift(&self, live: &LiveObject, entry: &InventoryEntry) -> Verdict {
        let allow = &self.input.settings.allow;
        let suspicion = suspect(&live.managed, entry, allow);
        let evidence = self.input.observed.dry_runs.get(self.id);
        let fresh = evidence
            .filter(|run| run.resource_version == live.resource_version && run.desired == self.digest);
        let Some(run) = fresh else {
            return if suspicion.is_some() { Verdict::Inspect } else { Verdict::InSync { accept: false } };
        };
        if let Some(error) = &run.error {
            return self.dry_run_failed(error);
        }
        // Without an entry of ours nothing is held against others, however right the values are: apply again.
        if run.changes.is_empty() && !run.migrate && live.managed.own.is_some() {
            let news = live.managed.own != entry.own
                || live.managed.foreign_digest(allow) != entry.foreign
                || (suspicion.is_some() && !entry.settled && is_settled(&live.managed, self.input.now));
            return Verdict::InSync { accept: news };
        }
        self.repair(live, run)
    }

    fn repair(&self, live: &LiveObject, run: &DryRun) -> Verdict {
        let added = if run.migrate || run.changes.is_empty() { Some(ADDED_FIELDS) } else { None };
        let fields = run.changes.iter().map(|change| change.path.as_str()).chain(added);
        if let Some(fight) = self.input.flips.backoff(self.id, fields, self.input.now) {
            return Verdict::wait(WaitingReason::FightingOver(fight.to_string()));
        }
        let reason = ApplyReason::Drift { changes: run.changes.clone(), by: run.by.clone() };
        match self.apply(reason, Some(live)) {
            Verdict::Apply { apply, restores } => {
                Verdict::Apply { apply: Apply { migrate: run.migrate, ..apply }, restores }
            }
            other @ (Verdict::InSync { .. } | Verdict::Inspect | Verdict::Wait { .. }) => other,
        }
    }

    fn apply(&self, reason: ApplyReason, live: Option<&LiveObject>) -> Verdict {
        let applied = self.entry.and_then(|entry| entry.applied.as_ref());
        // Taking over and repairing depend on what was seen; the other applies hold whatever the object looks like.
        let (exact, restores) = match &reason {
            ApplyReason::Create | ApplyReason::Changed | ApplyReason::Resume => (false, false),
            ApplyReason::Recreate => (false, applied == Some(&self.digest)),
            ApplyReason::Drift { .. } => (true, true),
            ApplyReason::Adopt => (true, false),
        };
        let apply = Apply {
            object: Arc::clone(self.object),
            reason,
            uid: live.map(|live| live.uid.clone()),
            resource_version: live.filter(|_| exact).map(|live| live.resource_version.clone()),
            migrate: live.is_some_and(|live| live.managed.wants_migration()),
        };
        Verdict::Apply { apply, restores }
    }

    /// What was refused is not sent again before git, the object or the time says so.
    fn unless_refused(&self, verdict: Verdict, live: Option<&LiveObject>) -> Verdict {
        let (Verdict::Apply { .. }, Some(failure)) = (&verdict, self.input.failed.get(self.id)) else {
            return verdict;
        };
        let same = failure.desired.as_ref() == Some(&self.digest);
        if !same || !still_holds(failure, live, self.input) {
            return verdict;
        }
        Verdict::Wait {
            reason: WaitingReason::Refused(failure.problem.message.clone()),
            problem: Some(Box::new(failure.problem.clone())),
        }
    }

    fn refuse_foreign(&self, whose: String) -> Verdict {
        let Self { id, .. } = self;
        let group = if id.group.is_empty() { String::new() } else { format!("{}/", id.group) };
        let problem = Problem::error(Code::Ownership, format!("the object is not taken over: {whose}"))
            .object(&self.object.reference)
            .at(self.object.location())
            .help(format!("to take it over, add `adopt: [\"{group}{id}\"]` to environment.yaml"));
        Verdict::Wait { reason: WaitingReason::Ownership(whose), problem: Some(Box::new(problem)) }
    }

    fn dry_run_failed(&self, error: &str) -> Verdict {
        let problem = Problem::error(Code::Rejected, format!("the dry-run failed: {error}"))
            .object(&self.object.reference)
            .at(self.object.location());
        Verdict::Wait {
            reason: WaitingReason::DryRunFailed(error.to_owned()),
            problem: Some(Box::new(problem)),
        }
    }
}

/// A refusal holds while the object is the same one and its time has not come.
pub(super) fn still_holds(failure: &Failure, live: Option<&LiveObject>, input: &PlanInput<'_>) -> bool {
    let same = failure.uid.as_ref() == live.map(|live| &live.uid);
    same && failure.retry_at.is_none_or(|at| input.now < at)
}

fn suspend(input: &PlanInput<'_>, decisions: &mut Decisions<'_>) {
    let Some(reason) = &input.settings.suspended else { return };
    for decision in decisions.values_mut() {
        if matches!(decision.verdict, Verdict::Apply { .. }) {
            decision.verdict = Verdict::wait(WaitingReason::Suspended(reason.clone()));
        }
    }
}

fn assemble(decisions: Decisions<'_>, needs: &gate::Needs, pruned: prune::Pruned) -> Plan {
    let mut plan = Plan::default();
    let mut applies = BTreeMap::new();
    for (id, decision) in decisions {
        match decision.verdict {
            Verdict::InSync { accept: false } => {}
            Verdict::InSync { accept: true } => plan.accept.push(id),
            Verdict::Inspect => plan.inspect.push(id),
            Verdict::Apply { apply, restores: _ } => {
                applies.insert(id, apply);
            }
            Verdict::Wait { reason, problem } => {
                plan.waiting.push(Waiting { object: id, reason });
                plan.problems.extend(problem.map(|problem| *problem));
            }
        }
    }
    plan.needs = needs
        .iter()
        .filter(|(id, _)| applies.contains_key(*id))
        .map(|(id, needed)| {
            (id.clone(), needed.iter().filter(|id| applies.contains_key(*id)).cloned().collect())
        })
        .filter(|(_, needed): &(ObjectId, Vec<ObjectId>)| !needed.is_empty())
        .collect();
    plan.stages = order::stages(applies, &plan.needs);
    let prune::Pruned { stages, waiting, problems, forget } = pruned;
    plan.stages.extend(stages);
    plan.waiting.extend(waiting);
    plan.waiting.sort_by(|a, b| a.object.cmp(&b.object));
    plan.problems.extend(problems);
    plan.forget = forget;
    plan
}

impl Plan {
    /// Every action, in order.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.stages.iter().flat_map(|stage: &Stage| &stage.actions)
    }

    /// In debug builds: what no plan may hold, checked again apart from how plans are made.
    fn assert_safe(&self, input: &PlanInput<'_>) {
        for action in self.actions() {
            match action {
                Action::Apply(apply) => {
                    debug_assert!(!input.observed.unread.contains_key(&apply.object.reference.id()));
                }
                Action::Delete(delete) => {
                    let entry = input.inventory.entries.get(&delete.object.id());
                    debug_assert!(
                        entry.is_some_and(|entry| entry.uid.as_ref().is_none_or(|uid| *uid == delete.uid))
                    );
                    debug_assert!(input.desired.is_some() && input.observed.unread.is_empty());
                }
            }
            debug_assert!(input.settings.suspended.is_none());
        }
    }
}
