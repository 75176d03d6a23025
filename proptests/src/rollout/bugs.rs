//! Mistakes that are put around the core's decision function: before it, in what it is shown, or after it, in what it asked
//! for. Each is a trap that somebody has fallen into. The exploration must find each of them, else it proves nothing.

use jiff::SignedDuration;
use tidegate_core::rollout::{
    Attempt, Bake, Decision, Desired, Evidence, From, Phase, Record, Revision, Selection, Slot, Stage, Step,
    Timing, Verdict, Waiting, Write,
};

use super::objects::{NOW, Objects, Own, PointerObject, TICK, installing};
use super::world::Limits;

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The pointer's epoch is not written before a slot is taken from what the pointer may move to.
    NoEpoch,
    /// No mark on the slot before the pointer moves.
    NoMark,
    /// The pointer is written before the slot's mark.
    PointerFirst,
    /// Reading readiness again renews the versions that guard the write.
    RenewedVersions,
    /// Readiness is not read again before the pointer moves.
    NoRecheck,
    /// Readiness is not read again before a bake goes back.
    NoRecheckOfRollBack,
    /// As many pods as serve now have to be ready, not at least as many.
    ExactParity,
    /// Evidence about another revision counts.
    EvidenceOfAnotherRevision,
    /// Evidence of another bake counts.
    EvidenceOfAnotherBake,
    /// Evidence of pods that are gone counts.
    EvidenceOfGonePods,
    /// Nobody waits for the drain.
    NoDrain,
    /// The other slot gets its new template while it still has pods.
    NoEmptying,
    /// A gate that does not know while baking counts as failed.
    UnknownFails,
    /// A gate that does not know counts as passed.
    UnknownPasses,
    /// Closing a bake writes the pointer only.
    CloseOneSide,
    /// A first installation makes no pointer before its slots.
    InstallWithoutPointer,
    /// A lost pointer is taken for a first installation.
    LostPointerIsNew,
    /// A bake goes back to the other slot, wherever traffic came from.
    RollBackAnywhere,
    /// The live slot is not repaired.
    NoRepair,
    /// Nothing is repaired while a bake is open.
    NoRepairWhileBaking,
    /// Nothing is repaired while people have to look.
    NoRepairWhileHalted,
    /// A live slot that was deleted is made again at 0.
    RecreatedEmpty,
    /// Pods that are left of another revision count as ready.
    OthersCount,
    /// The old verdict stops a new try.
    RetryStopped,
    /// A rejected revision leaves a slot at its size that holds another one.
    RejectedForgets,
    /// A torn pointer goes to the other slot, whatever was proven of it.
    TornAnywhere,
    /// A torn pointer goes back, and the drain is not begun anew.
    TornWithoutDrain,
    /// A follower is written without the pointer's epoch, and not marked when the pointer moves.
    FollowOneSide,
    /// A bake without verdict asks no more gates.
    InconclusiveStopsGates,
    /// A first installation that is given up leaves its record before its pods have gone.
    ForgetsPods,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 30] = [
        Self::NoEpoch,
        Self::NoMark,
        Self::PointerFirst,
        Self::RenewedVersions,
        Self::NoRecheck,
        Self::NoRecheckOfRollBack,
        Self::ExactParity,
        Self::EvidenceOfAnotherRevision,
        Self::EvidenceOfAnotherBake,
        Self::EvidenceOfGonePods,
        Self::NoDrain,
        Self::NoEmptying,
        Self::UnknownFails,
        Self::UnknownPasses,
        Self::CloseOneSide,
        Self::InstallWithoutPointer,
        Self::LostPointerIsNew,
        Self::RollBackAnywhere,
        Self::NoRepair,
        Self::NoRepairWhileBaking,
        Self::NoRepairWhileHalted,
        Self::RecreatedEmpty,
        Self::OthersCount,
        Self::RetryStopped,
        Self::RejectedForgets,
        Self::TornAnywhere,
        Self::TornWithoutDrain,
        Self::FollowOneSide,
        Self::InconclusiveStopsGates,
        Self::ForgetsPods,
    ];

    /// What the decision is shown.
    pub fn before(self, objects: &mut Objects, timing: &mut Timing, desired: Desired) {
        match self {
            Self::EvidenceOfAnotherRevision => evidence_of_this_revision(objects),
            Self::EvidenceOfAnotherBake => evidence_of_this_bake(objects),
            Self::NoDrain => timing.drain = SignedDuration::ZERO,
            Self::UnknownFails => verdicts(objects, Verdict::Fail, |stage| stage != Stage::BeforeSwitch),
            Self::UnknownPasses => verdicts(objects, Verdict::Pass, |_| true),
            Self::LostPointerIsNew if objects.record().is_none() => {
                for slot in Slot::ALL {
                    if let Some(held) = &mut objects.slots.get_mut(slot).deployment {
                        held.served = None;
                    }
                }
            }
            Self::InstallWithoutPointer if objects.pointer.is_none() => pretend_a_pointer(objects),
            Self::RollBackAnywhere => came_from_the_other(objects),
            Self::OthersCount => others_count(objects),
            Self::ExactParity => exact_parity(objects),
            Self::RetryStopped => {
                if let (Desired::Revision { attempt, .. }, Some(pointer)) = (desired, &mut objects.pointer)
                    && let Some(rejected) =
                        pointer.record.as_mut().and_then(|record| record.rejected.as_mut())
                {
                    rejected.attempt = attempt;
                }
            }
            Self::NoEpoch
            | Self::NoMark
            | Self::PointerFirst
            | Self::RenewedVersions
            | Self::NoRecheck
            | Self::NoRecheckOfRollBack
            | Self::EvidenceOfGonePods
            | Self::NoEmptying
            | Self::CloseOneSide
            | Self::InstallWithoutPointer
            | Self::LostPointerIsNew
            | Self::NoRepair
            | Self::NoRepairWhileBaking
            | Self::NoRepairWhileHalted
            | Self::RecreatedEmpty
            | Self::RejectedForgets
            | Self::TornAnywhere
            | Self::TornWithoutDrain
            | Self::FollowOneSide
            | Self::InconclusiveStopsGates
            | Self::ForgetsPods => {}
        }
    }

    /// What becomes of the decision.
    pub fn after(self, decision: Decision, objects: &Objects, desired: Desired) -> Decision {
        let Decision { phase, step } = decision;
        let nothing = Step::Wait(Waiting::Time);
        let step = match (self, phase, step) {
            (Self::NoEmptying, Phase::Empty, step) => without_emptying(objects, desired).unwrap_or(step),
            (Self::NoRepairWhileBaking, Phase::Repair, _)
                if objects.record().is_some_and(Record::is_baking) =>
            {
                nothing
            }
            (Self::NoRepairWhileHalted, Phase::Repair, _)
                if objects.record().is_some_and(|record| record.halted.is_some()) =>
            {
                nothing
            }
            (Self::NoRepair, Phase::Repair, _)
            | (Self::InconclusiveStopsGates, Phase::Inconclusive, Step::Ask(_)) => nothing,
            (Self::RejectedForgets, Phase::Rejected, Step::Carry(writes)) => {
                if takes_another_revision(&writes, objects, desired) { nothing } else { Step::Carry(writes) }
            }
            (Self::EvidenceOfGonePods, Phase::Prepare, Step::Carry(writes)) => kept_evidence(writes, objects),
            (Self::ForgetsPods, Phase::Leave, step) => forgets_pods(step, objects),
            (_, _, Step::Carry(writes)) => Step::Carry(self.spoil(phase, writes, objects)),
            (_, _, step) => step,
        };
        Decision { phase, step }
    }

    fn spoil(self, phase: Phase, mut writes: Vec<Write>, objects: &Objects) -> Vec<Write> {
        let is_mark = |write: &Write| matches!(write, Write::Mark { .. });
        match self {
            Self::NoEpoch => writes.retain(|write| *write != Write::Epoch),
            Self::NoMark => writes.retain(|write| !is_mark(write)),
            Self::CloseOneSide if phase == Phase::Close => writes.retain(|write| !is_mark(write)),
            Self::NoRecheck => writes.retain(|write| !matches!(write, Write::Recheck(_))),
            Self::NoRecheckOfRollBack if phase == Phase::RollBack => {
                writes.retain(|write| !matches!(write, Write::Recheck(_)));
            }
            Self::PointerFirst => writes.sort_by_key(is_mark),
            // What it was shown has a pointer: the pretended one, until something is live.
            Self::InstallWithoutPointer if objects.record().is_some_and(|record| record.live.is_none()) => {
                writes.retain(|write| *write != Write::Epoch);
            }
            Self::FollowOneSide => {
                writes.retain(|write| *write != Write::MarkFollowers);
                if phase == Phase::Follow {
                    writes.retain(|write| *write != Write::Epoch);
                }
            }
            Self::RecreatedEmpty => writes.iter_mut().for_each(|write| recreated_empty(write, objects)),
            Self::TornAnywhere if phase == Phase::Torn => {
                for write in &mut writes {
                    torn_to_the_other(write, objects);
                }
            }
            Self::TornWithoutDrain if phase == Phase::Torn => {
                for write in &mut writes {
                    settled_as_before(write, objects);
                }
            }
            Self::RenewedVersions
            | Self::NoRecheckOfRollBack
            | Self::ExactParity
            | Self::EvidenceOfAnotherRevision
            | Self::EvidenceOfAnotherBake
            | Self::EvidenceOfGonePods
            | Self::NoDrain
            | Self::NoEmptying
            | Self::UnknownFails
            | Self::UnknownPasses
            | Self::CloseOneSide
            | Self::InstallWithoutPointer
            | Self::LostPointerIsNew
            | Self::RollBackAnywhere
            | Self::NoRepair
            | Self::NoRepairWhileBaking
            | Self::NoRepairWhileHalted
            | Self::OthersCount
            | Self::RetryStopped
            | Self::RejectedForgets
            | Self::TornAnywhere
            | Self::TornWithoutDrain
            | Self::InconclusiveStopsGates
            | Self::ForgetsPods => {}
        }
        writes
    }

    /// The smallest world in which it does harm.
    pub fn world(self) -> Limits {
        let one = Limits { bug: Some(self), judges_steps: false, ..Limits::ONE };
        let two = Limits { daemons: 2, ..one.clone() };
        let edited = Limits { edits: 1, ..one.clone() };
        match self {
            Self::NoEpoch
            | Self::NoMark
            | Self::PointerFirst
            | Self::RenewedVersions
            | Self::CloseOneSide
            | Self::InstallWithoutPointer => two,
            Self::NoDrain | Self::RetryStopped => one,
            Self::NoRecheck | Self::NoRecheckOfRollBack | Self::RollBackAnywhere => {
                Limits { flaps: 1, ..one }
            }
            Self::ExactParity => Limits { autoscales: true, scales: 2, ..one },
            Self::EvidenceOfAnotherRevision | Self::NoEmptying => Limits { retries: 1, moves: 2, ..one },
            Self::EvidenceOfAnotherBake => Limits { moves: 3, ..one },
            Self::UnknownFails | Self::UnknownPasses | Self::InconclusiveStopsGates => {
                Limits { unknowns: 1, ..one }
            }
            Self::EvidenceOfGonePods
            | Self::LostPointerIsNew
            | Self::NoRepair
            | Self::NoRepairWhileBaking
            | Self::RecreatedEmpty
            | Self::OthersCount
            | Self::TornAnywhere
            | Self::TornWithoutDrain => edited,
            Self::NoRepairWhileHalted => Limits { edits: 2, ..one },
            Self::RejectedForgets => Limits { revisions: 3, moves: 3, ..one },
            Self::FollowOneSide => Limits { followers: true, ..two },
            Self::ForgetsPods => Limits { ends: true, ..one },
        }
    }

    /// True when a step with it lacks one of its two sides, or comes in the wrong order: its form alone tells.
    pub fn shows_in_form(self) -> bool {
        [Self::NoEpoch, Self::NoMark, Self::PointerFirst, Self::CloseOneSide, Self::FollowOneSide]
            .contains(&self)
    }

    /// True when the harm shows only in what the workload comes to rest at.
    pub fn shows_at_rest(self) -> bool {
        match self {
            Self::NoRepair
            | Self::NoRepairWhileBaking
            | Self::NoRepairWhileHalted
            | Self::RetryStopped
            | Self::RejectedForgets
            | Self::RollBackAnywhere
            | Self::InconclusiveStopsGates => true,
            Self::NoEpoch
            | Self::NoMark
            | Self::PointerFirst
            | Self::RenewedVersions
            | Self::NoRecheck
            | Self::NoRecheckOfRollBack
            | Self::ExactParity
            | Self::EvidenceOfAnotherRevision
            | Self::EvidenceOfAnotherBake
            | Self::EvidenceOfGonePods
            | Self::NoDrain
            | Self::NoEmptying
            | Self::UnknownFails
            | Self::UnknownPasses
            | Self::CloseOneSide
            | Self::InstallWithoutPointer
            | Self::LostPointerIsNew
            | Self::RecreatedEmpty
            | Self::OthersCount
            | Self::TornAnywhere
            | Self::TornWithoutDrain
            | Self::FollowOneSide
            | Self::ForgetsPods => false,
        }
    }

    /// How the words of the rule begin that it breaks first.
    pub fn breaks(self) -> &'static str {
        match self {
            Self::NoMark
            | Self::PointerFirst
            | Self::CloseOneSide
            | Self::UnknownPasses
            | Self::TornAnywhere
            | Self::ForgetsPods => "S1:",
            Self::NoEpoch | Self::NoRecheck | Self::NoRecheckOfRollBack | Self::OthersCount => "S2:",
            Self::NoDrain
            | Self::InstallWithoutPointer
            | Self::LostPointerIsNew
            | Self::RecreatedEmpty
            | Self::TornWithoutDrain
            | Self::FollowOneSide => "S3:",
            Self::UnknownFails => "S7:",
            Self::ExactParity => "S8:",
            Self::EvidenceOfAnotherRevision | Self::EvidenceOfGonePods | Self::NoEmptying => "S13:",
            Self::EvidenceOfAnotherBake => "S14:",
            Self::RenewedVersions => "held:",
            Self::NoRepair
            | Self::NoRepairWhileBaking
            | Self::NoRepairWhileHalted
            | Self::RetryStopped
            | Self::RejectedForgets
            | Self::RollBackAnywhere
            | Self::InconclusiveStopsGates => "liveness",
        }
    }

    /// True when a new template wrongly leaves the evidence that was there.
    pub fn keeps_evidence(self) -> bool {
        self == Self::EvidenceOfAnotherRevision
    }

    /// True when this write is wrongly guarded by what is there now.
    pub fn renews(self, write: &Write) -> bool {
        self == Self::RenewedVersions && matches!(write, Write::Recheck(_))
    }
}

