//! A lane of a replica: the order of requests of `daemon/src/reconcile/`, around the decisions of the core.
//!
//! It follows that folder verb by verb, and must be changed with it: `pass` and `rounds` are its `mod.rs`, `enforced` and
//! `fetch` its `hold.rs` and `fetch.rs`. Left out are what needs no second request to go wrong: pods of sick workloads, fields
//! left to others, immutable fields, foreign repositories.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tidegate_core::drift::{Evidence, Flips};
use tidegate_core::ids::{CommitId, Digest, EnvironmentName, short};
use tidegate_core::inventory::Inventory;
use tidegate_core::object::ObjectId;
use tidegate_core::observed::Observed;
use tidegate_core::plan::{Failure, Plan, PlanInput, plan};
use tidegate_core::rollback::Held;
use tidegate_core::schedule::Backoff;
use tidegate_core::standing::{Progress, RETRY_REJECTED};
use tidegate_core::status::EnvironmentStatus;

use super::bugs::Bug;
use super::content::{Desired, Target};
use super::replica::{Local, Shared, sleep};
use super::request::{Answer, CallError, Line, Parent, ParentChange, Request, StoredShard, Why};
use super::rollback::Past;

/// `ROUNDS` of the daemon.
const ROUNDS: u32 = 12;
/// `DRY_RUN_RETRY` of the daemon.
const DRY_RUN_RETRY: SignedDuration = SignedDuration::from_secs(8);
/// As the world counts time.
pub(super) const SAFETY_INTERVAL: SignedDuration = SignedDuration::from_mins(10);
/// `COALESCE` of the daemon.
const COALESCE: SignedDuration = SignedDuration::from_millis(20);
/// `ATTEMPTS` of the daemon's calls.
const CALL_ATTEMPTS: u32 = 4;
/// Of `daemon/src/reconcile/record.rs`.
const BACKOFF: Backoff =
    Backoff { base: std::time::Duration::from_secs(1), cap: std::time::Duration::from_mins(1) };

/// What git asks of the environment now.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// Its folder is there.
    Present(CommitId, Rc<Target>),
    /// Its folder is gone.
    Missing(CommitId),
}

/// The newest set that was free of errors.
#[derive(Debug, Clone)]
pub struct Good {
    /// The commit.
    pub commit: CommitId,
    /// Its files.
    pub target: Rc<Target>,
}

impl Good {
    /// The set. A target is kept as good only when it has one.
    pub fn desired(&self) -> &Desired {
        self.target.desired().expect("only a target without errors is good")
    }
}

/// How the rounds of a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounds {
    /// Nothing is left to do now.
    Settled,
    /// Something is left.
    Unfinished,
}

/// What a lane remembers between passes (`memory.rs`).
#[derive(Debug, Default)]
pub struct Memory {
    pub(super) good: Option<Good>,
    pub(super) rejected: Option<(Digest, Timestamp)>,
    pub(super) parent: Option<Parent>,
    pub(super) inventory: Option<(Inventory, Option<StoredShard>)>,
    pub(super) failed: BTreeMap<ObjectId, Failure>,
    pub(super) inspected: BTreeMap<ObjectId, Value>,
    pub(super) evidence: Evidence,
    pub(super) dry_runs_failed_at: Option<Timestamp>,
    pub(super) flips: Flips,
    pub(super) last: Option<(Observed, Plan)>,
    pub(super) written: Option<EnvironmentStatus>,
    pub(super) written_at: Option<Timestamp>,
    pub(super) failures: u32,
    pub(super) unfinished: u32,
    pub(super) conflicts: BTreeMap<ObjectId, u32>,
    pub(super) progress: Progress,
    pub(super) unsaid: ParentChange,
    pub(super) behind: bool,
    pub(super) claimed: Option<CommitId>,
    pub(super) claimed_hold: Option<Digest>,
    pub(super) claimed_here: Option<CommitId>,
    pub(super) past: Option<Past>,
    pub(super) unwell: BTreeMap<ObjectId, Timestamp>,
    pub(super) unwritten: Option<Box<Held>>,
    pub(super) enforced: Option<Good>,
    pub(super) partial: bool,
    pub(super) cursor: u64,
}

