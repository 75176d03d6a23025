//! Field managers as an API server keeps them, for objects of maps and scalars (lists are held whole): server-side apply
//! by force, ordinary updates, and `metadata.managedFields` in the real format, which the core reads.
#![allow(
    clippy::indexing_slicing,
    reason = "test material: an object without metadata is a bug and may say so"
)]

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// One field, by its names from the root.
pub type Path = Vec<String>;
/// The fields that somebody holds.
pub type Paths = BTreeSet<Path>;

/// Metadata that belongs to nobody: names, and what the server sets.
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

/// One entry of `managedFields`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    manager: String,
    operation: String,
    subresource: String,
    time: String,
    paths: Paths,
}

/// Who writes, how and when.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// The subresource, empty for the object itself.
    pub subresource: &'a str,
    /// To the second, as the server writes it.
    pub time: &'a str,
}

/// The object after a forced server-side apply of `body`; none when it changes nothing.
pub fn apply(live: Option<&Value>, body: &Value, writer: Writer<'_>) -> Option<Value> {
    let set = held(body);
    let mut after = live.cloned().unwrap_or_else(|| identity(body));
    for path in &set {
        put(&mut after, path, at(body, path).cloned().unwrap_or(Value::Null));
    }
    let mut entries = entries(&after);
    let own = |entry: &Entry| {
        entry.manager == writer.manager && entry.operation == "Apply" && entry.subresource.is_empty()
    };
    let before = entries.iter().position(own).map(|place| entries.remove(place));
    let before_paths = before.as_ref().map(|entry| entry.paths.clone()).unwrap_or_default();
    for path in before_paths.difference(&set) {
        if !entries.iter().any(|entry| entry.paths.contains(path)) {
            remove(&mut after, path);
        }
    }
    for entry in &mut entries {
        entry.paths.retain(|path| {
            let taken = set.contains(path) && live.is_some_and(|live| at(live, path) != at(&after, path));
            !taken && at(&after, path).is_some()
        });
    }
    let mut same = entries.clone();
    same.extend(before.clone());
    if live.is_some_and(|live| content(live) == content(&after))
        && before_paths == set
        && order(same) == order(self::entries(live.unwrap_or(&Value::Null)))
    {
        return None;
    }
    let time = writer.time.to_owned();
    let (manager, operation) = (writer.manager.to_owned(), "Apply".to_owned());
    entries.push(Entry { manager, operation, subresource: String::new(), time, paths: set });
    write(&mut after, entries);
    Some(after)
}

/// The object after an ordinary update to `after`; none when it changes nothing.
pub fn update(live: &Value, mut after: Value, writer: Writer<'_>) -> Option<Value> {
    let (old, new) = (all(live), all(&after));
    let changed: Paths = new.iter().filter(|path| at(live, path) != at(&after, path)).cloned().collect();
    let gone: Paths = old.difference(&new).cloned().collect();
    if changed.is_empty() && gone.is_empty() {
        return None;
    }
    let mut entries = entries(live);
    for entry in &mut entries {
        entry.paths.retain(|path| !changed.contains(path) && !gone.contains(path));
    }
    if !changed.is_empty() {
        let is_own = |entry: &Entry| {
            entry.manager == writer.manager
                && entry.operation == "Update"
                && entry.subresource == writer.subresource
        };
        let known = entries.iter().position(is_own).map(|place| entries.remove(place).paths);
        let mut paths = known.unwrap_or_default();
        paths.extend(changed);
        entries.push(Entry {
            manager: writer.manager.to_owned(),
            operation: "Update".to_owned(),
            subresource: writer.subresource.to_owned(),
            time: writer.time.to_owned(),
            paths,
        });
    }
    write(&mut after, entries);
    Some(after)
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
    held(wanted).iter().all(|path| at(live, path) == at(wanted, path))
}

/// The fields that an applied body names.
pub fn held(body: &Value) -> Paths {
    let mut paths = all(body);
    paths.retain(|path| path.first().is_none_or(|first| first != "status"));
    paths
}

fn all(object: &Value) -> Paths {
    let mut found = Paths::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        match key.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" => {
                let held = value.as_object().into_iter().flatten();
                for (key, value) in held.filter(|(key, _)| !UNHELD.contains(&key.as_str())) {
                    collect(value, &mut vec!["metadata".to_owned(), key.clone()], &mut found);
                }
            }
            _ => collect(value, &mut vec![key.clone()], &mut found),
        }
    }
    found
}

fn collect(value: &Value, path: &mut Path, found: &mut Paths) {
    match value.as_object().filter(|map| !map.is_empty()) {
        Some(map) => {
            for (key, child) in map {
                path.push(key.clone());
                collect(child, path, found);
                path.pop();
            }
        }
        None => drop(found.insert(path.clone())),
    }
}

fn identity(object: &Value) -> Value {
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
    path.iter().try_fold(object, |node, key| node.get(key))
}

