//! What an environment's lane writes down for the deploy log: an intent before the first change, the outcome when it is over.
//!
//! Which outcome an operation has is the core's (`ledger::end`); where entries are kept is the recorder's. Without a log nothing here
//! does anything. The log never holds a pass up: where the cluster refuses an entry, that is said, and the pass goes on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use tidegate_core::ids::{CommitId, Digest};
use tidegate_core::ledger::{
    self, Actor, Capped, ClusterLabel, ClusterName, Evidence, Included, Kind, Operation, Order,
    Outcome as Record, RecordId, Result as How, RunId, Standing, note_app, running,
};
use tidegate_core::plan::Plan;
use tidegate_core::problem::Problem;
use tidegate_core::status::{State, SuspendedBy};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::execute::Done;
use super::lane::{Lane, Wanted};
use super::ledger_operations::{is_prune, is_way_back, note_repair, operation, pending_of};
use super::ledger_state::{follow, log_problems};
use super::rollouts::key_of;
use super::standings::Standings;
use crate::cluster::call::{CallError, repeated};
use crate::cluster::connect::Access;
use crate::cluster::entries::Entries;
use crate::cluster::handle::Cluster;
use crate::cluster::parent::Suspension;
use crate::ledger::{
    Asked, Clerk, Desk, GitRemote, LogName, Pushed, Recorder, RemoteConfig, Scribe, fresh_id,
};
use crate::source::Revision;
use crate::world::DesiredSet;

/// So many orders of people wait to be written down.
const ORDERS: usize = 100;
/// So many skipped commits are named; of more only the number.
const INCLUDES: usize = 50;

/// Digits of a cluster's uid in the name of its log: two clusters of one name are told apart.
const UID_DIGITS: usize = 8;

/// What all lanes need to write records.
#[derive(Clone)]
pub struct LedgerSettings {
    /// Who writes.
    pub actor: Actor,
    /// The source repository, as people know it, without credentials.
    pub repo: String,
    /// Repairs of so long are told in one record.
    pub coalesce: Duration,
    /// What records are written with.
    pub desk: Desk,
    /// Where they are pushed to.
    pub remote: RemoteConfig,
}

/// What is written down of one environment.
#[derive(Default)]
pub struct Log {
    recorder: Option<Recorder>,
    /// How far git is, and what ends the task that brings it there.
    scribe: Option<(watch::Receiver<Pushed>, DropGuard)>,
    /// What another run left under way is closed.
    is_found: bool,
    deploy: Option<Open>,
    drift: Option<Open>,
    /// What people have ordered, until it is written down.
    orders: Vec<(RecordId, Order)>,
    /// The inputs that could not be applied and were written down last.
    rejected: Option<Rejected>,
    /// Since when the last suspension holds that was written down.
    suspended: Option<Timestamp>,
}

/// Inputs that could not be applied, and their record: the same one, however often it is tried to write it.
struct Rejected {
    inputs: Digest,
    id: RecordId,
    is_told: bool,
}

/// An operation that is under way.
struct Open {
    id: RecordId,
    inputs: Digest,
    outcome: Record,
    begun: Instant,
}

impl Lane {
    /// Reads what the cluster holds of the log, once for as long as the environment is this daemon's.
    pub(super) async fn open_log(&mut self, cluster: &Cluster) {
        let Some(settings) = self.shared.ledger.clone().filter(|_| self.log.recorder.is_none()) else {
            return;
        };
        let entries = Entries::new(cluster.client.clone(), self.name.clone());
        // A new one with each opening: what was left under way when the environment was another daemon's is nobody's, too.
        let (run, actor) = (RunId(fresh_id(Timestamp::now()).to_string()), settings.actor.clone());
        let opened = Recorder::open(entries, self.name.clone(), run, actor).await;
        let uid = cluster_uid(cluster).await;
        match opened.and_then(|recorder| Ok((recorder, uid?))) {
            Ok((recorder, uid)) => {
                self.log.recorder = Some(recorder.clone());
                self.start_scribe(settings, recorder, uid);
            }
            Err(error) => self.log_trouble(&error),
        }
    }

