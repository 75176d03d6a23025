//! The verb record: the status record on the parent object, and metrics.
//!
//! Written when something changed, at most once a second; nothing is written for passes that found nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tidegate_core::ids::Digest;
use tidegate_core::object::Gvk;
use tidegate_core::rollback::Decision;
use tidegate_core::standing::{News, news, settling};
use tidegate_core::status::{CommitInfo, EnvironmentStatus, Listed, SCHEMA, State, Times};

use super::lane::{Lane, Standing, Wanted};
use super::standings::Standings;
use super::{Next, Rounds};
use crate::cluster::call::CallError;
use crate::cluster::handle::Cluster;
use crate::cluster::pace::after_others;
use crate::cluster::parent::ParentChange;
use crate::source::{self, Revision};
use crate::telemetry::EnvironmentLabel;
use crate::world::DesiredSet;

impl Lane {
    /// Records how the environment stands.
    pub(super) async fn record(
        &mut self,
        cluster: &Arc<Cluster>,
        wanted: &Wanted,
        rounds: Option<Rounds>,
    ) -> Result<Next, CallError> {
        let now = Timestamp::now();
        self.memory.progress.away |= rounds.is_none();
        let desired = self.memory.examined.clone().or_else(|| self.worked_for());
        let desired = desired.map(|desired| self.without_rollouts(desired));
        let mut standings = self.standings(cluster, wanted, desired.as_deref(), rounds, now).await;
        if let (Some(desired), Some(Rounds::Settled)) = (&desired, rounds) {
            match self.decide(cluster, desired, &standings.unhealthy).await? {
                Decision::RollBack { to, because } => {
                    return self.roll_back(cluster, wanted, desired, to, because).await;
                }
                Decision::Stay(stay) => standings.stay(&stay),
                Decision::Load(_) => {}
            }
            self.note_good(desired, &standings)?;
        }
        // Whatever the record says first (a newer commit is broken, it is suspended): these inputs have been healthy.
        let was_live = standings.is_well && desired.as_ref().is_some_and(|desired| self.is_applied(desired));
        if was_live && self.memory.progress.live.is_none() {
            self.memory.progress.live = Some(now);
        }
        self.log_stands(cluster, wanted, desired.as_deref(), &standings).await?;
        standings.problems.extend(self.problems_of_log(now));
        let next = self.next(wanted, &standings, rounds, now);
        let (state, settled, problems) = (standings.state, standings.settled, standings.problems.len());
        let settling = settling(&self.memory.progress, &standings.judgement, now);
        let mut status = self.status(wanted, desired.as_deref(), standings, now);
        // Where nothing was looked for, nothing new is known of it.
        if rounds.is_some() {
            status.unwatched = self.unwatched(cluster);
        }
        // Before the record: others that depend on this environment need not wait for its turn.
        self.stand(wanted, state, false);
        let later = self.write_status(cluster, status, settling).await?;
        // After the record: whoever ends once all has settled (`--once`) leaves a record that says so.
        self.publish(problems);
        self.stand(wanted, state, settled && later.is_none());
        Ok(later.map_or(next, |later| Next(next.0.min(later))))
    }

    /// True when what a set asks for is applied whole.
    pub(super) fn is_applied(&self, desired: &DesiredSet) -> bool {
        let progress = &self.memory.progress;
        progress.applied.is_some() && progress.inputs.as_ref() == Some(&desired.inputs)
    }

