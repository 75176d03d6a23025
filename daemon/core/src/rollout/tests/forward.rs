//! The way of a new revision to the traffic.

use jiff::Timestamp;

use super::super::{
    Attempt, Autoscaler, Bake, Desired, From, Halted, Phase, Pointer, Reason, Recheck, Rejected, Selection,
    Slot, SlotView, Stage, Step, Verdict, Waiting, Write,
};
use super::scene::{Scene, ago, gate, later, revision, running};

const A0: Attempt = Attempt { git: 0, ordered: 0 };

#[test]
fn what_git_asks_for_is_live_and_nothing_is_done() {
    Scene::steady().waits(Phase::Steady, Waiting::Git);
}

#[test]
fn the_first_revision_begins_with_a_pointer_that_sends_traffic_nowhere() {
    let mut scene = Scene::steady();
    scene.pointer = Pointer::Unrecorded;
    scene.slots.blue = SlotView::default();
    assert_eq!(scene.phase(), Phase::Install);
    assert_eq!(scene.pointed().live, None);
    assert!(matches!(scene.writes().as_slice(), [Write::Point { selection: Selection::Nothing, .. }]));
}

#[test]
fn the_other_slot_gets_the_new_template_at_no_size_with_the_epoch_before_it() {
    let prepare = Write::Prepare { slot: Slot::Green, revision: revision(2), attempt: A0 };
    Scene::new_commit().carries(Phase::Prepare, &[Write::Epoch, prepare]);
}

#[test]
fn a_slot_that_holds_something_else_is_emptied_first_and_its_pods_are_waited_for() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(9, 2);
    let away = Write::Scale { slot: Slot::Green, replicas: 0 };
    scene.carries(Phase::Empty, &[Write::Epoch, away]);
    scene.held(Slot::Green).replicas = 0;
    scene.waits(Phase::Empty, Waiting::Pods);
}

#[test]
fn a_slot_at_no_size_that_was_tested_before_is_prepared_anew() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 0);
    scene.says(Slot::Green, "smoke", Stage::BeforeSwitch, Verdict::Pass);
    assert_eq!(scene.phase(), Phase::Prepare);
}

#[test]
fn the_new_slot_gets_as_many_pods_as_serve_now() {
    let mut scene = Scene::new_commit();
    scene.slots.blue = running(1, 5);
    scene.slots.green = running(2, 0);
    scene.carries(Phase::ScaleUp, &[Write::Scale { slot: Slot::Green, replicas: 5 }]);
}

#[test]
fn its_autoscaler_is_kept_from_taking_them_away_again() {
    let mut scene = Scene::new_commit();
    scene.size.autoscaler = Some(Autoscaler { min: 2, max: 4 });
    scene.slots.blue = running(1, 5);
    scene.slots.green = SlotView { autoscaler_min: Some(2), ..running(2, 0) };
    scene.carries(Phase::ScaleUp, &[Write::Autoscaler { slot: Slot::Green, min: 4 }]);
}

#[test]
fn pods_that_are_not_ready_are_waited_for_until_the_deadline() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 2);
    scene.slots.green.pods.ready = 1;
    scene.waits(Phase::Warm, Waiting::Pods);
    scene.held(Slot::Green).prepared_at = ago(10);
    assert_eq!(scene.phase(), Phase::Reject);
    assert_eq!(scene.pointed().rejected.map(|rejected| rejected.reason), Some(Reason::NeverReady));
    assert_eq!(scene.pointed().live, Some(Slot::Blue), "the live one is untouched");
}

#[test]
fn pods_of_another_revision_keep_a_slot_from_being_ready() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 2);
    scene.slots.green.pods.others = 1;
    scene.waits(Phase::Warm, Waiting::Pods);
}

#[test]
fn more_pods_than_are_needed_are_ready_too() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 3);
    assert_eq!(scene.phase(), Phase::Gates);
}

#[test]
fn gates_are_asked_one_after_the_other() {
    let mut scene = Scene::new_commit();
    scene.gates.before_switch.push(gate("load"));
    scene.slots.green = running(2, 2);
    let asked = |scene: &Scene| match scene.decide().step {
        Step::Ask(question) => question.gate,
        step => panic!("no gate is asked: {step:?}"),
    };
    assert_eq!(asked(&scene), gate("smoke"));
    scene.says(Slot::Green, "smoke", Stage::BeforeSwitch, Verdict::Pass);
    assert_eq!(asked(&scene), gate("load"));
}

#[test]
fn a_gate_that_does_not_know_is_asked_again() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 2);
    scene.says(Slot::Green, "smoke", Stage::BeforeSwitch, Verdict::Unknown);
    assert_eq!(scene.phase(), Phase::Gates);
}

#[test]
fn evidence_about_another_configuration_of_a_gate_does_not_count() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 2);
    scene.says(Slot::Green, "smoke", Stage::BeforeSwitch, Verdict::Pass);
    scene.gates.before_switch[0].config = 2;
    assert_eq!(scene.phase(), Phase::Gates);
}

