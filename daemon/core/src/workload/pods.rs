//! Pods of which two sets cannot run side by side, and workloads that could not be proven.

use std::collections::BTreeMap;

use serde_json::Value;

use super::build::Subject;
use super::names::{MOST_LABEL, is_ours, slot_name};
use super::read::{count, is_set, items, place, refuse, text};
use crate::problem::{Code, Problem};
use crate::rollout::Slot;

/// The pods' specification in a Deployment.
const POD: &str = "/spec/template/spec";

/// Everything that keeps the workload's pods from running twice, and from being proven.
pub(super) fn refusals(subject: &Subject<'_>) -> Vec<Problem> {
    let mut problems = names(subject);
    problems.extend(own_labels(subject));
    problems.extend(host(subject));
    problems.extend(claims(subject));
    problems.extend(unproven(subject));
    problems
}

fn names(subject: &Subject<'_>) -> Vec<Problem> {
    let app = &subject.object.reference.name;
    let longest =
        Slot::ALL.map(|slot| slot_name(app, slot)).iter().map(String::len).max().unwrap_or_default();
    if longest > MOST_LABEL {
        let message = format!(
            "its name has {} characters, and with `-blue` and `-green` behind it may have {MOST_LABEL}: it becomes a label",
            app.len()
        );
        let most = MOST_LABEL.saturating_sub(longest - app.len());
        return vec![
            refuse(Code::RolloutName, subject.object, "/metadata/name", message)
                .help(format!("a name of at most {most} characters")),
        ];
    }
    let taken = Slot::ALL.map(|slot| subject.neighbours.find("apps", "Deployment", &slot_name(app, slot)));
    taken
        .into_iter()
        .flatten()
        .map(|other| {
            let message = format!(
                "its name is that of a colour of {}, which Tidegate makes itself",
                subject.object.reference
            );
            refuse(Code::RolloutName, &other.object, "/metadata/name", message)
                .related("the workload that rolls out in colours", subject.object.location())
                .help("give one of the two another name, or take it out of git: a colour is made from the workload")
        })
        .collect()
}

fn own_labels(subject: &Subject<'_>) -> Vec<Problem> {
    let ours = subject.labels.keys().filter(|key| is_ours(key));
    ours.map(|key| {
        let pointer = format!("/spec/template/metadata/labels/{}", crate::secret::escape(key));
        let message = format!(
            "its pods have the label `{key}`, which tells the colours apart and is Tidegate's to set"
        );
        refuse(Code::RolloutName, subject.object, &pointer, message).help("take the label out")
    })
    .collect()
}

fn host(subject: &Subject<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let pod = subject.value.pointer(POD).unwrap_or(&Value::Null);
    if is_set(pod, "/hostNetwork") {
        let message = "its pods use the network of their node, where two colours would want the same ports";
        problems.push(refuse(Code::RolloutPods, subject.object, &format!("{POD}/hostNetwork"), message));
    }
    for list in ["initContainers", "containers"] {
        for (index, container) in items(pod, &format!("/{list}")).enumerate() {
            for (port, value) in items(container, "/ports").enumerate() {
                let Some(number) = count(value, "/hostPort").filter(|number| *number > 0) else { continue };
                let message = format!(
                    "its pods take port {number} of their node, which the other colour would want too"
                );
                let pointer = format!("{POD}/{list}/{index}/ports/{port}/hostPort");
                problems.push(refuse(Code::RolloutPods, subject.object, &pointer, message));
            }
        }
    }
    let help = "let a Service lead to the pods instead, or take the workload out of the policy's `match`";
    problems.into_iter().map(|problem| problem.help(help)).collect()
}

/// Volumes that one node holds at a time.
fn claims(subject: &Subject<'_>) -> Vec<Problem> {
    let volumes = items(subject.value, &format!("{POD}/volumes")).enumerate();
    let claims = volumes
        .filter_map(|(index, volume)| Some((index, text(volume, "/persistentVolumeClaim/claimName")?)));
    claims.filter_map(|(index, name)| claim(subject, index, name)).collect()
}

fn claim(subject: &Subject<'_>, index: usize, name: &str) -> Option<Problem> {
    let pointer = format!("{POD}/volumes/{index}/persistentVolumeClaim/claimName");
    let help = "use a volume with `ReadWriteMany` or `ReadOnlyMany`, or take the workload out of the policy's `match`";
    let Some(claim) = subject.neighbours.find("", "PersistentVolumeClaim", name) else {
        let message = format!(
            "its pods mount the claim `{name}`, which is not in git: whether pods on other nodes can mount it too is not known"
        );
        return Some(
            refuse(Code::RolloutPods, subject.object, &pointer, message)
                .help(format!("put the claim into git, so that its access modes are known; then {help}")),
        );
    };
    let shared = ["ReadWriteMany", "ReadOnlyMany"];
    let mut modes = items(&claim.value, "/spec/accessModes").filter_map(Value::as_str);
    if modes.any(|mode| shared.contains(&mode)) {
        return None;
    }
    let message = format!(
        "its pods mount the claim `{name}`, which only one node or pod can hold: the other colour would wait for ever"
    );
    Some(
        refuse(Code::RolloutPods, subject.object, &pointer, message)
            .related("its access modes", place(&claim.object, "/spec/accessModes"))
            .help(help),
    )
}

fn unproven(subject: &Subject<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut containers = items(subject.value, &format!("{POD}/containers"));
    if !containers.any(|container| container.get("readinessProbe").is_some_and(Value::is_object)) {
        let message = "none of its containers has a readinessProbe: pods would count as ready the moment they start, and traffic would move to them";
        let problem = refuse(Code::RolloutUnproven, subject.object, &format!("{POD}/containers"), message);
        problems.push(problem.help("add a readinessProbe that succeeds once requests can be answered"));
    }
    if count(subject.value, "/spec/replicas") == Some(0) {
        let message = "it has no replicas: nothing could be proven before traffic moves to it";
        let problem = refuse(Code::RolloutUnproven, subject.object, "/spec/replicas", message);
        problems.push(problem.help(
            "ask for one replica at least; to put the workload away, take it out of git, or out of the policy's `match`",
        ));
    }
    if is_set(subject.value, "/spec/paused") {
        let message = "it is paused: its pods would never be made";
        let problem = refuse(Code::RolloutUnproven, subject.object, "/spec/paused", message);
        problems.push(problem.help("take `paused` out; `spec.suspend` of the environment stops everything"));
    }
    problems
}

/// The labels of the pods; none where there are none, which the schema refuses.
pub(super) fn labels(deployment: &Value) -> Option<BTreeMap<String, String>> {
    let labels = super::read::texts(deployment, "/spec/template/metadata/labels");
    (!labels.is_empty() && deployment.pointer(POD).is_some_and(Value::is_object)).then_some(labels)
}
