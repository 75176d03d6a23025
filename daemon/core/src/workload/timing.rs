//! The durations of a policy for one workload, and the effective drain.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;

use crate::policy::RolloutPolicy;
use crate::rollout::Timing;

/// How long a pod may take to end where its template does not say.
const DEFAULT_GRACE: u64 = 30;
/// Load balancers notice late: nothing is taken away behind one before this.
const BALANCED_DRAIN: SignedDuration = SignedDuration::from_secs(30);

/// Where a workload's requests come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// From pods of the cluster.
    Cluster,
    /// Through a load balancer.
    Balancer,
}

/// The policy's durations. The drain is no shorter than a pod may take for a request that it has begun: what it does before it
/// stops counts within its grace period.
pub(super) fn timing(policy: &RolloutPolicy, template: &Value, entry: Entry) -> Timing {
    let grace = template.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_u64);
    let grace = signed(Duration::from_secs(grace.unwrap_or(DEFAULT_GRACE)));
    let least = match entry {
        Entry::Cluster => SignedDuration::ZERO,
        Entry::Balancer => BALANCED_DRAIN,
    };
    Timing {
        drain: signed(policy.drain).max(grace).max(least),
        bake: signed(policy.bake.duration),
        bake_max: signed(policy.bake.max),
        standby: signed(policy.standby),
        keep_failed: signed(policy.keep_failed),
        warm: signed(policy.deadlines.warm),
        grace: signed(policy.deadlines.grace),
        settle: signed(policy.deadlines.settle),
        floor_percent: policy.bake.floor_percent,
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
