//! The verb record: the status record on the parent object, metrics, and the time of the next pass.
//!
//! Written when something changed, at most once a second; nothing is written for passes that found nothing.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tidegate_core::health::{Health, HealthState};
use tidegate_core::ids::Digest;
use tidegate_core::problem::{Code, Problem};
use tidegate_core::schedule::Backoff;
use tidegate_core::status::{EnvironmentStatus, Listed, ObjectCounts, SCHEMA, State, Times};

use super::fetch::RETRY_REJECTED;
use super::judge::{Judgement, PODS_LOOKS, judge, overdue, unwell_since};
use super::lane::{Lane, Standing, Wanted};
use super::memory::Memory;
use super::state::{commit_info, is_settled};
use super::{Next, Rounds, SAFETY_INTERVAL};
use crate::cluster::call::CallError;
use crate::cluster::handle::Cluster;
use crate::cluster::parent::ParentChange;
use crate::cluster::pods;
use crate::telemetry::EnvironmentLabel;
use crate::world::{DesiredSet, prefixed};

/// Records of a state that goes on changing are written at most this often.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);
/// While objects are on their way, their pods are looked at this often.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// What could not be read (a kind that is not served yet, for one) is read again this often.
const UNREAD_INTERVAL: Duration = Duration::from_secs(2);
/// After so many failures in a row people are told, whatever they are: one conflict is a race, many are a fault.
const FAILURES_TOLD: u32 = 3;
/// Passes that fail are tried again with growing pauses.
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_mins(1) };

/// How an environment stands, before it is put into a record.
struct Standings {
    state: State,
    reason: String,
    next: Option<String>,
    problems: Vec<Problem>,
    judgement: Judgement,
}

impl Lane {
    /// Records how the environment stands.
    pub(super) async fn record(
        &mut self,
        cluster: &Arc<Cluster>,
        wanted: &Wanted,
        rounds: Option<Rounds>,
    ) -> Result<Next, CallError> {
        let now = Timestamp::now();
        let desired = self.memory.good.clone();
        let standings = self.standings(cluster, wanted, desired.as_deref(), rounds, now).await;
        if standings.state == State::Live && self.memory.progress.live.is_none() {
            self.memory.progress.live = Some(now);
        }
        let next = self.next(wanted, &standings, rounds, now);
        self.publish(wanted, &standings);
        let status = self.status(wanted, desired.as_deref(), standings, now);
        let written = self.write_status(cluster, status).await?;
        Ok(if written { next } else { Next(next.0.min(WRITE_INTERVAL)) })
    }

    async fn standings(
        &mut self,
        cluster: &Arc<Cluster>,
        wanted: &Wanted,
        desired: Option<&DesiredSet>,
        rounds: Option<Rounds>,
        now: Timestamp,
    ) -> Standings {
        let mut problems = self.source_problems(wanted);
        let rejected = !problems.is_empty();
        problems.extend(self.rewound());
        let mut judgement = Judgement::default();
        let mut state = State::Waiting;
        let mut reason = "not looked at yet".to_owned();
        if let (Some(desired), Some((observed, plan))) = (desired, &self.memory.last) {
            judgement = judge(desired, observed, plan, &self.memory.failed, &self.memory.pods);
            if rounds == Some(Rounds::Settled) && !judgement.sick.is_empty() {
                self.memory.pods = look_at_pods(cluster, desired, &judgement).await;
                judgement = judge(desired, observed, plan, &self.memory.failed, &self.memory.pods);
            } else if judgement.sick.is_empty() {
                self.memory.pods.clear();
            }
            problems.extend(desired.warnings.iter().cloned());
            problems.extend(prefixed(plan.problems.clone(), &desired.prefix));
            problems.extend(self.memory.failed.values().map(|failure| failure.problem.clone()));
            problems.extend(self.memory.further.values().flatten().cloned());
            if rounds == Some(Rounds::Settled) {
                let Memory { progress, unwell, .. } = &self.memory;
                self.memory.unwell = unwell_since(progress, unwell, &judgement.sick, now);
            }
            let late = overdue(desired, &judgement, &self.memory.progress, &self.memory.unwell, now);
            state = judgement.state(plan);
            if state == State::Progressing && late.iter().any(|late| late.code == Code::HealthDeadline) {
                state = State::Degraded;
            }
            problems.extend(prefixed(late, &desired.prefix));
            without_repeats(&mut problems);
            reason = sentence(state, &judgement, &problems);
        }
        let (state, reason, next) = self.overriding(wanted, desired, rounds, rejected, (state, reason));
        Standings { state, reason, next, problems, judgement }
    }

