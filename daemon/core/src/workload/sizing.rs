//! Autoscalers and disruption budgets, which each slot gets of its own, and what cannot be split between slots.

use std::sync::Arc;

use serde_json::{Value, json};

use super::build::Subject;
use super::names::{APP, MOST_NAME, SLOT, slot_name};
use super::neighbours::Known;
use super::read::{count, map_at, place, refuse};
use crate::object::DesiredObject;
use crate::problem::{Code, Problem};
use crate::rollout::{Autoscaler, Size, Slot};

const AUTOSCALING: &str = "autoscaling";
const AUTOSCALER: &str = "HorizontalPodAutoscaler";
const POLICY: &str = "policy";
const BUDGET: &str = "PodDisruptionBudget";

/// What sizes a workload, and what keeps it up.
#[derive(Debug, Clone, Default)]
pub(super) struct Sizing {
    pub(super) autoscaler: Option<Arc<DesiredObject>>,
    pub(super) budget: Option<Arc<DesiredObject>>,
    pub(super) bounds: Option<Autoscaler>,
}

impl Sizing {
    pub(super) fn size(&self, deployment: &Value) -> Size {
        Size { replicas: count(deployment, "/spec/replicas").unwrap_or(1), autoscaler: self.bounds }
    }
}

/// The workload's autoscaler and budget, and whatever else sizes it.
pub(super) fn find(subject: &Subject<'_>, problems: &mut Vec<Problem>) -> Sizing {
    let (scalers, foreigners): (Vec<&Known>, Vec<&Known>) = subject
        .neighbours
        .naming(&subject.object.reference.name)
        .partition(|known| known.is(AUTOSCALING, AUTOSCALER));
    if let [_, others @ ..] = scalers.as_slice() {
        problems.extend(others.iter().map(|other| second(subject, other, "autoscalers size it")));
    }
    problems.extend(foreigners.into_iter().filter_map(|known| foreign(subject, known)));
    let budgets: Vec<&Known> =
        subject.neighbours.kind(POLICY, BUDGET).filter(|known| protects(known, subject)).collect();
    if let [_, others @ ..] = budgets.as_slice() {
        problems.extend(
            others
                .iter()
                .map(|other| second(subject, other, "budgets select its pods, and evictions would fail")),
        );
    }
    problems.extend(budgets.iter().filter_map(|budget| overlaps(subject, budget)));
    for known in scalers.iter().chain(&budgets) {
        problems.extend(taken(subject, known));
    }
    let first = |found: &[&Known]| found.first().map(|known| known.object.clone());
    Sizing {
        autoscaler: first(&scalers),
        budget: first(&budgets),
        bounds: scalers.first().and_then(|scaler| bounds(&scaler.value)),
    }
}

fn bounds(scaler: &Value) -> Option<Autoscaler> {
    let max = count(scaler, "/spec/maxReplicas")?;
    Some(Autoscaler { min: count(scaler, "/spec/minReplicas").unwrap_or(1), max })
}

fn second(subject: &Subject<'_>, other: &Known, what: &str) -> Problem {
    let own = &subject.object.reference;
    refuse(
        Code::RolloutSizing,
        &other.object,
        "",
        format!("several {what}: {own} may have one, which each colour gets a copy of"),
    )
    .related("the workload that rolls out in colours", subject.object.location())
    .help("keep one of them")
}

/// Objects of other kinds that name the Deployment: it would be gone, and they cannot be told of two.
fn foreign(subject: &Subject<'_>, known: &Known) -> Option<Problem> {
    let pointer = known.target.as_ref()?.pointer;
    let kind = &known.object.reference.gvk.kind;
    let own = &subject.object.reference;
    let message = format!(
        "it names {own}, whose pods run in two Deployments of other names, and a {kind} cannot be split between them"
    );
    Some(
        refuse(Code::RolloutSizing, &known.object, pointer, message)
            .related("the workload that rolls out in colours", subject.object.location())
            .help("size the workload with a HorizontalPodAutoscaler, or take it out of the policy's `match`"),
    )
}

fn protects(budget: &Known, subject: &Subject<'_>) -> bool {
    budget.protects.as_ref().is_some_and(|selector| selector.selects(&subject.labels))
}

/// A budget that is for others too cannot be taken apart.
fn overlaps(subject: &Subject<'_>, budget: &Known) -> Option<Problem> {
    let own = &subject.object.reference;
    let help = "give each workload a budget of its own, with a selector that only its pods match";
    let selector = budget.protects.as_ref()?;
    let refused =
        |message: String| refuse(Code::RolloutSizing, &budget.object, "/spec/selector", message).help(help);
    if selector.labels.is_empty() && selector.expressions.is_empty() {
        return Some(refused(format!(
            "it selects every pod of the namespace, those of {own} among them: it cannot be split between the colours"
        )));
    }
    let mut others = subject.neighbours.runners().filter(|(known, _)| known.object.reference != *own);
    let (other, _) = others.find(|(_, labels)| selector.selects(labels))?;
    let reference = &other.object.reference;
    let message = format!(
        "it selects the pods of {own} and of {reference}: it cannot be split between the colours of the one"
    );
    Some(refused(message).related(
        format!("{reference} has these pods"),
        place(&other.object, "/spec/template/metadata/labels"),
    ))
}

/// The names of the copies have to be free, and names.
fn taken(subject: &Subject<'_>, known: &Known) -> Option<Problem> {
    let gvk = &known.object.reference.gvk;
    for name in Slot::ALL.map(|slot| slot_name(known.name(), slot)) {
        if name.len() > MOST_NAME {
            let message =
                format!("its name is too long: with a colour behind it it may have {MOST_NAME} characters");
            return Some(
                refuse(Code::RolloutName, &known.object, "/metadata/name", message)
                    .help("give it a shorter name"),
            );
        }
        if let Some(other) = subject.neighbours.find(&gvk.group, &gvk.kind, &name) {
            let message = format!(
                "its name is that of the copy of {} for a colour, which Tidegate makes itself",
                known.object.reference
            );
            return Some(
                refuse(Code::RolloutName, &other.object, "/metadata/name", message)
                    .related("what it would be a copy of", known.object.location())
                    .help("give one of the two another name"),
            );
        }
    }
    None
}

/// The autoscaler or budget of a slot.
pub(super) fn for_slot(object: &DesiredObject, app: &str, slot: Slot) -> Value {
    let mut value = object.to_value();
    if let Some(metadata) = map_at(&mut value, "metadata") {
        metadata.insert("name".to_owned(), json!(slot_name(&object.reference.name, slot)));
    }
    if let Some(labels) = value.get_mut("metadata").and_then(|metadata| map_at(metadata, "labels")) {
        labels.insert(APP.to_owned(), json!(app));
        labels.insert(SLOT.to_owned(), json!(slot));
    }
    if let Some(spec) = map_at(&mut value, "spec") {
        if object.reference.gvk.kind == BUDGET {
            spec.insert("selector".to_owned(), json!({ "matchLabels": { APP: app, SLOT: slot } }));
        } else {
            let target =
                json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": slot_name(app, slot) });
            spec.insert("scaleTargetRef".to_owned(), target);
        }
    }
    value
}
