//! What a lane keeps in the cluster: the parent and the inventory, read once, claimed before the first write of a commit,
//! written with the resourceVersion that was read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use tidegate_core::desired::Environment;
use tidegate_core::drift::AllowList;
use tidegate_core::ids::EnvironmentName;
use tidegate_core::object::ObjectId;
use tidegate_core::outcome::Outcome;
use tidegate_core::plan::{Action, ApplyReason, Failure, ObjectMatcher, Plan, PlanSettings, PruneSettings};
use tidegate_core::problem::{Code, Problem};
use tidegate_core::status::{CommitInfo, State};

use super::execute::{ADOPT, Done};
use super::lane::{Lane, Wanted};
use crate::cluster::call::CallError;
use crate::cluster::handle::Cluster;
use crate::cluster::parent::{
    APPLIED, Parent, ParentChange, REWIND, SEEN, SEEN_INPUTS, SOURCE, apply_set_of,
};
use crate::source::Revision;
use crate::telemetry::{ActionLabels, EnvironmentLabel};
use crate::world::DesiredSet;

/// How often a write of the parent is tried when others write it at the same time.
const PARENT_ATTEMPTS: u32 = 5;

/// The settings that plans depend on.
pub fn settings(name: &EnvironmentName, environment: &Environment) -> PlanSettings {
    PlanSettings {
        apply_set: apply_set_of(name),
        environment: name.clone(),
        prune: PruneSettings {
            enabled: environment.prune.enabled,
            max: environment.prune.budget.max,
            percent: environment.prune.budget.percent,
            allow: environment.prune.allow.iter().cloned().collect(),
        },
        adopt: environment.adopt.iter().cloned().map(ObjectMatcher::from).collect(),
        suspended: None,
        decommission: environment.decommission,
        allow: AllowList::default(),
    }
}

impl Lane {
    /// Reads the parent and the inventory unless they are known; takes in what people wrote on the parent since.
    pub(super) async fn read_state(&mut self, cluster: &Cluster, wanted: &Wanted) -> Result<(), CallError> {
        match (&self.memory.parent, cluster.seen_parent(&self.name)) {
            (Some(known), Some(seen)) if seen.uid == known.uid => {
                if is_newer(&seen, known) {
                    self.memory.parent = Some(seen);
                }
            }
            (_, _) => {
                self.memory.parent = cluster.parents.read(&self.name).await?;
                self.memory.inventory = None;
            }
        }
        if self.memory.parent.is_none() && may_create(wanted) {
            self.memory.parent = match cluster.parents.create(&self.name).await {
                Ok(parent) => Some(parent),
                Err(CallError::Conflict(_)) => cluster.parents.read(&self.name).await?,
                Err(error) => return Err(error),
            };
        }
        if let (Some(parent), None) = (&self.memory.parent, &self.memory.inventory) {
            self.memory.inventory = Some(cluster.parents.read_inventory(parent).await?);
            self.memory.written.clone_from(&parent.status);
        }
        Ok(())
    }

    /// Writes "this commit is being applied" before its first change. False: it may not be applied, because another
    /// replica has seen a newer one (`seen` never moves backwards without a recorded rewind).
    pub(super) async fn claim(&mut self, cluster: &Cluster, desired: &DesiredSet) -> Result<bool, CallError> {
        let Some(parent) = self.memory.parent.clone() else { return Ok(desired.environment.decommission) };
        let revision = desired.revision.id();
        let inputs = desired.inputs.as_str();
        // Not by the status record: that is also written by a replica that is behind, or that has begun nothing yet.
        let same_inputs = parent.seen.is_some() && parent.seen_inputs.as_deref() == Some(inputs);
        self.memory.behind = false;
        // A rewind to it is written down whatever the inputs: later commits descend from it, not from what was seen before.
        let rewound =
            parent.rewind.as_ref().is_some_and(|rewind| desired.revision.commit() == Some(&rewind.commit));
        if !rewound && (parent.seen.as_ref() == Some(&revision) || same_inputs) {
            self.begin(desired);
            return Ok(true);
        }
        if !self.may_move(&parent, &desired.revision).await {
            self.memory.behind = true;
            return Ok(false);
        }
        let mut annotations = BTreeMap::from([
            (SEEN.to_owned(), Some(revision)),
            (SEEN_INPUTS.to_owned(), Some(inputs.to_owned())),
        ]);
        if let Some(view) = cluster.view() {
            annotations.insert(SOURCE.to_owned(), Some(view.source().to_owned()));
        }
        if parent.rewind.is_some() {
            annotations.insert(REWIND.to_owned(), None);
        }
        self.begin(desired);
        self.write_parent(cluster, ParentChange { annotations, status: None }).await?;
        Ok(true)
    }

