//! The marks of a commit on the parent: claimed before its first write, concluded after its last one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use tidegate_core::ids::CommitId;
use tidegate_core::object::ObjectId;
use tidegate_core::plan::{Failure, Plan, WaitingReason};
use tidegate_core::problem::Problem;

use super::lane::Lane;
use super::memory::Progress;
use crate::cluster::call::CallError;
use crate::cluster::handle::Cluster;
use crate::cluster::parent::{APPLIED, Parent, ParentChange, REWIND, SEEN, SEEN_INPUTS, SOURCE};
use crate::source::Revision;
use crate::telemetry::EnvironmentLabel;
use crate::world::DesiredSet;

/// How the files of a followed folder are named instead of a commit.
const FOLDER: &str = "uncommitted-";

impl Lane {
    /// Writes "this commit is being applied" before its first change. False: it may not be applied, because another
    /// replica has seen a newer one (`seen` never moves backwards without a recorded rewind).
    pub(super) async fn claim(&mut self, cluster: &Cluster, desired: &DesiredSet) -> Result<bool, CallError> {
        let Some(parent) = self.memory.parent.clone() else { return Ok(desired.environment.decommission) };
        let newest = self.newest_revision(desired);
        let revision = newest.id();
        let inputs = desired.inputs.as_str();
        // Not by the status record: that is also written by a replica that is behind, or that has begun nothing yet.
        let same_inputs = parent.seen.is_some() && parent.seen_inputs.as_deref() == Some(inputs);
        self.memory.behind = false;
        // A rewind to it is written down whatever the inputs: later commits descend from it, not from what was seen before.
        let rewound = parent.rewind.as_ref().is_some_and(|rewind| newest.commit() == Some(&rewind.commit));
        let lost = is_lost(&parent);
        if !rewound && !lost && (parent.seen.as_ref() == Some(&revision) || same_inputs) {
            self.begin(desired);
            return Ok(true);
        }
        if !self.may_move(&parent, &newest).await {
            self.memory.behind = true;
            return Ok(false);
        }
        if lost {
            tracing::warn!(
                environment = %self.name, found = parent.seen.as_deref().unwrap_or_default(),
                "the annotation {SEEN} did not name a commit: it is written anew"
            );
        }
        let mut annotations: BTreeMap<String, Option<String>> =
            claim_of(desired, &newest, cluster).map(|(key, value)| (key, Some(value))).collect();
        if let Some(rewind) = &parent.rewind
            && self.is_used_up(rewind, &newest).await
        {
            annotations.insert(REWIND.to_owned(), None);
        }
        self.begin(desired);
        self.write_parent(cluster, ParentChange { annotations, status: None }).await?;
        Ok(true)
    }

