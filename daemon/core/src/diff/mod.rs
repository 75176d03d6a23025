//! The semantic difference of two objects: which fields changed, from what to what. Not a text diff.
//!
//! - Maps are compared by key, lists with Kubernetes' merge keys (containers by name, ports by number, …) by that key, so
//!   that an added sidecar is one change and not ten. A changed order of such a list is a change of its own, because the
//!   API server keeps the order and a pod template in another order is another template.
//! - Other lists of maps or lists are compared by position, after what is equal at both ends; lists of scalars as a whole.
//! - `1` and `1.0` are equal everywhere; quantities (`1000m` and `1`) only where Kubernetes reads quantities, see
//!   [`quantities_equal`]. `null`, absent, `{}` and `[]` all differ: which of them the API server drops depends on the
//!   kind, and the dry-run has already done it where [`drift_changes`] is asked.
//! - An empty answer of [`diff`] says "equal in meaning"; [`to_patch`] is exact and also carries what `diff` forgives.

mod compare;
mod describe;
mod drift;
mod ignore;
mod keys;
mod mask;
mod number;
mod patch;
mod quantity;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use compare::diff;
pub use describe::describe;
pub use drift::drift_changes;
pub use ignore::{pointers_of, without_pointers};
pub use mask::{masked, repeats_secret};
pub use patch::to_patch;
pub use quantity::{quantities_equal, quantity_in_nanos};

/// Values nested deeper than this are compared as wholes.
const MAX_DEPTH: usize = 96;

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
