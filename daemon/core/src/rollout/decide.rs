//! The table's rows that hold whatever git asks for: a lost or torn pointer, rolling back, settling, baking. The first row
//! that holds decides. (The rows towards git's revision are in `forward`.)

use super::forward;
use super::gate::{Gate, Stage};
use super::pointer::{Bake, From, Halted, Pointer, Reason, Record, Rejected, Selection, Unready};
use super::situation::{Desired, Situation};
use super::slot::{Attempt, Revision, Slot};
use super::step::{Decision, Phase, Question, Recheck, Step, Waiting, Write};

/// The one next step.
pub fn decide(situation: &Situation<'_>) -> Decision {
    let Pointer::Recorded { record, selection } = situation.pointer else { return unrecorded(situation) };
    let Some(live) = record.live else { return install(situation, record, *selection) };
    let case = Case { situation, record, live, other: live.other() };
    ROWS.iter()
        .find_map(|row| row(&case, *selection))
        .unwrap_or_else(|| forward::towards_git(situation, record, live.other()))
}

/// The rows in their order, each with its number in the table.
const ROWS: [fn(&Case<'_>, Selection) -> Option<Decision>; 13] = [
    |case, selection| case.torn(selection), // 4
    |case, _| case.note_unready(),          // the times that 5 and 9 count from
    |case, _| case.roll_back(),             // 5
    |case, _| case.fast_roll_back(),        // 6
    |case, _| case.follow(),                // 7
    |case, _| case.repair(),                // 8
    |case, _| case.stranded(),              // 9
    |case, _| case.settle(),                // 10
    |case, _| case.bake(),                  // 11, 12
    |case, _| case.inconclusive(),          // 13
    |case, _| case.close(),                 // 14
    |case, _| case.retire(),                // 15, 16
    |case, _| case.steady(),                // 17
];

/// A workload of which something is live.
struct Case<'a> {
    situation: &'a Situation<'a>,
    record: &'a Record,
    live: Slot,
    other: Slot,
}

/// Rows 1 to 3: there is no record.
fn unrecorded(situation: &Situation<'_>) -> Decision {
    // The best slot that has served: ready before any size before none, then the newest.
    let best = Slot::ALL.into_iter().filter_map(|slot| {
        let served = situation.deployment(slot)?.served?;
        Some(((situation.ready(slot) > 0, situation.replicas(slot) > 0, served), slot))
    });
    if let Some((_, slot)) = best.max_by_key(|(rank, _)| *rank) {
        let record = Record {
            live: Some(slot),
            halted: Some(Halted { revision: situation.desired.revision() }),
            ..blank(situation)
        };
        let mark = Write::Mark { slot, serves: true };
        return Decision::carry(Phase::Restore, vec![mark, point(record, Selection::Only(slot))]);
    }
    if situation.has_legacy {
        return Decision { phase: Phase::Adopt, step: Step::Adopt };
    }
    let record = Record { settled_at: Some(situation.now), ..blank(situation) };
    Decision::carry(Phase::Install, vec![point(record, Selection::Nothing)])
}

/// Row 2, once the pointer is there: nothing is live, and the blue slot is the first one.
fn install(situation: &Situation<'_>, record: &Record, selection: Selection) -> Decision {
    if !record.agrees(selection) {
        let record = Record { settled_at: Some(situation.now), ..next(record) };
        return Decision::carry(Phase::Torn, vec![point(record, Selection::Nothing)]);
    }
    if situation.desired == Desired::Unknown {
        return Decision::wait(Phase::Install, Waiting::Git);
    }
    forward::towards_git(situation, record, Slot::Blue)
}

/// A record that nothing is known of yet: the drain begins anew.
fn blank(situation: &Situation<'_>) -> Record {
    Record {
        live: None,
        from: None,
        switched_at: situation.now,
        settled_at: None,
        bake: Bake::Closed { standby_until: None },
        rejected: None,
        halted: None,
        unready: Unready::default(),
        epoch: 0,
    }
}

/// The record with its epoch one on, which every write of it has.
pub(super) fn next(record: &Record) -> Record {
    Record { epoch: record.epoch.saturating_add(1), ..record.clone() }
}

pub(super) fn point(record: Record, selection: Selection) -> Write {
    Write::Point { record: Box::new(record), selection }
}

