//! Deployments, ReplicaSets (and ReplicationControllers), DaemonSets.

use serde_json::Value;

use super::Health;
use super::generic::unseen;
use super::read::{condition, count, is_set, number, of, plural, text, true_condition};

/// The progress deadline with which the controller keeps no Progressing condition.
const NO_DEADLINE: i64 = i32::MAX as i64;

/// Rolled out when every replica is of the new template, available and alone, and the controller says that it is done.
pub(super) fn deployment(live: &Value) -> Health {
    let progressing = condition(live, "Progressing");
    if let Some(exceeded) = progressing.filter(|condition| condition.reason == "ProgressDeadlineExceeded") {
        return Health::degraded(format!("its progress deadline is exceeded: {}", exceeded.says()));
    }
    if is_set(live, "/spec/paused") {
        return Health::suspended("it is paused");
    }
    if let Some(health) = unseen(live).or_else(|| deployment_replicas(live)) {
        return health;
    }
    let has_deadline =
        number(live, "/spec/progressDeadlineSeconds").is_some_and(|seconds| seconds < NO_DEADLINE);
    let finished = progressing.is_some_and(|c| c.is_true() && c.reason == "NewReplicaSetAvailable");
    if has_deadline && !finished {
        return Health::progressing("its rollout is not finished");
    }
    if !condition(live, "Available").is_some_and(|condition| condition.is_true()) {
        return Health::progressing("it has not reached its minimum availability");
    }
    Health::healthy(available(wanted_replicas(live)))
}

fn deployment_replicas(live: &Value) -> Option<Health> {
    let wanted = wanted_replicas(live);
    let replicas = count(live, "/status/replicas");
    let updated = count(live, "/status/updatedReplicas");
    if updated < wanted {
        return Some(
            not_created(live).unwrap_or_else(|| {
                Health::progressing(of(updated, wanted, "replica", "of the new template"))
            }),
        );
    }
    let ready = count(live, "/status/readyReplicas").min(count(live, "/status/availableReplicas"));
    if replicas <= wanted && ready >= wanted {
        return None;
    }
    if replicas > updated {
        let old = plural(replicas.saturating_sub(updated), "replica");
        return Some(Health::progressing(format!("{old} of the old template still to go")));
    }
    if replicas > wanted {
        return Some(Health::progressing(format!(
            "{} too many, still to go",
            plural(replicas.saturating_sub(wanted), "replica")
        )));
    }
    Some(Health::progressing(of(ready, wanted, "replica", "available")))
}

/// As many replicas as wanted, all of them labelled, ready and available.
pub(super) fn replica_set(live: &Value) -> Health {
    let wanted = wanted_replicas(live);
    if let Some(health) = unseen(live).or_else(|| not_created(live)) {
        return health;
    }
    for (field, what) in [
        ("/status/fullyLabeledReplicas", "labelled"),
        ("/status/readyReplicas", "ready"),
        ("/status/availableReplicas", "available"),
    ] {
        let done = count(live, field);
        if done < wanted {
            return Health::progressing(of(done, wanted, "replica", what));
        }
    }
    let extra = count(live, "/status/replicas").saturating_sub(wanted);
    if extra > 0 {
        return Health::progressing(format!("{} too many, still to go", plural(extra, "replica")));
    }
    Health::healthy(available(wanted))
}

/// A pod on every node that should have one: updated (unless that waits for deletion), ready and available.
pub(super) fn daemon_set(live: &Value) -> Health {
    if let Some(health) = unseen(live) {
        return health;
    }
    let wanted = number(live, "/status/desiredNumberScheduled").filter(|wanted| *wanted >= 0);
    let Some(wanted) = wanted else {
        return Health::progressing("its controller has not counted the nodes yet");
    };
    let on_delete = text(live, "/spec/updateStrategy/type") == Some("OnDelete");
    for (field, what) in [
        ("/status/currentNumberScheduled", "scheduled"),
        ("/status/updatedNumberScheduled", "of the new template"),
        ("/status/numberReady", "ready"),
        ("/status/numberAvailable", "available"),
    ] {
        let done = count(live, field);
        if done < wanted && !(on_delete && field == "/status/updatedNumberScheduled") {
            return Health::progressing(of(done, wanted, "pod", what));
        }
    }
    match wanted {
        0 => Health::healthy("no node asks for its pod"),
        1 => Health::healthy("its pod is available"),
        wanted => Health::healthy(format!("all {wanted} pods are available")),
    }
}

/// That pods cannot be created at all (quota, admission, service account): the controller goes on trying.
fn not_created(live: &Value) -> Option<Health> {
    why_not_created(live).map(Health::progressing)
}

/// Why the pods of a Deployment or ReplicaSet cannot be created, in the API server's words.
pub fn why_not_created(live: &Value) -> Option<String> {
    let failure = true_condition(live, "ReplicaFailure")?;
    Some(format!("its pods cannot be created: {}", failure.says()))
}

/// `spec.replicas`, 1 when it is absent.
pub(super) fn wanted_replicas(live: &Value) -> i64 {
    number(live, "/spec/replicas").unwrap_or(1)
}

/// `all 3 replicas are available`.
pub(super) fn available(replicas: i64) -> String {
    match replicas {
        0 => "scaled to zero".to_owned(),
        1 => "its replica is available".to_owned(),
        replicas => format!("all {replicas} replicas are available"),
    }
}
