//! Fields that an environment leaves to others: which pointers they are for one object, and what is sent instead.
//!
//! An ignored field stands in the apply that creates the object (git's value is where it begins). Afterwards it is left
//! out, unless our own entry still owns it: dropping an owned field would reset it (`replicas` to 1), so its *live*
//! value is repeated until somebody else has taken it over.

use std::sync::Arc;

use serde_json::Value;

use crate::desired::{Environment, IgnoreWhen};
use crate::drift::FIELD_MANAGER;
use crate::object::DesiredObject;

/// The annotation that names JSON pointers, separated by commas, spaces or line breaks.
pub const IGNORE: &str = "tidegate.dev/ignore";

/// The pointers of one object that are left to others: by the environment's rules and the object's own annotation.
pub fn pointers(
    environment: &Environment,
    object: &DesiredObject,
    all: &[Arc<DesiredObject>],
) -> Vec<String> {
    let reference = &object.reference;
    let mut pointers: Vec<String> = environment
        .ignore
        .iter()
        .filter(|rule| rule.kind == reference.gvk.kind)
        .filter(|rule| rule.name.as_ref().is_none_or(|name| *name == reference.name))
        .filter(|rule| match rule.when {
            IgnoreWhen::Always => true,
            IgnoreWhen::Hpa => all.iter().any(|other| scales(other, object)),
        })
        .flat_map(|rule| rule.pointers.iter().cloned())
        .collect();
    let annotation = object
        .value()
        .get("metadata")
        .and_then(|metadata| metadata.get("annotations")?.get(IGNORE)?.as_str());
    if let Some(text) = annotation {
        pointers.extend(crate::diff::pointers_of(text));
    }
    pointers.sort();
    pointers.dedup();
    pointers
}

/// True when `scaler` is a HorizontalPodAutoscaler whose target is `object`.
fn scales(scaler: &DesiredObject, object: &DesiredObject) -> bool {
    if scaler.reference.gvk.kind != "HorizontalPodAutoscaler"
        || scaler.reference.namespace != object.reference.namespace
    {
        return false;
    }
    let target = |key: &str| {
        scaler.value().get("spec").and_then(|spec| spec.get("scaleTargetRef")?.get(key)?.as_str())
    };
    target("kind") == Some(object.reference.gvk.kind.as_str())
        && target("name") == Some(object.reference.name.as_str())
}

/// What is sent for an object that exists as `live`: ignored fields left out, or at their live value where we own them.
pub fn body(desired: &Value, live: &Value, pointers: &[String]) -> Value {
    let mut body = crate::diff::without_pointers(desired, pointers);
    for pointer in pointers {
        if let Some(value) = live.pointer(pointer).filter(|_| owns(live, pointer)) {
            put(&mut body, pointer, value);
        }
    }
    body
}

/// True when our own Apply entry holds the field. Elements of lists cannot be told apart here and count as held.
fn owns(live: &Value, pointer: &str) -> bool {
    let entries = live.get("metadata").and_then(|metadata| metadata.get("managedFields")?.as_array());
    let ours = entries.into_iter().flatten().find(|entry| {
        entry.get("manager").and_then(Value::as_str) == Some(FIELD_MANAGER)
            && entry.get("operation").and_then(Value::as_str) == Some("Apply")
            && entry.get("subresource").is_none()
    });
    let Some(mut fields) = ours.and_then(|entry| entry.get("fieldsV1")) else { return false };
    for token in pointer.split('/').skip(1) {
        if token.parse::<u32>().is_ok() || token == "-" {
            return true;
        }
        let key = token.replace("~1", "/").replace("~0", "~");
        match fields.get(format!("f:{key}")) {
            Some(inner) => fields = inner,
            None => return false,
        }
    }
    true
}

/// Sets a field, making the maps around it; lists are not made.
fn put(body: &mut Value, pointer: &str, value: &Value) {
    let Some((parent, last)) = pointer.rsplit_once('/') else { return };
    let mut place = body;
    for token in parent.split('/').skip(1) {
        let key = token.replace("~1", "/").replace("~0", "~");
        place = match place {
            Value::Object(map) => map.entry(key).or_insert_with(|| Value::Object(serde_json::Map::new())),
            Value::Array(items) => match key.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                Some(item) => item,
                None => return,
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
        };
    }
    if let Value::Object(map) = place {
        map.insert(last.replace("~1", "/").replace("~0", "~"), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live(ours: &Value) -> Value {
        json!({
            "metadata": { "managedFields": [{ "manager": "tidegate", "operation": "Apply", "fieldsV1": ours }] },
            "spec": { "replicas": 7 },
        })
    }

    #[test]
    fn an_ignored_field_that_we_still_own_is_repeated_at_its_live_value() {
        let desired = json!({ "spec": { "replicas": 2, "paused": false } });
        let live = live(&json!({ "f:spec": { "f:replicas": {} } }));
        let sent = body(&desired, &live, &["/spec/replicas".to_owned()]);
        assert_eq!(sent, json!({ "spec": { "replicas": 7, "paused": false } }));
    }

    #[test]
    fn an_ignored_field_that_somebody_else_has_taken_over_is_left_out() {
        let desired = json!({ "spec": { "replicas": 2, "paused": false } });
        let live = live(&json!({ "f:spec": { "f:paused": {} } }));
        let sent = body(&desired, &live, &["/spec/replicas".to_owned()]);
        assert_eq!(sent, json!({ "spec": { "paused": false } }));
    }
}
