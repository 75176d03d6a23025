//! An open bake.

use super::super::{
    Autoscaler, Bake, Phase, Reason, Recheck, Selection, Slot, SlotView, Step, Unready, Verdict, Waiting,
    Write,
};
use super::scene::{Scene, ago, gate, later, revision, running};

/// The bake's time is over, and nothing has been said.
fn over() -> Scene {
    let mut scene = Scene::baking();
    scene.record().bake = Bake::Open { until: ago(1), max: later(50) };
    scene
}

#[test]
fn gates_watch_the_live_slot() {
    let scene = Scene::baking();
    let Step::Ask(question) = scene.decide().step else { panic!("{:?}", scene.decide()) };
    assert_eq!((question.slot, question.gate.clone()), (Slot::Green, gate("errors")));
    let writes = question.record(Verdict::Fail);
    assert!(matches!(writes.as_slice(), [Write::Epoch, Write::Evidence { slot: Slot::Green, .. }]));
}

#[test]
fn an_answer_that_stands_there_already_is_not_written_again() {
    let mut scene = Scene::baking();
    scene.says_in_bake(Verdict::Pass);
    let Step::Ask(question) = scene.decide().step else { panic!("{:?}", scene.decide()) };
    assert_eq!(question.record(Verdict::Pass), []);
}

#[test]
fn a_gate_that_fails_moves_traffic_back_and_holds_the_revision() {
    let mut scene = Scene::baking();
    scene.says_in_bake(Verdict::Fail);
    assert_eq!(scene.phase(), Phase::RollBack);
    let [mark, followers, recheck, Write::Point { record, selection }] = &scene.writes()[..] else {
        panic!("four writes: {:?}", scene.writes());
    };
    assert_eq!(*mark, Write::Mark { slot: Slot::Blue, serves: true });
    assert_eq!(*followers, Write::MarkFollowers);
    assert_eq!(*recheck, Write::Recheck(Recheck { slot: Slot::Blue, at_least: 2 }));
    assert_eq!(*selection, Selection::Only(Slot::Blue));
    let rejected = record.rejected.clone().expect("the revision is turned down");
    assert_eq!((rejected.revision, rejected.reason), (revision(2), Reason::Gate(gate("errors").name)));
    assert!(!record.is_baking());
}

#[test]
fn a_failure_of_a_bake_of_before_says_nothing_about_this_one() {
    let mut scene = Scene::baking();
    scene.says(Slot::Green, "errors", super::super::Stage::Baking(ago(30)), Verdict::Fail);
    assert_eq!(scene.phase(), Phase::Bake);
}

#[test]
fn pods_that_stop_to_be_ready_are_given_their_grace() {
    let mut scene = Scene::baking();
    scene.slots.green.pods.ready = 0;
    assert_eq!(scene.pointed().unready.live, Some(ago(0)), "since when stands in the record");
    scene.record().unready = Unready { live: Some(ago(0)), from: None };
    assert_eq!(scene.phase(), Phase::Bake);
    scene.record().unready = Unready { live: Some(ago(1)), from: None };
    assert_eq!(scene.phase(), Phase::RollBack);
    assert_eq!(scene.pointed().rejected.map(|rejected| rejected.reason), Some(Reason::LostReadiness));
}

#[test]
fn git_that_returns_to_where_traffic_came_from_takes_it_back_without_a_rejection() {
    let mut scene = Scene::baking();
    scene.asks_for(1);
    assert_eq!(scene.phase(), Phase::FastRollBack);
    assert_eq!(scene.pointed().live, Some(Slot::Blue));
    assert_eq!(scene.pointed().rejected, None);
}

#[test]
fn a_failure_with_nothing_well_to_go_back_to_is_told_and_moves_nothing() {
    let mut scene = Scene::baking();
    scene.says_in_bake(Verdict::Fail);
    scene.slots.blue.pods.ready = 0;
    scene.record().unready = Unready { live: None, from: Some(ago(5)) };
    scene.waits(Phase::Stranded, Waiting::People);
}

