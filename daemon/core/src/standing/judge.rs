//! How the objects of an environment stand, from what the last round saw and planned, and the state that comes of it.

use std::collections::{BTreeMap, BTreeSet};

use super::Enforced;
use crate::health::{Health, HealthState, exists_is_healthy};
use crate::location::Location;
use crate::object::{Gvk, ObjectId};
use crate::observed::Observed;
use crate::plan::{Failure, Plan, WaitingReason};
use crate::problem::Problem;
use crate::status::{MAX_OBJECTS, ObjectCounts, ObjectState, ObjectStatus, State};

/// How the objects of an environment stand.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Objects by state.
    pub counts: ObjectCounts,
    /// Objects that are not healthy or wait.
    pub objects: Vec<ObjectStatus>,
    /// Those that exist, or should, and are not healthy.
    pub sick: Vec<ObjectId>,
    /// Those of the sick whose pods are worth a look: they may say why.
    pub telling: Vec<ObjectId>,
    /// The first reason that people should read.
    pub first: Option<String>,
}

/// Judges every object of the desired set.
pub fn judge(
    enforced: Enforced<'_>,
    observed: &Observed,
    plan: &Plan,
    failed: &BTreeMap<ObjectId, Failure>,
    pods: &BTreeMap<ObjectId, Health>,
) -> Judgement {
    let mut judgement = Judgement::default();
    let waiting: BTreeMap<&ObjectId, &WaitingReason> =
        plan.waiting.iter().map(|waiting| (&waiting.object, &waiting.reason)).collect();
    let objects = enforced.wanted();
    for object in objects {
        let id = object.reference.id();
        judgement.counts.objects += 1;
        if let Some(failure) = failed.get(&id) {
            judgement.counts.failed += 1;
            judgement.note(&id, ObjectState::Failed, &failure.problem.message);
            continue;
        }
        if let Some(reason) = waiting.get(&id) {
            judgement.wait(&id, reason);
        }
        let health = health_of(&object.reference.gvk, &id, observed);
        judgement.count(&id, &health, pods);
        if judgement.sick.last() == Some(&id) && observed.objects.get(&id).is_some_and(|live| !live.podless) {
            judgement.telling.push(id);
        }
    }
    let wanted: BTreeSet<ObjectId> = objects.iter().map(|object| object.reference.id()).collect();
    for (id, reason) in waiting.iter().filter(|(id, _)| !wanted.contains(**id)) {
        judgement.wait(id, reason);
    }
    judgement.place(enforced);
    judgement
}

/// How an object stands, by what the last round saw of it.
pub fn health_of(gvk: &Gvk, id: &ObjectId, observed: &Observed) -> Health {
    let health = |state, reason: &str| Health { state, reason: reason.to_owned() };
    match observed.objects.get(id) {
        None => health(HealthState::Progressing, "it does not exist yet"),
        Some(live) => match &live.health {
            Some(health) => health.clone(),
            None if exists_is_healthy(gvk) => health(HealthState::Healthy, "it exists"),
            None => health(HealthState::Progressing, "its status is not read yet"),
        },
    }
}

impl Judgement {
    /// Says where in git the objects stand that a record has room for.
    fn place(&mut self, enforced: Enforced<'_>) {
        for status in self.objects.iter_mut().take(MAX_OBJECTS) {
            let object = enforced.objects.iter().find(|object| object.reference.is(&status.object));
            status.location = object.map(|object| {
                let Location { file, position } = object.location();
                Location { file: format!("{}{file}", enforced.prefix).into(), position }
            });
        }
    }

    fn count(&mut self, id: &ObjectId, health: &Health, pods: &BTreeMap<ObjectId, Health>) {
        let trouble = pods.get(id);
        let state = match health.state {
            HealthState::Progressing => trouble.map_or(HealthState::Progressing, |trouble| trouble.state),
            HealthState::Healthy | HealthState::Suspended | HealthState::Unknown | HealthState::Degraded => {
                health.state
            }
        };
        let reason = match trouble {
            Some(trouble) => format!("{}; {}", health.reason, trouble.reason),
            None => health.reason.clone(),
        };
        match state {
            HealthState::Healthy | HealthState::Suspended => self.counts.healthy += 1,
            HealthState::Unknown => self.counts.unknown += 1,
            HealthState::Progressing => {
                self.counts.progressing += 1;
                self.note(id, ObjectState::Progressing, &reason);
                self.sick.push(id.clone());
            }
            HealthState::Degraded => {
                self.counts.degraded += 1;
                self.note(id, ObjectState::Degraded, &reason);
                self.sick.push(id.clone());
            }
        }
    }

    /// What is kept on purpose is shown and holds nothing up.
    fn wait(&mut self, id: &ObjectId, reason: &WaitingReason) {
        if reason.is_kept() {
            let (object, state, reason) = (id.clone(), ObjectState::Kept, reason.to_string());
            self.objects.push(ObjectStatus { object, state, reason, location: None });
        } else {
            self.counts.waiting += 1;
            self.note(id, ObjectState::Waiting, &reason.to_string());
        }
    }

    fn note(&mut self, id: &ObjectId, state: ObjectState, reason: &str) {
        if self.first.is_none() {
            self.first = Some(format!("{id}: {reason}"));
        }
        let (object, reason) = (id.clone(), reason.to_owned());
        let status = ObjectStatus { object, state, reason, location: None };
        self.objects.push(status);
    }

    /// True when everything that git asks for is applied and healthy. A field that is fought over is applied, again and again.
    pub fn is_well(&self, plan: &Plan) -> bool {
        let ObjectCounts { objects: _, healthy: _, progressing, degraded, failed, unknown: _, waiting: _ } =
            self.counts;
        let is_whole = !plan.waiting.iter().any(|waiting| waiting.reason.holds_commit());
        let has_errors = plan.problems.iter().any(Problem::is_error);
        is_whole && !has_errors && progressing == 0 && degraded == 0 && failed == 0
    }

    /// The state of the environment, given that its commit is valid and its plan was carried out as far as possible.
    pub fn state(&self, plan: &Plan) -> State {
        let errors = plan.problems.iter().any(Problem::is_error);
        let counts = &self.counts;
        if counts.failed > 0 || errors {
            State::Failed
        } else if counts.degraded > 0 {
            State::Degraded
        } else if counts.waiting > 0 && counts.progressing == 0 {
            State::Waiting
        } else if counts.progressing > 0 || counts.waiting > 0 {
            State::Progressing
        } else {
            State::Live
        }
    }
}
