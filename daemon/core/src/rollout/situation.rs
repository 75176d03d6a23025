//! All that one decision reads, and how readiness and time are counted.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::gate::{About, Asked, Gate, Gates, Stage, Verdict};
use super::order::Command;
use super::pointer::{From, Pointer, Reason, Record};
use super::slot::{Attempt, Deployment, Revision, Slot, SlotView, Slots};

/// What git asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Desired {
    /// This revision.
    Revision {
        /// Of the template and its configuration.
        revision: Revision,
        /// Its try.
        attempt: Attempt,
    },
    /// Nobody knows: git or the render is broken. Nothing new is decided.
    Unknown,
    /// The workload has left git.
    Gone {
        /// Pruning is allowed, and within its budget.
        may_delete: bool,
    },
    /// The workload without colours.
    Plain,
}

impl Desired {
    /// The revision, where it is known.
    pub const fn revision(self) -> Option<Revision> {
        match self {
            Self::Revision { revision, attempt: _ } => Some(revision),
            Self::Unknown | Self::Gone { .. } | Self::Plain => None,
        }
    }
}

/// How many pods git asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// `spec.replicas` in git.
    pub replicas: u32,
    /// Its autoscaler in git.
    pub autoscaler: Option<Autoscaler>,
}

/// The bounds of an autoscaler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Autoscaler {
    /// `minReplicas`.
    pub min: u32,
    /// `maxReplicas`.
    pub max: u32,
}

/// The Deployment under the workload's own name, without a colour: from before Tidegate came, or made for the time after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Uncoloured {
    /// `spec.replicas`.
    pub replicas: u32,
    /// Its ready pods.
    pub ready: u32,
    /// An autoscaler sizes it.
    pub has_autoscaler: bool,
    /// A disruption budget of somebody else matches its pods.
    pub has_budget: bool,
    /// It was made for the time after the colours.
    pub is_ours: bool,
}

/// The durations of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timing {
    /// The effective drain: nothing is taken from the slot that traffic left before this is over, counted from settling.
    pub drain: SignedDuration,
    /// How long gates watch the new live slot at least.
    pub bake: SignedDuration,
    /// And at most.
    pub bake_max: SignedDuration,
    /// How long the other slot is kept at its size after the bake.
    pub standby: SignedDuration,
    /// How long a rejected slot is kept for people to look at.
    pub keep_failed: SignedDuration,
    /// How long pods may take to be ready, counted from the write of their template.
    pub warm: SignedDuration,
    /// How long a slot may be below its floor while a bake is open.
    pub grace: SignedDuration,
    /// How long traffic may take to follow the pointer.
    pub settle: SignedDuration,
    /// The share of the parity below which a live slot is unwell, in percent.
    pub floor_percent: u32,
}

/// All that one decision reads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that is seen, in any combination")]
pub struct Situation<'a> {
    /// The time of the decision.
    pub now: Timestamp,
    /// What git asks for.
    pub desired: Desired,
    /// How many pods git asks for.
    pub size: Size,
    /// The pointer.
    pub pointer: &'a Pointer,
    /// The slots.
    pub slots: &'a Slots<SlotView>,
    /// The Deployment without a colour, where there is one.
    pub uncoloured: Option<Uncoloured>,
    /// Every follower selects what the pointer selects.
    pub followers_agree: bool,
    /// Traffic has followed the pointer: the traffic mode's own condition.
    pub is_settled: bool,
    /// The load balancer calls the other slot's targets healthy; true where there is none.
    pub balancer_agrees: bool,
    /// Approvals, windows and promotions allow a switch now.
    pub is_allowed: bool,
    /// A repair of the slot was refused by the API server.
    pub repair_refused: Slots<bool>,
    /// The gates of the policy.
    pub gates: &'a Gates,
    /// When gates were asked last, as far as this daemon knows: which of a bake is asked next, and nothing else.
    pub asked: &'a [Asked],
    /// The durations of the policy.
    pub timing: &'a Timing,
}