impl Memory {
    /// All of it as text; a set is told by its commit and its inputs.
    fn text(&self) -> String {
        let Self {
            good, rejected, parent, inventory, failed, evidence, dry_runs_failed_at, flips, last, ..
        } = self;
        let Self { written, written_at, failures, unfinished, conflicts, progress, unsaid, .. } = self;
        let Self { behind, claimed, claimed_hold, claimed_here, past, unwell, unwritten, .. } = self;
        let Self { partial: _, cursor: _, enforced: _, .. } = self;
        let good = good.as_ref().map(|good| (&good.commit, &good.target.inputs));
        let past = past.as_ref().map(Past::text);
        let seen = (good, rejected, parent, inventory, failed, evidence, dry_runs_failed_at, flips, last);
        let said = (written, written_at, failures, unfinished, conflicts, progress, unsaid);
        let held = (claimed_hold, past, unwell, unwritten);
        format!("{seen:?} {said:?} {behind} {claimed:?} {claimed_here:?} {held:?}")
    }

    pub(super) fn forget_cluster(&mut self) {
        self.parent = None;
        self.inventory = None;
        self.unsaid = ParentChange::default();
        self.progress.away = true;
        self.evidence.clear();
        self.last = None;
    }
}

/// One environment of one replica.
pub struct Lane {
    pub(super) name: EnvironmentName,
    pub(super) local: Rc<RefCell<Local>>,
    pub(super) world: Shared,
    pub(super) line: Line,
    pub(super) memory: Memory,
}

impl Lane {
    /// A lane that has not run yet.
    pub fn new(name: EnvironmentName, local: Rc<RefCell<Local>>, world: Shared, line: Line) -> Self {
        Self { name, local, world, line, memory: Memory::default() }
    }

    /// Passes, for ever.
    pub async fn run(mut self) {
        loop {
            let next = self.pass().await;
            if let Some(remembers) = &mut self.local.borrow_mut().remembers {
                *remembers = self.memory.text();
            }
            sleep(&self.world, &self.line, next, Some(self.name.clone())).await;
            sleep(&self.world, &self.line, COALESCE, None).await;
        }
    }

    async fn pass(&mut self) -> SignedDuration {
        let (ready, owns) = {
            let mut local = self.local.borrow_mut();
            local.woken.remove(&self.name);
            (local.ready, local.owns(&self.name))
        };
        if !ready {
            return SignedDuration::from_secs(1);
        }
        if !owns {
            self.memory.forget_cluster();
            return SAFETY_INTERVAL;
        }
        if !self.begins_now() {
            return SignedDuration::from_millis(100);
        }
        let reconciled = self.reconcile().await;
        self.local.borrow_mut().busy = false;
        match reconciled {
            Ok(next) => {
                self.memory.failures = 0;
                next
            }
            Err(error) => self.after_failure(&error),
        }
    }

    /// Always, but for planted bugs.
    fn begins_now(&self) -> bool {
        let now = self.now();
        let mut local = self.local.borrow_mut();
        let waits = (self.has(Bug::OneAtATime) && local.busy)
            || (self.has(Bug::AllBackOff) && local.backs_off_until.is_some_and(|until| until > now));
        local.busy |= !waits;
        !waits
    }

    async fn reconcile(&mut self) -> Result<SignedDuration, CallError> {
        let Some(wanted) = self.wanted() else { return Ok(SAFETY_INTERVAL) };
        self.memory.cursor = self.local.borrow().cursor;
        self.memory.enforced = None;
        self.world.borrow_mut().begin_pass(self.local.borrow().index, &self.name);
        self.read_state(&wanted).await?;
        if let Wanted::Missing(head) = &wanted {
            if self.memory.inventory.as_ref().is_some_and(|(owned, _)| owned.entries.is_empty()) {
                self.take_down(head).await?;
            }
            if self.memory.parent.is_none() {
                return Ok(SAFETY_INTERVAL);
            }
        }
        self.serve_requests();
        self.fetch(&wanted);
        self.tell_what_is_known();
        self.fetch_past();
        let good = self.enforced(&wanted);
        self.memory.enforced.clone_from(&good);
        self.ensure_parent(&wanted, good.as_ref()).await?;
        let Some(good) = good else { return self.record(&wanted, None).await };
        if !self.claim(&wanted, &good).await? {
            return self.record(&wanted, None).await;
        }
        let rounds = self.rounds(&good).await;
        self.memory.inspected.clear();
        self.write_inventory().await?;
        let rounds = rounds?;
        match rounds {
            Rounds::Settled => {
                self.memory.unfinished = 0;
                self.conclude(&good).await?;
            }
            Rounds::Unfinished => self.memory.unfinished = self.memory.unfinished.saturating_add(1),
        }
        self.record(&wanted, Some(rounds)).await
    }

    /// For the invariants only.
    fn tell_what_is_known(&self) {
        let works_for = &mut self.world.borrow_mut().truth.works_for;
        match &self.memory.good {
            Some(good) => drop(works_for.insert(self.name.clone(), good.target.inputs.clone())),
            None => drop(works_for.remove(&self.name)),
        }
    }

