//! From a Deployment and its neighbours to a workload, or to everything that keeps it from rolling out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::matching::Candidate;
use super::model::{Colours, Workload};
use super::names::{RESTART, RETRY};
use super::neighbours::Neighbours;
use super::read::{annotation, place_of, refuse};
use super::services::Services;
use super::sizing::Sizing;
use super::timing::{Entry, timing};
use super::{balancer, configs, pods, revision, services, sizing};
use crate::object::DesiredObject;
use crate::policy::{Gate, GateKind, Mode, RolloutPolicy};
use crate::problem::{Code, Problem};
use crate::rollout::{self, GateName, Gates};

/// A Deployment that a policy matches, with what stands around it.
pub(super) struct Subject<'a> {
    pub(super) object: &'a Arc<DesiredObject>,
    pub(super) value: &'a Value,
    pub(super) policy: &'a Arc<RolloutPolicy>,
    /// Of its pods.
    pub(super) labels: BTreeMap<String, String>,
    pub(super) neighbours: &'a Neighbours,
}

/// The workload. None where there is nothing that a rollout could write: what is wrong is said elsewhere, or nothing is.
pub(super) fn build(
    candidate: &Candidate,
    neighbours: &Neighbours,
) -> Result<Option<Workload>, Vec<Problem>> {
    let Candidate { object, policy } = candidate;
    let Some(known) = neighbours.find("apps", "Deployment", &object.reference.name) else { return Ok(None) };
    let Some(labels) = pods::labels(&known.value) else { return Ok(None) };
    let subject = Subject { object, value: &known.value, policy, labels, neighbours };
    match &policy.mode {
        Mode::Service { service } => coloured(subject, service.as_deref()).map(Some),
        Mode::None => Ok(plain(subject)),
    }
}

fn coloured(subject: Subject<'_>, service: Option<&str>) -> Result<Workload, Vec<Problem>> {
    let mut problems = pods::refusals(&subject);
    let services = services::find(&subject, service);
    let sizing = sizing::find(&subject, &mut problems);
    let retry = retry(&subject).unwrap_or_else(|problem| {
        problems.push(*problem);
        0
    });
    let services = match services {
        Ok(services) => services,
        Err(found) => {
            problems.extend(found);
            return Err(problems);
        }
    };
    let workload = workload(subject, Colours::Coloured, services, sizing);
    problems.extend(configs::too_long(&workload.configs));
    if problems.is_empty() { Ok(Workload { retry, ..workload }) } else { Err(problems) }
}

/// What goes back to having no colours is refused nothing: most refusals are about two colours at once.
fn plain(subject: Subject<'_>) -> Option<Workload> {
    let services = services::of_plain(&subject)?;
    let sizing = sizing::find(&subject, &mut Vec::new());
    Some(workload(subject, Colours::Plain, services, sizing))
}

fn workload(subject: Subject<'_>, mode: Colours, services: Services, sizing: Sizing) -> Workload {
    let template = subject.value.pointer("/spec/template").unwrap_or(&Value::Null);
    let services_of =
        || std::iter::once(&services.pointer).chain(services.followers.iter().map(|one| &one.object));
    let entry = if services_of().any(|service| balancer::is_behind_one(&subject, service)) {
        Entry::Balancer
    } else {
        Entry::Cluster
    };
    let Subject { object, value, policy, labels, neighbours } = subject;
    let configs = configs::copied(template, &object.reference.name, neighbours);
    Workload {
        reference: object.reference.clone(),
        object: object.clone(),
        policy: policy.clone(),
        mode,
        revision: revision::revision(template, &configs, annotation(value, RESTART)),
        retry: 0,
        wave: object.wave,
        size: sizing.size(value),
        gates: gates(policy),
        windows: windows(policy),
        timing: timing(policy, template, entry),
        service: services.pointer,
        followers: services.followers,
        autoscaler: sizing.autoscaler,
        budget: sizing.budget,
        labels,
        configs,
    }
}

fn retry(subject: &Subject<'_>) -> Result<u32, Box<Problem>> {
    let Some(text) = annotation(subject.value, RETRY) else { return Ok(0) };
    text.trim().parse().map_err(|_| {
        let message = format!("`{RETRY}: {}` is not a whole number from 0", text.escape_debug());
        let problem = refuse(Code::FieldValue, subject.object, &place_of(subject.value, RETRY), message);
        Box::new(
            problem.help("write a number in quotes; another one than before tries a rejected revision again"),
        )
    })
}

fn gates(policy: &RolloutPolicy) -> Gates {
    let asked = |gates: &[Gate]| gates.iter().filter_map(gate).collect();
    Gates { before_switch: asked(&policy.before_switch), while_baking: asked(&policy.while_baking) }
}

fn gate(gate: &Gate) -> Option<rollout::Gate> {
    match &gate.kind {
        GateKind::Window(_) => None,
        GateKind::Http(_)
        | GateKind::Tcp(_)
        | GateKind::Job(_)
        | GateKind::Prometheus(_)
        | GateKind::LbHealth(_)
        | GateKind::Load(_)
        | GateKind::DrainSafe => {
            Some(rollout::Gate { name: GateName(Arc::from(gate.name.as_str())), config: gate.config })
        }
    }
}

fn windows(policy: &RolloutPolicy) -> Vec<String> {
    let mut windows = BTreeSet::new();
    for gate in policy.before_switch.iter().chain(&policy.while_baking) {
        if let GateKind::Window(names) = &gate.kind {
            windows.extend(names.iter().cloned());
        }
    }
    windows.into_iter().collect()
}
