//! What the pods of a revision that was turned down said last: read once, after traffic is where it belongs and before they are
//! put away, and kept on the slot. Nothing is decided by it: what cannot be read is said to be so, and the rollout goes on.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::LogParams;
use kube::{Api, ResourceExt as _};
use serde_json::Value;
use tidegate_core::diff::repeats_secret;
use tidegate_core::object::DesiredObject;
use tidegate_core::review::visible::{cut_middle, visible};
use tidegate_core::rollout::{LastWords, Reason, Slot, SlotRecord, last_lines};
use tidegate_core::workload::names::{REVISION, SLOT};

use super::carry::Carrier;
use super::observe::is_ready;
use crate::cluster::call::{CallError, once};

/// A kubelet that does not answer within this time is not waited for: pods are about to be put away.
const DEADLINE: Duration = Duration::from_secs(3);
/// Of the log, so many lines.
const LOG_LINES: i64 = 40;
/// Of the log, so many bytes. They are counted from the first of these lines on.
const LOG_BYTES: i64 = 256 * 1024;
/// Words of an API server are cut here, in characters.
const TROUBLE_CHARS: usize = 300;

impl Carrier<'_> {
    /// Keeps what the pods of a revision that was turned down said last, where that is still to be done. True when it was
    /// written: what was seen of the slot no longer holds.
    pub async fn keep_last_words(&self, secrets: &[Arc<DesiredObject>]) -> Result<bool, CallError> {
        let Some(rejected) = self.seen.record.as_ref().and_then(|record| record.record.rejected.as_ref())
        else {
            return Ok(false);
        };
        let is_silent = |slot: &Slot| {
            let seen = self.seen.slots.get(*slot).as_ref();
            seen.is_some_and(|seen| {
                let SlotRecord { revision, attempt, last_words, .. } = &seen.record;
                (*revision, *attempt) == (rejected.revision, rejected.attempt) && last_words.is_none()
            })
        };
        let Some(slot) = Slot::ALL.into_iter().find(is_silent) else { return Ok(false) };
        let held = self.seen.slots.get(slot).as_ref();
        let named = match &rejected.reason {
            Reason::Gate(gate) => held.and_then(|held| held.record.failed(gate)),
            Reason::NeverReady
            | Reason::LostReadiness
            | Reason::NeverSettled
            | Reason::Torn
            | Reason::Ordered(_) => None,
        };
        let summary = named.map(|answer| answer.finding.summary.as_str()).unwrap_or_default();
        let revision = rejected.revision.to_string();
        let is_of_it = |pod: &&Pod| {
            pod.labels().get(SLOT) == Some(&slot.to_string()) && pod.labels().get(REVISION) == Some(&revision)
        };
        let pods: Vec<&Pod> = self.seen.pods.iter().filter(is_of_it).collect();
        // Its own Secrets may be others than those of git by now.
        let own = self.kept.read(slot, rejected.revision).await?.map(|render| render.configs);
        let own = own.unwrap_or_default();
        let secrets: Vec<&Value> = secrets.iter().map(|secret| secret.value()).chain(&own).collect();
        let words = self.heard(&pods, summary, &secrets).await;
        let ended = self.note(slot, |record| SlotRecord { last_words: Some(words), ..record }).await?;
        Ok(ended.is_none())
    }

    async fn heard(&self, pods: &[&Pod], summary: &str, secrets: &[&Value]) -> LastWords {
        let mut words = LastWords::default();
        let Some(pod) = pods.iter().max_by_key(|pod| telling(pod, summary)) else { return words };
        let (container, previous) = container(pod);
        words.pod = pod.name_any();
        words.container.clone_from(&container);
        let params = LogParams {
            container: Some(container),
            previous,
            tail_lines: Some(LOG_LINES),
            limit_bytes: Some(LOG_BYTES),
            ..LogParams::default()
        };
        let api: Api<Pod> = Api::namespaced(self.calls.client().clone(), &self.calls.namespace);
        match tokio::time::timeout(DEADLINE, once(api.logs(&words.pod, &params))).await {
            Ok(Ok(log)) => {
                let is_secret = |line: &str| secrets.iter().any(|secret| repeats_secret(secret, line));
                words.lines = last_lines(whole_lines(&log), is_secret);
            }
            Ok(Err(error)) => words.trouble = Some(cut_middle(&visible(&error.to_string()), TROUBLE_CHARS)),
            Err(_) => words.trouble = Some(format!("no answer within {} s", DEADLINE.as_secs())),
        }
        words
    }
}

/// A log that was cut ends in the middle of a line, and half of a Secret's value would not be known as one.
fn whole_lines(log: &str) -> &str {
    let is_cut = i64::try_from(log.len()).unwrap_or(i64::MAX) >= LOG_BYTES;
    if is_cut { log.rsplit_once('\n').map_or("", |(whole, _)| whole) } else { log }
}

/// The pod that a gate named comes first, then those that are not ready, then those that were started again most often.
fn telling(pod: &Pod, summary: &str) -> (bool, bool, i32, Reverse<String>) {
    let name = pod.name_any();
    let restarts = statuses(pod).map(|status| status.restart_count).max().unwrap_or_default();
    (summary.contains(&name), !is_ready(pod), restarts, Reverse(name))
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let containers = status.and_then(|status| status.container_statuses.as_ref());
    containers.into_iter().flatten()
}

/// The container that keeps the pod from being ready, else its first one; and whether its former run has more to say.
fn container(pod: &Pod) -> (String, bool) {
    let init = pod.status.as_ref().and_then(|status| status.init_container_statuses.as_ref());
    let is_unfinished = |status: &&ContainerStatus| {
        let ended = status.state.as_ref().and_then(|state| state.terminated.as_ref());
        status.started != Some(true) && ended.is_none_or(|ended| ended.exit_code != 0)
    };
    let unfinished = init.into_iter().flatten().find(is_unfinished);
    let unready = || statuses(pod).filter(|status| !status.ready).max_by_key(|status| status.restart_count);
    if let Some(status) = unfinished.or_else(unready) {
        let waits = status.state.as_ref().is_some_and(|state| state.waiting.is_some());
        let has_run = status.last_state.as_ref().is_some_and(|state| state.terminated.is_some());
        return (status.name.clone(), waits && has_run);
    }
    let first = pod.spec.as_ref().and_then(|spec| spec.containers.first());
    (first.map(|container| container.name.clone()).unwrap_or_default(), false)
}
