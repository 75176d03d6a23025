//! The limit: a minimal client that applies objects side by side, and remembers, compares and repairs nothing.

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::board::{Key, resource};
use crate::shape::VERSION;

/// Requests side by side: more did not make it faster.
const IN_FLIGHT: usize = 32;

/// Applies everything (server-side, forced); answers when the last one was accepted.
pub async fn apply(client: &Client, objects: &[Value]) -> Result<()> {
    futures::stream::iter(objects)
        .map(|object| apply_one(client, object))
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<Vec<()>>()
        .await
        .map(drop)
}

/// Applies one object.
pub async fn apply_one(client: &Client, object: &Value) -> Result<()> {
    let (api, name) = place(client, object);
    let params = PatchParams::apply("raw").force();
    api.patch(&name, &params, &Patch::Apply(object))
        .await
        .with_context(|| format!("failed to apply {name}"))
        .map(drop)
}

/// Edits one field by hand, as `kubectl edit` would.
pub async fn edit(client: &Client, object: &Value, version: &str) -> Result<()> {
    let (api, name) = place(client, object);
    let params = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    let patch = json!({ "metadata": { "annotations": { VERSION: version } } });
    api.patch(&name, &params, &Patch::Merge(&patch))
        .await
        .with_context(|| format!("failed to edit {name}"))
        .map(drop)
}

/// Kind and name.
pub fn key(object: &Value) -> Key {
    (text(object, "/kind").to_owned(), text(object, "/metadata/name").to_owned())
}

fn place(client: &Client, object: &Value) -> (Api<DynamicObject>, String) {
    let version = text(object, "/apiVersion");
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource = resource(group, version, text(object, "/kind"));
    let namespace = text(object, "/metadata/namespace");
    (Api::namespaced_with(client.clone(), namespace, &resource), text(object, "/metadata/name").to_owned())
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
