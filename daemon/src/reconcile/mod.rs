//! One environment's reconcile pass: fetch, observe, plan, execute, record. [`Lane::pass`] is the whole story.
//!
//! A pass takes no hint of what changed: watches, polls and people only wake it, and a timer always wakes it too. First
//! install, repair of drift, resuming after a crash and retries all go through the same plan. No worker is held while an
//! environment waits for health or for others.
//!
//! | file | verb |
//! |---|---|
//! | `fetch` | which objects are enforced: the newest set free of errors |
//! | `observe`, `inspect` | what the cluster holds; dry-runs where metadata leaves a doubt |
//! | `tidegate_core::plan` | plan |
//! | `execute`, `recreate` | execute |
//! | `standings`, `tidegate_core::standing` | how it stands |
//! | `record`, `reports` | the status record, logs, metrics; what is said where there can be no record |
//! | `parent`, `claim` | the parent object: read, written, marked with the commit that is begun and the one that is applied |
//! | `rescue` | a parent that was deleted by hand, made again |
//! | `rollback` | back to the last good commit, and what is held meanwhile |
//! | `rollouts`, `rollout_tasks` | workloads that roll out in colours: told what git asks for, and how they stand; their tasks |
//! | `rollout_services` | the Services that are theirs, whatever git says of them |
//! | `rewind` | who allowed a rewound branch to be followed |
//! | `inventory`, `account` | what is owned: noted, corrected, written; what came of the actions |
//! | `ledger` | what is written down for the deploy log |
//! | `examine` | what has drifted while nothing may be written |
//! | `moved`, `unreadable` | environments that left a cluster; those whose file was never readable |
//! | `hold` | what holds an environment back: suspensions, others that come first |
//! | `lane`, `next`, `memory` | when passes run, and what is remembered between them |
//! | `settings` | what plans depend on of `environment.yaml` |

mod account;
mod claim;
mod examine;
mod execute;
mod fetch;
mod hold;
mod inspect;
mod inventory;
mod lane;
mod ledger;
mod ledger_images;
mod ledger_operations;
mod ledger_state;
mod memory;
pub mod moved;
mod next;
mod observe;
mod parent;
mod record;
mod recreate;
mod reports;
mod rescue;
mod rewind;
mod rollback;
mod rollout_services;
mod rollout_tasks;
mod rollouts;
mod settings;
mod standings;
mod unreadable;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tidegate_core::health::judge;
use tidegate_core::ids::short;
use tidegate_core::inventory::Inventory;
use tidegate_core::plan::{Plan, PlanInput, PlanSettings, plan};
use tidegate_core::standing::SAFETY_INTERVAL;

pub use fetch::{access_of, read_world};
pub use inspect::{Answer, Inspection, Question, inspect};
pub use lane::{Board, Lane, Shared, Standing, Wanted};
pub use ledger::LedgerSettings;
pub use ledger_state::log_problems;
pub use observe::{Unseen, observe};
pub use rollouts::stuck;
pub use settings::settings;
pub use standings::is_recorded;
pub use unreadable::{Unreadable, keep_records};

use crate::cluster::call::CallError;
use crate::cluster::handle::{Cluster, ClusterState};
use crate::world::DesiredSet;
use execute::Execution;

/// Rounds of one pass: a plan that is not idle after so many is left to the next pass.
const ROUNDS: u32 = 12;
/// A dry-run that failed is asked again after this time.
const DRY_RUN_RETRY: Duration = Duration::from_secs(8);
/// So many whole objects are held between their dry-runs and their repairs; more are read again.
const INSPECTED_CAP: usize = 64;

/// When the next pass is due at the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next(pub Duration);

/// How the rounds of a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rounds {
    /// Nothing is left to do now.
    Settled,
    /// Something is left (a newer commit, too many rounds): soon again, and later the more often it is so.
    Unfinished,
}

