//! The lane of one workload: observe, keep up, decide, carry one step out or ask a gate, report. It keeps nothing that matters:
//! a daemon that is killed at any instant finds the same step again from what stands on the objects.

use std::sync::Arc;
use std::time::Duration;

use tidegate_core::inventory::{Marks, PART_OF};
use tidegate_core::object::DesiredObject;
use tidegate_core::policy::{Policies, Reach};
use tidegate_core::rollout::{
    Asked, Changes, Decision, Phase, Reported, Revision, Situation, Slot, Slots, Step, Timing, Waiting,
    WorkloadState, WorkloadStatus, decide,
};
use tidegate_core::workload::Workload;
use tokio::sync::{Notify, watch};

use super::ask::{Asking, Outcome};
use super::board::Board;
use super::calls::{Calls, Live};
use super::carry::{Carried, Carrier};
use super::halted;
use super::journal::{Journal, Look, Turn, pending};
use super::kept::Kept;
use super::leaving::{Leaving, why_it_stays};
use super::names::Names;
use super::observe::{Seen, observe};
use super::parts::Parts;
use super::sweep::{DRAINS, sweep};
use super::tell::{About, Subject, Teller};
use super::upkeep::Verified;
use crate::cluster::call::CallError;
use crate::ledger::{Asked as LogAsked, Clerk};

/// While something is on its way, the cluster is looked at this often.
const MOVING: Duration = Duration::from_millis(500);
/// The same while only time or people are waited for.
const WAITING: Duration = Duration::from_secs(2);
/// At rest, if nothing wakes it.
const AT_REST: Duration = Duration::from_mins(10);
/// After a step that was cut short by somebody else's write, and while steps follow one another.
const SOON: Duration = Duration::from_millis(20);
/// After a failure; doubled up to the cap.
const RETRY: Duration = Duration::from_secs(1);
/// Longest pause after failures.
const RETRY_CAP: Duration = Duration::from_mins(1);
/// So often it is tried to keep what the pods of a revision said last.
const HEARINGS: u32 = 5;
/// A repair that was refused is tried again after this time.
const REFUSED: Duration = Duration::from_secs(30);

/// What the environment's lane asks of a workload's.
#[derive(Clone)]
pub struct Task {
    /// What git asks for.
    pub want: Want,
    /// The commit that asks.
    pub commit: String,
    /// Nothing new is begun while others come first; in words.
    pub held: Option<String>,
    /// The environment's policies: change windows open and close by themselves.
    pub policies: Arc<Policies>,
    /// How gates get to pods.
    pub reach: Reach,
    /// How to part with what git does not ask for.
    pub leaving: Leaving,
    /// What there is to know for telling.
    pub around: Arc<Around>,
}

/// What a workload's lane has to know of its environment to tell people of a failure.
#[derive(Default)]
pub struct Around {
    /// In front of the files' paths: the folder that is followed within the repository.
    pub prefix: String,
    /// Secrets of the environment in git: their values are not told.
    pub secrets: Vec<Arc<DesiredObject>>,
    /// What is needed to write the deploy log, and who asks; none where there is no log.
    pub log: Option<(Clerk, LogAsked)>,
}

/// What git asks for.
#[derive(Debug, Clone)]
pub enum Want {
    /// This workload.
    Rolled(Arc<Workload>),
    /// Nothing any more.
    Gone,
}

/// One workload's lane.
pub struct WorkloadLane {
    /// Requests in its namespace.
    pub calls: Calls,
    /// Its kept renders.
    pub kept: Kept,
    /// The environment's marks.
    pub marks: Marks,
    /// The Deployment's name in git.
    pub app: String,
    /// What is asked for.
    pub task: watch::Receiver<Task>,
    /// Woken when its objects change.
    pub wake: Arc<Notify>,
    /// Where it says how it stands.
    pub board: Board,
    /// Events, metrics, log lines.
    pub teller: Teller,
    /// How gates are asked.
    pub asking: Asking,
    journal: Arc<Journal>,
    memory: Memory,
}

#[derive(Default)]
struct Memory {
    verified: Verified,
    refused: Slots<Option<std::time::Instant>>,
    failures: u32,
    is_collected: bool,
    last: Option<WorkloadStatus>,
    /// What the revision that was turned down changes, and of which commit, against which revision.
    changes: Option<(String, Revision, Changes)>,
    /// What is waited for does not come by itself any more.
    is_stuck: bool,
    /// What its pods said last could not be written down; not tried again for this revision.
    unheard: Option<(Revision, u32)>,
}

