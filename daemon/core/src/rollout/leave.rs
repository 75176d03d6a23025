//! The end of a workload's colours: git asks for it without them (`mode: none`), or it has left git. In each instant something
//! serves as long as git asks for it.

use super::decide::{Case, next, point, put_away};
use super::pointer::{Pointer, Record};
use super::situation::{Desired, Situation};
use super::slot::Slot;
use super::step::{Decision, Phase, Waiting, Write};

impl Case<'_> {
    /// Without colours, and back to them when git changes its mind on the way.
    pub(super) fn leave(&self) -> Option<Decision> {
        match (self.situation.desired, self.record.is_leaving) {
            (Desired::Plain, false) => Some(self.begin_to_leave()),
            (Desired::Plain, true) => Some(self.go_on_leaving()),
            (Desired::Revision { .. }, true) => Some(self.turn_back()),
            (Desired::Revision { .. } | Desired::Unknown | Desired::Gone { .. }, _) => None,
        }
    }

    /// Back to the colours, as soon as the live one is well, or nothing else serves that would be lost. One that stays sick beside a
    /// Deployment that serves is left to the end, and taken over from there: it must not keep a good revision waiting for ever.
    fn turn_back(&self) -> Decision {
        let Self { situation, record, live, .. } = self;
        if self.is_let_go() {
            return self.go_on_leaving();
        }
        let is_well = situation.ready(*live) >= situation.floor(Some(*live)).max(1);
        if !is_well && situation.uncoloured.is_some_and(|uncoloured| uncoloured.ready > 0) {
            let is_late =
                record.settled_at.is_some_and(|settled| situation.is_over(settled, situation.timing.warm));
            return if is_late { self.go_on_leaving() } else { Decision::wait(Phase::Leave, Waiting::Pods) };
        }
        let back = Record { is_leaving: false, settled_at: None, ..next(record) };
        let mark = Write::Mark { slot: *live, serves: true };
        Decision::carry(Phase::Adopt, vec![mark, Write::MarkFollowers, point(back)])
    }

    /// The other slot goes first, then comes the Deployment without a colour, then traffic goes to all pods. One that was taken over
    /// and never rolled out under a colour is that Deployment already.
    fn begin_to_leave(&self) -> Decision {
        let Self { situation, record, live, other } = self;
        if let Some(decision) = self.empty_other() {
            return decision;
        }
        let is_adopted = self.is_adopted(*live);
        let parity = situation.parity(Some(*live)).max(1);
        if !is_adopted {
            match situation.uncoloured {
                None => {
                    let make = Write::MakeUncoloured { replicas: parity };
                    return Decision::carry(Phase::Leave, vec![Write::Epoch, make]);
                }
                Some(uncoloured) if uncoloured.ready < parity => {
                    return Decision::wait(Phase::Leave, Waiting::Pods);
                }
                Some(_) => {}
            }
        }
        let leaving = Record { is_leaving: true, settled_at: None, halted: None, ..next(record) };
        // Whoever is about to give the other slot a size has to look again.
        let mark = situation.deployment(*other).map(|_| Write::Mark { slot: *other, serves: false });
        let writes = mark.into_iter().chain([Write::MarkFollowers, point(leaving)]).collect();
        Decision::carry(Phase::Leave, writes)
    }

    /// Traffic to all pods is traffic to the other slot's, which may have failed its gates, or not have been asked. And a Deployment
    /// that was taken over has the name that is needed.
    fn empty_other(&self) -> Option<Decision> {
        let Self { situation, record, other, .. } = self;
        if situation.replicas(*other) > 0 || self.is_adopted(self.other) {
            if !situation.is_drained(record) {
                return Some(Decision::wait(Phase::Leave, Waiting::Time));
            }
            return Some(Decision::carry(Phase::Leave, put_away(situation, *other)));
        }
        let has_pods = situation.slots.get(*other).pods.total > 0;
        has_pods.then(|| Decision::wait(Phase::Leave, Waiting::Pods))
    }

    /// The live slot's Deployment has gone on the way out, or has no colour any more, and the one without a colour is there.
    pub(super) fn is_let_go(&self) -> bool {
        self.situation.deployment(self.live).is_none() && self.situation.uncoloured.is_some()
    }

    fn is_adopted(&self, slot: Slot) -> bool {
        self.situation.deployment(slot).is_some_and(|held| held.is_adopted)
    }

    /// The colours go when traffic has settled and drained, the record last.
    fn go_on_leaving(&self) -> Decision {
        let Self { situation, record, .. } = self;
        if !situation.is_drained(record) {
            return Decision::wait(Phase::Leave, Waiting::Time);
        }
        let is_colour = |slot: &Slot| situation.deployment(*slot).is_some_and(|held| !held.is_adopted);
        let Some(slot) = Slot::ALL.into_iter().find(is_colour) else {
            let adopted = Slot::ALL.into_iter().find(|slot| situation.deployment(*slot).is_some());
            // The epoch first: nobody pins traffic to it by what was read before.
            let writes =
                adopted.map_or(vec![Write::Forget], |slot| vec![Write::Epoch, Write::Uncolour(slot)]);
            return Decision::carry(Phase::Leave, writes);
        };
        let is_served =
            situation.uncoloured.is_some_and(|uncoloured| uncoloured.ready >= situation.asked().max(1));
        let is_adopted_ready = |slot: Slot| self.is_adopted(slot) && situation.ready(slot) > 0;
        // One without pods serves nobody: it may go however sick the rest is.
        let is_empty = situation.replicas(slot) == 0 && situation.slots.get(slot).pods.total == 0;
        if !(is_empty || is_served || Slot::ALL.into_iter().any(is_adopted_ready)) {
            // Somebody has deleted what was taken over, and it came back as a colour, while another daemon was about to leave.
            let is_missing =
                situation.uncoloured.is_none() && !Slot::ALL.into_iter().any(|slot| self.is_adopted(slot));
            if is_missing {
                let replicas = situation.parity(Some(slot)).max(1);
                return Decision::carry(Phase::Leave, vec![Write::Epoch, Write::MakeUncoloured { replicas }]);
            }
            return Decision::wait(Phase::Leave, Waiting::Pods);
        }
        Decision::carry(Phase::Leave, vec![Write::Epoch, Write::Delete(slot)])
    }
}

