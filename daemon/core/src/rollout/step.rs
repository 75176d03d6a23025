//! What a decision is: the phase that a workload is in, and the one step that comes next.

use serde::{Deserialize, Serialize};

use super::gate::{Evidence, Gate, Stage, Verdict};
use super::pointer::{Record, Selection};
use super::slot::{Attempt, Revision, Slot};

/// Where a workload stands. One row of the table each, in the table's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The pointer was lost: the best slot that has served is made live again; people look before anything new is begun.
    Restore,
    /// The first revision of a workload, or one that never got through: nothing is live yet.
    Install,
    /// A running Deployment from before is taken over.
    Adopt,
    /// The workload has left git, and goes.
    Remove,
    /// Somebody else changed where traffic goes: it goes back to the recorded slot.
    Torn,
    /// An order that says nothing any more is struck off.
    Decline,
    /// The live slot failed in its bake: traffic goes back to where it came from.
    RollBack,
    /// Git returned to the revision that traffic came from: so does the traffic.
    FastRollBack,
    /// A follower is made to agree with the pointer.
    Follow,
    /// A slot that is needed is missing or at 0: it is made again as it was.
    Repair,
    /// The live slot failed in its bake and there is nothing well to go back to.
    Stranded,
    /// Traffic is on its way to where the pointer says.
    Settle,
    /// Gates watch the live slot.
    Bake,
    /// The bake is over and gates could not tell.
    Inconclusive,
    /// The bake is over and all gates have passed.
    Close,
    /// The workload goes back to having no colours.
    Leave,
    /// Live is what git asks for, or git is unknown.
    Steady,
    /// Live is what git asks for, and its size is made so too.
    Resize,
    /// The other slot is put away.
    Retire,
    /// What git asks for was turned down, and nothing has changed since.
    Rejected,
    /// People have to look first.
    Halted,
    /// Traffic of the last move may still be on the other slot.
    Drain,
    /// The other slot is emptied, so that nothing old is tested.
    Empty,
    /// The other slot gets the new template.
    Prepare,
    /// The other slot gets its size.
    ScaleUp,
    /// Its pods become ready.
    Warm,
    /// It is turned down.
    Reject,
    /// Gates look at it.
    Gates,
    /// It has passed, and an approval, a window or a promotion is missing.
    Hold,
    /// Traffic moves to it.
    Switch,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decision {
    /// Where the workload stands.
    pub phase: Phase,
    /// The one step.
    pub step: Step,
}

/// One step. Every read that it rests on comes before its first write, and every write carries the uid and the resourceVersion
/// of that read; a conflict ends the step, and everything is observed again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Nothing is to be written.
    Wait(Waiting),
    /// This gate is asked about this slot; what it says is written by [`Question::record`].
    Ask(Question),
    /// These writes, in this order.
    Carry(Vec<Write>),
}

impl Step {
    /// The slot that the step is about: the one that is asked about, or the first that a write changes or traffic goes to.
    pub fn slot(&self) -> Option<Slot> {
        match self {
            Self::Wait(_) => None,
            Self::Ask(question) => Some(question.slot),
            Self::Carry(writes) => writes.iter().find_map(Write::slot),
        }
    }
}

/// A gate to be asked about a slot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// Whom about.
    pub slot: Slot,
    /// What.
    pub gate: Gate,
    /// For which decision.
    pub stage: Stage,
    /// About which revision.
    pub revision: Revision,
    /// In which try.
    pub attempt: Attempt,
    /// What stands on the slot already.
    pub known: Option<Verdict>,
}

impl Question {
    /// The writes that put an answer on the slot, guarded by what was read before the gate was asked; none when it says what
    /// stands there. In a bake the pointer's epoch goes first: the answer is about what the pointer says.
    pub fn record(self, verdict: Verdict) -> Vec<Write> {
        let Self { slot, gate, stage, revision, attempt, known } = self;
        if known == Some(verdict) {
            return Vec::new();
        }
        let evidence =
            Write::Evidence { slot, evidence: Evidence { gate, stage, revision, attempt, verdict } };
        match stage {
            Stage::BeforeSwitch => vec![evidence],
            Stage::Baking(_) => vec![Write::Epoch, evidence],
        }
    }
}

