//! One element of `metadata.managedFields`, as it is read. Whose it is in the end is for `summary`, `blame` and `migrate`.

use jiff::Timestamp;
use serde_json::Value;

use super::FIELD_MANAGER;

/// One element of `metadata.managedFields`, read as far as it goes: what is missing reads as empty.
pub(super) struct Entry<'a> {
    pub manager: &'a str,
    pub operation: &'a str,
    pub subresource: &'a str,
    pub time_text: &'a str,
    pub fields: &'a Value,
}

impl<'a> Entry<'a> {
    pub fn read(entry: &'a Value) -> Self {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        Self {
            manager: text("manager"),
            operation: text("operation"),
            subresource: text("subresource"),
            time_text: text("time"),
            fields: entry.get("fieldsV1").unwrap_or(&Value::Null),
        }
    }

    /// The entry of our ordinary applies.
    pub fn is_ours(&self) -> bool {
        self.manager == FIELD_MANAGER && self.operation == "Apply" && self.subresource.is_empty()
    }

    pub fn time(&self) -> Option<Timestamp> {
        self.time_text.parse().ok()
    }
}
