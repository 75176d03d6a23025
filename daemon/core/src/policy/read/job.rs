//! Jobs of gates: the template is held against the schema of a Job, before a cluster sees it.

use serde_json::Value;

use super::values;
use crate::desired::fields::{Fields, Spot};
use crate::location::Position;
use crate::object::{DesiredObject, Gvk, ObjectRef};
use crate::policy::JobGate;
use crate::problem::Problem;
use crate::schema::{self, Catalogue};
use crate::yaml::{Entry, Node, NodeValue};

/// A template, as JSON.
const MAX_TEMPLATE: usize = 64 * 1024;

/// Reads `job`.
pub fn gate(fields: &mut Fields, spot: &Spot<'_>) -> Option<JobGate> {
    let section = fields.section(spot, &["template", "backoffLimit"])?;
    let backoff_limit = section.get("backoffLimit").map(|spot| values::count(fields, &spot, 0..=10));
    let template = fields.required(&section, "template").and_then(|spot| template(fields, &spot));
    Some(JobGate { template: template?, backoff_limit: backoff_limit.unwrap_or(Some(0))? })
}

fn template(fields: &mut Fields, spot: &Spot<'_>) -> Option<Value> {
    if !matches!(spot.node.value, NodeValue::Mapping(_)) {
        fields.wrong(spot, "the template of a Job: a mapping with `spec.containers`");
        return None;
    }
    let template = spot.node.to_json();
    if template.to_string().len() > MAX_TEMPLATE {
        values::refuse(fields, spot, format!("{} has more than {MAX_TEMPLATE} bytes", spot.shown()));
        return None;
    }
    let before = fields.problems.len();
    let containers = template.pointer("/spec/containers").and_then(Value::as_array);
    if containers.is_none_or(Vec::is_empty) {
        values::refuse(fields, spot, format!("{} has no container", spot.shown()));
    }
    if let Some(policy) = template.pointer("/spec/restartPolicy")
        && !matches!(policy.as_str(), Some("Never" | "OnFailure"))
    {
        let message = format!("{}.spec.restartPolicy of a Job is Never or OnFailure", spot.shown());
        values::refuse(fields, spot, message);
    }
    fields.problems.extend(misfits(fields, spot));
    let good = !fields.problems.iter().skip(before).any(Problem::is_error);
    good.then_some(template)
}

/// What the schema of a Job says, at the places of the template.
fn misfits(fields: &Fields, spot: &Spot<'_>) -> Vec<Problem> {
    let entry = |key: &str, node: Node| Entry { key: key.to_owned(), key_position: spot.node.position, node };
    let mapping =
        |entries: Vec<Entry>| Node { value: NodeValue::Mapping(entries), ..Node::null(Position::START) };
    let root = mapping(vec![entry("spec", mapping(vec![entry("template", spot.node.clone())]))]);
    let file = fields.location(spot).file;
    let mut value = root.to_json();
    if let Some(object) = value.as_object_mut() {
        object.insert("apiVersion".to_owned(), Value::from("batch/v1"));
        object.insert("kind".to_owned(), Value::from("Job"));
        object.insert("metadata".to_owned(), serde_json::json!({ "name": "gate" }));
    }
    let gvk = Gvk::from_api_version("batch/v1", "Job");
    let reference = ObjectRef { gvk, namespace: None, name: "gate".to_owned() };
    let object = DesiredObject::new(reference, value, root.spans(&file), 0);
    let renamed = |mut problem: Problem| {
        problem.object = None;
        let below = problem.field.as_deref().and_then(|field| field.strip_prefix("spec.template"));
        problem.field = Some(format!("{}{}", spot.path, below.unwrap_or_default()));
        problem
    };
    schema::check(&object, Catalogue::kubernetes_1_35()).into_problems().into_iter().map(renamed).collect()
}
