//! Fields as an API server tells them apart: by name in maps, by their keys in lists of a kind that it merges item by item,
//! whole in every other list. Written as in `metadata.managedFields`, which the core reads.
#![allow(
    clippy::indexing_slicing,
    reason = "test material: an object without metadata is a bug and may say so"
)]

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// One field or item of a list, by the steps from the root: `f:spec`, `f:containers`, `k:{"name":"main"}`.
pub type Path = Vec<String>;
/// The fields that somebody holds. An item of a list is one beside its fields.
pub type Paths = BTreeSet<Path>;

/// Metadata that belongs to nobody: names, and what the server sets. (It lets people hold finalizers; nobody here does.)
const UNHELD: [&str; 10] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "finalizers",
    "managedFields",
    "selfLink",
];
/// Names of keys, and what stands for one that is not given.
type Keys = &'static [(&'static str, Option<&'static str>)];
/// Lists that are merged item by item, by the name of the list.
const KEYED: [(&str, Keys); 3] = [
    ("f:containers", &[("name", None)]),
    ("f:env", &[("name", None)]),
    ("f:ports", &[("port", None), ("protocol", Some("TCP"))]),
];
/// Maps that are held whole.
const WHOLE: [[&str; 2]; 1] = [["f:spec", "f:selector"]];

/// The step to a field of a map.
pub fn field(name: &str) -> String {
    format!("f:{name}")
}

/// The path of a field below maps only.
pub fn path(names: &[&str]) -> Path {
    names.iter().map(|name| field(name)).collect()
}

/// The step to an item of a list; none for a list that is held whole.
fn item(list: &[String], item: &Value) -> Option<String> {
    let keys = list.last().and_then(|last| KEYED.iter().find(|(name, _)| name == last));
    let (_, keys) = keys?;
    let value = |(key, otherwise): &(&str, Option<&str>)| {
        let value = item.get(*key).cloned().or_else(|| otherwise.map(Value::from));
        ((*key).to_owned(), value.unwrap_or(Value::Null))
    };
    let keys: Map<String, Value> = keys.iter().map(value).collect();
    Some(format!("k:{}", Value::Object(keys)))
}

/// The keys that a step to an item names.
fn keys(step: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(step.strip_prefix("k:")?).ok()
}

fn is_item(candidate: &Value, keys: &Map<String, Value>) -> bool {
    let otherwise = |key: &str| if key == "protocol" { json!("TCP") } else { Value::Null };
    keys.iter().all(|(key, value)| *value == candidate.get(key).cloned().unwrap_or_else(|| otherwise(key)))
}

/// What people and controllers ask for: the object without status and without what the server sets.
pub fn content(object: &Value) -> Value {
    let mut content = identity(object);
    for path in held(object) {
        let value = at(object, &path).cloned().unwrap_or(Value::Null);
        put(&mut content, &path, value);
    }
    content
}

/// Every field that `wanted` asks for stands in `live` with that value.
pub fn covers(live: &Value, wanted: &Value) -> bool {
    leaves(&held(wanted)).all(|path| at(live, path) == at(wanted, path))
}

/// Those that are not items of lists.
pub fn leaves(paths: &Paths) -> impl Iterator<Item = &Path> {
    paths.iter().filter(|path| !is_item_path(path))
}

/// Whether this is an item of a list itself.
pub fn is_item_path(path: &[String]) -> bool {
    path.last().is_some_and(|last| last.starts_with("k:"))
}

/// The fields that an applied body names.
pub fn held(body: &Value) -> Paths {
    let mut paths = all(body);
    paths.retain(|path| path.first().is_none_or(|first| first != "f:status"));
    paths
}

/// The fields of an object, its status among them.
pub fn all(object: &Value) -> Paths {
    let mut found = Paths::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        match key.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" => {
                let held = value.as_object().into_iter().flatten();
                for (key, value) in held.filter(|(key, _)| !UNHELD.contains(&key.as_str())) {
                    collect(value, &mut path(&["metadata", key]), &mut found);
                }
            }
            _ => collect(value, &mut path(&[key]), &mut found),
        }
    }
    found
}

