//! What must wait for others: dependents for what they need, later waves for earlier ones.
//!
//! An apply that only restores what was applied before waits for less: it rolls out nothing new, so a half-done rollout
//! beside it must not keep a hand-made change alive.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::decide::{Decision, Decisions, Verdict};
use super::{Definitions, Phase, WaitingReason, dependencies, phase_of};
use crate::health::HealthState;
use crate::object::{DesiredObject, ObjectId};

/// For each object that is to be applied, what it needs of the desired set.
pub(super) type Needs = BTreeMap<ObjectId, Vec<ObjectId>>;

/// What the objects that are to be applied need, from the same wave or an earlier one.
pub(super) fn needs(desired: &[Arc<DesiredObject>], decisions: &Decisions<'_>) -> Needs {
    let definitions = Definitions::of(desired);
    let mut needs = Needs::new();
    for (id, decision) in decisions {
        let Verdict::Apply { .. } = decision.verdict else { continue };
        let earlier = |other: &ObjectId| {
            other != id
                && decisions.get(other).is_some_and(|needed| needed.object.wave <= decision.object.wave)
        };
        let found = dependencies(decision.object).into_iter().chain(definitions.of_kind(id).cloned());
        let found: Vec<ObjectId> = found.filter(|other| earlier(other)).collect();
        if !found.is_empty() {
            needs.insert(id.clone(), found);
        }
    }
    needs
}

/// Objects whose dependency waits, failed or is not served yet wait too, and so do theirs.
pub(super) fn hold_dependents(decisions: &mut Decisions<'_>, needs: &Needs) {
    let mut dependents: BTreeMap<&ObjectId, Vec<&ObjectId>> = BTreeMap::new();
    for (id, needed) in needs {
        for other in needed {
            dependents.entry(other).or_default().push(id);
        }
    }
    let mut queue: VecDeque<&ObjectId> = dependents.keys().copied().collect();
    // Each round holds one more object or takes one from the queue, so the number of edges bounds it.
    while let Some(needed) = queue.pop_front() {
        for dependent in dependents.get(needed).into_iter().flatten() {
            let held = decisions
                .get(needed)
                .zip(decisions.get(*dependent))
                .is_some_and(|(n, d)| holds_back(needed, n, d));
            if !held {
                continue;
            }
            if let Some(decision) = decisions.get_mut(*dependent) {
                decision.verdict =
                    Verdict::Wait { reason: WaitingReason::Dependency(needed.clone()), problem: None };
                queue.push_back(*dependent);
            }
        }
    }
}

/// Whether an apply of the dependent must wait because of what it needs.
fn holds_back(id: &ObjectId, needed: &Decision<'_>, dependent: &Decision<'_>) -> bool {
    let Verdict::Apply { apply: _, restores } = &dependent.verdict else { return false };
    let usable = needed.live.is_some_and(|live| !live.deleting);
    let waits = match &needed.verdict {
        Verdict::Wait { reason: WaitingReason::FightingOver(_), problem: _ } => !usable,
        Verdict::Wait { .. } => !(*restores && usable),
        Verdict::InSync { .. } | Verdict::Inspect | Verdict::Apply { .. } => false,
    };
    waits
        || (phase_of(&id.group, &id.kind) == Phase::Definitions
            && !is_served(needed)
            && !(*restores && usable))
}

/// A definition is served when nothing is to be done about it and the API server says so.
fn is_served(definition: &Decision<'_>) -> bool {
    let applied = match &definition.verdict {
        Verdict::InSync { .. } | Verdict::Inspect => true,
        Verdict::Apply { apply: _, restores } => *restores && definition.live.is_some(),
        Verdict::Wait { .. } => false,
    };
    applied && !is_unwell(definition)
}

/// Objects of later waves wait until everything of the earlier ones is applied and healthy; `beside`: the earliest wave in which
/// something that this plan is not about is not.
pub(super) fn hold_later_waves(decisions: &mut Decisions<'_>, beside: Option<i32>) {
    let unfinished = decisions.values().filter(|decision| !is_finished(decision));
    let Some(first) = unfinished.map(|decision| decision.object.wave).chain(beside).min() else { return };
    for decision in decisions.values_mut() {
        let held = matches!(decision.verdict, Verdict::Apply { restores: false, .. })
            && decision.object.wave > first;
        if held {
            decision.verdict = Verdict::Wait { reason: WaitingReason::EarlierWave(first), problem: None };
        }
    }
}

/// Applied and not unwell. A fight over a field of it does not count: what git asks for was rolled out.
fn is_finished(decision: &Decision<'_>) -> bool {
    let applied = match &decision.verdict {
        Verdict::InSync { .. } | Verdict::Wait { reason: WaitingReason::FightingOver(_), problem: _ } => true,
        Verdict::Inspect | Verdict::Apply { .. } | Verdict::Wait { .. } => false,
    };
    applied && !is_unwell(decision)
}

/// Known to be on its way or failed. A kind without a rule is taken as it is.
pub(super) fn is_unwell(decision: &Decision<'_>) -> bool {
    let health = decision.live.and_then(|live| live.health.as_ref());
    match health.map(|health| health.state) {
        Some(HealthState::Progressing | HealthState::Degraded) => true,
        Some(HealthState::Healthy | HealthState::Suspended | HealthState::Unknown) | None => false,
    }
}
