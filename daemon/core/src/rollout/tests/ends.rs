//! Taking a running workload over, and letting it go.

use super::super::{
    Desired, Phase, Pods, Pointer, Recheck, Selection, Slot, SlotView, Uncoloured, Waiting, Write,
};
use super::scene::{NOW, Scene, ago, running};

/// The Deployment without a colour, made for the time after the colours.
const MADE: Uncoloured =
    Uncoloured { replicas: 2, ready: 2, has_autoscaler: false, has_budget: false, is_ours: true };

fn before_tidegate() -> Scene {
    let mut scene = Scene::steady();
    scene.pointer = Pointer::Unrecorded;
    scene.slots.blue = SlotView::default();
    scene.uncoloured =
        Some(Uncoloured { replicas: 2, ready: 2, has_autoscaler: true, has_budget: true, is_ours: false });
    scene
}

#[test]
fn a_running_deployment_is_taken_over_step_by_step() {
    let mut scene = before_tidegate();
    scene.carries(Phase::Adopt, &[Write::FreezeAutoscaler]);
    scene.uncoloured = scene.uncoloured.map(|before| Uncoloured { has_autoscaler: false, ..before });
    scene.carries(Phase::Adopt, &[Write::ReplaceBudget]);
    scene.uncoloured = scene.uncoloured.map(|before| Uncoloured { has_budget: false, ..before });
    scene.carries(Phase::Adopt, &[Write::Colour(Slot::Blue)]);
    scene.uncoloured = None;
    scene.slots.blue = running(1, 2);
    scene.held(Slot::Blue).is_adopted = true;
    scene.slots.blue.pods.others = 1;
    scene.waits(Phase::Adopt, Waiting::Pods);
    scene.slots.blue.pods.others = 0;
    assert_eq!(scene.pointed().live, Some(Slot::Blue));
    assert_eq!(scene.writes()[0], Write::Recheck(Recheck { slot: Slot::Blue, at_least: 2 }));
}

#[test]
fn a_deployment_that_nobody_is_answered_by_is_taken_over_as_it_is_once_waiting_does_not_help() {
    let mut scene = before_tidegate();
    scene.uncoloured = None;
    scene.slots.blue = running(1, 2);
    scene.held(Slot::Blue).is_adopted = true;
    scene.slots.blue.pods.ready = 0;
    scene.held(Slot::Blue).prepared_at = NOW;
    scene.waits(Phase::Adopt, Waiting::Pods);
    scene.held(Slot::Blue).prepared_at = ago(10);
    scene.slots.blue.pods.others_ready = 1;
    scene.waits(Phase::Adopt, Waiting::Pods);
    scene.slots.blue.pods.others_ready = 0;
    assert_eq!(scene.pointed().live, Some(Slot::Blue));
    assert_eq!(scene.writes()[0], Write::Recheck(Recheck { slot: Slot::Blue, at_least: 0 }));
    // Without pods there is nothing to wait for.
    scene.held(Slot::Blue).prepared_at = NOW;
    scene.held(Slot::Blue).replicas = 0;
    scene.waits(Phase::Adopt, Waiting::Pods);
    scene.slots.blue.pods.total = 0;
    assert_eq!(scene.pointed().live, Some(Slot::Blue));
}

#[test]
fn what_was_begun_and_never_had_traffic_goes_when_git_asks_for_no_colours() {
    let mut scene = before_tidegate();
    scene.desired = Desired::Plain;
    scene.uncoloured = None;
    scene.slots.blue = running(1, 2);
    scene.held(Slot::Blue).is_adopted = true;
    // One that is taken over goes the whole way in, and then out.
    assert_eq!(scene.pointed().live, Some(Slot::Blue));
    // Without waiting for pods, where nobody is answered.
    scene.slots.blue.pods.ready = 0;
    scene.held(Slot::Blue).prepared_at = NOW;
    assert_eq!(scene.pointed().live, Some(Slot::Blue));
    scene.slots.blue.pods.ready = 2;
    scene.held(Slot::Blue).is_adopted = false;
    scene.waits(Phase::Steady, Waiting::Git);
    scene.slots.blue.pods.ready = 0;
    scene.carries(Phase::Leave, &[Write::Delete(Slot::Blue)]);
    // The pointer was lost, and blue serves: it does first, and is let go then.
    scene.held(Slot::Blue).served = Some(NOW);
    assert_eq!(scene.phase(), Phase::Restore);
}

