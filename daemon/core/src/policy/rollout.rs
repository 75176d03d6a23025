//! `kind: RolloutPolicy`: which workloads roll out in colours, and what has to hold before and after traffic moves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::gate::Gate;
use crate::location::Location;

/// How some workloads roll out.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutPolicy {
    /// `metadata.name`; environments name it in `spec.policies`.
    pub name: String,
    /// Where it begins.
    pub location: Location,
    /// Which workloads.
    pub matches: Match,
    /// How their traffic is moved.
    pub mode: Mode,
    /// Gates that must pass before traffic moves, in the order in which they are asked.
    pub before_switch: Vec<Gate>,
    /// Gates that must pass while the bake is open.
    pub while_baking: Vec<Gate>,
    /// How long the new colour is watched.
    pub bake: Bake,
    /// Nothing is taken from the colour that traffic left before this is over. The effective one is longer where the pods'
    /// grace period asks for it. Default: 30 s.
    pub drain: Duration,
    /// How long a rejected colour is kept for people to look at. Default: 10 minutes.
    pub keep_failed: Duration,
    /// How long the colour that traffic left stays at its size after the bake. Default: 0.
    pub standby: Duration,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// How gates reach pods. Default: by the cluster's network inside of it, else through the API server.
    pub reach: Option<Reach>,
}

/// Which workloads a policy is for: all of it must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Match {
    /// Kinds; default: `Deployment`, the only one that this version takes.
    pub kinds: BTreeSet<String>,
    /// By their labels (of the object, not of its pods). Default: any.
    pub selector: Option<LabelSelector>,
    /// By their names. Default: any.
    pub names: BTreeSet<String>,
}

/// A label selector as Kubernetes has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {
    /// Labels with these values.
    pub labels: BTreeMap<String, String>,
    /// Further conditions.
    pub expressions: Vec<LabelExpression>,
}

/// One of `matchExpressions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelExpression {
    /// The label.
    pub key: String,
    /// What about it.
    pub operator: LabelOperator,
}

/// The condition of a [`LabelExpression`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelOperator {
    /// It has one of these values.
    In(BTreeSet<String>),
    /// It is missing, or has none of these values.
    NotIn(BTreeSet<String>),
    /// It is there.
    Exists,
    /// It is missing.
    DoesNotExist,
}

impl LabelSelector {
    /// True when these labels are selected.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let Self { labels: wanted, expressions } = self;
        wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
            && expressions.iter().all(|LabelExpression { key, operator }| match operator {
                LabelOperator::In(values) => labels.get(key).is_some_and(|value| values.contains(value)),
                LabelOperator::NotIn(values) => labels.get(key).is_none_or(|value| !values.contains(value)),
                LabelOperator::Exists => labels.contains_key(key),
                LabelOperator::DoesNotExist => !labels.contains_key(key),
            })
    }
}

/// How traffic is moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// By the selector of a Service.
    Service {
        /// Its name; default: the only Service whose selector matches the pods.
        service: Option<String>,
    },
    /// Not at all: a workload that has colours goes back to having none.
    None,
}

/// How long the new colour is watched after traffic has moved to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bake {
    /// At least. Default: 10 minutes.
    pub duration: Duration,
    /// At most, while gates cannot tell. Default: six times the duration.
    pub max: Duration,
    /// The share of the pods below which a colour is unwell, in percent. Default: 80.
    pub floor_percent: u32,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From the write of the pods' template to all of them ready. Default: 10 minutes.
    pub warm: Duration,
    /// From the first asking of a gate before the switch to its verdict: unknown is failed then. Default: 15 minutes.
    pub gates: Duration,
    /// From the move of traffic to the last endpoint that has followed. Default: 2 minutes.
    pub settle: Duration,
    /// How long a colour may be below its floor while the bake is open. Default: 30 s.
    pub grace: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            warm: Duration::from_mins(10),
            gates: Duration::from_mins(15),
            settle: Duration::from_mins(2),
            grace: Duration::from_secs(30),
        }
    }
}

/// How gates reach pods and Services of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// By their addresses: the daemon is in the cluster's network.
    Direct,
    /// By a stream through the API server (`pods/portforward`), under the environment's identity.
    ApiServer,
}
