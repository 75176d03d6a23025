//! A workload whose blue slot is live with two ready pods of revision 1, as git asks for; each test changes what it is about.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::super::{
    Asked, Attempt, Bake, Command, Decision, Deployment, Desired, Evidence, From, Gate, GateName, Gates,
    Order, Phase, Pods, Pointer, Record, Revision, Selection, Situation, Size, Slot, SlotView, Slots, Stage,
    Step, Timing, Uncoloured, Unready, Verdict, Waiting, Write, decide,
};

/// The time of every decision: an hour after the epoch.
pub const NOW: Timestamp = Timestamp::constant(3600, 0);

pub const fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// So many minutes before now.
pub fn ago(count: i64) -> Timestamp {
    NOW.checked_sub(minutes(count)).expect("within the hour")
}

/// So many minutes after now.
pub fn later(count: i64) -> Timestamp {
    NOW.checked_add(minutes(count)).expect("within the year")
}

pub const fn revision(number: u128) -> Revision {
    Revision::new(number)
}

pub fn gate(name: &str) -> Gate {
    Gate { name: GateName(Arc::from(name)), config: 1 }
}

pub fn order(command: Command, number: u128) -> Order {
    Order {
        command,
        revision: revision(number),
        person: Arc::from("ann"),
        reason: Arc::from("incident 7"),
        at: ago(1),
    }
}

#[derive(Debug, Clone)]
pub struct Scene {
    pub desired: Desired,
    pub size: Size,
    pub pointer: Pointer,
    pub slots: Slots<SlotView>,
    pub uncoloured: Option<Uncoloured>,
    pub followers_agree: bool,
    pub is_settled: bool,
    pub is_allowed: bool,
    pub repair_refused: Slots<bool>,
    pub gates: Gates,
    pub asked: Vec<Asked>,
}

pub fn timing() -> Timing {
    Timing {
        drain: minutes(1),
        bake: minutes(10),
        bake_max: minutes(60),
        standby: minutes(30),
        keep_failed: minutes(10),
        warm: minutes(10),
        grace: minutes(1),
        settle: minutes(2),
        floor_percent: 80,
    }
}

/// A slot with so many pods of a revision, all of them ready.
pub fn running(number: u128, pods: u32) -> SlotView {
    let deployment = Deployment {
        revision: revision(number),
        attempt: Attempt::default(),
        replicas: pods,
        recorded: pods,
        served: None,
        released: None,
        prepared_at: ago(5),
        evidence: Vec::new(),
        is_current: true,
        is_adopted: false,
    };
    SlotView {
        deployment: Some(deployment),
        pods: Pods { ready: pods, others: 0, others_ready: 0, total: pods },
        autoscaler_min: None,
        autoscaler_max: None,
        cause: None,
    }
}

/// A record that says that blue is live, settled long ago, its bake closed.
pub fn blue_is_live() -> Record {
    Record {
        live: Some(Slot::Blue),
        from: None,
        switched_at: ago(50),
        settled_at: Some(ago(49)),
        bake: Bake::Closed { standby_until: None },
        rejected: None,
        halted: None,
        unready: Unready::default(),
        order: None,
        retried: None,
        is_leaving: false,
        epoch: 7,
    }
}

impl Scene {
    /// Revision 1 is live on blue, and asked for.
    pub fn steady() -> Self {
        let mut blue = running(1, 2);
        if let Some(held) = &mut blue.deployment {
            held.served = Some(ago(50));
        }
        Self {
            desired: Desired::Revision { revision: revision(1), attempt: Attempt::default() },
            size: Size { replicas: 2, autoscaler: None },
            pointer: Pointer::Recorded { record: blue_is_live(), selection: Selection::Only(Slot::Blue) },
            slots: Slots { blue, green: SlotView::default() },
            uncoloured: None,
            followers_agree: true,
            is_settled: true,
            is_allowed: true,
            repair_refused: Slots::default(),
            gates: Gates { before_switch: vec![gate("smoke")], while_baking: vec![gate("errors")] },
            asked: Vec::new(),
        }
    }

