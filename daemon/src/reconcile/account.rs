//! What came of a plan's actions, taken in: refusals and when they are tried again, repairs, metrics.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use tidegate_core::object::ObjectId;
use tidegate_core::outcome::Outcome;
use tidegate_core::plan::{Action, Apply, ApplyReason, Failure, Plan};
use tidegate_core::problem::{Code, Problem};
use tidegate_core::status::DriftRecord;

use super::execute::{ADOPT, Done};
use super::judge::{RETRY_REFUSED, RETRY_UNKNOWN, RETRY_UNSERVED};
use super::lane::Lane;
use crate::cluster::handle::Cluster;
use crate::telemetry::{ActionLabels, EnvironmentLabel};

/// After so many conflicts in a row over one object people are told, and it is left alone for a while.
const CONFLICTS_TOLD: u32 = 5;

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
            match result.outcome {
                Outcome::Done | Outcome::Unchanged => {
                    self.memory.conflicts.remove(&id);
                    self.memory.failed.remove(&id);
                    self.memory.further.remove(&id);
                    if result.foreign.is_empty() {
                        self.memory.foreign.remove(&id);
                    } else {
                        self.memory.foreign.insert(id, result.foreign);
                    }
                    if result.action == ADOPT {
                        tracing::info!(
                            environment = %self.name, object = %result.reference, "taken over: it existed before"
                        );
                    }
                    if let Some(drift) = result.drift {
                        self.note_repair(drift);
                    }
                }
                Outcome::Conflict => {
                    let count = self.memory.conflicts.entry(id.clone()).or_default();
                    *count = count.saturating_add(1);
                    if *count < CONFLICTS_TOLD {
                        cluster.store.forget(&id);
                        continue;
                    }
                    let words = "it changed again and again while it was written";
                    self.hold_for_a_while(cluster, &result, Code::Conflict, words);
                }
                Outcome::Unknown(ref why) => {
                    self.hold_for_a_while(cluster, &result, Code::ClusterUnreachable, why);
                }
                Outcome::Refused(problem) => {
                    tracing::error!(environment = %self.name, "{problem}");
                    let uid = self.seen_uid(&id);
                    let retry_at = now.checked_add(pause(&problem)).ok();
                    let desired = result.desired;
                    let failure = Failure { desired, uid, problem: *problem, retry_at };
                    self.memory.further.insert(id.clone(), result.problems.into_iter().skip(1).collect());
                    self.memory.failed.insert(id, failure);
                }
            }
        }
    }

    /// A write that may succeed another time: the object is read anew and left alone until then.
    fn hold_for_a_while(&mut self, cluster: &Cluster, result: &Done, code: Code, words: &str) {
        let id = result.reference.id();
        let problem = match result.problems.first() {
            Some(problem) => Problem { code, ..problem.clone() },
            None => Problem::error(code, words).object(&result.reference),
        };
        tracing::warn!(environment = %self.name, "{problem}");
        let uid = self.seen_uid(&id);
        cluster.store.forget(&id);
        let retry_at = Timestamp::now().checked_add(RETRY_UNKNOWN).ok();
        self.memory.failed.insert(id, Failure { desired: result.desired.clone(), uid, problem, retry_at });
    }

    /// The uid that the plan saw (no watch has those of objects without our label), by which a failure knows its object.
    fn seen_uid(&self, id: &ObjectId) -> Option<String> {
        let (observed, _) = self.memory.last.as_ref()?;
        observed.objects.get(id).map(|live| live.uid.clone())
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

/// How long a refusal holds.
fn pause(problem: &Problem) -> SignedDuration {
    // The definition went between the look and the write. Whether it is back is known by discovery, as for any other kind
    // that is not served: the object is to be looked at again as soon as those are.
    if problem.code == Code::UnknownKind {
        RETRY_UNSERVED
    } else if passes_soon(problem) {
        RETRY_UNKNOWN
    } else {
        RETRY_REFUSED
    }
}

/// What is refused only while its namespace or its definition goes away is allowed, or has another reason, soon after. Of
/// definitions the API server says so in words alone.
fn passes_soon(problem: &Problem) -> bool {
    ["because it is being terminated", "is terminating"].iter().any(|words| problem.message.contains(words))
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
