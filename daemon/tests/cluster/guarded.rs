//! What every write of a rollout carries: the uid and the resourceVersion of what was read, or that nothing may be there yet;
//! and that an apply of a slot never changes its size. Judged by what was sent to the API server, whatever became of it.
//!
//! Not here: autoscalers, budgets and copies of configuration, which controllers write to at any time or which are immutable:
//! they are guarded by their uid alone, or not at all where they are only made.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::rollout_scene::APP;
use crate::support::Call;

/// The record that makes a Service a pointer.
const RECORD: &str = "tidegate.dev/rollout";
/// The version by which an object is made where there is none.
const NOWHERE: &str = "1";

/// What stood in the cluster when the first of the writes was sent.
#[derive(Debug, Clone)]
pub struct Stood {
    /// The Service has a record: it is a rollout's.
    pub is_pointer: bool,
    /// Of the slots that were there.
    pub sizes: BTreeMap<String, Value>,
}

/// The objects of a workload that its rollout decides by.
enum Object<'a> {
    Service,
    Slot(&'a str),
    /// The Deployment under its own name: a rollout's by what the rollout writes to it, else the ordinary engine's.
    Plain,
}

/// Looks at the writes of one workload in their order; how many had to carry guards and did.
pub fn judge(calls: &[Call], namespace: &str, mut stood: Stood) -> Result<usize, String> {
    let mut judged = 0;
    for call in calls.iter().filter(|call| call.is_write()) {
        let Some((object, subresource)) = object(&call.path, namespace) else { continue };
        let body: Value = serde_json::from_str(&call.body).unwrap_or_default();
        let said = |what: &str| format!("{what}: {} {}?{} {}", call.method, call.path, call.query, call.body);
        if is_of_the_rollout(call, &object, &body, &stood) {
            let is_new = call.method == "PATCH" && *version(&body) == NOWHERE && uid(&body).is_null();
            if !is_new && !is_guarded(&call.method, &body) {
                return Err(said("a write without uid and resourceVersion"));
            }
            judged += 1;
        }
        if let Object::Slot(name) = object {
            keeps_size(call, subresource, name, &body, &stood).map_err(|why| said(&why))?;
        }
        if call.status.is_some_and(|status| (200..300).contains(&status)) {
            stood.after(call, &object, &body);
        }
    }
    Ok(judged)
}

fn object<'a>(path: &'a str, namespace: &str) -> Option<(Object<'a>, Option<&'a str>)> {
    let (_, below) = path.split_once(&format!("/namespaces/{namespace}/"))?;
    let mut words = below.split('/');
    let (kind, name, subresource) = (words.next()?, words.next()?, words.next());
    let is_slot = name.strip_prefix(APP).is_some_and(|rest| rest == "-blue" || rest == "-green");
    let object = match kind {
        "services" if name == APP => Object::Service,
        "deployments" if is_slot => Object::Slot(name),
        "deployments" if name == APP => Object::Plain,
        _ => return None,
    };
    Some((object, subresource))
}

/// A Service with a record, and a slot, are written by rollouts alone; anything else is theirs where its manager is.
fn is_of_the_rollout(call: &Call, object: &Object<'_>, body: &Value, stood: &Stood) -> bool {
    let manager = call.query.split('&').find_map(|part| part.strip_prefix("fieldManager="));
    let is_theirs = manager.is_some_and(|manager| manager.starts_with("tidegate-"));
    match object {
        Object::Slot(_) => true,
        Object::Service => is_theirs || stood.is_pointer || !record(body).is_null(),
        Object::Plain => is_theirs,
    }
}

fn uid(body: &Value) -> &Value {
    &body["metadata"]["uid"]
}

fn version(body: &Value) -> &Value {
    &body["metadata"]["resourceVersion"]
}

fn record(body: &Value) -> &Value {
    &body["metadata"]["annotations"][RECORD]
}

