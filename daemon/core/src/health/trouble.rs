//! What keeps a pod from being ready, found in its status: the first thing to tell an engineer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::read::{condition, count, is_set, items, number, sentence, text};
use super::{Health, HealthState};

/// Containers of one pod that are looked at.
const MAX_CONTAINERS: usize = 100;

/// What most tellingly keeps the pods of a workload from being ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodTrouble {
    /// The pod's name.
    pub pod: String,
    /// The container that fails; none when the pod as a whole does (unschedulable, evicted).
    pub container: Option<String>,
    /// The reason as Kubernetes names it, e.g. `ImagePullBackOff`.
    pub reason: String,
    /// One sentence for people without a full stop, e.g. the scheduler's message.
    pub message: String,
    /// Only a change of the pod's template can help; waiting is of no use.
    pub fatal: bool,
}

/// How much a finding tells, the most telling first; equal ones go by the pod's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The image or its name is wrong.
    Image,
    /// A ConfigMap, Secret or key is missing, or the container cannot be created from its spec.
    Configuration,
    /// The container starts and ends again and again.
    Crash,
    /// The pod as a whole has failed (evicted, out of deadline).
    Failed,
    /// No node takes it.
    Unschedulable,
    /// It ended badly once, or its first pull failed: the next try may succeed.
    Retrying,
    /// It runs and its probe does not pass.
    NotReady,
    /// Its volumes or its network are not there yet.
    Creating,
}

/// One trouble of one pod.
pub(super) struct Finding {
    rank: Rank,
    trouble: PodTrouble,
}

impl Finding {
    /// What it means for the pod itself.
    pub(super) fn health(self) -> Health {
        let state = match self.rank {
            Rank::Image | Rank::Configuration | Rank::Crash | Rank::Failed => HealthState::Degraded,
            Rank::Unschedulable | Rank::Retrying | Rank::NotReady | Rank::Creating => {
                HealthState::Progressing
            }
        };
        let PodTrouble { pod: _, container, reason, message, fatal: _ } = self.trouble;
        let reason = match container {
            Some(container) => format!("container {container}: {reason}: {message}"),
            None => format!("{reason}: {message}"),
        };
        Health::new(state, reason)
    }
}

/// The most telling trouble among the pods of one workload; none when no pod is in trouble. Pods that are being deleted
/// do not count.
pub fn assess_pods(pods: &[Value]) -> Option<PodTrouble> {
    let findings = pods.iter().filter_map(find);
    let first =
        findings.min_by(|one, other| (one.rank, &one.trouble.pod).cmp(&(other.rank, &other.trouble.pod)));
    first.map(|finding| finding.trouble)
}