    /// What comes before health: a suspension, a broken commit, work that is not finished, others that come first.
    fn overriding(
        &self,
        wanted: &Wanted,
        desired: Option<&DesiredSet>,
        rounds: Option<Rounds>,
        rejected: bool,
        (state, reason): (State, String),
    ) -> (State, String, Option<String>) {
        if let Some((why, until)) = self.suspension(wanted) {
            return (State::Suspended, why, Some(until));
        }
        if rejected {
            let kept = desired
                .map_or("nothing is applied".to_owned(), |set| format!("{} stays applied", set.revision));
            let next = "a commit that mends it".to_owned();
            return (State::Failed, format!("the newest commit is not applied; {kept}"), Some(next));
        }
        if desired.is_some_and(|set| set.environment.decommission) && self.memory.parent.is_none() {
            return (State::Live, "taken down".to_owned(), None);
        }
        if let Some(other) = self.waits_for(wanted) {
            let why = format!("`{other}` must be live at its newest commit first (dependsOn)");
            return (State::Waiting, why, Some(format!("`{other}` becomes live")));
        }
        match rounds {
            None => {
                let seen =
                    self.memory.parent.as_ref().and_then(|parent| parent.seen.as_deref()).unwrap_or_default();
                let short: String = seen.chars().take(7).collect();
                let why =
                    format!("{short} was seen before, and the newest commit here is no descendant of it");
                let next =
                    format!("the next poll, or tidegate sync {} --rewind COMMIT --reason TEXT", self.name);
                (State::Waiting, why, Some(next))
            }
            Some(Rounds::Unfinished) => (State::Applying, "changes are being applied".to_owned(), None),
            Some(Rounds::Settled) => {
                let next =
                    (state == State::Progressing).then(|| "a change of the objects' status".to_owned());
                (state, reason, next)
            }
        }
    }

    /// The problems of the newest inputs, when they are not the ones that are enforced.
    fn source_problems(&self, wanted: &Wanted) -> Vec<Problem> {
        match wanted {
            Wanted::Missing => vec![
                Problem::error(
                    Code::EnvironmentMissing,
                    format!("environments/{} is gone from git; nothing is deleted", self.name),
                )
                .help("restore the folder; to take the environment down, commit `decommission: true` first"),
            ],
            Wanted::Present(target) => match (&target.environment, &self.memory.rejected) {
                (Err(problems), _) => problems.clone(),
                (Ok(_), Some((inputs, problems))) if *inputs == target.inputs => problems.clone(),
                (Ok(_), _) => Vec::new(),
            },
        }
    }

    /// A branch that was rewound or deleted: the last good commit stays, and people must know why nothing newer comes.
    /// (A repository out of reach is said in the log only: every environment's record would be written at each hiccup.)
    fn rewound(&self) -> Option<Problem> {
        let states = self.shared.source.subscribe();
        let trouble = states.borrow().trouble.clone();
        trouble.filter(|problem| problem.code == Code::SourceRewound)
    }

