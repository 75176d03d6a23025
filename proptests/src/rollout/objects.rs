//! The pointer and the slots as an API server keeps them, and what one write does to them.

use jiff::{SignedDuration, Timestamp};
use tidegate_core::rollout::{
    Attempt, Bake, Deployment, Evidence, Pods, Pointer, Recheck, Record, Revision, Selection, Slot, SlotView,
    Slots, Stage, Unready, Write,
};

use super::fresh::Mixture;

/// The time of every decision; everything else is relative to it.
pub const NOW: Timestamp = Timestamp::UNIX_EPOCH;
/// One step of the clock.
pub const TICK: SignedDuration = SignedDuration::from_secs(1);
/// Nobody asks about more than this long ago.
const LONGEST: SignedDuration = TICK;
/// Apart from the times of decisions, so that no two moves of traffic have the same one.
const MOMENT: SignedDuration = SignedDuration::from_millis(1);
/// What ran before Tidegate came.
pub const LEGACY: Revision = Revision::new(0);
/// The time of bakes of before.
pub const ANOTHER_BAKE: Timestamp = Timestamp::MIN;
/// The time of the bake that a daemon has seen, where another one has begun since.
const BAKE_BEFORE: Timestamp = Timestamp::constant(-100_000_000, 0);

/// The pods of a slot; its size is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Own {
    #[default]
    None,
    Starting,
    Ready,
    /// No endpoint any more, and not gone yet.
    Leaving,
}

/// Whether traffic has left a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Left {
    /// It has not, or nobody has a connection there any more.
    #[default]
    No,
    /// It has, and not everybody knows yet.
    Going,
    /// Everybody has known since then.
    Since(Timestamp),
}

/// A slot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that may be so, in any combination")]
pub struct SlotObject {
    pub deployment: Option<Deployment>,
    /// Pods of the template.
    pub own: Own,
    /// Pods of a template of before.
    pub has_others: bool,
    /// What can be made again, while there is no Deployment: revision and try of the last template.
    pub kept: Option<(Revision, Attempt)>,
    /// A second pod is ready.
    pub has_surplus: bool,
    /// `minReplicas` of its autoscaler.
    pub autoscaler_min: Option<u32>,
    /// Whether traffic has left it.
    pub left: Left,
    /// Its evidence is about pods that are gone.
    pub is_evidence_orphaned: bool,
    /// Somebody has deleted its Deployment, and what gates had said in the bake went with it.
    pub is_evidence_deleted: bool,
}

/// The Deployment without a colour; its size is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UncolouredObject {
    pub own: Own,
    pub has_autoscaler: bool,
    pub has_budget: bool,
    pub is_ours: bool,
}

/// The pointer object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PointerObject {
    pub record: Option<Record>,
    pub selection: Selection,
}

/// Everything that the API server keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Objects {
    pub pointer: Option<PointerObject>,
    pub slots: Slots<SlotObject>,
    /// The Deployment without a colour.
    pub uncoloured: Option<UncolouredObject>,
    /// What the one follower selects; none where there is no follower.
    pub follower: Option<Selection>,
    /// Endpoints have followed the pointer.
    pub is_settled: bool,
}

/// The record of a pointer that nothing has been switched to yet.
pub const fn installing() -> Record {
    Record {
        live: None,
        from: None,
        switched_at: NOW,
        settled_at: Some(NOW),
        bake: Bake::Closed { standby_until: None },
        rejected: None,
        halted: None,
        unready: Unready { live: None, from: None },
        order: None,
        retried: None,
        is_leaving: false,
        epoch: 0,
    }
}

impl SlotObject {
    pub fn view(&self) -> SlotView {
        let own = u32::from(self.own != Own::None);
        let others = u32::from(self.has_others);
        let surplus = u32::from(self.has_surplus && self.own == Own::Ready);
        let pods = Pods {
            ready: u32::from(self.own == Own::Ready) + surplus,
            others,
            others_ready: others,
            total: own + surplus + others,
        };
        SlotView {
            deployment: self.deployment.clone(),
            pods,
            autoscaler_min: self.autoscaler_min,
            autoscaler_max: None,
            cause: None,
        }
    }

    /// What a daemon sees that reads readiness again.
    pub fn holds(&self, recheck: Recheck) -> bool {
        let replicas = self.deployment.as_ref().map_or(0, |held| held.replicas);
        self.view().pods.ready.min(replicas) >= recheck.at_least
    }

