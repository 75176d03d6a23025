//! What is known of kinds: the bundle, definitions of the same commit, and the documents of a cluster.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Catalogue, Checked, check};
use crate::desired::KindScopes as _;
use crate::location::Position;
use crate::object::{DesiredObject, Gvk, ObjectRef, Scope};
use crate::yaml::Spans;

fn scope(catalogue: &Catalogue, api_version: &str, kind: &str) -> Option<Scope> {
    catalogue.scope(&Gvk::from_api_version(api_version, kind))
}

fn checked(value: &Value, catalogue: &Catalogue) -> Checked {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let gvk = Gvk::from_api_version(&text("/apiVersion"), &text("/kind"));
    let reference = ObjectRef { gvk, namespace: None, name: text("/metadata/name") };
    let spans = Spans::new(Arc::from("a.yaml"), Position::START);
    check(&DesiredObject::new(reference, value.clone(), spans, 0), catalogue)
}

fn problems(value: &Value, catalogue: &Catalogue) -> Vec<String> {
    let problems = checked(value, catalogue).into_problems();
    problems.iter().map(|problem| format!("{}: {}", problem.code, problem.message)).collect()
}

/// A definition of `example.com` Widget with one version `v1` of this schema.
fn definition(schema: &Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

fn widget(spec: &Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": spec})
}

fn with(schema: &Value) -> Catalogue {
    Catalogue::kubernetes_1_35().with_definitions(&[&definition(schema)])
}

/// A schema whose only field is `spec`, with these properties.
fn spec_schema(properties: &Value) -> Value {
    json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}})
}

#[test]
fn the_bundle_knows_the_kinds_of_kubernetes_and_their_scopes() {
    let catalogue = Catalogue::kubernetes_1_35();
    assert_eq!(scope(catalogue, "apps/v1", "Deployment"), Some(Scope::Namespaced));
    assert_eq!(scope(catalogue, "v1", "Namespace"), Some(Scope::Cluster));
    assert_eq!(scope(catalogue, "rbac.authorization.k8s.io/v1", "ClusterRole"), Some(Scope::Cluster));
    assert_eq!(scope(catalogue, "apiregistration.k8s.io/v1", "APIService"), Some(Scope::Cluster));
    assert_eq!(scope(catalogue, "apps/v1beta1", "Deployment"), None);
    assert_eq!(scope(catalogue, "v1", "PodList"), None, "lists are not kinds");
    let kind = Gvk::from_api_version("networking.k8s.io/v1", "NetworkPolicy");
    assert_eq!(catalogue.kind(&kind).map(|info| info.plural.as_str()), Some("networkpolicies"));
    assert!(catalogue.kinds().count() >= 50, "{} kinds", catalogue.kinds().count());
    assert!(catalogue.kinds().all(|(_, info)| info.schema.is_some()), "every kind has its fields");
}

#[test]
fn objects_of_a_definition_in_the_same_commit_are_checked() {
    let properties = json!({
        "size": {"type": "integer", "format": "int32"},
        "colour": {"type": "string", "enum": ["blue", "green"], "default": "blue"},
        "port": {"x-kubernetes-int-or-string": true},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "shut": {"type": "object"},
        "maybe": {"type": "string", "nullable": true},
        "inner": {"type": "object", "x-kubernetes-embedded-resource": true},
    });
    let mut schema = spec_schema(&properties);
    schema["properties"]["spec"]["required"] = json!(["size", "colour", "maybe"]);
    let catalogue = with(&schema);
    assert_eq!(scope(&catalogue, "example.com/v1", "Widget"), Some(Scope::Namespaced));
    let inner = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
    let good = json!({"size": 3, "colour": null, "port": "http", "labels": {"a": "b"}, "free": {"x": {"y": 1}}, "maybe": null, "inner": inner});
    assert_eq!(problems(&widget(&good), &catalogue), [] as [&str; 0], "what has a default may be absent");
    let bad = json!({
        "size": null, "colour": "red", "port": 1.5, "labels": {"a": 1}, "shut": {"x": 1}, "siez": 3,
        "inner": {"kind": null, "metadata": {"labels": {"a": 1}}},
    });
    assert_eq!(
        problems(&widget(&bad), &catalogue),
        [
            "E0303: missing field spec.inner.apiVersion",
            "E0303: missing field spec.maybe",
            "E0302: spec.colour must be one of blue, green, not \"red\"",
            "E0302: spec.inner.kind must be a text, not null",
            "E0302: spec.inner.metadata.labels[a] must be a text, not 1",
            "E0302: spec.labels[a] must be a text, not 1",
            "E0302: spec.port must be a whole number or a text, not 1.5",
            "E0302: spec.size must be a whole number, not null",
            "E0301: unknown field spec.shut.x",
            "E0301: unknown field spec.siez; did you mean size?",
        ]
    );
}

