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