fn each_evidence(objects: &mut Objects, mut change: impl FnMut(&mut Evidence, Revision, Attempt)) {
    for slot in Slot::ALL {
        if let Some(held) = &mut objects.slots.get_mut(slot).deployment {
            let (revision, attempt) = (held.revision, held.attempt);
            held.evidence.iter_mut().for_each(|evidence| change(evidence, revision, attempt));
        }
    }
}

/// Evidence of before is taken for evidence of what is there now, once there are pods.
fn evidence_of_this_revision(objects: &mut Objects) {
    each_evidence(objects, |evidence, revision, attempt| {
        (evidence.revision, evidence.attempt) = (revision, attempt);
    });
    for slot in Slot::ALL {
        if let Some(held) = &mut objects.slots.get_mut(slot).deployment
            && held.replicas == 0
        {
            held.evidence.clear();
        }
    }
}

fn record_mut(objects: &mut Objects) -> Option<&mut Record> {
    objects.pointer.as_mut().and_then(|pointer| pointer.record.as_mut())
}

fn evidence_of_this_bake(objects: &mut Objects) {
    let Some(switched_at) = objects.record().map(|record| record.switched_at) else { return };
    each_evidence(objects, |evidence, _, _| match &mut evidence.stage {
        Stage::Baking(at) => *at = switched_at,
        Stage::BeforeSwitch => {}
    });
}

