//! What no write may ever do, whoever sends it and however late it lands. Judged on the objects as they really are, with the
//! true durations and the true evidence. The numbers are those of the rollout page's S-invariants.

use tidegate_core::rollout::{
    Bake, Command, Decision, Evidence, Gates, Phase, Record, Selection, Slot, Stage, Verdict, Write,
};

use super::daemon::timing;
use super::objects::{Left, NOW, Objects, Own};

/// A write that should never have landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub &'static str);

/// Looks at a write that has landed on these objects. `raced`: pods stopped to be ready after the last look at
/// them. `edited`: people have edited before, and evidence may have gone with what they deleted.
pub fn check(
    before: &Objects,
    write: &Write,
    raced: bool,
    edited: bool,
    gates: &Gates,
) -> Result<(), Violation> {
    match write {
        Write::Point { record, selection } => {
            invariant_proven(before, record, raced, gates)?;
            invariant_parity(before, record, *selection, raced)?;
            invariant_not_rejected(before, record)?;
            invariant_no_failure_is_lost(before, record)?;
            if edited {
                return Ok(());
            }
            invariant_closed_by_gates(before, record, gates)?;
            invariant_rolled_back_for_a_reason(before, record)
        }
        Write::Scale { slot, replicas: 0 } | Write::Prepare { slot, .. } | Write::Delete(slot) => {
            invariant_free(before, *slot)?;
            invariant_kept_while_baking(before, *slot)?;
            invariant_emptied(before, write)
        }
        Write::Follow(selection) => invariant_followed(before, *selection),
        Write::Scale { .. }
        | Write::Mark { .. }
        | Write::MarkFollowers
        | Write::Recheck(_)
        | Write::Epoch
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
        | Write::Evidence { .. } => Ok(()),
    }
}

/// S2: no write takes traffic away from ready pods that stay, to where there are none; but for a workload that has left git, and for
/// traffic that somebody else has sent there.
pub fn invariant_no_blackout(before: &Objects, after: &Objects, raced: bool) -> Result<(), Violation> {
    let is_ours = before.record().is_some_and(|record| record.agrees(before.selection()));
    ensure(
        raced || !is_ours || !before.serves_somebody() || after.serves_somebody(),
        "S2: nothing serves any more",
    )
}

/// Looks at a decision that was made on objects as they are: S8, a revision that is ready and that no gate has failed is not
/// turned down, however many more of its pods are ready than are asked for.
pub fn check_decision(objects: &Objects, decision: &Decision) -> Result<(), Violation> {
    if decision.phase != Phase::Reject {
        return Ok(());
    }
    let is_ordered = objects.record().is_some_and(|record| record.order.is_some());
    let live = objects.record().and_then(|record| record.live);
    let other = live.map_or(Slot::Blue, Slot::other);
    let view = objects.slots.get(other).view();
    let has_failed = evidence(objects, other).iter().any(|known| known.verdict == Verdict::Fail);
    let needed = live.map_or(1, |live| objects.slots.get(live).view().pods.ready).max(1);
    let is_ready = view.pods.ready >= needed
        && view.pods.others == 0
        && view.deployment.is_some_and(|held| held.is_current && held.replicas >= needed);
    ensure(is_ordered || has_failed || !is_ready, "S8: a ready revision is turned down")
}

