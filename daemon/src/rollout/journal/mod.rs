//! What a workload's lane writes down for the deploy log: an intent before the first write of a rollout, the outcome once it is over,
//! and a record of each order of a person. What came of a write is read from the cluster at the next look, as decisions do.
//!
//! Which operation a write belongs to and when that is over is the core's (`ledger::rollout`). Every write of the lane comes by here
//! ([`Journal::before`], called by [`super::calls`]): none is sent without an intent. The log never holds a rollout up: what the
//! cluster does not take down in time is said, and tried again once the rollout is over.

mod look;
mod turn;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tidegate_core::ledger::{
    Aim, AppChange, Capped, Entry, Kind, ObjectOperation, Operation, Order as Told, Outcome, RecordId,
    Repair, Result as How, Running, gives_way, kind_of, rollout_end,
};
use tidegate_core::object::ObjectRef;
use tidegate_core::rollout::{Decision, Order, Phase};
use tokio::sync::Mutex;

pub use self::look::Look;
pub use self::look::pending;
use self::look::shift;
pub use self::turn::Turn;
use crate::cluster::call::CallError;
use crate::ledger::{Recorder, fresh_id};

/// Nothing waits longer for an intent: traffic that has to go back does not wait for the log.
const PATIENCE: Duration = Duration::from_secs(2);
/// What could not be taken down is tried again after so long.
const AGAIN: Duration = Duration::from_secs(10);
/// What is due is looked at again after so long, where it cannot be closed yet.
const SOON: Duration = Duration::from_secs(1);
/// So many outcomes that could not be taken down are kept.
const UNTOLD: usize = 100;
/// So many repairs are held of one record; of more only the number.
const REPAIRS: usize = 1_000;

/// What a workload's lane writes down.
#[derive(Default)]
pub struct Journal(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    turn: Option<Turn>,
    phase: Option<Phase>,
    look: Option<Look>,
    pending: Vec<ObjectOperation>,
    /// An intent of this pass stands in the cluster, or could not be written.
    is_covered: bool,
    /// Something was written since the last note.
    is_dirty: bool,
    open: Option<Open>,
    ordered: Option<Ordered>,
    /// What is over and could not be taken down yet.
    untold: Vec<(RecordId, Outcome)>,
    /// Intents that nothing came of; their entries go.
    forgotten: Vec<RecordId>,
    /// The commit with which the workload was last at rest.
    settled: Option<String>,
    is_found: bool,
}

/// An operation that is under way.
struct Open {
    id: RecordId,
    aim: Aim,
    outcome: Outcome,
    begun: Instant,
}

/// An order that is being carried out.
struct Ordered {
    id: RecordId,
    order: Order,
    outcome: Outcome,
    is_declined: bool,
}

impl Journal {
    /// A pass begins. Without a turn there is no log.
    pub async fn turn(&self, turn: Option<Turn>) {
        let mut inner = self.0.lock().await;
        if let Some(turn) = &turn
            && inner.settled.is_none()
            && turn.was_at_rest
        {
            inner.settled = Some(turn.asked.revision.id());
        }
        (inner.turn, inner.phase, inner.is_covered) = (turn, None, false);
        inner.pending.clear();
    }

    /// What the pass has seen and decided: closes what is over, and what another run left under way.
    pub async fn decided(&self, look: Look, decision: &Decision, pending: Vec<ObjectOperation>) {
        let mut inner = self.0.lock().await;
        let Some(turn) = inner.turn.clone() else { return };
        inner.phase = Some(decision.phase);
        // What upkeep wrote in this pass had its own intent.
        (inner.pending, inner.is_covered) = (pending, false);
        inner.found(&turn, &look).await;
        let before = inner.look.replace(look);
        inner.note_moves(&turn, before.as_ref());
        inner.note_ordered();
        inner.stands(&turn).await;
        inner.tell(&turn.clerk.recorder).await;
    }