fn verdicts(objects: &mut Objects, unknown: Verdict, is_meant: impl Fn(Stage) -> bool) {
    each_evidence(objects, |evidence, _, _| {
        if evidence.verdict == Verdict::Unknown && is_meant(evidence.stage) {
            evidence.verdict = unknown;
        }
    });
}

fn others_count(objects: &mut Objects) {
    for slot in Slot::ALL {
        let object = objects.slots.get_mut(slot);
        if object.has_others {
            (object.has_others, object.own) = (false, Own::Ready);
        }
    }
}

/// More pods than are needed look like none.
fn exact_parity(objects: &mut Objects) {
    for slot in Slot::ALL {
        let object = objects.slots.get_mut(slot);
        if object.has_surplus && object.own == Own::Ready {
            object.own = Own::Starting;
        }
    }
}

/// The first switch makes it: until then there is no second side, and one daemon alone comes to no harm.
fn pretend_a_pointer(objects: &mut Objects) {
    for slot in Slot::ALL {
        if let Some(held) = &mut objects.slots.get_mut(slot).deployment {
            held.served = None;
        }
    }
    // Nothing has had traffic: there is no drain to wait for.
    let long_ago = NOW.checked_sub(TICK * 3).unwrap_or(NOW);
    let record = Record { switched_at: long_ago, settled_at: Some(long_ago), ..installing() };
    objects.pointer = Some(PointerObject { record: Some(record), selection: Selection::Nothing });
}

