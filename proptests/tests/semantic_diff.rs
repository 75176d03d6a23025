//! Properties of the semantic diff: equal objects have no changes, the patch gives exactly the new object, every change
//! is where it says it is, and nothing of a Secret's values gets out.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Number, Value, json};
use tidegate_core::diff::{FieldChange, diff, drift_changes, to_patch, without_pointers};
use tidegate_proptests::cases::Cases;

/// Names of fields: lists with merge keys, lists without, maps, and names that pointers must escape.
const FIELDS: [&str; 14] = [
    "metadata",
    "spec",
    "labels",
    "containers",
    "env",
    "ports",
    "volumes",
    "tolerations",
    "rules",
    "command",
    "data",
    "app.kubernetes.io/name",
    "~1tilde",
    "",
];

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..4_i64).prop_map(Value::from),
        (-6..7_i32).prop_map(|half| Value::from(f64::from(half) / 2.0)),
        select(vec!["", "a", "b", "1", "1000m", "true", "a/b", "~0"]).prop_map(Value::from),
    ]
}

/// Items that have merge keys, mostly different ones, sometimes the same ones.
fn keyed_item(inner: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    (select(vec!["a", "b", "c", "d", "e"]), 80..84_u16, select(vec![None, Some("TCP"), Some("UDP")]), inner)
        .prop_map(|(name, port, protocol, value)| {
            let mut item = json!({"name": name, "key": name, "containerPort": port, "value": value});
            if let (Some(fields), Some(protocol)) = (item.as_object_mut(), protocol) {
                fields.insert("protocol".to_owned(), json!(protocol));
            }
            item
        })
}

fn object() -> impl Strategy<Value = Value> {
    let tree = leaf().prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            3 => btree_map(select(FIELDS.to_vec()), inner.clone(), 0..6).prop_map(object_of),
            2 => vec(keyed_item(inner.clone().boxed()), 0..6).prop_map(Value::from),
            1 => vec(inner, 0..5).prop_map(Value::from),
        ]
    });
    btree_map(select(FIELDS.to_vec()), tree, 0..6).prop_map(object_of)
}

fn object_of(fields: BTreeMap<&'static str, Value>) -> Value {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

/// A small edit of an object, as people make them.
#[derive(Debug, Clone)]
enum Edit {
    Replace(Value),
    Remove(Index),
    Insert(Index, Value),
    Reverse,
    Rotate(Index),
    /// `1` becomes `1.0`.
    Respell,
}

fn edit() -> impl Strategy<Value = (Index, Edit)> {
    let what = prop_oneof![
        leaf().prop_map(Edit::Replace),
        any::<Index>().prop_map(Edit::Remove),
        (any::<Index>(), keyed_item(leaf().boxed())).prop_map(|(at, item)| Edit::Insert(at, item)),
        Just(Edit::Reverse),
        any::<Index>().prop_map(Edit::Rotate),
        Just(Edit::Respell),
    ];
    (any::<Index>(), what)
}

fn nodes(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                nodes(value, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), all);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                nodes(value, &format!("{at}/{index}"), all);
            }
        }
        _ => {}
    }
}

fn edited(value: &Value, edits: &[(Index, Edit)]) -> Value {
    let mut result = value.clone();
    for (place, edit) in edits {
        let mut all = Vec::new();
        nodes(&result, "", &mut all);
        let Some(node) = result.pointer_mut(place.get::<String>(&all)) else { continue };
        match (node, edit) {
            (Value::Array(items), Edit::Reverse) => items.reverse(),
            (Value::Array(items), Edit::Rotate(by)) if !items.is_empty() => {
                let by = by.index(items.len());
                items.rotate_left(by);
            }
            (Value::Array(items), Edit::Remove(at)) if !items.is_empty() => {
                items.remove(at.index(items.len()));
            }
            (Value::Array(items), Edit::Insert(at, item)) => {
                items.insert(at.index(items.len() + 1), item.clone());
            }
            (Value::Number(number), Edit::Respell) => {
                *number = number.as_f64().and_then(Number::from_f64).unwrap_or_else(|| number.clone());
            }
            (Value::Object(fields), Edit::Remove(at)) if !fields.is_empty() => {
                let name = fields.keys().nth(at.index(fields.len())).cloned().unwrap_or_default();
                fields.remove(&name);
            }
            (Value::Object(fields), Edit::Insert(at, item)) => {
                fields.insert(at.get(&FIELDS).to_string(), item.clone());
            }
            (
                node @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)),
                Edit::Replace(value),
            ) => {
                *node = value.clone();
            }
            _ => {}
        }
    }
    result
}

/// Two objects: mostly one and its edited copy, sometimes two that have nothing to do with each other.
fn pair() -> impl Strategy<Value = (Value, Value)> {
    prop_oneof![
        4 => (object(), vec(edit(), 0..6)).prop_map(|(old, edits)| {
            let new = edited(&old, &edits);
            (old, new)
        }),
        1 => (object(), object()),
    ]
}