#[test]
fn a_slot_to_go_back_to_that_is_only_too_small_gets_its_size_before_people_are_called() {
    let mut scene = Scene::baking();
    scene.size.autoscaler = Some(Autoscaler { min: 2, max: 9 });
    scene.slots.blue.autoscaler_min = Some(2);
    scene.slots.green = SlotView { autoscaler_min: Some(2), ..running(2, 4) };
    scene.says_in_bake(Verdict::Fail);
    scene.record().unready = Unready { live: None, from: Some(ago(5)) };
    scene.carries(Phase::Bake, &[Write::Autoscaler { slot: Slot::Blue, min: 4 }]);
    scene.slots.blue.autoscaler_min = Some(4);
    scene.waits(Phase::Stranded, Waiting::People);
    scene.slots.blue = SlotView { autoscaler_min: Some(4), ..running(1, 4) };
    scene.record().unready = Unready::default();
    assert_eq!(scene.phase(), Phase::RollBack);
}

#[test]
fn a_forward_fix_may_start_when_both_are_sick() {
    let mut scene = Scene::baking();
    scene.says_in_bake(Verdict::Fail);
    scene.slots.blue.pods.ready = 0;
    scene.record().unready = Unready { live: None, from: Some(ago(5)) };
    scene.asks_for(3);
    assert_eq!(scene.phase(), Phase::Stranded);
    assert!(!scene.pointed().is_baking());
    assert_eq!(scene.pointed().live, Some(Slot::Green));
}

#[test]
fn a_missing_slot_that_the_bake_may_go_back_to_is_made_again() {
    let mut scene = Scene::baking();
    scene.slots.blue.deployment = None;
    scene.slots.blue.pods.ready = 0;
    scene.record().unready = Unready { live: None, from: Some(ago(0)) };
    scene.carries(Phase::Repair, &[Write::Recreate(Slot::Blue)]);
}

#[test]
fn a_bake_ends_when_its_time_is_over_and_its_gates_have_passed() {
    let mut scene = Scene::baking();
    scene.says_in_bake(Verdict::Pass);
    assert_eq!(scene.phase(), Phase::Bake, "its time is not over");
    let mut scene = over();
    scene.says_in_bake(Verdict::Pass);
    assert_eq!(scene.phase(), Phase::Close);
    assert_eq!(scene.pointed().bake, Bake::Closed { standby_until: Some(later(30)) });
    assert!(matches!(scene.writes().first(), Some(Write::Mark { slot: Slot::Green, serves: false })));
}

#[test]
fn a_gate_that_does_not_know_extends_the_bake_and_never_rolls_back() {
    let mut scene = over();
    scene.says_in_bake(Verdict::Unknown);
    assert_eq!(scene.phase(), Phase::Bake);
    scene.record().bake = Bake::Open { until: ago(40), max: ago(1) };
    assert_eq!(scene.phase(), Phase::Inconclusive);
    assert!(matches!(scene.decide().step, Step::Ask(_)), "its gates keep running");
}

#[test]
fn a_bake_without_verdict_gives_way_to_a_newer_revision() {
    let mut scene = over();
    scene.record().bake = Bake::Open { until: ago(40), max: ago(1) };
    scene.asks_for(3);
    assert_eq!(scene.phase(), Phase::Inconclusive);
    assert!(!scene.pointed().is_baking());
}

#[test]
fn newer_commits_wait_for_the_end_of_a_bake() {
    let mut scene = Scene::baking();
    scene.asks_for(3);
    assert_eq!(scene.phase(), Phase::Bake);
}

#[test]
fn traffic_that_does_not_follow_is_waited_for_and_then_counts_as_a_failure() {
    let mut scene = Scene::baking();
    scene.record().settled_at = None;
    scene.record().switched_at = ago(1);
    scene.is_settled = false;
    scene.waits(Phase::Settle, Waiting::Traffic);
    scene.record().switched_at = ago(2);
    assert_eq!(scene.phase(), Phase::RollBack);
    assert_eq!(scene.pointed().rejected.map(|rejected| rejected.reason), Some(Reason::NeverSettled));
}

#[test]
fn the_other_slot_stays_as_a_standby_and_is_put_away_after_it() {
    let mut scene = Scene::baking();
    scene.record().bake = Bake::Closed { standby_until: Some(later(1)) };
    scene.waits(Phase::Steady, Waiting::Time);
    scene.record().bake = Bake::Closed { standby_until: Some(ago(1)) };
    scene.carries(Phase::Retire, &[Write::Epoch, Write::Scale { slot: Slot::Blue, replicas: 0 }]);
}