    /// The task that brings records into git, until this environment is another daemon's.
    fn start_scribe(&mut self, settings: LedgerSettings, recorder: Recorder, uid: String) {
        let label = self.known_access.as_ref().map_or("cluster", Access::label);
        let label = format!("{label}-{}", uid.get(..UID_DIGITS).unwrap_or(&uid));
        let log = LogName { cluster: ClusterLabel::from_any(&label), environment: self.name.clone() };
        let cluster = ClusterName { name: log.cluster.to_string(), uid: Some(uid), arn: None };
        let remote = GitRemote::new(settings.remote);
        let scribe = Scribe::new(recorder, remote, settings.desk, log, cluster);
        let (state, stop) = (scribe.state(), CancellationToken::new());
        tokio::spawn(scribe.run(stop.clone()));
        let (metrics, environment) = (self.shared.metrics.clone(), self.name.to_string());
        tokio::spawn(follow(state.clone(), metrics, environment, self.wake.clone()));
        self.log.scribe = Some((state, stop.drop_guard()));
    }

    /// What there is to tell of the log itself.
    pub(super) fn problems_of_log(&self, now: Timestamp) -> Vec<Problem> {
        self.log.scribe.as_ref().map(|(state, _)| log_problems(&state.borrow(), now)).unwrap_or_default()
    }

    /// The environment is another daemon's.
    pub(super) fn leave_log(&mut self) {
        self.log = Log::default();
    }

    /// What another run left under way is closed, with what is to be done as the cluster was found.
    pub(super) async fn log_found(&mut self, desired: &DesiredSet, plan: &Plan) -> Result<(), CallError> {
        let Some(recorder) = self.log.recorder.clone().filter(|_| !self.log.is_found) else {
            return Ok(());
        };
        let workloads = desired.workloads.iter().map(|workload| key_of(workload));
        let workloads: BTreeSet<String> = self.known_workloads().into_iter().chain(workloads).collect();
        let left = recorder.left().await.into_iter().chain(recorder.left_beside(&workloads).await);
        let found = if plan.stages.is_empty() {
            "everything is as git asks".to_owned()
        } else {
            format!("to be done: {}", plan.summary())
        };
        for entry in left {
            let written = recorder.interrupt(entry, &found).await;
            self.tolerate(written)?;
        }
        self.log.is_found = true;
        Ok(())
    }

    /// A plan is about to be carried out.
    pub(super) async fn log_before(&mut self, desired: &DesiredSet, plan: &Plan) -> Result<(), CallError> {
        let Some(clerk) = self.clerk() else { return Ok(()) };
        let recorder = clerk.recorder.clone();
        let pending = pending_of(plan);
        self.log_superseded(desired).await?;
        let goes_back = self.hold().is_some() && is_way_back(plan);
        let is_upkeep = self.log.deploy.is_none() && self.is_applied(desired) && !goes_back;
        let known = if is_upkeep { &self.log.drift } else { &self.log.deploy };
        let (id, outcome) = if let Some(open) = known {
            (open.id, open.outcome.clone())
        } else {
            let kind = match (is_upkeep, self.hold()) {
                (true, _) if is_prune(plan) => Kind::Prune,
                (true, _) => Kind::Drift,
                (false, Some(_)) => Kind::Rollback,
                (false, None) => Kind::Deploy,
            };
            (fresh_id(Timestamp::now()), self.outcome(&clerk, &self.who_asks(desired), kind).await)
        };
        let slot = if is_upkeep { &mut self.log.drift } else { &mut self.log.deploy };
        let is_known = slot.is_some();
        // Also where its answer is lost: it may have been written, and would else be under way for ever.
        slot.get_or_insert_with(|| Open {
            id,
            inputs: desired.inputs.clone(),
            outcome: outcome.clone(),
            begun: Instant::now(),
        });
        let noted = recorder.note(id, outcome, pending).await;
        if self.tolerate_with(noted)?.is_none() && !is_known {
            *(if is_upkeep { &mut self.log.drift } else { &mut self.log.deploy }) = None;
        }
        Ok(())
    }

    /// An operation for other inputs than these gives way, unless the environment is being rolled back from them.
    async fn log_superseded(&mut self, desired: &DesiredSet) -> Result<(), CallError> {
        let held = self.hold().map(|held| held.inputs.clone());
        let Some(open) = &self.log.deploy else { return Ok(()) };
        if open.inputs == desired.inputs || held.as_ref() == Some(&open.inputs) {
            return Ok(());
        }
        let reason = format!("{} took its place", desired.revision);
        self.log_close(How::Superseded, reason, None).await
    }

