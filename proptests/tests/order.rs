//! The order of a plan respects waves, phases and dependencies, in any world.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidegate_core::health::HealthState;
use tidegate_core::object::ObjectId;
use tidegate_core::plan::{
    Action, Apply, ApplyReason, Definitions, Phase, Plan, WaitingReason, dependencies,
};
use tidegate_proptests::cases::Cases;
use tidegate_proptests::worlds::{World, any_world};

/// The applies of a plan with the number of their stage.
fn applies(plan: &Plan) -> BTreeMap<ObjectId, (usize, Apply)> {
    let staged = plan
        .stages
        .iter()
        .enumerate()
        .flat_map(|(stage, actions)| actions.actions.iter().map(move |a| (stage, a)));
    let applies = staged.filter_map(|(stage, action)| match action {
        Action::Apply(apply) => Some((apply.object.reference.id(), (stage, apply.clone()))),
        Action::Delete(_) => None,
    });
    applies.collect()
}

/// Rolls out something new, rather than restoring what was applied before.
fn rolls_out(world: &World, apply: &Apply) -> bool {
    let entry = world.inventory.entries.get(&apply.object.reference.id());
    let known = entry.and_then(|entry| entry.applied.as_ref()) == Some(&apply.object.digest());
    match apply.reason {
        ApplyReason::Recreate => !known,
        ApplyReason::Drift { .. } => false,
        ApplyReason::Create | ApplyReason::Changed | ApplyReason::Resume | ApplyReason::Adopt => true,
    }
}

proptest! {
    #![proptest_config(Cases::USUAL.config())]

    #[test]
    fn stages_go_up_in_waves_and_phases_and_deletes_come_last(world in any_world()) {
        let plan = world.plan();
        let applying: Vec<_> = plan.stages.iter().take_while(|stage| stage.phase != Phase::Prune).collect();
        prop_assert!(applying.windows(2).all(|two| (two[0].wave, two[0].phase) <= (two[1].wave, two[1].phase)));
        prop_assert!(plan.stages.iter().skip(applying.len()).all(|stage| stage.phase == Phase::Prune));
        prop_assert!(plan.stages.iter().all(|stage| !stage.actions.is_empty()));
        for stage in &plan.stages {
            let deletes = stage.actions.iter().all(|action| matches!(action, Action::Delete(_)));
            prop_assert_eq!(deletes, stage.phase == Phase::Prune);
        }
    }

    #[test]
    fn an_object_stands_after_everything_that_it_needs(world in any_world()) {
        let plan = world.plan();
        let applies = applies(&plan);
        let definitions = Definitions::of(world.desired.as_deref().unwrap_or_default());
        for (id, (stage, apply)) in &applies {
            let needed = dependencies(&apply.object).into_iter().chain(definitions.of_kind(id).cloned());
            for needed in needed {
                let Some((before, other)) = applies.get(&needed) else { continue };
                if other.object.wave <= apply.object.wave {
                    prop_assert!(before < stage, "{id} needs {needed}");
                    prop_assert!(plan.needs[id].contains(&needed));
                }
            }
        }
    }

    #[test]
    fn nothing_new_is_rolled_out_on_what_waits(world in any_world()) {
        let plan = world.plan();
        let waves: BTreeMap<ObjectId, i32> =
            world.desired.iter().flatten().map(|object| (object.reference.id(), object.wave)).collect();
        for (id, (_, apply)) in applies(&plan) {
            if !rolls_out(&world, &apply) {
                continue;
            }
            for needed in dependencies(&apply.object) {
                let waits = plan.waiting.iter().any(|waiting| {
                    waiting.object == needed && !matches!(waiting.reason, WaitingReason::FightingOver(_))
                });
                let earlier = waves.get(&needed).is_some_and(|wave| *wave <= apply.object.wave);
                prop_assert!(!(waits && earlier), "{id} needs {needed}");
            }
        }
    }

    #[test]
    fn nothing_new_is_rolled_out_while_an_earlier_wave_is_unfinished(world in any_world()) {
        let plan = world.plan();
        let applies = applies(&plan);
        let newest = applies.values().filter(|(_, apply)| rolls_out(&world, apply)).map(|(_, apply)| apply.object.wave);
        let Some(newest) = newest.max() else { return Ok(()) };
        for object in world.desired.iter().flatten().filter(|object| object.wave < newest) {
            let id = object.reference.id();
            let live = world.observed.objects.get(&id);
            let unwell = live.and_then(|live| live.health.as_ref()).is_some_and(|health| {
                matches!(health.state, HealthState::Progressing | HealthState::Degraded)
            });
            let unfinished = unwell
                || applies.contains_key(&id)
                || plan.inspect.contains(&id)
                || plan.waiting.iter().any(|waiting| waiting.object == id);
            prop_assert!(!unfinished, "{id} of wave {} is unfinished while wave {newest} goes on", object.wave);
        }
    }

    #[test]
    fn deletes_wait_for_a_healthy_desired_set(world in any_world()) {
        let plan = world.plan();
        let obstacles = ["ResourceQuota", "HorizontalPodAutoscaler", "ValidatingWebhookConfiguration"];
        let deletes = plan.actions().any(|action| match action {
            Action::Apply(_) => false,
            Action::Delete(delete) => !obstacles.contains(&delete.object.gvk.kind.as_str()),
        });
        if deletes && !world.settings.decommission {
            let desired = world.desired.iter().flatten().map(|object| object.reference.id());
            for id in desired {
                let live = world.observed.objects.get(&id);
                let state = live.and_then(|live| live.health.as_ref()).map(|health| health.state);
                prop_assert!(!matches!(state, Some(HealthState::Progressing | HealthState::Degraded)), "{id}");
                prop_assert!(live.is_some(), "{id}");
            }
        }
    }
}
