//! The table's rows towards the revision that git asks for: the other slot is emptied, prepared, proven, and made live.

use super::decide::{next, point, put_away};
use super::gate::{Stage, Verdict};
use super::order::Command;
use super::pointer::{Bake, From, Reason, Record, Rejected, Unready};
use super::situation::{Desired, Situation};
use super::slot::{Attempt, Revision, Slot};
use super::step::{Decision, Phase, Question, Recheck, Step, Waiting, Write};

/// Rows 18 to 28, with `other` as the slot that is to become live.
pub(super) fn towards_git(situation: &Situation<'_>, record: &Record, other: Slot) -> Decision {
    let Desired::Revision { revision, attempt } = situation.desired else {
        return Decision::wait(Phase::Steady, Waiting::Git);
    };
    let way = Way { situation, record, other, revision, attempt };
    ROWS.iter().find_map(|row| row(&way)).unwrap_or_else(|| way.switch())
}

/// The rows in their order, each with its number in the table.
const ROWS: [fn(&Way<'_>) -> Option<Decision>; 11] = [
    |way| way.rejected(), // 18
    |way| way.abort(),    // the order
    |way| way.halted(),   // 19
    |way| way.drain(),    // 20
    |way| way.empty(),    // 21
    |way| way.prepare(),  // 22
    |way| way.autoscaler(),
    |way| way.scale_up(), // 23
    |way| way.warm(),     // 24
    |way| way.gates(),    // 25, 26
    |way| way.hold(),     // 27
];

/// The way of one revision to the traffic.
struct Way<'a> {
    situation: &'a Situation<'a>,
    record: &'a Record,
    other: Slot,
    revision: Revision,
    attempt: Attempt,
}