#[test]
fn what_the_server_drops_from_custom_objects_is_a_warning() {
    let catalogue = with(&spec_schema(
        &json!({"shut": {"type": "object"}, "size": {"type": "integer", "format": "int32"}}),
    ));
    let found =
        checked(&widget(&json!({"shut": {"x": 1}, "size": 5_000_000_000_i64})), &catalogue).into_problems();
    let [problem] = found.as_slice() else { panic!("one problem, not {found:?}") };
    assert!(!problem.is_error());
    assert_eq!(problem.message, "unknown field spec.shut.x");
    assert_eq!(problem.help.as_deref(), Some("the API server drops it without a word"));
}

#[test]
fn a_definition_replaces_every_version_that_was_known_before() {
    let old = with(&json!({"type": "object"}));
    let mut renamed = definition(&json!({"type": "object"}));
    renamed["spec"]["scope"] = json!("Cluster");
    renamed["spec"]["versions"] = json!([
        {"name": "v2", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}},
        {"name": "v1beta1", "served": false, "storage": false},
        {"name": "v1alpha1", "served": true, "storage": false, "deprecated": true, "deprecationWarning": "use v2"},
    ]);
    let new = old.with_definitions(&[&renamed]);
    assert_eq!(scope(&new, "example.com/v2", "Widget"), Some(Scope::Cluster));
    assert_eq!(scope(&new, "example.com/v1beta1", "Widget"), None, "not served");
    assert_eq!(
        problems(&widget(&json!({})), &new),
        ["E0304: example.com/v1 Widget is not served; there is example.com/v1alpha1, example.com/v2"]
    );
    let alpha = json!({"apiVersion": "example.com/v1alpha1", "kind": "Widget", "metadata": {"name": "a"}});
    assert!(checked(&alpha, &new).is_unchecked(), "a version without a schema");
    assert_eq!(
        problems(&alpha, &new),
        ["E0307: example.com/v1alpha1 Widget is deprecated by its definition: use v2"]
    );
    assert_eq!(
        scope(&old, "example.com/v1", "Widget"),
        Some(Scope::Namespaced),
        "the old catalogue is untouched"
    );
}

#[test]
fn a_definition_that_is_not_one_defines_nothing() {
    let bare = Catalogue::kubernetes_1_35();
    let count = bare.kinds().count();
    for broken in
        [json!(null), json!({"spec": []}), json!({"spec": {"group": 1}}), json!({"spec": {"group": "a.b"}})]
    {
        assert_eq!(bare.with_definitions(&[&broken]).kinds().count(), count, "{broken}");
    }
    let strange = with(&json!({"type": 7, "properties": [1, 2]}));
    assert_eq!(
        problems(&widget(&json!({"a": 1})), &strange),
        [] as [&str; 0],
        "what is not understood accepts everything"
    );
}

#[test]
fn a_hostile_schema_is_read_up_to_its_limits() {
    let mut deep = json!({"type": "string"});
    for _ in 0..200 {
        deep = json!({"type": "object", "properties": {"a": deep}});
    }
    let catalogue = with(&deep);
    let shallow = json!({"apiVersion": "example.com/v1", "kind": "Widget", "a": {"a": {"b": 1}}});
    assert_eq!(problems(&shallow, &catalogue), ["E0301: unknown field a.a.b; did you mean a?"]);
    let mut value = json!(1);
    for _ in 0..200 {
        value = json!({"a": value});
    }
    value["apiVersion"] = json!("example.com/v1");
    value["kind"] = json!("Widget");
    assert_eq!(problems(&value, &catalogue), [] as [&str; 0], "beyond the limit everything is accepted");

    let selfish = json!({"$ref": "#/components/schemas/A", "properties": {"b": {"$ref": "#/x"}}});
    assert_eq!(problems(&widget(&json!({})), &with(&selfish)), [] as [&str; 0]);
}

