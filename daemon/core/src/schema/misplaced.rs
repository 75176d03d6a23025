//! Where a field that stands in the wrong place belongs: most unknown fields are right fields at the wrong depth.

use super::node::{Library, NodeId, Object, Rest, Shape};
use super::path::{self, Step};
use super::walk::resolve;

/// A mapping on the way to the place that is checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parent<'a> {
    /// How many steps lead to it.
    pub(super) steps: usize,
    /// Where its nodes are.
    pub(super) library: &'a Library,
    /// Its fields.
    pub(super) object: &'a Object,
}

/// The path of the nearest mapping that has such a field: inside the mapping where it stands, around it, or beside it.
/// `steps` lead to the mapping where it stands, which is the last of `parents`.
pub(super) fn home(field: &str, steps: &[Step<'_>], parents: &[Parent<'_>]) -> Option<String> {
    let (here, around) = parents.split_last()?;
    let inside = || within(field, here, steps);
    let outside = || around.iter().rev().find(|parent| parent.object.field(field).is_some());
    let beside = || around.iter().rev().find_map(|parent| within(field, parent, steps));
    let above = || outside().map(|parent| named(steps.get(..parent.steps).unwrap_or(steps)));
    inside().or_else(above).or_else(beside)
}

/// A field of a mapping, or of the items of a list in it, that has such a field itself.
fn within(field: &str, parent: &Parent<'_>, steps: &[Step<'_>]) -> Option<String> {
    let base = path::dotted(steps.get(..parent.steps)?);
    let dot = if base.is_empty() { "" } else { "." };
    parent.object.fields.iter().filter(|(name, _)| name.as_ref() != "status").find_map(|(name, id)| {
        let suffix = holder(field, parent.library, *id)?;
        Some(format!("{base}{dot}{name}{suffix}"))
    })
}

/// How the path goes on when the node (or its items) has such a field.
fn holder(field: &str, library: &Library, id: NodeId) -> Option<&'static str> {
    let has = |object: &Object| object.rest == Rest::Refused && object.field(field).is_some();
    let mut shape = &resolve(library, id)?.shape;
    let mut suffix = "";
    if let Shape::Array(array) = shape {
        shape = &resolve(library, array.item)?.shape;
        suffix = "[]";
    }
    if let Shape::Object(object) = shape { has(object).then_some(suffix) } else { None }
}

fn named(steps: &[Step<'_>]) -> String {
    if steps.is_empty() { "the object itself".to_owned() } else { path::dotted(steps) }
}