impl Way<'_> {
    fn parity(&self) -> u32 {
        self.situation.parity(self.record.live).max(1)
    }

    /// True when the slot holds something else than what git asks for, or the remains of what once served.
    fn is_unfit(&self) -> bool {
        let Some(held) = self.situation.deployment(self.other) else { return true };
        let is_other = held.revision != self.revision || held.attempt != self.attempt;
        is_other || (held.replicas == 0 && (!held.evidence.is_empty() || held.served.is_some()))
    }

    fn put_away(&self, phase: Phase) -> Decision {
        Decision::carry(phase, put_away(self.situation, self.other))
    }

    /// Turns the revision down: the slot first, whose evidence was read, then the pointer.
    fn turn_down(&self, reason: Reason) -> Decision {
        let Self { situation, record, other, revision, attempt } = self;
        let cause = situation.cause(*other, &reason);
        let rejected =
            Some(Rejected { revision: *revision, attempt: *attempt, reason, cause, at: situation.now });
        let record = Record { rejected, order: None, ..next(record) };
        let mark = situation.deployment(*other).map(|_| Write::Mark { slot: *other, serves: false });
        Decision::carry(Phase::Reject, mark.into_iter().chain([point(record)]).collect())
    }

    /// Row 18. Kept for people to look at, then put away, whatever the slot holds.
    fn rejected(&self) -> Option<Decision> {
        let Self { situation, record, .. } = self;
        if !situation.is_held_as_rejected(record) {
            return None;
        }
        let kept = record
            .rejected
            .as_ref()
            .is_some_and(|rejected| !situation.is_over(rejected.at, situation.timing.keep_failed));
        if situation.replicas(self.other) == 0 {
            return Some(Decision::wait(Phase::Rejected, Waiting::Git));
        }
        if kept || !situation.is_drained(record) || !situation.is_standby_over(record) {
            return Some(Decision::wait(Phase::Rejected, Waiting::Time));
        }
        Some(self.put_away(Phase::Rejected))
    }

    /// The order to turn it down before it gets traffic.
    fn abort(&self) -> Option<Decision> {
        let order = self.record.order.as_ref().filter(|order| order.command == Command::Abort)?;
        Some(self.turn_down(Reason::Ordered(order.clone())))
    }

    /// Row 19.
    fn halted(&self) -> Option<Decision> {
        let halted = self.record.halted?;
        let holds = halted.revision.is_none_or(|revision| revision == self.revision);
        holds.then(|| Decision::wait(Phase::Halted, Waiting::People))
    }

    /// Row 20. What drains is on the slot that is about to be emptied; one that holds what git asks for already, or has no pods,
    /// keeps nobody waiting (a first installation).
    fn drain(&self) -> Option<Decision> {
        let pods = self.situation.slots.get(self.other).pods.total;
        let has_pods = pods > 0 || self.situation.replicas(self.other) > 0;
        let drains = self.is_unfit() && has_pods && !self.situation.is_drained(self.record);
        drains.then(|| Decision::wait(Phase::Drain, Waiting::Time))
    }

    /// Row 21. Until the pods are gone, gates would ask the old revision.
    fn empty(&self) -> Option<Decision> {
        let view = self.situation.slots.get(self.other);
        if !self.is_unfit() || view.deployment.is_none() {
            return None;
        }
        if self.situation.replicas(self.other) > 0 {
            return Some(self.put_away(Phase::Empty));
        }
        (view.pods.total > 0).then(|| Decision::wait(Phase::Empty, Waiting::Pods))
    }

    /// Row 22.
    fn prepare(&self) -> Option<Decision> {
        let Self { other, revision, attempt, .. } = self;
        self.is_unfit().then(|| {
            let prepare = Write::Prepare { slot: *other, revision: *revision, attempt: *attempt };
            Decision::carry(Phase::Prepare, vec![Write::Epoch, prepare])
        })
    }

    /// As many as serve now are the least: an autoscaler that sees no traffic yet would take them away again.
    fn autoscaler(&self) -> Option<Decision> {
        let asked = self.situation.size.autoscaler?;
        let view = self.situation.slots.get(self.other);
        let (known, max) = (view.autoscaler_min?, view.autoscaler_max.unwrap_or(asked.max));
        let serving = self.record.live.map_or(0, |live| self.situation.serving(live));
        let min = asked.min.max(serving).min(asked.max).min(max);
        let raise = Write::Autoscaler { slot: self.other, min };
        (known < min).then(|| Decision::carry(Phase::ScaleUp, vec![raise]))
    }

    /// Row 23.
    fn scale_up(&self) -> Option<Decision> {
        let (slot, replicas) = (self.other, self.parity());
        (self.situation.replicas(slot) < replicas)
            .then(|| Decision::carry(Phase::ScaleUp, vec![Write::Scale { slot, replicas }]))
    }

    /// Row 24. Past the deadline the revision is turned down.
    fn warm(&self) -> Option<Decision> {
        let Self { situation, other, .. } = self;
        if situation.ready(*other) >= self.parity() && situation.balancer_agrees {
            return None;
        }
        let held = situation.deployment(*other)?;
        if situation.is_over(held.prepared_at, situation.timing.warm) {
            return Some(self.turn_down(Reason::NeverReady));
        }
        Some(Decision::wait(Phase::Warm, Waiting::Pods))
    }

    /// Rows 25 and 26.
    fn gates(&self) -> Option<Decision> {
        let Self { situation, other, revision, attempt, .. } = self;
        let verdict = |gate| situation.verdict_before_switch(*other, gate);
        let gates = &situation.gates.before_switch;
        if let Some(gate) = gates.iter().find(|gate| verdict(gate) == Some(Verdict::Fail)) {
            return Some(self.turn_down(Reason::Gate(gate.name.clone())));
        }
        let gate = gates.iter().find(|gate| verdict(gate) != Some(Verdict::Pass))?;
        let question = Question {
            slot: *other,
            gate: gate.clone(),
            stage: Stage::BeforeSwitch,
            revision: *revision,
            attempt: *attempt,
            known: verdict(gate),
        };
        Some(Decision { phase: Phase::Gates, step: Step::Ask(question) })
    }

    /// Row 27.
    fn hold(&self) -> Option<Decision> {
        (!self.situation.is_allowed).then(|| Decision::wait(Phase::Hold, Waiting::People))
    }

    /// Row 28. Slot and followers first, then readiness once more, then the pointer.
    fn switch(&self) -> Decision {
        let Self { situation, record, other, revision, attempt: _ } = self;
        let from = record.live.and_then(|slot| Some(From { slot, revision: situation.revision(slot)? }));
        let bake = Bake::Open {
            until: situation.after(situation.timing.bake),
            max: situation.after(situation.timing.bake_max),
        };
        let is_this = |rejected: &Rejected| rejected.revision == *revision;
        let switched = Record {
            live: Some(*other),
            from,
            switched_at: situation.now,
            settled_at: None,
            bake,
            rejected: record.rejected.clone().filter(|rejected| !is_this(rejected)),
            halted: None,
            unready: Unready::default(),
            ..next(record)
        };
        let at_least = self.parity();
        let writes = vec![
            Write::Mark { slot: *other, serves: true },
            Write::MarkFollowers,
            Write::Recheck(Recheck { slot: *other, at_least }),
            point(switched),
        ];
        Decision::carry(Phase::Switch, writes)
    }
}
