//! Labels and annotations of an ApplySet (KEP-3659) and of ours. Not the objects that carry them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Label of the parent: its own id.
pub const APPLY_SET_ID: &str = "applyset.kubernetes.io/id";
/// Label of every member: the id of the parent.
pub const PART_OF: &str = "applyset.kubernetes.io/part-of";
/// Annotation of the parent: the tool that owns the set.
pub const TOOLING: &str = "applyset.kubernetes.io/tooling";
/// Our value of [`TOOLING`]; other tools must refuse to touch a set with it.
pub const TOOLING_VALUE: &str = "tidegate/v1";
/// Annotation of the parent: `Kind.group` of the members, comma-separated.
pub const CONTAINS_GROUP_KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
/// Annotation of the parent: the members' namespaces besides its own, comma-separated.
pub const ADDITIONAL_NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";
/// Label of every member: the environment that it belongs to.
pub const ENVIRONMENT: &str = "tidegate.dev/environment";
/// Annotation of an object: whether it may be pruned.
pub const PRUNE: &str = "tidegate.dev/prune";
/// The value of [`PRUNE`] that keeps an object.
pub const PRUNE_DISABLED: &str = "disabled";

/// The id of the ApplySet whose parent has this name: `applyset-<base64url(sha256(name.namespace.kind.group))>-v1`.
pub fn apply_set_id(parent_name: &str, parent_namespace: &str, kind: &str, group: &str) -> String {
    let hash = Sha256::digest(format!("{parent_name}.{parent_namespace}.{kind}.{group}").as_bytes());
    format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(hash))
}
