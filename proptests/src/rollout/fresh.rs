//! How old what a daemon goes by is: which objects are still as it has read them, and what a look that is partly old is made of.

use tidegate_core::rollout::{Slot, Slots, Write};

/// What a daemon has read is still as it is; of the pointer, of each slot and of the follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is one object that was read")]
pub struct Fresh {
    pub pointer: bool,
    pub slots: Slots<bool>,
    pub follower: bool,
    pub uncoloured: bool,
    /// Pods have stopped to be ready after they were read for the last time, right before traffic moves to them.
    pub raced: bool,
    /// The slot that traffic is about to leave has got more pods since it was read.
    pub grown: bool,
}

/// An object that a write changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Pointer,
    Slot(Slot),
    Follower,
    Uncoloured,
    Nothing,
}

impl Fresh {
    pub const ALL: Self = Self {
        pointer: true,
        slots: Slots { blue: true, green: true },
        follower: true,
        uncoloured: true,
        raced: false,
        grown: false,
    };

    pub const fn is(self, target: Target) -> bool {
        match target {
            Target::Pointer => self.pointer,
            Target::Slot(slot) => *self.slots.get(slot),
            Target::Follower => self.follower,
            Target::Uncoloured => self.uncoloured,
            Target::Nothing => true,
        }
    }

    pub const fn set(&mut self, target: Target, fresh: bool) {
        match target {
            Target::Pointer => self.pointer = fresh,
            Target::Slot(slot) => *self.slots.get_mut(slot) = fresh,
            Target::Follower => self.follower = fresh,
            Target::Uncoloured => self.uncoloured = fresh,
            Target::Nothing => {}
        }
    }
}

pub const fn target(write: &Write) -> Target {
    match write {
        Write::Mark { slot, .. }
        | Write::Recreate(slot)
        | Write::Scale { slot, .. }
        | Write::Evidence { slot, .. }
        | Write::Delete(slot)
        | Write::Release(slot)
        | Write::Uncolour(slot)
        | Write::Prepare { slot, .. } => Target::Slot(*slot),
        Write::Point { .. } | Write::Epoch | Write::DeletePointer | Write::Forget => Target::Pointer,
        Write::MarkFollowers | Write::Follow(_) => Target::Follower,
        Write::FreezeAutoscaler
        | Write::ReplaceBudget
        | Write::Colour(_)
        | Write::MakeUncoloured { .. }
        | Write::DeleteUncoloured => Target::Uncoloured,
        Write::Recheck(_) | Write::Autoscaler { .. } => Target::Nothing,
    }
}

/// What of a daemon's first look it still goes by: the pointer with its followers, and each slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mixture {
    pub pointer: bool,
    pub slots: Slots<bool>,
}

impl Mixture {
    /// All that are not wholly new.
    pub const ALL: [Self; 7] = {
        const fn of(pointer: bool, blue: bool, green: bool) -> Mixture {
            Mixture { pointer, slots: Slots { blue, green } }
        }
        [
            of(true, true, true),
            of(true, true, false),
            of(true, false, true),
            of(true, false, false),
            of(false, true, true),
            of(false, true, false),
            of(false, false, true),
        ]
    };

    /// What is read anew is as it is.
    pub const fn fresh(self, mut fresh: Fresh) -> Fresh {
        if !self.pointer {
            (fresh.pointer, fresh.follower, fresh.uncoloured) = (true, true, true);
        }
        if !self.slots.blue {
            fresh.slots.blue = true;
        }
        if !self.slots.green {
            fresh.slots.green = true;
        }
        fresh
    }
}
