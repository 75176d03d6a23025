//! Health judged on objects as a cluster of version 1.35 reports them (`fixtures/`, trimmed), and on edits of them.

mod objects;
mod pods;
mod workloads;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::HealthState::{self, Degraded, Healthy, Progressing, Suspended, Unknown};
use super::{Health, assess, environment_health, exists_is_healthy, has_rule, is_podless};
use crate::object::{Gvk, ObjectId};

fn fixtures(text: &str) -> BTreeMap<String, Value> {
    serde_json::from_str(text).expect("fixtures are JSON")
}

/// Merges `edit` into a copy of the object; null removes.
fn edited(object: &Value, edit: &Value) -> Value {
    let mut copy = object.clone();
    json_patch::merge(&mut copy, edit);
    copy
}

fn expect(object: &Value, state: HealthState, reason: &str) {
    assert_eq!(assess(object), Health::new(state, reason), "{object}");
}

/// Every fixture of a file has its expectation, in the order of names.
fn expect_all(fixtures: &BTreeMap<String, Value>, expected: &[(&str, HealthState, &str)]) {
    let names: Vec<&str> = expected.iter().map(|(name, ..)| *name).collect();
    assert_eq!(fixtures.keys().map(String::as_str).collect::<Vec<_>>(), names);
    let judged: Vec<(&str, HealthState, String)> = fixtures
        .iter()
        .map(|(name, object)| {
            let Health { state, reason } = assess(object);
            (name.as_str(), state, reason)
        })
        .collect();
    for ((name, state, reason), (_, expected_state, expected_reason)) in judged.iter().zip(expected) {
        assert_eq!((*state, reason.as_str()), (*expected_state, *expected_reason), "{name}");
    }
}

fn widget(conditions: &Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "generation": 3},
           "status": {"conditions": conditions}})
}

#[test]
fn a_custom_object_goes_by_its_ready_condition_and_is_unknown_without_one() {
    let bare = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}});
    expect(&bare, Unknown, "its kind has no health rule and it has no Ready condition");
    expect(&widget(&json!([])), Unknown, "its kind has no health rule and it has no Ready condition");
    expect(&widget(&json!([{"type": "Ready", "status": "True"}])), Healthy, "it is ready");
    let waits =
        json!([{"type": "Ready", "status": "False", "reason": "Waiting", "message": "Waits for DNS."}]);
    expect(&widget(&waits), Progressing, "it is not ready: Waits for DNS");
    let unknown = json!([{"type": "Ready", "status": "Unknown", "reason": "Starting"}]);
    expect(&widget(&unknown), Progressing, "it is not ready: Starting");
    let silent = json!([{"type": "Ready", "status": "False"}]);
    expect(&widget(&silent), Progressing, "it is not ready: no reason is given");
    let stale = json!([{"type": "Ready", "status": "True", "observedGeneration": 2}]);
    expect(&widget(&stale), Progressing, "its Ready condition is about an older generation");
}

#[test]
fn the_standard_conditions_decide_before_ready() {
    let ready = json!({"type": "Ready", "status": "True"});
    let stalled = json!({"type": "Stalled", "status": "True", "message": "no such bucket"});
    let reconciling = json!({"type": "Reconciling", "status": "True", "reason": "Fetching"});
    expect(&widget(&json!([ready, reconciling, stalled])), Degraded, "stalled: no such bucket");
    expect(&widget(&json!([ready, reconciling])), Progressing, "reconciling: Fetching");
    let over = json!({"type": "Stalled", "status": "False"});
    expect(&widget(&json!([ready, over])), Healthy, "it is ready");
}

#[test]
fn what_its_controller_has_not_seen_is_progressing_for_every_kind() {
    let unseen = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"generation": 3},
        "status": {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]}});
    expect(&unseen, Progressing, "its controller has seen generation 2, not yet 3");
}

#[test]
fn what_is_being_deleted_is_progressing_for_every_kind() {
    let time = "2026-11-21T12:00:00Z";
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"deletionTimestamp": time}});
    expect(&secret, Progressing, "it is being deleted");
    let held = edited(&secret, &json!({"metadata": {"finalizers": ["a/b", "c/d"]}}));
    expect(&held, Progressing, "it is being deleted, held by a/b, c/d");
}