    /// What came of a plan's actions. Repairs are noted at once: their record may be minutes away, and a daemon that ends until then
    /// must not leave as cut short what was done.
    pub(super) async fn log_after(&mut self, desired: &DesiredSet, done: &[Done]) -> Result<(), CallError> {
        self.log_done(desired, done);
        let (Some(recorder), Some(open), None) = (&self.log.recorder, &self.log.drift, &self.log.deploy)
        else {
            return Ok(());
        };
        let noted = recorder.note(open.id, open.outcome.clone(), Capped::default()).await;
        self.tolerate(noted)
    }

    fn log_done(&mut self, desired: &DesiredSet, done: &[Done]) {
        let commit = desired.revision.id();
        let Log { deploy, drift, .. } = &mut self.log;
        let Some(open) = deploy.as_mut().or(drift.as_mut()) else { return };
        for done in done {
            let Some(operation) = operation(done) else { continue };
            let (reference, op) = (operation.object.clone(), operation.op);
            open.outcome.objects.add(operation);
            if let Some(repair) = &done.drift {
                note_repair(&mut open.outcome, repair);
            }
            match op {
                Operation::Delete => {
                    if let Some(app) = ledger::app_name(&reference) {
                        note_app(&mut open.outcome.apps, app, None);
                    }
                }
                Operation::Create | Operation::Change | Operation::Recreate | Operation::Adopt => {
                    let object = desired.ordinary.iter().find(|object| object.reference == reference);
                    let runs = object.and_then(|object| running(&reference, object.value(), &commit));
                    if let Some((app, runs)) = runs {
                        note_app(&mut open.outcome.apps, app, Some(runs));
                    }
                }
                Operation::Repair | Operation::Scale | Operation::Refused => {}
            }
        }
    }

    /// How the environment stands after a pass: closes what is over.
    pub(super) async fn log_stands(
        &mut self,
        cluster: &Cluster,
        wanted: &Wanted,
        desired: Option<&DesiredSet>,
        standings: &Standings,
    ) -> Result<(), CallError> {
        if self.log.recorder.is_none() {
            return Ok(());
        }
        self.log_drift_over().await?;
        self.log_orders().await?;
        self.log_rejected(wanted, standings).await?;
        let held = self.hold().map(|held| held.inputs.clone());
        let is_stuck = standings.settled
            && match standings.state {
                State::Failed | State::Degraded => true,
                State::Live
                | State::Progressing
                | State::Applying
                | State::Waiting
                | State::Suspended
                | State::RolledBack
                | State::Unreachable => false,
            };
        let was_live =
            desired.is_some_and(|desired| self.is_applied(desired)) && self.memory.progress.live.is_some();
        // What an environment goes back to was applied and live before: it is over once it is so again.
        let is_live = was_live && (held.is_none() || standings.is_well);
        let inputs = desired.map(|desired| &desired.inputs);
        let standing = Standing { inputs, is_live, is_stuck, held: held.as_ref() };
        let Some(open) = &self.log.deploy else { return Ok(()) };
        let Some(how) = ledger::end(&open.inputs, standing) else { return Ok(()) };
        let code = standings.problems.iter().find(|problem| problem.is_error());
        let (reason, code) = match how {
            How::Succeeded => (format!("live: {}", standings.reason), None),
            How::RolledBack => {
                let held = self.hold();
                let problem = held.map(tidegate_core::rollback::Held::problem);
                let reason = held.map(tidegate_core::rollback::Held::outline).unwrap_or_default();
                (reason, problem.map(|problem| problem.code.to_string()))
            }
            How::Failed | How::Unknown => {
                (standings.reason.clone(), code.map(|problem| problem.code.to_string()))
            }
            How::Superseded => ("something newer took its place".to_owned(), None),
        };
        if let (Some(desired), How::Succeeded | How::RolledBack) = (desired, how)
            && let Some(mut open) = self.log.deploy.take()
        {
            self.note_images(cluster, desired, &mut open.outcome).await;
            self.log.deploy = Some(open);
        }
        self.log_close(how, reason, code).await
    }

    /// A person has lifted a suspension, or let a rewound branch be followed.
    pub(super) fn log_order(&mut self, order: Order) {
        if self.log.recorder.is_some() && self.log.orders.len() < ORDERS {
            // That it was served is on record only later: a daemon that ends until then is followed by one that serves it again.
            let Order { command, by, reason, at } = &order;
            let id = RecordId::of(*at, &format!("{} {command} {by} {reason}", self.name));
            self.log.orders.push((id, order));
        }
    }

