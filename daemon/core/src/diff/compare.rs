//! The walk over two values that finds the changed fields.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::keys::{self, KeyedLists};
use super::number::same_number;
use super::{FieldChange, MAX_DEPTH, quantities_equal};
use crate::secret::escape;

/// What the names above a value say about texts in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The object itself.
    Root,
    /// Data of the user's own: texts mean themselves.
    Opaque,
    /// Nothing special.
    Plain,
    /// Below `resources`, whose `limits` and `requests` are quantities.
    Resources,
    /// Quantities.
    Quantities,
}

impl Meaning {
    fn below(self, name: &str) -> Self {
        match self {
            Self::Root => match name {
                "data" | "stringData" | "binaryData" | "metadata" | "status" => Self::Opaque,
                _ => Self::Plain,
            },
            Self::Opaque => Self::Opaque,
            Self::Resources if matches!(name, "limits" | "requests") => Self::Quantities,
            Self::Plain | Self::Resources => match name {
                "resources" => Self::Resources,
                "capacity" | "hard" | "sizeLimit" | "divisor" => Self::Quantities,
                "annotations" | "labels" | "matchLabels" | "nodeSelector" => Self::Opaque,
                _ => Self::Plain,
            },
            Self::Quantities => Self::Quantities,
        }
    }
}

/// Where the walk stands: the path for people, and the pointers into both objects (list indexes differ).
#[derive(Debug, Clone)]
struct Place {
    path: String,
    old: String,
    new: String,
    meaning: Meaning,
    depth: usize,
}

impl Place {
    fn field(&self, name: &str) -> Self {
        let token = escape(name);
        Self {
            path: path_below(&self.path, name),
            old: format!("{}/{token}", self.old),
            new: format!("{}/{token}", self.new),
            meaning: self.meaning.below(name),
            depth: self.depth + 1,
        }
    }

    fn item(&self, label: &str, old_index: usize, new_index: usize) -> Self {
        Self {
            path: format!("{}[{label}]", self.path),
            old: format!("{}/{old_index}", self.old),
            new: format!("{}/{new_index}", self.new),
            meaning: self.meaning,
            depth: self.depth + 1,
        }
    }
}

/// The fields in which two objects differ: fields of a map by name, items of a list in the list's order.
pub fn diff(old: &Value, new: &Value) -> Vec<FieldChange> {
    let root = Place {
        path: String::new(),
        old: String::new(),
        new: String::new(),
        meaning: Meaning::Root,
        depth: 0,
    };
    let mut changes = Vec::new();
    compare(&root, "", Some(old), Some(new), &mut changes);
    changes
}

fn compare(
    place: &Place,
    field: &str,
    old: Option<&Value>,
    new: Option<&Value>,
    changes: &mut Vec<FieldChange>,
) {
    match (old, new) {
        (Some(old), Some(new)) if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) if place.depth < MAX_DEPTH => {
            compare_maps(place, old, new, changes);
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if place.depth < MAX_DEPTH => {
            compare_lists(place, field, old, new, changes);
        }
        (Some(old), Some(new)) if same_scalar(place.meaning, old, new) => {}
        (None, None) => {}
        (old, new) => changes.push(change(place, old, new)),
    }
}

fn change(place: &Place, old: Option<&Value>, new: Option<&Value>) -> FieldChange {
    let pointer = if new.is_some() { &place.new } else { &place.old };
    FieldChange { path: place.path.clone(), pointer: pointer.clone(), old: old.cloned(), new: new.cloned() }
}

fn compare_maps(
    place: &Place,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    changes: &mut Vec<FieldChange>,
) {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        if old.get(name) == new.get(name) {
            continue;
        }
        compare(&place.field(name), name, old.get(name), new.get(name), changes);
    }
}

fn compare_lists(place: &Place, field: &str, old: &[Value], new: &[Value], changes: &mut Vec<FieldChange>) {
    if let Some(keyed) = keys::keyed(field, old, new) {
        compare_by_key(place, &keyed, old, new, changes);
    } else if old.iter().chain(new).any(|item| item.is_object() || item.is_array()) {
        compare_by_position(place, old, new, changes);
    } else if !same_scalars(place.meaning, old, new) {
        let whole = |list: &[Value]| Some(Value::Array(list.to_vec()));
        changes.push(FieldChange {
            path: place.path.clone(),
            pointer: place.new.clone(),
            old: whole(old),
            new: whole(new),
        });
    }
}

fn compare_by_key(
    place: &Place,
    keyed: &KeyedLists,
    old: &[Value],
    new: &[Value],
    changes: &mut Vec<FieldChange>,
) {
    let old_places = keys::positions(&keyed.old);
    let new_places = keys::positions(&keyed.new);
    for (index, (key, item)) in keyed.old.iter().zip(old).enumerate() {
        if !new_places.contains_key(key.as_str()) {
            changes.push(change(&place.item(&printable(key), index, index), Some(item), None));
        }
    }
    for (index, (key, item)) in keyed.new.iter().zip(new).enumerate() {
        let old_index = old_places.get(key.as_str()).copied();
        let here = place.item(&printable(key), old_index.unwrap_or(index), index);
        compare(&here, "", old_index.and_then(|at| old.get(at)), Some(item), changes);
    }
    let kept_old: Vec<&String> =
        keyed.old.iter().filter(|key| new_places.contains_key(key.as_str())).collect();
    let kept_new: Vec<&String> =
        keyed.new.iter().filter(|key| old_places.contains_key(key.as_str())).collect();
    if kept_old != kept_new {
        let names =
            |keys: &[&String]| Some(Value::from(keys.iter().map(|key| (*key).clone()).collect::<Vec<_>>()));
        changes.push(FieldChange {
            path: format!("{} (order)", place.path),
            pointer: place.new.clone(),
            old: names(&kept_old),
            new: names(&kept_new),
        });
    }
}

fn compare_by_position(place: &Place, old: &[Value], new: &[Value], changes: &mut Vec<FieldChange>) {
    let (start, end) = equal_ends(old, new);
    let old_end = old.len() - end;
    let new_end = new.len() - end;
    for index in start..old_end.max(new_end) {
        let here = place.item(&index.to_string(), index, index);
        let within =
            |list: &'_ [Value], end: usize| (index < end).then(|| list.get(index).cloned()).flatten();
        compare(&here, "", within(old, old_end).as_ref(), within(new, new_end).as_ref(), changes);
    }
}

/// How many items are equal at the start, and how many of the rest are equal at the end.
pub(super) fn equal_ends(old: &[Value], new: &[Value]) -> (usize, usize) {
    let start = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - start;
    let end = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
    (start, end)
}

fn same_scalars(meaning: Meaning, old: &[Value], new: &[Value]) -> bool {
    old.len() == new.len()
        && old.iter().zip(new).all(|(old, new)| old == new || same_scalar(meaning, old, new))
}

fn same_scalar(meaning: Meaning, old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Number(old), Value::Number(new)) => same_number(old, new),
        (Value::String(_) | Value::Number(_), Value::String(_) | Value::Number(_)) => {
            meaning == Meaning::Quantities && quantities_equal(&scalar_text(old), &scalar_text(new))
        }
        _ => false,
    }
}

fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn path_below(path: &str, name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    match (plain, path.is_empty()) {
        (true, true) => name.to_owned(),
        (true, false) => format!("{path}.{name}"),
        (false, _) => format!("{path}[{}]", printable(name)),
    }
}

/// A name or key without characters that could play with a terminal.
fn printable(name: &str) -> String {
    if !name.contains(char::is_control) {
        return name.to_owned();
    }
    name.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