impl Lane {
    /// One pass. Never fails: what goes wrong is recorded, and said in the time of the next pass.
    pub async fn pass(&mut self) -> Next {
        let wanted = self.wanted();
        let access = match self.access(&wanted) {
            Some(access) => Some(access),
            None => self.access_of_the_past(&wanted).await,
        };
        let Some(access) = access else {
            return self.report_without_cluster(&wanted);
        };
        let cluster = match self.shared.clusters.get(&access).await {
            Ok(cluster) => cluster,
            Err(error) => return self.report_unreachable(&error.to_string(), &wanted).await,
        };
        cluster.register(&self.name, self.wake.clone());
        match cluster.state() {
            ClusterState::Ready => {}
            ClusterState::Connecting => return Next(Duration::from_secs(1)),
            ClusterState::Unreachable(reason) => return self.report_unreachable(&reason, &wanted).await,
        }
        if !cluster.owns(&self.name) {
            self.memory.leave_cluster();
            self.leave_log();
            self.rollouts.stop();
            self.name_unreadable(&cluster, &wanted);
            self.follow_others(&cluster, &wanted);
            return Next(SAFETY_INTERVAL);
        }
        let next = match self.reconcile(&cluster, &wanted).await {
            Ok(next) => {
                self.memory.failures = 0;
                Next(self.log_due().map_or(next.0, |due| next.0.min(due)))
            }
            Err(error) => {
                let next = self.after_failure(&error);
                self.record_failure(&cluster, &error).await;
                next
            }
        };
        self.name_unreadable(&cluster, &wanted);
        next
    }

    async fn reconcile(&mut self, cluster: &Arc<Cluster>, wanted: &Wanted) -> Result<Next, CallError> {
        self.read_state(cluster, wanted).await?;
        if self.is_contested(cluster) {
            self.rollouts.stop();
            return Ok(self.report_contested(wanted));
        }
        self.memory.contested = false;
        if self.is_left_to_others(cluster, wanted) {
            return Ok(Next(SAFETY_INTERVAL));
        }
        self.look_behind(wanted).await;
        if self.owns_nothing_and_is_gone(wanted) {
            self.take_down(cluster).await?;
        }
        if self.is_taken_down(wanted) {
            return Ok(Next(SAFETY_INTERVAL));
        }
        self.open_log(cluster).await;
        self.serve_requests().await;
        self.fetch(cluster, wanted).await?;
        self.fetch_past(cluster).await?;
        self.examine(cluster, wanted).await?;
        let desired = self.enforced(wanted);
        self.ensure_parent(cluster, wanted, desired.as_deref()).await?;
        let Some(desired) = desired else {
            match (self.suspension(wanted), self.waits_for(wanted)) {
                (Some(_), _) => self.rollouts.stop(),
                (None, Some(others)) => {
                    let why = format!("the environment {others} comes first");
                    self.keep_rollouts(cluster, &why).await?;
                }
                (None, None) => {}
            }
            return self.record(cluster, wanted, None).await;
        };
        if !self.claim(cluster, &desired).await? {
            self.rollouts.stop();
            return self.record(cluster, wanted, None).await;
        }
        self.read_held_services(cluster, &desired).await?;
        let desired = self.without_rollouts(desired);
        self.hand_over(&desired);
        let rolled_back_from = self.hold().map(|held| short(&held.commit.id).to_owned());
        let settings = PlanSettings {
            rolled_back_from,
            unfinished_wave: self.unfinished_workloads(&desired),
            ..settings(&self.name, &desired.environment)
        };
        let rounds = self.rounds(cluster, &desired, &settings).await;
        self.memory.inspected.clear();
        self.write_what_came(cluster).await?;
        let rounds = rounds?;
        self.follow_rounds(cluster, &desired, rounds).await?;
        match rounds {
            Rounds::Settled => {
                self.memory.unfinished = 0;
                self.conclude(cluster, &desired).await?;
            }
            Rounds::Unfinished => self.memory.unfinished = self.memory.unfinished.saturating_add(1),
        }
        self.record(cluster, wanted, Some(rounds)).await
    }

    /// Observe, plan and execute until nothing is left to do now.
    async fn rounds(
        &mut self,
        cluster: &Arc<Cluster>,
        desired: &Arc<DesiredSet>,
        settings: &PlanSettings,
    ) -> Result<Rounds, CallError> {
        for _ in 0..ROUNDS {
            let plan = self.plan(cluster, desired, settings, Unseen::Create).await?;
            self.log_found(desired, &plan).await?;
            let idle = plan.is_idle();
            if !plan.inspect.is_empty() {
                self.inspect(cluster, desired, &plan.inspect).await;
            }
            self.accept(&plan);
            if !plan.stages.is_empty() {
                self.execute(cluster, desired, &plan).await?;
            }
            if idle {
                return Ok(Rounds::Settled);
            }
            if self.is_superseded(desired) {
                return Ok(Rounds::Unfinished);
            }
        }
        Ok(Rounds::Unfinished)
    }

