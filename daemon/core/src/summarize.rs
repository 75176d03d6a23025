//! From an object as the API server sends it to the compact [`LiveObject`] that planning needs.

use std::collections::BTreeMap;

use crate::drift::ManagedSummary;
use crate::health::{self, Health};
use crate::inventory::{PRUNE, PRUNE_DISABLED};
use crate::object::{Gvk, ObjectId, Scope};
use crate::observed::{LiveObject, ownership};
use serde_json::Value;

/// Longest health reason that is kept; the rest says nothing that people read.
const REASON_CAP: usize = 500;

/// How much of an object was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Only metadata: health is not judged.
    Metadata,
    /// The whole object.
    Whole,
}

/// How much of a kind's objects is watched and read.
pub fn detail_of(gvk: &Gvk) -> Detail {
    if health::has_rule(gvk) { Detail::Whole } else { Detail::Metadata }
}

/// The id of an object that was read as `gvk`; none when it has no name.
pub fn id_of(gvk: &Gvk, scope: Scope, object: &Value) -> Option<ObjectId> {
    let metadata = object.get("metadata")?;
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).map(str::to_owned);
    let namespace = match scope {
        Scope::Namespaced => text("namespace"),
        Scope::Cluster => None,
    };
    Some(ObjectId { group: gvk.group.clone(), kind: gvk.kind.clone(), namespace, name: text("name")? })
}

/// The compact form of a live object.
pub fn summarize(gvk: &Gvk, detail: Detail, object: &Value) -> LiveObject {
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let finalizers = metadata
        .get("finalizers")
        .and_then(Value::as_array)
        .map(|all| all.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    let annotations = texts(metadata, "annotations");
    let (health, podless) = match detail {
        Detail::Metadata => (None, false),
        Detail::Whole => assess(gvk, object),
    };
    let kept = match detail {
        Detail::Whole if health::is_custom(gvk) => health::kept(object),
        Detail::Whole | Detail::Metadata => None,
    };
    LiveObject {
        api_version: gvk.api_version(),
        uid: text("uid"),
        resource_version: text("resourceVersion"),
        deleting: metadata.get("deletionTimestamp").is_some(),
        finalizers,
        ownership: ownership(&texts(metadata, "labels"), &annotations),
        prune_disabled: annotations.get(PRUNE).is_some_and(|value| value == PRUNE_DISABLED),
        managed: ManagedSummary::parse(metadata.get("managedFields").unwrap_or(&Value::Null)),
        health,
        kept,
        podless,
    }
}

/// Its health, and whether it is podless. Items of a list carry neither `apiVersion` nor `kind`, and both depend on them.
fn assess(gvk: &Gvk, object: &Value) -> (Option<Health>, bool) {
    let judged = |whole: &Value| (Some(capped(health::assess(whole))), health::is_podless(whole));
    if object.get("kind").is_some() {
        return judged(object);
    }
    let mut whole = object.clone();
    if let Some(map) = whole.as_object_mut() {
        map.insert("apiVersion".to_owned(), Value::from(gvk.api_version()));
        map.insert("kind".to_owned(), Value::from(gvk.kind.as_str()));
    }
    judged(&whole)
}

fn capped(mut health: Health) -> Health {
    if health.reason.len() > REASON_CAP {
        let end = health.reason.char_indices().map(|(at, _)| at).take_while(|at| *at <= REASON_CAP).last();
        health.reason.truncate(end.unwrap_or(0));
        health.reason.push('…');
    }
    health
}

fn texts(metadata: &Value, key: &str) -> BTreeMap<String, String> {
    let entries = metadata.get(key).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}
