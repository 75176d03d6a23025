//! Whether pods can go without a lost request, as far as a manifest shows it.
//!
//! Endpoints are taken out at the same time as the pod is told to stop, so that it has to go on answering for some seconds: a
//! pause before it is told does that for any program. Whether the program itself waits cannot be seen here.

use serde_json::Value;

use super::read::{items, text};
use crate::rollout::Verdict;

/// A pause is no shorter: endpoints take about as long to go from every node.
const LEAST_PAUSE: u64 = 2;
/// A pod needs so much of its grace period besides the pause, to end what it has begun.
const MARGIN: u64 = 5;
/// The grace period where the template does not say.
const DEFAULT_GRACE: u64 = 30;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainSafety {
    /// [`Verdict::Pass`] or [`Verdict::Fail`]: a manifest is read, and there is nothing to wait for.
    pub verdict: Verdict,
    /// One sentence.
    pub summary: String,
}

/// How a container spends the time between being taken out and being told to stop.
enum Pause {
    /// It does not.
    None,
    /// So many seconds.
    Seconds(u64),
    /// A hook whose length cannot be seen.
    Unknown,
}

/// Reads a Deployment, in git or of a slot.
pub fn drain_safe(deployment: &Value) -> DrainSafety {
    let pod = deployment.pointer("/spec/template/spec").unwrap_or(&Value::Null);
    let containers: Vec<&Value> = serving(pod);
    let mut findings = Vec::new();
    if !containers.iter().any(|container| container.get("readinessProbe").is_some_and(Value::is_object)) {
        findings.push("no container that serves has a readinessProbe".to_owned());
    }
    let grace = pod.get("terminationGracePeriodSeconds").and_then(Value::as_u64).unwrap_or(DEFAULT_GRACE);
    findings.extend(containers.iter().filter_map(|container| finding(container, grace)));
    if findings.is_empty() {
        let count = containers.len();
        let summary = format!(
            "{count} of {count} containers that serve pause before they are told to stop, within a grace period of {grace} s"
        );
        return DrainSafety { verdict: Verdict::Pass, summary };
    }
    DrainSafety { verdict: Verdict::Fail, summary: findings.join("; ") }
}

/// Containers that declare ports; all of them where none does.
fn serving(pod: &Value) -> Vec<&Value> {
    let has_ports = |container: &&Value| items(container, "/ports").next().is_some();
    let with_ports: Vec<&Value> = items(pod, "/containers").filter(has_ports).collect();
    if with_ports.is_empty() { items(pod, "/containers").collect() } else { with_ports }
}

fn finding(container: &Value, grace: u64) -> Option<String> {
    let name = text(container, "/name").unwrap_or("without a name");
    match pause(container) {
        Pause::None => Some(format!(
            "container `{name}` has no preStop hook: requests that arrive while endpoints are taken out are lost; add `lifecycle: {{preStop: {{sleep: {{seconds: 5}}}}}}`"
        )),
        Pause::Seconds(seconds) if seconds < LEAST_PAUSE => Some(format!(
            "container `{name}` pauses for {seconds} s before it is told to stop, and endpoints take longer to go: at least {LEAST_PAUSE} s"
        )),
        Pause::Seconds(seconds) if grace < seconds.saturating_add(MARGIN) => Some(format!(
            "terminationGracePeriodSeconds is {grace} s, and container `{name}` pauses for {seconds} s of it: at least {} s",
            seconds.saturating_add(MARGIN)
        )),
        Pause::Seconds(_) | Pause::Unknown => None,
    }
}

fn pause(container: &Value) -> Pause {
    let Some(hook) = container.pointer("/lifecycle/preStop") else { return Pause::None };
    if let Some(seconds) = hook.pointer("/sleep/seconds").and_then(Value::as_u64) {
        return Pause::Seconds(seconds);
    }
    let words: Vec<&str> =
        items(hook, "/exec/command").filter_map(Value::as_str).flat_map(str::split_whitespace).collect();
    let sleeps = words.iter().position(|word| *word == "sleep" || word.ends_with("/sleep"));
    match sleeps.and_then(|at| words.get(at + 1)).map(|seconds| seconds.trim_end_matches([';', 's']).parse())
    {
        Some(Ok(seconds)) => Pause::Seconds(seconds),
        Some(Err(_)) | None if hook.get("exec").is_some() || hook.get("httpGet").is_some() => Pause::Unknown,
        Some(Err(_)) | None => Pause::None,
    }
}