#[test]
fn a_first_installation_that_is_given_up_takes_its_pods_with_it() {
    let mut scene = Scene::steady();
    scene.desired = Desired::Plain;
    scene.record().live = None;
    scene.selects(Selection::Nothing);
    scene.carries(Phase::Leave, &[Write::Epoch, Write::Scale { slot: Slot::Blue, replicas: 0 }]);
    scene.held(Slot::Blue).replicas = 0;
    scene.waits(Phase::Leave, Waiting::Pods);
    // The other one too, wherever it comes from: none waits for the pods of one that nobody empties.
    scene.slots.green = running(2, 2);
    scene.carries(Phase::Leave, &[Write::Epoch, Write::Scale { slot: Slot::Green, replicas: 0 }]);
    scene.slots.green = SlotView::default();
    let pods = scene.slots.blue.pods;
    scene.slots.blue.pods = Pods::default();
    scene.carries(Phase::Leave, &[Write::Epoch, Write::Delete(Slot::Blue)]);
    // They may outlive their Deployment, and without a record the Service finds them.
    scene.slots.blue = SlotView { pods, ..SlotView::default() };
    scene.waits(Phase::Leave, Waiting::Pods);
    scene.slots.blue = SlotView::default();
    scene.carries(Phase::Leave, &[Write::Forget]);
}

#[test]
fn nothing_is_taken_over_outside_the_window() {
    let mut scene = before_tidegate();
    scene.is_allowed = false;
    scene.waits(Phase::Adopt, Waiting::People);
}

#[test]
fn a_deployment_that_was_taken_over_is_deleted_where_a_slots_own_is_emptied() {
    let mut scene = Scene::baking();
    scene.record().bake = super::super::Bake::Closed { standby_until: None };
    scene.held(Slot::Blue).is_adopted = true;
    scene.carries(Phase::Retire, &[Write::Epoch, Write::Delete(Slot::Blue)]);
}

#[test]
fn colours_go_when_the_deployment_without_one_serves() {
    let mut scene = Scene::steady();
    scene.desired = Desired::Plain;
    scene.carries(Phase::Leave, &[Write::Epoch, Write::MakeUncoloured { replicas: 2 }]);
    let made = Uncoloured { replicas: 2, ready: 1, has_autoscaler: false, has_budget: false, is_ours: true };
    scene.uncoloured = Some(made);
    scene.waits(Phase::Leave, Waiting::Pods);
    scene.uncoloured = Some(Uncoloured { ready: 2, ..made });
    assert!(scene.pointed().is_leaving);
    scene.record().is_leaving = true;
    scene.selects(Selection::All);
    scene.record().settled_at = Some(NOW);
    scene.waits(Phase::Leave, Waiting::Time);
    scene.record().settled_at = Some(ago(1));
    scene.carries(Phase::Leave, &[Write::Epoch, Write::Delete(Slot::Blue)]);
    scene.slots.blue = SlotView::default();
    scene.carries(Phase::Leave, &[Write::Forget]);
    scene.pointer = Pointer::Unrecorded;
    scene.waits(Phase::Steady, Waiting::Git);
}

#[test]
fn a_colour_that_is_left_waits_for_the_deployment_without_one_and_makes_it_where_it_is_gone() {
    let mut scene = Scene::steady();
    scene.desired = Desired::Plain;
    scene.record().is_leaving = true;
    scene.selects(Selection::All);
    scene.record().settled_at = Some(ago(1));
    scene.carries(Phase::Leave, &[Write::Epoch, Write::MakeUncoloured { replicas: 2 }]);
    let made = Uncoloured { replicas: 2, ready: 1, has_autoscaler: false, has_budget: false, is_ours: true };
    scene.uncoloured = Some(made);
    scene.waits(Phase::Leave, Waiting::Pods);
}

#[test]
fn a_colour_that_never_served_and_was_let_go_does_not_stay_where_git_asks_for_none() {
    let mut scene = Scene::steady();
    scene.desired = Desired::Plain;
    scene.pointer = Pointer::Unrecorded;
    scene.held(Slot::Blue).served = None;
    scene.waits(Phase::Steady, Waiting::Git);
    scene.held(Slot::Blue).released = Some(ago(1));
    scene.carries(Phase::Leave, &[Write::Delete(Slot::Blue)]);
}

#[test]
fn a_deployment_that_was_taken_over_and_never_rolled_out_gets_its_own_pods_back() {
    let mut scene = Scene::steady();
    scene.desired = Desired::Plain;
    scene.held(Slot::Blue).is_adopted = true;
    assert!(scene.pointed().is_leaving);
    scene.record().is_leaving = true;
    scene.selects(Selection::All);
    scene.carries(Phase::Leave, &[Write::Epoch, Write::Uncolour(Slot::Blue)]);
}

#[test]
fn the_deployment_that_was_taken_over_goes_before_another_of_its_name_is_made() {
    let mut scene = Scene::steady();
    scene.desired = Desired::Plain;
    scene.slots.green = running(2, 2);
    scene.held(Slot::Green).is_adopted = true;
    scene.record().settled_at = Some(NOW);
    scene.waits(Phase::Leave, Waiting::Time);
    scene.record().settled_at = Some(ago(1));
    scene.carries(Phase::Leave, &[Write::Epoch, Write::Delete(Slot::Green)]);
    scene.slots.green = SlotView::default();
    scene.carries(Phase::Leave, &[Write::Epoch, Write::MakeUncoloured { replicas: 2 }]);
}

#[test]
fn a_change_of_mind_on_the_way_out_brings_the_colour_back() {
    let mut scene = Scene::steady();
    scene.record().is_leaving = true;
    scene.selects(Selection::All);
    assert_eq!(scene.phase(), Phase::Adopt);
    assert!(!scene.pointed().is_leaving);
}