    fn prepare(&mut self, revision: Revision, attempt: Attempt) {
        let is_same = self.deployment.as_ref().is_some_and(|held| held.revision == revision);
        if !is_same && self.own != Own::None {
            (self.own, self.has_surplus, self.has_others) = (Own::None, false, true);
        }
        self.deployment = Some(Deployment {
            revision,
            attempt,
            replicas: 0,
            recorded: 1,
            served: None,
            released: None,
            prepared_at: NOW,
            evidence: Vec::new(),
            is_current: false,
            is_adopted: false,
        });
        self.kept = None;
        self.is_evidence_orphaned = false;
    }
}

impl Objects {
    pub fn pointer(&self) -> Pointer {
        match &self.pointer {
            Some(PointerObject { record: Some(record), selection }) => {
                Pointer::Recorded { record: record.clone(), selection: *selection }
            }
            Some(PointerObject { record: None, .. }) | None => Pointer::Unrecorded,
        }
    }

    pub fn record(&self) -> Option<&Record> {
        self.pointer.as_ref().and_then(|pointer| pointer.record.as_ref())
    }

    /// `spec.replicas`; 0 where there is no Deployment.
    pub fn replicas(&self, slot: Slot) -> u32 {
        self.slots.get(slot).deployment.as_ref().map_or(0, |held| held.replicas)
    }

    pub fn selection(&self) -> Selection {
        self.pointer.as_ref().map_or(Selection::Nothing, |pointer| pointer.selection)
    }

    /// Where traffic is to go, by the record.
    pub fn recorded_selection(&self) -> Selection {
        self.record().map_or(Selection::Nothing, Record::selection)
    }

    pub fn views(&self) -> Slots<SlotView> {
        Slots { blue: self.slots.blue.view(), green: self.slots.green.view() }
    }

    /// Carries a write out whose guard holds; false when the object is not there, or is there already.
    pub fn carry(&mut self, write: &Write) -> bool {
        match write {
            Write::Mark { slot, serves: false } => self.change(*slot, |_| {}),
            Write::Mark { slot, serves: true } => self.serves(*slot),
            Write::MarkFollowers | Write::Recheck(_) => true,
            Write::Follow(selection) => {
                self.follower = self.follower.map(|_| *selection);
                true
            }
            Write::Epoch => self.pointer.is_some(),
            Write::Point { record, selection } => {
                self.point(record, *selection);
                true
            }
            Write::Recreate(slot) => self.recreate(*slot),
            Write::Scale { slot, replicas } => self.change(*slot, |held| {
                held.replicas = *replicas;
                held.is_current = false;
            }),
            Write::Evidence { slot, evidence } => {
                self.slots.get_mut(*slot).is_evidence_deleted = false;
                self.change(*slot, |held| put(&mut held.evidence, evidence))
            }
            Write::Prepare { slot, revision, attempt } => {
                let object = self.slots.get_mut(*slot);
                object.is_evidence_deleted = false;
                object.prepare(*revision, *attempt);
                true
            }
            Write::Delete(slot) => self.slots.get_mut(*slot).deployment.take().is_some(),
            Write::Release(slot) => self.change(*slot, |held| held.released = Some(NOW)),
            Write::DeletePointer => {
                self.select(Selection::Nothing);
                self.pointer = None;
                // Nothing is followed any more. What is removed drains from its release, which this world does not judge.
                for slot in Slot::ALL {
                    self.slots.get_mut(slot).left = Left::No;
                }
                true
            }
            Write::Forget => self.pointer.as_mut().and_then(|pointer| pointer.record.take()).is_some(),
            Write::Autoscaler { slot, min } => {
                let known = &mut self.slots.get_mut(*slot).autoscaler_min;
                *known = known.map(|_| *min);
                true
            }
            Write::FreezeAutoscaler => self.change_uncoloured(|uncoloured| uncoloured.has_autoscaler = false),
            Write::ReplaceBudget => self.change_uncoloured(|uncoloured| uncoloured.has_budget = false),
            Write::Colour(slot) => self.colour(*slot),
            Write::Uncolour(slot) => self.uncolour(*slot),
            Write::MakeUncoloured { .. } => {
                let made = UncolouredObject {
                    own: Own::None,
                    has_autoscaler: false,
                    has_budget: false,
                    is_ours: true,
                };
                self.uncoloured.is_none() && self.uncoloured.replace(made).is_none()
            }
            Write::DeleteUncoloured => self.uncoloured.take().is_some(),
        }
    }