/// The workload has left git, and may go: the pointer, the drain, the slots.
pub(super) fn remove(situation: &Situation<'_>, pointer: &Pointer) -> Decision {
    let held = Slot::ALL.into_iter().filter_map(|slot| Some((slot, situation.deployment(slot)?)));
    let released = held.clone().map(|(slot, _)| Write::Release(slot));
    match pointer {
        // An open bake ends with the record that kept it.
        Pointer::Recorded { .. } => {
            return Decision::carry(Phase::Remove, released.chain([Write::DeletePointer]).collect());
        }
        // Once: another daemon may be about to pin a pointer that it has seen, so it goes before anything of the slots.
        Pointer::Unrecorded if held.clone().any(|(_, deployment)| deployment.released.is_none()) => {
            return Decision::carry(
                Phase::Remove,
                [Write::DeletePointer].into_iter().chain(released).collect(),
            );
        }
        Pointer::Unrecorded => {}
    }
    let Some((slot, _)) = held.clone().next() else {
        return Decision::wait(Phase::Remove, Waiting::Git);
    };
    let mut times = held.filter_map(|(_, deployment)| deployment.released.or(deployment.served));
    if times.any(|at| !situation.is_over(at, situation.timing.drain)) {
        return Decision::wait(Phase::Remove, Waiting::Time);
    }
    Decision::carry(Phase::Remove, vec![Write::Delete(slot)])
}