    fn status(
        &mut self,
        wanted: &Wanted,
        desired: Option<&DesiredSet>,
        standings: Standings,
        now: Timestamp,
    ) -> EnvironmentStatus {
        let Standings { state, reason, next, problems, judgement, unhealthy: _, is_well: _, settled: _ } =
            standings;
        let target = match wanted {
            Wanted::Present(target) => Some(target.as_ref()),
            Wanted::Missing => None,
        };
        let before = self.memory.written.clone();
        // What is only loaded (suspended, held by others, refused because it is older) is not what stands in the cluster.
        let progress = &self.memory.progress;
        let desired = desired.filter(|set| progress.inputs.as_ref() == Some(&set.inputs));
        let applied = desired.filter(|_| progress.applied.is_some());
        let seen = target.map(|target| commit_info(&target.revision, target.info.as_deref()));
        let since = before.as_ref().filter(|before| before.state == state).map_or(now, |before| before.since);
        let (drift, unwatched) = before
            .as_ref()
            .map(|before| (before.drift.clone(), before.unwatched.clone()))
            .unwrap_or_default();
        let mut status = EnvironmentStatus {
            schema: SCHEMA.to_owned(),
            environment: self.name.clone(),
            cluster: self.known_access.as_ref().map(ToString::to_string).unwrap_or_default(),
            replica: self.shared.replica.clone(),
            seen: if self.memory.behind {
                before.as_ref().and_then(|before| before.seen.clone()).or(seen)
            } else {
                seen
            },
            applied: applied
                .map(|set| commit_info(&set.revision, set.info.as_deref()))
                .or_else(|| before.as_ref().and_then(|before| before.applied.clone())),
            inputs: desired
                .map(|set| set.inputs.clone())
                .or_else(|| before.as_ref().and_then(|before| before.inputs.clone())),
            applied_inputs: applied
                .map(|set| set.inputs.clone())
                .or_else(|| before.as_ref().and_then(|before| before.applied_inputs.clone())),
            rejected_inputs: self.rejected_inputs(wanted),
            held: self.recorded_hold(),
            state,
            reason,
            suspended: self.suspended_by(wanted),
            since,
            next,
            counts: judgement.counts,
            problems: Listed::all(problems),
            objects: Listed::all(judgement.objects),
            workloads: self.rollouts.statuses(),
            times: desired.map_or_else(
                || before.as_ref().map(|before| before.times).unwrap_or_default(),
                |set| self.times(set),
            ),
            plan_id: desired
                .map(|set| set.plan_id.clone())
                .or_else(|| before.as_ref().and_then(|before| before.plan_id.clone())),
            drifted: Listed::all(self.drifted(now)),
            drift,
            foreign: Listed::all(self.memory.foreign.values().flatten().cloned().collect()),
            unchecked: desired.map(|set| set.unchecked.clone()).unwrap_or_default(),
            unwatched,
            updated: now,
        };
        for repair in self.memory.repairs.drain(..) {
            status.record_drift(repair);
        }
        status.shrink();
        status
    }

    /// The kinds of the inventory that may not be watched.
    fn unwatched(&self, cluster: &Cluster) -> Vec<String> {
        let Some((inventory, _)) = &self.memory.inventory else { return Vec::new() };
        let places: BTreeSet<(Gvk, Option<&str>)> = inventory
            .entries
            .iter()
            .map(|(id, entry)| (Gvk::from_api_version(&entry.api_version, &id.kind), id.namespace.as_deref()))
            .collect();
        let is_blind = |gvk: &Gvk, namespace: Option<&str>| {
            cluster.kinds.get(gvk).is_some() && cluster.watches.is_blind(gvk, namespace)
        };
        let blind = places.iter().filter(|(gvk, namespace)| is_blind(gvk, *namespace));
        let names: BTreeSet<String> = blind.map(|(gvk, _)| gvk.kind_and_group()).collect();
        names.into_iter().collect()
    }

    fn times(&self, desired: &DesiredSet) -> Times {
        let progress = &self.memory.progress;
        Times {
            committed: desired.info.as_ref().map(|info| info.committer_time),
            seen: progress.seen,
            applied: progress.applied,
            live: progress.live,
            anew: progress.anew,
        }
    }

