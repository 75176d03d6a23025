//! One decision: which table a workload is under, and the rows of the table of a live one, in their order. The first row that
//! holds decides. The rows themselves are in `traffic`, `bake`, `upkeep` and, towards git's revision, `forward`.

use super::order::follow_order;
use super::pointer::{Bake, From, Pointer, Reason, Record, Rejected, Selection, Unready};
use super::situation::{Desired, Situation};
use super::slot::{Attempt, Revision, Slot};
use super::step::{Decision, Recheck, Write};
use super::{forward, leave, unrecorded};

/// The one next step.
pub fn decide(situation: &Situation<'_>) -> Decision {
    let situation = &with_ordered_tries(situation);
    match (situation.desired, situation.pointer) {
        (Desired::Gone { may_delete: true }, pointer) => leave::remove(situation, pointer),
        (_, Pointer::Unrecorded) => unrecorded::decide(situation),
        (_, Pointer::Recorded { record, selection }) => match record.live {
            Some(live) => of_live(&Case { situation, record, live, other: live.other() }, *selection),
            None => unrecorded::install(situation, record, *selection),
        },
    }
}

fn of_live(case: &Case<'_>, selection: Selection) -> Decision {
    ROWS.iter()
        .find_map(|row| row(case, selection))
        .unwrap_or_else(|| forward::towards_git(case.situation, case.record, case.other))
}

/// The rows in their order, each with its number in the table.
const ROWS: [fn(&Case<'_>, Selection) -> Option<Decision>; 18] = [
    |case, selection| case.torn(selection), // 4
    |case, _| follow_order(case.situation, case.record),
    |case, _| case.note_unready(),   // the times that 5 and 9 count from
    |case, _| case.roll_back(),      // 5, and the orders to abort and to roll back in a bake
    |case, _| case.fast_roll_back(), // 6
    |case, _| case.follow(),         // 7
    |case, _| case.repair(),         // 8
    |case, _| case.keep_size(),      // S4, before 9: it may be all that a way back lacks
    |case, _| case.stranded(),       // 9
    |case, _| case.settle(),         // 10
    |case, _| case.promote(),        // the order
    |case, _| case.bake(),           // 11, 12
    |case, _| case.inconclusive(),   // 13
    |case, _| case.close(),          // 14
    |case, _| case.to_standby(),     // the order to roll back after the bake
    |case, _| case.leave(),          // without colours, and back
    |case, _| case.retire(),         // 15, 16
    |case, _| case.steady(),         // 17
];

/// A workload of which something is live.
pub(super) struct Case<'a> {
    pub(super) situation: &'a Situation<'a>,
    pub(super) record: &'a Record,
    pub(super) live: Slot,
    pub(super) other: Slot,
}

/// Git's try is followed by those that people have ordered.
pub(super) fn with_ordered_tries<'a>(situation: &Situation<'a>) -> Situation<'a> {
    let retried = match situation.pointer {
        Pointer::Recorded { record, .. } => record.retried,
        Pointer::Unrecorded => None,
    };
    let desired = match (situation.desired, retried) {
        (Desired::Revision { revision, attempt }, Some(retried)) if retried.revision == revision => {
            Desired::Revision { revision, attempt: Attempt { ordered: retried.times, ..attempt } }
        }
        (desired, _) => desired,
    };
    Situation { desired, ..situation.clone() }
}

/// A record that nothing is known of yet: the drain begins anew.
pub(super) fn blank(situation: &Situation<'_>) -> Record {
    Record {
        live: None,
        from: None,
        switched_at: situation.now,
        settled_at: None,
        bake: Bake::Closed { standby_until: None },
        rejected: None,
        halted: None,
        unready: Unready::default(),
        order: None,
        retried: None,
        is_leaving: false,
        epoch: 0,
    }
}

/// The record with its epoch one on, which every write of it has.
pub(super) fn next(record: &Record) -> Record {
    Record { epoch: record.epoch.saturating_add(1), ..record.clone() }
}

/// The pointer, with this record, where it says.
pub(super) fn point(record: Record) -> Write {
    let selection = record.selection();
    Write::Point { record: Box::new(record), selection }
}

/// Takes the slot's pods away: an adopted Deployment goes, a slot's own one is emptied. The epoch first: nobody moves traffic
/// there by what was read before.
pub(super) fn put_away(situation: &Situation<'_>, slot: Slot) -> Vec<Write> {
    let is_adopted = situation.deployment(slot).is_some_and(|held| held.is_adopted);
    let away = if is_adopted { Write::Delete(slot) } else { Write::Scale { slot, replicas: 0 } };
    vec![Write::Epoch, away]
}

impl Case<'_> {
    /// The slot that traffic came from, while the bake is open.
    pub(super) fn from(&self) -> Option<From> {
        self.record.from.filter(|_| self.record.is_baking())
    }

    /// True when git asks for something else than what is live, and that may be begun: a revision that is not held, or no colours.
    pub(super) fn is_to_move_on(&self) -> bool {
        match self.situation.desired {
            Desired::Revision { revision, .. } => {
                Some(revision) != self.live_revision() && !self.situation.is_held_as_rejected(self.record)
            }
            Desired::Plain => true,
            Desired::Unknown | Desired::Gone { .. } => false,
        }
    }

    pub(super) fn live_revision(&self) -> Option<Revision> {
        self.situation.revision(self.live)
    }

    /// What turns the live slot's revision down.
    pub(super) fn rejected(&self, reason: Reason) -> Option<Rejected> {
        let Self { situation, live, .. } = self;
        let held = situation.deployment(*live)?;
        let cause = situation.cause(*live, &reason);
        Some(Rejected { revision: held.revision, attempt: held.attempt, reason, cause, at: situation.now })
    }

    /// The record after a move of traffic to the other slot that is not to be taken back.
    pub(super) fn moved_back(&self, rejected: Option<Rejected>) -> Record {
        Record {
            live: Some(self.other),
            from: None,
            switched_at: self.situation.now,
            settled_at: None,
            bake: Bake::Closed { standby_until: None },
            rejected: rejected.or_else(|| self.record.rejected.clone()),
            unready: Unready::default(),
            order: None,
            ..next(self.record)
        }
    }

    /// Slot and followers first, then readiness once more, then the pointer.
    pub(super) fn move_back(&self, record: Record) -> Vec<Write> {
        let none_serves = self.situation.serving(self.live) == 0;
        let at_least = if none_serves { 1 } else { self.situation.floor(Some(self.live)).max(1) };
        vec![
            Write::Mark { slot: self.other, serves: true },
            Write::MarkFollowers,
            Write::Recheck(Recheck { slot: self.other, at_least }),
            point(record),
        ]
    }
}
