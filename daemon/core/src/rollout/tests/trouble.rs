//! Somebody else's hands, lost objects, unreadable git.

use super::super::{
    Desired, Halted, Phase, Pointer, Selection, Slot, SlotView, Stage, Verdict, Waiting, Write,
};
use super::scene::{NOW, Scene, ago, revision, running};

#[test]
fn traffic_that_somebody_moved_goes_back_and_halts_what_git_asks_for() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 2);
    scene.selects(Selection::Only(Slot::Green));
    assert_eq!(scene.phase(), Phase::Torn);
    let record = scene.pointed();
    assert_eq!(record.live, Some(Slot::Blue));
    assert_eq!(record.halted, Some(Halted { revision: Some(revision(2)) }));
    assert_eq!(record.settled_at, None, "the drain begins anew");
    let first = scene.writes().into_iter().next();
    assert_eq!(
        first,
        Some(Write::Mark { slot: Slot::Green, serves: false }),
        "whoever empties it looks again"
    );
}

#[test]
fn a_selector_without_the_key_is_torn_and_never_a_first_deploy() {
    let mut scene = Scene::steady();
    scene.selects(Selection::All);
    assert_eq!(scene.phase(), Phase::Torn);
    assert_eq!(scene.pointed().live, Some(Slot::Blue));
}

#[test]
fn a_torn_pointer_goes_to_the_other_slot_only_where_that_is_proven_and_the_live_one_is_dead() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 2);
    scene.slots.blue.pods.ready = 0;
    scene.selects(Selection::Foreign);
    assert_eq!(scene.pointed().live, Some(Slot::Blue), "green has passed no gate");
    scene.says(Slot::Green, "smoke", Stage::BeforeSwitch, Verdict::Pass);
    assert_eq!(scene.pointed().live, Some(Slot::Green));
}

#[test]
fn a_lost_pointer_is_made_again_for_the_best_slot_that_has_served() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 2);
    scene.held(Slot::Green).served = Some(ago(1));
    scene.pointer = Pointer::Unrecorded;
    assert_eq!(scene.phase(), Phase::Restore);
    assert_eq!(scene.pointed().live, Some(Slot::Green), "both are ready, green has served last");
    assert_eq!(scene.pointed().halted, Some(Halted { revision: Some(revision(2)) }));
    scene.slots.green.pods.ready = 0;
    assert_eq!(scene.pointed().live, Some(Slot::Blue), "green is not ready");
}

#[test]
fn a_live_slot_that_was_deleted_comes_back_at_its_size() {
    let mut scene = Scene::steady();
    scene.slots.blue = SlotView::default();
    scene.carries(Phase::Repair, &[Write::Recreate(Slot::Blue)]);
}

#[test]
fn a_live_slot_at_no_size_gets_its_recorded_one() {
    let mut scene = Scene::steady();
    scene.held(Slot::Blue).replicas = 0;
    scene.held(Slot::Blue).recorded = 6;
    scene.carries(Phase::Repair, &[Write::Scale { slot: Slot::Blue, replicas: 6 }]);
}

#[test]
fn a_repair_that_is_refused_does_not_stop_a_forward_fix() {
    let mut scene = Scene::new_commit();
    scene.slots.blue = SlotView::default();
    scene.repair_refused.blue = true;
    assert_eq!(scene.phase(), Phase::Prepare);
}

#[test]
fn unreadable_git_decides_nothing_and_the_live_slot_is_still_repaired() {
    let mut scene = Scene::steady();
    scene.slots.green = running(2, 2);
    scene.desired = Desired::Unknown;
    scene.waits(Phase::Steady, Waiting::Git);
    scene.held(Slot::Blue).replicas = 0;
    assert_eq!(scene.phase(), Phase::Repair);
}

#[test]
fn a_live_slot_is_repaired_while_everything_is_halted() {
    let mut scene = Scene::new_commit();
    scene.record().halted = Some(Halted { revision: None });
    scene.held(Slot::Blue).replicas = 0;
    assert_eq!(scene.phase(), Phase::Repair);
}

#[test]
fn a_follower_that_disagrees_is_written_after_the_pointers_epoch() {
    let mut scene = Scene::steady();
    scene.followers_agree = false;
    scene.carries(Phase::Follow, &[Write::Epoch, Write::Follow(Selection::Only(Slot::Blue))]);
}

#[test]
fn pods_of_a_slot_that_is_being_emptied_do_not_count_as_ready() {
    let mut scene = Scene::baking();
    scene.says_in_bake(Verdict::Fail);
    scene.held(Slot::Blue).replicas = 0;
    scene.record().unready = super::super::Unready { live: None, from: Some(NOW) };
    assert_eq!(scene.phase(), Phase::Repair, "two pods are ready still, and about to go");
}
