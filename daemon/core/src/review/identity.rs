//! The id of a review: a digest of both rendered states and of what differs.
//!
//! Objects and settings enter it by their content, keys sorted. Places in files, times and names of commits do not, so
//! that a rebase that changes nothing keeps the id. Values of Secrets do, or a changed password would be no change: all
//! in one digest over everything, so that none of them can be guessed by itself.

use serde_json::{Map, Value, json};

use super::input::{Compared, Complete, Side};
use super::{EnvironmentReview, FieldEdit, ObjectChange, Standing};
use crate::ids::Digest;
use crate::plan::plan_id;
use crate::workload::Workload;

/// What every digest begins with. Another word means that ids cannot be compared any more.
const SCHEME: &str = "tidegate.plan/v1";

/// Settings that say how objects are made; their effect is in the objects.
const RENDERING: [&str; 3] = ["sources", "substitute", "patches"];

/// The id of one environment's review; none when what changes is not known.
pub(super) fn of_environment(review: &EnvironmentReview, compared: &Compared) -> Option<Digest> {
    match review.standing {
        Standing::Broken | Standing::Unknown => return None,
        Standing::Unchanged | Standing::Changed | Standing::Added | Standing::Removed => {}
    }
    let (base, head) = (state(&compared.base)?, state(&compared.head)?);
    let changes: Vec<Value> = review.changes.iter().map(change).collect();
    let settings: Vec<Value> = review
        .settings
        .iter()
        .filter(|edit| !RENDERING.iter().any(|name| is_setting(&edit.path, name)))
        .map(field)
        .collect();
    let all = json!({
        "scheme": SCHEME, "environment": review.name, "base": base, "head": head, "changes": changes, "settings": settings,
    });
    Some(Digest::of(canonical(&all).as_bytes()))
}

/// The id of a review of several environments.
pub(super) fn of_all(environments: &[EnvironmentReview]) -> Digest {
    let lines: Map<String, Value> =
        environments.iter().map(|review| (review.name.clone(), json!(review.plan_id))).collect();
    Digest::of(canonical(&json!({ "scheme": SCHEME, "environments": lines })).as_bytes())
}

fn state(side: &Side) -> Option<Value> {
    match side {
        Side::Absent => Some(Value::Null),
        Side::Broken(_) => None,
        Side::Complete(complete) if complete.workloads.is_empty() => {
            Some(json!([plan_id(&complete.objects), settings(complete)]))
        }
        Side::Complete(complete) => {
            let workloads: Vec<Value> = complete.workloads.iter().map(|workload| terms(workload)).collect();
            Some(json!([plan_id(&complete.objects), settings(complete), workloads]))
        }
    }
}

/// By what a workload rolls out: of its policy without places, so that a moved line changes nothing.
fn terms(workload: &Workload) -> Value {
    let Workload { reference, mode, revision, retry, gates, windows, timing, .. } = workload;
    let gates = [&gates.before_switch, &gates.while_baking]
        .map(|gates| gates.iter().map(|gate| json!([*gate.name.0, gate.config])).collect::<Vec<_>>());
    let (mode, timing) = (format!("{mode:?}"), format!("{timing:?}"));
    json!([reference, mode, revision, retry, gates, windows, timing, workload.policy.name])
}

/// What `environment.yaml` says besides how objects are made.
fn settings(complete: &Complete) -> Value {
    let mut spec = complete.file.value.get("spec").cloned().unwrap_or(Value::Null);
    if let Some(fields) = spec.as_object_mut() {
        fields.retain(|name, _| !RENDERING.contains(&name.as_str()));
    }
    spec
}

fn is_setting(path: &str, name: &str) -> bool {
    let below = path.strip_prefix("spec.").and_then(|rest| rest.strip_prefix(name));
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', ' ']))
}

fn change(change: &ObjectChange) -> Value {
    let ObjectChange { object, action, location: _, fields, content: _, moved } = change;
    let fields: Vec<Value> = fields.iter().map(field).collect();
    json!([object, action, fields, moved])
}

fn field(edit: &FieldEdit) -> Value {
    let FieldEdit { path, old, new, location: _, secret, immutable, left_to_others } = edit;
    json!([path, old, new, secret, immutable, left_to_others])
}

/// JSON with the keys of every map in order, whatever order the map keeps.
fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// The depth is bounded by what was parsed.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut entries: Vec<_> = fields.iter().collect();
            entries.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in entries {
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string());
        }
    }
}
