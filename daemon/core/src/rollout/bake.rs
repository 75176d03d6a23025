//! The rows of an open bake: gates watch the live slot; it goes back, is closed, or waits. Not here: how a gate is asked.

use super::decide::{Case, next, point};
use super::gate::Stage;
use super::order::Command;
use super::pointer::{Bake, Record, Unready};
use super::step::{Decision, Phase, Question, Step, Waiting, Write};

impl Case<'_> {
    /// Closes the bake: the slot whose evidence was read first, then the pointer.
    pub(super) fn close_bake(&self, phase: Phase, record: Record) -> Decision {
        let mark = Write::Mark { slot: self.live, serves: false };
        let record = Record { from: None, unready: Unready::default(), order: None, ..record };
        Decision::carry(phase, vec![mark, point(record)])
    }

    /// Since when a slot is below its floor stands in the record, so that a new daemon counts on.
    pub(super) fn note_unready(&self) -> Option<Decision> {
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
        (unready != self.record.unready).then(|| Decision::carry(Phase::Bake, vec![point(record)]))
    }

    /// Row 5. The live slot failed in its bake, and the one that traffic came from is well.
    pub(super) fn roll_back(&self) -> Option<Decision> {
        let from = self.from()?;
        let reason = self.situation.trouble(self.live, self.record)?;
        if !self.situation.can_take_back(from, self.live) {
            return None;
        }
        let record = self.moved_back(self.rejected(reason));
        Some(Decision::carry(Phase::RollBack, self.move_back(record)))
    }

    /// Row 6. Git asks for the revision that traffic came from.
    pub(super) fn fast_roll_back(&self) -> Option<Decision> {
        let from = self.from()?;
        let asked = self.situation.desired.revision().is_some()
            && self.situation.desired.revision() == self.situation.revision(from.slot);
        let is_well = self.situation.ready(from.slot) >= self.situation.floor(Some(self.live)).max(1);
        (asked && is_well)
            .then(|| Decision::carry(Phase::FastRollBack, self.move_back(self.moved_back(None))))
    }

    /// Row 9. As 5, and there is nothing well to go back to. A forward fix may start.
    pub(super) fn stranded(&self) -> Option<Decision> {
        let Self { situation, record, live, .. } = self;
        let reason = situation.trouble(*live, record)?;
        let is_other = self.from().is_none_or(|from| situation.desired.revision() != Some(from.revision));
        let is_gone = match (self.from(), record.unready.from) {
            (None, _) => true,
            (Some(_), Some(since)) => situation.is_over(since, situation.timing.grace),
            (Some(_), None) => false,
        };
        if !(self.is_to_move_on() && is_other && is_gone) {
            return Some(Decision::wait(Phase::Stranded, Waiting::People));
        }
        let closed = Record {
            bake: Bake::Closed { standby_until: None },
            rejected: self.rejected(reason).or_else(|| record.rejected.clone()),
            ..next(record)
        };
        Some(self.close_bake(Phase::Stranded, closed))
    }

    /// S4. The colour that traffic came from stays as large as the one that serves: its own autoscaler sees no load any more,
    /// and would take away what a rollback needs.
    pub(super) fn keep_size(&self) -> Option<Decision> {
        let from = self.from()?;
        let asked = self.situation.size.autoscaler?;
        let view = self.situation.slots.get(from.slot);
        let (known, max) = (view.autoscaler_min?, view.autoscaler_max.unwrap_or(asked.max));
        let min = asked.min.max(self.situation.serving(self.live)).min(max);
        let is_due = known < min && !*self.situation.repair_refused.get(from.slot);
        let raise = Write::Autoscaler { slot: from.slot, min };
        is_due.then(|| Decision::carry(Phase::Bake, vec![raise]))
    }

    /// The order to close the bake now.
    pub(super) fn promote(&self) -> Option<Decision> {
        self.record.order.as_ref().filter(|order| order.command == Command::Promote)?;
        self.record.is_baking().then(|| self.closed())
    }

    /// Rows 11 and 12. Gates watch until the bake's end; quiet services are not rolled back.
    pub(super) fn bake(&self) -> Option<Decision> {
        let Bake::Open { until, max } = self.record.bake else { return None };
        let now = self.situation.now;
        let missing = self.situation.missing_in_bake(self.live, self.record);
        let goes_on = now < until || (missing.is_some() && now < max);
        goes_on.then(|| self.ask(Phase::Bake))
    }

    /// Row 13. Its gates keep running; it never rolls back.
    pub(super) fn inconclusive(&self) -> Option<Decision> {
        let Self { situation, record, .. } = self;
        if !record.is_baking() {
            return None;
        }
        situation.missing_in_bake(self.live, record)?;
        if self.is_to_move_on() {
            let closed = Record { bake: Bake::Closed { standby_until: None }, ..next(record) };
            return Some(self.close_bake(Phase::Inconclusive, closed));
        }
        Some(self.ask(Phase::Inconclusive))
    }

    /// Row 14. All gates have passed in this bake.
    pub(super) fn close(&self) -> Option<Decision> {
        if !self.record.is_baking() {
            return None;
        }
        Some(self.closed())
    }

    fn closed(&self) -> Decision {
        let standby_until = Some(self.situation.after(self.situation.timing.standby));
        let closed = Record { bake: Bake::Closed { standby_until }, ..next(self.record) };
        self.close_bake(Phase::Close, closed)
    }

    /// Asks the gate whose turn it is.
    fn ask(&self, phase: Phase) -> Decision {
        let Self { situation, record, live, .. } = self;
        let (gates, evidence) = (&situation.gates.while_baking, situation.evidence(*live));
        let about = situation.in_bake(*live, record);
        let asked = about
            .and_then(|about| Some((about, about.in_turn(gates, evidence, situation.asked, situation.now)?)));
        let Some((about, gate)) = asked else { return Decision::wait(phase, Waiting::Time) };
        let switched_at = record.switched_at;
        let question = Question {
            slot: *live,
            gate: gate.clone(),
            stage: Stage::Baking(switched_at),
            revision: about.revision,
            attempt: about.attempt,
            known: about.verdict(gate, evidence),
        };
        Decision { phase, step: Step::Ask(question) }
    }
}