    fn status(
        &mut self,
        wanted: &Wanted,
        desired: Option<&DesiredSet>,
        standings: Standings,
        now: Timestamp,
    ) -> EnvironmentStatus {
        let Standings { state, reason, next, problems, judgement } = standings;
        let target = match wanted {
            Wanted::Present(target) => Some(target.as_ref()),
            Wanted::Missing => None,
        };
        let before = self.memory.written.clone();
        // What is only loaded (suspended, held by others, refused because it is older) is not what stands in the cluster.
        let progress = &self.memory.progress;
        let desired = desired.filter(|set| progress.inputs.as_ref() == Some(&set.inputs));
        let applied = desired.filter(|_| progress.applied.is_some());
        let seen = target.map(|target| commit_info(&target.revision, target.info.as_ref()));
        let since = before.as_ref().filter(|before| before.state == state).map_or(now, |before| before.since);
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
                .map(|set| commit_info(&set.revision, set.info.as_ref()))
                .or_else(|| before.as_ref().and_then(|before| before.applied.clone())),
            inputs: desired
                .map(|set| set.inputs.clone())
                .or_else(|| before.as_ref().and_then(|before| before.inputs.clone())),
            applied_inputs: applied
                .map(|set| set.inputs.clone())
                .or_else(|| before.as_ref().and_then(|before| before.applied_inputs.clone())),
            rejected_inputs: self.rejected_inputs(wanted),
            state,
            reason,
            since,
            next,
            counts: judgement.counts,
            problems: Listed::all(problems),
            objects: Listed::all(judgement.objects),
            times: desired.map_or_else(
                || before.as_ref().map(|before| before.times).unwrap_or_default(),
                |set| self.times(set),
            ),
            plan_id: desired
                .map(|set| set.plan_id.clone())
                .or_else(|| before.as_ref().and_then(|before| before.plan_id.clone())),
            drift: before.map(|before| before.drift).unwrap_or_default(),
            foreign: Listed::all(self.memory.foreign.values().flatten().cloned().collect()),
            unchecked: desired.map(|set| set.unchecked.clone()).unwrap_or_default(),
            updated: now,
        };
        for repair in self.memory.repairs.drain(..) {
            status.record_drift(repair);
        }
        status.shrink();
        status
    }

    fn times(&self, desired: &DesiredSet) -> Times {
        let progress = &self.memory.progress;
        Times {
            committed: desired.info.as_ref().map(|info| info.committer_time),
            seen: progress.seen,
            applied: progress.applied,
            live: progress.live,
        }
    }

    /// Writes the record if it says anything new; false: it does, but it is too early to write again.
    async fn write_status(
        &mut self,
        cluster: &Cluster,
        status: EnvironmentStatus,
    ) -> Result<bool, CallError> {
        if self.memory.parent.is_none() {
            return Ok(true);
        }
        let before = self.memory.written.as_ref();
        if before.is_some_and(|before| says_the_same(before, &status)) {
            return Ok(true);
        }
        let same_state =
            before.is_some_and(|before| before.state == status.state && before.drift == status.drift);
        if same_state && self.memory.written_at.is_some_and(|at| at.elapsed() < WRITE_INTERVAL) {
            return Ok(false);
        }
        self.log_change(&status);
        let change =
            ParentChange { annotations: std::collections::BTreeMap::new(), status: Some(status.clone()) };
        self.write_parent(cluster, change).await?;
        self.memory.written = Some(status);
        self.memory.written_at = Some(std::time::Instant::now());
        Ok(true)
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

    fn publish(&self, wanted: &Wanted, standings: &Standings) {
        let label = EnvironmentLabel { environment: self.name.to_string() };
        let metrics = &self.shared.metrics;
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        metrics.passes.get_or_create(&label).inc();
        metrics.objects.get_or_create(&label).set(number(self.inventory().entries.len()));
        metrics.problems.get_or_create(&label).set(number(standings.problems.len()));
        self.stand(wanted, standings.state, is_settled(standings.state));
    }

    fn stand(&self, wanted: &Wanted, state: State, settled: bool) {
        let label = EnvironmentLabel { environment: self.name.to_string() };
        self.shared.metrics.live.get_or_create(&label).set(i64::from(state == State::Live));
        let standing = Standing {
            inputs: self.memory.good.as_ref().map(|set| set.inputs.clone()),
            live: state == State::Live,
            state: state.as_str().to_owned(),
            settled,
            wanted: wanted_inputs(wanted),
            revision: wanted_revision(wanted),
        };
        self.shared.board.put(&self.name, &standing);
    }

    fn next(&self, wanted: &Wanted, standings: &Standings, rounds: Option<Rounds>, now: Timestamp) -> Next {
        let mut next = SAFETY_INTERVAL;
        if rounds == Some(Rounds::Unfinished) {
            next = Duration::from_millis(50);
        }
        if standings.state == State::Progressing || !standings.judgement.sick.is_empty() {
            next = next.min(PROGRESS_INTERVAL);
        }
        let unread = self.memory.last.as_ref().is_some_and(|(observed, _)| !observed.unread.is_empty());
        if unread {
            next = next.min(UNREAD_INTERVAL);
        }
        let plan = self.memory.last.as_ref().map(|(_, plan)| plan);
        if plan.is_some_and(|plan| !plan.waiting.is_empty()) || !self.memory.failed.is_empty() {
            next = next.min(Duration::from_secs(10));
        }
        if self.memory.rejected.is_some() {
            next = next.min(RETRY_REJECTED);
        }
        if let Some(end) = self.memory.flips.next_end(now) {
            let left = Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO);
            next = next.min(left + Duration::from_millis(100));
        }
        for until in self.suspension_ends(wanted) {
            let left = Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO);
            next = next.min(left + Duration::from_secs(1));
        }
        Next(next)
    }

    /// A pass failed: the cluster answered with something that ends it.
    pub(super) fn after_failure(&mut self, error: &CallError) -> Next {
        self.memory.failures = self.memory.failures.saturating_add(1);
        match error {
            CallError::Conflict(_) if self.memory.failures < FAILURES_TOLD => {
                tracing::debug!(environment = %self.name, %error, "somebody else wrote");
            }
            CallError::Conflict(_)
            | CallError::NotFound(_)
            | CallError::Refused(_)
            | CallError::Forbidden(_)
            | CallError::Unauthorized(_)
            | CallError::Busy { .. }
            | CallError::Server(_)
            | CallError::Unreachable(_) => {
                tracing::warn!(environment = %self.name, %error, "the pass ended early");
                self.memory.forget_cluster();
                // Nothing can be recorded; the metrics, the environments that wait for it and `--once` must know all the same.
                let wanted = self.target.borrow().clone();
                self.stand(&wanted, State::Unreachable, false);
            }
        }
        Next(BACKOFF.delay(self.memory.failures, crate::run::jitter()))
    }

    /// Passes that fail again and again end in no record: an older one, live perhaps, must not stand there as the truth.
    pub(super) async fn record_failure(&mut self, cluster: &Cluster, error: &CallError) {
        if self.memory.failures < FAILURES_TOLD {
            return;
        }
        let wanted = self.target.borrow().clone();
        self.stand(&wanted, State::Failed, false);
        let label = EnvironmentLabel { environment: self.name.to_string() };
        self.shared.metrics.live.get_or_create(&label).set(0);
        self.shared.metrics.problems.get_or_create(&label).set(1);
        // Where the record itself cannot be read or written, the log and the metrics have to do.
        let Ok(Some(parent)) = cluster.parents.read(&self.name).await else { return };
        let Some(before) = &parent.status else { return };
        let reason = error.to_string();
        if before.state == State::Failed && before.reason == reason {
            return;
        }
        let now = Timestamp::now();
        let mut status = EnvironmentStatus {
            state: State::Failed,
            problems: Listed::all(vec![Problem::error(Code::Rejected, reason.clone())]),
            reason,
            since: if before.state == State::Failed { before.since } else { now },
            next: Some("tried again by itself, with growing pauses".to_owned()),
            updated: now,
            ..before.clone()
        };
        status.shrink();
        let change = ParentChange { annotations: std::collections::BTreeMap::new(), status: Some(status) };
        if let Err(error) = cluster.parents.update(&parent, &change).await {
            tracing::debug!(environment = %self.name, %error, "the failure is not recorded");
        }
    }

    /// The cluster does not answer: nothing can be recorded there.
    pub(super) fn report_unreachable(&mut self, reason: &str) -> Next {
        if self.memory.failures == 0 {
            tracing::warn!(environment = %self.name, reason, "the cluster is out of reach");
        }
        self.memory.failures = self.memory.failures.saturating_add(1);
        self.memory.forget_cluster();
        let wanted = self.target.borrow().clone();
        self.stand(&wanted, State::Unreachable, false);
        Next(BACKOFF.delay(self.memory.failures, crate::run::jitter()))
    }

    /// Another repository's daemon works on an environment of this name: hands off, and nothing is recorded over its record.
    pub(super) fn report_contested(&mut self, wanted: &Wanted) -> Next {
        if !self.memory.contested {
            tracing::error!(
                environment = %self.name,
                "error[{}]: a running daemon that follows another repository has an environment of this name in this cluster; \
                 help: rename one of them, or stop that daemon", Code::Ownership
            );
        }
        self.memory.contested = true;
        self.memory.forget_cluster();
        self.stand(wanted, State::Failed, true);
        Next(PROGRESS_INTERVAL)
    }

    /// The environment's file is broken from the start, so that not even its cluster is known.
    pub(super) fn report_without_cluster(&mut self, wanted: &Wanted) -> Next {
        for problem in self.source_problems(wanted) {
            if self.memory.rejected.is_none() {
                tracing::error!(environment = %self.name, "{problem}");
            }
        }
        if let Wanted::Present(target) = wanted {
            self.memory.rejected = Some((target.inputs.clone(), self.source_problems(wanted)));
        }
        self.stand(wanted, State::Failed, true);
        Next(SAFETY_INTERVAL)
    }

    /// Another replica works on this environment: what it records is taken over for those that depend on it.
    pub(super) fn follow_others(&mut self, cluster: &Cluster, wanted: &Wanted) {
        let Some(status) = cluster.seen_parent(&self.name).and_then(|parent| parent.status) else { return };
        let standing = Standing {
            live: status.state == State::Live,
            state: status.state.as_str().to_owned(),
            settled: is_settled(status.state),
            inputs: status.inputs,
            wanted: wanted_inputs(wanted),
            revision: wanted_revision(wanted),
        };
        self.shared.board.put(&self.name, &standing);
    }
}

