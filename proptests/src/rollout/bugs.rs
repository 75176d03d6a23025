//! Mistakes that are put around the core's decision function: before it, in what it is shown, or after it, in what it asked
//! for. The exploration must find each of them, else it proves nothing.

use jiff::SignedDuration;
use tidegate_core::rollout::{
    Attempt, Decision, Desired, Phase, Selection, Slot, Step, Timing, Verdict, Write,
};

use super::objects::{Objects, Own};

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
    /// Evidence about another revision counts.
    EvidenceOfAnotherRevision,
    /// Evidence of another bake counts.
    EvidenceOfAnotherBake,
    /// Nobody waits for the drain.
    NoDrain,
    /// The other slot gets its new template while it still has pods.
    NoEmptying,
    /// A gate that does not know counts as failed.
    UnknownFails,
    /// A gate that does not know counts as passed.
    UnknownPasses,
    /// Closing a bake writes the pointer only.
    CloseOneSide,
    /// A lost pointer is taken for a first installation.
    LostPointerIsNew,
    /// Pods that are left of another revision count as ready.
    OthersCount,
    /// The old verdict stops a new try.
    RetryStopped,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::NoEpoch,
        Self::NoMark,
        Self::PointerFirst,
        Self::RenewedVersions,
        Self::NoRecheck,
        Self::EvidenceOfAnotherRevision,
        Self::EvidenceOfAnotherBake,
        Self::NoDrain,
        Self::NoEmptying,
        Self::UnknownFails,
        Self::UnknownPasses,
        Self::CloseOneSide,
        Self::LostPointerIsNew,
        Self::OthersCount,
        Self::RetryStopped,
    ];

    /// What the decision is shown.
    pub fn before(self, objects: &mut Objects, timing: &mut Timing, desired: Desired) {
        match self {
            Self::EvidenceOfAnotherRevision => each_evidence(objects, |evidence, revision, _| {
                evidence.revision = revision;
            }),
            Self::EvidenceOfAnotherBake => {
                let switched_at = objects.record().map(|record| record.switched_at);
                each_evidence(objects, |evidence, _, _| match (&mut evidence.stage, switched_at) {
                    (tidegate_core::rollout::Stage::Baking(at), Some(switched_at)) => *at = switched_at,
                    (
                        tidegate_core::rollout::Stage::Baking(_)
                        | tidegate_core::rollout::Stage::BeforeSwitch,
                        _,
                    ) => {}
                });
            }
            Self::NoDrain => timing.drain = SignedDuration::ZERO,
            Self::UnknownFails => verdicts(objects, Verdict::Fail),
            Self::UnknownPasses => verdicts(objects, Verdict::Pass),
            Self::LostPointerIsNew if objects.record().is_none() => {
                for slot in Slot::ALL {
                    if let Some(held) = &mut objects.slots.get_mut(slot).deployment {
                        held.served = None;
                    }
                }
            }
            Self::OthersCount => {
                for slot in Slot::ALL {
                    let object = objects.slots.get_mut(slot);
                    if object.has_others {
                        (object.has_others, object.own) = (false, Own::Ready);
                    }
                }
            }
            Self::RetryStopped => {
                if let (Desired::Revision { attempt, .. }, Some(pointer)) = (desired, &mut objects.pointer)
                    && let Some(rejected) = pointer.record.as_mut().and_then(|record| record.rejected.as_mut())
                {
                    rejected.attempt = attempt;
                }
            }
            Self::NoEpoch
            | Self::NoMark
            | Self::PointerFirst
            | Self::RenewedVersions
            | Self::NoRecheck
            | Self::NoEmptying
            | Self::CloseOneSide
            | Self::LostPointerIsNew => {}
        }
    }

    /// What becomes of the decision.
    pub fn after(self, decision: Decision, objects: &Objects, desired: Desired) -> Decision {
        let Decision { phase, step } = decision;
        let step = match (self, step) {
            (Self::NoEmptying, step) if phase == Phase::Empty => without_emptying(objects, desired).unwrap_or(step),
            (_, Step::Carry(writes)) => Step::Carry(self.spoil(phase, writes)),
            (_, step) => step,
        };
        Decision { phase, step }
    }

    fn spoil(self, phase: Phase, mut writes: Vec<Write>) -> Vec<Write> {
        let is_mark = |write: &Write| matches!(write, Write::Mark { .. });
        match self {
            Self::NoEpoch => writes.retain(|write| *write != Write::Epoch),
            Self::NoMark => writes.retain(|write| !is_mark(write)),
            Self::CloseOneSide if phase == Phase::Close => writes.retain(|write| !is_mark(write)),
            Self::NoRecheck => writes.retain(|write| !matches!(write, Write::Recheck(_))),
            Self::PointerFirst => writes.sort_by_key(is_mark),
            Self::RenewedVersions
            | Self::EvidenceOfAnotherRevision
            | Self::EvidenceOfAnotherBake
            | Self::NoDrain
            | Self::NoEmptying
            | Self::UnknownFails
            | Self::UnknownPasses
            | Self::CloseOneSide
            | Self::LostPointerIsNew
            | Self::OthersCount
            | Self::RetryStopped => {}
        }
        writes
    }

    /// True when this write is wrongly guarded by what is there now.
    pub fn renews(self, write: &Write) -> bool {
        self == Self::RenewedVersions && matches!(write, Write::Recheck(_))
    }
}

fn each_evidence(
    objects: &mut Objects,
    mut change: impl FnMut(
        &mut tidegate_core::rollout::Evidence,
        tidegate_core::rollout::Revision,
        Attempt,
    ),
) {
    for slot in Slot::ALL {
        if let Some(held) = &mut objects.slots.get_mut(slot).deployment {
            let (revision, attempt) = (held.revision, held.attempt);
            held.evidence.iter_mut().for_each(|evidence| change(evidence, revision, attempt));
        }
    }
}

fn verdicts(objects: &mut Objects, unknown: Verdict) {
    each_evidence(objects, |evidence, _, _| {
        if evidence.verdict == Verdict::Unknown {
            evidence.verdict = unknown;
        }
    });
}

fn without_emptying(objects: &Objects, desired: Desired) -> Option<Step> {
    let Desired::Revision { revision, attempt } = desired else { return None };
    let live = match objects.selection() {
        Selection::Only(slot) => slot,
        Selection::Nothing | Selection::All | Selection::Foreign => return None,
    };
    Some(Step::Carry(vec![Write::Epoch, Write::Prepare { slot: live.other(), revision, attempt }]))
}