    /// Writes the record if it says anything new; where it is too early for that, when it will be time.
    async fn write_status(
        &mut self,
        cluster: &Cluster,
        status: EnvironmentStatus,
        settling: Option<Duration>,
    ) -> Result<Option<Duration>, CallError> {
        if self.memory.parent.is_none() {
            return Ok(None);
        }
        let since = self.memory.written_at.map(|at| at.elapsed());
        match news(self.memory.written.as_ref(), &status, since, settling) {
            News::Nothing => return self.say(cluster, None).await.map(|()| None),
            News::Later(left) => return Ok(Some(left)),
            News::Now => {}
        }
        self.log_change(&status);
        self.say(cluster, Some(status.clone())).await?;
        self.memory.written = Some(status);
        self.memory.written_at = Some(Instant::now());
        Ok(None)
    }

    /// One write of the parent: the record, and what else is due on it.
    async fn say(&mut self, cluster: &Cluster, status: Option<EnvironmentStatus>) -> Result<(), CallError> {
        let annotations = self.memory.unsaid.clone();
        if annotations.is_empty() && status.is_none() {
            return Ok(());
        }
        Box::pin(after_others(self.write_parent(cluster, ParentChange { annotations, status }))).await?;
        self.memory.unsaid.clear();
        Ok(())
    }

    fn log_change(&self, status: &EnvironmentStatus) {
        let before = self.memory.written.as_ref();
        let same =
            before.is_some_and(|before| before.state == status.state && before.inputs == status.inputs);
        if !same {
            tracing::info!(
                environment = %self.name, state = status.state.as_str(), reason = %status.reason,
                revision = status.seen.as_ref().map_or("", |seen| seen.id.as_str()), "state"
            );
        }
    }

    fn publish(&self, problems: usize) {
        let label = EnvironmentLabel { environment: self.name.to_string() };
        let metrics = &self.shared.metrics;
        let owned = self.memory.inventory.as_ref().map_or(0, |(inventory, _)| inventory.entries.len());
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        metrics.passes.get_or_create(&label).inc();
        metrics.objects.get_or_create(&label).set(number(owned));
        metrics.problems.get_or_create(&label).set(number(problems));
    }

    pub(super) fn stand(&self, wanted: &Wanted, state: State, settled: bool) {
        let label = EnvironmentLabel { environment: self.name.to_string() };
        self.shared.metrics.live.get_or_create(&label).set(i64::from(state == State::Live));
        let held = self.hold().map(|held| held.inputs.clone());
        if let Some(parent) = &self.memory.parent {
            self.shared.metrics.held.get_or_create(&label).set(i64::from(parent.held.is_some()));
        }
        let standing = Standing {
            inputs: self.worked_for().map(|set| set.inputs.clone()),
            held,
            live: state == State::Live,
            state,
            settled,
            wanted: wanted_inputs(wanted),
            revision: wanted_revision(wanted),
        };
        self.shared.board.put(&self.name, &standing);
    }

    /// The newest inputs, when they are not applied because they are invalid.
    pub(super) fn rejected_inputs(&self, wanted: &Wanted) -> Option<Digest> {
        match wanted {
            Wanted::Present(_) if !self.source_problems(wanted).is_empty() => wanted_inputs(wanted),
            Wanted::Present(_) | Wanted::Missing => None,
        }
    }
}

pub(super) fn wanted_inputs(wanted: &Wanted) -> Option<Digest> {
    match wanted {
        Wanted::Present(target) => Some(target.inputs.clone()),
        Wanted::Missing => None,
    }
}

pub(super) fn wanted_revision(wanted: &Wanted) -> Option<String> {
    match wanted {
        Wanted::Present(target) => Some(target.revision.id()),
        Wanted::Missing => None,
    }
}

/// A commit as the status record names it.
pub(super) fn commit_info(revision: &Revision, info: Option<&source::CommitInfo>) -> CommitInfo {
    CommitInfo {
        id: revision.id(),
        subject: info.map_or_else(|| "uncommitted files".to_owned(), |info| info.subject.clone()),
        author: info.map(|info| info.author.name.clone()).unwrap_or_default(),
        time: info.map_or_else(Timestamp::now, |info| info.committer_time),
    }
}
