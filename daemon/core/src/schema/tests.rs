//! The rules of the check, each with its message.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Catalogue, validate};
use crate::location::Position;
use crate::object::{DesiredObject, Gvk, ObjectRef};
use crate::yaml::Spans;

fn object(value: Value) -> DesiredObject {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let gvk = Gvk::from_api_version(&text("/apiVersion"), &text("/kind"));
    let reference = ObjectRef { gvk, namespace: Some("shop".to_owned()), name: text("/metadata/name") };
    DesiredObject { reference, value, spans: Spans::new(Arc::from("web.yaml"), Position::START), wave: 0 }
}

/// The problems as people see them, without place and object.
fn problems(value: Value) -> Vec<String> {
    problems_with(value, Catalogue::kubernetes_1_35())
}

fn problems_with(value: Value, catalogue: &Catalogue) -> Vec<String> {
    let found = validate(&object(value), catalogue);
    found.iter().map(|problem| format!("{}: {}", problem.code, problem.message)).collect()
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app.kubernetes.io/name": "web"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{
                    "name": "web", "image": "web:1", "imagePullPolicy": "Always",
                    "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}],
                    "resources": {"limits": {"cpu": 1, "memory": "1.5Gi"}},
                    "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
                }]},
            },
        },
    })
}

#[test]
fn a_good_deployment_has_no_problem() {
    assert_eq!(problems(deployment()), [] as [&str; 0]);
}
