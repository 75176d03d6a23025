//! Whether a document is a Kubernetes object, and which.

use crate::object::{Gvk, ObjectRef};
use crate::problem::{Code, Problem};
use crate::render::Draft;
use serde_json::Value;

use super::names;

/// The group whose objects may have names that are no DNS names.
const RBAC: &str = "rbac.authorization.k8s.io";
/// What the server sets, and manifests may not ask for.
const SERVER_SET: &[&str] = &[
    "uid",
    "resourceVersion",
    "managedFields",
    "creationTimestamp",
    "generation",
    "selfLink",
    "deletionTimestamp",
];

/// The name of an object, with the namespace as it is written.
pub fn of(draft: &Draft) -> Result<ObjectRef, Box<Problem>> {
    let refuse = |pointer: &str, message: &str| {
        Box::new(Problem::error(Code::NotAnObject, message).at(draft.spans.locate(pointer)))
    };
    let text =
        |pointer: &str| draft.value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    if !draft.value.is_object() {
        return Err(refuse("", "the document is not a Kubernetes object: it is no mapping"));
    }
    if draft.value.pointer("/sops/mac").is_some() {
        let message = "the document is encrypted with SOPS, which comes with a later version";
        return Err(Box::new(Problem::error(Code::NotSupported, message).at(draft.spans.locate("/sops"))));
    }
    let (Some(api_version), Some(kind)) = (text("/apiVersion"), text("/kind")) else {
        let problem = refuse("", "the document is not a Kubernetes object: apiVersion or kind is missing");
        return Err(Box::new(
            problem.help("files of other tools belong outside of the sources, or begin with a dot"),
        ));
    };
    if draft.value.pointer("/metadata/generateName").is_some() {
        let message = "`generateName` makes a new object each time, and has no place in desired state";
        let problem =
            Problem::error(Code::GenerateName, message).at(draft.spans.locate("/metadata/generateName"));
        return Err(Box::new(problem.field("metadata.generateName").help("give it a `name`")));
    }
    let Some(name) = text("/metadata/name") else {
        return Err(refuse("/metadata", "metadata.name is missing"));
    };
    let gvk = Gvk::from_api_version(api_version, kind);
    let valid = if gvk.group == RBAC { names::is_path_segment(name) } else { names::is_subdomain(name) };
    if !valid {
        let message = format!("`{}` is not a name for a {kind}", name.escape_debug());
        return Err(refuse("/metadata/name", &message));
    }
    let namespace = text("/metadata/namespace").map(str::to_owned);
    if namespace.as_deref().is_some_and(|namespace| !names::is_label(namespace)) {
        return Err(refuse("/metadata/namespace", "metadata.namespace is not the name of a namespace"));
    }
    Ok(ObjectRef { gvk, namespace, name: name.to_owned() })
}

/// Drops what only the server sets. Empty ones (`status: {}`, `creationTimestamp: null`) are what generators write, and
/// nothing is said about them. Other nulls stay, as with kubectl.
pub fn drop_server_set(draft: &mut Draft, problems: &mut Vec<Problem>) {
    let mut dropped = Vec::new();
    if let Some(object) = draft.value.as_object_mut() {
        dropped.extend(object.remove("status").map(|value| ("status", value)));
    }
    if let Some(metadata) = draft.value.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        dropped.extend(SERVER_SET.iter().filter_map(|key| Some((*key, metadata.remove(*key)?))));
    }
    for (key, value) in dropped {
        if value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty) {
            continue;
        }
        let (pointer, field) = match key {
            "status" => ("/status".to_owned(), key.to_owned()),
            key => (format!("/metadata/{key}"), format!("metadata.{key}")),
        };
        let message = format!("{field} is set by the server and is not sent");
        problems
            .push(Problem::warning(Code::FieldValue, message).at(draft.spans.locate(&pointer)).field(field));
    }
}
