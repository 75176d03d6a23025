//! The bodies of writes: from what git asks for and what was read to what is sent. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tidegate_core::inventory::{Marks, Precondition, marked};
use tidegate_core::rollout::{POINTER_RECORD, PointerRecord, SLOT_RECORD, Selection, SlotRecord};
use tidegate_core::workload::names::{APP, SLOT};

use super::calls::{Live, SCALE};
use super::traffic;

/// How often a follower was marked.
const MARKS: &str = "tidegate.dev/marks";

/// A record as it stands in an annotation.
fn text<T: serde::Serialize>(record: &T) -> Value {
    // Records are plain data with text keys: they always have a JSON form.
    Value::String(serde_json::to_string(record).unwrap_or_default())
}

/// A part of an object for server-side apply: its name, and one annotation.
fn noted(live: &Live, annotation: &str, value: &Value) -> Value {
    let own = |pointer: &str| live.value.pointer(pointer).cloned().unwrap_or(Value::Null);
    json!({
        "apiVersion": own("/apiVersion"),
        "kind": own("/kind"),
        "metadata": {
            "name": own("/metadata/name"),
            "namespace": own("/metadata/namespace"),
            "annotations": { annotation: value },
        },
    })
}

/// The same of a Service that a rollout moves. It says whose it is: git may no longer name it.
fn moved(live: &Live, app: &str, annotation: &str, value: &Value) -> Value {
    let mut body = noted(live, annotation, value);
    if let Some(metadata) = body.get_mut("metadata").filter(|_| !app.is_empty()) {
        put(metadata, "labels", json!({ APP: app }));
    }
    body
}

/// A slot's record, and nothing else.
pub fn slot_record(live: &Live, record: &SlotRecord) -> Value {
    noted(live, SLOT_RECORD, &text(record))
}

/// One more mark on a follower.
pub fn follower_mark(live: &Live, app: &str) -> Value {
    let marks: u64 = live.annotation(MARKS).and_then(|text| text.parse().ok()).unwrap_or_default();
    let mut body = moved(live, app, MARKS, &json!(marks.saturating_add(1).to_string()));
    let own = |pointer: &str| live.value.pointer(pointer).cloned().unwrap_or(Value::Null);
    put(&mut body, "spec", json!({ "selector": own("/spec/selector"), "ports": own("/spec/ports") }));
    body
}

/// The pointer's record, where it sends traffic, and by which ports.
pub fn pointer(live: &Live, record: &PointerRecord, selector: &Value, ports: &Value) -> Value {
    let mut body = moved(live, &record.app, POINTER_RECORD, &text(record));
    put(&mut body, "spec", json!({ "selector": selector, "ports": ports }));
    body
}

/// A follower that selects what the pointer selects.
pub fn follower(live: &Live, app: &str, selector: &Value, ports: &Value) -> Value {
    let mut body = follower_mark(live, app);
    put(&mut body, "spec", json!({ "selector": selector, "ports": ports }));
    body
}

/// A follower with other ports, without a further mark.
pub fn moved_follower(live: &Live, app: &str, selector: &Value, ports: &Value) -> Value {
    let marks = live.annotation(MARKS).map_or(Value::Null, |marks| json!(marks));
    let mut body = moved(live, app, MARKS, &marks);
    put(&mut body, "spec", json!({ "selector": selector, "ports": ports }));
    body
}

/// A Service that is made: git's, with this selector, and with these ports where they are not git's.
pub fn new_service(
    asked: &Value,
    ports: Option<&Value>,
    selector: Value,
    record: Option<&PointerRecord>,
    marks: &Marks,
) -> Value {
    let mut body = marked(asked.clone(), marks, &Precondition::default());
    if let Some(record) = record {
        annotate(&mut body, POINTER_RECORD, text(record));
    }
    if let Some(spec) = body.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("selector".to_owned(), selector);
        if let Some(ports) = ports {
            spec.insert("ports".to_owned(), ports.clone());
        }
    }
    body
}

/// A Service as git has it, without what the rollout holds: selector and ports.
pub fn rest_of_service(asked: &Value, marks: &Marks) -> Value {
    let mut body = marked(asked.clone(), marks, &Precondition::default());
    if let Some(spec) = body.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("selector");
        spec.remove("ports");
    }
    body
}

/// What tells the ports of a Service apart, for the API server too.
fn port_key(port: &Value) -> (Option<u64>, &str) {
    let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
    (port.get("port").and_then(Value::as_u64), protocol)
}

