//! What no decision may ever ask for, judged on what it was made of. A daemon that looks at everything at once is judged by it; what
//! older looks lead to is judged where it lands (`on_writes`).

use tidegate_core::rollout::{Decision, Gates, Phase, Record, Selection, Slot, Stage, Step, Verdict, Write};

use super::daemon::{Outside, decision_when};
use super::fresh::{Target, target};
use super::invariants::{Violation, ensure};
use super::objects::Objects;
use super::world::{Limits, Wanted};

/// Looks at a decision that was made on objects as they are.
pub fn judge_step(
    objects: &Objects,
    wanted: Wanted,
    decision: &Decision,
    limits: &Limits,
    gates: &Gates,
) -> Result<(), Violation> {
    s8_ready_is_not_turned_down(objects, decision)?;
    if !limits.judges_steps {
        return Ok(());
    }
    s15_undone_at_once(objects, wanted, decision)?;
    if decision.phase == Phase::RollBack {
        let alone = decision_when(objects, Wanted::Unknown, Outside::GONE, limits, gates);
        s6_needs_nobody_else(decision, &alone)?;
    }
    match &decision.step {
        Step::Wait(_) | Step::Ask(_) => Ok(()),
        Step::Carry(writes) => {
            s3_not_what_is_selected(objects, writes)?;
            s5_each_object_once(writes)?;
            s7_takes_nothing_away(objects, wanted, writes)?;
            s9_both_sides(objects, writes)
        }
    }
}

/// Looks at the writes of a gate's answer.
pub fn judge_answer(objects: &Objects, writes: &[Write], limits: &Limits) -> Result<(), Violation> {
    if !limits.judges_steps {
        return Ok(());
    }
    s5_each_object_once(writes)?;
    s9_both_sides(objects, writes)
}

/// The slot that a write takes pods from; a first template of a slot takes none.
fn takes_from(objects: &Objects, write: &Write) -> Option<Slot> {
    match write {
        Write::Scale { slot, replicas } => (objects.replicas(*slot) > *replicas).then_some(*slot),
        Write::Prepare { slot, .. } => objects.slots.get(*slot).deployment.as_ref().map(|_| *slot),
        Write::Delete(slot) => Some(*slot),
        Write::Mark { .. }
        | Write::MarkFollowers
        | Write::Recheck(_)
        | Write::Epoch
        | Write::Point { .. }
        | Write::Follow(_)
        | Write::Recreate(_)
        | Write::Release(_)
        | Write::Uncolour(_)
        | Write::DeletePointer
        | Write::Forget
        | Write::Autoscaler { .. }
        | Write::FreezeAutoscaler
        | Write::ReplaceBudget
        | Write::Colour(_)
        | Write::MakeUncoloured { .. }
        | Write::DeleteUncoloured
        | Write::Evidence { .. } => None,
    }
}

/// S3: nothing is taken from the slot that the pointer is seen to select, whatever its record says.
fn s3_not_what_is_selected(objects: &Objects, writes: &[Write]) -> Result<(), Violation> {
    let Selection::Only(selected) = objects.selection() else { return Ok(()) };
    let is_taken = writes.iter().any(|write| takes_from(objects, write) == Some(selected));
    ensure(!is_taken, "S3: something is taken from what the pointer selects")
}

/// S5: one step is one decision. Each object is written once: a second write could only be guarded by what the first one made.
fn s5_each_object_once(writes: &[Write]) -> Result<(), Violation> {
    let mut written: Vec<Target> = Vec::new();
    for at in writes.iter().map(target).filter(|at| *at != Target::Nothing) {
        ensure(!written.contains(&at), "S5: a step writes an object twice")?;
        written.push(at);
    }
    Ok(())
}

/// S6: a roll back is the same when git cannot be read, no window is open and nobody says that targets are healthy.
fn s6_needs_nobody_else(decision: &Decision, alone: &Decision) -> Result<(), Violation> {
    ensure(decision == alone, "S6: a roll back needs more than the API server")
}

/// S7: where nobody knows what git asks for, nothing is taken away.
fn s7_takes_nothing_away(objects: &Objects, wanted: Wanted, writes: &[Write]) -> Result<(), Violation> {
    let is_gone = |write: &Write| {
        takes_from(objects, write).is_some()
            || matches!(write, Write::DeletePointer | Write::Forget | Write::DeleteUncoloured)
    };
    let takes = wanted == Wanted::Unknown && writes.iter().any(is_gone);
    ensure(!takes, "S7: something is taken away while git is unknown")
}

