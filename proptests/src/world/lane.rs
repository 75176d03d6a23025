//! A lane of a replica: the order of requests of `daemon/src/reconcile/`, around the decisions of the core.
//!
//! It follows that folder verb by verb, and must be changed with it: `pass` and `rounds` are its `mod.rs`, `enforced` and
//! `fetch` its `hold.rs` and `fetch.rs`, `claim` and `conclude` what it keeps on the parent. Left out are what needs no
//! second request to go wrong: pods of sick workloads, deadlines, fields left to others, immutable fields, foreign repositories.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tidegate_core::drift::{Evidence, Flips};
use tidegate_core::ids::{CommitId, Digest, EnvironmentName};
use tidegate_core::inventory::Inventory;
use tidegate_core::object::ObjectId;
use tidegate_core::observed::Observed;
use tidegate_core::plan::{Failure, Plan, PlanInput, plan};
use tidegate_core::schedule::Backoff;
use tidegate_core::standing::{
    Claim, Conclusion, Progress, RETRY_REJECTED, Said, conclude, drop_overcome, kept,
};
use tidegate_core::status::{EnvironmentStatus, Times};

use super::bugs::Bug;
use super::content::{Desired, Target};
use super::replica::{Local, Shared, sleep};
use super::request::{Answer, CallError, Line, Parent, ParentChange, Request, StoredShard, Why};

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
    pub(super) claimed_here: Option<CommitId>,
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
        let Self { behind, claimed, claimed_here, partial: _, cursor: _, .. } = self;
        let good = good.as_ref().map(|good| (&good.commit, &good.target.inputs));
        let seen = (good, rejected, parent, inventory, failed, evidence, dry_runs_failed_at, flips, last);
        let said = (written, written_at, failures, unfinished, conflicts, progress, unsaid);
        format!("{seen:?} {said:?} {behind} {claimed:?} {claimed_here:?}")
    }

    pub(super) fn forget_cluster(&mut self) {
        self.parent = None;
        self.inventory = None;
        self.unsaid = ParentChange::default();
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
        match self.reconcile().await {
            Ok(next) => {
                self.memory.failures = 0;
                next
            }
            Err(error) => self.after_failure(&error),
        }
    }

    async fn reconcile(&mut self) -> Result<SignedDuration, CallError> {
        let Some(wanted) = self.wanted() else { return Ok(SAFETY_INTERVAL) };
        self.memory.cursor = self.local.borrow().cursor;
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
        let good = self.enforced(&wanted);
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
        if held { None } else { self.memory.good.clone() }
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
            self.load_last_good();
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

    async fn claim(&mut self, wanted: &Wanted, good: &Good) -> Result<bool, CallError> {
        let Some(parent) = self.memory.parent.clone() else {
            return Ok(good.desired().settings.decommission);
        };
        let commit = newest(wanted, good);
        let inputs = good.target.inputs.clone();
        self.memory.behind = false;
        self.memory.claimed.clone_from(&parent.seen);
        let (said, now) = (said(&parent, self.now()), self.now());
        let contained = {
            let (local, world) = (self.local.borrow(), self.world.borrow());
            let mut asked = said.asks();
            asked.retain(|from| local.mirror.is_ancestor(&world.git, from, commit));
            asked
        };
        let claim = said.claim(Some(commit), commit.as_str(), &inputs, &contained, now);
        let uses_rewind = match claim {
            Claim::Stands => {
                self.begin(good);
                return Ok(true);
            }
            Claim::Behind if !self.has(Bug::RewindAccepted) => {
                self.memory.behind = true;
                return Ok(false);
            }
            Claim::Behind => false,
            Claim::Write { uses_rewind } => uses_rewind,
        };
        self.begin(good);
        if self.has(Bug::CommitNotClaimed) {
            return Ok(true);
        }
        let seen = Some((commit.clone(), inputs));
        self.memory.claimed = Some(commit.clone());
        self.write_parent(ParentChange { seen, rewound: uses_rewind, ..ParentChange::default() }).await?;
        let before = self.memory.claimed_here.replace(commit.clone());
        if parent.seen.is_some() && before != parent.seen && !self.has(Bug::TakenOverUnread) {
            self.memory.inventory = None;
            self.ensure_inventory().await?;
        }
        Ok(true)
    }

    fn begin(&mut self, good: &Good) {
        let inputs = &good.target.inputs;
        if self.memory.progress.inputs.as_ref() == Some(inputs) {
            return;
        }
        let record = self.memory.written.as_ref().filter(|status| status.inputs.as_ref() == Some(inputs));
        let times =
            record.map_or(Times { seen: Some(self.now()), ..Times::default() }, |status| status.times);
        let Times { committed: _, seen, applied, live, anew } = times;
        self.memory.progress =
            Progress { inputs: Some(inputs.clone()), seen, applied, live, anew, ..Progress::default() };
    }

    async fn conclude(&mut self, good: &Good) -> Result<(), CallError> {
        let Some((_, plan)) = &self.memory.last else { return Ok(()) };
        let now = self.world.borrow().now;
        self.memory.failed = drop_overcome(std::mem::take(&mut self.memory.failed), plan, now);
        match conclude(plan, &self.memory.failed, good.desired().settings.decommission) {
            Conclusion::Open => return Ok(()),
            Conclusion::TakenDown => return self.take_down(&good.commit).await,
            Conclusion::Applied => drop(self.memory.progress.applied.get_or_insert(now)),
        }
        self.memory.unsaid.applied = None;
        let parent = self.memory.parent.as_ref();
        let same = parent.is_some_and(|parent| {
            let status = parent.status.as_ref();
            let status = status.filter(|status| status.applied_inputs.as_ref() == Some(&good.target.inputs));
            let recorded = status.and_then(|status| status.applied.as_ref());
            recorded.is_some_and(|recorded| {
                parent.applied.as_ref().is_some_and(|applied| applied.as_str() == recorded.id)
            })
        });
        if same || parent.is_some_and(|parent| parent.applied.as_ref() == Some(&good.commit)) {
            return Ok(());
        }
        self.memory.unsaid.applied = Some((good.commit.clone(), self.memory.cursor));
        Ok(())
    }

    async fn take_down(&mut self, asked_by: &CommitId) -> Result<(), CallError> {
        let kept = self.memory.last.as_ref().map(|(_, plan)| kept(plan)).unwrap_or_default();
        if self.inventory().entries.keys().any(|id| !kept.contains(id)) {
            return Ok(());
        }
        let Some(parent) = self.memory.parent.clone() else { return Ok(()) };
        let (now, stored) = self.read_inventory(&parent).await?;
        if now != self.inventory() && !self.has(Bug::TakenOverUnread) {
            self.memory.inventory = Some((now, stored));
            return Ok(());
        }
        let why = Rc::new(Why { commit: asked_by.clone(), ..Why::clone(&self.why()) });
        let request = Request::DeleteParent { known: Box::new(parent.clone()), why };
        self.repeated(|| request.clone()).await?;
        self.local.borrow_mut().note_deleted(&parent);
        self.memory.parent = None;
        self.memory.inventory = None;
        self.memory.unsaid = ParentChange::default();
        Ok(())
    }

    fn after_failure(&mut self, error: &CallError) -> SignedDuration {
        self.memory.failures = self.memory.failures.saturating_add(1);
        if *error != CallError::Conflict || self.memory.failures >= 3 {
            self.memory.forget_cluster();
        }
        let delay = BACKOFF.delay(self.memory.failures, 0.5);
        SignedDuration::try_from(delay).unwrap_or(SignedDuration::from_secs(60))
    }
}

