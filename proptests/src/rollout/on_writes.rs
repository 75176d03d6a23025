//! What no write may ever do, whoever sends it and however late it lands.

use tidegate_core::rollout::{
    Bake, Command, Evidence, Gate, Gates, Record, Selection, Slot, Stage, Verdict, Write,
};

use super::daemon::{ASKED, timing};
use super::fresh::Fresh;
use super::invariants::{Violation, ensure};
use super::objects::{Left, NOW, Objects, Own};

/// Looks at a write that has landed on these objects. `reader`: what has become of them since it was decided.
pub fn judge_write(before: &Objects, write: &Write, reader: Fresh, gates: &Gates) -> Result<(), Violation> {
    match write {
        Write::Point { record, .. } => {
            s1_proven(before, record, reader, gates)?;
            s1_no_failure_is_lost(before, record)?;
            s2_as_many_as_are_needed(before, record, reader)?;
            s7_rolled_back_for_a_reason(before, record)?;
            s13_tested_pods_serve(before, record, reader)?;
            s14_closed_by_gates(before, record, gates)?;
            held_until_git_moves(before, record)
        }
        Write::Scale { slot, replicas } => {
            let fewer = *replicas == 0 || before.replicas(*slot) > *replicas;
            if fewer { taken(before, *slot) } else { Ok(()) }
        }
        Write::Prepare { slot, .. } => {
            taken(before, *slot)?;
            s13_emptied(before, *slot)
        }
        Write::Delete(slot) => taken(before, *slot),
        Write::Follow(selection) => s3_followed(before, *selection),
        Write::Forget => s1_forgotten(before),
        Write::Mark { .. }
        | Write::MarkFollowers
        | Write::Recheck(_)
        | Write::Epoch
        | Write::Recreate(_)
        | Write::Release(_)
        | Write::Uncolour(_)
        | Write::DeletePointer
        | Write::Autoscaler { .. }
        | Write::FreezeAutoscaler
        | Write::ReplaceBudget
        | Write::Colour(_)
        | Write::MakeUncoloured { .. }
        | Write::DeleteUncoloured
        | Write::Evidence { .. } => Ok(()),
    }
}

/// Pods are taken from a slot.
fn taken(before: &Objects, slot: Slot) -> Result<(), Violation> {
    s3_free(before, slot)?;
    s4_kept_while_baking(before, slot)
}

/// S2: no write takes traffic away from ready pods that stay, to where there are none; but for a workload that has left git, and for
/// traffic that somebody else has sent there.
pub fn s2_no_blackout(before: &Objects, after: &Objects, raced: bool) -> Result<(), Violation> {
    let is_ours = before.record().is_some_and(|record| record.agrees(before.selection()));
    ensure(
        raced || !is_ours || !before.serves_somebody() || after.serves_somebody(),
        "S2: nothing serves any more",
    )
}

fn evidence(objects: &Objects, slot: Slot) -> &[Evidence] {
    objects.slots.get(slot).deployment.as_ref().map(|held| held.evidence.as_slice()).unwrap_or_default()
}

/// What a gate's newest verdict in the open bake of a record is.
fn in_bake(objects: &Objects, record: &Record, verdict: Verdict) -> bool {
    record.live.is_some_and(|live| {
        evidence(objects, live)
            .iter()
            .any(|known| known.stage == Stage::Baking(record.switched_at) && known.verdict == verdict)
    })
}

/// True when traffic stays at the slot that the record names, or the record is gone and the slot has served, or it is the one
/// that traffic came from: nothing has to be proven.
fn is_known(before: &Objects, to: Slot) -> bool {
    let known = before.record();
    let held = before.slots.get(to).deployment.as_ref();
    known.is_some_and(|known| known.live == Some(to) || known.from_slot() == Some(to))
        || (known.is_none() && held.is_some_and(|held| held.served.is_some() || held.is_adopted))
}