    /// True when going from what was seen to `revision` is forward, or a person allowed it.
    async fn may_move(&self, parent: &Parent, revision: &Revision) -> bool {
        let Revision::Commit(to) = revision else { return true };
        let Some(Ok(from)) = parent.seen.as_ref().map(|seen| seen.parse()) else { return true };
        // What descends from it is allowed with it: a commit that leaves this environment as it is claims nothing.
        if let Some(rewind) = &parent.rewind
            && (rewind.commit == *to || self.shared.source.is_ancestor(&rewind.commit, to).await == Ok(true))
        {
            return true;
        }
        // A commit that this mirror does not know was seen by another replica (this one is behind) or was force-pushed away.
        match self.shared.source.is_ancestor(&from, to).await {
            Ok(forward) => forward,
            Err(problem) => {
                tracing::warn!(environment = %self.name, "{problem}");
                false
            }
        }
    }

    fn begin(&mut self, desired: &DesiredSet) {
        let progress = &mut self.memory.progress;
        if progress.inputs.as_ref() != Some(&desired.inputs) {
            *progress = super::memory::Progress {
                inputs: Some(desired.inputs.clone()),
                seen: Some(Timestamp::now()),
                ..super::memory::Progress::default()
            };
            let times =
                self.memory.written.as_ref().filter(|status| status.inputs.as_ref() == Some(&desired.inputs));
            if let Some(status) = times {
                progress.seen = status.times.seen;
                progress.applied = status.times.applied;
                progress.live = status.times.live;
            }
        }
    }

    /// Everything is applied: says so on the parent.
    pub(super) async fn conclude(
        &mut self,
        cluster: &Cluster,
        desired: &Arc<DesiredSet>,
    ) -> Result<(), CallError> {
        self.drop_failures_of_the_gone(desired);
        let Some((_, plan)) = &self.memory.last else { return Ok(()) };
        let blocked = plan.waiting.iter().any(|waiting| waiting.reason.holds_commit())
            || plan.problems.iter().any(Problem::is_error);
        if blocked || !self.memory.failed.is_empty() {
            return Ok(());
        }
        if desired.environment.decommission {
            return self.take_down(cluster).await;
        }
        if self.memory.progress.applied.is_none() {
            let now = Timestamp::now();
            self.memory.progress.applied = Some(now);
            if let Some(seen) = self.memory.progress.seen {
                let label = EnvironmentLabel { environment: self.name.to_string() };
                let seconds = now.duration_since(seen).as_secs_f64();
                self.shared.metrics.apply_seconds.get_or_create(&label).observe(seconds);
            }
        }
        let revision = desired.revision.id();
        let parent = self.memory.parent.as_ref();
        let same = parent
            .and_then(|parent| parent.status.as_ref())
            .and_then(|status| status.applied_inputs.as_ref());
        if parent.is_some_and(|parent| parent.applied.as_ref() == Some(&revision))
            || same == Some(&desired.inputs)
        {
            return Ok(());
        }
        let annotations = BTreeMap::from([(APPLIED.to_owned(), Some(revision))]);
        self.write_parent(cluster, ParentChange { annotations, status: None }).await
    }