/// The newest commit that asks for this set. It may have been loaded from an older one with the same files.
pub(super) fn newest<'a>(wanted: &'a Wanted, good: &'a Good) -> &'a CommitId {
    match wanted {
        Wanted::Present(head, target) if target.inputs == good.target.inputs => head,
        Wanted::Present(..) | Wanted::Missing(_) => &good.commit,
    }
}

/// What the parent says of commits. A rewind has no time here: none of them is old.
fn said(parent: &Parent, now: Timestamp) -> Said<'_> {
    let recorded = parent.status.as_ref().and_then(|status| status.seen.as_ref());
    Said {
        seen: parent.seen.as_ref().map(CommitId::as_str),
        seen_inputs: parent.seen_inputs.as_ref().map(Digest::as_str),
        applied: parent.applied.as_ref().map(CommitId::as_str),
        recorded: recorded.map(|seen| seen.id.as_str()),
        rewind: parent.rewind.as_ref().map(|rewind| (rewind, now)),
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
        let Memory { good, claimed, partial, cursor, .. } = &self.memory;
        let head = self.local.borrow().head.clone();
        let commit = good.as_ref().map(|good| good.commit.clone()).or(head);
        Rc::new(Why {
            replica: self.local.borrow().index,
            environment: self.name.clone(),
            inputs: good.as_ref().map_or_else(|| Digest::of(b""), |good| good.target.inputs.clone()),
            commit: commit.expect("a pass begins with a head"),
            claimed: claimed.clone(),
            partial: *partial,
            cursor: *cursor,
        })
    }
}