/// An independent reading of "equal in meaning": numbers by value, everything else strictly.
fn meaning(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().and_then(Number::from_f64).map_or(Value::Null, |number| {
            if number.as_f64() == Some(0.0) { json!(0.0) } else { Value::Number(number) }
        }),
        Value::Array(items) => items.iter().map(meaning).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), meaning(value))).collect(),
        other => other.clone(),
    }
}

fn is_order(change: &FieldChange) -> bool {
    change.path.ends_with(" (order)")
}

fn mirrored(changes: Vec<FieldChange>) -> Vec<String> {
    let mut lines: Vec<String> = changes
        .into_iter()
        .map(|FieldChange { path, pointer: _, old, new }| format!("{path} {new:?} {old:?}"))
        .collect();
    lines.sort();
    lines
}

fn plain(changes: Vec<FieldChange>) -> Vec<String> {
    mirrored(
        changes
            .into_iter()
            .map(|FieldChange { path, pointer, old, new }| FieldChange { path, pointer, old: new, new: old })
            .collect(),
    )
}

proptest! {
    #![proptest_config(Cases::USUAL.config())]

    #[test]
    fn equal_objects_have_no_changes_and_an_empty_patch(object in object()) {
        let copy = object.clone();
        prop_assert!(diff(&object, &copy).is_empty());
        prop_assert!(to_patch(&object, &copy).0.is_empty());
        prop_assert!(drift_changes(&object, &copy, b"key").is_empty());
    }

    #[test]
    fn the_patch_applied_to_the_old_object_gives_exactly_the_new_one((old, new) in pair()) {
        let mut patched = old.clone();
        json_patch::patch(&mut patched, &to_patch(&old, &new)).expect("our own patch applies");
        prop_assert_eq!(&patched, &new);
        prop_assert!(diff(&patched, &new).is_empty());
    }

    #[test]
    fn no_changes_mean_equal_in_meaning_and_nothing_else((old, new) in pair()) {
        prop_assert_eq!(diff(&old, &new).is_empty(), meaning(&old) == meaning(&new));
    }

    #[test]
    fn every_change_stands_where_its_pointer_says((old, new) in pair()) {
        for change in diff(&old, &new).iter().filter(|change| !is_order(change)) {
            let (object, value) = if change.new.is_some() { (&new, &change.new) } else { (&old, &change.old) };
            prop_assert_eq!(object.pointer(&change.pointer), value.as_ref());
        }
    }

    #[test]
    fn the_way_back_is_the_mirror_of_the_way_there((old, new) in pair()) {
        prop_assert_eq!(plain(diff(&old, &new)), mirrored(diff(&new, &old)));
    }

    #[test]
    fn a_shuffled_keyed_list_changes_only_in_its_order(
        (names, shuffled) in Just(vec!["a", "b", "c", "d", "e", "f"]).prop_flat_map(|names| {
            (Just(names.clone()), Just(names).prop_shuffle())
        }),
    ) {
        let list = |names: &[&str]| {
            let items: Vec<Value> = names.iter().map(|name| json!({"name": name, "image": format!("{name}:1")})).collect();
            json!({"spec": {"containers": items}})
        };
        let changes = diff(&list(&names), &list(&shuffled));
        prop_assert_eq!(changes.len(), usize::from(names != shuffled));
        prop_assert!(changes.iter().all(is_order));
    }

    #[test]
    fn no_value_of_a_secret_is_in_its_changes(
        old in btree_map("[a-z]{1,3}", "[A-Z]{12}", 0..5),
        new in btree_map("[a-z]{1,3}", "[A-Z]{12}", 0..5),
        gains_its_data: bool,
    ) {
        let secret = |data: &BTreeMap<String, String>| json!({"apiVersion": "v1", "kind": "Secret", "data": data});
        let mut live = secret(&old);
        if gains_its_data {
            live = json!({"apiVersion": "v1", "kind": "Secret"});
        }
        let changes = drift_changes(&live, &secret(&new), b"key");
        let text = serde_json::to_string(&changes).expect("changes are JSON");
        for value in old.values().chain(new.values()) {
            prop_assert!(!text.contains(value.as_str()), "{text}");
        }
        let differ = gains_its_data || old != new;
        prop_assert_eq!(!changes.is_empty(), differ);
    }

    #[test]
    fn ignored_fields_go_and_nothing_else_does(object in object(), places in vec(any::<Index>(), 0..4)) {
        let mut all = Vec::new();
        nodes(&object, "", &mut all);
        let ignored: Vec<String> = places.iter().map(|place| place.get(&all).clone()).collect();
        let rest = without_pointers(&object, &ignored);
        let mut left = Vec::new();
        nodes(&rest, "", &mut left);
        let below = |at: &str, root: &str| at == root || at.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
        let is_leaf = |at: &str| !all.iter().any(|other| other != at && below(other, at));
        let gone = |at: &str| ignored.iter().any(|root| !root.is_empty() && below(at, root));
        let kept = all.iter().filter(|at| is_leaf(at) && !gone(at)).count();
        let leaves = left.iter().filter(|at| !left.iter().any(|other| other != *at && below(other, at))).count();
        // An object that lost everything is one empty leaf.
        prop_assert_eq!(leaves, kept.max(1));
    }
}
