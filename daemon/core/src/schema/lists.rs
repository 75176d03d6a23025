//! The items of lists: each one, and how server-side apply tells them apart (`x-kubernetes-list-type`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::node::{Array, Identity, Key, Library, Node, Shape};
use super::path::{self, Step};
use super::walk::{Walk, resolve, shown};
use crate::problem::{Code, Problem};

/// Checks every item, and the items against each other.
pub(super) fn check<'a>(walk: &mut Walk<'a>, items: &'a [Value], library: &'a Library, array: &'a Array) {
    for (index, item) in items.iter().enumerate() {
        walk.inside(Step::Index(index), item, library, array.item);
    }
    match &array.identity {
        Identity::Atomic => {}
        Identity::Set => {
            nulls(walk, items);
            repeated(walk, items, |item| Some(item.to_string()), shown);
        }
        Identity::Map(keys) => {
            nulls(walk, items);
            keyless(walk, items, library, array, keys);
            repeated(walk, items, |item| identity(item, keys), |item| described(item, keys));
        }
    }
}

/// `null` is no item of a list whose items are told apart.
fn nulls(walk: &mut Walk<'_>, items: &[Value]) {
    for (index, _) in items.iter().enumerate().filter(|(_, item)| item.is_null()) {
        walk.steps.push(Step::Index(index));
        let message = format!("{} must not be null", path::dotted(&walk.steps));
        walk.report(Problem::error(Code::FieldValue, message));
        walk.steps.pop();
    }
}

/// An item that has none of the fields by which it would be told apart is refused.
fn keyless<'a>(
    walk: &mut Walk<'a>,
    items: &[Value],
    library: &'a Library,
    array: &'a Array,
    keys: &'a [Key],
) {
    let Some(Node { shape: Shape::Object(object), .. }) = resolve(library, array.item) else { return };
    let Some(first) = keys.first().filter(|_| keys.iter().all(|key| key.default.is_none())) else { return };
    // Required key fields were already reported one by one.
    if keys.iter().any(|key| object.required.contains(&key.name)) {
        return;
    }
    let has_key = |item: &Value| keys.iter().any(|key| item.get(key.name.as_ref()).is_some());
    for (index, _) in items.iter().enumerate().filter(|(_, item)| item.is_object() && !has_key(item)) {
        walk.steps.push(Step::Index(index));
        walk.missing(&first.name);
        walk.steps.pop();
    }
}

/// A second item with the identity of an earlier one is refused.
fn repeated(
    walk: &mut Walk<'_>,
    items: &[Value],
    identity: impl Fn(&Value) -> Option<String>,
    describe: impl Fn(&Value) -> String,
) {
    if items.len() < 2 {
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate().filter(|(_, item)| !item.is_null()) {
        let Some(identity) = identity(item) else { continue };
        if seen.insert(identity) || walk.is_full() {
            continue;
        }
        walk.steps.push(Step::Index(index));
        let mut message = format!("{} repeats an earlier item of the list", path::dotted(&walk.steps));
        if !walk.is_secret() {
            message = format!("{message} ({})", describe(item));
        }
        walk.report(Problem::error(Code::FieldValue, message));
        walk.steps.pop();
    }
}

/// The key fields of an item, as one text; none when it is no mapping or has none of them (other rules speak then).
fn identity(item: &Value, keys: &[Key]) -> Option<String> {
    let map = item.as_object()?;
    let mut text = String::new();
    let mut known = false;
    for Key { name, default } in keys {
        let value = map.get(name.as_ref()).filter(|value| !value.is_null()).or(default.as_ref());
        known |= value.is_some();
        text.push_str(&value.unwrap_or(&Value::Null).to_string());
        text.push(',');
    }
    known.then_some(text)
}

fn described(item: &Value, keys: &[Key]) -> String {
    let given = keys.iter().filter_map(|key| Some((key, item.get(key.name.as_ref())?)));
    let parts: Vec<String> = given.map(|(key, value)| format!("{}: {}", key.name, shown(value))).collect();
    parts.join(", ")
}
