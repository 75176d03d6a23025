//! Substitution, patches and output: from parsed documents to the objects that are sent.

mod patches;

pub use patches::{Change, MergePatch, Operation, Patch, Target};

use std::sync::Arc;

use serde_json::Value;

pub use crate::diff::masked as mask_secrets;
use crate::object::DesiredObject;

/// Objects as multi-document YAML, each after a comment that names its place in git. Same objects, same bytes.
pub fn to_yaml(_objects: &[Arc<DesiredObject>]) -> String {
    String::new()
}

/// Any value as YAML, for `-o yaml`.
pub fn value_to_yaml(value: &Value) -> String {
    serde_yaml::to_string(value).unwrap_or_else(|error| format!("# not printable: {error}\n"))
}