/// S8: a revision that is ready and that no gate has failed is not turned down, however many more of its pods are ready than are
/// asked for.
fn s8_ready_is_not_turned_down(objects: &Objects, decision: &Decision) -> Result<(), Violation> {
    if decision.phase != Phase::Reject {
        return Ok(());
    }
    let is_ordered = objects.record().is_some_and(|record| record.order.is_some());
    let live = objects.record().and_then(|record| record.live);
    let other = live.map_or(Slot::Blue, Slot::other);
    let view = objects.slots.get(other).view();
    let evidence = view.deployment.as_ref().map(|held| held.evidence.as_slice()).unwrap_or_default();
    let has_failed = evidence.iter().any(|known| known.verdict == Verdict::Fail);
    let needed = live.map_or(1, |live| objects.slots.get(live).view().pods.ready).max(1);
    let is_ready = view.pods.ready >= needed
        && view.pods.others == 0
        && view.deployment.is_some_and(|held| held.is_current && held.replicas >= needed);
    ensure(is_ordered || has_failed || !is_ready, "S8: a ready revision is turned down")
}

/// S9: what is decided on the pointer and a slot is written on both, and the side that is only read is written first.
fn s9_both_sides(objects: &Objects, writes: &[Write]) -> Result<(), Violation> {
    for (at, write) in writes.iter().enumerate() {
        let earlier = writes.get(..at).unwrap_or_default();
        let has_epoch = earlier.contains(&Write::Epoch);
        let is_recorded = objects.record().is_some();
        let needs_epoch = match write {
            Write::Follow(_) => true,
            Write::Evidence { evidence, .. } => evidence.stage != Stage::BeforeSwitch,
            Write::DeleteUncoloured => is_recorded,
            _ => is_recorded && takes_from(objects, write).is_some(),
        };
        ensure(has_epoch || !needs_epoch, "S9: a slot is written without the pointer's epoch before it")?;
        if let (Write::Point { record, .. }, Some(known)) = (write, objects.record()) {
            s9_marks_first(objects, earlier, known, record)?;
        }
    }
    Ok(())
}

/// The marks that come before the pointer.
fn s9_marks_first(
    objects: &Objects,
    earlier: &[Write],
    known: &Record,
    record: &Record,
) -> Result<(), Violation> {
    let is_marked = |slot: Slot| {
        earlier.iter().any(|write| matches!(write, Write::Mark { slot: marked, .. } if *marked == slot))
    };
    let is_marked_if_there = |slot: Slot| is_marked(slot) || objects.slots.get(slot).deployment.is_none();
    let moves = record.live != known.live;
    let closes = known.is_baking() && !record.is_baking();
    let turns_down = record.rejected.is_some() && record.rejected != known.rejected;
    let is_torn = !known.agrees(objects.selection());
    ensure(
        record.selection() == known.selection() || earlier.contains(&Write::MarkFollowers),
        "S9: the pointer moves without its followers' marks before it",
    )?;
    ensure(!moves || record.live.is_none_or(is_marked), "S9: the pointer moves without the slot's mark")?;
    if moves {
        return Ok(());
    }
    ensure(!closes || known.live.is_none_or(is_marked), "S9: a bake is closed without the slot's mark")?;
    let other = known.live.map_or(Slot::Blue, Slot::other);
    ensure(
        !turns_down || closes || is_marked_if_there(other),
        "S9: a revision is turned down without its slot's mark",
    )?;
    let others = Slot::ALL.into_iter().filter(|slot| record.live != Some(*slot));
    ensure(!is_torn || others.into_iter().all(is_marked_if_there), "S9: traffic goes back without the marks")
}

/// S15: a foreign change of the pointer is undone at once, towards the recorded slot unless nothing serves there, and halts what
/// comes; and a lost pointer is never a first installation.
fn s15_undone_at_once(objects: &Objects, wanted: Wanted, decision: &Decision) -> Result<(), Violation> {
    if wanted == Wanted::Gone {
        return Ok(());
    }
    let Some(known) = objects.record() else {
        let has_served = |slot: Slot| {
            objects.slots.get(slot).deployment.as_ref().is_some_and(|held| held.served.is_some())
        };
        let is_lost = Slot::ALL.into_iter().any(has_served);
        return ensure(
            !is_lost || decision.phase == Phase::Restore,
            "S15: a lost pointer is a first installation",
        );
    };
    let revision = wanted.desired().revision();
    let is_halted =
        known.halted.is_some_and(|halted| halted.revision.is_none_or(|halted| Some(halted) == revision));
    ensure(!is_halted || decision.phase != Phase::Switch, "S15: traffic moves while people have to look")?;
    if known.agrees(objects.selection()) {
        return Ok(());
    }
    ensure(decision.phase == Phase::Torn, "S15: something else comes before a torn pointer")?;
    let writes = match &decision.step {
        Step::Carry(writes) => writes.as_slice(),
        Step::Wait(_) | Step::Ask(_) => &[],
    };
    let Some(Write::Point { record, .. }) = writes.last() else {
        return Err(Violation("S15: a torn pointer is not written"));
    };
    let serving = known.live.map_or(0, |live| objects.slots.get(live).view().pods.ready);
    ensure(
        record.live == known.live || serving == 0,
        "S15: a torn pointer moves on, although the recorded slot serves",
    )?;
    ensure(record.settled_at.is_none(), "S15: the drain of a torn pointer does not begin anew")?;
    ensure(known.live.is_none() || record.halted.is_some(), "S15: a torn pointer halts nothing")
}