impl WorkloadLane {
    /// A lane that has not run yet.
    #[expect(clippy::too_many_arguments, reason = "each is handed over once, by the one caller")]
    pub fn new(
        calls: Calls,
        kept: Kept,
        marks: Marks,
        app: String,
        task: watch::Receiver<Task>,
        wake: Arc<Notify>,
        board: Board,
        teller: Teller,
        asking: Asking,
    ) -> Self {
        let (journal, memory) = (Arc::<Journal>::default(), Memory::default());
        let calls = calls.told(journal.clone());
        Self { calls, kept, marks, app, task, wake, board, teller, asking, journal, memory }
    }

    /// Passes until it is dropped, or its task ends.
    pub async fn run(mut self) {
        loop {
            let task = self.task.borrow_and_update().clone();
            let next = match Box::pin(self.pass(&task)).await {
                Ok(next) => {
                    self.memory.failures = 0;
                    next
                }
                // Somebody else wrote in between: everything is read anew.
                Err(CallError::Conflict(_)) => SOON,
                Err(error) => self.after_failure(&error),
            };
            let (wake, answered) = (self.wake.clone(), self.asking.answered());
            tokio::select! {
                changed = self.task.changed() => if changed.is_err() { return },
                () = wake.notified() => {}
                () = answered.notified() => {}
                () = tokio::time::sleep(next) => {}
            }
            tokio::time::sleep(SOON).await;
        }
    }

    fn after_failure(&mut self, error: &CallError) -> Duration {
        self.memory.failures = self.memory.failures.saturating_add(1);
        let pause = RETRY.saturating_mul(1 << self.memory.failures.min(6)).min(RETRY_CAP);
        self.teller.failed(&self.app, error);
        self.board.failed(&self.app, &error.to_string());
        pause
    }

    /// One pass: at most one step.
    async fn pass(&mut self, task: &Task) -> Result<Duration, CallError> {
        self.asking.reach(task.reach);
        let Some(mut names) = self.names(task).await? else {
            self.journal.turn(Turn::of(task, &self.calls.namespace, &self.app, None)).await;
            let Self { calls, kept, marks, app, .. } = &*self;
            if !sweep(calls, kept, marks, app, &task.leaving).await? {
                return Ok(DRAINS);
            }
            self.journal.gone().await;
            self.board.gone(&self.app);
            return Ok(AT_REST);
        };
        let mut seen = Box::pin(observe(&self.calls, &names, &self.marks)).await?;
        let mut task = task.clone();
        let mut led_otherwise = None;
        if let Some(service) = seen.led_by.take() {
            led_otherwise = task.lead_by(&service, &names.service);
            names.lead_by(&service);
            seen = Box::pin(observe(&self.calls, &names, &self.marks)).await?;
        }
        self.teller.about = About::of(&seen);
        let task = &task;
        self.journal.turn(Turn::of(task, &self.calls.namespace, &self.app, Some(&seen))).await;
        if let Some(stranger) = seen.strangers.first().cloned().or_else(|| self.of_others(&seen)) {
            self.board.stranger(&self.app, &stranger);
            return Ok(WAITING);
        }
        let workload = match &task.want {
            Want::Rolled(workload) => Some(workload.clone()),
            Want::Gone => None,
        };
        let led_otherwise = led_otherwise.as_deref();
        let kept_up = self.keep_up(task, workload.as_deref(), &names, &seen, led_otherwise).await?;
        let Some(is_kept_up) = kept_up else { return Ok(SOON) };
        if workload.is_none() {
            self.board.left(&self.app, why_it_stays(&task.leaving, &names, &seen));
        }
        if self.keep_last_words(task, workload.as_deref(), &names, &seen).await? {
            return Ok(SOON);
        }
        let changes = self.changes(task, workload.as_deref(), &seen).await;
        let parts = Parts::of(task, &seen, &names);
        let asked = self.asking.asked(workload.as_deref());
        let situation = self.situation(&seen, &parts, &asked);
        let decision = decide(&situation);
        let mut status = self.status(workload.as_deref(), &names, &seen, &situation, &decision, &changes);
        complete(&mut status, workload.as_deref(), &task.around.prefix);
        explain(&mut status, task, &seen, &parts);
        let pending = match &decision.step {
            Step::Carry(writes) => pending(writes, &names, &self.calls.namespace, &seen),
            Step::Wait(_) | Step::Ask(_) => Vec::new(),
        };
        let look = Look::of(&seen, parts.desired, &decision, &status, (&self.calls.namespace, &self.app));
        Box::pin(self.journal.decided(look, &decision, pending)).await;
        self.report(status, &task.commit, &decision);
        self.memory.is_stuck = is_stuck(&seen, &parts.timing, &decision);
        let next = self.follow(task, workload.as_deref(), &names, &seen, decision).await?;
        if is_kept_up && led_otherwise.is_none() {
            self.board.passed(&self.app);
        }
        let due = self.journal.due().await.unwrap_or(next);
        Ok(if is_kept_up { next } else { next.min(RETRY_CAP) }.min(due))
    }

