//! Field managers as an API server keeps them: server-side apply, by force or not, ordinary updates, and
//! `metadata.managedFields` in the real format. `tests/cluster_apply.rs` compares all of it with a real API server.
#![allow(
    clippy::indexing_slicing,
    reason = "test material: an object without metadata is a bug and may say so"
)]

use serde_json::{Value, json};

use super::fields::{
    Paths, all, at, content, decode, encode, held, identity, is_item_path, leaves, put, remove,
};

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

/// Whether an apply takes what others hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Force,
    /// It is refused where it would change that.
    Ask,
}

/// Others hold what would be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held(pub Paths);

/// The object after a server-side apply of `body`; none when it changes nothing.
pub fn apply(
    live: Option<&Value>,
    body: &Value,
    writer: Writer<'_>,
    mode: Mode,
) -> Result<Option<Value>, Held> {
    let set = held(body);
    let mut after = live.cloned().unwrap_or_else(|| identity(body));
    for path in leaves(&set) {
        put(&mut after, path, at(body, path).cloned().unwrap_or(Value::Null));
    }
    let mut entries = entries(&after);
    let own = |entry: &Entry| {
        entry.manager == writer.manager && entry.operation == "Apply" && entry.subresource.is_empty()
    };
    let before = entries.iter().position(own).map(|place| entries.remove(place));
    let before_paths = before.as_ref().map(|entry| entry.paths.clone()).unwrap_or_default();
    prune(&mut after, &before_paths, &set, &entries);
    default(&mut after);
    let taken: Paths = entries
        .iter()
        .flat_map(|entry| leaves(&entry.paths))
        .filter(|path| set.contains(*path) && live.is_some_and(|live| at(live, path) != at(&after, path)))
        .cloned()
        .collect();
    if mode == Mode::Ask && !taken.is_empty() {
        return Err(Held(taken));
    }
    for entry in &mut entries {
        entry.paths.retain(|path| !taken.contains(path) && at(&after, path).is_some());
    }
    let is_same = live.is_some_and(|live| content(live) == content(&after));
    let mut same = entries.clone();
    same.extend(before.clone());
    if is_same && before_paths == set && order(same) == order(self::entries(live.unwrap_or(&Value::Null))) {
        return Ok(None);
    }
    // Where only the holders change, the time stays, and one that held nothing before has none.
    let known = before.map(|entry| entry.time).unwrap_or_default();
    let time = if is_same { known } else { writer.time.to_owned() };
    let (manager, operation) = (writer.manager.to_owned(), "Apply".to_owned());
    entries.push(Entry { manager, operation, subresource: String::new(), time, paths: set });
    write(&mut after, entries);
    Ok(Some(after))
}

/// What leaves the applied body leaves the object, unless others hold it, or something inside.
fn prune(after: &mut Value, before: &Paths, set: &Paths, others: &[Entry]) {
    let is_held =
        |path: &[String]| others.iter().flat_map(|entry| &entry.paths).any(|other| other.starts_with(path));
    let gone = || before.difference(set).filter(|path| !is_held(path));
    // An item that goes takes what is inside with it.
    for path in gone().filter(|path| is_item_path(path)).chain(gone().filter(|path| !is_item_path(path))) {
        remove(after, path);
    }
}

/// What stands where nothing is said, of the fields that somebody here ever takes away.
fn default(object: &mut Value) {
    if object["kind"] == "Deployment" && object["spec"].is_object() && object["spec"]["replicas"].is_null() {
        object["spec"]["replicas"] = json!(1);
    }
    let ports = object.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter(|port| port["targetPort"].is_null()) {
        port["targetPort"] = port["port"].clone();
    }
}

/// The object after an ordinary create.
pub fn create(body: &Value, writer: Writer<'_>) -> Value {
    let nothing = identity(body);
    update(&nothing, body.clone(), writer).unwrap_or(nothing)
}

