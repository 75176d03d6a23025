//! StatefulSets: replicas in order, partitions, revisions.

use serde_json::Value;

use super::Health;
use super::generic::unseen;
use super::read::{count, number, of, plural, text};
use super::workloads::{available, wanted_replicas};

/// All replicas ready and available, and those beyond the partition of the new revision.
pub(super) fn stateful_set(live: &Value) -> Health {
    if let Some(health) = unseen(live).or_else(|| replicas(live)) {
        return health;
    }
    let wanted = wanted_replicas(live);
    if text(live, "/spec/updateStrategy/type") == Some("OnDelete") {
        return Health::healthy(format!("{}; updates wait for pods to be deleted", available(wanted)));
    }
    let partition = number(live, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    let updated = count(live, "/status/updatedReplicas");
    let to_update = wanted.saturating_sub(partition).max(0);
    if updated < to_update {
        return Health::progressing(of(updated, to_update, "replica", "of the new revision"));
    }
    if partition > 0 {
        let moved = of(updated, wanted, "replica", "of the new revision");
        return Health::healthy(format!("{moved}, as the partition {partition} says"));
    }
    if text(live, "/status/currentRevision") != text(live, "/status/updateRevision") {
        return Health::progressing("its new revision is not the current one yet");
    }
    Health::healthy(available(wanted))
}

fn replicas(live: &Value) -> Option<Health> {
    let wanted = wanted_replicas(live);
    for (field, what) in [
        ("/status/replicas", "created"),
        ("/status/readyReplicas", "ready"),
        ("/status/availableReplicas", "available"),
    ] {
        // Clusters before 1.22 do not write `availableReplicas`.
        let done = number(live, field).unwrap_or(if what == "available" { wanted } else { 0 });
        if done < wanted {
            return Some(Health::progressing(of(done, wanted, "replica", what)));
        }
    }
    let extra = count(live, "/status/replicas").saturating_sub(wanted);
    (extra > 0).then(|| Health::progressing(format!("{} too many, still to go", plural(extra, "replica"))))
}
