//! How an environment stands, from what the last round saw and planned. Pure, but for the pods of sick workloads.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tidegate_core::health::{Health, HealthState, exists_is_healthy};
use tidegate_core::location::Location;
use tidegate_core::object::ObjectId;
use tidegate_core::observed::Observed;
use tidegate_core::plan::{Failure, Plan, WaitingReason};
use tidegate_core::problem::{Code, Problem};
use tidegate_core::status::{MAX_OBJECTS, ObjectCounts, ObjectState, ObjectStatus, State};

use super::memory::Progress;
use crate::world::DesiredSet;

/// A refused object is tried again after this time even if nothing changes (a quota may have been raised).
pub const RETRY_REFUSED: SignedDuration = SignedDuration::from_secs(60);
/// A write of which nobody knows what came (a webhook out of reach, say) is sent again after this time.
pub const RETRY_UNKNOWN: SignedDuration = SignedDuration::from_secs(10);
/// An object whose kind was found to be served no more is looked at again after this time.
pub const RETRY_UNSERVED: SignedDuration = SignedDuration::from_secs(2);
/// How many workloads that are not ready have their pods looked at in one pass.
pub const PODS_LOOKS: usize = 5;

/// How the objects of an environment stand.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Objects by state.
    pub counts: ObjectCounts,
    /// Objects that are not healthy or wait.
    pub objects: Vec<ObjectStatus>,
    /// Workloads whose pods are worth a look.
    pub sick: Vec<ObjectId>,
    /// The first reason that people should read.
    pub first: Option<String>,
}

/// Judges every object of the desired set.
pub fn judge(
    desired: &DesiredSet,
    observed: &Observed,
    plan: &Plan,
    failed: &BTreeMap<ObjectId, Failure>,
    pods: &BTreeMap<ObjectId, Health>,
) -> Judgement {
    let mut judgement = Judgement::default();
    let waiting: BTreeMap<&ObjectId, &WaitingReason> =
        plan.waiting.iter().map(|waiting| (&waiting.object, &waiting.reason)).collect();
    // An environment that is taken down is asked for nothing.
    let objects = if desired.environment.decommission { &[][..] } else { &desired.objects };
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
    }
    let wanted: BTreeSet<ObjectId> = objects.iter().map(|object| object.reference.id()).collect();
    for (id, reason) in waiting.iter().filter(|(id, _)| !wanted.contains(**id)) {
        judgement.wait(id, reason);
    }
    judgement.place(desired);
    judgement
}

fn health_of(gvk: &tidegate_core::object::Gvk, id: &ObjectId, observed: &Observed) -> Health {
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
    fn place(&mut self, desired: &DesiredSet) {
        for status in self.objects.iter_mut().take(MAX_OBJECTS) {
            let object = desired.objects.iter().find(|object| object.reference.id() == status.object);
            status.location = object.map(|object| {
                let Location { file, position } = object.location();
                Location { file: format!("{}{file}", desired.prefix).into(), position }
            });
        }
    }

    fn count(&mut self, id: &ObjectId, health: &Health, pods: &BTreeMap<ObjectId, Health>) {
        let trouble = pods.get(id);
        let state = match (health.state, trouble.map(|trouble| trouble.state)) {
            (HealthState::Progressing, Some(worse)) => worse,
            (state, _) => state,
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

/// `90s` or `10m`.
fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds >= 60 && seconds.is_multiple_of(60) {
        format!("{}m", seconds / 60)
    } else {
        format!("{seconds}s")
    }
}

/// Since when each of these objects is unwell at a stretch. Until the environment was live, the time counts from the apply;
/// afterwards (a node went, a pod was restarted) from when it was first seen.
pub fn unwell_since(
    progress: &Progress,
    known: &BTreeMap<ObjectId, Timestamp>,
    sick: &[ObjectId],
    now: Timestamp,
) -> BTreeMap<ObjectId, Timestamp> {
    let Some(applied) = progress.applied else { return BTreeMap::new() };
    let from = if progress.live.is_some() { now } else { applied };
    sick.iter().map(|id| (id.clone(), known.get(id).copied().unwrap_or(from))).collect()
}

/// The problems of what is not applied, or not healthy, although its deadline is over. `unwell`: since when objects are.
pub fn overdue(
    desired: &DesiredSet,
    judgement: &Judgement,
    progress: &Progress,
    unwell: &BTreeMap<ObjectId, Timestamp>,
    now: Timestamp,
) -> Vec<Problem> {
    let deadlines = desired.environment.deadlines;
    let late = |since: Timestamp, deadline: Duration| {
        SignedDuration::try_from(deadline).is_ok_and(|deadline| now.duration_since(since) > deadline)
    };
    if progress.applied.is_none() {
        if !progress.seen.is_some_and(|seen| late(seen, deadlines.apply)) {
            return Vec::new();
        }
        let first = judgement.first.as_deref().unwrap_or("something keeps it from being applied");
        let message = format!("not applied whole within {}: {first}", shown(deadlines.apply));
        return vec![Problem::error(Code::ApplyDeadline, message).at(desired.environment.location.clone())];
    }
    let deadline = deadlines.healthy;
    let reasons: BTreeMap<&ObjectId, &str> = judgement
        .objects
        .iter()
        .filter(|status| status.state.is_unhealthy())
        .map(|status| (&status.object, status.reason.as_str()))
        .collect();
    desired
        .objects
        .iter()
        .filter_map(|object| {
            let id = object.reference.id();
            unwell.get(&id).filter(|since| late(**since, deadline))?;
            let message = format!("not healthy within {}: {}", shown(deadline), reasons.get(&id)?);
            Some(
                Problem::error(Code::HealthDeadline, message).object(&object.reference).at(object.location()),
            )
        })
        .collect()
}
