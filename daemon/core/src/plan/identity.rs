//! The id of a plan's desired side: what reviewers saw is what ran.

use std::sync::Arc;

use crate::ids::Digest;
use crate::object::DesiredObject;

/// The digest of the rendered objects, whatever their order, the same on any host.
pub fn plan_id(rendered: &[Arc<DesiredObject>]) -> Digest {
    let mut lines: Vec<String> = rendered
        .iter()
        .map(|object| {
            let id = object.reference.id();
            format!("{}/{id}\n{}\n{}\n", id.group, object.wave, object.digest())
        })
        .collect();
    lines.sort_unstable();
    Digest::of(lines.concat().as_bytes())
}
