//! JSON as CEL sees it: whole numbers are `int`.

use std::collections::HashMap;
use std::sync::Arc;

use kube_cel::cel::Value;
use kube_cel::cel::objects::{Key, Map};
use serde_json::Value as Json;

use super::Sizes;

/// Recurses as deep as the value is; the budget of YAML bounds that.
pub fn of(json: &Json, sizes: &mut Sizes) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::UInt(number),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => {
            sizes.bytes += text.len() as u64;
            Value::String(Arc::new(text.clone()))
        }
        Json::Array(items) => {
            sizes.longest = sizes.longest.max(items.len() as u64);
            Value::List(Arc::new(items.iter().map(|item| of(item, sizes)).collect()))
        }
        Json::Object(entries) => {
            sizes.longest = sizes.longest.max(entries.len() as u64);
            let entry = |(key, value): (&String, &Json)| {
                sizes.bytes += key.len() as u64;
                (Key::String(Arc::new(key.clone())), of(value, sizes))
            };
            let map: HashMap<Key, Value> = entries.iter().map(entry).collect();
            Value::Map(Map { map: Arc::new(map) })
        }
    }
}
