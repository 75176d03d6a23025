//! A `job` gate: the Job's manifest, under a name that whoever asks again finds, and what came of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Judgement, text};
use crate::ids::Digest;
use crate::location::Location;
use crate::policy::{Gate, JobGate};
use crate::rollout::{Attempt, Revision, Slot, Stage};

/// Label of a gate's Job and its pods: the workload. Not the label that slots' pods have: the Job's pods are none of theirs.
pub const GATE_OF: &str = "tidegate.dev/gate-of";
/// Label of a gate's Job and its pods: the gate's name, as far as a label holds it.
pub const GATE: &str = "tidegate.dev/gate";
/// Annotation of a gate's Job: which asking it is for, in full.
pub const KEY: &str = "tidegate.dev/gate-key";
/// Annotation of a gate's Job: the uid of the pod that `TARGET_URL` names.
pub const TARGET: &str = "tidegate.dev/gate-target";

/// A Job that is over goes by itself after this long.
const TTL_SECONDS: u64 = 3_600;
/// A Job that never ends is ended after so many of the gate's timeouts, an hour at least.
const LIFE_TIMEOUTS: u64 = 6;
/// Labels of users that would make the Job's pods something else.
const OWN_DOMAIN: &str = "tidegate.dev/";
/// The most characters of a label's value, and of a Job's name: its pods carry it as a label.
const MOST_LABEL: usize = 63;
/// Of the digest, in hexadecimal, in the name.
const DIGITS: usize = 16;

/// Everything that tells one asking from another.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The workload.
    pub app: &'a str,
    /// The colour.
    pub slot: Slot,
    /// Its revision.
    pub revision: Revision,
    /// The try.
    pub attempt: Attempt,
    /// Before the switch, or in which bake.
    pub stage: Stage,
    /// The gate.
    pub gate: &'a Gate,
}

impl Asked<'_> {
    /// All of it as one text.
    pub fn key(&self) -> String {
        let Self { app, slot, revision, attempt, stage, gate } = self;
        let Attempt { git, ordered } = attempt;
        let stage = match stage {
            Stage::BeforeSwitch => "before".to_owned(),
            Stage::Baking(since) => format!("baking {since}"),
        };
        let Gate { name, config, location: _, timeout: _, every: _, kind: _ } = gate;
        format!("{app} {slot} {revision} {git}.{ordered} {stage} {config:016x} {name}")
    }

    /// `api-smoke-0123456789abcdef`: the same for the same asking.
    pub fn name(&self) -> String {
        let digest = Digest::of(self.key().as_bytes());
        let digest = digest.as_str().get(..DIGITS).unwrap_or_default();
        let room = (MOST_LABEL - DIGITS - 2) / 2;
        let parts = [part(self.app, room), part(&self.gate.name, room), digest.to_owned()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
    }
}

/// As much of a text as a part of a name holds.
fn part(text: &str, most: usize) -> String {
    let safe: String = text
        .chars()
        .take(most)
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    safe.trim_matches('-').to_owned()
}

/// What the Job is told, and what its objects are marked with.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// A pod of the colour.
    pub target_url: &'a str,
    /// That pod's uid.
    pub target: &'a str,
    /// The workload's Service.
    pub live_url: &'a str,
    /// Labels of whom the Job belongs to.
    pub labels: &'a BTreeMap<String, String>,
}

/// The Job as it is created; none when the template is not one of pods.
pub fn manifest(asked: &Asked<'_>, job: &JobGate, told: &Told<'_>) -> Option<Value> {
    let JobGate { template, backoff_limit } = job;
    let Told { namespace, target_url, target, live_url, labels } = told;
    let mut template = template.as_object()?.clone();
    let mut spec = template.get("spec")?.as_object()?.clone();
    spec.entry("restartPolicy").or_insert_with(|| json!("Never"));
    let revision = asked.revision.to_string();
    let variables = [("TARGET_URL", *target_url), ("LIVE_URL", *live_url), ("REVISION", revision.as_str())];
    for list in ["initContainers", "containers"] {
        if let Some(Value::Array(containers)) = spec.get_mut(list) {
            for container in containers {
                inform(container, &variables);
            }
        }
    }
    let metadata = template.entry("metadata").or_insert_with(|| json!({}));
    let marks = [(GATE_OF, part(asked.app, MOST_LABEL)), (GATE, part(&asked.gate.name, MOST_LABEL))];
    mark(metadata, &marks);
    template.insert("spec".to_owned(), Value::Object(spec));
    let mut own: Map<String, Value> = labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    own.extend(marks.map(|(key, value)| (key.to_owned(), json!(value))));
    let life = (asked.gate.timeout.as_secs() * LIFE_TIMEOUTS).max(TTL_SECONDS);
    Some(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": asked.name(),
            "namespace": namespace,
            "labels": own,
            "annotations": { KEY: asked.key(), TARGET: target },
        },
        "spec": {
            "backoffLimit": backoff_limit,
            "activeDeadlineSeconds": life,
            "ttlSecondsAfterFinished": TTL_SECONDS,
            "template": template,
        },
    }))
}

