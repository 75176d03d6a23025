//! What `policies/*.yaml` says. Only types and their defaults stand beside this page; the reading is in the `read` modules.
//!
//! A commit's policies stand in its folder `policies/` ([`PolicyFolder`]); an environment names the ones that hold for it
//! and gets them as [`Policies`].
//!
//! Not here: what follows from a policy ([`crate::rollout`] decides, the shell asks gates).

mod folder;
mod gate;
mod read;
mod rollout;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::problem::Problem;

pub use folder::{FOLDER, KnownPolicies, PolicyFolder};
pub use gate::{
    Expectation, Gate, GateKind, HttpAnswer, HttpGate, HttpRequest, JobGate, Json, JsonCheck, LbHealthGate,
    LoadGate, Port, PrometheusGate, PrometheusSource, ScalarType, TcpGate, TcpTarget, Tolerance, Traffic,
};
pub use rollout::{
    Bake, Deadlines, LabelExpression, LabelOperator, LabelSelector, Match, Mode, Reach, RolloutPolicy,
};

/// One policy of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Policy {
    /// How workloads roll out.
    Rollout(Arc<RolloutPolicy>),
}

/// The policies that hold for one environment, in the order in which it names them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policies {
    /// How its workloads roll out.
    pub rollouts: Vec<Arc<RolloutPolicy>>,
    /// What is odd in their files but does not keep them from being used.
    pub warnings: Vec<Problem>,
}

impl Policies {
    /// Adds a policy.
    fn extend(&mut self, policy: Option<&Policy>) {
        match policy {
            Some(Policy::Rollout(policy)) => self.rollouts.push(policy.clone()),
            None => {}
        }
    }
}