/// Sets a field, with the maps above it.
pub fn put(object: &mut Value, path: &[String], value: Value) {
    let Some((key, rest)) = path.split_first() else {
        *object = value;
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    put(&mut object[key.as_str()], rest, value);
}

/// Removes a field, and the maps above it that it leaves empty.
pub fn remove(object: &mut Value, path: &[String]) {
    let Some((key, rest)) = path.split_first() else { return };
    let Some(map) = object.as_object_mut() else { return };
    if rest.is_empty() {
        map.remove(key);
        return;
    }
    if let Some(child) = map.get_mut(key) {
        remove(child, rest);
        if child.as_object().is_some_and(Map::is_empty) && key != "metadata" {
            map.remove(key);
        }
    }
}

fn entries(object: &Value) -> Vec<Entry> {
    let managed = object["metadata"]["managedFields"].as_array();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let read = |entry: &Value| Entry {
        manager: text(entry, "manager"),
        operation: text(entry, "operation"),
        subresource: text(entry, "subresource"),
        time: text(entry, "time"),
        paths: decode(&entry["fieldsV1"]),
    };
    managed.into_iter().flatten().map(read).collect()
}

fn order(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.retain(|entry| !entry.paths.is_empty());
    entries.sort_by(|a, b| {
        (&a.operation, &a.manager, &a.subresource).cmp(&(&b.operation, &b.manager, &b.subresource))
    });
    entries
}

fn write(object: &mut Value, entries: Vec<Entry>) {
    let written: Vec<Value> = order(entries)
        .into_iter()
        .map(|Entry { manager, operation, subresource, time, paths }| {
            let mut entry = json!({"manager": manager, "operation": operation, "time": time,
                "apiVersion": object["apiVersion"], "fieldsType": "FieldsV1", "fieldsV1": encode(&paths)});
            if !subresource.is_empty() {
                entry["subresource"] = json!(subresource);
            }
            entry
        })
        .collect();
    object["metadata"]["managedFields"] = Value::Array(written);
}

fn encode(paths: &Paths) -> Value {
    let mut fields = json!({});
    for path in paths {
        let steps: Path = path.iter().map(|step| format!("f:{step}")).collect();
        put(&mut fields, &steps, json!({}));
    }
    fields
}

fn decode(fields: &Value) -> Paths {
    let mut found = Paths::new();
    if fields.as_object().is_some_and(|fields| !fields.is_empty()) {
        collect(fields, &mut Vec::new(), &mut found);
    }
    let bare = |step: &String| step.strip_prefix("f:").unwrap_or(step).to_owned();
    found.iter().map(|path| path.iter().map(bare).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Writer<'_> = Writer { manager: "tidegate", subresource: "", time: "2026-11-21T12:00:00Z" };
    const HAND: Writer<'_> =
        Writer { manager: "kubectl-edit", subresource: "", time: "2026-11-21T12:00:09Z" };

    fn body(data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
    }

    fn managers(object: &Value) -> Vec<(String, usize)> {
        entries(object).into_iter().map(|entry| (entry.manager, entry.paths.len())).collect()
    }

    #[test]
    fn an_apply_that_changes_nothing_leaves_the_object_as_it_is() {
        let made = apply(None, &body(&json!({"x": "1"})), US).unwrap();
        assert_eq!(apply(Some(&made), &body(&json!({"x": "1"})), HAND.clone_as(US.manager)), None);
    }

    #[test]
    fn what_leaves_the_applied_body_leaves_the_object_unless_others_hold_it() {
        let made = apply(None, &body(&json!({"x": "1", "y": "1"})), US).unwrap();
        let less = apply(Some(&made), &body(&json!({"x": "1"})), US).unwrap();
        assert_eq!(less["data"], json!({"x": "1"}));
        let mut edited = made.clone();
        edited["data"]["y"] = json!("2");
        let edited = update(&made, edited, HAND).unwrap();
        assert_eq!(managers(&edited), [("tidegate".to_owned(), 1), ("kubectl-edit".to_owned(), 1)]);
        let kept = apply(Some(&edited), &body(&json!({"x": "1"})), US);
        assert_eq!(kept.unwrap_or(edited)["data"], json!({"x": "1", "y": "2"}));
    }

    #[test]
    fn a_forced_apply_takes_fields_back_and_leaves_what_others_added() {
        let made = apply(None, &body(&json!({"x": "1"})), US).unwrap();
        let mut edited = made.clone();
        edited["data"] = json!({"x": "2", "z": "added"});
        let edited = update(&made, edited, HAND).unwrap();
        let back = apply(Some(&edited), &body(&json!({"x": "1"})), US).unwrap();
        assert_eq!(back["data"], json!({"x": "1", "z": "added"}));
        assert_eq!(managers(&back), [("tidegate".to_owned(), 1), ("kubectl-edit".to_owned(), 1)]);
    }

    impl<'a> Writer<'a> {
        fn clone_as(self, manager: &'a str) -> Self {
            Self { manager, ..self }
        }
    }
}