impl Lane {
    /// The newest inputs, when they are not applied because they are invalid.
    fn rejected_inputs(&self, wanted: &Wanted) -> Option<Digest> {
        match wanted {
            Wanted::Present(_) if !self.source_problems(wanted).is_empty() => wanted_inputs(wanted),
            Wanted::Present(_) | Wanted::Missing => None,
        }
    }
}

/// A refused object is a problem of the plan and of the refusal; people read it once.
fn without_repeats(problems: &mut Vec<Problem>) {
    let mut seen: Vec<Problem> = Vec::with_capacity(problems.len());
    for problem in problems.drain(..) {
        if !seen.contains(&problem) {
            seen.push(problem);
        }
    }
    *problems = seen;
}

fn wanted_inputs(wanted: &Wanted) -> Option<Digest> {
    match wanted {
        Wanted::Present(target) => Some(target.inputs.clone()),
        Wanted::Missing => None,
    }
}

fn wanted_revision(wanted: &Wanted) -> Option<String> {
    match wanted {
        Wanted::Present(target) => Some(target.revision.id()),
        Wanted::Missing => None,
    }
}

/// Everything but the time of writing and the words of a state that goes on.
fn says_the_same(before: &EnvironmentStatus, now: &EnvironmentStatus) -> bool {
    let EnvironmentStatus { updated: _, seen: _, replica: _, .. } = now;
    let seen = |status: &EnvironmentStatus| (status.inputs.clone(), status.state);
    let mut same = before.clone();
    same.updated = now.updated;
    same.replica.clone_from(&now.replica);
    if seen(before) == seen(now) && now.state == State::Live {
        // Commits that do not concern the environment are not written on it.
        same.seen.clone_from(&now.seen);
        same.applied.clone_from(&now.applied);
        same.times = now.times;
    }
    same == *now
}

