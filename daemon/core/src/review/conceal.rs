//! What is not shown: values of Secrets. Not even digests of them, which a short value could be guessed back from.

use serde_json::Value;

use crate::secret::{is_secret, replaced};

/// What stands in place of a value.
pub const CONCEALED: &str = "***";

/// The same shape with nothing in it: keys of maps stay, every scalar goes.
pub(super) fn conceal(value: &Value) -> Value {
    replaced(value, "/data", &stars)
}

/// An object for people: a Secret without its values, any other as it is.
pub(super) fn shown(object: &Value) -> Value {
    if is_secret(object) { replaced(object, "", &stars) } else { object.clone() }
}

fn stars(_: &Value) -> Value {
    Value::from(CONCEALED)
}
