//! The rules of the check, each with its message.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Catalogue, Checked, check, validate};
use crate::location::Position;
use crate::object::{DesiredObject, Gvk, ObjectRef};
use crate::yaml::Spans;

fn object(value: Value) -> DesiredObject {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let gvk = Gvk::from_api_version(&text("/apiVersion"), &text("/kind"));
    let reference = ObjectRef { gvk, namespace: Some("shop".to_owned()), name: text("/metadata/name") };
    DesiredObject::new(reference, value, Spans::new(Arc::from("web.yaml"), Position::START), 0)
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

/// The deployment with the value under a pointer replaced, or added.
fn deployment_with(pointer: &str, value: Value) -> Value {
    let mut deployment = deployment();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
    match deployment.pointer_mut(parent).expect("the parent stands in the deployment") {
        Value::Array(items) => items.push(value),
        other => other[key] = value,
    }
    deployment
}

fn deployment_without(pointer: &str) -> Value {
    let mut deployment = deployment();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
    let parent = deployment.pointer_mut(parent).and_then(Value::as_object_mut);
    parent.expect("the parent is a mapping").remove(key);
    deployment
}

const CONTAINER: &str = "/spec/template/spec/containers/0";

#[test]
fn an_unknown_field_is_named_with_the_field_that_was_meant() {
    assert_eq!(
        problems(deployment_with(&format!("{CONTAINER}/imagePulPolicy"), json!("Always"))),
        [
            "E0301: unknown field spec.template.spec.containers[0].imagePulPolicy; did you mean imagePullPolicy?"
        ]
    );
    assert_eq!(
        problems(deployment_with("/spec/colour", json!("blue"))),
        ["E0301: unknown field spec.colour"]
    );
}

#[test]
fn a_field_at_the_wrong_depth_is_told_where_it_belongs() {
    let help = |pointer: &str| {
        let found = validate(&object(deployment_with(pointer, json!([]))), Catalogue::kubernetes_1_35());
        found.first().and_then(|problem| problem.help.clone())
    };
    assert_eq!(
        help("/spec/template/spec/readinessProbe").as_deref(),
        Some("readinessProbe is a field of spec.template.spec.containers[]"),
        "inside"
    );
    assert_eq!(
        help("/spec/template/spec/replicas").as_deref(),
        Some("replicas is a field of spec"),
        "around"
    );
    assert_eq!(help("/metadata/replicas").as_deref(), Some("replicas is a field of spec"), "beside");
    assert_eq!(help("/spec/nowhere"), None);
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_what_is_wanted() {
    let table = [
        ("/spec/replicas", json!("two"), "spec.replicas must be a whole number, not \"two\""),
        ("/spec/replicas", json!(1.5), "spec.replicas must be a whole number, not 1.5"),
        (
            "/spec/replicas",
            json!(5_000_000_000_i64),
            "spec.replicas must be a whole number of at most 32 bits, not 5000000000",
        ),
        ("/spec/paused", json!("no"), "spec.paused must be true or false, not \"no\""),
        ("/spec/template", json!([]), "spec.template must be a mapping, not a list"),
        (
            "/spec/template/spec/containers",
            json!({}),
            "spec.template.spec.containers must be a list, not a mapping",
        ),
        ("/metadata/labels/version", json!(2), "metadata.labels[version] must be a text, not 2"),
        (
            "/spec/strategy",
            json!({"rollingUpdate": {"maxSurge": true}}),
            "spec.strategy.rollingUpdate.maxSurge must be a whole number or a text, not true",
        ),
        (
            "/spec/template/spec/containers/0/resources/limits/memory",
            json!("1GB"),
            "spec.template.spec.containers[0].resources.limits[memory] must be a quantity such as 500m or 1Gi, not \"1GB\"",
        ),
        (
            "/metadata/creationTimestamp",
            json!("yesterday"),
            "metadata.creationTimestamp must be a time such as 2026-01-31T12:00:00Z, not \"yesterday\"",
        ),
    ];
    for (pointer, value, message) in table {
        assert_eq!(problems(deployment_with(pointer, value)), [format!("E0302: {message}")]);
    }
}

#[test]
fn a_number_in_place_of_a_text_comes_with_the_remedy() {
    let env = json!([{"name": "PORT", "value": 8080}]);
    let found =
        validate(&object(deployment_with(&format!("{CONTAINER}/env"), env)), Catalogue::kubernetes_1_35());
    let [problem] = found.as_slice() else { panic!("one problem, not {found:?}") };
    assert_eq!(problem.message, "spec.template.spec.containers[0].env[0].value must be a text, not 8080");
    assert_eq!(problem.help.as_deref(), Some("put the value in quotes"));
    assert_eq!(problem.field.as_deref(), Some("spec.template.spec.containers[0].env[0].value"));
}

#[test]
fn a_value_outside_an_enumeration_is_named_with_the_choice() {
    assert_eq!(
        problems(deployment_with(&format!("{CONTAINER}/imagePullPolicy"), json!("Allways"))),
        [
            "E0302: spec.template.spec.containers[0].imagePullPolicy must be one of Always, IfNotPresent, Never, \
          not \"Allways\"; did you mean Always?"
        ]
    );
    let empty = deployment_with(&format!("{CONTAINER}/imagePullPolicy"), json!(""));
    assert_eq!(problems(empty), [] as [&str; 0], "the server reads an empty text as absent");
}

#[test]
fn a_missing_required_field_is_named() {
    assert_eq!(
        problems(deployment_without(&format!("{CONTAINER}/name"))),
        ["E0303: missing field spec.template.spec.containers[0].name"]
    );
    assert_eq!(problems(deployment_without("/spec/selector")), ["E0303: missing field spec.selector"]);
    assert_eq!(
        problems(deployment_with("/spec/template", Value::Null)),
        ["E0303: missing field spec.template"],
        "null is as good as absent"
    );
}

#[test]
fn null_is_accepted_where_the_api_server_accepts_it() {
    assert_eq!(problems(deployment_with("/spec/replicas", Value::Null)), [] as [&str; 0]);
    assert_eq!(problems(deployment_with("/metadata/labels/empty", Value::Null)), [] as [&str; 0]);
    assert_eq!(
        problems(deployment_with("/spec/template/spec/containers/1", Value::Null)),
        ["E0302: spec.template.spec.containers[1] must not be null"],
        "items that are told apart by name cannot be null"
    );
}

#[test]
fn required_fields_that_the_server_fills_in_may_be_absent() {
    let class =
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "low"}});
    assert_eq!(problems(class), [] as [&str; 0]);
}

