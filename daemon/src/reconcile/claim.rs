//! The marks of a commit on the parent: claimed before its first write, concluded after its last one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use tidegate_core::object::ObjectId;
use tidegate_core::problem::Problem;

use super::lane::Lane;
use super::memory::Progress;
use crate::cluster::call::CallError;
use crate::cluster::handle::Cluster;
use crate::cluster::parent::{APPLIED, Parent, ParentChange, REWIND, SEEN, SEEN_INPUTS, SOURCE};
use crate::source::Revision;
use crate::telemetry::EnvironmentLabel;
use crate::world::DesiredSet;

impl Lane {
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
        let mut annotations: BTreeMap<String, Option<String>> =
            claim_of(desired, cluster).map(|(key, value)| (key, Some(value))).collect();
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
            *progress = Progress {
                inputs: Some(desired.inputs.clone()),
                seen: Some(Timestamp::now()),
                ..Progress::default()
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

    /// Everything is applied: the next record says so.
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
        self.memory.unsaid.insert(APPLIED.to_owned(), Some(revision));
        Ok(())
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
        cluster.note_deleted(&parent);
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
}

/// What the parent says of a commit that is about to be applied.
pub(super) fn claim_of(desired: &DesiredSet, cluster: &Cluster) -> impl Iterator<Item = (String, String)> {
    let source = cluster.view().map(|view| (SOURCE.to_owned(), view.source().to_owned()));
    let seen = [
        (SEEN.to_owned(), desired.revision.id()),
        (SEEN_INPUTS.to_owned(), desired.inputs.as_str().to_owned()),
    ];
    seen.into_iter().chain(source)
}
