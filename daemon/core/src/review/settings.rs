//! Changes of `environment.yaml`: what it says, old and new, without what stands in Secrets.

use std::collections::BTreeSet;

use serde_json::Value;

use super::FieldEdit;
use super::conceal::conceal;
use super::input::{Complete, SettingsFile};
use crate::desired::{Environment, read_paths};
use crate::diff::{FieldChange, diff};
use crate::tree::FileTree;
use crate::yaml::{Budget, Node, NodeValue, Spans, parse};

/// The document of an environment as it is written.
pub(super) fn file(files: &FileTree, environment: &Environment) -> SettingsFile {
    let path = &environment.location.file;
    let (documents, _) = parse(path, files.get(path).unwrap_or_default(), &Budget::DEFAULT);
    match documents.into_iter().next() {
        Some(document) => SettingsFile { value: document.root.to_json(), spans: document.root.spans(path) },
        None => SettingsFile {
            value: Value::Null,
            spans: Spans::new(path.clone(), environment.location.position),
        },
    }
}

/// The changed settings, each at its place.
pub(super) fn edits(base: &Complete, head: &Complete) -> Vec<FieldEdit> {
    let names: BTreeSet<&str> =
        base.secret_names.iter().chain(&head.secret_names).map(String::as_str).collect();
    let (old, new) = (spec(&base.file.value), spec(&head.file.value));
    let mut edits = Vec::new();
    for FieldChange { path, pointer, old: before, new: after } in diff(&old, &new) {
        let location = if after.is_some() {
            head.place(head.file.spans.locate(&pointer))
        } else {
            base.place(base.file.spans.locate(&pointer))
        };
        let secret = concerns_secrets(&pointer, &names, &[&old, &new]);
        let show = |value: Option<Value>| value.map(|value| if secret { conceal(&value) } else { value });
        let (old, new) = (show(before), show(after));
        edits.push(FieldEdit { path, old, new, location, secret, immutable: false, left_to_others: false });
    }
    edits
}

/// The settings without the head of the document, which every environment has.
fn spec(document: &Value) -> Value {
    let spec = document.get("spec").cloned().unwrap_or(Value::Null);
    serde_json::json!({ "spec": spec })
}

/// Whether values of Secrets may stand in a setting: it is substituted into one, or patches one.
fn concerns_secrets(pointer: &str, names: &BTreeSet<&str>, sides: &[&Value]) -> bool {
    let mut parts = pointer.split('/').skip(2);
    match parts.next() {
        Some("substitute") => match parts.next() {
            Some(name) => names.contains(name),
            None => !names.is_empty(),
        },
        Some("patches") => {
            // Positions differ between the sides, so one patch of a Secret conceals them all.
            let patches = sides.iter().filter_map(|side| side.pointer("/spec/patches")?.as_array()).flatten();
            let targets = patches.map(|patch| patch.pointer("/target/kind").and_then(Value::as_str));
            targets.into_iter().any(|kind| kind == Some("Secret"))
        }
        Some(_) => false,
        // The whole of `spec`.
        None => true,
    }
}

/// The names in `${…}` of all documents that are, or may be, Secrets.
pub(crate) fn names_in_secrets(files: &FileTree, environment: &Environment) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in read_paths(environment) {
        let inside = files.below(&path).chain(files.get(&path).map(|bytes| (path.as_str(), bytes)));
        for (file, bytes) in inside {
            // Most files are none of this.
            if !contains(bytes, b"${") || !(contains(bytes, b"Secret") || contains(bytes, b"kind: $")) {
                continue;
            }
            let (documents, _) = parse(&file.into(), bytes, &Budget::DEFAULT);
            for document in documents {
                collect(&document.root, &mut names);
            }
        }
    }
    names
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// A document, or the items of a list.
fn collect(node: &Node, names: &mut BTreeSet<String>) {
    let kind = node.get("kind").and_then(Node::as_str).unwrap_or_default();
    if kind == "Secret" || kind.contains("${") {
        names_in(node, names);
        return;
    }
    if let Some(NodeValue::Sequence(items)) = node.get("items").map(|items| &items.value) {
        let is_secret = |item: &&Node| {
            let kind = item.get("kind").and_then(Node::as_str).unwrap_or_default();
            kind == "Secret" || kind.contains("${")
        };
        for item in items.iter().filter(is_secret) {
            names_in(item, names);
        }
    }
}

/// The depth is bounded by the budget that the node was parsed with.
fn names_in(node: &Node, names: &mut BTreeSet<String>) {
    match &node.value {
        NodeValue::String(text) => {
            let parts = text.split("${").skip(1).filter_map(|rest| rest.split_once('}'));
            names.extend(parts.map(|(name, _)| name.to_owned()));
        }
        NodeValue::Sequence(items) => items.iter().for_each(|item| names_in(item, names)),
        NodeValue::Mapping(entries) => entries.iter().for_each(|entry| names_in(&entry.node, names)),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) => {}
    }
}