    /// A person has suspended the environment; one that was on record before this daemon began is not new.
    fn log_suspension(&mut self) {
        let suspension = self.memory.parent.as_ref().and_then(|parent| parent.suspension.clone());
        let Some(Suspension { reason, by, since, until: _ }) = suspension else { return };
        let known = self.memory.written.as_ref().and_then(|record| record.suspended);
        let is_known = self.log.suspended.is_none() && known == Some(SuspendedBy::Hand);
        if self.log.suspended.replace(since) != Some(since) && !is_known {
            self.log_order(Order { command: "suspend".to_owned(), by, reason, at: since });
        }
    }

    async fn log_orders(&mut self) -> Result<(), CallError> {
        self.log_suspension();
        let Some(recorder) = self.log.recorder.clone() else { return Ok(()) };
        while let Some((id, order)) = self.log.orders.first().cloned() {
            let now = Timestamp::now();
            let mut outcome = Record::begun(Kind::BreakGlass, recorder.actor(), order.at, "");
            let reason = format!("{} by {}", order.command, order.by);
            outcome = outcome.ended(How::Succeeded, reason, now);
            outcome.order = Some(order);
            let written = recorder.end(id, outcome).await;
            self.tolerate(written)?;
            self.log.orders.remove(0);
        }
        Ok(())
    }

    /// A commit that cannot be applied as it stands: told once, whoever tells it.
    async fn log_rejected(&mut self, wanted: &Wanted, standings: &Standings) -> Result<(), CallError> {
        let (Some(clerk), Wanted::Present(target)) = (self.clerk(), wanted) else {
            return Ok(());
        };
        let rejected = self.rejected_inputs(wanted);
        let on_record = self.memory.written.as_ref().and_then(|record| record.rejected_inputs.clone());
        let is_new = rejected != on_record;
        let Some(inputs) = rejected.filter(|_| is_new) else { return Ok(()) };
        let known = self.log.rejected.take().filter(|known| known.inputs == inputs);
        let Rejected { inputs, id, is_told } = known.unwrap_or_else(|| {
            // That it was told is on record only later, so it may be told again, by another daemon too.
            let at = target.info.as_ref().map_or(Timestamp::UNIX_EPOCH, |info| info.committer_time);
            let told = format!("{} {} {inputs}", self.name, target.revision.id());
            Rejected { id: RecordId::of(at, &told), inputs, is_told: false }
        });
        self.log.rejected = Some(Rejected { inputs: inputs.clone(), id, is_told });
        if is_told {
            return Ok(());
        }
        let asked = Asked {
            revision: target.revision.clone(),
            info: target.info.clone(),
            path: format!("{}environments/{}", target.prefix, target.name),
            plan: None,
            seen: self.memory.progress.seen,
            is_rollback: false,
            is_applied: false,
        };
        let outcome = self.outcome(&clerk, &asked, Kind::Deploy).await;
        let mut outcome = outcome.ended(How::Failed, standings.reason.clone(), Timestamp::now());
        outcome.times.started = None;
        let errors = standings.problems.iter().filter(|problem| problem.is_error());
        let told: Vec<Evidence> = errors
            .map(|problem| Evidence {
                kind: "problem".to_owned(),
                of: problem.code.to_string(),
                text: problem.to_string(),
            })
            .collect();
        outcome.code = told.first().map(|first| first.of.clone());
        outcome.evidence = Capped::all(told);
        let written = clerk.recorder.end(id, outcome).await;
        self.tolerate(written)?;
        self.log.rejected = Some(Rejected { inputs, id, is_told: true });
        Ok(())
    }

    /// Everything that the environment owned is gone, and its parent with it.
    pub(super) async fn log_taken_down(&mut self) -> Result<(), CallError> {
        self.log_close(How::Succeeded, "taken down".to_owned(), None).await
    }

    /// Repairs are told in one record for ten minutes.
    async fn log_drift_over(&mut self) -> Result<(), CallError> {
        if self.log_due() == Some(Duration::ZERO) { self.log_drift_close().await } else { Ok(()) }
    }

    /// When the record of the repairs is due.
    pub(super) fn log_due(&self) -> Option<Duration> {
        let open = self.log.drift.as_ref()?;
        let coalesce = self.shared.ledger.as_ref().map_or(Duration::ZERO, |settings| settings.coalesce);
        let left = coalesce.saturating_sub(open.begun.elapsed());
        // Nothing is waited for where nothing came of it, and where it is over.
        let is_empty = open.outcome.objects.is_empty() && open.outcome.repairs.is_empty();
        Some(if open.outcome.kind == Kind::Prune || is_empty { Duration::ZERO } else { left })
    }

