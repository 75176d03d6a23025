//! FieldsV1 read into paths. Not the values of the fields: managed fields hold none.

use std::collections::BTreeSet;

use serde_json::Value;

/// One step of a path in FieldsV1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathElement {
    /// `f:spec`: a field of an object or a key of a map.
    Field(String),
    /// `k:{"name":"web"}`: a list item by its keys, sorted by name; values as JSON text.
    Key(Vec<(String, String)>),
    /// `v:"x"`: a member of a set, as JSON text.
    Value(String),
    /// `i:0`: a list item by place.
    Index(u64),
}

/// A path in FieldsV1, from the root of the object.
pub type FieldPath = Vec<PathElement>;

/// Why a field set cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// A step has an unknown form.
    #[error("`{0}` is not a step of a FieldsV1 path")]
    Step(String),
    /// It nests deeper than any object.
    #[error("a field set nests deeper than {0} levels")]
    Depth(usize),
}

/// The fields that a FieldsV1 value names: its leaves, and inner nodes that it owns themselves (`.`).
pub fn parse_fields(fields: &Value) -> Result<BTreeSet<FieldPath>, FieldsError> {
    let _ = fields;
    Ok(BTreeSet::new())
}
