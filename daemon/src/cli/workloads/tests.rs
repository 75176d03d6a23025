//! What people read of a workload while it rolls out, to the byte.

use tidegate_core::object::{Gvk, ObjectRef};
use tidegate_core::rollout::{Phase, Slots};

use super::*;

const NOW: Timestamp = Timestamp::constant(3600, 0);
const BLUE: &str = "c759a81ae91c4f6b9d1f3a5e7c9b0d2f";
const GREEN: &str = "7ce26925a44b4d0f8e6a1c3b5d7f9e0a";

fn later(seconds: i64) -> Timestamp {
    Timestamp::constant(3600 + seconds, 0)
}

fn slot(slot: Slot, ready: u32, replicas: u32) -> SlotStatus {
    let (revision, commit) = match slot {
        Slot::Blue => (BLUE, "4f1c2aa9d0e1b2c3"),
        Slot::Green => (GREEN, "9b03d7e4c5d6e7f8"),
    };
    SlotStatus {
        name: format!("api-{slot}"),
        revision: revision.to_owned(),
        commit: commit.to_owned(),
        replicas,
        ready,
    }
}

fn gate(name: &str, verdict: Option<Verdict>) -> GateStatus {
    GateStatus {
        name: name.to_owned(),
        stage: "beforeSwitch".to_owned(),
        verdict,
        value: None,
        threshold: None,
        samples: 0,
        summary: String::new(),
        at: None,
        until: None,
    }
}

/// Blue serves with three pods, and green has as many.
fn status(state: WorkloadState, phase: Phase, reason: &str) -> WorkloadStatus {
    WorkloadStatus {
        workload: ObjectRef {
            gvk: Gvk::from_api_version("apps/v1", "Deployment"),
            namespace: Some("shop".to_owned()),
            name: "api".to_owned(),
        },
        state,
        phase,
        reason: reason.to_owned(),
        next: None,
        until: None,
        serves: Some(Slot::Blue),
        desired: Some(GREEN.to_owned()),
        slots: Slots { blue: Some(slot(Slot::Blue, 3, 3)), green: Some(slot(Slot::Green, 3, 3)) },
        gates: Vec::new(),
        can_go_back: false,
        rejected: None,
        failure: None,
    }
}

fn reads(status: &WorkloadStatus, golden: &str) {
    let text = text_at(std::slice::from_ref(status), false, Style::plain(), NOW);
    assert_eq!(text, golden, "\n{text}");
}

#[test]
fn pods_that_become_ready_are_counted_against_their_number_and_their_time() {
    let warm = WorkloadStatus {
        next: Some("gates, once 3 pods are ready".to_owned()),
        until: Some(later(480)),
        slots: Slots { blue: Some(slot(Slot::Blue, 3, 3)), green: Some(slot(Slot::Green, 1, 3)) },
        ..status(WorkloadState::Moving, Phase::Warm, "1 of 3 pods of green are ready")
    };
    reads(
        &warm,
        "  Deployment shop/api: ◌ moving (warm): 1 of 3 pods of green are ready
    blue   api-blue   c759a81 at 4f1c2aa  3 of 3 ready  serves
    green  api-green  7ce2692 at 9b03d7e  1 of 3 ready
    next: gates, once 3 pods are ready, 8 min left
",
    );
}