/// True when no port goes.
pub fn keeps_ports(live: &Live, ports: &Value) -> bool {
    let asked = || ports.as_array().into_iter().flatten().map(port_key);
    let known = live.value.pointer("/spec/ports").and_then(Value::as_array);
    known.into_iter().flatten().map(port_key).all(|known| asked().any(|asked| asked == known))
}

/// The ports that are asked for, with the node ports that they have: callers from outside the cluster know them.
pub fn ports(asked: &Value, live: &Live) -> Value {
    let known = live.value.pointer("/spec/ports").and_then(Value::as_array);
    let has_node_ports = matches!(live.text("/spec/type"), "NodePort" | "LoadBalancer");
    let with_node_port = |port: &Value| {
        let mut port = port.clone();
        let same = known.into_iter().flatten().find(|known| port_key(known) == port_key(&port));
        if let (Some(fields), Some(node_port)) =
            (port.as_object_mut(), same.and_then(|same| same.get("nodePort")))
        {
            fields.entry("nodePort").or_insert_with(|| node_port.clone());
        }
        // The type may be another one than when these ports were written down.
        if !has_node_ports && let Some(fields) = port.as_object_mut() {
            fields.remove("nodePort");
        }
        port
    };
    Value::Array(asked.as_array().into_iter().flatten().map(with_node_port).collect())
}

/// The spec of a budget, over pods without a colour only.
pub fn of_uncoloured(mut spec: Value) -> Value {
    if let Some(selector) = spec.get_mut("selector").and_then(Value::as_object_mut) {
        let expressions = selector.entry("matchExpressions").or_insert_with(|| json!([]));
        if let Some(expressions) = expressions.as_array_mut() {
            expressions.push(json!({ "key": SLOT, "operator": "DoesNotExist" }));
        }
    }
    spec
}

/// A slot's Deployment: its render, our marks, its record. Its size only where it is ours to say: at its creation, and until
/// `/scale` has said it (an owned field that a later apply leaves out is reset).
pub fn slot(
    render: &Value,
    live: Option<&Live>,
    record: &SlotRecord,
    created_at: u32,
    marks: &Marks,
) -> Value {
    let mut body = marked(render.clone(), marks, &Precondition::default());
    annotate(&mut body, SLOT_RECORD, text(record));
    let size = match live {
        None => Some(json!(created_at)),
        Some(live) if is_sized_by_scale(live) => None,
        Some(live) => live.value.pointer("/spec/replicas").cloned(),
    };
    if let (Some(size), Some(spec)) = (size, body.get_mut("spec").and_then(Value::as_object_mut)) {
        spec.insert("replicas".to_owned(), size);
    }
    body
}

/// True once a write to `/scale`, ours or an autoscaler's, owns the size.
fn is_sized_by_scale(live: &Live) -> bool {
    let entries = live.value.pointer("/metadata/managedFields").and_then(Value::as_array);
    let owns_size = |entry: &&Value| entry.pointer("/fieldsV1/f:spec/f:replicas").is_some();
    let mut owners = entries.into_iter().flatten().filter(owns_size).peekable();
    let is_body = |entry: &Value| {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        text("operation") == Some("Apply") && text("manager") != Some(SCALE)
    };
    owners.peek().is_some() && !owners.any(is_body)
}

/// The template of the Deployment from before: the colour on its pods, and no pod less while they are replaced. It is marked as
/// ours, so that changes of it are noticed.
pub fn colour(live: &Live, labels: &BTreeMap<&str, String>, record: &SlotRecord, marks: &Marks) -> Value {
    let mut body = marked(noted(live, SLOT_RECORD, &text(record)), marks, &Precondition::default());
    let surge = live.value.pointer("/spec/strategy/rollingUpdate/maxSurge").cloned();
    let surge = surge.filter(|surge| *surge != json!(0) && *surge != json!("0%")).unwrap_or(json!("25%"));
    let spec = json!({
        "template": { "metadata": { "labels": labels } },
        "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 0, "maxSurge": surge } },
    });
    put(&mut body, "spec", spec);
    body
}

/// What [`colour`] had set, no longer set.
pub fn uncolour(live: &Live) -> Value {
    let mut body = noted(live, SLOT_RECORD, &Value::Null);
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("annotations");
    }
    let strategy =
        json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 0, "maxSurge": "25%" } });
    put(&mut body, "spec", json!({ "strategy": strategy }));
    body
}

