//! Plans lead to what git asks for, then stop; and they are functions of their inputs.

use proptest::prelude::*;
use tidegate_core::plan::{Action, WaitingReason};
use tidegate_proptests::cases::Cases;
use tidegate_proptests::objects::desired;
use tidegate_proptests::simulation::{Hand, Simulation};
use tidegate_proptests::worlds::{any_world, open_settings};

/// Rounds in which every generated world must come to rest: waves, definitions and slow workloads need a few each.
const MOST_ROUNDS: usize = 40;

fn hand() -> impl Strategy<Value = Hand> {
    prop_oneof![
        Just(Hand::Change),
        Just(Hand::Add),
        Just(Hand::Delete),
        Just(Hand::Unlabel),
        Just(Hand::Replace)
    ]
}

/// The live objects are those that git asks for.
fn ensure_live_is_desired(simulation: &Simulation) -> Result<(), TestCaseError> {
    let wanted: Vec<_> =
        simulation.world.desired.iter().flatten().map(|object| object.reference.id()).collect();
    let mut live: Vec<_> = simulation.world.observed.objects.keys().cloned().collect();
    let mut sorted = wanted;
    sorted.sort();
    live.sort();
    prop_assert_eq!(live, sorted);
    Ok(())
}

proptest! {
    #![proptest_config(Cases::USUAL.config())]

    #[test]
    fn every_desired_set_converges_and_the_plan_after_that_is_empty(objects in desired(30)) {
        let mut simulation = Simulation::new(objects);
        prop_assert!(simulation.converge(MOST_ROUNDS).is_some(), "{:?}", simulation.world.plan());
        ensure_live_is_desired(&simulation)?;
        let writes = simulation.writes;
        prop_assert_eq!(simulation.converge(1), Some(0));
        prop_assert_eq!(simulation.writes, writes);
    }

    #[test]
    fn a_second_commit_converges_too_and_deletes_only_what_left(first in desired(20), second in desired(20)) {
        prop_assume!(!second.is_empty());
        let mut simulation = Simulation::new(first);
        prop_assert!(simulation.converge(MOST_ROUNDS).is_some());
        let kept: Vec<_> = second.iter().map(|object| object.reference.id()).collect();
        simulation.world.desired = Some(second);
        let converged = simulation.converge(MOST_ROUNDS);
        let plan = simulation.world.plan();
        // A namespace or definition that still holds desired objects stays, and says so.
        let held = plan.waiting.iter().all(|waiting| matches!(waiting.reason, WaitingReason::PruneNotAllowed(_)));
        prop_assert!(converged.is_some() || (plan.is_idle() && held), "{plan:?}");
        prop_assert!(simulation.deleted.iter().all(|id| !kept.contains(id)));
    }

    #[test]
    fn whatever_hands_do_is_undone(objects in desired(20), hands in prop::collection::vec((0..50usize, hand()), 0..12)) {
        let mut simulation = Simulation::new(objects);
        prop_assert!(simulation.converge(MOST_ROUNDS).is_some());
        for (place, hand) in hands {
            simulation.touch(place, hand);
        }
        prop_assert!(simulation.converge(MOST_ROUNDS).is_some(), "{:?}", simulation.world.plan());
        ensure_live_is_desired(&simulation)?;
        prop_assert!(simulation.deleted.is_empty());
    }

    #[test]
    fn a_daemon_killed_between_any_two_requests_converges(
        objects in desired(20),
        kills in prop::collection::vec((0..6usize, any::<bool>(), 0..50usize, prop::option::of(hand())), 0..8),
    ) {
        let mut simulation = Simulation::new(objects);
        for (actions, went_through, place, hand) in kills {
            let plan = simulation.world.plan();
            simulation.execute(&plan, actions);
            if let Some(hand) = hand {
                simulation.touch(place, hand);
            }
            let plan = simulation.world.plan();
            simulation.cut_short(&plan, went_through);
        }
        prop_assert!(simulation.converge(MOST_ROUNDS).is_some(), "{:?}", simulation.world.plan());
        ensure_live_is_desired(&simulation)?;
        prop_assert!(simulation.deleted.is_empty());
    }

    #[test]
    fn what_left_git_while_the_daemon_was_dead_leaves_no_orphan(
        objects in desired(20),
        kills in prop::collection::vec((0..6usize, any::<bool>()), 1..4),
        place in 0..50usize,
        kept in 1..10usize,
    ) {
        prop_assume!(!objects.is_empty());
        let mut simulation = Simulation::new(objects.clone());
        simulation.converge(MOST_ROUNDS);
        simulation.touch(place, Hand::Delete);
        for (actions, went_through) in kills {
            let plan = simulation.world.plan();
            simulation.cut_short(&plan, went_through);
            simulation.execute(&plan, actions.min(usize::from(!went_through)));
        }
        // A namespace or definition that still holds desired objects stays, and says so.
        simulation.world.desired = Some(objects.into_iter().rev().take(kept).collect());
        simulation.converge(MOST_ROUNDS);
        let plan = simulation.world.plan();
        let held = plan.waiting.iter().filter(|waiting| matches!(waiting.reason, WaitingReason::PruneNotAllowed(_)));
        let held: Vec<_> = held.map(|waiting| waiting.object.clone()).collect();
        simulation.world.observed.objects.retain(|id, _| !held.contains(id));
        ensure_live_is_desired(&simulation)?;
    }

    #[test]
    fn a_decommissioned_environment_ends_empty(objects in desired(30)) {
        let mut simulation = Simulation::new(objects);
        prop_assert!(simulation.converge(MOST_ROUNDS).is_some());
        simulation.world.settings.decommission = true;
        prop_assert!(simulation.converge(MOST_ROUNDS).is_some());
        prop_assert!(simulation.world.observed.objects.is_empty());
        prop_assert!(simulation.world.inventory.entries.is_empty());
    }

    #[test]
    fn the_same_inputs_give_the_same_plan_byte_for_byte(world in any_world(), seed in any::<u64>()) {
        let mut shuffled = world.clone();
        if let Some(desired) = &mut shuffled.desired {
            let places = desired.len().max(1) as u64;
            desired.sort_by_key(|object| {
                let name = object.reference.to_string();
                name.bytes().fold(seed, |hash, byte| hash.rotate_left(7) ^ u64::from(byte) ^ places)
            });
        }
        prop_assert_eq!(format!("{:?}", world.plan()), format!("{:?}", shuffled.plan()));
    }

    #[test]
    fn a_suspended_environment_writes_nothing(mut world in any_world()) {
        world.settings.suspended = Some("incident".to_owned());
        prop_assert_eq!(world.plan().stages, []);
    }

    #[test]
    fn what_could_not_be_read_is_never_touched(world in any_world()) {
        for action in world.plan().actions() {
            let id = match action {
                Action::Apply(apply) => apply.object.reference.id(),
                Action::Delete(delete) => delete.object.id(),
            };
            prop_assert!(!world.observed.unread.contains_key(&id));
        }
    }

    #[test]
    fn every_object_of_the_desired_set_is_done_waits_or_is_in_sync_and_never_two_of_them(mut world in any_world()) {
        world.settings = open_settings();
        let plan = world.plan();
        let applied = plan.actions().filter_map(|action| match action {
            Action::Apply(apply) => Some(apply.object.reference.id()),
            Action::Delete(_) => None,
        });
        let mut named: Vec<_> = applied
            .chain(plan.inspect.iter().cloned())
            .chain(plan.accept.iter().cloned())
            .chain(plan.waiting.iter().map(|waiting| waiting.object.clone()))
            .collect();
        named.sort();
        let count = named.len();
        named.dedup();
        prop_assert_eq!(named.len(), count);
    }
}