#[test]
fn a_workload_that_left_git_before_its_pointer_was_pinned_or_restored_loses_the_service_first() {
    let mut scene = Scene::steady();
    scene.desired = Desired::Gone { may_delete: true };
    scene.pointer = Pointer::Unrecorded;
    scene.carries(Phase::Remove, &[Write::DeletePointer, Write::Release(Slot::Blue)]);
    scene.held(Slot::Blue).served = None;
    scene.carries(Phase::Remove, &[Write::DeletePointer, Write::Release(Slot::Blue)]);
    scene.held(Slot::Blue).released = Some(ago(1));
    scene.carries(Phase::Remove, &[Write::Delete(Slot::Blue)]);
}

#[test]
fn a_workload_that_left_git_loses_its_pointer_then_its_pods() {
    let mut scene = Scene::steady();
    scene.desired = Desired::Gone { may_delete: true };
    scene.carries(Phase::Remove, &[Write::Release(Slot::Blue), Write::DeletePointer]);
    scene.pointer = Pointer::Unrecorded;
    scene.held(Slot::Blue).released = Some(NOW);
    scene.waits(Phase::Remove, Waiting::Time);
    scene.held(Slot::Blue).released = Some(ago(1));
    scene.carries(Phase::Remove, &[Write::Delete(Slot::Blue)]);
    scene.slots.blue = SlotView::default();
    scene.waits(Phase::Remove, Waiting::Git);
}

#[test]
fn a_workload_that_comes_back_before_it_has_gone_serves_again_and_nothing_is_halted() {
    let mut scene = Scene::steady();
    scene.pointer = Pointer::Unrecorded;
    scene.held(Slot::Blue).released = Some(NOW);
    assert_eq!(scene.phase(), Phase::Restore);
    assert_eq!((scene.pointed().live, scene.pointed().halted), (Some(Slot::Blue), None));
}

#[test]
fn a_workload_that_left_git_and_may_not_be_pruned_stays_and_is_repaired() {
    let mut scene = Scene::steady();
    scene.desired = Desired::Gone { may_delete: false };
    scene.waits(Phase::Steady, Waiting::People);
    scene.held(Slot::Blue).replicas = 0;
    assert_eq!(scene.phase(), Phase::Repair);
}

#[test]
fn nobody_leaves_the_colours_before_the_other_slot_is_empty() {
    let mut scene = Scene::steady();
    scene.desired = Desired::Plain;
    scene.slots.green = running(2, 2);
    scene.carries(Phase::Leave, &[Write::Epoch, Write::Scale { slot: Slot::Green, replicas: 0 }]);
    scene.record().settled_at = Some(ago(0));
    scene.waits(Phase::Leave, Waiting::Time);
    scene.record().settled_at = Some(ago(1));
    scene.held(Slot::Green).replicas = 0;
    scene.waits(Phase::Leave, Waiting::Pods);
    scene.slots.green.pods = Pods::default();
    scene.carries(Phase::Leave, &[Write::Epoch, Write::MakeUncoloured { replicas: 2 }]);
    scene.uncoloured = Some(MADE);
    // A daemon that is about to give it a size has to look again.
    assert_eq!(scene.writes().first(), Some(&Write::Mark { slot: Slot::Green, serves: false }));
    assert!(scene.pointed().is_leaving);
}

#[test]
fn a_colour_that_gets_sick_on_the_way_out_keeps_no_new_revision_waiting() {
    let mut scene = Scene::steady();
    scene.record().is_leaving = true;
    scene.selects(Selection::All);
    scene.slots.blue.pods.ready = 0;
    // Nothing else serves: there is nothing to lose.
    assert!(!scene.pointed().is_leaving);
    scene.uncoloured = Some(MADE);
    scene.record().settled_at = Some(ago(5));
    scene.waits(Phase::Leave, Waiting::Pods);
    scene.record().settled_at = Some(ago(10));
    scene.carries(Phase::Leave, &[Write::Epoch, Write::Delete(Slot::Blue)]);
}

#[test]
fn a_colour_that_has_gone_on_the_way_out_is_not_made_again_where_another_serves() {
    let mut scene = Scene::steady();
    scene.record().is_leaving = true;
    scene.record().settled_at = Some(ago(5));
    scene.selects(Selection::All);
    scene.slots.blue = SlotView::default();
    scene.uncoloured = Some(MADE);
    scene.carries(Phase::Leave, &[Write::Forget]);
    scene.uncoloured = None;
    scene.carries(Phase::Repair, &[Write::Recreate(Slot::Blue)]);
    // However sick that one is: git's new revision may be the cure, and begins once the way out is over.
    scene.uncoloured = Some(Uncoloured { ready: 0, ..MADE });
    scene.carries(Phase::Leave, &[Write::Forget]);
    scene.slots.green = running(2, 0);
    scene.carries(Phase::Leave, &[Write::Epoch, Write::Delete(Slot::Green)]);
}