    /// As a daemon sees it that has read some of it before.
    pub fn mixed_with(&self, seen: &Self, old: Mixture) -> Self {
        let mut mixed = if old.pointer { seen.clone() } else { self.clone() };
        for slot in Slot::ALL {
            let source = if *old.slots.get(slot) { seen } else { self };
            *mixed.slots.get_mut(slot) = source.slots.get(slot).clone();
        }
        mixed
    }

    /// Another bake has begun since: what this says about one is about one of before, whose time nothing else has.
    pub fn rename_bake(&mut self) {
        let known = self.record().map(|record| record.switched_at);
        for slot in Slot::ALL {
            self.change(slot, |held| {
                for evidence in &mut held.evidence {
                    match &mut evidence.stage {
                        Stage::Baking(at) if Some(*at) == known => *at = BAKE_BEFORE,
                        Stage::Baking(_) | Stage::BeforeSwitch => {}
                    }
                }
            });
        }
        if let Some(record) = self.pointer.as_mut().and_then(|pointer| pointer.record.as_mut()) {
            record.switched_at = BAKE_BEFORE;
        }
    }

    fn change_uncoloured(&mut self, change: impl FnOnce(&mut UncolouredObject)) -> bool {
        self.uncoloured.as_mut().map(change).is_some()
    }

    /// A rolling update: the old pod serves until the new one is ready.
    fn colour(&mut self, slot: Slot) -> bool {
        if self.uncoloured.take().is_none() {
            return false;
        }
        let object = self.slots.get_mut(slot);
        object.prepare(LEGACY, Attempt::default());
        object.has_others = true;
        self.change(slot, |held| (held.replicas, held.is_adopted) = (1, true))
    }

    /// A slot's evidence of before, as one of the mistakes leaves it.
    pub fn keep_evidence_of(&mut self, before: &Self, slot: Slot) {
        let known = before.slots.get(slot).deployment.as_ref().map(|held| held.evidence.clone());
        self.change(slot, |held| held.evidence = known.unwrap_or_default());
    }

    /// The same the other way round.
    fn uncolour(&mut self, slot: Slot) -> bool {
        let object = self.slots.get_mut(slot);
        let own = std::mem::take(&mut object.own);
        let is_there = object.deployment.take().is_some();
        (object.has_others, object.has_surplus) = (false, false);
        self.uncoloured =
            Some(UncolouredObject { own, has_autoscaler: false, has_budget: false, is_ours: false });
        is_there
    }

    /// True when a pod that is to stay, and is ready, gets traffic.
    pub fn serves_somebody(&self) -> bool {
        let of_slot = |slot: Slot| {
            let object = self.slots.get(slot);
            let is_adopted = object.deployment.as_ref().is_some_and(|held| held.is_adopted);
            object.deployment.as_ref().is_some_and(|held| held.replicas > 0)
                && (object.own == Own::Ready
                    || (is_adopted && object.has_others && self.selection() == Selection::All))
        };
        match self.selection() {
            Selection::Nothing | Selection::Foreign => false,
            Selection::Only(slot) => of_slot(slot),
            Selection::All => {
                self.uncoloured.is_some_and(|uncoloured| uncoloured.own == Own::Ready)
                    || Slot::ALL.into_iter().any(of_slot)
            }
        }
    }

    fn change(&mut self, slot: Slot, change: impl FnOnce(&mut Deployment)) -> bool {
        self.slots.get_mut(slot).deployment.as_mut().map(change).is_some()
    }

    fn recreate(&mut self, slot: Slot) -> bool {
        let object = self.slots.get_mut(slot);
        let (None, Some((revision, attempt))) = (&object.deployment, object.kept) else { return false };
        object.prepare(revision, attempt);
        self.change(slot, |held| held.replicas = 1) && self.serves(slot)
    }

    /// Gives a slot the newest served mark. Only which one is newer is ever asked.
    fn serves(&mut self, slot: Slot) -> bool {
        self.change(slot.other(), |held| held.served = held.served.map(|_| NOW - TICK));
        self.change(slot, |held| (held.served, held.released) = (Some(NOW), None))
    }