    /// Git asks for revision 2.
    pub fn new_commit() -> Self {
        let mut scene = Self::steady();
        scene.asks_for(2);
        scene
    }

    /// Revision 2 is live on green since five minutes, watched for ten; it came from blue.
    pub fn baking() -> Self {
        let mut scene = Self::new_commit();
        scene.slots.green = running(2, 2);
        scene.says(Slot::Green, "smoke", Stage::BeforeSwitch, Verdict::Pass);
        scene.record().live = Some(Slot::Green);
        scene.record().from = Some(From { slot: Slot::Blue, revision: revision(1) });
        scene.record().switched_at = ago(5);
        scene.record().settled_at = Some(ago(5));
        scene.record().bake = Bake::Open { until: later(5), max: later(55) };
        scene.selects(Selection::Only(Slot::Green));
        scene
    }

    pub fn asks_for(&mut self, number: u128) {
        self.desired = Desired::Revision { revision: revision(number), attempt: Attempt::default() };
    }

    pub fn record(&mut self) -> &mut Record {
        match &mut self.pointer {
            Pointer::Recorded { record, .. } => record,
            Pointer::Unrecorded => panic!("this scene has no record"),
        }
    }

    pub fn selects(&mut self, new: Selection) {
        match &mut self.pointer {
            Pointer::Recorded { selection, .. } => *selection = new,
            Pointer::Unrecorded => panic!("this scene has no record"),
        }
    }

    pub fn held(&mut self, slot: Slot) -> &mut Deployment {
        self.slots.get_mut(slot).deployment.as_mut().expect("this scene has the slot")
    }

    /// A gate has said this about what the slot holds.
    pub fn says(&mut self, slot: Slot, name: &str, stage: Stage, verdict: Verdict) {
        let held = self.held(slot);
        let (revision, attempt) = (held.revision, held.attempt);
        held.evidence.push(Evidence { gate: gate(name), stage, revision, attempt, verdict });
    }

    /// The same in the open bake.
    pub fn says_in_bake(&mut self, verdict: Verdict) {
        let (live, switched_at) = (self.record().live.expect("something is live"), self.record().switched_at);
        self.says(live, "errors", Stage::Baking(switched_at), verdict);
    }

    pub fn decide(&self) -> Decision {
        decide(&self.situation(&timing()))
    }

    /// All that the decision reads.
    pub fn situation<'a>(&'a self, timing: &'a Timing) -> Situation<'a> {
        Situation {
            now: NOW,
            desired: self.desired,
            size: self.size,
            pointer: &self.pointer,
            slots: &self.slots,
            uncoloured: self.uncoloured,
            followers_agree: self.followers_agree,
            is_settled: self.is_settled,
            balancer_agrees: true,
            is_allowed: self.is_allowed,
            repair_refused: self.repair_refused,
            gates: &self.gates,
            asked: &self.asked,
            timing,
        }
    }

    pub fn phase(&self) -> Phase {
        self.decide().phase
    }

    /// The writes of the one step; none when it waits or asks.
    pub fn writes(&self) -> Vec<Write> {
        match self.decide().step {
            Step::Carry(writes) => writes,
            Step::Wait(_) | Step::Ask(_) => Vec::new(),
        }
    }

    /// What the step writes to the pointer.
    pub fn pointed(&self) -> Record {
        let pointed = self.writes().into_iter().find_map(|write| match write {
            Write::Point { record, .. } => Some(*record),
            _ => None,
        });
        pointed.unwrap_or_else(|| panic!("no pointer is written: {:?}", self.decide()))
    }

    pub fn waits(&self, phase: Phase, waiting: Waiting) {
        assert_eq!(self.decide(), Decision { phase, step: Step::Wait(waiting) });
    }

    pub fn carries(&self, phase: Phase, writes: &[Write]) {
        assert_eq!(self.decide(), Decision { phase, step: Step::Carry(writes.to_vec()) });
    }
}
