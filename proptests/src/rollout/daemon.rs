//! A daemon: it reads, decides by the core, and sends one write after the other, each guarded by what it had read before the
//! first one. It keeps nothing between steps.

use tidegate_core::rollout::{
    Autoscaler, Decision, Gates, Question, Situation, Size, Slots, Stage, Step, Timing, Uncoloured, Write,
    decide,
};

use super::fresh::Fresh;
use super::objects::{NOW, Objects, Own, TICK, age, age_record, make_old};
use super::world::{Limits, Wanted};

/// What a daemon is at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Daemon {
    /// At nothing, or just started.
    Idle,
    /// It has read this, and will read some of it again before it decides.
    Reading(Box<Objects>, Fresh),
    /// A gate has been asked, and has not answered.
    Asking(Box<Question>, Fresh),
    /// These writes are still to be sent.
    Writing(Vec<Write>, Fresh),
}

/// The durations of the small world, in ticks.
pub fn timing() -> Timing {
    Timing {
        drain: TICK,
        bake: TICK,
        bake_max: TICK * 2,
        standby: TICK,
        keep_failed: TICK,
        warm: TICK,
        grace: TICK,
        settle: TICK,
        floor_percent: 100,
    }
}

/// As many pods as git asks for.
pub const ASKED: u32 = 1;

/// What others say that a decision reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outside {
    /// Windows are open.
    pub is_allowed: bool,
    /// The load balancer calls targets healthy.
    pub balancer_agrees: bool,
}

impl Outside {
    /// They are there, and say yes.
    pub const WELL: Self = Self { is_allowed: true, balancer_agrees: true };
    /// They say nothing.
    pub const GONE: Self = Self { is_allowed: false, balancer_agrees: false };
}

/// What the core says about these objects.
pub fn decision(objects: &Objects, wanted: Wanted, limits: &Limits, gates: &Gates) -> Decision {
    decision_when(objects, wanted, Outside::WELL, limits, gates)
}

/// The same, whatever others say.
pub fn decision_when(
    objects: &Objects,
    wanted: Wanted,
    outside: Outside,
    limits: &Limits,
    gates: &Gates,
) -> Decision {
    let (mut timing, mut objects) = (timing(), objects.clone());
    if let Some(bug) = limits.bug {
        bug.before(&mut objects, &mut timing, wanted.desired());
    }
    let (pointer, slots) = (objects.pointer(), objects.views());
    let situation = Situation {
        now: NOW,
        desired: wanted.desired(),
        size: Size {
            replicas: ASKED,
            autoscaler: limits.autoscales.then_some(Autoscaler { min: ASKED, max: 2 }),
        },
        pointer: &pointer,
        slots: &slots,
        uncoloured: objects.uncoloured.map(|uncoloured| Uncoloured {
            replicas: 1,
            ready: u32::from(uncoloured.own == Own::Ready),
            has_autoscaler: uncoloured.has_autoscaler,
            has_budget: uncoloured.has_budget,
            is_ours: uncoloured.is_ours,
        }),
        followers_agree: objects.follower.is_none_or(|follower| follower == objects.recorded_selection()),
        is_settled: objects.is_settled,
        balancer_agrees: outside.balancer_agrees,
        is_allowed: outside.is_allowed,
        repair_refused: Slots::default(),
        gates,
        // One gate in a bake: it is its turn always.
        asked: &[],
        timing: &timing,
    };
    let decision = decide(&situation);
    match limits.bug {
        Some(bug) => bug.after(decision, &objects, wanted.desired()),
        None => decision,
    }
}

impl Daemon {
    /// What a daemon that has just read these objects does next; none when it waits.
    pub fn begin(decision: &Decision, fresh: Fresh) -> Option<Self> {
        match &decision.step {
            Step::Wait(_) => None,
            Step::Ask(question) => Some(Self::Asking(Box::new(question.clone()), fresh)),
            Step::Carry(writes) => Some(Self::writing(writes.clone(), fresh)),
        }
    }

    pub fn writing(mut writes: Vec<Write>, fresh: Fresh) -> Self {
        writes.iter_mut().for_each(normalise);
        if writes.is_empty() { Self::Idle } else { Self::Writing(writes, fresh) }
    }

    pub const fn fresh(&mut self) -> Option<&mut Fresh> {
        match self {
            Self::Idle => None,
            Self::Reading(_, fresh) | Self::Asking(_, fresh) | Self::Writing(_, fresh) => Some(fresh),
        }
    }

    /// What it is about to write is about a bake of before.
    pub fn make_old(&mut self) {
        match self {
            Self::Idle => {}
            Self::Reading(seen, _) => seen.rename_bake(),
            Self::Asking(question, _) => match &mut question.stage {
                Stage::BeforeSwitch => {}
                stage @ Stage::Baking(_) => *stage = Stage::Baking(jiff::Timestamp::MIN),
            },
            Self::Writing(writes, _) => writes.iter_mut().for_each(make_write_old),
        }
    }

    pub fn tick(&mut self) {
        match self {
            Self::Idle => {}
            Self::Reading(seen, _) => seen.tick(),
            Self::Asking(question, _) => match &mut question.stage {
                Stage::BeforeSwitch => {}
                Stage::Baking(at) => age(at),
            },
            Self::Writing(writes, _) => writes.iter_mut().for_each(tick_write),
        }
    }
}

/// The epoch grows without end; freshness stands for it.
fn normalise(write: &mut Write) {
    if let Write::Point { record, .. } = write {
        record.epoch = 0;
    }
}

pub fn make_write_old(write: &mut Write) {
    if let Write::Evidence { evidence, .. } = write {
        make_old(evidence);
    }
}

pub fn tick_write(write: &mut Write) {
    match write {
        Write::Point { record, .. } => age_record(record),
        Write::Evidence { evidence, .. } => match &mut evidence.stage {
            Stage::BeforeSwitch => {}
            Stage::Baking(at) => age(at),
        },
        Write::Mark { .. }
        | Write::MarkFollowers
        | Write::Recheck(_)
        | Write::Epoch
        | Write::Follow(_)
        | Write::Recreate(_)
        | Write::Scale { .. }
        | Write::Delete(_)
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
        | Write::Prepare { .. } => {}
    }
}
