//! Health of live objects by the rules of kstatus. Pure; the shell watches and feeds it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::object::{Gvk, ObjectId};

/// The state of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HealthState {
    /// It does what its spec says.
    Healthy,
    /// On its way there.
    Progressing,
    /// It failed, or will not get there by itself.
    Degraded,
    /// Paused by its spec (a suspended CronJob, a paused Deployment).
    Suspended,
    /// The kind has no rule.
    Unknown,
}

/// The state of one object with the reason for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The state.
    pub state: HealthState,
    /// One sentence without a full stop, e.g. `2 of 3 replicas are ready`.
    pub reason: String,
}

/// What most tellingly keeps the pods of a workload from being ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodTrouble {
    /// The pod's name.
    pub pod: String,
    /// The container that fails; none when the pod as a whole does (unschedulable, evicted).
    pub container: Option<String>,
    /// The reason as Kubernetes names it, e.g. `ImagePullBackOff`.
    pub reason: String,
    /// One sentence for people, e.g. the scheduler's message.
    pub message: String,
    /// Only a change of the pod's template can help; waiting is of no use.
    pub fatal: bool,
}

/// The health of one live object, given as the full object.
pub fn assess(_live: &Value) -> Health {
    Health { state: HealthState::Unknown, reason: "the kind has no health rule".to_owned() }
}

/// Whether the health of a kind is in its spec and status, so that full objects must be watched.
pub fn has_rule(gvk: &Gvk) -> bool {
    !exists_is_healthy(gvk)
}

/// Whether an object of this kind is healthy because it exists, so that a watch of its metadata suffices.
pub fn exists_is_healthy(gvk: &Gvk) -> bool {
    gvk.group.is_empty() && matches!(gvk.kind.as_str(), "ConfigMap" | "Secret" | "ServiceAccount")
}

/// The most telling trouble among the pods of one workload; none when no pod is in trouble.
pub fn assess_pods(_pods: &[Value]) -> Option<PodTrouble> {
    None
}

/// The health of a whole environment: the worst state of its objects, with counts in the reason.
pub fn environment_health(_objects: impl IntoIterator<Item = (ObjectId, Health)>) -> Health {
    Health { state: HealthState::Unknown, reason: "not judged".to_owned() }
}