fn sentence(state: State, judgement: &Judgement, problems: &[Problem]) -> String {
    let ObjectCounts { objects, healthy, unknown, .. } = judgement.counts;
    let error = problems.iter().find(|problem| problem.is_error());
    match state {
        State::Live if unknown > 0 => {
            format!("{healthy} of {objects} objects are healthy, {unknown} have no health rule")
        }
        State::Live => format!("all {objects} objects are healthy"),
        State::Failed => error.map_or("an object was refused".to_owned(), |problem| problem.message.clone()),
        State::Applying
        | State::Progressing
        | State::Degraded
        | State::Suspended
        | State::Waiting
        | State::Unreachable => judgement.first.clone().unwrap_or_default(),
    }
}

async fn look_at_pods(
    cluster: &Cluster,
    desired: &DesiredSet,
    judgement: &Judgement,
) -> std::collections::BTreeMap<tidegate_core::object::ObjectId, Health> {
    let mut found = std::collections::BTreeMap::new();
    for id in judgement.sick.iter().take(PODS_LOOKS) {
        let object = desired.objects.iter().find(|object| object.reference.id() == *id);
        let Some(object) = object else { continue };
        // A read that fails leaves the workload's own words to stand.
        if let Ok(Some(trouble)) = pods::trouble(&cluster.client, id, &object.value).await {
            let state = if trouble.fatal { HealthState::Degraded } else { HealthState::Progressing };
            found.insert(id.clone(), Health { state, reason: pods::sentence(&trouble) });
        }
    }
    found
}