    /// A write is about to be sent: an intent stands in the cluster before it.
    pub async fn before(&self, write: &ObjectOperation) {
        let mut inner = self.0.lock().await;
        let Some(turn) = inner.turn.clone().filter(|_| !inner.is_covered) else { return };
        inner.is_covered = true;
        if tokio::time::timeout(PATIENCE, inner.intend(&turn, write)).await.is_err() {
            let environment = turn.clerk.recorder.environment();
            tracing::error!(%environment, workload = %turn.app, "the deploy log cannot be written in time");
        }
    }

    /// What came of a write.
    pub async fn after(&self, write: ObjectOperation) {
        let mut inner = self.0.lock().await;
        inner.is_dirty = true;
        let is_order_alone = inner.phase.is_some_and(is_order_alone);
        let Inner { open, ordered, .. } = &mut *inner;
        let told = match (open, ordered) {
            (_, Some(ordered)) if is_order_alone => &mut ordered.outcome,
            (Some(open), _) => &mut open.outcome,
            (None, _) => return,
        };
        told.objects.add(write);
    }

    /// What somebody else had done was taken back.
    pub async fn repaired(&self, object: ObjectRef, change: &str, managers: &[String]) {
        let mut inner = self.0.lock().await;
        let Some(open) = &mut inner.open else { return };
        let repairs = &mut open.outcome.repairs;
        repairs.total = repairs.total.saturating_add(1);
        if repairs.items.len() < REPAIRS {
            repairs.items.push(Repair {
                object,
                changes: Capped::all(vec![change.to_owned()]),
                manager: (!managers.is_empty()).then(|| managers.join(", ")),
                seen: Timestamp::now(),
                times: 1,
            });
        }
    }

    /// Nothing of the workload is left.
    pub async fn gone(&self) {
        let mut inner = self.0.lock().await;
        let Some(turn) = inner.turn.clone() else { return };
        inner.found_gone(&turn).await;
        inner.look = None;
        inner.note_ordered();
        inner.close(&turn, How::Succeeded, "it has left git, and is gone".to_owned());
        inner.tell(&turn.clerk.recorder).await;
    }

    /// When something is to be written that no pass would come for.
    pub async fn due(&self) -> Option<Duration> {
        let inner = self.0.lock().await;
        let coalesce = inner.turn.as_ref()?.clerk.coalesce;
        if !inner.untold.is_empty() || !inner.forgotten.is_empty() {
            return Some(AGAIN);
        }
        let open = inner.open.as_ref().filter(|open| open.aim.kind == Kind::Drift)?;
        Some(coalesce.saturating_sub(open.begun.elapsed()).max(SOON))
    }
}

impl Inner {
    /// What another run left under way is closed, with what was found.
    async fn found(&mut self, turn: &Turn, look: &Look) {
        if std::mem::replace(&mut self.is_found, true) {
            return;
        }
        let recorder = &turn.clerk.recorder;
        for mut entry in recorder.left().await {
            if entry.outcome.kind != Kind::BreakGlass && entry.outcome.kind != Kind::Drift {
                // Who serves is known, whatever became of the rest.
                let to = look.serving();
                let result = to.is_some().then_some(How::Succeeded);
                entry.outcome.apps = vec![AppChange { app: turn.app.clone(), from: None, to, result }];
            }
            self.interrupt(recorder, entry, &look.found()).await;
        }
    }

    async fn found_gone(&mut self, turn: &Turn) {
        if std::mem::replace(&mut self.is_found, true) {
            return;
        }
        let recorder = &turn.clerk.recorder;
        for entry in recorder.left().await {
            self.interrupt(recorder, entry, "nothing of it is left").await;
        }
    }

    async fn interrupt(&mut self, recorder: &Recorder, entry: Entry, found: &str) {
        // One that could not be closed stands in the cluster; the next run closes it.
        let closed = tokio::time::timeout(PATIENCE, recorder.interrupt(entry, found)).await;
        if let Err(error) = closed.unwrap_or_else(|_| Err(late())) {
            self.trouble(&error);
        }
    }

