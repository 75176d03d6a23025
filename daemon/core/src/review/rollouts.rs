//! What becomes of the workloads that roll out in colours: which rollouts a merge starts, through which gates, with how many
//! more pods meanwhile, and what these ask for.
//!
//! From git alone: which colour has the traffic, and whether a rollout is under way, is the cluster's to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use serde::Serialize;

use super::input::Complete;
use crate::location::Location;
use crate::object::{ObjectId, ObjectRef};
use crate::policy::{Gate, GateKind};
use crate::rollout::Revision;
use crate::workload::{Colours, Requests, Workload};

/// What becomes of one workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutReview {
    /// Its Deployment.
    pub object: ObjectRef,
    /// What becomes of it.
    pub change: RolloutChange,
    /// Where the Deployment stands: in head, or in base when it left git.
    pub location: Location,
    /// What base asks to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Revision>,
    /// What head asks to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Revision>,
    /// How it rolls out, where a rollout begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way: Option<RolloutWay>,
}

/// What becomes of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RolloutChange {
    /// It is new: its first colour is made, and gets traffic when its gates have passed.
    Install,
    /// It was an ordinary Deployment: its pods get a colour, then it rolls out.
    Adopt,
    /// Its revision is another one.
    Roll,
    /// Its revision is tried again.
    Retry,
    /// Its revision stays: sizes, ports and labels change on the colour that is live.
    InPlace,
    /// The gates or times of its policy change: for its next rollout.
    Policy,
    /// It goes back to having no colours.
    Leave,
    /// No policy matches it any more: it stays as it is until one does.
    Unmatched,
    /// It leaves git.
    Remove,
}

impl RolloutChange {
    /// True when a colour is made and proven.
    pub const fn is_rollout(self) -> bool {
        match self {
            Self::Install | Self::Adopt | Self::Roll | Self::Retry => true,
            Self::InPlace | Self::Policy | Self::Leave | Self::Unmatched | Self::Remove => false,
        }
    }
}

/// How a workload rolls out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutWay {
    /// The policy's name.
    pub policy: String,
    /// How many pods of the new colour there are at least; as many of the old one run beside them.
    pub pods: u32,
    /// How many there may be, where an autoscaler sizes the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most_pods: Option<u32>,
    /// What each of them asks of its node, where their manifest says so.
    #[serde(skip_serializing_if = "Requests::is_unsaid")]
    pub pod_requests: Requests,
    /// Gates that have to pass before traffic moves, in order.
    pub before_switch: Vec<GateReview>,
    /// Gates that have to pass while the new colour is watched.
    pub while_baking: Vec<GateReview>,
    /// Change windows that have to be open when traffic moves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<String>,
    /// How long the new colour is watched at least, in seconds.
    pub bake_seconds: i64,
    /// And at most.
    pub bake_max_seconds: i64,
    /// Nothing is taken from the old colour for so long after traffic has moved, in seconds.
    pub drain_seconds: i64,
}

/// A gate as a reviewer needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateReview {
    /// Its name.
    pub name: String,
    /// What is asked: `http`, `tcp`, `job`, `prometheus`, `lbHealth`, `load` or `drainSafe`.
    pub kind: &'static str,
}

