//! Who changed what is ours: managed fields read, drift suspected and named. No requests are made here.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::Digest;

/// The field manager of every ordinary apply.
pub const FIELD_MANAGER: &str = "tidegate";

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
}