/// An object as it could be made again: without what the API server has put in.
pub fn remade(live: &Live) -> Value {
    let mut value = live.value.clone();
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        let of_server = [
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "managedFields",
            "selfLink",
            "ownerReferences",
        ];
        metadata.retain(|key, _| !of_server.contains(&key.as_str()));
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            let is_of_server = |key: &str| {
                key == "deployment.kubernetes.io/revision"
                    || key == "kubectl.kubernetes.io/last-applied-configuration"
            };
            annotations.retain(|key, _| !is_of_server(key) && key != SLOT_RECORD);
        }
    }
    if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("replicas");
    }
    value
}

/// Where traffic is to go, as a selector.
pub fn selector(selection: Selection, app: &str, plain: &BTreeMap<String, String>) -> Value {
    traffic::selector(selection, app, plain)
}

/// Puts an annotation on a body.
pub fn annotate(body: &mut Value, annotation: &str, value: Value) {
    let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new()));
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(annotation.to_owned(), value);
    }
}

fn put(body: &mut Value, key: &str, value: Value) {
    if let Some(object) = body.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use tidegate_core::rollout::{Attempt, Held, Revision};

    use super::*;

    fn record() -> SlotRecord {
        let held = Held::new(Revision::new(7), Attempt::default(), "4f1c2aa".to_owned(), 3);
        SlotRecord::prepared(held, (SignedDuration::from_secs(30), "api".to_owned()), Timestamp::UNIX_EPOCH)
    }

    fn marks() -> Marks {
        Marks { apply_set: "applyset-x".to_owned(), environment: "shop".to_owned() }
    }

    fn render() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "api-green", "namespace": "shop" },
            "spec": { "template": { "metadata": { "labels": { "app": "api" } } } },
        })
    }

    /// The slot as it is, at 3, which these managers have said.
    fn live(owners: &[(&str, &str)]) -> Live {
        let entry = |(manager, operation): &(&str, &str)| {
            let fields = json!({ "f:spec": { "f:replicas": {} } });
            json!({ "manager": manager, "operation": operation, "fieldsV1": fields })
        };
        let mut value = render();
        value["spec"]["replicas"] = json!(3);
        value["metadata"]["uid"] = json!("u-1");
        value["metadata"]["resourceVersion"] = json!("41");
        value["metadata"]["managedFields"] = owners.iter().map(entry).collect();
        Live { value }
    }

    fn size_in(live: Option<&Live>) -> Value {
        slot(&render(), live, &record(), 0, &marks())["spec"]["replicas"].clone()
    }

    #[test]
    fn a_slot_gets_its_size_from_an_apply_when_it_is_made_and_at_no_other_time() {
        assert_eq!(size_in(None), 0, "it is made at the size that is said");
        assert_eq!(
            size_in(Some(&live(&[("tidegate", "Apply")]))),
            3,
            "an owned field that is left out would be reset"
        );
        assert_eq!(size_in(Some(&live(&[]))), 3, "nobody is known to own it");
        assert_eq!(
            size_in(Some(&live(&[("tidegate-scale", "Update")]))),
            Value::Null,
            "it is the scale's to say"
        );
        assert_eq!(
            size_in(Some(&live(&[("kube-controller-manager", "Update")]))),
            Value::Null,
            "an autoscaler's"
        );
        let both = live(&[("tidegate", "Apply"), ("tidegate-scale", "Update")]);
        assert_eq!(size_in(Some(&both)), 3, "while both own it the present one is repeated");
    }

    #[test]
    fn records_marks_and_colours_say_no_size() {
        let (live, record) = (live(&[]), record());
        let labels = BTreeMap::from([(SLOT, "blue".to_owned())]);
        for body in [slot_record(&live, &record), colour(&live, &labels, &record, &marks()), uncolour(&live)]
        {
            assert_eq!(body.pointer("/spec/replicas"), None, "{body}");
        }
        assert_eq!(remade(&live).pointer("/spec/replicas"), None);
    }

    #[test]
    fn no_body_brings_a_guard_of_its_own() {
        let (live, record) = (live(&[]), record());
        let labels = BTreeMap::from([(SLOT, "blue".to_owned())]);
        let bodies = [
            slot(&render(), Some(&live), &record, 0, &marks()),
            slot_record(&live, &record),
            follower_mark(&live, "api"),
            follower(&live, "api", &json!({}), &json!([])),
            moved_follower(&live, "api", &json!({}), &json!([])),
            colour(&live, &labels, &record, &marks()),
            uncolour(&live),
            remade(&live),
        ];
        for body in bodies {
            let metadata = &body["metadata"];
            assert!(metadata["uid"].is_null() && metadata["resourceVersion"].is_null(), "{body}");
        }
    }
}