/// The object after an ordinary update to `after`; none when it changes nothing.
pub fn update(live: &Value, mut after: Value, writer: Writer<'_>) -> Option<Value> {
    default(&mut after);
    let (old, new) = (all(live), all(&after));
    let differs = |path: &&Vec<String>| {
        if is_item_path(path) { !old.contains(*path) } else { at(live, path) != at(&after, path) }
    };
    let changed: Paths = new.iter().filter(differs).cloned().collect();
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
            let mut entry = json!({"manager": manager, "operation": operation,
                "apiVersion": object["apiVersion"], "fieldsType": "FieldsV1", "fieldsV1": encode(&paths)});
            if !time.is_empty() {
                entry["time"] = json!(time);
            }
            if !subresource.is_empty() {
                entry["subresource"] = json!(subresource);
            }
            entry
        })
        .collect();
    object["metadata"]["managedFields"] = Value::Array(written);
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Writer<'_> = Writer { manager: "tidegate", subresource: "", time: "2026-11-21T12:00:00Z" };
    const LATER: Writer<'_> = Writer { time: "2026-11-21T12:00:09Z", ..US };
    const HAND: Writer<'_> = Writer { manager: "kubectl-edit", ..LATER };

    fn body(data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
    }

    fn workload(containers: &Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
            "spec": {"template": {"spec": {"containers": containers}}}})
    }

    fn forced(live: Option<&Value>, body: &Value) -> Option<Value> {
        apply(live, body, US, Mode::Force).unwrap()
    }

    fn managers(object: &Value) -> Vec<(String, usize)> {
        entries(object).into_iter().map(|entry| (entry.manager, entry.paths.len())).collect()
    }

    #[test]
    fn an_apply_that_changes_nothing_leaves_the_object_as_it_is() {
        let made = forced(None, &body(&json!({"x": "1"}))).unwrap();
        assert_eq!(apply(Some(&made), &body(&json!({"x": "1"})), LATER, Mode::Force), Ok(None));
    }

    #[test]
    fn what_leaves_the_applied_body_leaves_the_object_unless_others_hold_it() {
        let made = forced(None, &body(&json!({"x": "1", "y": "1"}))).unwrap();
        let less = forced(Some(&made), &body(&json!({"x": "1"}))).unwrap();
        assert_eq!(less["data"], json!({"x": "1"}));
        let mut edited = made.clone();
        edited["data"]["y"] = json!("2");
        let edited = update(&made, edited, HAND).unwrap();
        assert_eq!(managers(&edited), [("tidegate".to_owned(), 1), ("kubectl-edit".to_owned(), 1)]);
        let kept = forced(Some(&edited), &body(&json!({"x": "1"})));
        assert_eq!(kept.unwrap_or(edited)["data"], json!({"x": "1", "y": "2"}));
    }

    #[test]
    fn a_forced_apply_takes_fields_back_and_leaves_what_others_added() {
        let made = forced(None, &body(&json!({"x": "1"}))).unwrap();
        let mut edited = made.clone();
        edited["data"] = json!({"x": "2", "z": "added"});
        let edited = update(&made, edited, HAND).unwrap();
        let asked = apply(Some(&edited), &body(&json!({"x": "1"})), US, Mode::Ask);
        assert_eq!(asked, Err(Held(Paths::from([crate::world::fields::path(&["data", "x"])]))));
        let back = forced(Some(&edited), &body(&json!({"x": "1"}))).unwrap();
        assert_eq!(back["data"], json!({"x": "1", "z": "added"}));
        assert_eq!(managers(&back), [("tidegate".to_owned(), 1), ("kubectl-edit".to_owned(), 1)]);
    }

    #[test]
    fn items_of_a_list_are_held_one_by_one() {
        let ours = json!([{"name": "main", "image": "web:1"}]);
        let made = forced(None, &workload(&ours)).unwrap();
        let sidecar = workload(&json!([{"name": "sidecar", "image": "proxy:1"}]));
        let both = apply(Some(&made), &sidecar, HAND, Mode::Ask).unwrap().unwrap();
        let names = |object: &Value| -> Vec<Value> {
            let items = object["spec"]["template"]["spec"]["containers"].as_array().unwrap();
            items.iter().map(|item| item["name"].clone()).collect()
        };
        assert_eq!(names(&both), ["main", "sidecar"]);
        let changed = forced(Some(&both), &workload(&json!([{"name": "main", "image": "web:2"}]))).unwrap();
        assert_eq!(names(&changed), ["main", "sidecar"]);
        let other = workload(&json!([{"name": "other", "image": "proxy:1"}]));
        let replaced = apply(Some(&changed), &other, HAND, Mode::Ask).unwrap().unwrap();
        assert_eq!(names(&replaced), ["main", "other"]);
        let fields = &entries(&made)[0].paths;
        assert_eq!(decode(&encode(fields)), *fields);
    }
}
