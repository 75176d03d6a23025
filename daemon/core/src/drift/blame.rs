//! Who holds a changed field, and what others added. Works on the full managed fields, so only where a dry-run was made.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::entry::Entry;
use super::fields::{FieldPath, PathElement, dotted, parse_fields, parse_step};
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
    let wanted: Vec<(Vec<String>, Vec<&str>)> =
        changes.iter().map(|change| (pointer_tokens(&change.pointer), brackets(&change.path))).collect();
    let entries = managed_fields.as_array().into_iter().flatten().map(Entry::read);
    entries
        .filter(|entry| !entry.is_ours())
        .filter(|entry| wanted.iter().any(|(tokens, keys)| holds(entry.fields, tokens, keys)))
        .filter_map(|entry| ForeignEntry::of(&entry))
        .collect()
}

/// Fields that others hold and we do not, sorted; entries that the list covers and status are left out.
pub fn foreign_fields(managed_fields: &Value, allow: &AllowList) -> Vec<ForeignField> {
    let entries: Vec<Entry<'_>> = managed_fields.as_array().into_iter().flatten().map(Entry::read).collect();
    let ours: BTreeSet<FieldPath> =
        entries.iter().filter(|entry| entry.is_ours()).flat_map(|entry| paths(entry.fields)).collect();
    let mut found = BTreeSet::new();
    for entry in entries.iter().filter(|entry| !entry.is_ours()) {
        if ForeignEntry::of(entry).is_none_or(|foreign| allow.covers(&foreign)) {
            continue;
        }
        let added = paths(entry.fields).into_iter().filter(|path| is_content(path) && !ours.contains(path));
        found.extend(
            added.map(|path| ForeignField { manager: entry.manager.to_owned(), path: dotted(&path) }),
        );
    }
    found.into_iter().take(MAX_FOREIGN_FIELDS).collect()
}

/// A field set that cannot be read names no fields.
fn paths(fields: &Value) -> BTreeSet<FieldPath> {
    parse_fields(fields).unwrap_or_default()
}

/// Spec, data, labels, annotations: not status, and no bookkeeping in the metadata. Whole maps of metadata say nothing either.
fn is_content(path: &[PathElement]) -> bool {
    let name = |place: usize| match path.get(place) {
        Some(PathElement::Field(name)) => Some(name.as_str()),
        Some(PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_)) | None => None,
    };
    match name(0) {
        Some("status") | None => false,
        Some("metadata") => matches!(name(1), Some("labels" | "annotations")) && path.len() > 2,
        Some(_) => true,
    }
}

fn pointer_tokens(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect()
}

/// What stands in the brackets of a dotted path, in order.
fn brackets(path: &str) -> Vec<&str> {
    path.split('[').skip(1).filter_map(|part| part.split(']').next()).collect()
}

/// Whether the field set holds the field that the pointer names. List items stand in it by their keys, which only the
/// dotted path has, so each place in a list takes the next of its brackets.
fn holds(fields: &Value, tokens: &[String], brackets: &[&str]) -> bool {
    let mut node = fields;
    let mut brackets = brackets.iter();
    for token in tokens {
        let Some(children) = node.as_object() else { return false };
        // A leaf above the field: the whole of it is held as one (atomic lists and maps).
        if children.is_empty() {
            return true;
        }
        let next = match children.get(&format!("f:{token}")) {
            Some(child) => Some(child),
            None if token.parse::<u64>().is_ok() || token == "-" => {
                item(children, token, brackets.next().copied())
            }
            None => None,
        };
        match next {
            Some(child) => node = child,
            None => return false,
        }
    }
    node.is_object()
}

fn item<'a>(children: &'a Map<String, Value>, place: &str, bracket: Option<&str>) -> Option<&'a Value> {
    children.iter().find_map(|(step, child)| {
        let matches = match parse_step(step).ok()? {
            PathElement::Field(_) => false,
            PathElement::Index(index) => index.to_string() == place,
            element @ (PathElement::Key(_) | PathElement::Value(_)) => is_named(&element, bracket?),
        };
        matches.then_some(child)
    })
}

