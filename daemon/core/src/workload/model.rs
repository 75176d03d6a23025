//! A workload that rolls out in colours, and what is asked of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::configs::Configs;
use super::read::{drop_records, texts};
use super::sizing;
use super::slot::{self, SlotRender};
use crate::object::{DesiredObject, ObjectId, ObjectRef};
use crate::policy::RolloutPolicy;
use crate::rollout::{Gates, Revision, Size, Slot, Timing};

/// Whether a workload has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// It rolls out in two of them.
    Coloured,
    /// Its policy says `mode: none`: it goes back to having none.
    Plain,
}

/// A Deployment in git with everything around it that rolls out with it.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The Deployment in git.
    pub reference: ObjectRef,
    /// The same, as git has it.
    pub object: Arc<DesiredObject>,
    /// How it rolls out.
    pub policy: Arc<RolloutPolicy>,
    /// Whether it has colours.
    pub mode: Colours,
    /// What git asks to run.
    pub revision: Revision,
    /// The number of `tidegate.dev/retry`, 0 without it.
    pub retry: u32,
    /// The Deployment's wave.
    pub wave: i32,
    /// How many pods git asks for.
    pub size: Size,
    /// The Service whose selector moves the traffic.
    pub service: Arc<DesiredObject>,
    /// Services that select what it selects.
    pub followers: Vec<Follower>,
    /// Its HorizontalPodAutoscaler.
    pub autoscaler: Option<Arc<DesiredObject>>,
    /// Its PodDisruptionBudget.
    pub budget: Option<Arc<DesiredObject>>,
    /// The policy's gates, without the change windows.
    pub gates: Gates,
    /// The change windows that have to be open when traffic moves, sorted.
    pub windows: Vec<String>,
    /// The policy's durations, and the effective drain.
    pub timing: Timing,
    /// The labels of its pods in git.
    pub(super) labels: BTreeMap<String, String>,
    /// The configuration that is copied for its pods.
    pub(super) configs: Configs,
}

/// A Service that is made to select what the pointer selects.
#[derive(Debug, Clone)]
pub struct Follower {
    /// As git has it.
    pub object: Arc<DesiredObject>,
}

impl Follower {
    /// Git's Service without its selector.
    pub fn body(&self) -> Value {
        body(&self.object)
    }

    /// Git's selector.
    pub fn base_selector(&self) -> BTreeMap<String, String> {
        base_selector(&self.object)
    }
}

impl Workload {
    /// Its name in git, the value of the label [`super::names::APP`].
    pub fn app(&self) -> &str {
        &self.reference.name
    }

    /// The objects of a slot that runs what git asks for. The same in whichever order git wrote them.
    pub fn slot(&self, slot: Slot, commit: &str) -> SlotRender {
        slot::render(self, slot, commit)
    }

    /// The objects of a slot that goes on to run what it runs, with everything that changes without a rollout as git asks
    /// for it now: ports, labels, and the like. For a slot whose revision is this workload's.
    pub fn refreshed(&self, slot: Slot, commit: &str, kept: &SlotRender) -> SlotRender {
        slot::refresh(self.slot(slot, commit), kept)
    }

    /// A slot's autoscaler and budget.
    pub fn sizing(&self, slot: Slot) -> Vec<Value> {
        let objects = self.autoscaler.iter().chain(&self.budget);
        objects.map(|object| sizing::for_slot(object, self.app(), slot)).collect()
    }

    /// Git's Service without its selector.
    pub fn service_body(&self) -> Value {
        body(&self.service)
    }

    /// Git's selector, to which the slot is added.
    pub fn base_selector(&self) -> BTreeMap<String, String> {
        base_selector(&self.service)
    }

    /// What git says, without colours: the Deployment, what sizes it, and its Services.
    pub fn plain(&self) -> Vec<Arc<DesiredObject>> {
        let followers = self.followers.iter().map(|follower| &follower.object);
        let all = std::iter::once(&self.object).chain(&self.autoscaler).chain(&self.budget);
        all.chain(std::iter::once(&self.service)).chain(followers).cloned().collect()
    }

    /// The objects of git that are the rollout's to write and to delete, and no longer the ordinary engine's.
    pub fn ids(&self) -> BTreeSet<ObjectId> {
        self.plain().iter().map(|object| object.reference.id()).collect()
    }
}

fn body(service: &DesiredObject) -> Value {
    let mut value = service.to_value();
    drop_records(&mut value);
    if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("selector");
    }
    value
}

fn base_selector(service: &DesiredObject) -> BTreeMap<String, String> {
    texts(&service.to_value(), "/spec/selector")
}
