//! What must hold of an object for a write of it to be taken, and whether a write has changed it. Of [`Guard::Same`] only the uid is
//! sent: the version that was read only says afterwards whether anything was changed. Requests themselves are `calls`'.

use serde_json::{Value, json};
use tidegate_core::inventory::NOWHERE;

/// What must hold of the live object for a write to happen; anything else is a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// It is the very version that was read.
    Exactly {
        /// Its uid.
        uid: String,
        /// Its resourceVersion.
        version: String,
    },
    /// It is the same object, in whatever version.
    Same {
        /// Its uid.
        uid: String,
        /// The resourceVersion that was read.
        read: String,
    },
    /// There is none.
    Nowhere,
}

impl Guard {
    /// The uid that the object must have.
    pub fn uid(&self) -> Option<&str> {
        match self {
            Self::Exactly { uid, .. } | Self::Same { uid, .. } => Some(uid),
            Self::Nowhere => None,
        }
    }

    /// True for the version that was read: a write that answers with it has changed nothing.
    pub fn is_of(&self, version: Option<&str>) -> bool {
        match self {
            Self::Exactly { version: read, .. } | Self::Same { read, .. } => version == Some(read),
            Self::Nowhere => false,
        }
    }

    /// Puts the guard into the body of an apply.
    pub fn put(&self, body: &mut Value) {
        let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) else { return };
        match self {
            Self::Exactly { uid, version } => {
                metadata.insert("uid".to_owned(), json!(uid));
                metadata.insert("resourceVersion".to_owned(), json!(version));
            }
            Self::Same { uid, read: _ } => drop(metadata.insert("uid".to_owned(), json!(uid))),
            Self::Nowhere => drop(metadata.insert("resourceVersion".to_owned(), json!(NOWHERE))),
        }
    }
}
