//! Health of live objects by the rules of kstatus. Pure; the shell watches and feeds it.

use serde::{Deserialize, Serialize};

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
