//! What an environment owns in its cluster: the ApplySet parent and its shards, as values.
//!
//! Stored in Tidegate's namespace of the target cluster, so that people who may write ConfigMaps beside the apps cannot
//! forge deletes. An entry is written *before* its object is created (without a uid) and completed afterwards, so that a
//! kill between the two leaves nothing unknown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::Digest;
use crate::object::ObjectId;

/// One object that an environment owns or is about to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InventoryEntry {
    /// The API version that it was last applied in.
    pub api_version: String,
    /// Its uid; none while a create is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Digest of what was last applied; none while a create is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Digest>,
    /// Digest of our own managed-fields entry after that apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Digest>,
    /// Digest over the foreign entries that a dry-run has found harmless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<Digest>,
}

/// Everything that an environment owns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Entries by object.
    pub entries: BTreeMap<ObjectId, InventoryEntry>,
}
