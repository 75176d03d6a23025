//! What a prune never does, in any world.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tidegate_core::object::ObjectId;
use tidegate_core::observed::Ownership;
use tidegate_core::plan::{Action, Delete, WaitingReason};
use tidegate_core::problem::Code;
use tidegate_proptests::cases::Cases;
use tidegate_proptests::objects::{desired, own_namespace};
use tidegate_proptests::simulation::Simulation;
use tidegate_proptests::worlds::{OWN_FILE, SET, World, any_world};

fn deletes(world: &World) -> Vec<Delete> {
    let plan = world.plan();
    let deletes = plan.actions().filter_map(|action| match action {
        Action::Apply(_) => None,
        Action::Delete(delete) => Some(delete.clone()),
    });
    deletes.collect()
}

fn desired_ids(world: &World) -> BTreeSet<ObjectId> {
    world.desired.iter().flatten().map(|object| object.reference.id()).collect()
}

proptest! {
    #![proptest_config(Cases::USUAL.config())]

    #[test]
    fn only_what_the_inventory_has_under_that_uid_is_deleted(world in any_world()) {
        for delete in deletes(&world) {
            let id = delete.object.id();
            let entry = world.inventory.entries.get(&id);
            prop_assert!(entry.is_some());
            let live = &world.observed.objects[&id];
            prop_assert_eq!(&live.uid, &delete.uid);
            prop_assert!(entry.and_then(|entry| entry.uid.as_ref()).is_none_or(|uid| *uid == delete.uid));
            let ours = matches!(&live.ownership, Ownership::ApplySet { id, environment: _ } if id == SET);
            prop_assert!(ours && !live.prune_disabled && !live.deleting);
        }
    }

    #[test]
    fn what_git_asks_for_is_never_deleted(world in any_world()) {
        prop_assume!(!world.settings.decommission);
        let desired = desired_ids(&world);
        prop_assert!(deletes(&world).iter().all(|delete| !desired.contains(&delete.object.id())));
    }

    #[test]
    fn nothing_is_deleted_after_a_partial_read_or_without_a_complete_desired_set(mut world in any_world()) {
        if !world.observed.unread.is_empty() {
            prop_assert_eq!(deletes(&world), []);
        }
        world.desired = None;
        prop_assert!(world.plan().is_empty());
    }

    #[test]
    fn an_empty_desired_set_deletes_nothing_without_decommission(mut world in any_world()) {
        world.desired = Some(Vec::new());
        world.settings.decommission = false;
        prop_assert_eq!(deletes(&world), []);
    }

    #[test]
    fn own_namespaces_alone_delete_nothing_without_decommission(mut world in any_world(), names in 1..3_usize) {
        world.desired = Some((0..names).map(|name| own_namespace(name, OWN_FILE)).collect());
        world.settings.decommission = false;
        prop_assert_eq!(deletes(&world), []);
    }

    #[test]
    fn the_budget_holds_and_a_prune_beyond_it_is_stopped_whole(world in any_world()) {
        prop_assume!(!world.settings.decommission);
        let plan = world.plan();
        let count = deletes(&world).len();
        let prune = &world.settings.prune;
        let total = world.inventory.entries.len();
        prop_assert!(count <= prune.max as usize);
        prop_assert!(total < 10 || count * 100 <= total * prune.percent as usize);
        let stopped = plan.waiting.iter().any(|waiting| waiting.reason == WaitingReason::PruneBudget);
        prop_assert!(!stopped || count == 0);
        prop_assert_eq!(stopped, plan.problems.iter().any(|problem| problem.code == Code::PruneBudget));
    }

    #[test]
    fn guarded_kinds_need_a_permission_each(world in any_world()) {
        for delete in deletes(&world) {
            let kind = &delete.object.gvk.kind;
            let guarded = ["Namespace", "PersistentVolumeClaim", "CustomResourceDefinition"].contains(&kind.as_str());
            prop_assert!(!guarded || world.settings.prune.allow.contains(kind));
            prop_assert!(world.settings.prune.enabled || world.settings.decommission);
        }
    }

    #[test]
    fn an_entry_leaves_the_inventory_only_when_its_object_is_gone_or_not_ours(world in any_world()) {
        for id in world.plan().forget {
            let Some(live) = world.observed.objects.get(&id) else { continue };
            let ours = matches!(&live.ownership, Ownership::ApplySet { id, environment: _ } if id == SET);
            let same = world.inventory.entries[&id].uid.as_ref().is_none_or(|uid| *uid == live.uid);
            prop_assert!(!(ours && same));
        }
    }

    #[test]
    fn a_world_that_shrinks_beyond_the_budget_stays_whole(first in desired(30), max in 0..5u32) {
        prop_assume!(!first.is_empty());
        let mut simulation = Simulation::new(first.clone());
        prop_assert!(simulation.converge(40).is_some());
        simulation.world.settings.prune.max = max;
        simulation.world.desired = Some(first.iter().take(1).cloned().collect());
        simulation.converge(10);
        prop_assert!(simulation.deleted.len() <= max as usize, "never in parts either");
    }
}