    /// A refused object that is neither in git nor in the inventory any more concerns nobody.
    fn drop_failures_of_the_gone(&mut self, desired: &DesiredSet) {
        let inventory = self.inventory();
        let wanted: BTreeSet<_> = desired.objects.iter().map(|object| object.reference.id()).collect();
        self.memory.failed.retain(|id, _| wanted.contains(id) || inventory.entries.contains_key(id));
        let failed = &self.memory.failed;
        self.memory.further.retain(|id, _| failed.contains_key(id));
    }

    /// Everything that a decommissioned environment owned is gone: so goes what we kept of it.
    async fn take_down(&mut self, cluster: &Cluster) -> Result<(), CallError> {
        let kept = self.kept();
        let inventory = self.inventory();
        if inventory.entries.keys().any(|id| !kept.contains(id)) {
            return Ok(());
        }
        let Some(parent) = self.memory.parent.clone() else { return Ok(()) };
        cluster.parents.delete(&parent).await?;
        let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
        tracing::info!(environment = %self.name, kept = %kept.join(", "), "taken down");
        self.memory.parent = None;
        self.memory.inventory = None;
        Ok(())
    }

    /// What git left and what may not be deleted: it stays in the cluster, and is nobody's once the environment is gone.
    fn kept(&self) -> BTreeSet<ObjectId> {
        let waiting = self.memory.last.iter().flat_map(|(_, plan)| &plan.waiting);
        waiting.filter(|waiting| waiting.reason.is_kept()).map(|waiting| waiting.object.clone()).collect()
    }