    async fn rounds(&mut self, good: &Good) -> Result<Rounds, CallError> {
        for _ in 0..ROUNDS {
            let plan = self.plan(good).await?;
            let idle = plan.is_idle();
            if !plan.inspect.is_empty() {
                self.inspect(good, &plan.inspect).await;
            }
            self.accept(&plan);
            if !plan.stages.is_empty() {
                self.execute(good, &plan).await?;
            }
            if idle {
                return Ok(Rounds::Settled);
            }
            if self.is_superseded(good) {
                return Ok(Rounds::Unfinished);
            }
        }
        Ok(Rounds::Unfinished)
    }

    async fn plan(&mut self, good: &Good) -> Result<Plan, CallError> {
        let now = self.now();
        let inventory = self.inventory();
        if self.memory.dry_runs_failed_at.is_some_and(|at| now.duration_since(at) > DRY_RUN_RETRY) {
            self.memory.evidence.forget_failures();
            self.memory.dry_runs_failed_at = None;
        }
        let desired = good.desired();
        let mut settings = desired.settings.clone();
        settings.rolled_back_from = self.hold().map(|held| short(&held.commit.id).to_owned());
        if self.has(Bug::BudgetIgnored) {
            settings.prune.max = u32::MAX;
        }
        if self.has(Bug::MissingFolderDeletes) && matches!(self.wanted(), Some(Wanted::Missing(_))) {
            settings.decommission = true;
        }
        let objects = if settings.decommission { &[][..] } else { &desired.objects };
        let mut observed = self.observe(objects, &inventory).await?;
        let mut inventory = inventory;
        if self.has(Bug::RecreatedTakenForOurs) {
            for (id, entry) in &mut inventory.entries {
                entry.uid = observed.objects.get(id).map(|live| live.uid.clone()).or(entry.uid.take());
            }
        }
        if self.has(Bug::DeletionNotRepaired) {
            let known = inventory.entries.iter().filter(|(_, entry)| entry.uid.is_some());
            for (id, _) in known.filter(|(id, _)| desired.ids().any(|wanted| wanted == **id)) {
                if !observed.objects.contains_key(id) {
                    observed.unread.insert(id.clone(), "it is somewhere".to_owned());
                }
            }
        }
        self.memory.evidence.attach(&mut observed);
        self.memory.flips.expire(now);
        let input = PlanInput {
            settings: &settings,
            desired: Some(objects),
            observed: &observed,
            inventory: &inventory,
            failed: &self.memory.failed,
            flips: &self.memory.flips,
            now,
        };
        let plan = plan(&input);
        self.world.borrow_mut().check_plan(&input, &plan, desired, &good.commit);
        self.memory.last = Some((observed, plan.clone()));
        Ok(plan)
    }

