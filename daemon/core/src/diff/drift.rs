//! What applying would change on a live object: the live object compared with the answer of the dry-run.

use serde_json::Value;

use super::FieldChange;
use super::compare::diff;
use super::mask::masked_change;
use crate::secret::is_secret;

/// What the server writes into metadata by itself.
const SERVER_METADATA: [&str; 6] =
    ["managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink"];

/// The fields that applying would change, live value to desired value: [`diff`] without status and what the server sets
/// in metadata, the values of Secrets masked by digests under `key`.
pub fn drift_changes(live: &Value, dry_run: &Value, key: &[u8]) -> Vec<FieldChange> {
    let changes = diff(&content(live), &content(dry_run));
    if is_secret(live) || is_secret(dry_run) {
        return changes.into_iter().map(|change| masked_change(change, key)).collect();
    }
    changes
}

/// The object without status and without what the server sets in metadata.
fn content(object: &Value) -> Value {
    let Value::Object(fields) = object else { return object.clone() };
    let kept = fields.iter().filter(|(name, _)| *name != "status");
    kept.map(|(name, value)| (name.clone(), if name == "metadata" { metadata(value) } else { value.clone() }))
        .collect()
}

fn metadata(value: &Value) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    let kept = fields.iter().filter(|(name, _)| !SERVER_METADATA.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}
