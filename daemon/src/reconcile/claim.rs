//! The marks of a commit on the parent: claimed before its first write, concluded after its last one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use tidegate_core::problem::{Code, Problem};
use tidegate_core::standing::{Claim, Conclusion, Progress, Said, conclude, drop_overcome, kept};
use tidegate_core::status::State;

use super::lane::Lane;
use crate::cluster::call::CallError;
use crate::cluster::handle::Cluster;
use crate::cluster::parent::{
    APPLIED, GOOD, Parent, ParentChange, REWIND, SEEN, SEEN_INPUTS, SICK_BEFORE, SOURCE,
};
use crate::source::Revision;
use crate::telemetry::EnvironmentLabel;
use crate::world::DesiredSet;

impl Lane {
    /// Writes "this commit is being applied" before its first change. False: it may not be applied, because another
    /// replica has seen a newer one (`seen` never moves backwards without a recorded rewind).
    pub(super) async fn claim(
        &mut self,
        cluster: &Cluster,
        desired: &Arc<DesiredSet>,
    ) -> Result<bool, CallError> {
        let Some(parent) = self.memory.parent.clone() else { return Ok(desired.environment.decommission) };
        let asked = self.asked(desired);
        let newest = self.newest_revision(&asked);
        self.memory.behind = false;
        let said = said(&parent);
        let uses_rewind = match self.claim_of_revision(&said, &newest, &asked).await {
            Claim::Stands => {
                self.begin(desired);
                return Ok(true);
            }
            Claim::Behind => {
                self.memory.behind = true;
                return Ok(false);
            }
            Claim::Write { uses_rewind } => uses_rewind,
        };
        if said.is_lost() {
            tracing::warn!(
                environment = %self.name, found = parent.seen.as_deref().unwrap_or_default(),
                "the annotation {SEEN} did not name a commit: it is written anew"
            );
        }
        let mut annotations: BTreeMap<String, Option<String>> =
            claim_of(&asked, &newest, cluster).map(|(key, value)| (key, Some(value))).collect();
        annotations.extend(self.leave(cluster, &parent, &asked).await?);
        if uses_rewind {
            annotations.insert(REWIND.to_owned(), None);
            // A person has gone back behind it: what was good there is nothing to go back to.
            annotations.extend([(GOOD.to_owned(), None), (SICK_BEFORE.to_owned(), None)]);
            self.memory.unsaid.remove(GOOD);
        }
        self.begin(desired);
        self.write_parent(cluster, ParentChange { annotations, status: None }).await?;
        let before = self.memory.claimed.replace(newest.id());
        if parent.seen.is_some() && before != parent.seen {
            // Another replica (or this one before a restart) was at work: what it noted after the inventory was read here
            // counts. What it notes from now on is of a commit that is overtaken.
            self.memory.inventory = None;
            self.read_inventory(cluster).await?;
        }
        Ok(true)
    }

    /// What a claim comes to; git is asked only where history decides.
    async fn claim_of_revision(&self, said: &Said<'_>, newest: &Revision, asked: &DesiredSet) -> Claim {
        let (revision, now) = (newest.id(), Timestamp::now());
        if said.stands(&revision, &asked.inputs) {
            return Claim::Stands;
        }
        let mut contained = BTreeSet::new();
        let mut trouble = Vec::new();
        if let Some(to) = newest.commit() {
            for from in said.asks() {
                match self.shared.source.is_ancestor(&from, to).await {
                    Ok(true) => drop(contained.insert(from)),
                    Ok(false) => {}
                    Err(problem) => trouble.push(problem),
                }
            }
        }
        let claim = said.claim(newest.commit(), &revision, &asked.inputs, &contained, now);
        if claim == Claim::Behind {
            for problem in trouble {
                tracing::warn!(environment = %self.name, "{problem}");
            }
        }
        claim
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
                progress.anew = status.times.anew;
                let is_late = |problem: &Problem| problem.code == Code::HealthDeadline;
                progress.missed =
                    status.state == State::Degraded && status.problems.items.iter().any(is_late);
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
        match conclude(plan, failed, desired.environment.decommission) {
            Conclusion::Open => return Ok(()),
            Conclusion::TakenDown => return self.take_down(cluster).await,
            Conclusion::Applied => {}
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
        // What was still to be said of another set, that was applied and left again before its record, is outdated.
        self.memory.unsaid.remove(APPLIED);
        let parent = self.memory.parent.as_ref();
        // The mark names the commit of the record, unless a set came and went between two records.
        let same = parent.is_some_and(|parent| {
            let status = parent
                .status
                .as_ref()
                .filter(|status| status.applied_inputs.as_ref() == Some(&desired.inputs));
            let recorded = status.and_then(|status| status.applied.as_ref());
            recorded.is_some_and(|applied| parent.applied.as_ref() == Some(&applied.id))
        });
        if same || parent.is_some_and(|parent| parent.applied.as_ref() == Some(&revision)) {
            return Ok(());
        }
        self.memory.unsaid.insert(APPLIED.to_owned(), Some(revision));
        Ok(())
    }

    /// Everything that a decommissioned environment owned is gone: so goes what we kept of it.
    pub(super) async fn take_down(&mut self, cluster: &Cluster) -> Result<(), CallError> {
        let kept = self.memory.last.as_ref().map(|(_, plan)| kept(plan)).unwrap_or_default();
        let inventory = self.inventory();
        if inventory.entries.keys().any(|id| !kept.contains(id)) {
            return Ok(());
        }
        let Some(parent) = self.memory.parent.clone() else { return Ok(()) };
        // What rolled out in colours is in no inventory, and goes by lanes of its own.
        if !parent.workloads.is_empty() {
            return Ok(());
        }
        // What another replica has noted since would be nobody's without the inventory.
        let (now, stored) = cluster.parents.read_inventory(&parent).await?;
        if now != inventory {
            self.memory.inventory = Some((now, stored));
            return Ok(());
        }
        cluster.parents.delete(&parent).await?;
        self.log_taken_down().await?;
        cluster.note_deleted(&parent);
        let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
        tracing::info!(environment = %self.name, kept = %kept.join(", "), "taken down");
        self.memory.parent = None;
        self.memory.inventory = None;
        self.memory.remembered = None;
        self.memory.unsaid.clear();
        Ok(())
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

/// What the parent says of commits.
pub(super) fn said(parent: &Parent) -> Said<'_> {
    let recorded = parent.status.as_ref().and_then(|status| status.seen.as_ref());
    Said {
        seen: parent.seen.as_deref(),
        seen_inputs: parent.seen_inputs.as_deref(),
        applied: parent.applied.as_deref(),
        recorded: recorded.map(|seen| seen.id.as_str()),
        rewind: parent.rewind.as_ref().map(|rewind| (&rewind.commit, rewind.at)),
    }
}
