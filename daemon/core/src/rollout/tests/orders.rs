//! What people order.

use super::super::{
    Attempt, Bake, Command, Halted, Phase, Reason, Rejected, Retried, Slot, Stage, Unready, Verdict, Waiting,
    Write,
};
use super::scene::{Scene, ago, later, order, revision, running};

#[test]
fn abort_turns_a_revision_down_before_it_gets_traffic() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 2);
    scene.record().order = Some(order(Command::Abort, 2));
    assert_eq!(scene.phase(), Phase::Reject);
    assert_eq!(
        scene.pointed().rejected.map(|rejected| rejected.reason),
        Some(Reason::Ordered(order(Command::Abort, 2)))
    );
    assert_eq!(scene.pointed().order, None);
}

#[test]
fn abort_while_baking_moves_traffic_back() {
    let mut scene = Scene::baking();
    scene.record().order = Some(order(Command::Abort, 2));
    assert_eq!(scene.phase(), Phase::RollBack);
    assert_eq!(scene.pointed().live, Some(Slot::Blue));
}

#[test]
fn abort_with_nothing_well_to_go_back_to_waits() {
    let mut scene = Scene::baking();
    scene.record().order = Some(order(Command::Abort, 2));
    scene.record().unready = Unready { live: None, from: Some(ago(0)) };
    scene.slots.blue.pods.ready = 0;
    scene.waits(Phase::Stranded, Waiting::People);
}

#[test]
fn promote_closes_a_bake_without_waiting_for_its_gates() {
    let mut scene = Scene::baking();
    scene.record().order = Some(order(Command::Promote, 2));
    assert_eq!(scene.phase(), Phase::Close);
    assert_eq!(scene.pointed().order, None);
}

#[test]
fn promote_does_not_beat_a_gate_that_has_failed() {
    let mut scene = Scene::baking();
    scene.says_in_bake(Verdict::Fail);
    scene.record().order = Some(order(Command::Promote, 2));
    assert_eq!(scene.phase(), Phase::RollBack);
}

/// Revision 2 is live on green for good, and blue is its standby.
fn with_standby() -> Scene {
    let mut scene = Scene::baking();
    scene.record().bake = Bake::Closed { standby_until: Some(later(9)) };
    scene.record().from = None;
    scene
}

#[test]
fn rollback_moves_traffic_to_the_standby_and_holds_what_git_asks_for() {
    let mut scene = with_standby();
    scene.record().order = Some(order(Command::RollBack, 2));
    assert_eq!(scene.phase(), Phase::RollBack);
    assert_eq!(scene.pointed().live, Some(Slot::Blue));
    assert_eq!(scene.pointed().rejected.map(|rejected| rejected.revision), Some(revision(2)));
}

#[test]
fn rollback_to_a_standby_that_is_being_put_away_is_struck_off() {
    let mut scene = with_standby();
    scene.held(Slot::Blue).replicas = 0;
    scene.record().order = Some(order(Command::RollBack, 2));
    assert_eq!(scene.phase(), Phase::Decline);
    assert_eq!(scene.pointed().order, None);
}

#[test]
fn resume_ends_a_halt() {
    let mut scene = Scene::new_commit();
    scene.record().halted = Some(Halted { revision: Some(revision(2)) });
    scene.record().order = Some(order(Command::Resume, 2));
    assert_eq!(scene.pointed().halted, None);
}

#[test]
fn retry_makes_a_rejected_revision_begin_anew() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 2);
    scene.says(Slot::Green, "smoke", Stage::BeforeSwitch, Verdict::Fail);
    let reason = Reason::NeverReady;
    scene.record().rejected = Some(Rejected {
        revision: revision(2),
        attempt: Attempt::default(),
        reason,
        cause: None,
        at: ago(1),
    });
    scene.record().order = Some(order(Command::Retry, 2));
    let retried = Some(Retried { revision: revision(2), times: 1 });
    assert_eq!(scene.pointed().retried, retried);
    scene.record().order = None;
    scene.record().retried = retried;
    assert_eq!(scene.phase(), Phase::Empty);
    scene.slots.green = super::super::SlotView::default();
    let attempt = Attempt { git: 0, ordered: 1 };
    let prepare = Write::Prepare { slot: Slot::Green, revision: revision(2), attempt };
    scene.carries(Phase::Prepare, &[Write::Epoch, prepare]);
}

#[test]
fn an_order_about_another_revision_is_struck_off() {
    for command in [Command::Abort, Command::Promote, Command::RollBack, Command::Retry] {
        let mut scene = Scene::baking();
        scene.record().order = Some(order(command, 9));
        assert_eq!(scene.phase(), Phase::Decline, "{command:?}");
    }
}