#[test]
fn items_that_server_side_apply_cannot_tell_apart_are_refused() {
    assert_eq!(
        problems(deployment_with(
            &format!("{CONTAINER}/ports/2"),
            json!({"containerPort": 80, "protocol": "TCP"})
        )),
        ["E0302: spec.template.spec.containers[0].ports[2] repeats an earlier item of the list \
          (containerPort: 80, protocol: \"TCP\")"],
        "the default protocol counts"
    );
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a", "finalizers": ["x/y", "x/y"]},
        "secrets": [{"namespace": "shop"}, {"namespace": "shop"}],
    });
    assert_eq!(
        problems(account),
        [
            "E0302: metadata.finalizers[1] repeats an earlier item of the list (\"x/y\")",
            "E0303: missing field secrets[0].name",
            "E0303: missing field secrets[1].name",
        ]
    );
}

#[test]
fn no_value_of_a_secret_stands_in_a_message() {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "labels": {"a": 77_123}},
        "data": {"password": "hunter2", "port": 54_321}, "stringData": {"pin": 99_887}, "type": ["hunter2"],
    });
    let found = problems(secret);
    assert_eq!(
        found,
        [
            "E0302: data[password] must be base64 with its padding",
            "E0302: data[port] must be a text",
            "E0302: metadata.labels[a] must be a text",
            "E0302: stringData[pin] must be a text",
            "E0302: type must be a text",
        ]
    );
}

#[test]
fn all_problems_are_found_at_once_in_the_order_of_the_file() {
    let mut broken = deployment_with("/spec/replicas", json!("two"));
    broken["metadata"]["lables"] = json!({});
    broken["spec"]["template"]["spec"]["containers"][0]["image"] = json!(3);
    let mut object = object(broken);
    let place = |line| Position { line, column: 3 };
    object.spans.insert("/spec/template/spec/containers/0/image".to_owned(), place(5));
    object.spans.insert("/spec/replicas".to_owned(), place(9));
    let value = Position { line: 20, column: 11 };
    object.spans.insert_field("/metadata/lables".to_owned(), place(20), value);
    let shown: Vec<String> = check(&object, Catalogue::kubernetes_1_35())
        .into_problems()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        shown,
        [
            "web.yaml:5:3: error[E0302]: Deployment shop/web: spec.template.spec.containers[0].image must be a text, not 3",
            "web.yaml:9:3: error[E0302]: Deployment shop/web: spec.replicas must be a whole number, not \"two\"",
            "web.yaml:20:3: error[E0301]: Deployment shop/web: unknown field metadata.lables; did you mean labels?",
        ]
    );
}

