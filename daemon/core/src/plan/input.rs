//! What a plan is made from. Everything is a value: the shell has read git and the cluster before.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::ObjectMatcher;
use crate::desired::Environment;
use crate::drift::{AllowList, Flips};
use crate::ids::{Digest, EnvironmentName};
use crate::inventory::Inventory;
use crate::object::{DesiredObject, ObjectId};
use crate::observed::Observed;
use crate::problem::Problem;

/// Everything that a plan depends on; equal inputs give equal plans.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// What the environment says about itself.
    pub settings: &'a PlanSettings,
    /// The objects of the commit that is applied, from a complete parse; none when there is no such commit (git out of reach
    /// since the start, a folder that is missing). A broken commit is not none: its environment keeps the last good set.
    pub desired: Option<&'a [Arc<DesiredObject>]>,
    /// What was seen of the cluster.
    pub observed: &'a Observed,
    /// What the environment owns.
    pub inventory: &'a Inventory,
    /// What the API server refused, so that it is not tried again until something changes.
    pub failed: &'a BTreeMap<ObjectId, Failure>,
    /// The repairs of late.
    pub flips: &'a Flips,
    /// Now.
    pub now: Timestamp,
}

/// The part of an environment's settings that plans depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanSettings {
    /// The id of the environment's ApplySet.
    pub apply_set: String,
    /// Its name.
    pub environment: EnvironmentName,
    /// What may be deleted.
    pub prune: PruneSettings,
    /// Objects with the marks of others that are taken over.
    pub adopt: Vec<ObjectMatcher>,
    /// Nothing is written, for this reason.
    pub suspended: Option<String>,
    /// This commit is held, and the last good one is enforced in place of it: what it took over from others stays.
    pub rolled_back_from: Option<String>,
    /// The environment is taken down: everything that it owns is deleted.
    pub decommission: bool,
    /// The lowest wave with a workload that rolls out and is not live yet: later waves wait for it.
    pub unfinished_wave: Option<i32>,
    /// Field managers whose writes are expected.
    pub allow: AllowList,
    /// The environment's own file: objects that stand in it are the Namespaces of `createNamespaces`.
    pub file: Arc<str>,
}

impl PlanSettings {
    /// What plans depend on of an environment's own file. `apply_set`: the id of its ApplySet.
    pub fn of(environment: &Environment, apply_set: String) -> Self {
        Self {
            apply_set,
            environment: environment.name.clone(),
            prune: PruneSettings {
                enabled: environment.prune.enabled,
                max: environment.prune.budget.max,
                percent: environment.prune.budget.percent,
                allow: environment.prune.allow.iter().cloned().collect(),
            },
            adopt: environment.adopt.iter().cloned().map(ObjectMatcher::from).collect(),
            suspended: None,
            rolled_back_from: None,
            decommission: environment.decommission,
            unfinished_wave: None,
            allow: AllowList::default(),
            file: environment.location.file.clone(),
        }
    }
}

/// What may be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneSettings {
    /// False: what leaves git stays in the cluster, and is reported.
    pub enabled: bool,
    /// More deletes than this at once stop and ask.
    pub max: u32,
    /// More than this share of the inventory stops and asks, when the inventory has at least ten entries.
    pub percent: u32,
    /// Which of Namespace, PersistentVolumeClaim and CustomResourceDefinition may be deleted.
    pub allow: Vec<String>,
}

impl Default for PruneSettings {
    fn default() -> Self {
        Self { enabled: true, max: 10, percent: 20, allow: Vec::new() }
    }
}

/// An action that the API server refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Digest of what was sent; none for a delete.
    pub desired: Option<Digest>,
    /// The uid that the live object had; none when there was none. (Not its resourceVersion: that of a busy object changes
    /// every second, and nothing would ever hold.)
    pub uid: Option<String>,
    /// Why.
    pub problem: Problem,
    /// When it is tried again even if nothing changes (a quota may have been raised); none: never.
    pub retry_at: Option<Timestamp>,
}