    fn point(&mut self, record: &Record, selection: Selection) {
        let is_restored = self.selection() != selection;
        let is_move = self.record().is_none_or(|before| before.switched_at != record.switched_at);
        let record = Record { epoch: 0, ..record.clone() };
        self.pointer = Some(PointerObject { record: Some(record), selection: self.selection() });
        if is_move {
            self.begin_bake();
        }
        let before = self.selection();
        self.select(selection);
        for slot in Slot::ALL {
            let left = &mut self.slots.get_mut(slot).left;
            if is_restored && before == Selection::Only(slot) {
                *left = Left::Going;
            }
            if selection == Selection::Only(slot) {
                *left = Left::No;
            }
        }
    }

    /// Gives the move that has just landed a time of its own: all evidence that stands there is of another bake.
    fn begin_bake(&mut self) {
        for slot in Slot::ALL {
            self.change(slot, |held| forget_bakes(&mut held.evidence));
        }
        if let Some(record) = self.pointer.as_mut().and_then(|pointer| pointer.record.as_mut()) {
            record.switched_at = NOW - MOMENT;
        }
    }

    /// Moves traffic.
    pub fn select(&mut self, selection: Selection) {
        let Some(pointer) = &mut self.pointer else { return };
        let before = std::mem::replace(&mut pointer.selection, selection);
        if before == selection {
            return;
        }
        self.is_settled = false;
    }

    /// Endpoints have followed the pointer: drains count from now.
    pub fn settle(&mut self) {
        self.is_settled = true;
        for slot in Slot::ALL {
            let left = &mut self.slots.get_mut(slot).left;
            if *left == Left::Going {
                *left = Left::Since(NOW);
            }
        }
    }

    /// Everything is one tick longer ago.
    pub fn tick(&mut self) {
        for slot in Slot::ALL {
            let object = self.slots.get_mut(slot);
            if let Left::Since(left) = &mut object.left {
                age(left);
            }
            if let Some(held) = &mut object.deployment {
                age(&mut held.prepared_at);
                held.released.as_mut().map(age);
                held.evidence.iter_mut().for_each(|evidence| match &mut evidence.stage {
                    Stage::BeforeSwitch => {}
                    Stage::Baking(at) => age(at),
                });
            }
        }
        if let Some(record) = self.pointer.as_mut().and_then(|pointer| pointer.record.as_mut()) {
            age_record(record);
        }
    }
}

fn put(evidence: &mut Vec<Evidence>, new: &Evidence) {
    evidence.retain(|known| known.gate != new.gate || known.stage != new.stage);
    evidence.push(new.clone());
    evidence.sort_by_key(|evidence| match evidence.stage {
        Stage::BeforeSwitch => (0, Timestamp::MIN),
        Stage::Baking(at) => (1, at),
    });
}

pub fn make_old(evidence: &mut Evidence) {
    match &mut evidence.stage {
        Stage::BeforeSwitch => {}
        Stage::Baking(at) => *at = ANOTHER_BAKE,
    }
}

/// One tick longer ago; the distant past stays the distant past.
pub fn age(time: &mut Timestamp) {
    if *time > NOW - SignedDuration::from_hours(1) {
        *time = (*time - TICK).max(NOW - LONGEST - MOMENT);
    }
}

/// One tick nearer; what is over stays over.
fn come(time: &mut Timestamp) {
    *time = (*time - TICK).max(NOW);
}

/// All evidence of bakes is of another one now.
fn forget_bakes(evidence: &mut Vec<Evidence>) {
    evidence.iter_mut().for_each(make_old);
    let mut later: Vec<Evidence> = Vec::new();
    for one in evidence.drain(..).rev() {
        if !later.iter().any(|known| known.gate == one.gate && known.stage == one.stage) {
            later.insert(0, one);
        }
    }
    *evidence = later;
}

pub fn age_record(record: &mut Record) {
    age(&mut record.switched_at);
    record.settled_at.as_mut().map(age);
    record.unready.live.as_mut().map(age);
    record.unready.from.as_mut().map(age);
    if let Some(rejected) = &mut record.rejected {
        age(&mut rejected.at);
    }
    match &mut record.bake {
        Bake::Open { until, max } => {
            come(until);
            come(max);
        }
        Bake::Closed { standby_until } => drop(standby_until.as_mut().map(come)),
    }
}