/// The OpenAPI v3 document of a cluster for one custom kind, as the API server publishes it.
fn document() -> Value {
    let metadata = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
    let gvk = json!({"group": "example.com", "version": "v1", "kind": "Widget"});
    let item = "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}";
    json!({
        "paths": {
            "/apis/example.com/v1/": {"get": {}},
            item: {"get": {}, "patch": {"x-kubernetes-group-version-kind": gvk}},
            format!("{item}/status"): {"patch": {"x-kubernetes-group-version-kind": gvk}},
            "/apis/example.com/v1/widgets": {"get": {"x-kubernetes-group-version-kind": gvk}},
        },
        "components": {"schemas": {
            "com.example.v1.Widget": {
                "type": "object",
                "x-kubernetes-group-version-kind": [gvk],
                "properties": {
                    "apiVersion": {"type": "string"}, "kind": {"type": "string"},
                    "metadata": {"allOf": [{"$ref": format!("#/components/schemas/{metadata}")}]},
                    "spec": {"type": "object", "properties": {"loop": {"$ref": "#/components/schemas/Loop"}}},
                },
            },
            "Loop": {"$ref": "#/components/schemas/Pool"},
            "Pool": {"$ref": "#/components/schemas/Loop"},
            metadata: {"type": "object", "properties": {"name": {"type": "string"}}},
        }},
    })
}

#[test]
fn the_documents_of_a_cluster_tell_scopes_plurals_and_fields() {
    let cluster = Catalogue::from_cluster(&[document()]);
    let info = cluster.kind(&Gvk::from_api_version("example.com/v1", "Widget")).expect("the kind is there");
    assert_eq!((info.scope, info.plural.as_str()), (Scope::Namespaced, "widgets"));
    assert_eq!(cluster.kinds().count(), 1);
    let looping = widget(&json!({"loop": {"a": 1}, "lop": 1}));
    assert_eq!(problems(&looping, &cluster), ["E0301: unknown field spec.lop; did you mean loop?"]);
    let labelled = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": 1}});
    assert_eq!(problems(&labelled, &cluster), ["E0302: metadata.name must be a text, not 1"]);
}

#[test]
fn documents_that_are_none_give_an_empty_catalogue() {
    for nonsense in [
        json!(null),
        json!({"paths": 1}),
        json!({"paths": {"/apis/a/b/c/{name}": 1}}),
        json!({"components": []}),
    ] {
        assert_eq!(Catalogue::from_cluster(&[nonsense]).kinds().count(), 0);
    }
}

#[test]
fn documents_of_further_groups_are_added_to_a_catalogue() {
    let whole = Catalogue::kubernetes_1_35().with_documents(&[document()]);
    assert_eq!(scope(&whole, "example.com/v1", "Widget"), Some(Scope::Namespaced));
    assert_eq!(scope(&whole, "apps/v1", "Deployment"), Some(Scope::Namespaced));
}

#[test]
fn a_version_that_an_old_cluster_still_serves_is_only_warned_of() {
    let gvk = json!({"group": "policy", "version": "v1beta1", "kind": "PodDisruptionBudget"});
    let item = "/apis/policy/v1beta1/namespaces/{namespace}/poddisruptionbudgets/{name}";
    let old = json!({
        "paths": {item: {"patch": {"x-kubernetes-group-version-kind": gvk}}},
        "components": {"schemas": {"A": {"type": "object", "x-kubernetes-group-version-kind": [gvk],
            "x-kubernetes-preserve-unknown-fields": true}}},
    });
    let budget =
        json!({"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "a"}});
    assert_eq!(
        problems(&budget, &Catalogue::from_cluster(&[old])),
        ["E0307: policy/v1beta1 PodDisruptionBudget is removed in Kubernetes 1.25; use policy/v1"]
    );
}