    /// Does what is due beside the decisions; none when something was written, and what was seen no longer holds. False where
    /// something of it was refused.
    async fn keep_up(
        &mut self,
        task: &Task,
        workload: Option<&Workload>,
        names: &Names,
        seen: &Seen,
        led_otherwise: Option<&str>,
    ) -> Result<Option<bool>, CallError> {
        let mut verified = std::mem::take(&mut self.memory.verified);
        let carrier = self.carrier(names, workload, task, seen);
        for name in carrier.restarted(&mut verified) {
            self.teller.restarted(&self.app, &name);
        }
        let kept_up = carrier.keep_up(&mut verified).await;
        self.memory.verified = verified;
        match kept_up {
            Ok(kept_up) => {
                for repair in &kept_up.repairs {
                    self.teller.repaired(&self.app, repair);
                    let object = super::names::reference(&self.calls.namespace, &repair.name);
                    self.journal.repaired(object, "its template is as it was again", &repair.managers).await;
                }
                if let Some(why) = led_otherwise {
                    self.board.failed(&self.app, why);
                }
                if kept_up.wrote {
                    return Ok(None);
                }
                self.board.followers_left(&self.app, kept_up.stay);
                Ok(Some(true))
            }
            Err(error @ (CallError::Conflict(_) | CallError::Unreachable(_))) => Err(error),
            // What keeps a Service or an autoscaler from being as git asks does not keep traffic from going back.
            Err(error) => {
                self.teller.failed(&self.app, &error);
                self.board.failed(&self.app, &error.to_string());
                Ok(Some(false))
            }
        }
    }

    /// Keeps what the pods of a revision that was turned down said last. True when it was written.
    async fn keep_last_words(
        &mut self,
        task: &Task,
        workload: Option<&Workload>,
        names: &Names,
        seen: &Seen,
    ) -> Result<bool, CallError> {
        let rejected = seen.record.as_ref().and_then(|record| record.record.rejected.as_ref());
        let Some(revision) = rejected.map(|rejected| rejected.revision) else { return Ok(false) };
        let tries =
            self.memory.unheard.filter(|(unheard, _)| *unheard == revision).map_or(0, |(_, tries)| tries);
        if tries >= HEARINGS {
            return Ok(false);
        }
        let carrier = self.carrier(names, workload, task, seen);
        match carrier.keep_last_words(&task.around.secrets).await {
            // The slot has moved on meanwhile; what is decided about the live one does not wait for it.
            Err(CallError::Conflict(_)) => {
                self.memory.unheard = Some((revision, tries + 1));
                Ok(false)
            }
            Err(error) => {
                self.teller.failed(&self.app, &error);
                self.memory.unheard = Some((revision, HEARINGS));
                Ok(false)
            }
            Ok(wrote) => Ok(wrote),
        }
    }

    /// What the revision that was turned down changes against what is live. Of interest while git asks for it.
    async fn changes(&mut self, task: &Task, workload: Option<&Workload>, seen: &Seen) -> Changes {
        let none = Changes::default();
        let (Some(workload), Some(record)) = (workload, &seen.record) else { return none };
        let rejected = record.record.rejected.as_ref();
        let is_asked = rejected.is_some_and(|rejected| rejected.revision == workload.revision);
        let live = record.record.live.filter(|_| is_asked);
        let Some((slot, held)) = live.and_then(|live| Some((live, seen.slots.get(live).as_ref()?))) else {
            return none;
        };
        let against = held.record.revision;
        if let Some((commit, revision, changes)) = &self.memory.changes
            && *commit == task.commit
            && *revision == against
        {
            return changes.clone();
        }
        // Without it the Deployment's own place is told.
        let Ok(Some(kept)) = self.kept.read(slot, against).await else { return none };
        let secrets: Vec<&DesiredObject> = task.around.secrets.iter().map(AsRef::as_ref).collect();
        let changes = workload.changes_from(slot, &kept, held.is_adopted, &secrets);
        self.memory.changes = Some((task.commit.clone(), against, changes.clone()));
        changes
    }