    /// Changes the parent; when somebody wrote it in between, on top of what they wrote.
    pub(super) async fn write_parent(
        &mut self,
        cluster: &Cluster,
        change: ParentChange,
    ) -> Result<(), CallError> {
        for attempt in 1..=PARENT_ATTEMPTS {
            let Some(parent) = self.memory.parent.clone() else { return Ok(()) };
            match cluster.parents.update(&parent, &change).await {
                Ok(written) => {
                    self.memory.parent = Some(written);
                    return Ok(());
                }
                Err(error @ CallError::Conflict(_)) => {
                    let now = cluster.parents.read(&self.name).await?;
                    let ours = |parent: &Parent| (parent.seen.clone(), parent.applied.clone(), parent.shards);
                    let foreign = now.as_ref().is_none_or(|now| ours(now) != ours(&parent));
                    self.memory.parent = now;
                    if foreign || attempt == PARENT_ATTEMPTS {
                        // Another replica works on the environment: everything is read anew.
                        self.memory.forget_cluster();
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Notes objects that are about to be created, so that a kill between the two leaves nothing unknown.
    pub(super) fn note_pending(&mut self, plan: &Plan) {
        let Some((inventory, _)) = &mut self.memory.inventory else { return };
        for action in plan.stages.iter().flat_map(|stage| &stage.actions) {
            if let Action::Apply(apply) = action {
                inventory.record_intent(apply);
            }
        }
    }

    /// Notes what a plan found in sync, and drops what is gone.
    pub(super) fn accept(&mut self, plan: &Plan) {
        let now = Timestamp::now();
        let Some((observed, _)) = &self.memory.last else { return };
        let Some((inventory, _)) = &mut self.memory.inventory else { return };
        for id in &plan.accept {
            if let Some(live) = observed.objects.get(id) {
                let settled = tidegate_core::drift::is_settled(&live.managed, now);
                inventory.record_accepted(id, &live.managed, &AllowList::default(), settled);
            }
        }
        for id in &plan.forget {
            inventory.forget(id);
        }
    }

    /// Writes the shards that changed. A conflict means that another replica works on the environment.
    pub(super) async fn write_inventory(&mut self, cluster: &Cluster) -> Result<(), CallError> {
        let (Some(parent), Some((inventory, stored))) = (&self.memory.parent, &mut self.memory.inventory)
        else {
            return Ok(());
        };
        if inventory.entries.is_empty() && parent.shards.is_none() {
            return Ok(());
        }
        match cluster.parents.write_inventory(parent, stored, inventory).await {
            Ok(Some(updated)) => self.memory.parent = Some(updated),
            Ok(None) => {}
            Err(error) => {
                self.memory.forget_cluster();
                return Err(error);
            }
        }
        Ok(())
    }

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
                Outcome::Conflict => cluster.store.forget(&id, None),
                Outcome::Unknown(why) => {
                    let about = || Problem::error(Code::ClusterUnreachable, why).object(&result.reference);
                    let problem = result.problems.into_iter().next().unwrap_or_else(about);
                    tracing::warn!(environment = %self.name, "{problem}");
                    let uid = self.seen_uid(&id);
                    cluster.store.forget(&id, None);
                    let retry_at = now.checked_add(super::judge::RETRY_UNKNOWN).ok();
                    self.memory
                        .failed
                        .insert(id, Failure { desired: result.desired, uid, problem, retry_at });
                }
                Outcome::Refused(problem) => {
                    tracing::error!(environment = %self.name, "{problem}");
                    let uid = self.seen_uid(&id);
                    let retry_at = now.checked_add(super::judge::RETRY_REFUSED).ok();
                    let desired = result.desired;
                    let failure = Failure { desired, uid, problem: *problem, retry_at };
                    self.memory.further.insert(id.clone(), result.problems.into_iter().skip(1).collect());
                    self.memory.failed.insert(id, failure);
                }
            }
        }
    }

    /// The uid that the plan saw (no watch has those of objects without our label), by which a failure knows its object.
    fn seen_uid(&self, id: &ObjectId) -> Option<String> {
        let (observed, _) = self.memory.last.as_ref()?;
        observed.objects.get(id).map(|live| live.uid.clone())
    }

    fn note_repair(&mut self, drift: tidegate_core::status::DriftRecord) {
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

/// A parent is made for an environment that is to be deployed, not for one that is gone or being taken down.
fn may_create(wanted: &Wanted) -> bool {
    match wanted {
        Wanted::Present(target) => {
            target.environment.as_ref().is_ok_and(|environment| !environment.decommission)
        }
        Wanted::Missing => false,
    }
}

fn applies(plan: &Plan) -> impl Iterator<Item = &tidegate_core::plan::Apply> {
    plan.stages.iter().flat_map(|stage| &stage.actions).filter_map(|action| match action {
        Action::Apply(apply) => match apply.reason {
            ApplyReason::Drift { .. } | ApplyReason::Recreate => Some(apply),
            ApplyReason::Create | ApplyReason::Changed | ApplyReason::Resume | ApplyReason::Adopt => None,
        },
        Action::Delete(_) => None,
    })
}

/// Resource versions compare as numbers within one resource (KEP-5504); where they are not numbers, what was seen counts.
fn is_newer(seen: &Parent, known: &Parent) -> bool {
    match (seen.resource_version.parse::<u128>(), known.resource_version.parse::<u128>()) {
        (Ok(seen), Ok(known)) => seen > known,
        (Err(_), _) | (_, Err(_)) => seen.resource_version != known.resource_version,
    }
}

/// A commit as the status record names it.
pub fn commit_info(desired_revision: &Revision, info: Option<&crate::source::CommitInfo>) -> CommitInfo {
    CommitInfo {
        id: desired_revision.id(),
        subject: info.map_or_else(|| "uncommitted files".to_owned(), |info| info.subject.clone()),
        author: info.map(|info| info.author.name.clone()).unwrap_or_default(),
        time: info.map_or_else(Timestamp::now, |info| info.committer_time),
    }
}

/// States in which nothing changes by itself.
pub fn is_settled(state: State) -> bool {
    match state {
        State::Live | State::Degraded | State::Failed | State::Suspended | State::Waiting => true,
        State::Applying | State::Progressing | State::Unreachable => false,
    }
}