    /// What git asks for, by the last poll; none before the first.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        let head = self.local.borrow().head.clone()?;
        let target = self.world.borrow().git.target(&head, &self.name);
        Some(target.map_or(Wanted::Missing(head.clone()), |target| Wanted::Present(head, target)))
    }

    /// Whether git asks for other inputs than these, and they have not been looked at yet.
    pub(super) fn is_superseded(&self, good: &Good) -> bool {
        self.local.borrow().woken.contains(&self.name)
            && match self.wanted() {
                Some(Wanted::Present(_, target)) => target.inputs != good.target.inputs,
                Some(Wanted::Missing(_)) | None => true,
            }
    }

    fn enforced(&self, wanted: &Wanted) -> Option<Good> {
        let held = match wanted {
            Wanted::Missing(_) => !self.has(Bug::MissingFolderDeletes),
            Wanted::Present(..) => self.is_suspended(wanted),
        };
        if held { None } else { self.worked_for() }
    }

    pub(super) fn is_suspended(&self, wanted: &Wanted) -> bool {
        let suspends = |target: &Target| {
            target.environment.as_ref().is_some_and(|environment| environment.suspend.is_some())
        };
        let in_git = match wanted {
            // A broken commit is not applied at all: it lifts no suspension either.
            Wanted::Present(_, target) => {
                let stays = self.memory.good.as_ref().filter(|good| good.target.inputs != target.inputs);
                suspends(target) || stays.is_some_and(|good| suspends(&good.target))
            }
            Wanted::Missing(_) => false,
        };
        let by_hand = self.memory.parent.as_ref().is_some_and(|parent| parent.suspended);
        (in_git || by_hand) && !self.has(Bug::SuspensionIgnored)
    }

    fn fetch(&mut self, wanted: &Wanted) {
        let Wanted::Present(commit, target) = wanted else {
            if self.has(Bug::MissingFolderDeletes) {
                self.load_last_good();
            }
            return;
        };
        let now = self.now();
        let known = self.memory.good.as_ref().is_some_and(|good| good.target.inputs == target.inputs);
        let rejected = self.memory.rejected.as_ref().is_some_and(|(inputs, at)| {
            *inputs == target.inputs && now.duration_since(*at).unsigned_abs() < RETRY_REJECTED
        });
        if known {
            self.memory.rejected = None;
        } else if !rejected {
            if target.desired().is_some() {
                self.memory.rejected = None;
                self.memory.failed.clear();
                self.memory.conflicts.clear();
                self.memory.unwell.clear();
                self.memory.good = Some(Good { commit: commit.clone(), target: target.clone() });
            } else {
                self.memory.rejected = Some((target.inputs.clone(), now));
                if self.has(Bug::LastGoodDropped) {
                    self.memory.good = None;
                    return;
                }
            }
        }
        self.load_last_good();
    }

    fn load_last_good(&mut self) {
        if self.memory.good.is_some() || self.has(Bug::LastGoodDropped) {
            return;
        }
        let Some(parent) = &self.memory.parent else { return };
        for commit in [&parent.seen, &parent.applied].into_iter().flatten() {
            if !self.local.borrow().mirror.has(commit) {
                continue;
            }
            let target = self.world.borrow().git.target(commit, &self.name);
            if let Some(target) = target.filter(|target| target.desired().is_some()) {
                self.memory.good = Some(Good { commit: commit.clone(), target });
                return;
            }
        }
    }

    fn serve_requests(&mut self) {
        let Some(parent) = &self.memory.parent else { return };
        let mut local = self.local.borrow_mut();
        let Some((from, to)) = local.mirror.rewound.clone() else { return };
        let world = self.world.borrow();
        // By a person; or by a person before, where another replica has been there and taken the permission with it.
        let contains = |commit: &CommitId, in_history: &CommitId| {
            local.mirror.is_ancestor(&world.git, commit, in_history)
        };
        let allows = |commit: &CommitId| contains(commit, &to) && !contains(commit, &from);
        let allowed = parent.rewind.iter().chain(&parent.seen).any(allows);
        if allowed && local.rewound.as_ref() == Some(&to) && local.mirror.accept(&to) {
            local.poll_now = true;
        }
    }

    fn after_failure(&mut self, error: &CallError) -> SignedDuration {
        self.memory.failures = self.memory.failures.saturating_add(1);
        if *error != CallError::Conflict || self.memory.failures >= 3 {
            self.memory.forget_cluster();
        }
        let delay = BACKOFF.delay(self.memory.failures, 0.5);
        let delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::from_secs(60));
        self.local.borrow_mut().backs_off_until = self.now().checked_add(delay).ok();
        delay
    }
}

/// What all verbs use.
impl Lane {
    pub(super) fn now(&self) -> Timestamp {
        self.world.borrow().now
    }

    pub(super) fn has(&self, bug: Bug) -> bool {
        self.world.borrow().has(bug)
    }

    pub(super) fn inventory(&self) -> Inventory {
        self.memory.inventory.as_ref().map(|(inventory, _)| inventory.clone()).unwrap_or_default()
    }

    /// A call that may be repeated unchanged.
    pub(super) async fn repeated(&self, request: impl Fn() -> Request) -> Result<Answer, CallError> {
        let mut wait = SignedDuration::from_millis(100);
        for _ in 1..CALL_ATTEMPTS {
            match self.line.call(request()).await {
                Err(CallError::Busy | CallError::Server) => {
                    sleep(&self.world, &self.line, wait, None).await;
                    wait *= 2;
                }
                answer => return answer,
            }
        }
        self.line.call(request()).await
    }

    /// From what the writes of this pass are decided.
    pub(super) fn why(&self) -> Rc<Why> {
        let Memory { good, enforced, claimed, claimed_hold, partial, cursor, .. } = &self.memory;
        let good = enforced.as_ref().or(good.as_ref());
        let head = self.local.borrow().head.clone();
        let commit = good.map(|good| good.commit.clone()).or(head);
        Rc::new(Why {
            replica: self.local.borrow().index,
            environment: self.name.clone(),
            inputs: good.map_or_else(|| Digest::of(b""), |good| good.target.inputs.clone()),
            held: claimed_hold.clone(),
            shard: self.memory.inventory.as_ref().and_then(|(_, stored)| Some(stored.as_ref()?.version)),
            commit: commit.expect("a pass begins with a head"),
            claimed: claimed.clone(),
            partial: *partial,
            cursor: *cursor,
        })
    }
}
