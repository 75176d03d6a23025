//! What the offline schema check costs: memory of the bundle, time for a large environment. A test process of its own,
//! so that nothing else is measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tidegate_core::location::Position;
use tidegate_core::object::{DesiredObject, Gvk, ObjectRef};
use tidegate_core::schema::{Catalogue, validate};
use tidegate_core::yaml::Spans;

/// Objects of a large environment.
const OBJECTS: usize = 4_000;
/// The bar is well under a second; the bound leaves room for a busy machine and an unoptimised build.
const TIME_BOUND: Duration = Duration::from_secs(5);
const MEMORY_BOUND_KIB: u64 = 30 * 1024;

/// Resident memory of this process.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a Linux machine");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the kernel says VmRSS");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("VmRSS is a number of KiB")
}

fn deployment(number: usize) -> DesiredObject {
    let container = |name: &str| {
        json!({
            "name": name, "image": "registry.example/web:1.2.3", "imagePullPolicy": "IfNotPresent",
            "env": (0..10).map(|n| json!({"name": format!("VARIABLE_{n}"), "value": "text"})).collect::<Vec<_>>(),
            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": 1, "memory": "1Gi"}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/web", "readOnly": true}],
        })
    };
    let name = format!("web-{number}");
    let value = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop", "labels": {"app.kubernetes.io/name": name}},
        "spec": {
            "replicas": 3, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "containers": [container("web"), container("side")],
                    "volumes": [{"name": "config", "configMap": {"name": "web"}}],
                },
            },
        },
    });
    let gvk = Gvk::from_api_version("apps/v1", "Deployment");
    let reference = ObjectRef { gvk, namespace: Some("shop".to_owned()), name };
    DesiredObject::new(reference, value, Spans::new(Arc::from("web.yaml"), Position::START), 0)
}

#[test]
fn the_bundle_is_small_in_memory_and_four_thousand_objects_are_checked_quickly() {
    let before = resident_kib();
    let start = Instant::now();
    let catalogue = Catalogue::kubernetes_1_35();
    let read = start.elapsed();
    let grown = resident_kib().saturating_sub(before);
    let objects: Vec<DesiredObject> = (0..OBJECTS).map(deployment).collect();
    let start = Instant::now();
    let problems: usize = objects.iter().map(|object| validate(object, catalogue).len()).sum();
    let checked = start.elapsed();
    println!("the bundle: {grown} KiB, read in {read:?}; {OBJECTS} objects checked in {checked:?}");
    assert_eq!(problems, 0);
    assert!(grown < MEMORY_BOUND_KIB, "{grown} KiB");
    assert!(checked < TIME_BOUND, "{checked:?}");
}