/// A closed bake is taken for an open one, and the other slot for the one that traffic came from.
fn came_from_the_other(objects: &mut Objects) {
    let Some(live) = objects.record().and_then(|record| record.live) else { return };
    let other = objects.slots.get(live.other()).deployment.as_ref().filter(|held| held.replicas > 0);
    if let (Some(revision), Some(record)) = (other.map(|held| held.revision), record_mut(objects)) {
        record.from = Some(From { slot: live.other(), revision });
        record.bake = Bake::Open { until: NOW, max: NOW };
    }
}

fn takes_another_revision(writes: &[Write], objects: &Objects, desired: Desired) -> bool {
    writes.iter().any(|write| match write {
        Write::Scale { slot, .. } => {
            let held = objects.slots.get(*slot).deployment.as_ref();
            held.map(|held| held.revision) != desired.revision()
        }
        _ => false,
    })
}

/// The slot is only scaled up again where it holds what git asks for.
fn kept_evidence(writes: Vec<Write>, objects: &Objects) -> Step {
    let kept = writes.iter().find_map(|write| match write {
        Write::Prepare { slot, revision, attempt } => {
            let held = objects.slots.get(*slot).deployment.as_ref()?;
            let is_same = held.revision == *revision && held.attempt == *attempt;
            is_same.then_some(Write::Scale { slot: *slot, replicas: 1 })
        }
        _ => None,
    });
    Step::Carry(kept.map_or(writes, |scale| vec![scale]))
}