/// Our variables first, so that others may refer to them, and none of the same names after.
fn inform(container: &mut Value, variables: &[(&str, &str)]) {
    let Some(container) = container.as_object_mut() else { return };
    let theirs = container.remove("env").and_then(|env| env.as_array().cloned()).unwrap_or_default();
    let ours = variables.iter().map(|(name, value)| json!({ "name": name, "value": value }));
    let is_ours = |variable: &Value| {
        variables.iter().any(|(name, _)| variable.get("name").and_then(Value::as_str) == Some(name))
    };
    let env: Vec<Value> = ours.chain(theirs.into_iter().filter(|variable| !is_ours(variable))).collect();
    container.insert("env".to_owned(), Value::Array(env));
}

/// Labels of the pods: those of the user that are not in our domain, and ours.
fn mark(metadata: &mut Value, marks: &[(&str, String)]) {
    let Some(metadata) = metadata.as_object_mut() else { return };
    let theirs = metadata.remove("labels").and_then(|labels| labels.as_object().cloned()).unwrap_or_default();
    let mut labels: Map<String, Value> =
        theirs.into_iter().filter(|(key, _)| !key.starts_with(OWN_DOMAIN)).collect();
    labels.extend(marks.iter().map(|(key, value)| ((*key).to_owned(), json!(value))));
    metadata.insert("labels".to_owned(), Value::Object(labels));
}

/// How a Job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Not over.
    Runs,
    /// A pod of it ended well.
    Succeeded,
    /// It is given up, for this reason of Kubernetes.
    Failed {
        /// `BackoffLimitExceeded`, `DeadlineExceeded`, ...
        reason: String,
    },
}

/// How a live Job stands, by its conditions.
pub fn standing(job: &Value) -> Standing {
    let conditions = job.pointer("/status/conditions").and_then(Value::as_array);
    let is_true = |kind: &str| {
        conditions.into_iter().flatten().find(|condition| {
            let text = |key| condition.get(key).and_then(Value::as_str);
            text("type") == Some(kind) && text("status") == Some("True")
        })
    };
    if is_true("Complete").is_some() {
        return Standing::Succeeded;
    }
    match is_true("Failed") {
        Some(condition) => {
            let reason = condition.get("reason").and_then(Value::as_str).unwrap_or("Failed");
            Standing::Failed { reason: text::value(reason) }
        }
        None => Standing::Runs,
    }
}

/// How the container that tells why a Job ended came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The container.
    pub container: String,
    /// Its exit code.
    pub code: i64,
}

/// Of a pod: the container that failed, or the first one that ended.
pub fn ending(pod: &Value) -> Option<Ending> {
    let ended = ["initContainerStatuses", "containerStatuses"].into_iter().flat_map(|list| {
        let statuses = pod.pointer(&format!("/status/{list}")).and_then(Value::as_array);
        statuses.into_iter().flatten().filter_map(|status| {
            let code = status.pointer("/state/terminated/exitCode").and_then(Value::as_i64)?;
            Some(Ending { container: status.get("name")?.as_str()?.to_owned(), code })
        })
    });
    let ended: Vec<Ending> = ended.collect();
    let main = ended.last().cloned();
    ended.into_iter().find(|ending| ending.code != 0).or(main)
}

/// What follows from a Job that is over.
pub fn judge(
    name: &str,
    standing: &Standing,
    ending: Option<&Ending>,
    log: &str,
    rule: &Location,
) -> Option<Judgement> {
    let code = ending.map(|Ending { container, code }| format!("container {container}: exit code {code}"));
    match standing {
        Standing::Runs => None,
        Standing::Succeeded => {
            let last = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            let summary = text::with_end(&format!("Job {name} succeeded"), last);
            Some(Judgement::pass(1, summary).measured("exit code 0", "exit code 0"))
        }
        Standing::Failed { reason } => {
            let told = code.clone().map_or_else(|| reason.clone(), |code| format!("{reason}, {code}"));
            let summary = text::with_end(&format!("Job {name} failed ({told})"), log);
            let value = ending.map_or_else(|| reason.clone(), |ending| format!("exit code {}", ending.code));
            Some(Judgement::fail(1, summary).measured(value, "exit code 0").by(rule))
        }
    }
}

#[cfg(test)]
mod tests;