impl Situation<'_> {
    /// True when so much time has gone since.
    pub(super) fn is_over(&self, since: Timestamp, duration: SignedDuration) -> bool {
        self.now.duration_since(since) >= duration
    }

    /// So much later than now; the end of time where that is beyond it.
    pub(super) fn after(&self, duration: SignedDuration) -> Timestamp {
        self.now.checked_add(duration).unwrap_or(Timestamp::MAX)
    }

    pub(super) fn deployment(&self, slot: Slot) -> Option<&Deployment> {
        self.slots.get(slot).deployment.as_ref()
    }

    /// `spec.replicas`; 0 where there is no Deployment.
    pub(super) fn replicas(&self, slot: Slot) -> u32 {
        self.deployment(slot).map_or(0, |deployment| deployment.replicas)
    }

    pub(super) fn revision(&self, slot: Slot) -> Option<Revision> {
        self.deployment(slot).map(|deployment| deployment.revision)
    }

    /// Endpoints of the slot's revision, whatever its controller is at: a change of its specification is no outage.
    pub fn serving(&self, slot: Slot) -> u32 {
        self.slots.get(slot).pods.ready
    }

    /// The same, once the controller has seen the newest generation and no pod of another revision is left; pods beyond the
    /// slot's size are about to go, and do not count.
    pub fn ready(&self, slot: Slot) -> u32 {
        let view = self.slots.get(slot);
        let is_current = view.deployment.as_ref().is_some_and(|deployment| deployment.is_current);
        if is_current && view.pods.others == 0 { view.pods.ready.min(self.replicas(slot)) } else { 0 }
    }

    /// As many as serve now, and as git asks for at least.
    pub fn parity(&self, live: Option<Slot>) -> u32 {
        self.asked().max(live.map_or(0, |live| self.serving(live)))
    }

    /// As many as git asks for at least.
    pub(super) fn asked(&self) -> u32 {
        self.size.replicas.max(self.size.autoscaler.map_or(0, |autoscaler| autoscaler.min))
    }

    /// The least number of ready pods of a slot that is well.
    pub fn floor(&self, live: Option<Slot>) -> u32 {
        let share = u64::from(self.parity(live)) * u64::from(self.timing.floor_percent);
        u32::try_from(share.div_ceil(100)).unwrap_or(u32::MAX)
    }

    /// True when git's revision is the rejected one, in the same try.
    pub(super) fn is_held_as_rejected(&self, record: &Record) -> bool {
        record.rejected.as_ref().is_some_and(|rejected| match self.desired {
            Desired::Revision { revision, attempt } => {
                rejected.revision == revision && rejected.attempt == attempt
            }
            Desired::Unknown | Desired::Gone { .. } | Desired::Plain => false,
        })
    }

    /// What gates before the switch have to be about, for what a slot holds.
    pub(super) fn before_switch(&self, slot: Slot) -> Option<About> {
        self.deployment(slot).map(|deployment| About {
            stage: Stage::BeforeSwitch,
            revision: deployment.revision,
            attempt: deployment.attempt,
        })
    }

    /// What gates of the open bake have to be about.
    pub(super) fn in_bake(&self, live: Slot, record: &Record) -> Option<About> {
        self.deployment(live).map(|deployment| About {
            stage: Stage::Baking(record.switched_at),
            revision: deployment.revision,
            attempt: deployment.attempt,
        })
    }

    pub(super) fn evidence(&self, slot: Slot) -> &[super::gate::Evidence] {
        self.deployment(slot).map(|deployment| deployment.evidence.as_slice()).unwrap_or_default()
    }

    /// True when every gate before the switch has passed for what the slot holds.
    pub fn has_complete_evidence(&self, slot: Slot) -> bool {
        self.before_switch(slot)
            .is_some_and(|about| about.missing(&self.gates.before_switch, self.evidence(slot)).is_none())
    }

    /// The first gate of the open bake that has not passed.
    pub(super) fn missing_in_bake(&self, live: Slot, record: &Record) -> Option<&Gate> {
        let Some(about) = self.in_bake(live, record) else { return self.gates.while_baking.first() };
        about.missing(&self.gates.while_baking, self.evidence(live))
    }

    /// Why the live slot of an open bake is unwell.
    pub(super) fn trouble(&self, live: Slot, record: &Record) -> Option<Reason> {
        if !record.is_baking() {
            return None;
        }
        if let Some(order) = &record.order
            && Some(order.revision) == self.revision(live)
        {
            match order.command {
                Command::Abort | Command::RollBack => return Some(Reason::Ordered(order.clone())),
                Command::Promote | Command::Resume | Command::Retry => {}
            }
        }
        let about = self.in_bake(live, record);
        let failed = about.and_then(|about| about.failed(&self.gates.while_baking, self.evidence(live)));
        if let Some(gate) = failed {
            return Some(Reason::Gate(gate.name.clone()));
        }
        let unready = self.serving(live) < self.floor(Some(live));
        if unready && record.unready.live.is_some_and(|since| self.is_over(since, self.timing.grace)) {
            return Some(Reason::LostReadiness);
        }
        let unsettled = record.settled_at.is_none() && !self.is_settled;
        (unsettled && self.is_over(record.switched_at, self.timing.settle)).then_some(Reason::NeverSettled)
    }

    /// What is told with the reason for which the slot's revision is turned down.
    pub(super) fn cause(&self, slot: Slot, reason: &Reason) -> Option<Arc<str>> {
        match reason {
            Reason::NeverReady | Reason::LostReadiness | Reason::Torn => self.slots.get(slot).cause.clone(),
            Reason::Gate(_) | Reason::NeverSettled | Reason::Ordered(_) => None,
        }
    }

    /// True when the slot may take the traffic back.
    pub(super) fn can_take_back(&self, from: From, live: Slot) -> bool {
        let ready = self.ready(from.slot);
        ready >= self.floor(Some(live)) || self.serving(live) == 0 && ready > 0
    }

    /// True when nothing of the last move's traffic is left on the other slot.
    pub(super) fn is_drained(&self, record: &Record) -> bool {
        record.settled_at.is_some_and(|settled| self.is_over(settled, self.timing.drain))
    }

    /// True when the other slot is no longer kept as a standby.
    pub(super) fn is_standby_over(&self, record: &Record) -> bool {
        match record.bake {
            super::pointer::Bake::Open { .. } => false,
            super::pointer::Bake::Closed { standby_until } => {
                standby_until.is_none_or(|until| self.now >= until)
            }
        }
    }

    /// The verdict of one gate before the switch.
    pub(super) fn verdict_before_switch(&self, slot: Slot, gate: &Gate) -> Option<Verdict> {
        self.before_switch(slot).and_then(|about| about.verdict(gate, self.evidence(slot)))
    }
}
