//! When an operation on an environment is over, and how it ended; what is written of the objects and workloads that it touched.

use std::collections::BTreeMap;

use serde_json::Value;

use super::app::{AppChange, AppName, Image, Running};
use super::capped::Capped;
use super::record::{ObjectOperation, Result as How};
use crate::ids::Digest;
use crate::object::ObjectRef;

/// How an environment stands, as far as it says whether an operation is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing<'a> {
    /// The inputs that are worked for; none: nothing may be done now.
    pub inputs: Option<&'a Digest>,
    /// They are applied whole, and were healthy.
    pub is_live: bool,
    /// Nothing will change by itself, and it is not well.
    pub is_stuck: bool,
    /// The inputs that the environment was rolled back from.
    pub held: Option<&'a Digest>,
}

/// How an operation for these inputs ended; none: it is under way.
pub fn end(of: &Digest, standing: Standing<'_>) -> Option<How> {
    let Standing { inputs, is_live, is_stuck, held } = standing;
    if held == Some(of) {
        return (is_live || is_stuck).then_some(How::RolledBack);
    }
    match inputs {
        Some(inputs) if inputs == of && is_live => Some(How::Succeeded),
        Some(inputs) if inputs == of => is_stuck.then_some(How::Failed),
        Some(_) => Some(How::Superseded),
        None => None,
    }
}

impl Capped<ObjectOperation> {
    /// With one more; what was done to the same object in the same way before is counted.
    pub fn add(&mut self, added: ObjectOperation) {
        let same = |known: &&mut ObjectOperation| known.object == added.object && known.op == added.op;
        if let Some(known) = self.items.iter_mut().rev().find(same) {
            known.times = known.times.saturating_add(added.times);
            known.uid = added.uid.or(known.uid.take());
            known.fields = if added.fields.is_empty() { known.fields.clone() } else { added.fields };
        } else {
            self.total = self.total.saturating_add(1);
            self.items.push(added);
        }
    }
}

/// The name of a workload in the log; none for other objects.
pub fn app_name(object: &ObjectRef) -> Option<AppName> {
    let namespace = object.namespace.as_deref()?;
    let group = object.gvk.group.as_str();
    let name = match (group, object.gvk.kind.as_str()) {
        ("apps", "Deployment") => object.name.clone(),
        ("apps", "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "CronJob" | "Job") => {
            format!("{}.{}", object.gvk.kind.to_ascii_lowercase(), object.name)
        }
        _ => return None,
    };
    format!("{namespace}/{name}").try_into().ok()
}

/// What an object asks to run; none where it is no workload.
pub fn running(object: &ObjectRef, manifest: &Value, commit: &str) -> Option<(AppName, Running)> {
    let app = app_name(object)?;
    let template =
        if object.gvk.kind == "CronJob" { "/spec/jobTemplate/spec/template" } else { "/spec/template" };
    let containers = manifest.pointer(&format!("{template}/spec/containers"));
    let containers = containers.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let images: BTreeMap<String, Image> = containers
        .iter()
        .filter_map(|container| {
            let text = |key: &str| container.get(key).and_then(Value::as_str).map(str::to_owned);
            let name = text("image")?;
            // One that is named by its digest can be no other.
            let digest = name.split_once('@').map(|(_, digest)| digest.to_owned());
            Some((text("name")?, Image { name, digest }))
        })
        .collect();
    Some((app, Running { commit: commit.to_owned(), revision: None, images, model: None }))
}

/// Takes a workload's change in, in the place of an earlier one of the same operation.
pub fn note_app(apps: &mut Vec<AppChange>, app: AppName, to: Option<Running>) {
    match apps.iter_mut().find(|known| known.app == app) {
        Some(known) => known.to = to,
        None => apps.push(AppChange { app, from: None, to, result: None }),
    }
}