/// Whether brackets name a list item: all its keys (`8080/TCP`, in any order), or the first of them that people read (`8080`).
fn is_named(element: &PathElement, bracket: &str) -> bool {
    let whole = element.bracket().unwrap_or_default();
    if whole == bracket {
        return true;
    }
    let given: BTreeSet<&str> =
        bracket.split(['/', ',']).map(|part| part.rsplit('=').next().unwrap_or(part)).collect();
    let keys: BTreeSet<&str> = whole.split('/').collect();
    given.is_subset(&keys)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "time": "2026-11-21T12:00:00Z", "fieldsV1": fields})
    }

    fn change(path: &str, pointer: &str) -> FieldChange {
        FieldChange { path: path.into(), pointer: pointer.into(), old: None, new: None }
    }

    fn blamed(change: FieldChange, fields: &Value) -> bool {
        !blame(&[change], &json!([entry("kubectl-edit", "Update", fields)])).is_empty()
    }

    #[test]
    fn the_holder_of_a_keyed_list_item_is_named() {
        let fields = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {
            "k:{\"name\":\"api\"}": {"f:image": {}, "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {"f:name": {}}}}
        }}}}});
        let spec = "/spec/template/spec/containers";
        let image = |name: &str| {
            change(&format!("spec.template.spec.containers[{name}].image"), &format!("{spec}/0/image"))
        };
        assert!(blamed(image("api"), &fields));
        assert!(!blamed(image("web"), &fields));
        for key in ["80", "80/TCP", "TCP/80"] {
            let port = format!("spec.template.spec.containers[api].ports[{key}].name");
            assert!(blamed(change(&port, &format!("{spec}/0/ports/3/name")), &fields), "{key}");
        }
        assert!(!blamed(
            change("spec.template.spec.containers[api].args", &format!("{spec}/0/args")),
            &fields
        ));
    }

    #[test]
    fn keys_with_dots_and_slashes_are_found() {
        let fields =
            json!({"f:metadata": {"f:labels": {"f:app.kubernetes.io/name": {}}}, "f:data": {"f:0": {}}});
        let label =
            change("metadata.labels.app.kubernetes.io/name", "/metadata/labels/app.kubernetes.io~1name");
        assert!(blamed(label, &fields));
        assert!(blamed(change("data.0", "/data/0"), &fields));
    }

    #[test]
    fn an_atomic_field_is_held_whole_and_a_map_by_any_of_its_keys() {
        let fields = json!({"f:spec": {"f:args": {}, "f:selector": {"f:app": {}}}});
        assert!(blamed(change("spec.args[1]", "/spec/args/1"), &fields));
        assert!(blamed(change("spec.selector", "/spec/selector"), &fields));
    }

    #[test]
    fn we_and_status_are_never_blamed() {
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        let mut status = entry("x", "Update", &replicas);
        status["subresource"] = json!("status");
        let managed =
            json!([entry("tidegate", "Apply", &replicas), status, entry("hand", "Update", &replicas)]);
        let found = blame(&[change("spec.replicas", "/spec/replicas")], &managed);
        assert_eq!(found.iter().map(|entry| entry.manager.as_str()).collect::<Vec<_>>(), ["hand"]);
    }

    #[test]
    fn added_fields_are_reported_with_their_manager() {
        let managed = json!([
            entry("tidegate", "Apply", &json!({"f:spec": {"f:replicas": {}}})),
            entry(
                "injector",
                "Update",
                &json!({
                    "f:metadata": {"f:annotations": {".": {}, "f:x/y": {}}, "f:finalizers": {"v:\"z\"": {}}},
                    "f:spec": {"f:replicas": {}, "f:paused": {}},
                    "f:status": {"f:ready": {}},
                })
            ),
            entry("kubelet", "Update", &json!({"f:spec": {"f:nodeName": {}}})),
        ]);
        let found: Vec<String> = foreign_fields(&managed, &AllowList::default())
            .into_iter()
            .map(|field| format!("{} {}", field.manager, field.path))
            .collect();
        assert_eq!(found, ["injector metadata.annotations.x/y", "injector spec.paused"]);
    }
}
