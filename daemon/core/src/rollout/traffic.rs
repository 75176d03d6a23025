//! The rows that keep traffic where the record says: torn, following, settling.

use super::decide::{Case, next, point};
use super::order::{Command, standby};
use super::pointer::{Halted, Reason, Record, Selection};
use super::situation::Situation;
use super::slot::Slot;
use super::step::{Decision, Phase, Waiting, Write};

impl Case<'_> {
    /// Row 4. Traffic is not where the record says: somebody else has moved it.
    pub(super) fn torn(&self, selection: Selection) -> Option<Decision> {
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
        Some(Decision::carry(Phase::Torn, restore(situation, restored)))
    }

    /// Row 7. One step each; a follower never leads.
    pub(super) fn follow(&self) -> Option<Decision> {
        let follow = vec![Write::Epoch, Write::Follow(self.record.selection())];
        (!self.situation.followers_agree).then(|| Decision::carry(Phase::Follow, follow))
    }

    /// Row 10. The drain counts from when traffic has followed.
    pub(super) fn settle(&self) -> Option<Decision> {
        settle(self.situation, self.record)
    }

    /// The order to move traffic back to the standby.
    pub(super) fn to_standby(&self) -> Option<Decision> {
        let order = self.record.order.as_ref().filter(|order| order.command == Command::RollBack)?;
        standby(self.situation, self.record, self.live)?;
        let rejected = self.rejected(Reason::Ordered(order.clone()));
        Some(Decision::carry(Phase::RollBack, self.move_back(self.moved_back(rejected))))
    }
}

/// Row 10, whether something is live or not.
pub(super) fn settle(situation: &Situation<'_>, record: &Record) -> Option<Decision> {
    if record.settled_at.is_some() {
        return None;
    }
    if !situation.is_settled {
        return Some(Decision::wait(Phase::Settle, Waiting::Traffic));
    }
    let settled = Record { settled_at: Some(situation.now), ..next(record) };
    Some(Decision::carry(Phase::Settle, vec![point(settled)]))
}

/// Traffic back to where the record says. The slots that may have got some meanwhile first: whoever is about to empty one has
/// to look again.
pub(super) fn restore(situation: &Situation<'_>, record: Record) -> Vec<Write> {
    let live = record.live;
    let others = Slot::ALL.into_iter().filter(|slot| live != Some(*slot));
    let there = others.filter(|slot| situation.deployment(*slot).is_some());
    there.map(|slot| Write::Mark { slot, serves: false }).chain([point(record)]).collect()
}