fn is_guarded(method: &str, body: &Value) -> bool {
    let replaces = |path: &str| {
        let is_it = |operation: &Value| {
            operation["op"] == "replace" && operation["path"] == path && is_text(&operation["value"])
        };
        body.as_array().is_some_and(|operations| operations.iter().any(is_it))
    };
    match (method, body) {
        ("PATCH", Value::Array(_)) => replaces("/metadata/uid") && replaces("/metadata/resourceVersion"),
        ("PATCH" | "PUT", _) => is_text(uid(body)) && is_text(version(body)),
        ("DELETE", _) => ["uid", "resourceVersion"].iter().all(|of| is_text(&body["preconditions"][of])),
        (_, _) => false,
    }
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// Sizes go by `/scale`; an apply of a slot that is there repeats the present one, or says none.
fn keeps_size(
    call: &Call,
    subresource: Option<&str>,
    name: &str,
    body: &Value,
    stood: &Stood,
) -> Result<(), String> {
    let said = &body["spec"]["replicas"];
    match (call.method.as_str(), subresource) {
        ("PUT", Some("scale")) | ("DELETE", None) => Ok(()),
        ("PATCH", None) if said.is_null() || *version(body) == NOWHERE => Ok(()),
        ("PATCH", None) => match stood.sizes.get(name) {
            Some(present) if present == said => Ok(()),
            present => Err(format!("an apply that changes a size, from {present:?}")),
        },
        (_, _) => Err("a write of a kind that rollouts do not send".to_owned()),
    }
}

impl Stood {
    /// What stands once the API server has carried a write out.
    fn after(&mut self, call: &Call, object: &Object<'_>, body: &Value) {
        let is_deleted = call.method == "DELETE";
        match object {
            Object::Service => {
                let path = json!(format!("/metadata/annotations/{}", RECORD.replace('/', "~1")));
                let drops = |operation: &Value| operation["op"] == "remove" && operation["path"] == path;
                let is_dropped = body.as_array().is_some_and(|operations| operations.iter().any(drops));
                self.is_pointer = !is_deleted && !is_dropped && (self.is_pointer || is_text(record(body)));
            }
            Object::Slot(name) if is_deleted => drop(self.sizes.remove(*name)),
            Object::Slot(name) => {
                let said = &body["spec"]["replicas"];
                if !said.is_null() {
                    self.sizes.insert((*name).to_owned(), said.clone());
                }
            }
            Object::Plain => {}
        }
    }
}

/// Judges one write of what stands: a Service with a record, and a slot of two.
fn judged(method: &str, path: &str, query: &str, body: &Value) -> Result<usize, String> {
    let call = Call {
        method: method.to_owned(),
        path: format!("/apis/apps/v1/namespaces/shop/{path}"),
        query: query.to_owned(),
        body: body.to_string(),
        at: std::time::Instant::now(),
        fault: crate::support::Fault::Pass,
        status: Some(200),
    };
    let sizes = BTreeMap::from([(format!("{APP}-blue"), json!(2))]);
    judge(&[call], "shop", Stood { is_pointer: true, sizes })
}

#[test]
fn a_write_that_lacks_a_guard_is_seen() {
    let (service, slot) = (format!("services/{APP}"), format!("deployments/{APP}-blue"));
    let guarded = json!({ "uid": "u", "resourceVersion": "41" });
    let whole = json!({ "metadata": guarded, "spec": {} });
    for path in [&service, &slot] {
        assert_eq!(judged("PATCH", path, "fieldManager=tidegate", &whole), Ok(1), "{path}");
        assert_eq!(judged("DELETE", path, "", &json!({ "preconditions": guarded })), Ok(1));
        for without in ["uid", "resourceVersion"] {
            let mut half = guarded.clone();
            half[without] = Value::Null;
            judged("PATCH", path, "fieldManager=tidegate", &json!({ "metadata": half })).unwrap_err();
            judged("DELETE", path, "", &json!({ "preconditions": half })).unwrap_err();
        }
        let dropped = json!([{ "op": "remove", "path": "/metadata/annotations/x" }]);
        judged("PATCH", path, "fieldManager=tidegate-rollout", &dropped).unwrap_err();
    }
    let unguarded = json!({ "spec": { "replicas": 0 } });
    judged("PUT", &format!("{slot}/scale"), "fieldManager=tidegate-scale", &unguarded).unwrap_err();
    assert_eq!(judged("PATCH", "configmaps/rest", "", &json!({})), Ok(0), "nothing of a rollout");
}

#[test]
fn an_apply_that_changes_the_size_of_a_slot_is_seen() {
    let slot = format!("deployments/{APP}-blue");
    let apply = |version: &str, replicas: u32| {
        let metadata = json!({ "uid": "u", "resourceVersion": version });
        judged("PATCH", &slot, "", &json!({ "metadata": metadata, "spec": { "replicas": replicas } }))
    };
    assert_eq!(apply("41", 2), Ok(1), "the present one");
    apply("41", 0).unwrap_err();
    let made = json!({ "metadata": { "resourceVersion": NOWHERE }, "spec": { "replicas": 0 } });
    assert_eq!(judged("PATCH", &slot, "", &made), Ok(1), "it is made at it");
}