    /// Something of it that another environment owns. Who has colours that serve looks after them, whoever stands beside them.
    fn of_others(&self, seen: &Seen) -> Option<String> {
        let slots = Slot::ALL.into_iter().filter_map(|slot| seen.slots.get(slot).as_ref());
        let has_live = seen.record.as_ref().is_some_and(|pointer| pointer.record.live.is_some());
        let uncoloured = seen.uncoloured.iter().filter(|_| !has_live).map(|seen| &seen.live);
        let mut all = slots.map(|slot| &slot.live).chain(uncoloured).chain(&seen.service);
        let of_others = |live: &&Live| {
            live.label(PART_OF).is_some_and(|apply_set| apply_set != self.marks.apply_set.as_str())
        };
        all.find(of_others)
            .map(|live| format!("{} {} of another environment", live.text("/kind"), live.name()))
    }

    /// What the decision says, done.
    async fn follow(
        &mut self,
        task: &Task,
        workload: Option<&Workload>,
        names: &Names,
        seen: &Seen,
        decision: Decision,
    ) -> Result<Duration, CallError> {
        let Decision { phase, step } = decision;
        let subject = self.memory.last.as_ref().map(|status| Subject::of(&step, status, &task.commit));
        let subject = subject.unwrap_or_default();
        match step {
            Step::Wait(waiting) => {
                self.asking.stop();
                let at_rest = waiting == Waiting::Git && phase == Phase::Steady;
                if at_rest && !self.memory.is_collected {
                    let is_all = self.carrier(names, workload, task, seen).collect().await?;
                    self.memory.is_collected = is_all;
                }
                let is_stuck = self.memory.is_stuck;
                self.board.settled(&self.app, at_rest || is_stuck || phase.is_over(waiting));
                if let Some(status) = self.memory.last.as_ref().filter(|_| is_stuck) {
                    self.board.stuck(&self.app, &status.reason);
                }
                let rest = match waiting {
                    Waiting::Git if at_rest && !self.memory.is_collected => WAITING,
                    Waiting::Git => AT_REST,
                    Waiting::Traffic | Waiting::Pods => MOVING,
                    Waiting::Time | Waiting::People => WAITING,
                };
                // A repair that is put off is due then.
                Ok(self.memory.verified.pause().map_or(rest, |pause| pause.min(rest)))
            }
            Step::Ask(question) => {
                self.memory.is_collected = false;
                let Some(workload) = workload else { return Ok(WAITING) };
                match self.asking.ask(workload, names, seen, &question) {
                    Outcome::Pending => Ok(MOVING),
                    Outcome::Answered { gate, writes, finding } => {
                        let answering = Carrier {
                            finding: Some(&finding),
                            ..self.carrier(names, Some(workload), task, seen)
                        };
                        let carried = answering.carry(&writes).await?;
                        // One that was not written is asked again.
                        if carried == Carried::Done {
                            let about = (question.slot, &subject);
                            self.teller.answered(&self.app, about, &gate, phase, &finding);
                        }
                        Ok(self.after(phase, &carried, &[]))
                    }
                }
            }
            Step::Carry(writes) => {
                self.asking.stop();
                self.memory.is_collected = false;
                let carried = self.carrier(names, workload, task, seen).carry(&writes).await?;
                self.teller.carried(&self.app, phase, &subject, writes.len(), &carried);
                if let (Carried::Done, Some(what)) =
                    (&carried, halted::taken_back(seen, names, phase, &writes))
                {
                    self.teller.taken_back(&self.app, phase, &what);
                    let object = super::names::reference(&self.calls.namespace, &self.app);
                    self.journal.repaired(object, &what, &[]).await;
                }
                Ok(self.after(phase, &carried, &writes))
            }
        }
    }

    fn after(
        &mut self,
        phase: Phase,
        carried: &Carried,
        writes: &[tidegate_core::rollout::Write],
    ) -> Duration {
        match carried {
            Carried::Done | Carried::Ended(_) => {
                self.board.went_on(&self.app);
                SOON
            }
            Carried::Refused(why) => {
                self.board.refused(&self.app, phase, why);
                for slot in writes.iter().filter_map(tidegate_core::rollout::Write::asks_for_pods_of) {
                    *self.memory.refused.get_mut(slot) = Some(std::time::Instant::now());
                }
                WAITING
            }
        }
    }

