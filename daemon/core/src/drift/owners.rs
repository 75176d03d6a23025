//! Which managers hold a field together, and how one of them is left alone with it: what several hold stays until the last of
//! them lets go, in a list beside what takes its place.

use serde_json::{Map, Value};

use super::entry::Entry;
use super::fields::union;
use super::migrate::take;

/// The managed fields in which the Apply entry of `manager` holds whatever anybody holds of these fields, and nobody else does;
/// none where that is so. Handed on, not dropped: what nobody holds no apply removes.
pub fn sole_owner(managed_fields: &Value, manager: &str, paths: &[&[&str]]) -> Option<Value> {
    let mut moved = Map::new();
    let mut model = None;
    let mut kept = Vec::new();
    for value in managed_fields.as_array()? {
        let mut rest = value.clone();
        if !is_apply_of(value, manager)
            && Entry::read(value).subresource.is_empty()
            && let Some(fields) = rest.get_mut("fieldsV1").and_then(Value::as_object_mut)
        {
            let mut taken = Map::new();
            for path in paths {
                take(fields, path, &mut taken);
            }
            if !taken.is_empty() {
                union(&mut moved, &taken);
                model.get_or_insert(value);
            }
            if fields.is_empty() {
                continue;
            }
        }
        kept.push(rest);
    }
    merge(&mut kept, manager, model?, moved);
    Some(Value::Array(kept))
}

/// Adds fields to the Apply entry of `manager`, which is made after `model` where there is none.
fn merge(entries: &mut Vec<Value>, manager: &str, model: &Value, fields: Map<String, Value>) {
    let own = entries.iter_mut().find(|value| is_apply_of(value, manager));
    if let Some(own) = own.and_then(|own| own.get_mut("fieldsV1")).and_then(Value::as_object_mut) {
        union(own, &fields);
        return;
    }
    let mut entry = model.clone();
    if let Some(entry) = entry.as_object_mut() {
        entry.insert("manager".to_owned(), Value::String(manager.to_owned()));
        entry.insert("operation".to_owned(), Value::String("Apply".to_owned()));
        entry.insert("fieldsV1".to_owned(), Value::Object(fields));
    }
    entries.push(entry);
}

/// The managed fields in which the Apply entry of `from` is merged into that of `into`; none where there is none.
pub fn handed_on(managed_fields: &Value, from: &str, into: &str) -> Option<Value> {
    let entries = managed_fields.as_array()?;
    let given = entries.iter().find(|value| is_apply_of(value, from))?;
    let mut kept: Vec<Value> = entries.iter().filter(|value| !is_apply_of(value, from)).cloned().collect();
    let fields = given.get("fieldsV1").and_then(Value::as_object).cloned().unwrap_or_default();
    merge(&mut kept, into, given, fields);
    Some(Value::Array(kept))
}

fn is_apply_of(value: &Value, manager: &str) -> bool {
    let entry = Entry::read(value);
    entry.manager == manager && entry.operation == "Apply" && entry.subresource.is_empty()
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
    fn what_only_others_hold_is_the_movers_then_so_that_its_apply_removes_it() {
        let added = json!({"f:spec": {"f:ports": {"k:{\"port\":8080,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}});
        let mut scale = entry("kubectl", "Update", &added);
        scale["subresource"] = json!("status");
        let managed = json!([entry("kubectl-edit", "Update", &added), scale]);
        assert_eq!(
            sole_owner(&managed, "mover", &[PORTS]),
            Some(json!([scale, entry("mover", "Apply", &added)]))
        );
        let mut both = added.clone();
        both["f:spec"]["f:ports"]
            .as_object_mut()
            .unwrap()
            .extend(ports()["f:spec"]["f:ports"].as_object().unwrap().clone());
        let managed = json!([entry("mover", "Apply", &ports()), entry("kubectl-edit", "Update", &added)]);
        assert_eq!(sole_owner(&managed, "mover", &[PORTS]), Some(json!([entry("mover", "Apply", &both)])));
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
