//! A small universe of objects that need each other, so that generated sets collide, depend and conflict often.
#![allow(
    clippy::indexing_slicing,
    reason = "test material: an index out of bounds is a bug of the test and may say so"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_core::location::Position;
use tidegate_core::object::{DesiredObject, Gvk, ObjectId, ObjectRef};
use tidegate_core::yaml::Spans;

/// Names per kind.
pub const NAMES: usize = 3;
/// Texts per object: what git may ask for.
pub const TEXTS: usize = 3;
/// Waves, from 0.
pub const WAVES: i32 = 3;

/// API version, kind and whether it is namespaced.
pub const KINDS: [(&str, &str, bool); 16] = [
    ("v1", "Namespace", false),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", false),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", false),
    ("v1", "ConfigMap", true),
    ("v1", "Secret", true),
    ("v1", "ServiceAccount", true),
    ("v1", "PersistentVolumeClaim", true),
    ("v1", "ResourceQuota", true),
    ("rbac.authorization.k8s.io/v1", "Role", true),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", true),
    ("apps/v1", "Deployment", true),
    ("v1", "Service", true),
    ("networking.k8s.io/v1", "Ingress", true),
    ("autoscaling/v2", "HorizontalPodAutoscaler", true),
    ("example.com/v1", "Widget", true),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", false),
];

/// Every object of the universe as (kind, name).
pub fn universe() -> impl Iterator<Item = (usize, usize)> {
    (0..KINDS.len()).flat_map(|kind| (0..NAMES).map(move |name| (kind, name)))
}

/// The object of this kind and name with this text in git; the text also chooses what it needs.
pub fn object(kind: usize, name: usize, text: usize, wave: i32) -> Arc<DesiredObject> {
    let (api_version, kind, namespaced) = KINDS[kind % KINDS.len()];
    let other = format!("n{}", (name + text) % NAMES);
    let mut value = content(kind, &other);
    let name = if kind == "CustomResourceDefinition" {
        format!("widgets{name}.example.com")
    } else {
        format!("n{name}")
    };
    value["apiVersion"] = json!(api_version);
    value["kind"] = json!(kind);
    value["metadata"] = json!({"name": name, "labels": {"text": text.to_string()}});
    let namespace = namespaced.then(|| "n0".to_owned());
    let reference = ObjectRef { gvk: Gvk::from_api_version(api_version, kind), namespace, name };
    let spans = Spans::new(Arc::from("environments/dev/all.yaml"), Position::START);
    Arc::new(DesiredObject::new(reference, value, spans, wave))
}

/// A Namespace as `createNamespaces` makes it: it stands in the environment's own file.
pub fn own_namespace(name: usize, file: &str) -> Arc<DesiredObject> {
    let made = object(0, name, 0, 0);
    let spans = Spans::new(Arc::from(file), Position::START);
    Arc::new(DesiredObject::new(made.reference.clone(), made.to_value(), spans, 0))
}

/// What the object of this kind and name is called.
pub fn id(kind: usize, name: usize) -> ObjectId {
    object(kind, name, 0, 0).reference.id()
}

fn content(kind: &str, other: &str) -> Value {
    match kind {
        "CustomResourceDefinition" => json!({"spec": {"group": "example.com", "names": {"kind": "Widget"}}}),
        "RoleBinding" => json!({"roleRef": {"kind": "Role", "name": other}}),
        "Deployment" => json!({"spec": {"template": {"spec": {
            "serviceAccountName": other,
            "containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": other}}]}],
            "volumes": [{"secret": {"secretName": other}}, {"persistentVolumeClaim": {"claimName": other}}],
        }}}}),
        "Ingress" => {
            json!({"spec": {"defaultBackend": {"service": {"name": other}}, "tls": [{"secretName": other}]}})
        }
        "HorizontalPodAutoscaler" => json!({"spec": {"scaleTargetRef":
            {"apiVersion": "example.com/v1", "kind": "Widget", "name": other}}}),
        "ValidatingWebhookConfiguration" => {
            json!({"webhooks": [{"clientConfig": {"service": {"namespace": "n0", "name": other}}}]})
        }
        _ => json!({}),
    }
}

/// A set of objects that git asks for, each once, in any order.
pub fn desired(most: usize) -> impl Strategy<Value = Vec<Arc<DesiredObject>>> {
    let one = (0..KINDS.len(), 0..NAMES, 0..TEXTS, prop_oneof![3 => Just(0), 1 => 0..WAVES]);
    prop::collection::vec(one, 0..most).prop_map(|specs| {
        let mut objects: BTreeMap<ObjectId, Arc<DesiredObject>> = BTreeMap::new();
        for (kind, name, text, wave) in specs {
            let object = object(kind, name, text, wave);
            objects.insert(object.reference.id(), object);
        }
        objects.into_values().collect()
    })
}