fn recreated_empty(write: &mut Write, objects: &Objects) {
    if let Write::Recreate(slot) = write
        && let Some((revision, attempt)) = objects.slots.get(*slot).kept
    {
        *write = Write::Prepare { slot: *slot, revision, attempt };
    }
}

fn torn_to_the_other(write: &mut Write, objects: &Objects) {
    if let Write::Point { record, selection } = write
        && let Some(live) = record.live
        && objects.slots.get(live.other()).own == Own::Ready
    {
        record.live = Some(live.other());
        *selection = Selection::Only(live.other());
    }
}

fn settled_as_before(write: &mut Write, objects: &Objects) {
    if let Write::Point { record, .. } = write {
        record.settled_at = objects.record().and_then(|record| record.settled_at);
    }
}

fn without_emptying(objects: &Objects, desired: Desired) -> Option<Step> {
    let Desired::Revision { revision, attempt } = desired else { return None };
    let live = objects.record().and_then(|record| record.live)?;
    Some(Step::Carry(vec![Write::Epoch, Write::Prepare { slot: live.other(), revision, attempt }]))
}

/// The Deployment goes with its pods, and the record as soon as it has.
fn forgets_pods(step: Step, objects: &Objects) -> Step {
    if objects.record().is_none_or(|record| record.live.is_some()) {
        return step;
    }
    let held = Slot::ALL.into_iter().find(|slot| objects.slots.get(*slot).deployment.is_some());
    Step::Carry(held.map_or(vec![Write::Forget], |slot| vec![Write::Epoch, Write::Delete(slot)]))
}
