//! What is sent beside what git says: the marks by which an object is ours, and what must hold for the write to happen.

use serde_json::{Value, json};

use super::{ENVIRONMENT, PART_OF};

/// The marks that every object of an environment carries.
#[derive(Debug, Clone)]
pub struct Marks {
    /// The id of the ApplySet.
    pub apply_set: String,
    /// The environment's name.
    pub environment: String,
}

/// A resourceVersion that no object has, because the first write to an API server's storage is a later one. An apply that
/// carries it creates the object where nothing is, and is a conflict where anything is.
pub const NOWHERE: &str = "1";

/// What must hold of the live object for a write to happen.
#[derive(Debug, Clone, Default)]
pub struct Precondition {
    /// Its uid.
    pub uid: Option<String>,
    /// Its resourceVersion.
    pub resource_version: Option<String>,
}

/// The body that is sent: the value with our marks and the precondition.
pub fn marked(mut body: Value, marks: &Marks, precondition: &Precondition) -> Value {
    let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) else { return body };
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    if let Some(labels) = labels.as_object_mut() {
        labels.insert(PART_OF.to_owned(), json!(marks.apply_set));
        labels.insert(ENVIRONMENT.to_owned(), json!(marks.environment));
    }
    if let Some(uid) = &precondition.uid {
        metadata.insert("uid".to_owned(), json!(uid));
    }
    if let Some(version) = &precondition.resource_version {
        metadata.insert("resourceVersion".to_owned(), json!(version));
    }
    body
}