    fn carrier<'a>(
        &'a self,
        names: &'a Names,
        workload: Option<&'a Workload>,
        task: &'a Task,
        seen: &'a Seen,
    ) -> Carrier<'a> {
        Carrier {
            calls: &self.calls,
            kept: &self.kept,
            names,
            workload,
            commit: &task.commit,
            marks: &self.marks,
            seen,
            leaving: &task.leaving,
            finding: None,
        }
    }

    /// The names in git; for a workload that has left it, those that stand on its slots.
    async fn names(&self, task: &Task) -> Result<Option<Names>, CallError> {
        match &task.want {
            Want::Rolled(workload) => Ok(Some(Names::of(workload))),
            Want::Gone => Names::of_slots(&self.calls, &self.marks.apply_set, &self.app).await,
        }
    }

    fn situation<'a>(&self, seen: &'a Seen, parts: &'a Parts, asked: &'a [Asked]) -> Situation<'a> {
        let refused = |slot: Slot| self.memory.refused.get(slot).is_some_and(|at| at.elapsed() < REFUSED);
        Situation {
            now: seen.at,
            desired: parts.desired,
            size: parts.size,
            pointer: &seen.pointer,
            slots: &seen.views,
            uncoloured: seen.uncoloured.as_ref().map(|seen| seen.view),
            followers_agree: parts.followers_agree,
            is_settled: seen.is_settled,
            balancer_agrees: true,
            is_allowed: parts.closed.is_none(),
            repair_refused: Slots { blue: refused(Slot::Blue), green: refused(Slot::Green) },
            gates: &parts.gates,
            asked,
            timing: &parts.timing,
        }
    }

    fn status(
        &self,
        workload: Option<&Workload>,
        names: &Names,
        seen: &Seen,
        situation: &Situation<'_>,
        decision: &Decision,
        changes: &Changes,
    ) -> WorkloadStatus {
        let reference = workload.map_or_else(
            || super::names::reference(&self.calls.namespace, &self.app),
            |workload| workload.reference.clone(),
        );
        let records = |slot| seen.slots.get(slot).as_ref().map(|seen| &seen.record);
        let name = |slot| {
            let seen = seen.slots.get(slot).as_ref();
            seen.map_or_else(
                || tidegate_core::workload::names::slot_name(&names.app, slot),
                |seen| seen.live.name().to_owned(),
            )
        };
        let mut status = Reported {
            workload: &reference,
            situation,
            decision,
            records: Slots { blue: records(Slot::Blue), green: records(Slot::Green) },
            names: Slots { blue: name(Slot::Blue), green: name(Slot::Green) },
            changes,
        }
        .status();
        self.asking.overlay(&mut status, workload);
        status
    }

    fn report(&mut self, status: WorkloadStatus, commit: &str, decision: &Decision) {
        let before = self.memory.last.as_ref();
        self.teller.stands(&self.app, before, &status, decision, commit);
        self.board.stands(&self.app, &status, commit);
        self.memory.last = Some(status);
    }
}

impl Drop for WorkloadLane {
    fn drop(&mut self) {
        if let Some(last) = &self.memory.last {
            self.teller.left(&self.app, last.phase);
        }
    }
}

/// Beside the reason, what is in the way.
fn explain(status: &mut WorkloadStatus, task: &Task, seen: &Seen, parts: &Parts) {
    // What people wait for, in the words of whoever makes them wait.
    if let (WorkloadState::Waiting, Some(closed)) = (status.state, &parts.closed) {
        status.reason = format!("{}: {closed}", status.reason);
    }
    let because = seen.record.as_ref().and_then(|record| record.halted_because.as_ref());
    if let (Phase::Halted | Phase::Steady, Some(because)) = (status.phase, because) {
        status.reason = format!("{}; {because}", status.reason);
    }
    if let Some(held) = &task.held {
        status.reason = format!("{}; {held}", status.reason);
    }
}

/// A gate that does not say which of its rules failed is told with its own place; all places are those in the repository.
fn complete(status: &mut WorkloadStatus, workload: Option<&Workload>, prefix: &str) {
    let Some(failure) = &mut status.failure else { return };
    if let (Some(failed), Some(workload)) = (&mut failure.gate, workload) {
        let policy = &workload.policy;
        let mut gates = policy.before_switch.iter().chain(&policy.while_baking);
        let gate = gates.find(|gate| gate.name == failed.name);
        failed.finding.rule = failed.finding.rule.take().or_else(|| gate.map(|gate| gate.location.clone()));
    }
    failure.below(prefix);
}

/// True when a Deployment that is taken over has had its time, and its pods are still not those that it is to have.
fn is_stuck(seen: &Seen, timing: &Timing, decision: &Decision) -> bool {
    if (decision.phase, &decision.step) != (Phase::Adopt, &Step::Wait(Waiting::Pods)) {
        return false;
    }
    let mut slots = Slot::ALL.into_iter().filter_map(|slot| seen.slots.get(slot).as_ref());
    slots.any(|slot| seen.at.duration_since(slot.record.prepared_at) >= timing.warm)
}
