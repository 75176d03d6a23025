//! The rows that keep what is live as it should be, and put away what nothing needs: repair, retire, resize.

use super::decide::{Case, put_away};
use super::situation::{Desired, Situation};
use super::slot::Slot;
use super::step::{Decision, Phase, Waiting, Write};

impl Case<'_> {
    /// Row 8. The live slot, or the one that an open bake may go back to, is missing or at 0.
    pub(super) fn repair(&self) -> Option<Decision> {
        let Self { situation, .. } = self;
        if self.record.is_leaving && (situation.desired == Desired::Plain || self.is_let_go()) {
            return None;
        }
        let needed = [Some(self.live), self.from().map(|from| from.slot)];
        // One that had no pods when it was taken over is as people want it: what it holds was never judged.
        let is_empty_by_choice =
            |slot: Slot| situation.deployment(slot).is_some_and(|held| held.is_adopted && held.recorded == 0);
        let is_broken = |slot: &Slot| {
            situation.replicas(*slot) == 0
                && !*situation.repair_refused.get(*slot)
                && !is_empty_by_choice(*slot)
        };
        let broken = needed.into_iter().flatten().find(is_broken)?;
        let write = match situation.deployment(broken) {
            Some(held) => Write::Scale { slot: broken, replicas: held.recorded.max(1) },
            None => Write::Recreate(broken),
        };
        Some(Decision::carry(Phase::Repair, vec![write]))
    }

    /// Rows 15 and 16. The other slot is put away once nothing needs it.
    pub(super) fn retire(&self) -> Option<Decision> {
        let Self { situation, record, other, .. } = self;
        match situation.desired {
            Desired::Unknown => return Some(Decision::wait(Phase::Steady, Waiting::Git)),
            Desired::Gone { .. } => return Some(Decision::wait(Phase::Steady, Waiting::People)),
            Desired::Plain => return None,
            Desired::Revision { revision, .. } if Some(revision) != self.live_revision() => return None,
            Desired::Revision { .. } => {}
        }
        let is_free = situation.is_drained(record) && situation.is_standby_over(record);
        if !is_free {
            return None;
        }
        if situation.replicas(*other) > 0 {
            return Some(Decision::carry(Phase::Retire, put_away(situation, *other)));
        }
        let is_made_by_leaving = situation.uncoloured.is_some_and(|uncoloured| uncoloured.is_ours);
        is_made_by_leaving
            .then(|| Decision::carry(Phase::Retire, vec![Write::Epoch, Write::DeleteUncoloured]))
    }

    /// Row 17.
    pub(super) fn steady(&self) -> Option<Decision> {
        if self.situation.desired.revision() != self.live_revision() {
            return None;
        }
        if let Some(write) = resize(self.situation, self.live) {
            return Some(Decision::carry(Phase::Resize, vec![write]));
        }
        let waiting = if self.situation.replicas(self.other) == 0 { Waiting::Git } else { Waiting::Time };
        Some(Decision::wait(Phase::Steady, waiting))
    }
}

/// What git asks for beside the revision: the bounds of the live slot's autoscaler, or its size where it has none.
fn resize(situation: &Situation<'_>, live: Slot) -> Option<Write> {
    let view = situation.slots.get(live);
    match (situation.size.autoscaler, view.autoscaler_min) {
        (Some(asked), Some(min)) => {
            (min != asked.min).then_some(Write::Autoscaler { slot: live, min: asked.min })
        }
        // Whoever sizes it, sizes it: it appears with the next pass, or is frozen while a workload is taken over.
        (Some(_), None) | (None, Some(_)) => None,
        (None, None) => {
            let asked = situation.size.replicas;
            let is_asked = situation.replicas(live) == asked || asked == 0;
            (!is_asked).then_some(Write::Scale { slot: live, replicas: asked })
        }
    }
}