/// What a step that writes nothing waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Waiting {
    /// For git: nothing is to be done.
    Git,
    /// For traffic to follow the pointer.
    Traffic,
    /// For a time that stands in the record.
    Time,
    /// For pods to come or go.
    Pods,
    /// For people.
    People,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Write {
    /// The slot's mark, so that whoever has read the slot before writes no more: the guard of this side. `serves`: traffic is
    /// about to move to it.
    Mark {
        /// The slot.
        slot: Slot,
        /// The served mark is renewed too.
        serves: bool,
    },
    /// The slot's mark says that it is let go: its pointer goes next, and is not lost.
    Release(Slot),
    /// The mark of every follower.
    MarkFollowers,
    /// No write: readiness is read again (never a resourceVersion), and the step ends where it no longer holds.
    Recheck(Recheck),
    /// The pointer's record and selection, in one write; made where it is missing.
    Point {
        /// The new record; its epoch is one more than the one that was read.
        record: Box<Record>,
        /// The new selection.
        selection: Selection,
    },
    /// The pointer's epoch, so that whoever has read it before moves nothing any more: the guard of the other side.
    Epoch,
    /// Every follower selects what the pointer selected when this was decided.
    Follow(Selection),
    /// The slot is made again from its kept render, at its recorded size.
    Recreate(Slot),
    /// The slot's size.
    Scale {
        /// The slot.
        slot: Slot,
        /// `spec.replicas`.
        replicas: u32,
    },
    /// What a gate has said, on the slot; it replaces what the same gate had said about the same thing.
    Evidence {
        /// The slot.
        slot: Slot,
        /// The evidence.
        evidence: Evidence,
    },
    /// The slot's template, without evidence or mark, at 0.
    Prepare {
        /// The slot.
        slot: Slot,
        /// What it holds from now on.
        revision: Revision,
        /// In which try.
        attempt: Attempt,
    },
    /// `minReplicas` of a slot's autoscaler.
    Autoscaler {
        /// The slot.
        slot: Slot,
        /// As many as serve now, while the slot is not live; git's otherwise.
        min: u32,
    },
    /// The slot's Deployment goes, with its autoscaler and its disruption budget.
    Delete(Slot),
    /// The pointer object goes.
    DeletePointer,
    /// Our record goes from the pointer object, which sends traffic to all pods already.
    Forget,
    /// The autoscaler of the Deployment without a colour goes, and its size stays as it is: an autoscaler whose selector matches
    /// the pods of another one's workload sizes neither.
    FreezeAutoscaler,
    /// Budgets of the slots in place of the one over all pods, which would refuse every eviction next to a second one.
    ReplaceBudget,
    /// The pods of the Deployment without a colour get this slot's, by an ordinary rolling update.
    Colour(Slot),
    /// The pods of a Deployment that was taken over lose the slot's colour again, by an ordinary rolling update.
    Uncolour(Slot),
    /// The Deployment without a colour is made, as git has it, at this size.
    MakeUncoloured {
        /// `spec.replicas`.
        replicas: u32,
    },
    /// The Deployment without a colour goes.
    DeleteUncoloured,
}

impl Phase {
    /// True when nothing that people wait for changes by itself any more, as long as the phase waits for this.
    pub const fn is_over(self, waiting: Waiting) -> bool {
        match self {
            Self::Rejected | Self::Halted | Self::Stranded | Self::Hold => !matches!(waiting, Waiting::Time),
            // What git asks for serves; the standby goes in its time.
            Self::Steady => matches!(waiting, Waiting::Time),
            // A change window has to open.
            Self::Adopt => matches!(waiting, Waiting::People),
            Self::Restore
            | Self::Install
            | Self::Remove
            | Self::Torn
            | Self::Decline
            | Self::RollBack
            | Self::FastRollBack
            | Self::Follow
            | Self::Repair
            | Self::Settle
            | Self::Bake
            | Self::Inconclusive
            | Self::Close
            | Self::Leave
            | Self::Resize
            | Self::Retire
            | Self::Drain
            | Self::Empty
            | Self::Prepare
            | Self::ScaleUp
            | Self::Warm
            | Self::Reject
            | Self::Gates
            | Self::Switch => false,
        }
    }
}

impl Write {
    /// The slot that this write changes, or that traffic goes to.
    pub const fn slot(&self) -> Option<Slot> {
        match self {
            Self::Mark { slot, .. }
            | Self::Release(slot)
            | Self::Recheck(Recheck { slot, .. })
            | Self::Follow(Selection::Only(slot))
            | Self::Recreate(slot)
            | Self::Scale { slot, .. }
            | Self::Evidence { slot, .. }
            | Self::Prepare { slot, .. }
            | Self::Autoscaler { slot, .. }
            | Self::Delete(slot)
            | Self::Colour(slot)
            | Self::Uncolour(slot) => Some(*slot),
            Self::Point { record, .. } => record.live,
            Self::MarkFollowers
            | Self::Epoch
            | Self::Follow(Selection::Nothing | Selection::All | Selection::Foreign)
            | Self::DeletePointer
            | Self::Forget
            | Self::FreezeAutoscaler
            | Self::ReplaceBudget
            | Self::MakeUncoloured { .. }
            | Self::DeleteUncoloured => None,
        }
    }

    /// The slot whose pods this write asks for; none where it asks for none.
    pub const fn asks_for_pods_of(&self) -> Option<Slot> {
        match self {
            Self::Recreate(slot) | Self::Autoscaler { slot, .. } | Self::Scale { slot, .. } => Some(*slot),
            Self::Mark { .. }
            | Self::Release(_)
            | Self::MarkFollowers
            | Self::Recheck(_)
            | Self::Point { .. }
            | Self::Epoch
            | Self::Follow(_)
            | Self::Evidence { .. }
            | Self::Prepare { .. }
            | Self::Delete(_)
            | Self::DeletePointer
            | Self::Forget
            | Self::FreezeAutoscaler
            | Self::ReplaceBudget
            | Self::Colour(_)
            | Self::Uncolour(_)
            | Self::MakeUncoloured { .. }
            | Self::DeleteUncoloured => None,
        }
    }
}

/// What has to hold still, right before a pointer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recheck {
    /// The slot that traffic is about to move to.
    pub slot: Slot,
    /// It has at least so many ready pods of its revision, and its size asks for as many.
    pub at_least: u32,
}

impl Decision {
    pub(super) const fn wait(phase: Phase, waiting: Waiting) -> Self {
        Self { phase, step: Step::Wait(waiting) }
    }

    pub(super) const fn carry(phase: Phase, writes: Vec<Write>) -> Self {
        Self { phase, step: Step::Carry(writes) }
    }
}
