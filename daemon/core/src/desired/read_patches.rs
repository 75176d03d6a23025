//! `spec.patches` of an environment.

use super::fields::{Fields, Section, Spot};
use crate::problem::{Code, Problem};
use crate::render::{Change, MergePatch, Operation, Patch, Target};

/// Reads one patch.
pub fn patch(fields: &mut Fields, spot: &Spot<'_>) -> Option<Patch> {
    let section = fields.section(spot, &["target", "patch", "merge"])?;
    let target = fields.required(&section, "target").and_then(|spot| target(fields, &spot));
    let change = change(fields, spot, &section);
    Some(Patch { target: target?, change: change?, location: fields.location(spot) })
}

fn target(fields: &mut Fields, spot: &Spot<'_>) -> Option<Target> {
    let section = fields.section(spot, &["group", "kind", "name", "namespace"])?;
    let group = section.get("group").and_then(|spot| {
        let group = spot.node.as_str().map(str::to_owned);
        if group.is_none() {
            fields.wrong(&spot, "a text");
        }
        group
    });
    let kind = fields.required(&section, "kind").and_then(|spot| fields.text(&spot));
    let name = section.get("name").and_then(|spot| fields.text(&spot));
    let namespace = section.get("namespace").and_then(|spot| fields.text(&spot));
    Some(Target { group, kind: kind?, name, namespace })
}

fn change(fields: &mut Fields, spot: &Spot<'_>, section: &Section<'_>) -> Option<Change> {
    match (section.get("patch"), section.get("merge")) {
        (Some(operations), None) => Some(Change::Operations(fields.list(&operations, operation))),
        (None, Some(merge)) => {
            // The shape of an object; its fields are checked when the patched object is.
            fields.entries(&merge);
            let spans = merge.node.spans(&fields.location(&merge).file);
            Some(Change::Merge(MergePatch { value: merge.node.to_json(), spans }))
        }
        (Some(_), Some(_)) | (None, None) => {
            fields
                .wrong(spot, "a target with either `patch` (RFC 6902 operations) or `merge` (a merge patch)");
            None
        }
    }
}

fn operation(fields: &mut Fields, spot: &Spot<'_>) -> Option<Operation> {
    fields.section(spot, &["op", "path", "from", "value"])?;
    match serde_json::from_value(spot.node.to_json()) {
        Ok(operation) => Some(Operation { operation, location: fields.location(spot) }),
        Err(error) => {
            let message = format!("not an operation of a JSON patch: {error}");
            let help = "e.g. `{op: replace, path: /spec/replicas, value: 3}`";
            fields.report(spot, Problem::error(Code::ConfigField, message).help(help));
            None
        }
    }
}