/// S1: traffic moves only to a slot with complete evidence for what it holds; or back to where it came from; or, when the record
/// was lost, to one that has served.
fn s1_proven(before: &Objects, record: &Record, reader: Fresh, gates: &Gates) -> Result<(), Violation> {
    let Some(to) = record.live else { return Ok(()) };
    let known = before.record();
    if known.is_some_and(|known| known.live == Some(to)) {
        return Ok(());
    }
    // Traffic to all pods is traffic to the other slot's, which nothing has proven.
    if record.is_leaving {
        let has_pods = before.slots.get(to.other()).view().pods.total > 0;
        return ensure(
            reader.raced || !has_pods,
            "S1: traffic to all pods beside a colour that is not proven",
        );
    }
    let Some(held) = &before.slots.get(to).deployment else {
        return ensure(reader.raced, "S1: traffic to a slot that is not there");
    };
    let has_passed = |name: &Gate| {
        held.evidence.iter().any(|known| {
            known.gate == *name
                && known.stage == Stage::BeforeSwitch
                && known.verdict == Verdict::Pass
                && known.revision == held.revision
                && known.attempt == held.attempt
        })
    };
    let is_ordered = known.and_then(|known| known.order.as_ref()).is_some() && held.served.is_some();
    let is_proven = is_ordered || gates.before_switch.iter().all(has_passed);
    ensure(is_proven || is_known(before, to), "S1: traffic to a slot without complete evidence")
}

/// S1 without a record: the Service becomes an ordinary one, whose selector finds every pod, whatever gates have said of it.
fn s1_forgotten(before: &Objects) -> Result<(), Violation> {
    let was_live = before.record().is_none_or(|record| record.live.is_some());
    let has_pods = Slot::ALL.into_iter().any(|slot| before.slots.get(slot).view().pods.total > 0);
    ensure(was_live || !has_pods, "S1: traffic to pods that have not passed their gates")
}

/// S13: evidence dies with the pods that it was about.
fn s13_tested_pods_serve(before: &Objects, record: &Record, reader: Fresh) -> Result<(), Violation> {
    let Some(to) = record.live else { return Ok(()) };
    let is_about_others = before.slots.get(to).is_evidence_orphaned;
    ensure(!is_about_others || reader.raced || is_known(before, to), "S13: evidence of pods that are gone")
}

/// S2, S8: where traffic moves to, at least as many pods are ready as serve, or as git asks for: with the floor at the whole of
/// the parity, as it is in this world, for a way back too. What grew or fell after the last look nobody could know.
fn s2_as_many_as_are_needed(before: &Objects, record: &Record, reader: Fresh) -> Result<(), Violation> {
    let (Some(known), Some(to)) = (before.record(), record.live) else { return Ok(()) };
    if reader.raced || known.live == Some(to) {
        return Ok(());
    }
    let target = before.slots.get(to);
    ensure(!target.has_others, "S2: pods of another revision are left where traffic goes")?;
    let live = known.live.filter(|_| !reader.grown);
    let serving = live.map_or(0, |live| before.slots.get(live).view().pods.ready);
    let ready = target.view().pods.ready.min(before.replicas(to));
    ensure(ready >= 1, "S2: traffic to a slot without ready pods")?;
    ensure(ready >= serving.max(ASKED), "S2: traffic to fewer ready pods than serve")
}

/// S3 for what follows the pointer: it never sends traffic to an emptied slot while the pointer sends it elsewhere.
fn s3_followed(before: &Objects, selection: Selection) -> Result<(), Violation> {
    let Selection::Only(to) = selection else { return Ok(()) };
    let is_empty = before.slots.get(to).deployment.as_ref().is_none_or(|held| held.replicas == 0);
    let is_live = before.record().is_some_and(|record| record.live == Some(to));
    ensure(is_live || !is_empty, "S3: a follower is sent to an emptied slot")
}

/// Row 18: a revision that was turned down gets no traffic before git or its try changes.
fn held_until_git_moves(before: &Objects, record: &Record) -> Result<(), Violation> {
    let (Some(known), Some(to)) = (before.record(), record.live) else { return Ok(()) };
    if known.live == Some(to) || known.from_slot() == Some(to) {
        return Ok(());
    }
    let held = before.slots.get(to).deployment.as_ref().map(|held| (held.revision, held.attempt));
    let rejected = known.rejected.as_ref().map(|rejected| (rejected.revision, rejected.attempt));
    ensure(rejected.is_none() || held != rejected, "held: traffic to a revision that was turned down")
}