#[test]
fn a_gate_that_fails_turns_the_revision_down_and_the_slot_is_marked_before_the_pointer() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 2);
    scene.says(Slot::Green, "smoke", Stage::BeforeSwitch, Verdict::Fail);
    assert_eq!(scene.phase(), Phase::Reject);
    assert!(matches!(
        scene.writes().as_slice(),
        [
            Write::Mark { slot: Slot::Green, serves: false },
            Write::Point { selection: Selection::Only(Slot::Blue), .. }
        ]
    ));
    assert_eq!(
        scene.pointed().rejected.map(|rejected| rejected.reason),
        Some(Reason::Gate(gate("smoke").name))
    );
}

#[test]
fn a_closed_window_holds_a_revision_that_has_passed() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 2);
    scene.says(Slot::Green, "smoke", Stage::BeforeSwitch, Verdict::Pass);
    scene.is_allowed = false;
    scene.waits(Phase::Hold, Waiting::People);
}

#[test]
fn traffic_moves_after_the_mark_and_another_look_at_readiness() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 2);
    scene.says(Slot::Green, "smoke", Stage::BeforeSwitch, Verdict::Pass);
    assert_eq!(scene.phase(), Phase::Switch);
    let [mark, followers, recheck, Write::Point { record, selection }] = &scene.writes()[..] else {
        panic!("four writes: {:?}", scene.writes());
    };
    assert_eq!(*mark, Write::Mark { slot: Slot::Green, serves: true });
    assert_eq!(*followers, Write::MarkFollowers);
    assert_eq!(*recheck, Write::Recheck(Recheck { slot: Slot::Green, at_least: 2 }));
    assert_eq!(*selection, Selection::Only(Slot::Green));
    assert_eq!(record.from, Some(From { slot: Slot::Blue, revision: revision(1) }));
    assert_eq!(record.bake, Bake::Open { until: later(10), max: later(60) });
    assert_eq!((record.settled_at, record.epoch), (None, 8));
}

#[test]
fn nothing_is_begun_before_the_last_move_has_drained() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(9, 2);
    scene.record().settled_at = Some(ago(0));
    scene.waits(Phase::Drain, Waiting::Time);
}

fn rejected(at: Timestamp) -> Rejected {
    Rejected { revision: revision(2), attempt: A0, reason: Reason::NeverReady, cause: None, at }
}

#[test]
fn a_revision_that_was_turned_down_is_kept_to_be_looked_at_and_then_put_away() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 2);
    scene.record().rejected = Some(rejected(ago(1)));
    scene.waits(Phase::Rejected, Waiting::Time);
    scene.record().rejected = Some(rejected(ago(10)));
    scene.carries(Phase::Rejected, &[Write::Epoch, Write::Scale { slot: Slot::Green, replicas: 0 }]);
    scene.held(Slot::Green).replicas = 0;
    scene.waits(Phase::Rejected, Waiting::Git);
}

#[test]
fn another_number_of_retry_tries_it_again_and_from_the_beginning() {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 2);
    scene.says(Slot::Green, "smoke", Stage::BeforeSwitch, Verdict::Fail);
    scene.record().rejected = Some(rejected(ago(1)));
    scene.desired = Desired::Revision { revision: revision(2), attempt: Attempt { git: 1, ordered: 0 } };
    assert_eq!(scene.phase(), Phase::Empty);
}

#[test]
fn a_halt_waits_for_people_until_git_asks_for_something_else() {
    let mut scene = Scene::new_commit();
    scene.record().halted = Some(Halted { revision: Some(revision(2)) });
    scene.waits(Phase::Halted, Waiting::People);
    scene.asks_for(3);
    assert_eq!(scene.phase(), Phase::Prepare);
}

#[test]
fn a_commit_that_returns_before_the_switch_puts_the_other_slot_away() {
    let mut scene = Scene::steady();
    scene.slots.green = running(2, 2);
    scene.carries(Phase::Retire, &[Write::Epoch, Write::Scale { slot: Slot::Green, replicas: 0 }]);
}

#[test]
fn a_commit_that_changes_the_size_alone_is_no_rollout() {
    let mut scene = Scene::steady();
    scene.size.replicas = 4;
    scene.carries(Phase::Resize, &[Write::Scale { slot: Slot::Blue, replicas: 4 }]);
}

#[test]
fn an_autoscalers_size_is_left_alone_and_its_least_follows_git() {
    let mut scene = Scene::steady();
    scene.size.autoscaler = Some(Autoscaler { min: 3, max: 9 });
    scene.slots.blue = SlotView { autoscaler_min: Some(3), ..running(1, 7) };
    scene.waits(Phase::Steady, Waiting::Git);
    scene.slots.blue.autoscaler_min = Some(5);
    scene.carries(Phase::Resize, &[Write::Autoscaler { slot: Slot::Blue, min: 3 }]);
}