fn ensure(holds: bool, what: &'static str) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation(what)) }
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

/// S1, S13: traffic moves only to a slot with complete evidence for what it holds, from pods that are still there; or back to
/// where it came from; or, when the record was lost, to one that has served.
fn invariant_proven(before: &Objects, record: &Record, raced: bool, gates: &Gates) -> Result<(), Violation> {
    let Some(to) = record.live else { return Ok(()) };
    let known = before.record();
    if known.is_some_and(|known| known.live == Some(to)) {
        return Ok(());
    }
    let object = before.slots.get(to);
    let Some(held) = &object.deployment else {
        return ensure(raced, "S1: traffic to a slot that is not there");
    };
    let has_passed = |name: &tidegate_core::rollout::Gate| {
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
    let is_from = known.is_some_and(|known| known.from_slot() == Some(to));
    let is_lost = known.is_none() && (held.served.is_some() || held.is_adopted);
    ensure(is_proven || is_from || is_lost, "S1: traffic to a slot without complete evidence")?;
    ensure(raced || is_from || is_lost || !object.is_evidence_orphaned, "S13: evidence of pods that are gone")
}

/// S2, S8: nobody moves traffic from ready pods to none.
fn invariant_parity(
    before: &Objects,
    record: &Record,
    selection: Selection,
    raced: bool,
) -> Result<(), Violation> {
    let (Some(to), Selection::Only(from)) = (record.live, before.selection()) else { return Ok(()) };
    if raced || from == to || selection != Selection::Only(to) {
        return Ok(());
    }
    let target = before.slots.get(to);
    ensure(!target.has_others, "S2: pods of another revision are left where traffic goes")?;
    ensure(target.own == Own::Ready, "S2: traffic to a slot without ready pods")
}

/// S3 for what follows the pointer: it never sends traffic to an emptied slot while the pointer sends it elsewhere.
fn invariant_followed(before: &Objects, selection: Selection) -> Result<(), Violation> {
    let Selection::Only(to) = selection else { return Ok(()) };
    let is_empty = before.slots.get(to).deployment.as_ref().is_none_or(|held| held.replicas == 0);
    let is_live = before.record().is_some_and(|record| record.live == Some(to));
    ensure(is_live || !is_empty, "S3: a follower is sent to an emptied slot")
}

/// A revision that was turned down gets no traffic before git or its try changes.
fn invariant_not_rejected(before: &Objects, record: &Record) -> Result<(), Violation> {
    let (Some(known), Some(to)) = (before.record(), record.live) else { return Ok(()) };
    if known.live == Some(to) || known.from_slot() == Some(to) {
        return Ok(());
    }
    let held = before.slots.get(to).deployment.as_ref().map(|held| (held.revision, held.attempt));
    let rejected = known.rejected.as_ref().map(|rejected| (rejected.revision, rejected.attempt));
    ensure(rejected.is_none() || held != rejected, "traffic to a revision that was turned down")
}

/// A bake that a gate has failed in is closed only by turning the revision down.
fn invariant_no_failure_is_lost(before: &Objects, record: &Record) -> Result<(), Violation> {
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

/// S14: a bake is closed as passed only over a pass of every gate in this bake, or on a person's order.
fn invariant_closed_by_gates(before: &Objects, record: &Record, gates: &Gates) -> Result<(), Violation> {
    let Some(known) = before.record().filter(|known| known.is_baking()) else { return Ok(()) };
    let has_passed = match record.bake {
        Bake::Closed { standby_until: Some(_) } => true,
        Bake::Closed { standby_until: None } | Bake::Open { .. } => false,
    };
    if !has_passed || known.order.is_some() || gates.while_baking.is_empty() {
        return Ok(());
    }
    ensure(in_bake(before, known, Verdict::Pass), "S14: a bake was closed without its gates")
}

/// S7: a roll back has a failed gate, lost readiness or traffic that did not follow behind it.
fn invariant_rolled_back_for_a_reason(before: &Objects, record: &Record) -> Result<(), Violation> {
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
    ensure(
        late || unready || is_ordered || in_bake(before, known, Verdict::Fail),
        "S7: rolled back without a reason",
    )
}

/// S3: nothing is taken from a slot with traffic, nor before its drain is over.
fn invariant_free(before: &Objects, slot: Slot) -> Result<(), Violation> {
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
fn invariant_kept_while_baking(before: &Objects, slot: Slot) -> Result<(), Violation> {
    let is_needed = before.record().is_some_and(|record| record.from_slot() == Some(slot));
    ensure(!is_needed, "S4: the slot that an open bake may go back to")
}

/// A new template only where no pods are: what is tested are the pods that serve.
fn invariant_emptied(before: &Objects, write: &Write) -> Result<(), Violation> {
    let Write::Prepare { slot, .. } = write else { return Ok(()) };
    let object = before.slots.get(*slot);
    let is_there = object.deployment.is_some() && (object.own != Own::None || object.has_others);
    ensure(!is_there, "S13: a template is written over running pods")
}
