//! What an object needs to be there first, read from its manifest.

use crate::object::{DesiredObject, ObjectId};

/// The objects that this one names and cannot work without, sorted: its Namespace, what its pods mount or run as, what it
/// binds, scales or routes to. Whether they belong to the environment is not asked here.
pub fn dependencies(object: &DesiredObject) -> Vec<ObjectId> {
    let _ = object;
    Vec::new()
}
