//! What `policies/*.yaml` says. Only types and their defaults stand beside this page; the reading is in the `read` modules.
//!
//! A commit's policies stand in its folder `policies/` ([`PolicyFolder`]); an environment names the ones that hold for it
//! and gets them as [`Policies`].
//!
//! Not here: what follows from a policy ([`crate::rollout`] decides, the shell asks gates).

mod cron;
mod folder;
mod gate;
mod guardrail;
mod health_rule;
mod read;
mod rollout;
#[cfg(test)]
mod tests;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::object::DesiredObject;
use crate::problem::Problem;

pub use cron::Cron;
pub use folder::{FOLDER, KnownPolicies, PolicyFolder};
pub use gate::{
    Expectation, Gate, GateKind, HttpAnswer, HttpGate, HttpRequest, JobGate, Json, JsonCheck, LbHealthGate,
    LoadGate, Port, PrometheusGate, PrometheusSource, ScalarType, TcpGate, TcpTarget, Tolerance, Traffic,
};
pub use guardrail::{Action, Guardrail, ObjectMatch, Validation};
pub use health_rule::HealthRule;
pub(crate) use read::KINDS;
pub use rollout::{
    Bake, Deadlines, LabelExpression, LabelOperator, LabelSelector, Match, Mode, Reach, RolloutPolicy,
};
pub use window::{Cause, ChangeWindow, Closed, Freeze, Recurring, WindowState, state as window_state};

/// One policy of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Policy {
    /// How workloads roll out.
    Rollout(Arc<RolloutPolicy>),
    /// When objects of a custom kind are healthy.
    HealthRule(Arc<HealthRule>),
    /// Rules on objects.
    Guardrail(Arc<Guardrail>),
    /// When changes may be made.
    Window(Arc<ChangeWindow>),
}

/// The policies that hold for one environment, in the order in which it names them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policies {
    /// How its workloads roll out.
    pub rollouts: Vec<Arc<RolloutPolicy>>,
    /// When changes may be made; all must be open, for every rollout.
    pub windows: Vec<Arc<ChangeWindow>>,
    /// Windows that gates name, whether the environment names them too or not.
    pub gate_windows: BTreeMap<String, Arc<ChangeWindow>>,
    /// Rules on its objects.
    pub guardrails: Vec<Arc<Guardrail>>,
    /// When objects of custom kinds are healthy; one for a kind.
    pub health_rules: Vec<Arc<HealthRule>>,
    /// What is odd in their files but does not keep them from being used.
    pub warnings: Vec<Problem>,
}

impl Policies {
    /// The rules that these objects break, each at its object.
    pub fn check(&self, objects: &[Arc<DesiredObject>]) -> Vec<Problem> {
        guardrail::check(&self.guardrails, objects)
    }

    /// Whether a rollout by this policy may start, or move traffic, now: all windows of the environment and of the policy's
    /// gates are open. Never asked about a rollback.
    pub fn window_state(&self, policy: &RolloutPolicy, now: Timestamp) -> WindowState {
        let named = window_names(policy).filter_map(|(name, _)| self.gate_windows.get(name));
        let mut windows: Vec<Arc<ChangeWindow>> = self.windows.iter().chain(named).cloned().collect();
        let mut seen = BTreeSet::new();
        windows.retain(|window| seen.insert(window.name.clone()));
        window::state(&windows, now)
    }

    /// Adds a policy.
    fn extend(&mut self, policy: Option<&Policy>) {
        match policy {
            Some(Policy::Rollout(policy)) => self.rollouts.push(policy.clone()),
            Some(Policy::HealthRule(rule)) => self.health_rules.push(rule.clone()),
            Some(Policy::Guardrail(guardrail)) => self.guardrails.push(guardrail.clone()),
            Some(Policy::Window(window)) => self.windows.push(window.clone()),
            None => {}
        }
    }
}

/// The windows that the gates of a policy name, each with its gate.
fn window_names(policy: &RolloutPolicy) -> impl Iterator<Item = (&String, &Gate)> {
    policy.before_switch.iter().flat_map(|gate| {
        let names = match &gate.kind {
            GateKind::Window(names) => names.as_slice(),
            GateKind::Http(_)
            | GateKind::Tcp(_)
            | GateKind::Job(_)
            | GateKind::Prometheus(_)
            | GateKind::LbHealth(_)
            | GateKind::Load(_)
            | GateKind::DrainSafe => &[],
        };
        names.iter().map(move |name| (name, gate))
    })
}