    /// Closes what is over.
    async fn stands(&mut self, turn: &Turn) {
        let Some(look) = &self.look else { return };
        let (stand, reason) = (look.stand, look.reason.clone());
        let is_at_rest =
            stand.waits.is_some_and(|waits| stand.phase == Phase::Steady || stand.phase.is_over(waits));
        let Some(open) = &self.open else {
            if is_at_rest {
                self.settled = Some(turn.asked.revision.id());
            }
            return;
        };
        // Where all was as it should be there is nothing to be told, and nothing that was cut short.
        let is_due = open.aim.kind != Kind::Drift
            || is_empty(&open.outcome)
            || open.begun.elapsed() >= turn.clerk.coalesce;
        match rollout_end(open.aim, stand) {
            Some(how) if is_due => {
                // Whatever came of it: what is written from now on is not what the commit asked for.
                if open.aim.kind == Kind::Deploy && how != How::Superseded {
                    self.settled = Some(turn.asked.revision.id());
                }
                self.close(turn, how, reason);
            }
            // Nothing of it is left to do: a daemon that ends now leaves nothing that was cut short.
            Some(_) if std::mem::take(&mut self.is_dirty) => {
                let noted = turn.clerk.recorder.note(open.id, open.outcome.clone(), Capped::default());
                let noted = tokio::time::timeout(PATIENCE, noted).await;
                if let Err(error) = noted.unwrap_or_else(|_| Err(late())) {
                    self.trouble(&error);
                }
            }
            Some(_) | None => {}
        }
        if is_at_rest {
            self.settled = Some(turn.asked.revision.id());
        }
    }

    /// Writes down what is about to be done. Whoever gives up waiting for it still tells of it in the end: what is begun is set down
    /// here before anything is waited for.
    async fn intend(&mut self, turn: &Turn, write: &ObjectOperation) {
        let phase = self.phase.unwrap_or(Phase::Steady);
        let pending = std::mem::take(&mut self.pending);
        let pending = Capped::all(if pending.is_empty() { vec![write.clone()] } else { pending });
        let recorder = &turn.clerk.recorder;
        self.order(turn, &pending).await;
        if is_order_alone(phase) && self.ordered.is_some() {
            return;
        }
        let giving_way = self.open.as_ref().zip(self.look.as_ref().filter(|_| self.phase.is_some()));
        if let Some(how) = giving_way.and_then(|(open, look)| gives_way(open.aim, look.stand)) {
            let reason = match how {
                How::Succeeded => self.look.as_ref().map_or(String::new(), |look| look.reason.clone()),
                How::RolledBack => "git went back, and the traffic with it".to_owned(),
                How::Failed | How::Superseded | How::Unknown => "something newer took its place".to_owned(),
            };
            self.close(turn, how, reason);
            self.tell(recorder).await;
        }
        if self.open.is_none() {
            self.open = Some(self.begin(turn, phase));
            self.is_dirty = false;
        }
        let Some(open) = &mut self.open else { return };
        if open.outcome.source.is_none() {
            turn.clerk.fill(&mut open.outcome, &turn.asked).await;
        }
        if let Err(error) = recorder.note(open.id, open.outcome.clone(), pending).await {
            self.trouble(&error);
        }
    }

    fn begin(&self, turn: &Turn, phase: Phase) -> Open {
        let is_news = self.settled.as_ref() != Some(&turn.asked.revision.id());
        let kind = match kind_of(phase, is_news) {
            _ if turn.is_gone => Kind::Prune,
            Kind::Deploy if turn.asked.is_rollback => Kind::Rollback,
            kind => kind,
        };
        let aim = Aim { kind, revision: turn.revision, has_moved: false };
        let reason = format!("{}: {}", turn.app, phase.as_str());
        let mut outcome = Outcome::begun(kind, turn.clerk.recorder.actor(), Timestamp::now(), &reason);
        outcome.policy.clone_from(&turn.policy);
        if kind == Kind::Deploy || turn.is_gone {
            let to = turn.wanted.clone();
            outcome.apps = vec![AppChange { app: turn.app.clone(), from: None, to, result: None }];
        }
        Open { id: fresh_id(Timestamp::now()), aim, outcome, begun: Instant::now() }
    }