fn collect(value: &Value, path: &mut Path, found: &mut Paths) {
    let whole = WHOLE.iter().any(|whole| path.iter().map(String::as_str).eq(*whole));
    match value {
        Value::Object(map) if !map.is_empty() && !whole => {
            for (key, child) in map {
                path.push(field(key));
                collect(child, path, found);
                path.pop();
            }
        }
        Value::Array(items) if items.iter().any(|child| item(path, child).is_some()) => {
            for child in items {
                path.extend(item(path, child));
                found.insert(path.clone());
                collect(child, path, found);
                path.pop();
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => drop(found.insert(path.clone())),
    }
}

/// Its names, without anything else.
pub fn identity(object: &Value) -> Value {
    let mut metadata = Map::new();
    for key in ["name", "namespace"] {
        if let Some(text) = object["metadata"].get(key) {
            metadata.insert(key.to_owned(), text.clone());
        }
    }
    json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": metadata})
}

/// The value of a field.
pub fn at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |node, step| match keys(step) {
        Some(keys) => node.as_array()?.iter().find(|candidate| is_item(candidate, &keys)),
        None => node.get(step.strip_prefix("f:")?),
    })
}

/// Sets a field, with the maps and items above it.
pub fn put(object: &mut Value, path: &[String], value: Value) {
    let Some((step, rest)) = path.split_first() else {
        // An item keeps what stands in it.
        *object = value;
        return;
    };
    if let Some(keys) = keys(step) {
        if !object.is_array() {
            *object = json!([]);
        }
        let Some(items) = object.as_array_mut() else { return };
        let place = items.iter().position(|candidate| is_item(candidate, &keys));
        let place = place.unwrap_or_else(|| {
            items.push(Value::Object(given(&keys)));
            items.len() - 1
        });
        put(&mut items[place], rest, value);
        return;
    }
    if !object.is_object() {
        *object = json!({});
    }
    put(&mut object[step.strip_prefix("f:").unwrap_or(step)], rest, value);
}

/// The keys with which an item begins; one that stands for nothing given is left to the server.
fn given(keys: &Map<String, Value>) -> Map<String, Value> {
    keys.iter()
        .filter(|(key, _)| *key != "protocol")
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Removes a field, and the maps and lists above it that it leaves empty.
pub fn remove(object: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else { return };
    if let Some(keys) = keys(step) {
        let Some(items) = object.as_array_mut() else { return };
        let Some(place) = items.iter().position(|candidate| is_item(candidate, &keys)) else { return };
        if rest.is_empty() {
            items.remove(place);
        } else {
            remove(&mut items[place], rest);
        }
        return;
    }
    let name = step.strip_prefix("f:").unwrap_or(step);
    let Some(map) = object.as_object_mut() else { return };
    if rest.is_empty() {
        map.remove(name);
        return;
    }
    if let Some(child) = map.get_mut(name) {
        remove(child, rest);
        let empty =
            child.as_object().is_some_and(Map::is_empty) || child.as_array().is_some_and(Vec::is_empty);
        if empty && name != "metadata" {
            map.remove(name);
        }
    }
}

/// As `fieldsV1` has it.
pub fn encode(paths: &Paths) -> Value {
    let mut fields = json!({});
    for path in paths {
        let mut node = &mut fields;
        for step in path {
            node = &mut node[step.as_str()];
            if node.is_null() {
                *node = json!({});
            }
        }
        let inside = paths.range(path.clone()..).nth(1).is_some_and(|next| next.starts_with(path));
        if inside {
            node["."] = json!({});
        }
    }
    fields
}

/// From `fieldsV1`. Maps that are held beside their fields are not told: whether an empty one stays is not in this world.
pub fn decode(fields: &Value) -> Paths {
    let mut found = Paths::new();
    decode_below(fields, &mut Vec::new(), &mut found);
    found
}

fn decode_below(fields: &Value, path: &mut Path, found: &mut Paths) {
    for (step, child) in fields.as_object().into_iter().flatten() {
        if step == "." {
            if is_item_path(path) {
                found.insert(path.clone());
            }
            continue;
        }
        path.push(step.clone());
        if child.as_object().is_none_or(Map::is_empty) {
            found.insert(path.clone());
        }
        decode_below(child, path, found);
        path.pop();
    }
}
