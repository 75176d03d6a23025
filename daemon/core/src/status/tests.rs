//! Behaviour of the record of an environment.

use super::*;
use crate::problem::Code;

fn commit(digit: char) -> CommitInfo {
    CommitInfo {
        id: digit.to_string().repeat(40),
        subject: "shop: two replicas".into(),
        author: "Ada".into(),
        time: now(),
    }
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn status() -> EnvironmentStatus {
    EnvironmentStatus {
        schema: SCHEMA.into(),
        environment: "dev".parse().unwrap(),
        cluster: "kind-dev".into(),
        replica: "tidegate-0".into(),
        seen: Some(commit('a')),
        applied: Some(commit('a')),
        inputs: None,
        applied_inputs: None,
        rejected_inputs: None,
        held: None,
        state: State::Live,
        reason: "everything is healthy".into(),
        suspended: None,
        since: now(),
        next: None,
        counts: ObjectCounts::default(),
        problems: Listed::default(),
        objects: Listed::default(),
        drift: Vec::new(),
        drifted: Listed::default(),
        foreign: Listed::default(),
        unchecked: Vec::new(),
        unwatched: Vec::new(),
        workloads: Vec::new(),
        times: Times::default(),
        plan_id: None,
        updated: now(),
    }
}

fn web(name: &str) -> ObjectRef {
    let gvk = crate::object::Gvk::from_api_version("apps/v1", "Deployment");
    ObjectRef { gvk, namespace: Some("shop".into()), name: name.into() }
}

fn drift(name: &str, change: &str) -> DriftRecord {
    let object = web(name);
    DriftRecord { object, changes: vec![change.into(); 100], manager: None, seen: now(), repaired: None }
}

#[test]
fn states_are_written_as_the_words_that_people_read() {
    use ObjectState::{Degraded, Failed, Kept, Progressing, Waiting};
    for state in [Progressing, Degraded, Waiting, Failed, Kept] {
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
    for state in [
        State::Live,
        State::Applying,
        State::Progressing,
        State::Degraded,
        State::RolledBack,
        State::Failed,
        State::Suspended,
        State::Waiting,
        State::Unreachable,
    ] {
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
}

#[test]
fn live_means_that_the_newest_commit_is_applied_and_healthy() {
    assert!(status().is_live());
    assert!(!EnvironmentStatus { state: State::Progressing, ..status() }.is_live());
    assert!(!EnvironmentStatus { applied: Some(commit('b')), ..status() }.is_live());
    assert!(!EnvironmentStatus { applied: None, seen: None, ..status() }.is_live());
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let mut status = status();
    status.record_drift(drift("web", "spec.replicas: 5 -> 2"));
    status.problems = Listed::all(vec![Problem::error(Code::Rejected, "no").object(&web("web"))]);
    let json = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<EnvironmentStatus>(&json).unwrap(), status);
    assert!(json.contains(r#""schema":"tidegate.environment/v1""#) && json.contains(r#""state":"live""#));
}

#[test]
fn the_newest_repairs_are_remembered() {
    let mut status = status();
    for n in 0..30 {
        status.record_drift(drift(&format!("web-{n}"), "x"));
    }
    assert_eq!(status.drift.len(), MAX_DRIFT);
    assert_eq!(status.drift[0].object.name, "web-29");
}

#[test]
fn a_small_record_is_not_cut() {
    let mut small = status();
    small.problems = Listed::all(vec![Problem::error(Code::Rejected, "no")]);
    let before = small.clone();
    small.shrink();
    assert_eq!(small, before);
}

#[test]
fn a_record_stays_below_its_limit_whatever_went_wrong_and_totals_stay() {
    let long = "é\"\n".repeat(2_000);
    let mut status = status();
    let problem = Problem::error(Code::Rejected, long.clone()).help(long.clone()).field(long.clone());
    status.problems = Listed::all(vec![problem; 500]);
    let object = ObjectStatus {
        object: web("web").id(),
        state: ObjectState::Degraded,
        reason: long.clone(),
        location: None,
    };
    status.objects = Listed::all(vec![object; 2_000]);
    for _ in 0..30 {
        status.record_drift(drift("web", &long));
    }
    status.seen = Some(CommitInfo { subject: long.clone(), author: long.clone(), ..commit('a') });
    status.reason = long;
    status.shrink();
    assert!(serde_json::to_string(&status).unwrap().len() < MAX_STATUS_BYTES);
    assert_eq!((status.problems.total, status.objects.total), (500, 2_000));
    assert!(!status.problems.items.is_empty());
    assert!(status.problems.items[0].message.ends_with('…'));
}