    async fn plan(
        &mut self,
        cluster: &Cluster,
        desired: &DesiredSet,
        settings: &PlanSettings,
        unseen: Unseen,
    ) -> Result<Plan, CallError> {
        // Lent, not copied: it is as large as the environment.
        let lent = self.memory.inventory.take();
        let none = Inventory::default();
        let inventory = lent.as_ref().map_or(&none, |(inventory, _)| inventory);
        let plan = self.plan_by(cluster, desired, settings, unseen, inventory).await;
        self.memory.inventory = lent;
        plan
    }

    async fn plan_by(
        &mut self,
        cluster: &Cluster,
        desired: &DesiredSet,
        settings: &PlanSettings,
        unseen: Unseen,
        inventory: &Inventory,
    ) -> Result<Plan, CallError> {
        let now = Timestamp::now();
        self.forget_failed_dry_runs();
        let objects: &[Arc<_>] = if settings.decommission { &[] } else { &desired.ordinary };
        let conflicts = &self.memory.conflicts;
        let mut observed = observe(cluster, objects, inventory, unseen, conflicts).await?;
        judge(&desired.policies.health_rules, &mut observed);
        self.memory.evidence.attach(&mut observed);
        self.memory.forget_absent_managers(&observed);
        self.memory.flips.expire(now);
        let input = PlanInput {
            settings,
            desired: Some(objects),
            observed: &observed,
            inventory,
            failed: &self.memory.failed,
            flips: &self.memory.flips,
            now,
        };
        let plan = plan(&input);
        tracing::debug!(environment = %self.name, plan = %plan.summary(), "planned");
        self.memory.last = Some((observed, plan.clone()));
        Ok(plan)
    }

    /// A dry-run that failed is asked again after a pause, whether or not the object has changed.
    fn forget_failed_dry_runs(&mut self) {
        let due = self.memory.dry_runs_failed_at.is_some_and(|at| at.elapsed() > DRY_RUN_RETRY);
        if due {
            self.memory.evidence.forget_failures();
            self.memory.dry_runs_failed_at = None;
        }
    }

    async fn inspect(
        &mut self,
        cluster: &Cluster,
        desired: &DesiredSet,
        ids: &[tidegate_core::object::ObjectId],
    ) {
        let marks = self.marks();
        for inspection in inspect(cluster, desired, &marks, ids, &self.shared.key).await {
            let Inspection { id, answer, foreign, read } = inspection;
            if let Some(read) = read
                && self.memory.inspected.len() < INSPECTED_CAP
            {
                self.memory.inspected.insert(id.clone(), read);
            }
            match answer {
                Answer::Found { dry_run, live } => {
                    self.memory.evidence.insert(id.clone(), dry_run, &live);
                    cluster.store.observe(id.clone(), *live);
                }
                Answer::Gone => cluster.store.forget(&id),
                // Held against the object as the plan saw it, until it is asked about again.
                Answer::Failed(dry_run) => {
                    self.memory.dry_runs_failed_at.get_or_insert_with(std::time::Instant::now);
                    let seen = self.memory.last.as_ref().and_then(|(observed, _)| observed.objects.get(&id));
                    if let Some(live) = seen {
                        self.memory.evidence.insert(id, dry_run, live);
                    }
                    continue;
                }
            }
            if foreign.is_empty() {
                self.memory.foreign.remove(&id);
            } else {
                self.memory.foreign.insert(id, foreign);
            }
        }
    }

    async fn execute(
        &mut self,
        cluster: &Arc<Cluster>,
        desired: &Arc<DesiredSet>,
        plan: &Plan,
    ) -> Result<(), CallError> {
        tracing::info!(environment = %self.name, revision = %desired.revision, plan = %plan.summary(), "executing");
        self.log_before(desired, plan).await?;
        self.note_pending(plan);
        self.write_inventory(cluster).await?;
        let marks = self.marks();
        let Some((observed, _)) = &self.memory.last else { return Ok(()) };
        let inspected = std::mem::take(&mut self.memory.inspected);
        let execution = Execution {
            cluster,
            desired,
            observed,
            marks: &marks,
            key: &self.shared.key,
            inspected: &inspected,
        };
        let Some((mut inventory, mut stored)) = self.memory.inventory.take() else { return Ok(()) };
        stored.outdate();
        let target = self.target.clone();
        let superseded = || lane::superseded(&target, desired);
        let done = execution.run(plan, &mut inventory, superseded).await;
        self.memory.inventory = Some((inventory, stored));
        let noted = Box::pin(self.log_after(desired, &done)).await;
        self.account(cluster, plan, done);
        noted?;
        Ok(())
    }
}
