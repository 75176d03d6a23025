//! Which managers hold a field together, and how one of them is left alone with it: what several hold stays until the last of
//! them lets go, in a list beside what takes its place.

use serde_json::{Map, Value};

use super::entry::Entry;
use super::fields::union;

/// True when the Apply entry of `manager` holds this field.
pub fn holds(managed_fields: &Value, manager: &str, path: &[&str]) -> bool {
    let entries = managed_fields.as_array();
    entries.into_iter().flatten().any(|value| is_apply_of(value, manager) && at(value, path).is_some())
}

/// The managed fields in which `manager` alone holds these fields; none where it already does, or does not hold all of them
/// (they would be nobody's then, and stay for ever).
pub fn sole_owner(managed_fields: &Value, manager: &str, paths: &[&[&str]]) -> Option<Value> {
    if !paths.iter().all(|path| holds(managed_fields, manager, path)) {
        return None;
    }
    let mut changed = false;
    let mut kept = Vec::new();
    for value in managed_fields.as_array()? {
        let mut value = value.clone();
        if !is_apply_of(&value, manager)
            && let Some(fields) = value.get_mut("fieldsV1").and_then(Value::as_object_mut)
        {
            changed |= paths.iter().filter(|path| removed(fields, path)).count() > 0;
            if fields.is_empty() {
                continue;
            }
        }
        kept.push(value);
    }
    changed.then_some(Value::Array(kept))
}

/// The managed fields in which the Apply entry of `from` is merged into that of `into`; none where there is none.
pub fn handed_on(managed_fields: &Value, from: &str, into: &str) -> Option<Value> {
    let entries = managed_fields.as_array()?;
    let given = entries.iter().find(|value| is_apply_of(value, from))?;
    let mut kept: Vec<Value> = entries.iter().filter(|value| !is_apply_of(value, from)).cloned().collect();
    let fields = given.get("fieldsV1").and_then(Value::as_object).cloned().unwrap_or_default();
    let own = kept.iter_mut().find(|value| is_apply_of(value, into));
    if let Some(own) = own.and_then(|own| own.get_mut("fieldsV1")).and_then(Value::as_object_mut) {
        union(own, &fields);
    } else {
        let mut entry = given.clone();
        if let Some(entry) = entry.as_object_mut() {
            entry.insert("manager".to_owned(), Value::String(into.to_owned()));
        }
        kept.push(entry);
    }
    Some(Value::Array(kept))
}

fn is_apply_of(value: &Value, manager: &str) -> bool {
    let entry = Entry::read(value);
    entry.manager == manager && entry.operation == "Apply" && entry.subresource.is_empty()
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value.get("fieldsV1")?, |fields, step| fields.get(step))
}

/// Takes a field out, and what is empty above it.
fn removed(fields: &mut Map<String, Value>, path: &[&str]) -> bool {
    let Some((step, rest)) = path.split_first() else { return false };
    if rest.is_empty() {
        return fields.remove(*step).is_some();
    }
    let Some(child) = fields.get_mut(*step).and_then(Value::as_object_mut) else { return false };
    let was_there = removed(child, rest);
    if was_there && child.is_empty() {
        fields.remove(*step);
    }
    was_there
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PORTS: &[&str] = &["f:spec", "f:ports"];

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn ports() -> Value {
        json!({"f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}})
    }

    #[test]
    fn whoever_else_holds_a_field_lets_go_of_it() {
        let mut more = ports();
        more["f:spec"]["f:type"] = json!({});
        let managed = json!([
            entry("mover", "Apply", &ports()),
            entry("kubectl-client-side-apply", "Update", &more),
            entry("tidegate", "Apply", &ports()),
        ]);
        let alone = json!([
            entry("mover", "Apply", &ports()),
            entry("kubectl-client-side-apply", "Update", &json!({"f:spec": {"f:type": {}}})),
        ]);
        assert_eq!(sole_owner(&managed, "mover", &[PORTS]), Some(alone.clone()));
        assert_eq!(sole_owner(&alone, "mover", &[PORTS]), None, "it is alone");
    }

    #[test]
    fn nobody_lets_go_of_what_would_be_nobodys_then() {
        let managed = json!([entry("mover", "Update", &ports()), entry("tidegate", "Apply", &ports())]);
        assert_eq!(sole_owner(&managed, "mover", &[PORTS]), None);
        assert!(!holds(&managed, "mover", PORTS));
        assert!(holds(&managed, "tidegate", PORTS));
    }

    #[test]
    fn a_manager_that_goes_hands_its_fields_on() {
        let labels = json!({"f:metadata": {"f:labels": {"f:x": {}}}});
        let mut both = ports();
        both["f:metadata"] = labels["f:metadata"].clone();
        let managed = json!([entry("mover", "Apply", &ports()), entry("tidegate", "Apply", &labels)]);
        assert_eq!(
            handed_on(&managed, "mover", "tidegate"),
            Some(json!([entry("tidegate", "Apply", &both)]))
        );
        let alone = json!([entry("mover", "Apply", &ports())]);
        assert_eq!(
            handed_on(&alone, "mover", "tidegate"),
            Some(json!([entry("tidegate", "Apply", &ports())]))
        );
        assert_eq!(handed_on(&labels, "mover", "tidegate"), None);
    }
}
