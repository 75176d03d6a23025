//! What is not shown: values of Secrets. Not even digests of them, which a short value could be guessed back from.

use serde_json::Value;

/// What stands in place of a value.
pub const CONCEALED: &str = "***";

/// Deeper values are concealed as wholes.
const MAX_DEPTH: usize = 96;

/// Where `kubectl apply` leaves a copy of the whole object.
const LAST_APPLIED: &str = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";

/// Whether what stands under this pointer of a Secret is a value of it.
pub(super) fn is_value(pointer: &str) -> bool {
    let top = pointer.split('/').nth(1).unwrap_or_default();
    matches!(top, "data" | "stringData") || pointer == LAST_APPLIED
}

/// The same shape with nothing in it: keys of maps stay, every scalar goes.
pub(super) fn conceal(value: &Value) -> Value {
    concealed(value, MAX_DEPTH)
}

fn concealed(value: &Value, left: usize) -> Value {
    match value {
        Value::Object(fields) if left > 0 => {
            fields.iter().map(|(name, value)| (name.clone(), concealed(value, left - 1))).collect()
        }
        Value::Array(items) if left > 0 => items.iter().map(|item| concealed(item, left - 1)).collect(),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Object(_)
        | Value::Array(_) => Value::from(CONCEALED),
    }
}

/// An object for people: a Secret without its values, any other as it is.
pub(super) fn shown(object: &Value) -> Value {
    if !is_secret(object) {
        return object.clone();
    }
    let mut shown = object.clone();
    for name in ["data", "stringData"] {
        if let Some(values) = shown.get_mut(name) {
            *values = conceal(values);
        }
    }
    if let Some(copy) = shown.pointer_mut(LAST_APPLIED) {
        *copy = Value::from(CONCEALED);
    }
    shown
}

/// Whether the object is a Secret of the core group.
pub(super) fn is_secret(object: &Value) -> bool {
    let text = |name| object.get(name).and_then(Value::as_str);
    text("kind") == Some("Secret") && text("apiVersion").is_none_or(|version| !version.contains('/'))
}
