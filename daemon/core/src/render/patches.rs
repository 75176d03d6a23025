//! Patches of one environment: RFC 6902 operations or RFC 7386 merges on the objects that a target names.

use serde_json::Value;

use crate::location::Location;

/// One patch, as `environment.yaml` asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// Which objects.
    pub target: Target,
    /// What is done to each.
    pub change: Change,
    /// Where it stands.
    pub location: Location,
}

/// The objects that a patch changes: those that agree in everything that is written here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// API group; `""` is the core group. Default: any.
    pub group: Option<String>,
    /// Kind.
    pub kind: String,
    /// Name. Default: any.
    pub name: Option<String>,
    /// Namespace. Default: any.
    pub namespace: Option<String>,
}

/// What a patch does.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// JSON patch (RFC 6902), all operations or none.
    Operations(Vec<Operation>),
    /// JSON merge patch (RFC 7386): null deletes.
    Merge(MergePatch),
}

/// One operation of a JSON patch, with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// The operation.
    pub operation: json_patch::PatchOperation,
    /// Where it stands.
    pub location: Location,
}

/// A merge patch, with the places of its values.
#[derive(Debug, Clone, PartialEq)]
pub struct MergePatch {
    /// The patch.
    pub value: Value,
    /// The places of its values, by pointer.
    pub spans: crate::yaml::Spans,
}
