//! Health of live objects by the rules of kstatus. Pure: no clock, no requests; the shell watches and feeds it.
//!
//! Where the rules are stricter or finer than kstatus of `sigs.k8s.io/cli-utils`, and why:
//!
//! | kind | kstatus | here |
//! |---|---|---|
//! | any | Failed or InProgress | a broken object is Degraded, a paused one Suspended |
//! | custom kinds without conditions | Current | Unknown: nothing says that it works, unless a HealthRule does |
//! | objects that their controller has not seen | Current for some | Progressing |
//! | Job that runs | Current | Progressing: the work is not done |
//! | StatefulSet with OnDelete | Current | its replicas must be ready |
//! | DaemonSet with OnDelete | waits for the update | its pods must be available |
//! | Service of type LoadBalancer | waits for a cluster IP | waits for the load balancer's address |
//! | failed Pod | Current | Degraded |
//! | unschedulable Pod | Failed after 15 seconds | Progressing with the scheduler's message: a node may come |
//! | image that cannot be pulled | InProgress | Degraded |
//! | HorizontalPodAutoscaler, APIService, PersistentVolume, Node | generic | own rules |
//!
//! An Ingress without an address is Healthy, as in kstatus: many controllers never write one.

mod autoscaling;
mod batch;
mod environment;
mod extensions;
mod generic;
mod kinds;
mod network;
mod podless;
mod pods;
mod read;
mod ruled;
mod stateful;
mod storage;
#[cfg(test)]
mod tests;
mod trouble;
mod workloads;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::object::Gvk;
use kinds::Rule;

pub use environment::{all_healthy, environment_health};
pub use kinds::{exists_is_healthy, has_rule};
pub use podless::is_podless;
pub(crate) use read::sentence;
pub use ruled::{is_custom, judge, kept};
pub use trouble::{PodTrouble, assess_pods};
pub use workloads::why_not_created;

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

impl Health {
    /// A state with its reason.
    pub fn new(state: HealthState, reason: impl Into<String>) -> Self {
        Self { state, reason: reason.into() }
    }

    fn healthy(reason: impl Into<String>) -> Self {
        Self::new(HealthState::Healthy, reason)
    }

    fn progressing(reason: impl Into<String>) -> Self {
        Self::new(HealthState::Progressing, reason)
    }

    fn degraded(reason: impl Into<String>) -> Self {
        Self::new(HealthState::Degraded, reason)
    }

    fn suspended(reason: impl Into<String>) -> Self {
        Self::new(HealthState::Suspended, reason)
    }

    fn unknown(reason: impl Into<String>) -> Self {
        Self::new(HealthState::Unknown, reason)
    }
}

/// The health of one live object, given as the full object.
pub fn assess(live: &Value) -> Health {
    let Some((api_version, kind)) = read::text(live, "/apiVersion").zip(read::text(live, "/kind")) else {
        return Health::unknown("it is not an object with apiVersion and kind");
    };
    if let Some(health) = generic::before_any_rule(live) {
        return health;
    }
    match kinds::rule_of(&Gvk::from_api_version(api_version, kind)) {
        Rule::Exists => Health::healthy("it exists"),
        Rule::Deployment => workloads::deployment(live),
        Rule::ReplicaSet => workloads::replica_set(live),
        Rule::StatefulSet => stateful::stateful_set(live),
        Rule::DaemonSet => workloads::daemon_set(live),
        Rule::Job => batch::job(live),
        Rule::CronJob => batch::cron_job(live),
        Rule::Pod => pods::pod(live),
        Rule::PersistentVolumeClaim => storage::claim(live),
        Rule::PersistentVolume => storage::volume(live),
        Rule::Service => network::service(live),
        Rule::Ingress => network::ingress(live),
        Rule::PodDisruptionBudget => autoscaling::disruption_budget(live),
        Rule::HorizontalPodAutoscaler => autoscaling::autoscaler(live),
        Rule::CustomResourceDefinition => extensions::definition(live),
        Rule::ApiService => extensions::api_service(live),
        Rule::Namespace => extensions::namespace(live),
        Rule::Node => extensions::node(live),
        Rule::BuiltIn => generic::built_in(live),
        Rule::Custom => generic::custom(live),
    }
}
