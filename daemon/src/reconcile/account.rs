//! What came of a plan's actions, taken in: refusals and when they are tried again, repairs, metrics.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tidegate_core::ids::Digest;
use tidegate_core::object::ObjectId;
use tidegate_core::outcome::Outcome;
use tidegate_core::plan::{Action, Apply, ApplyReason, Failure, Plan};
use tidegate_core::problem::Problem;
use tidegate_core::standing::{Aftermath, aftermath};
use tidegate_core::status::DriftRecord;

use super::execute::{ADOPT, Done};
use super::lane::Lane;
use crate::cluster::handle::Cluster;
use crate::telemetry::{ActionLabels, EnvironmentLabel};

impl Lane {
    /// Takes in what came of a plan's actions.
    pub(super) fn account(&mut self, cluster: &Cluster, plan: &Plan, done: Vec<Done>) {
        let now = Timestamp::now();
        let repairs: BTreeSet<_> =
            done.iter().filter(|done| done.drift.is_some()).map(|done| done.reference.id()).collect();
        for apply in applies(plan).filter(|apply| repairs.contains(&apply.object.reference.id())) {
            self.memory.flips.record_apply(apply, now);
        }
        for result in done {
            let id = result.reference.id();
            self.count(&result);
            self.memory.evidence.remove(&id);
            let outcome = result.outcome.clone();
            match aftermath(outcome, self.conflicts_over(&id, &result.outcome)) {
                Aftermath::Over => self.note_done(result),
                Aftermath::ReadAgain => cluster.store.forget(&id),
                Aftermath::LeftAlone { code, words, pause } => {
                    let problem = match result.problems.first() {
                        Some(problem) => Problem { code, ..problem.clone() },
                        None => Problem::error(code, words).object(&result.reference),
                    };
                    tracing::warn!(environment = %self.name, "{problem}");
                    let failure = self.failure(&id, result.desired, problem, now.checked_add(pause).ok());
                    cluster.store.forget(&id);
                    self.memory.failed.insert(id, failure);
                }
                Aftermath::Refused { problem, pause } => {
                    tracing::error!(environment = %self.name, "{problem}");
                    let failure = self.failure(&id, result.desired, *problem, now.checked_add(pause).ok());
                    self.memory.further.insert(id.clone(), result.problems.into_iter().skip(1).collect());
                    self.memory.failed.insert(id, failure);
                }
            }
        }
    }

    /// Conflicts in a row over an object, with this outcome.
    fn conflicts_over(&mut self, id: &ObjectId, outcome: &Outcome) -> u32 {
        match outcome {
            Outcome::Conflict => {
                let count = self.memory.conflicts.entry(id.clone()).or_default();
                *count = count.saturating_add(1);
                *count
            }
            Outcome::Done | Outcome::Unchanged => {
                self.memory.conflicts.remove(id);
                0
            }
            Outcome::Refused(_) | Outcome::Unknown(_) => 0,
        }
    }

    fn note_done(&mut self, result: Done) {
        let id = result.reference.id();
        self.memory.failed.remove(&id);
        self.memory.further.remove(&id);
        if result.foreign.is_empty() {
            self.memory.foreign.remove(&id);
        } else {
            self.memory.foreign.insert(id, result.foreign);
        }
        if result.action == ADOPT {
            tracing::info!(environment = %self.name, object = %result.reference, "taken over: it existed before");
        }
        if let Some(drift) = result.drift {
            self.note_repair(drift);
        }
    }

    /// What is held against an object, by the uid that the plan saw (no watch has those of objects without our label).
    fn failure(
        &self,
        id: &ObjectId,
        desired: Option<Digest>,
        problem: Problem,
        retry_at: Option<Timestamp>,
    ) -> Failure {
        let seen = self.memory.last.as_ref().and_then(|(observed, _)| observed.objects.get(id));
        Failure { desired, uid: seen.map(|live| live.uid.clone()), problem, retry_at }
    }

    fn note_repair(&mut self, drift: DriftRecord) {
        let label = EnvironmentLabel { environment: self.name.to_string() };
        self.shared.metrics.drift_repairs.get_or_create(&label).inc();
        tracing::warn!(
            environment = %self.name, object = %drift.object, manager = drift.manager.as_deref().unwrap_or("unknown"),
            changes = %drift.changes.join("; "), "drift repaired"
        );
        self.memory.repairs.push(drift);
    }

    fn count(&self, done: &Done) {
        let outcome = match &done.outcome {
            Outcome::Done => "done",
            Outcome::Unchanged => "unchanged",
            Outcome::Conflict => "conflict",
            Outcome::Refused(_) => "refused",
            Outcome::Unknown(_) => "unknown",
        };
        let labels = ActionLabels {
            environment: self.name.to_string(),
            action: done.action.to_owned(),
            outcome: outcome.to_owned(),
        };
        self.shared.metrics.actions.get_or_create(&labels).inc();
    }
}

fn applies(plan: &Plan) -> impl Iterator<Item = &Apply> {
    plan.stages.iter().flat_map(|stage| &stage.actions).filter_map(|action| match action {
        Action::Apply(apply) => match apply.reason {
            ApplyReason::Drift { .. } | ApplyReason::Recreate => Some(apply),
            ApplyReason::Create | ApplyReason::Changed | ApplyReason::Resume | ApplyReason::Adopt => None,
        },
        Action::Delete(_) => None,
    })
}
