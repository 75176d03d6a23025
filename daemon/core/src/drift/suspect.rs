//! Whether an object may have drifted, from metadata alone. Only a dry-run says whether it has.

use jiff::Timestamp;

use super::{AllowList, ManagedSummary};
use crate::inventory::InventoryEntry;

/// Times have one-second grain: so long after our own apply nothing can carry its time any more (clocks may differ a little).
pub const SETTLE_SECONDS: i64 = 5;

/// Why a dry-run is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspicion {
    /// We have no entry any more: somebody took every field, or replaced the object.
    OwnGone,
    /// Our entry is not the one that our apply left: a field was taken or removed, or applied under our name.
    OwnChanged,
    /// Others hold fields that no dry-run has looked at; who.
    Foreign(Vec<String>),
    /// Somebody wrote in the very second of our own apply; who.
    SameSecond(Vec<String>),
}

/// Whether the metadata of an object leaves a doubt that it is as we applied it.
pub fn suspect(summary: &ManagedSummary, entry: &InventoryEntry, allow: &AllowList) -> Option<Suspicion> {
    let _ = (summary, entry, allow);
    None
}

/// Whether the second of our own entry has passed for sure; what [`crate::inventory::Inventory::record_accepted`] wants to know.
pub fn is_settled(summary: &ManagedSummary, now: Timestamp) -> bool {
    summary.own_time.is_none_or(|own| now.as_second() - own.as_second() >= SETTLE_SECONDS)
}