impl Case<'_> {
    /// The slot that traffic came from, while the bake is open.
    fn from(&self) -> Option<From> {
        self.record.from.filter(|_| self.record.is_baking())
    }

    fn live_revision(&self) -> Option<Revision> {
        self.situation.revision(self.live)
    }

    /// What turns the live slot's revision down.
    fn rejected(&self, reason: Reason) -> Option<Rejected> {
        let Self { situation, live, .. } = self;
        let held = situation.deployment(*live);
        let (revision, attempt): (Revision, Attempt) =
            held.map(|deployment| (deployment.revision, deployment.attempt))?;
        Some(Rejected { revision, attempt, reason, at: situation.now })
    }

    /// The record after a move of traffic to the other slot that is not to be taken back.
    fn moved_back(&self, rejected: Option<Rejected>) -> Record {
        Record {
            live: Some(self.other),
            from: None,
            switched_at: self.situation.now,
            settled_at: None,
            bake: Bake::Closed { standby_until: None },
            rejected: rejected.or_else(|| self.record.rejected.clone()),
            unready: Unready::default(),
            ..next(self.record)
        }
    }

    /// Slot and followers first, then readiness once more, then the pointer.
    fn move_back(&self, record: Record) -> Vec<Write> {
        let none_serves = self.situation.serving(self.live) == 0;
        let at_least = if none_serves { 1 } else { self.situation.floor(Some(self.live)).max(1) };
        vec![
            Write::Mark { slot: self.other, serves: true },
            Write::MarkFollowers,
            Write::Recheck(Recheck { slot: self.other, at_least }),
            point(record, Selection::Only(self.other)),
        ]
    }

    /// Closes the bake: the slot whose evidence was read first, then the pointer.
    fn close_bake(&self, phase: Phase, record: Record) -> Decision {
        let mark = Write::Mark { slot: self.live, serves: false };
        let record = Record { from: None, unready: Unready::default(), ..record };
        Decision::carry(phase, vec![mark, point(record, Selection::Only(self.live))])
    }

    /// Row 4. Traffic is not where the record says: somebody else has moved it.
    fn torn(&self, selection: Selection) -> Option<Decision> {
        let Self { situation, record, live, other } = self;
        if record.agrees(selection) {
            return None;
        }
        let halted = Some(Halted { revision: situation.desired.revision() });
        let other_revision = situation.revision(*other);
        let is_rejected = record.rejected.as_ref().map(|rejected| rejected.revision) == other_revision;
        let is_proven = situation.has_complete_evidence(*other) || record.from_slot() == Some(*other);
        if situation.serving(*live) == 0 && situation.ready(*other) > 0 && !is_rejected && is_proven {
            let record = Record { halted, ..self.moved_back(self.rejected(Reason::Torn)) };
            return Some(Decision::carry(Phase::Torn, self.move_back(record)));
        }
        let restored = Record { halted, settled_at: None, ..next(record) };
        Some(Decision::carry(Phase::Torn, vec![point(restored, Selection::Only(*live))]))
    }

    /// Since when a slot is below its floor stands in the record, so that a new daemon counts on.
    fn note_unready(&self) -> Option<Decision> {
        let Self { situation, record, live, .. } = self;
        if !record.is_baking() {
            return None;
        }
        let floor = situation.floor(Some(*live));
        let since = |known: Option<_>, is_low: bool| is_low.then(|| known.unwrap_or(situation.now));
        let unready = Unready {
            live: since(record.unready.live, situation.serving(*live) < floor),
            from: match record.from {
                Some(from) => since(record.unready.from, situation.ready(from.slot) < floor),
                None => None,
            },
        };
        let record = Record { unready, ..next(record) };
        (unready != self.record.unready)
            .then(|| Decision::carry(Phase::Bake, vec![point(record, Selection::Only(*live))]))
    }

    /// Row 5. The live slot failed in its bake, and the one that traffic came from is well.
    fn roll_back(&self) -> Option<Decision> {
        let from = self.from()?;
        let reason = self.situation.trouble(self.live, self.record)?;
        if !self.situation.can_take_back(from, self.live) {
            return None;
        }
        let record = self.moved_back(self.rejected(reason));
        Some(Decision::carry(Phase::RollBack, self.move_back(record)))
    }

    /// Row 6. Git asks for the revision that traffic came from.
    fn fast_roll_back(&self) -> Option<Decision> {
        let from = self.from()?;
        let asked = self.situation.desired.revision().is_some()
            && self.situation.desired.revision() == self.situation.revision(from.slot);
        let is_well = self.situation.ready(from.slot) >= self.situation.floor(Some(self.live)).max(1);
        (asked && is_well)
            .then(|| Decision::carry(Phase::FastRollBack, self.move_back(self.moved_back(None))))
    }

    /// Row 7. One step each; a follower never leads.
    fn follow(&self) -> Option<Decision> {
        (!self.situation.followers_agree)
            .then(|| Decision::carry(Phase::Follow, vec![Write::Epoch, Write::Follow]))
    }

    /// Row 8. The live slot, or the one that an open bake may go back to, is missing or at 0.
    fn repair(&self) -> Option<Decision> {
        let needed = [Some(self.live), self.from().map(|from| from.slot)];
        let broken = needed
            .into_iter()
            .flatten()
            .find(|slot| self.situation.replicas(*slot) == 0 && !*self.situation.repair_refused.get(*slot))?;
        let write = match self.situation.deployment(broken) {
            Some(deployment) => Write::Scale { slot: broken, replicas: deployment.recorded.max(1) },
            None => Write::Recreate(broken),
        };
        Some(Decision::carry(Phase::Repair, vec![write]))
    }

    /// Row 9. As 5, and there is nothing well to go back to. A forward fix may start.
    fn stranded(&self) -> Option<Decision> {
        let Self { situation, record, live, .. } = self;
        let reason = situation.trouble(*live, record)?;
        let is_new = |revision: Revision| {
            Some(revision) != self.live_revision()
                && self.from().is_none_or(|from| from.revision != revision)
                && !situation.is_held_as_rejected(record)
        };
        let is_gone = match (self.from(), record.unready.from) {
            (None, _) => true,
            (Some(_), Some(since)) => situation.is_over(since, situation.timing.grace),
            (Some(_), None) => false,
        };
        if !(situation.desired.revision().is_some_and(is_new) && is_gone) {
            return Some(Decision::wait(Phase::Stranded, Waiting::People));
        }
        let closed = Record {
            bake: Bake::Closed { standby_until: None },
            rejected: self.rejected(reason).or_else(|| record.rejected.clone()),
            ..next(record)
        };
        Some(self.close_bake(Phase::Stranded, closed))
    }

    /// Row 10. The drain counts from when traffic has followed.
    fn settle(&self) -> Option<Decision> {
        if self.record.settled_at.is_some() {
            return None;
        }
        if !self.situation.is_settled {
            return Some(Decision::wait(Phase::Settle, Waiting::Traffic));
        }
        let settled = Record { settled_at: Some(self.situation.now), ..next(self.record) };
        Some(Decision::carry(Phase::Settle, vec![point(settled, Selection::Only(self.live))]))
    }

    /// Rows 11 and 12. Gates watch until the bake's end; quiet services are not rolled back.
    fn bake(&self) -> Option<Decision> {
        let Bake::Open { until, max } = self.record.bake else { return None };
        let now = self.situation.now;
        let missing = self.situation.missing_in_bake(self.live, self.record);
        let goes_on = now < until || (missing.is_some() && now < max);
        goes_on.then(|| self.ask(Phase::Bake, missing))
    }

    /// Row 13. Its gates keep running; it never rolls back.
    fn inconclusive(&self) -> Option<Decision> {
        let Self { situation, record, .. } = self;
        if !record.is_baking() {
            return None;
        }
        let missing = situation.missing_in_bake(self.live, record)?;
        let wanted = situation.desired.revision();
        let is_new = wanted.is_some() && wanted != self.live_revision();
        if is_new && !situation.is_held_as_rejected(record) {
            let closed = Record { bake: Bake::Closed { standby_until: None }, ..next(record) };
            return Some(self.close_bake(Phase::Inconclusive, closed));
        }
        Some(self.ask(Phase::Inconclusive, Some(missing)))
    }

    /// Row 14. All gates have passed in this bake.
    fn close(&self) -> Option<Decision> {
        if !self.record.is_baking() {
            return None;
        }
        let standby_until = Some(self.situation.after(self.situation.timing.standby));
        let closed = Record { bake: Bake::Closed { standby_until }, ..next(self.record) };
        Some(self.close_bake(Phase::Close, closed))
    }

    /// Rows 15 and 16. The other slot is put away once nothing needs it.
    fn retire(&self) -> Option<Decision> {
        let Self { situation, record, other, .. } = self;
        if situation.desired == Desired::Unknown {
            return Some(Decision::wait(Phase::Steady, Waiting::Git));
        }
        let is_live = situation.desired.revision() == self.live_revision();
        if !is_live || situation.replicas(*other) == 0 {
            return None;
        }
        let is_free = situation.is_drained(record) && situation.is_standby_over(record);
        is_free.then(|| {
            let away = Write::Scale { slot: *other, replicas: 0 };
            Decision::carry(Phase::Retire, vec![Write::Epoch, away])
        })
    }

    /// Row 17.
    fn steady(&self) -> Option<Decision> {
        let is_live = self.situation.desired.revision() == self.live_revision();
        let waiting = if self.situation.replicas(self.other) == 0 { Waiting::Git } else { Waiting::Time };
        is_live.then(|| Decision::wait(Phase::Steady, waiting))
    }

    /// Asks the gate that has not passed, else any again: a gate that has passed may fail later in the bake.
    fn ask(&self, phase: Phase, missing: Option<&Gate>) -> Decision {
        let Self { situation, record, live, .. } = self;
        let gate = missing.or_else(|| situation.gates.while_baking.first());
        let (Some(gate), Some(about)) = (gate, situation.in_bake(*live, record)) else {
            return Decision::wait(phase, Waiting::Time);
        };
        let switched_at = record.switched_at;
        let question = Question {
            slot: *live,
            gate: gate.clone(),
            stage: Stage::Baking(switched_at),
            revision: about.revision,
            attempt: about.attempt,
            known: about.verdict(gate, situation.evidence(*live)),
        };
        Decision { phase, step: Step::Ask(question) }
    }
}
