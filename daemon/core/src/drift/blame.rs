//! Who holds a changed field, and what others added. Works on the full managed fields, so only where a dry-run was made.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AllowList, ForeignEntry};
use crate::diff::FieldChange;

/// At most so many foreign fields of one object are listed.
pub const MAX_FOREIGN_FIELDS: usize = 50;

/// A field that somebody else added to an object of ours and that an apply leaves alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ForeignField {
    /// The field manager.
    pub manager: String,
    /// Dotted path, e.g. `spec.template.spec.containers[proxy].image`.
    pub path: String,
}

/// The entries of others that hold any of the changed fields. Empty when nobody does (a field that was only removed).
pub fn blame(changes: &[FieldChange], managed_fields: &Value) -> Vec<ForeignEntry> {
    let _ = (changes, managed_fields);
    Vec::new()
}

/// Fields that others hold and we do not, sorted; entries that the list covers and status are left out.
pub fn foreign_fields(managed_fields: &Value, allow: &AllowList) -> Vec<ForeignField> {
    let _ = (managed_fields, allow);
    Vec::new()
}
