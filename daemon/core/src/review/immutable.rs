//! Fields that the API server does not let change, as far as they are known without asking it.
//!
//! Kubernetes' own validation of 1.35; a test on a real cluster sends a change of each to it. What is not in the list is
//! found by the dry-run ([`super::live`]). Kinds whose objects are deleted and created anew are those that the daemon
//! does so with: they hold no state.

use serde_json::Value;

use super::objects::is_at_or_below;
use super::{FieldEdit, Way};
use crate::diff::FieldChange;
use crate::object::{DesiredObject, ObjectId};
use crate::plan::is_recreated;

/// Which fields of a kind cannot change.
struct Rule {
    group: &'static str,
    kind: &'static str,
    fields: Fields,
}

enum Fields {
    /// What stands at or below one of these pointers.
    Below(&'static [&'static str]),
    /// What stands below the first, except at or below one of the others.
    BelowBut(&'static str, &'static [&'static str]),
}

const fn below(group: &'static str, kind: &'static str, pointers: &'static [&'static str]) -> Rule {
    Rule { group, kind, fields: Fields::Below(pointers) }
}

const fn below_but(group: &'static str, kind: &'static str, but: &'static [&'static str]) -> Rule {
    Rule { group, kind, fields: Fields::BelowBut("/spec", but) }
}

const RULES: &[Rule] = &[
    below("apps", "Deployment", &["/spec/selector"]),
    below("apps", "ReplicaSet", &["/spec/selector"]),
    below("apps", "DaemonSet", &["/spec/selector"]),
    below_but(
        "apps",
        "StatefulSet",
        &[
            "/spec/replicas",
            "/spec/ordinals",
            "/spec/template",
            "/spec/updateStrategy",
            "/spec/revisionHistoryLimit",
            "/spec/persistentVolumeClaimRetentionPolicy",
            "/spec/minReadySeconds",
        ],
    ),
    below(
        "batch",
        "Job",
        &[
            "/spec/template",
            "/spec/selector",
            "/spec/completionMode",
            "/spec/podFailurePolicy",
            "/spec/managedBy",
        ],
    ),
    below_but("", "PersistentVolumeClaim", &["/spec/resources", "/spec/volumeAttributesClassName"]),
    below("rbac.authorization.k8s.io", "RoleBinding", &["/roleRef"]),
    below("rbac.authorization.k8s.io", "ClusterRoleBinding", &["/roleRef"]),
    below("scheduling.k8s.io", "PriorityClass", &["/value", "/preemptionPolicy"]),
    below(
        "storage.k8s.io",
        "StorageClass",
        &["/provisioner", "/parameters", "/reclaimPolicy", "/volumeBindingMode"],
    ),
    below("apiextensions.k8s.io", "CustomResourceDefinition", &["/spec/scope"]),
    below("networking.k8s.io", "IngressClass", &["/spec/controller"]),
    below("node.k8s.io", "RuntimeClass", &["/handler"]),
    below("", "ResourceQuota", &["/spec/scopes"]),
    below("discovery.k8s.io", "EndpointSlice", &["/addressType"]),
];

/// Values that the API server sets where git says nothing: writing them down is no change.
const DEFAULTS: &[(&str, &str)] = &[
    ("/spec/completionMode", "NonIndexed"),
    ("/spec/podManagementPolicy", "OrderedReady"),
    ("/spec/volumeMode", "Filesystem"),
    ("/reclaimPolicy", "Delete"),
    ("/volumeBindingMode", "Immediate"),
    ("/preemptionPolicy", "PreemptLowerPriority"),
];

/// What becomes of an object of a kind when fields of it change that cannot; none when it is an ordinary update.
pub fn replaces(object: &ObjectId, fields: &[FieldEdit]) -> Option<Way> {
    let immutable = fields.iter().any(|field| field.immutable && !field.left_to_others);
    immutable.then(|| if is_recreated(object) { Way::Recreated } else { Way::Refused })
}

/// Whether the API server is known to refuse this change.
pub(super) fn cannot_change(old: &DesiredObject, new: &DesiredObject, change: &FieldChange) -> bool {
    let gvk = &new.reference.gvk;
    let pointer = change.pointer.as_str();
    if is_default(change) {
        return false;
    }
    if gvk.group.is_empty() && gvk.kind == "Service" {
        return service(old, new, change);
    }
    if gvk.group.is_empty() && matches!(gvk.kind.as_str(), "ConfigMap" | "Secret") {
        return sealed(old, gvk.kind.as_str(), pointer);
    }
    RULES.iter().filter(|rule| rule.group == gvk.group && rule.kind == gvk.kind).any(|rule| {
        match &rule.fields {
            Fields::Below(pointers) => pointers.iter().any(|root| touches(pointer, root)),
            Fields::BelowBut(root, but) => {
                is_at_or_below(pointer, root) && !but.iter().any(|root| is_at_or_below(pointer, root))
            }
        }
    })
}

/// A change of the field, of something in it, or of something around it.
fn touches(pointer: &str, root: &str) -> bool {
    is_at_or_below(pointer, root) || is_at_or_below(root, pointer)
}

/// A default that is written down, or no longer.
fn is_default(change: &FieldChange) -> bool {
    let ((None, Some(written)) | (Some(written), None)) = (&change.old, &change.new) else { return false };
    DEFAULTS.iter().any(|(pointer, value)| change.pointer == *pointer && written.as_str() == Some(value))
}

/// An address of a Service stays; one that leaves git stays too, and is no conflict.
fn service(old: &DesiredObject, new: &DesiredObject, change: &FieldChange) -> bool {
    let is_external = |object: &DesiredObject| {
        object.value().pointer("/spec/type").and_then(Value::as_str) == Some("ExternalName")
    };
    let address =
        matches!(change.pointer.as_str(), "/spec/clusterIP" | "/spec/clusterIPs" | "/spec/clusterIPs/0");
    address && change.new.is_some() && !is_external(old) && !is_external(new)
}

/// A ConfigMap or Secret that says `immutable: true` keeps its content, and that word; a Secret keeps its type.
fn sealed(old: &DesiredObject, kind: &str, pointer: &str) -> bool {
    let sealed = old.value().get("immutable") == Some(&Value::Bool(true));
    let top = pointer.split('/').nth(1).unwrap_or_default();
    (sealed && matches!(top, "data" | "binaryData" | "immutable")) || (kind == "Secret" && top == "type")
}