/// S1: a bake that a gate has failed in is closed only by turning the revision down.
fn s1_no_failure_is_lost(before: &Objects, record: &Record) -> Result<(), Violation> {
    let Some(known) = before.record() else { return Ok(()) };
    let is_closed = match (known.bake, record.bake) {
        (Bake::Open { .. }, Bake::Closed { .. }) => known.live == record.live,
        (Bake::Open { .. } | Bake::Closed { .. }, _) => false,
    };
    let live = known.live.and_then(|live| before.slots.get(live).deployment.as_ref());
    let turned_down = record.rejected.as_ref().map(|rejected| rejected.revision);
    let is_lost = is_closed
        && in_bake(before, known, Verdict::Fail)
        && live.is_some_and(|live| turned_down != Some(live.revision));
    ensure(!is_lost, "S1: a bake was closed over a failed gate")
}

/// What gates have said in the bake went with the live slot's Deployment, which somebody has deleted: nobody can tell any more.
fn is_deleted_with_evidence(before: &Objects, known: &Record) -> bool {
    known.live.is_some_and(|live| before.slots.get(live).is_evidence_deleted)
}

/// S14: a bake is closed as passed only over a pass of every gate in this bake, or on a person's order.
fn s14_closed_by_gates(before: &Objects, record: &Record, gates: &Gates) -> Result<(), Violation> {
    let Some(known) = before.record().filter(|known| known.is_baking()) else { return Ok(()) };
    let has_passed = match record.bake {
        Bake::Closed { standby_until: Some(_) } => true,
        Bake::Closed { standby_until: None } | Bake::Open { .. } => false,
    };
    if !has_passed || known.order.is_some() || gates.while_baking.is_empty() {
        return Ok(());
    }
    let is_gone = is_deleted_with_evidence(before, known);
    ensure(is_gone || in_bake(before, known, Verdict::Pass), "S14: a bake was closed without its gates")
}

/// S7: a roll back has a failed gate, lost readiness, a torn pointer or traffic that did not follow behind it.
fn s7_rolled_back_for_a_reason(before: &Objects, record: &Record) -> Result<(), Violation> {
    let Some(known) = before.record() else { return Ok(()) };
    let (Some(live), Some(to)) = (known.live, record.live) else { return Ok(()) };
    let turned_down = record.rejected != known.rejected;
    if !known.is_baking() || live == to || !turned_down {
        return Ok(());
    }
    let late = known.settled_at.is_none() && NOW.duration_since(known.switched_at) >= timing().settle;
    let unready = known.unready.live.is_some();
    let is_ordered = known.order.as_ref().is_some_and(|order| match order.command {
        Command::Abort | Command::RollBack => true,
        Command::Promote | Command::Resume | Command::Retry => false,
    });
    let is_torn = !known.agrees(before.selection());
    let is_gone = is_deleted_with_evidence(before, known);
    ensure(
        late || unready || is_ordered || is_torn || is_gone || in_bake(before, known, Verdict::Fail),
        "S7: rolled back without a reason",
    )
}

/// S3: nothing is taken from a slot with traffic, nor before its drain is over.
fn s3_free(before: &Objects, slot: Slot) -> Result<(), Violation> {
    let is_needed = |record: &Record| record.live == Some(slot) && !record.is_leaving;
    ensure(!before.record().is_some_and(is_needed), "S3: the slot is live")?;
    ensure(before.follower != Some(Selection::Only(slot)), "S3: a follower sends traffic to the slot")?;
    let is_drained = match before.slots.get(slot).left {
        Left::No => true,
        Left::Going => false,
        Left::Since(left) => NOW.duration_since(left) >= timing().drain,
    };
    ensure(is_drained || before.slots.get(slot).own == Own::None, "S3: the drain is not over")
}

/// S4: the slot that traffic came from is kept as it is while the bake is open.
fn s4_kept_while_baking(before: &Objects, slot: Slot) -> Result<(), Violation> {
    let is_needed = before.record().is_some_and(|record| record.from_slot() == Some(slot));
    ensure(!is_needed, "S4: the slot that an open bake may go back to")
}

/// S13: a new template only where no pods are: what is tested are the pods that serve.
fn s13_emptied(before: &Objects, slot: Slot) -> Result<(), Violation> {
    let object = before.slots.get(slot);
    let is_there = object.deployment.is_some() && (object.own != Own::None || object.has_others);
    ensure(!is_there, "S13: a template is written over running pods")
}