    async fn log_drift_close(&mut self) -> Result<(), CallError> {
        let (Some(recorder), Some(open)) = (self.log.recorder.clone(), self.log.drift.take()) else {
            return Ok(());
        };
        if open.outcome.objects.is_empty() && open.outcome.repairs.is_empty() {
            let forgotten = recorder.forget(open.id).await;
            self.log.drift = forgotten.is_err().then_some(open);
            return self.tolerate(forgotten);
        }
        let reason = match open.outcome.kind {
            Kind::Prune => "what left git was deleted".to_owned(),
            _ => format!("{} repairs", open.outcome.repairs.total),
        };
        let outcome = open.outcome.clone().ended(How::Succeeded, reason, Timestamp::now());
        let written = recorder.end(open.id, outcome).await;
        self.log.drift = written.is_err().then_some(open);
        self.tolerate(written)
    }

    async fn log_close(&mut self, how: How, reason: String, code: Option<String>) -> Result<(), CallError> {
        let (Some(recorder), Some(open)) = (self.log.recorder.clone(), self.log.deploy.take()) else {
            return Ok(());
        };
        let mut outcome = open.outcome.clone().ended(how, reason, Timestamp::now());
        outcome.code = code;
        let written = recorder.end(open.id, outcome).await;
        self.log.deploy = written.is_err().then_some(open);
        self.tolerate(written)
    }

    /// What is known of an operation as it begins.
    async fn outcome(&self, clerk: &Clerk, asked: &Asked, kind: Kind) -> Record {
        let mut outcome = clerk.begin(asked, kind).await;
        if kind == Kind::Deploy {
            outcome.includes = self.includes(&asked.revision).await;
        }
        outcome
    }

    /// What is needed to begin records; none where there is no log.
    pub(super) fn clerk(&self) -> Option<Clerk> {
        let (recorder, settings) = (self.log.recorder.clone()?, self.shared.ledger.as_ref()?);
        let source = self.shared.source.clone();
        Some(Clerk { recorder, source, repo: settings.repo.clone(), coalesce: settings.coalesce })
    }

    /// What git asks for with these objects.
    pub(super) fn who_asks(&self, desired: &DesiredSet) -> Asked {
        Asked {
            revision: desired.revision.clone(),
            info: desired.info.clone(),
            path: format!("{}{}", desired.prefix, desired.environment.folder),
            plan: Some(desired.plan_id.clone()),
            seen: self.memory.progress.seen,
            is_rollback: self.hold().is_some(),
            is_applied: self.is_applied(desired),
        }
    }

    /// The commits since the one that was applied last, which were never live by themselves.
    async fn includes(&self, revision: &Revision) -> Capped<Included> {
        let applied = self.memory.parent.as_ref().and_then(|parent| parent.applied.as_ref());
        let applied: Option<CommitId> = applied.and_then(|applied| applied.parse().ok());
        let (Some(from), Some(to)) = (applied, revision.commit()) else { return Capped::default() };
        let Ok(skipped) = self.shared.source.skipped(&from, to).await else { return Capped::default() };
        let total = skipped.len() as u64;
        let mut items = Vec::new();
        for commit in skipped.into_iter().take(INCLUDES) {
            if let Ok(info) = self.shared.source.commit_info(&commit).await {
                let author = info.author.to_string();
                items.push(Included { commit: commit.to_string(), subject: info.subject, author });
            }
        }
        Capped { total, ..Capped::all(items) }
    }

    /// What the cluster refuses is said, and holds nothing up; what it cannot answer now would fail the pass anyway.
    fn tolerate(&self, written: Result<(), CallError>) -> Result<(), CallError> {
        self.tolerate_with(written).map(drop)
    }

    fn tolerate_with<T>(&self, written: Result<T, CallError>) -> Result<Option<T>, CallError> {
        match written {
            Ok(written) => Ok(Some(written)),
            Err(error) if error.is_transient() => Err(error),
            Err(error) => {
                self.log_trouble(&error);
                Ok(None)
            }
        }
    }

    fn log_trouble(&self, error: &CallError) {
        tracing::error!(environment = %self.name, %error, "the deploy log cannot be written");
    }
}

/// The uid of the Namespace `kube-system`, which no other cluster has.
async fn cluster_uid(cluster: &Cluster) -> Result<String, CallError> {
    let api: Api<Namespace> = Api::all(cluster.client.clone());
    let namespace = repeated(|| api.get("kube-system")).await?;
    Ok(namespace.metadata.uid.unwrap_or_default())
}