/// The most telling trouble of one pod.
pub(super) fn find(pod: &Value) -> Option<Finding> {
    let deleting = text(pod, "/metadata/deletionTimestamp").is_some();
    let phase = text(pod, "/status/phase");
    if deleting || phase == Some("Succeeded") {
        return None;
    }
    let name = text(pod, "/metadata/name").unwrap_or_default();
    let finding = |rank, container: Option<&str>, reason: &str, message: String| Finding {
        rank,
        trouble: PodTrouble {
            pod: name.to_owned(),
            container: container.map(str::to_owned),
            reason: reason.to_owned(),
            message,
            fatal: matches!(reason, "InvalidImageName" | "ErrImageNeverPull"),
        },
    };
    if let Some(unschedulable) = condition(pod, "PodScheduled")
        .filter(|scheduled| scheduled.is_false() && !scheduled.reason.is_empty())
    {
        return Some(finding(Rank::Unschedulable, None, unschedulable.reason, unschedulable.says()));
    }
    let containers = items(pod, "/status/initContainerStatuses").iter().map(|status| (Role::Init, status));
    let containers = containers
        .chain(items(pod, "/status/containerStatuses").iter().map(|status| (Role::Main, status)))
        .take(MAX_CONTAINERS);
    let worst = containers
        .filter_map(|(role, status)| {
            container(role, status).map(|(rank, reason, message)| (rank, status, reason, message))
        })
        .min_by_key(|(rank, ..)| *rank);
    if phase == Some("Failed") {
        let message = worst.map(|(.., message)| message);
        let words =
            text(pod, "/status/message").map(sentence).or(message).unwrap_or_else(|| "it failed".to_owned());
        return Some(finding(Rank::Failed, None, text(pod, "/status/reason").unwrap_or("Failed"), words));
    }
    if let Some((rank, status, reason, message)) = worst {
        return Some(finding(rank, text(status, "/name"), reason, message));
    }
    // All containers are ready: whoever has to set its readiness gates has not (a load balancer's controller, mostly).
    let gated = condition(pod, "Ready")
        .filter(|ready| ready.is_false() && ready.reason == "ReadinessGatesNotReady")?;
    Some(finding(Rank::NotReady, None, gated.reason, gated.says()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Init,
    Main,
}

/// What is wrong with one container, by its status.
fn container(role: Role, status: &Value) -> Option<(Rank, &str, String)> {
    if is_set(status, "/ready") {
        return None;
    }
    let waiting = status.pointer("/state/waiting").and_then(|waiting| text(waiting, "/reason"));
    if let Some(reason) = waiting {
        return waiting_container(reason, status);
    }
    if let Some(ended) = bad_end(status, "/state/terminated") {
        let rank = if count(status, "/restartCount") > 0 { Rank::Crash } else { Rank::Retrying };
        return Some((rank, ended.reason, ended.says(status)));
    }
    if status.pointer("/state/running").is_none() || role == Role::Init {
        return None;
    }
    let since =
        text(status, "/state/running/startedAt").map(|time| format!(" since {time}")).unwrap_or_default();
    let probe = if is_set(status, "/started") { "readiness" } else { "startup" };
    let message = format!("it runs{since} and its {probe} probe has not passed");
    Some(match bad_end(status, "/lastState/terminated") {
        Some(ended) => {
            (Rank::Retrying, ended.reason, format!("{message}; before that it {}", ended.says(status)))
        }
        None => (Rank::NotReady, "NotReady", message),
    })
}

fn waiting_container<'a>(reason: &'a str, status: &'a Value) -> Option<(Rank, &'a str, String)> {
    let message = text(status, "/state/waiting/message").map(sentence);
    let said = |otherwise: &str| message.clone().unwrap_or_else(|| otherwise.to_owned());
    let image = text(status, "/image").unwrap_or("its image");
    let unpulled = || format!("{image} cannot be pulled: {}", said("no reason is given"));
    Some(match reason {
        "PodInitializing" => return None,
        "ContainerCreating" => (Rank::Creating, reason, said("its volumes or its network are not ready yet")),
        "ErrImagePull" => (Rank::Retrying, reason, unpulled()),
        "ImagePullBackOff" => (Rank::Image, reason, unpulled()),
        "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => (Rank::Image, reason, said(image)),
        "CrashLoopBackOff" => match last_end(status, "/lastState/terminated") {
            Some(ended) => (Rank::Crash, reason, ended.says(status)),
            None => (Rank::Crash, reason, said("it ends again and again")),
        },
        _ => (Rank::Configuration, reason, said("it cannot be started")),
    })
}

/// How a container ended.
struct End<'a> {
    reason: &'a str,
    code: i64,
    message: Option<&'a str>,
}

impl End<'_> {
    /// `exited with code 137 (OOMKilled), restarted 5 times`.
    fn says(&self, status: &Value) -> String {
        let Self { reason, code, message } = self;
        let mut words = format!("exited with code {code}");
        if !matches!(*reason, "Error" | "Completed") {
            words = format!("{words} ({})", sentence(reason));
        }
        match count(status, "/restartCount") {
            0 => {}
            1 => words.push_str(", restarted once"),
            times => words = format!("{words}, restarted {times} times"),
        }
        match message.map(sentence).filter(|message| !message.is_empty()) {
            Some(message) => format!("{words}: {message}"),
            None => words,
        }
    }
}

/// The end of a container, if it has ended.
fn last_end<'a>(status: &'a Value, pointer: &str) -> Option<End<'a>> {
    let ended = status.pointer(pointer)?;
    let code = number(ended, "/exitCode")?;
    Some(End { reason: text(ended, "/reason").unwrap_or("Error"), code, message: text(ended, "/message") })
}

/// The end of a container, if it has ended badly.
fn bad_end<'a>(status: &'a Value, pointer: &str) -> Option<End<'a>> {
    last_end(status, pointer).filter(|end| end.code != 0)
}
