//! What people read of a workload.

use std::sync::Arc;

use super::super::{
    Attempt, GateName, Halted, Pointer, Reason, Rejected, Reported, Retried, SlotView, Slots, WorkloadState,
    WorkloadStatus, decide,
};
use super::scene::{NOW, Scene, ago, revision, running, timing};
use crate::explain::{Example, explain};
use crate::object::{Gvk, ObjectRef};
use crate::problem::Code;

fn status(scene: &Scene) -> WorkloadStatus {
    let timing = timing();
    let situation = scene.situation(&timing);
    let decision = decide(&situation);
    let gvk = Gvk::from_api_version("apps/v1", "Deployment");
    let workload = ObjectRef { gvk, namespace: Some("shop".to_owned()), name: "api".to_owned() };
    let names = Slots { blue: "api-blue".to_owned(), green: "api-green".to_owned() };
    Reported {
        workload: &workload,
        situation: &situation,
        decision: &decision,
        records: Slots::default(),
        names,
        changes: &super::super::Changes::default(),
    }
    .status()
}

/// What the catalogue says of a code.
fn says(code: Code) -> &'static str {
    match explain(code).example {
        Example::Situation { says, .. } => says,
        Example::Files(_) | Example::Unused(_) => panic!("{code} has no situation"),
    }
}

#[test]
fn a_revision_that_was_turned_down_is_told_with_its_gate_and_with_what_serves() {
    let mut scene = Scene::new_commit();
    let reason = Reason::Gate(GateName(Arc::from("smoke")));
    let rejected =
        Rejected { revision: revision(2), attempt: Attempt::default(), reason, cause: None, at: ago(20) };
    scene.record().rejected = Some(rejected.clone());
    let status = status(&scene);
    assert_eq!(
        (status.state, status.reason.as_str()),
        (WorkloadState::Rejected, "turned down: gate `smoke` failed; blue serves with 2 of 2")
    );
    assert_eq!(status.rejected, Some(rejected));
}

#[test]
fn a_revision_that_is_turned_down_in_a_try_that_was_ordered_is_told_as_well() {
    let mut scene = Scene::new_commit();
    let reason = Reason::Gate(GateName(Arc::from("smoke")));
    let attempt = Attempt { git: 0, ordered: 1 };
    let rejected = Rejected { revision: revision(2), attempt, reason, cause: None, at: ago(20) };
    scene.record().rejected = Some(rejected.clone());
    assert_eq!(status(&scene).rejected, None, "the try before it was not ordered");
    scene.record().retried = Some(Retried { revision: revision(2), times: 1 });
    let status = status(&scene);
    assert_eq!(status.reason, "turned down: gate `smoke` failed; blue serves with 2 of 2");
    assert_eq!(status.rejected, Some(rejected));
}

#[test]
fn pods_that_are_not_ready_are_told_with_what_keeps_them_from_it() {
    let cause = "pod api-green-1: Unschedulable: 0/3 nodes are available: 3 Insufficient memory";
    let mut scene = Scene::new_commit();
    scene.slots.green = SlotView { cause: Some(Arc::from(cause)), ..running(2, 2) };
    scene.slots.green.pods.ready = 1;
    assert_eq!(status(&scene).reason, format!("1 of 2 pods of green are ready ({cause})"));
    let reason = Reason::NeverReady;
    let cause = Some(Arc::from(cause));
    let attempt = Attempt::default();
    scene.record().rejected = Some(Rejected { revision: revision(2), attempt, reason, cause, at: ago(20) });
    scene.slots.green = SlotView::default();
    let told = "turned down: its pods were not ready in time: pod api-green-1: Unschedulable: 0/3 nodes are \
                available: 3 Insufficient memory; blue serves with 2 of 2";
    assert_eq!(status(&scene).reason, told);
}

#[test]
fn a_live_slot_below_its_size_is_told_with_what_keeps_it_there() {
    let mut scene = Scene::steady();
    scene.slots.blue.cause = Some(Arc::from("pod api-blue-1, container main: CrashLoopBackOff"));
    assert_eq!(status(&scene).reason, "blue serves with 2 of 2", "of one that is well nothing is said");
    scene.slots.blue.pods.ready = 1;
    let told = "blue serves with 1 of 2 (pod api-blue-1, container main: CrashLoopBackOff)";
    assert_eq!(status(&scene).reason, told);
    assert_eq!(status(&scene).state, WorkloadState::Live);
    scene.slots.blue.pods.ready = 0;
    assert_eq!(status(&scene).state, WorkloadState::Degraded, "nobody answers");
}

#[test]
fn a_halt_is_told_with_what_serves() {
    let mut scene = Scene::new_commit();
    std::mem::swap(&mut scene.slots.blue, &mut scene.slots.green);
    scene.record().live = Some(super::super::Slot::Green);
    scene.selects(super::super::Selection::Only(super::super::Slot::Green));
    scene.record().halted = Some(Halted { revision: Some(revision(2)) });
    scene.slots.blue = SlotView::default();
    let status = status(&scene);
    assert_eq!((status.state, status.reason.as_str()), (WorkloadState::Halted, says(Code::RolloutHalted)));
}

#[test]
fn a_workload_is_live_only_at_what_git_asks_for_and_with_its_bake_closed() {
    assert_eq!(status(&Scene::steady()).state, WorkloadState::Live);
    assert_eq!(status(&Scene::new_commit()).state, WorkloadState::Moving);
    assert_eq!(status(&Scene::baking()).state, WorkloadState::Baking);
    let mut unrecorded = Scene::steady();
    unrecorded.pointer = Pointer::Unrecorded;
    assert_ne!(status(&unrecorded).state, WorkloadState::Live, "its pointer is lost");
}

#[test]
fn a_bake_says_when_it_ends_and_that_traffic_could_go_back() {
    let status = status(&Scene::baking());
    assert!(status.until.is_some_and(|until| until > NOW), "{status:?}");
    assert!(status.can_go_back);
    let mut alone = Scene::baking();
    alone.slots.blue = running(1, 0);
    assert!(!self::status(&alone).can_go_back);
}