    /// Traffic that has moved since the last look, by whichever write; and at the first look, what is being baked: a daemon before this
    /// one has moved it.
    fn note_moves(&mut self, turn: &Turn, before: Option<&Look>) {
        let (Some(open), Some(look)) = (&mut self.open, &self.look) else { return };
        let is_at_aim = look.stand.serves.is_some() && look.stand.serves == open.aim.revision;
        let moved = match (before, look.live, look.switched_at) {
            (Some(before), Some(to), Some(at)) if before.live != Some(to) => {
                Some(shift(&turn.app, before.live, to, at))
            }
            _ => look.moved.clone().filter(|_| is_at_aim && !open.aim.has_moved),
        };
        let Some(moved) = moved else { return };
        if is_at_aim || open.aim.kind != Kind::Deploy {
            open.aim.has_moved = true;
            open.outcome.times.switched.get_or_insert(moved.t);
        }
        open.outcome.traffic.total = open.outcome.traffic.total.saturating_add(1);
        open.outcome.traffic.items.push(moved);
    }

    /// An order that stands on the pointer no more was carried out, or struck off.
    fn note_ordered(&mut self) {
        let order = self.look.as_ref().and_then(|look| look.order.as_ref());
        if self.ordered.as_ref().is_none_or(|ordered| order == Some(&ordered.order)) {
            return;
        }
        let Some(Ordered { id, order, outcome, is_declined }) = self.ordered.take() else { return };
        let (how, what) = if is_declined {
            (How::Failed, "it said nothing any more and was struck off")
        } else {
            (How::Succeeded, "carried out")
        };
        let reason = format!("{} by {}: {what}", order.command.as_str(), order.person);
        self.over(id, outcome.ended(how, reason, Timestamp::now()));
    }

    /// An order that the step carries out, or strikes off.
    async fn order(&mut self, turn: &Turn, pending: &Capped<ObjectOperation>) {
        let Some(order) = self.look.as_ref().and_then(|look| look.order.clone()) else { return };
        if self.phase.is_none() || self.ordered.as_ref().is_some_and(|known| known.order == order) {
            return;
        }
        let reason = format!("{} of {} by {}", order.command.as_str(), turn.app, order.person);
        let actor = turn.clerk.recorder.actor();
        let mut outcome = Outcome::begun(Kind::BreakGlass, actor, Timestamp::now(), &reason);
        outcome.order = Some(Told {
            command: order.command.as_str().to_owned(),
            by: order.person.to_string(),
            reason: order.reason.to_string(),
            at: order.at,
        });
        let ordered = self.ordered.insert(Ordered {
            id: fresh_id(Timestamp::now()),
            order,
            outcome,
            is_declined: self.phase == Some(Phase::Decline),
        });
        turn.clerk.fill(&mut ordered.outcome, &turn.asked).await;
        let noted = turn.clerk.recorder.note(ordered.id, ordered.outcome.clone(), pending.clone()).await;
        if let Err(error) = noted {
            self.trouble(&error);
        }
    }