    /// True when going from what was seen to `revision` is forward, or a person allowed it.
    async fn may_move(&self, parent: &Parent, revision: &Revision) -> bool {
        let Revision::Commit(to) = revision else { return true };
        // What descends from it is allowed with it: a commit that leaves this environment as it is claims nothing.
        if let Some(rewind) = &parent.rewind
            && (rewind.commit == *to || self.shared.source.is_ancestor(&rewind.commit, to).await == Ok(true))
        {
            return true;
        }
        for from in last_seen(parent) {
            // A commit that this mirror does not know was seen by another replica (this one is behind) or was force-pushed away.
            let forward = self.shared.source.is_ancestor(&from, to).await.unwrap_or_else(|problem| {
                tracing::warn!(environment = %self.name, "{problem}");
                false
            });
            if !forward {
                return false;
            }
        }
        true
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
        let Some((_, plan)) = &self.memory.last else { return Ok(()) };
        self.memory.failed = drop_overcome(std::mem::take(&mut self.memory.failed), plan, Timestamp::now());
        let failed = &self.memory.failed;
        self.memory.further.retain(|id, _| failed.contains_key(id));
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

    /// Everything that a decommissioned environment owned is gone: so goes what we kept of it.
    pub(super) async fn take_down(&mut self, cluster: &Cluster) -> Result<(), CallError> {
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
        self.memory.remembered = None;
        self.memory.unsaid.clear();
        Ok(())
    }

    /// What git left and what may not be deleted: it stays in the cluster, and is nobody's once the environment is gone.
    fn kept(&self) -> BTreeSet<ObjectId> {
        let waiting = self.memory.last.iter().flat_map(|(_, plan)| &plan.waiting);
        waiting.filter(|waiting| waiting.reason.is_kept()).map(|waiting| waiting.object.clone()).collect()
    }
}

/// What the parent says of a commit that is about to be applied: the newest that asks for this set.
pub(super) fn claim_of(
    desired: &DesiredSet,
    newest: &Revision,
    cluster: &Cluster,
) -> impl Iterator<Item = (String, String)> {
    let seen = [(SEEN.to_owned(), newest.id()), (SEEN_INPUTS.to_owned(), desired.inputs.as_str().to_owned())];
    seen.into_iter().chain(source_of(cluster))
}

/// Whose the environment is: the repository of this daemon.
pub(super) fn source_of(cluster: &Cluster) -> Option<(String, String)> {
    cluster.view().map(|view| (SOURCE.to_owned(), view.source().to_owned()))
}

/// True when the annotation stands there, or should, and names neither a commit nor a followed folder's files.
fn is_lost(parent: &Parent) -> bool {
    match &parent.seen {
        Some(seen) => !seen.starts_with(FOLDER) && seen.parse::<CommitId>().is_err(),
        None => parent.applied.is_some(),
    }
}

/// The commits that the environment may not go back behind: the one that was seen; where somebody wrote something else into
/// the annotation, those that the other marks name.
pub(super) fn last_seen(parent: &Parent) -> Vec<CommitId> {
    if !is_lost(parent) {
        return parent.seen.iter().filter_map(|seen| seen.parse().ok()).collect();
    }
    let recorded = parent.status.as_ref().filter(|_| parent.seen.is_some());
    let recorded = recorded.and_then(|status| status.seen.as_ref()).map(|seen| seen.id.as_str());
    parent.applied.as_deref().into_iter().chain(recorded).filter_map(|id| id.parse().ok()).collect()
}

/// The failures that still hold something up. A plan that has settled and finds nothing to do about an object needs no retry
/// of what failed on it: it is as git asks for by now, or gone, by somebody else's hand or by a write whose answer was lost.
/// Nor does a failure whose time is over tell anything while the object waits for another reason: its kind may have gone
/// meanwhile, and people are to read that.
fn drop_overcome(
    mut failed: BTreeMap<ObjectId, Failure>,
    plan: &Plan,
    now: Timestamp,
) -> BTreeMap<ObjectId, Failure> {
    let held: BTreeMap<&ObjectId, &WaitingReason> = plan
        .waiting
        .iter()
        .filter(|waiting| waiting.reason.holds_commit())
        .map(|waiting| (&waiting.object, &waiting.reason))
        .collect();
    failed.retain(|id, failure| {
        let refused = matches!(held.get(id), Some(WaitingReason::Refused(_)));
        let lasts = failure.retry_at.is_none_or(|retry_at| now < retry_at);
        held.contains_key(id) && (refused || lasts)
    });
    failed
}

#[cfg(test)]
mod tests {
    use tidegate_core::plan::Waiting;
    use tidegate_core::problem::Code;

    use super::*;

    #[test]
    fn a_failure_ends_when_a_settled_plan_finds_nothing_to_do_about_the_object_or_another_reason_to_wait() {
        let id = |name: &str| ObjectId {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: Some("n".into()),
            name: name.into(),
        };
        let failure = |retry_at: &str| Failure {
            desired: None,
            uid: None,
            problem: Problem::error(Code::Rejected, "a timeout"),
            retry_at: retry_at.parse().ok(),
        };
        let (over, later) = ("2026-11-21T12:00:00Z", "2026-11-21T12:02:00Z");
        let failed: BTreeMap<ObjectId, Failure> =
            [("gone", later), ("kept", later), ("refused", over), ("unread", later), ("unread-since", over)]
                .iter()
                .map(|(name, retry_at)| (id(name), failure(retry_at)))
                .collect();
        let unread = || WaitingReason::Unread("the cluster serves no such kind".into());
        let waiting = vec![
            Waiting { object: id("kept"), reason: WaitingReason::PruneNotAllowed("it is marked".into()) },
            Waiting { object: id("refused"), reason: WaitingReason::Refused("a timeout".into()) },
            Waiting { object: id("unread"), reason: unread() },
            Waiting { object: id("unread-since"), reason: unread() },
        ];
        let plan = Plan { waiting, ..Plan::default() };
        let left = drop_overcome(failed, &plan, "2026-11-21T12:01:00Z".parse().unwrap());
        assert_eq!(left.into_keys().collect::<Vec<_>>(), [id("refused"), id("unread")]);
    }
}