#[test]
fn an_object_that_is_wrong_everywhere_is_not_reported_without_end() {
    let wrong: serde_json::Map<String, Value> = (0..5_000).map(|n| (format!("x{n}"), json!(n))).collect();
    let labels = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": wrong}});
    assert_eq!(problems(labels).len(), 100);
}

#[test]
fn kinds_that_do_not_exist_are_told_from_custom_kinds() {
    let kind = |api_version: &str, kind: &str| {
        let value =
            json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", "labels": {"b": "c"}}});
        match check(&object(value), Catalogue::kubernetes_1_35()) {
            Checked::Checked(problems) => problems
                .into_iter()
                .map(|p| format!("{}: {}", p.code, p.message))
                .collect::<Vec<_>>()
                .join("\n"),
            Checked::Unchecked(problems) => format!("unchecked, {} problems", problems.len()),
        }
    };
    assert_eq!(
        kind("apps/v1", "Deploymnet"),
        "E0304: apps/v1 has no kind Deploymnet that can be applied; did you mean Deployment?"
    );
    assert_eq!(
        kind("v1", "Deployment"),
        "E0304: v1 has no kind Deployment that can be applied; Deployment is in apps/v1"
    );
    assert_eq!(kind("apps/v2", "Deployment"), "E0304: apps/v2 Deployment is not served; there is apps/v1");
    assert_eq!(
        kind("app/v1", "Deployment"),
        "E0304: unknown group app in apiVersion app/v1; Deployment is in apps/v1"
    );
    assert_eq!(
        kind("extensions/v1beta1", "Ingress"),
        "E0304: extensions/v1beta1 Ingress was removed in Kubernetes 1.22; use networking.k8s.io/v1"
    );
    assert_eq!(
        kind("policy/v1beta1", "PodSecurityPolicy"),
        "E0304: policy/v1beta1 PodSecurityPolicy was removed in Kubernetes 1.25; use Pod Security Admission"
    );
    assert_eq!(kind("cert-manager.io/v1", "Certificate"), "unchecked, 0 problems");
}

#[test]
fn the_metadata_of_unchecked_kinds_is_checked_all_the_same() {
    let value =
        json!({"apiVersion": "a.example/v1", "kind": "A", "metadata": {"name": "a", "labels": {"b": 1}}});
    let checked = check(&object(value), Catalogue::kubernetes_1_35());
    assert!(checked.is_unchecked());
    let messages: Vec<String> = checked.into_problems().into_iter().map(|problem| problem.message).collect();
    assert_eq!(messages, ["metadata.labels[b] must be a text, not 1"]);
}

#[test]
fn deprecated_versions_are_warned_of() {
    let endpoints = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "a"}});
    let found = validate(&object(endpoints), Catalogue::kubernetes_1_35());
    let [problem] = found.as_slice() else { panic!("one problem, not {found:?}") };
    assert!(!problem.is_error());
    assert_eq!(
        format!("{}: {}", problem.code, problem.message),
        "E0307: v1 Endpoints is deprecated since Kubernetes 1.33; use discovery.k8s.io/v1 EndpointSlice"
    );
}

#[test]
fn unknown_fields_deep_in_a_definition_are_warned_of_because_the_server_drops_them() {
    let items = json!({"type": "object", "requried": ["a"], "minLength": "three"});
    let schema = json!({"type": "object", "properties": {"list": {"type": "array", "items": items}}});
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "a.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "as", "kind": "A"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    });
    let found = validate(&object(crd), Catalogue::kubernetes_1_35());
    let shown: Vec<(bool, &str)> = found.iter().map(|p| (p.is_error(), p.message.as_str())).collect();
    let items = "spec.versions[0].schema.openAPIV3Schema.properties[list].items";
    assert_eq!(
        shown,
        [
            (true, format!("{items}.minLength must be a whole number, not \"three\"").as_str()),
            (false, format!("unknown field {items}.requried; did you mean required?").as_str()),
        ]
    );
}

#[test]
fn values_are_looked_at_up_to_a_depth() {
    let nested = |levels: usize| {
        let mut schema = json!({"type": 3});
        for _ in 0..levels {
            schema = json!({"not": schema});
        }
        let names = json!({"plural": "as", "kind": "A"});
        let versions =
            json!([{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]);
        let spec = json!({"group": "example.com", "scope": "Cluster", "names": names, "versions": versions});
        problems(object_value("apiextensions.k8s.io/v1", "CustomResourceDefinition", &spec))
    };
    assert_eq!(nested(240).len(), 1);
    assert_eq!(nested(300), [] as [&str; 0]);
}

fn object_value(api_version: &str, kind: &str, spec: &Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, "spec": spec})
}