#[test]
fn gates_show_value_threshold_samples_and_the_time_that_is_left() {
    let smoke = GateStatus {
        value: Some("20.35".to_owned()),
        threshold: Some("20.35 ± 0.01".to_owned()),
        samples: 6,
        ..gate("smoke", Some(Verdict::Pass))
    };
    let quota = GateStatus {
        samples: 1,
        summary: "no pod of this revision is ready\nasked again in 5 s".to_owned(),
        until: Some(later(95)),
        ..gate("quota", Some(Verdict::Unknown))
    };
    let gates = WorkloadStatus {
        gates: vec![smoke, quota, gate("migrations", None)],
        next: Some("traffic moves when all gates have passed".to_owned()),
        ..status(WorkloadState::Moving, Phase::Gates, "gate `quota` is asked")
    };
    reads(
        &gates,
        "  Deployment shop/api: ◌ moving (gates): gate `quota` is asked
    blue   api-blue   c759a81 at 4f1c2aa  3 of 3 ready  serves
    green  api-green  7ce2692 at 9b03d7e  3 of 3 ready
    gate smoke: ✔ pass  20.35 (20.35 ± 0.01), 6 samples
    gate quota: ? unknown, 1 sample, 95 s left: no pod of this revision is ready
    gate migrations: ‖ not asked yet
    next: traffic moves when all gates have passed
",
    );
}

#[test]
fn a_bake_shows_who_serves_how_long_it_is_watched_and_whether_traffic_could_go_back() {
    let errors = GateStatus {
        value: Some("0.002".to_owned()),
        threshold: Some("at most 0.01".to_owned()),
        samples: 4_812,
        until: Some(later(241)),
        ..gate("errors", Some(Verdict::Pass))
    };
    let bake = WorkloadStatus {
        serves: Some(Slot::Green),
        gates: vec![errors],
        next: Some("the bake is closed".to_owned()),
        until: Some(later(241)),
        can_go_back: true,
        ..status(WorkloadState::Baking, Phase::Bake, "gates watch green")
    };
    let golden = "  Deployment shop/api: ◌ baking (bake): gates watch green
    blue   api-blue   c759a81 at 4f1c2aa  3 of 3 ready
    green  api-green  7ce2692 at 9b03d7e  3 of 3 ready  serves
    gate errors: ✔ pass  0.002 (at most 0.01), 4812 samples, 4 min left
    next: the bake is closed, 4 min left
    rollback: ready
";
    reads(&bake, golden);
    let alone = WorkloadStatus { can_go_back: false, ..bake };
    reads(&alone, &golden.replace("rollback: ready", "rollback: nothing that is ready to go back to"));
}

#[test]
fn a_revision_that_was_turned_down_shows_the_gate_that_failed_and_who_serves_still() {
    let smoke = GateStatus {
        value: Some("25.35".to_owned()),
        threshold: Some("20.35 ± 0.01".to_owned()),
        samples: 6,
        summary: "6 of 6 requests failed".to_owned(),
        ..gate("smoke", Some(Verdict::Fail))
    };
    let rejected = WorkloadStatus {
        gates: vec![smoke],
        next: Some("green is put away".to_owned()),
        until: Some(later(0)),
        slots: Slots { blue: Some(slot(Slot::Blue, 3, 3)), green: Some(slot(Slot::Green, 0, 0)) },
        ..status(WorkloadState::Rejected, Phase::Rejected, "gate smoke failed; blue serves")
    };
    reads(
        &rejected,
        "  Deployment shop/api: ✖ rejected (rejected): gate smoke failed; blue serves
    blue   api-blue   c759a81 at 4f1c2aa  3 of 3 ready  serves
    green  api-green  7ce2692 at 9b03d7e  0 of 0 ready
    gate smoke: ✖ fail  25.35 (20.35 ± 0.01), 6 samples: 6 of 6 requests failed
    next: green is put away, 0 s left
",
    );
}

#[test]
fn a_workload_that_is_live_is_shown_where_everything_is() {
    let live = WorkloadStatus {
        desired: Some(BLUE.to_owned()),
        slots: Slots { blue: Some(slot(Slot::Blue, 3, 3)), green: None },
        ..status(WorkloadState::Live, Phase::Steady, "what git asks for serves")
    };
    reads(&live, "");
    assert_eq!(
        text_at(&[live], true, Style::plain(), NOW),
        "  Deployment shop/api: ✔ live (steady): what git asks for serves
    blue   api-blue  c759a81 at 4f1c2aa  3 of 3 ready  serves
    rollback: by `git revert`; no standby is ready
"
    );
}