#[test]
fn what_is_no_object_is_unknown_and_never_panics() {
    for broken in [json!(null), json!([]), json!({"kind": "Pod"}), json!({"apiVersion": 1, "kind": "Pod"})] {
        assert_eq!(assess(&broken).state, Unknown, "{broken}");
    }
    for kind in ["Pod", "Node", "Service", "PersistentVolumeClaim"] {
        let broken = json!({"apiVersion": "v1", "kind": kind, "metadata": [], "spec": 7,
            "status": {"conditions": [1, {"type": 2}], "phase": 3, "containerStatuses": [null, {"state": []}]}});
        assert_ne!(assess(&broken).state, Degraded, "{kind}");
    }
    for kind in ["Deployment", "StatefulSet", "ReplicaSet", "DaemonSet"] {
        for (wanted, seen) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN)] {
            let extreme = json!({"apiVersion": "apps/v1", "kind": kind,
                "spec": {"replicas": wanted, "updateStrategy": {"rollingUpdate": {"partition": seen}}},
                "status": {"observedGeneration": 1, "replicas": seen, "updatedReplicas": wanted, "readyReplicas": seen,
                           "availableReplicas": seen, "fullyLabeledReplicas": seen, "desiredNumberScheduled": seen}});
            assert_eq!(assess(&extreme).state, Progressing, "{kind}");
        }
    }
}

#[test]
fn words_of_others_are_one_line_of_bounded_length() {
    let loud =
        json!([{"type": "Ready", "status": "False", "message": format!("a\nb\u{1b}[2J{}", "x".repeat(900))}]);
    let reason = assess(&widget(&loud)).reason;
    assert!(!reason.contains(char::is_control) && reason.chars().count() < 340, "{reason}");
}

#[test]
fn kinds_whose_existence_is_health_need_no_full_watch_and_all_others_do() {
    let gvk = Gvk::from_api_version;
    for (api_version, kind) in [
        ("v1", "ConfigMap"),
        ("v1", "Secret"),
        ("v1", "ServiceAccount"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
        ("storage.k8s.io/v1", "StorageClass"),
        ("scheduling.k8s.io/v1", "PriorityClass"),
    ] {
        assert!(exists_is_healthy(&gvk(api_version, kind)) && !has_rule(&gvk(api_version, kind)), "{kind}");
        expect(&json!({"apiVersion": api_version, "kind": kind}), Healthy, "it exists");
    }
    for (api_version, kind) in [
        ("apps/v1", "Deployment"),
        ("batch/v1", "CronJob"),
        ("v1", "Service"),
        ("example.com/v1", "Secret"),
        ("example.com/v1", "Deployment"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute"),
        ("networking.k8s.io/v1", "ServiceCIDR"),
    ] {
        assert!(has_rule(&gvk(api_version, kind)) && !exists_is_healthy(&gvk(api_version, kind)), "{kind}");
    }
}

#[test]
fn a_kind_of_kubernetes_without_rule_is_healthy_only_without_a_status() {
    let range = json!({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR"});
    expect(&range, Healthy, "it exists");
    let ready = edited(&range, &json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}));
    expect(&ready, Healthy, "it is ready");
    let request = json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
        "status": {"conditions": [{"type": "Denied", "status": "True"}]}});
    assert_eq!(assess(&request).state, Unknown);
    let foreign = json!({"apiVersion": "example.com/v1", "kind": "Deployment"});
    assert_eq!(assess(&foreign).state, Unknown, "a Deployment of somebody else has no rule");
}

fn named(name: &str) -> ObjectId {
    ObjectId {
        group: "apps".into(),
        kind: "Deployment".into(),
        namespace: Some("shop".into()),
        name: name.into(),
    }
}

#[test]
fn an_environment_is_as_healthy_as_its_worst_object_and_says_which() {
    let of = |states: &[(&str, HealthState)]| {
        environment_health(states.iter().map(|(name, state)| (named(name), Health::new(*state, "why"))))
    };
    assert_eq!(of(&[]), Health::new(Healthy, "it has no objects"));
    assert_eq!(of(&[("a", Healthy), ("b", Healthy)]), Health::new(Healthy, "all 2 objects are healthy"));
    assert_eq!(
        of(&[("a", Healthy), ("c", Degraded), ("b", Progressing), ("d", Unknown), ("e", Suspended)]),
        Health::new(
            Degraded,
            "Deployment shop/c: why (1 degraded, 1 progressing, 1 unknown, 1 suspended, 1 healthy)"
        )
    );
    assert_eq!(of(&[("a", Unknown), ("b", Progressing)]).state, Progressing);
    assert_eq!(of(&[("a", Unknown), ("b", Suspended), ("c", Healthy)]).state, Unknown);
    assert_eq!(of(&[("b", Suspended), ("c", Healthy)]).state, Suspended);
    let many: Vec<(&str, HealthState)> = ["a", "b", "c", "d", "e"].map(|name| (name, Progressing)).to_vec();
    assert_eq!(
        of(&many).reason,
        "Deployment shop/a: why; Deployment shop/b: why; Deployment shop/c: why (5 progressing)"
    );
}