    fn close(&mut self, turn: &Turn, how: How, reason: String) {
        let Some(Open { id, aim, outcome, .. }) = self.open.take() else { return };
        let mut outcome = outcome.ended(how, reason, Timestamp::now());
        if let Some(look) = &self.look {
            if let Some(revision) = aim.revision.filter(|_| aim.kind == Kind::Deploy) {
                let (running, gates) = look.of_revision(&turn.app, revision);
                outcome.gates = Capped::all(gates);
                note_running(&mut outcome, running);
                let serves = look.stand.serves == aim.revision && how == How::Failed;
                if serves && let Some(change) = outcome.apps.first_mut() {
                    // Turned down, and nothing well to go back to: it is what runs.
                    change.result = Some(How::Succeeded);
                }
            }
            if aim.kind == Kind::Rollback {
                let to = look.serving();
                outcome.apps = vec![AppChange { app: turn.app.clone(), from: None, to, result: None }];
            }
            if how == How::Failed || (how == How::RolledBack && look.failure.is_some()) {
                let (code, evidence) = look.turned_down();
                outcome.code = code;
                outcome.evidence = Capped::all(evidence);
                if let Some(failure) = &look.failure {
                    outcome.reason = failure.headline();
                }
            }
        }
        if aim.kind == Kind::Drift && is_empty(&outcome) {
            if self.forgotten.len() < UNTOLD {
                self.forgotten.push(id);
            }
            return;
        }
        match aim.kind {
            Kind::Drift => note_upkeep(&mut outcome, turn),
            Kind::Prune if !turn.is_gone => {
                outcome.reason = format!("{}: the colour that does not serve was put away", turn.app);
            }
            _ => {}
        }
        self.over(id, outcome);
    }

    /// It is over, and waits to be taken down.
    fn over(&mut self, id: RecordId, outcome: Outcome) {
        if self.untold.len() < UNTOLD {
            self.untold.push((id, outcome));
        } else {
            tracing::error!(%id, reason = %outcome.reason, "the deploy log cannot be written: this record is lost");
        }
    }

    /// Takes down what is over. Whoever gives up waiting for it loses nothing.
    async fn tell(&mut self, recorder: &Recorder) {
        while let Some((id, outcome)) = self.untold.first().cloned() {
            match tokio::time::timeout(PATIENCE, recorder.end(id, outcome)).await {
                Ok(Ok(())) => drop(self.untold.remove(0)),
                Ok(Err(error)) => return self.trouble(&error),
                Err(_) => return self.trouble(&late()),
            }
        }
        while let Some(id) = self.forgotten.last().copied() {
            match tokio::time::timeout(PATIENCE, recorder.forget(id)).await {
                Ok(Ok(())) => drop(self.forgotten.pop()),
                Ok(Err(error)) => return self.trouble(&error),
                Err(_) => return self.trouble(&late()),
            }
        }
    }

    fn trouble(&self, error: &CallError) {
        let workload = self.turn.as_ref().map(|turn| turn.app.to_string()).unwrap_or_default();
        tracing::error!(%workload, %error, "the deploy log cannot be written");
    }
}

/// True where nothing came of what was intended.
fn is_empty(outcome: &Outcome) -> bool {
    outcome.objects.is_empty() && outcome.repairs.is_empty()
}

/// What was done beside rollouts: repairs, or what nothing needs any more was deleted.
fn note_upkeep(outcome: &mut Outcome, turn: &Turn) {
    let is_deletion = outcome.objects.items.iter().all(|done| done.op == Operation::Delete);
    outcome.reason = match outcome.repairs.total {
        0 if is_deletion => {
            outcome.kind = Kind::Prune;
            format!("{}: what no colour needs any more was deleted", turn.app)
        }
        0 => format!("{}: objects are as git asks for again", turn.app),
        repairs => format!("{repairs} repairs of {}", turn.app),
    };
}

fn late() -> CallError {
    CallError::Server("no answer in time".to_owned())
}

/// What was seen to run, in the place of what was asked for: pods have reported the digests of their images.
fn note_running(outcome: &mut Outcome, running: Option<Running>) {
    let asked = outcome.apps.first_mut().and_then(|change| change.to.as_mut());
    let (Some(asked), Some(running)) = (asked, running) else { return };
    for (name, image) in &mut asked.images {
        let seen = running.images.get(name).filter(|seen| seen.name == image.name);
        image.digest = image.digest.take().or_else(|| seen.and_then(|seen| seen.digest.clone()));
    }
}

/// What is written in these phases carries an order out, and nothing else.
const fn is_order_alone(phase: Phase) -> bool {
    matches!(phase, Phase::Decline | Phase::Halted | Phase::Rejected)
}