/// What becomes of the workloads of either side, by object. Without a base all of them are new.
pub(super) fn rollouts(base: Option<&Complete>, head: &Complete) -> Vec<RolloutReview> {
    let before: BTreeMap<ObjectId, &Arc<Workload>> = base.map(by_id).unwrap_or_default();
    let after = by_id(head);
    let mut found = Vec::new();
    for (id, workload) in &after {
        let was_there = base.is_some_and(|base| base.wanted().iter().any(|object| object.reference.is(id)));
        let changes = match (before.get(id), workload.mode) {
            (Some(old), Colours::Coloured) => in_colours(old, workload),
            (Some(old), Colours::Plain) if old.mode == Colours::Coloured => vec![RolloutChange::Leave],
            (_, Colours::Plain) => Vec::new(),
            (None, Colours::Coloured) if was_there => vec![RolloutChange::Adopt],
            (None, Colours::Coloured) => vec![RolloutChange::Install],
        };
        let old = before.get(id).filter(|old| old.mode == Colours::Coloured);
        found.extend(changes.into_iter().map(|change| RolloutReview {
            from: old.map(|old| old.revision),
            to: Some(workload.revision),
            way: change.is_rollout().then(|| way(workload)),
            ..review(head, workload, change)
        }));
    }
    let Some(base) = base else { return found };
    let gone = before.iter().filter(|(id, old)| old.mode == Colours::Coloured && !after.contains_key(*id));
    for (id, old) in gone {
        let stays = head.wanted().iter().find(|object| object.reference.is(id));
        let review = match stays {
            Some(object) => RolloutReview {
                location: head.place(object.location()),
                ..review(base, old, RolloutChange::Unmatched)
            },
            None => review(base, old, RolloutChange::Remove),
        };
        found.push(RolloutReview { from: Some(old.revision), ..review });
    }
    found.sort_by_cached_key(|review| (review.object.id(), review.change));
    found
}

fn by_id(side: &Complete) -> BTreeMap<ObjectId, &Arc<Workload>> {
    let wanted = if side.environment.decommission { &[] } else { side.workloads.as_slice() };
    wanted.iter().map(|workload| (workload.reference.id(), workload)).collect()
}

fn review(side: &Complete, workload: &Workload, change: RolloutChange) -> RolloutReview {
    RolloutReview {
        object: workload.reference.clone(),
        change,
        location: side.place(workload.object.location()),
        from: None,
        to: None,
        way: None,
    }
}

/// A workload that head has in colours and base had under a policy.
fn in_colours(old: &Workload, new: &Workload) -> Vec<RolloutChange> {
    if old.mode == Colours::Plain {
        return vec![RolloutChange::Adopt];
    }
    if old.revision != new.revision {
        return vec![RolloutChange::Roll];
    }
    if old.retry != new.retry {
        return vec![RolloutChange::Retry];
    }
    let mut changes = Vec::new();
    let digests = |workload: &Workload| -> BTreeMap<ObjectId, _> {
        workload.plain().iter().map(|object| (object.reference.id(), object.digest())).collect()
    };
    if digests(old) != digests(new) {
        changes.push(RolloutChange::InPlace);
    }
    if terms(old) != terms(new) {
        changes.push(RolloutChange::Policy);
    }
    changes
}

/// By what a workload rolls out, whatever its pods are.
fn terms(workload: &Workload) -> impl PartialEq {
    let Workload { gates, windows, timing, .. } = workload;
    (gates.clone(), windows.clone(), *timing, workload.policy.reach)
}

fn way(workload: &Workload) -> RolloutWay {
    let Workload { policy, size, timing, windows, .. } = workload;
    let scaler = size.autoscaler;
    let asked = |gates: &[Gate]| gates.iter().filter_map(gate).collect();
    RolloutWay {
        policy: policy.name.clone(),
        pods: size.replicas.max(scaler.map_or(0, |scaler| scaler.min)),
        most_pods: scaler.map(|scaler| scaler.max),
        pod_requests: Requests::of_pod(&workload.object.to_value()),
        before_switch: asked(&policy.before_switch),
        while_baking: asked(&policy.while_baking),
        windows: windows.clone(),
        bake_seconds: seconds(timing.bake),
        bake_max_seconds: seconds(timing.bake_max),
        drain_seconds: seconds(timing.drain),
    }
}

fn gate(gate: &Gate) -> Option<GateReview> {
    let kind = match &gate.kind {
        GateKind::Window(_) => return None,
        GateKind::Http(_) => "http",
        GateKind::Tcp(_) => "tcp",
        GateKind::Job(_) => "job",
        GateKind::Prometheus(_) => "prometheus",
        GateKind::LbHealth(_) => "lbHealth",
        GateKind::Load(_) => "load",
        GateKind::DrainSafe => "drainSafe",
    };
    Some(GateReview { name: gate.name.clone(), kind })
}

const fn seconds(duration: SignedDuration) -> i64 {
    duration.as_secs()
}
