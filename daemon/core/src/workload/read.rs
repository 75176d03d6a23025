//! Values of manifests. What is of the wrong type is not there: the schema says what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::names::is_record;
use crate::location::Location;
use crate::object::DesiredObject;
use crate::policy::{LabelExpression, LabelOperator, LabelSelector};
use crate::problem::{Code, Problem};

/// A text that is not empty.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The items of a list.
pub(super) fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// The items of a list, to change.
pub(super) fn items_mut<'a>(
    value: &'a mut Value,
    pointer: &str,
) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    value.pointer_mut(pointer).and_then(Value::as_array_mut).into_iter().flatten()
}

/// A number that a count can be.
pub(super) fn count(value: &Value, pointer: &str) -> Option<u32> {
    value.pointer(pointer).and_then(Value::as_u64).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

/// True where `true` stands.
pub(super) fn is_set(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool) == Some(true)
}

/// A map of texts.
pub(super) fn texts(value: &Value, pointer: &str) -> BTreeMap<String, String> {
    let entries = value.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// What an annotation says, or a label where there is no such annotation.
pub(super) fn says<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    annotation(object, key).or_else(|| object.pointer("/metadata/labels")?.get(key)?.as_str())
}

/// What an annotation says.
pub(super) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

/// The pointer to what [`says`] reads.
pub(super) fn place_of(object: &Value, key: &str) -> String {
    let map = if annotation(object, key).is_some() { "annotations" } else { "labels" };
    format!("/metadata/{map}/{}", crate::secret::escape(key))
}

/// A selector with `matchLabels` and `matchExpressions`; none where an operator is unknown.
pub(super) fn selector(value: &Value) -> Option<LabelSelector> {
    let expressions = items(value, "/matchExpressions").map(expression).collect::<Option<Vec<_>>>()?;
    Some(LabelSelector { labels: texts(value, "/matchLabels"), expressions })
}

fn expression(value: &Value) -> Option<LabelExpression> {
    let values: BTreeSet<String> =
        items(value, "/values").filter_map(Value::as_str).map(str::to_owned).collect();
    let operator = match text(value, "/operator")? {
        "In" => LabelOperator::In(values),
        "NotIn" => LabelOperator::NotIn(values),
        "Exists" => LabelOperator::Exists,
        "DoesNotExist" => LabelOperator::DoesNotExist,
        _ => return None,
    };
    Some(LabelExpression { key: text(value, "/key")?.to_owned(), operator })
}

/// The map under a key, made where there is none.
pub(super) fn map_at<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Map<String, Value>> {
    let entry = value.as_object_mut()?.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !entry.is_object() {
        *entry = Value::Object(Map::new());
    }
    entry.as_object_mut()
}

/// Takes out the annotations by which a manifest would pass for an object with a record of ours: evidence is not git's to write.
pub(super) fn drop_records(object: &mut Value) {
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.retain(|name, _| !is_record(name));
    }
}

/// JSON with the keys of every map in order, whatever order the map keeps.
pub(super) fn canonical(value: &Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    value.to_string()
}

/// Something in an object keeps it from rolling out.
pub(super) fn refuse(
    code: Code,
    object: &DesiredObject,
    pointer: &str,
    message: impl Into<String>,
) -> Problem {
    Problem::error(code, message).at(place(object, pointer)).object(&object.reference)
}

/// Where something of an object stands.
pub(super) fn place(object: &DesiredObject, pointer: &str) -> Location {
    object.spans.locate(pointer)
}
