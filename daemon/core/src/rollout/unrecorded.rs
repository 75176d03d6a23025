//! The tables of a workload of which nothing is live: the pointer was lost, or has never been, or the first revision is on its
//! way. (Numbers are those of the rollout page's rows.)

use super::decide::{blank, next, point, put_away};
use super::forward;
use super::order::follow_order;
use super::pointer::{Halted, Record, Selection};
use super::situation::{Desired, Situation, Uncoloured};
use super::slot::Slot;
use super::step::{Decision, Phase, Recheck, Waiting, Write};
use super::traffic::{restore, settle};

/// Rows 1 to 3: there is no record.
pub(super) fn decide(situation: &Situation<'_>) -> Decision {
    match situation.desired {
        Desired::Gone { .. } => return Decision::wait(Phase::Steady, Waiting::Git),
        Desired::Plain | Desired::Revision { .. } | Desired::Unknown => {}
    }
    // One that was let go comes back without an alarm, where git wants the workload again before it has gone.
    // The best slot that has served: ready before any size before none, then the newest.
    let best = Slot::ALL.into_iter().filter_map(|slot| {
        let served = situation.deployment(slot)?.served?;
        Some(((situation.ready(slot) > 0, situation.replicas(slot) > 0, served), slot))
    });
    if let Some((_, slot)) = best.max_by_key(|(rank, _)| *rank) {
        let is_lost = situation.deployment(slot).is_some_and(|held| held.released.is_none());
        let halted = is_lost.then(|| Halted { revision: situation.desired.revision() });
        let record = Record { live: Some(slot), halted, ..blank(situation) };
        let mark = Write::Mark { slot, serves: true };
        return Decision::carry(Phase::Restore, vec![mark, point(record)]);
    }
    // Whatever git asks for by now: another daemon may be about to pin, and the way out leads over the record.
    if let Some(slot) = Slot::ALL.into_iter().find(|slot| is_adopted(situation, *slot)) {
        return pin(situation, slot);
    }
    if situation.desired == Desired::Plain {
        return unbegun(situation);
    }
    if let Some(uncoloured) = situation.uncoloured {
        return adopt(situation, uncoloured);
    }
    if situation.desired == Desired::Unknown {
        return Decision::wait(Phase::Install, Waiting::Git);
    }
    let record = Record { settled_at: Some(situation.now), ..blank(situation) };
    Decision::carry(Phase::Install, vec![point(record)])
}

/// Without colours, and none has ever had the traffic: what was prepared goes once no pod of it can have requests, or its pointer was
/// taken away before.
fn unbegun(situation: &Situation<'_>) -> Decision {
    let is_idle = |slot: &Slot| {
        let held = situation.deployment(*slot);
        held.is_some_and(|held| situation.serving(*slot) == 0 || held.released.is_some())
    };
    match Slot::ALL.into_iter().find(is_idle) {
        Some(slot) => Decision::carry(Phase::Leave, vec![Write::Delete(slot)]),
        // It has been left, or has never been taken.
        None => Decision::wait(Phase::Steady, Waiting::Git),
    }
}

/// Nothing has had traffic: what is prepared goes first, or nobody would know of it any more. Its pods too: without the record the
/// Service is an ordinary one, whose selector finds them, and they may have failed their gates.
fn give_up(situation: &Situation<'_>) -> Decision {
    let find = |is: &dyn Fn(Slot) -> bool| Slot::ALL.into_iter().find(|slot| is(*slot));
    let is_held = |slot: Slot| situation.deployment(slot).is_some();
    if let Some(slot) = find(&|slot| is_held(slot) && situation.replicas(slot) > 0) {
        return Decision::carry(Phase::Leave, put_away(situation, slot));
    }
    if find(&|slot| situation.slots.get(slot).pods.total > 0).is_some() {
        return Decision::wait(Phase::Leave, Waiting::Pods);
    }
    let writes = find(&is_held).map_or(vec![Write::Forget], |slot| vec![Write::Epoch, Write::Delete(slot)]);
    Decision::carry(Phase::Leave, writes)
}

fn is_adopted(situation: &Situation<'_>, slot: Slot) -> bool {
    situation.deployment(slot).is_some_and(|held| held.is_adopted)
}

/// Row 3. Whatever would meddle with two sets of pods first, then the colour.
fn adopt(situation: &Situation<'_>, uncoloured: Uncoloured) -> Decision {
    if situation.desired == Desired::Unknown {
        return Decision::wait(Phase::Adopt, Waiting::Git);
    }
    if !situation.is_allowed {
        return Decision::wait(Phase::Adopt, Waiting::People);
    }
    let write = if uncoloured.has_autoscaler {
        Write::FreezeAutoscaler
    } else if uncoloured.has_budget {
        Write::ReplaceBudget
    } else {
        Write::Colour(Slot::Blue)
    };
    Decision::carry(Phase::Adopt, vec![write])
}

/// Row 3, at its end: all pods have the colour, and the record says so. It leaves traffic with all pods: another daemon may be about to
/// take the colour away again, by a record that somebody has deleted since. Traffic is pinned by the row that turns back from leaving,
/// which writes the slot first. The record before the mark: a mark without a record would look like a pointer that was lost.
fn pin(situation: &Situation<'_>, slot: Slot) -> Decision {
    let all = situation.replicas(slot).max(1);
    let is_down = is_down(situation, slot);
    if situation.ready(slot) < all && !is_down {
        return Decision::wait(Phase::Adopt, Waiting::Pods);
    }
    let record = Record { live: Some(slot), is_leaving: true, ..blank(situation) };
    let recheck = Write::Recheck(Recheck { slot, at_least: if is_down { 0 } else { all } });
    Decision::carry(Phase::Adopt, vec![recheck, point(record), Write::Mark { slot, serves: true }])
}

/// Nobody is answered by it, with a colour or without, and waiting does not help: it has no pods, has had its time, or is on
/// its way out already. There is no traffic to lose then, and git's new revision may be the cure.
fn is_down(situation: &Situation<'_>, slot: Slot) -> bool {
    let pods = situation.slots.get(slot).pods;
    let is_late = situation
        .deployment(slot)
        .is_some_and(|held| situation.is_over(held.prepared_at, situation.timing.warm));
    let has_nothing = pods.total == 0 && situation.replicas(slot) == 0;
    let is_given_up = situation.desired == Desired::Plain;
    pods.ready == 0 && pods.others_ready == 0 && (is_late || has_nothing || is_given_up)
}

/// Row 2, once the pointer is there: nothing is live, and the blue slot is the first one.
pub(super) fn install(situation: &Situation<'_>, record: &Record, selection: Selection) -> Decision {
    if !record.agrees(selection) {
        let restored = Record { settled_at: None, ..next(record) };
        return Decision::carry(Phase::Torn, restore(situation, restored));
    }
    if let Some(ordered) = follow_order(situation, record) {
        return ordered;
    }
    if let Some(settle) = settle(situation, record) {
        return settle;
    }
    match situation.desired {
        Desired::Unknown | Desired::Gone { .. } => Decision::wait(Phase::Install, Waiting::Git),
        Desired::Plain => give_up(situation),
        Desired::Revision { .. } => forward::towards_git(situation, record, Slot::Blue),
    }
}
