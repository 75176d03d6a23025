//! What a pass shows of a workload, as the deploy log tells it: which revisions its slots hold, who serves, what gates have said, and
//! what a step is about to write.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use tidegate_core::ledger::{
    AppName, Evidence, ObjectOperation, Operation, Running, Shift, Stand, app_name, gate_answers, running,
};
use tidegate_core::object::{Gvk, ObjectRef};
use tidegate_core::problem::Code;
use tidegate_core::rollout::{
    Decision, Desired, Failure, Order, Pointer, Record, Revision, Slot, SlotRecord, Slots, Step,
    WorkloadStatus, Write,
};
use tidegate_core::workload::names::{REVISION, SLOT, slot_name};

use super::super::names::{Names, reference};
use super::super::observe::{Seen, SeenSlot};
use crate::ledger::note_digests;

/// What a pass shows.
#[derive(Debug, Clone)]
pub struct Look {
    /// Where the workload stands.
    pub stand: Stand,
    /// The same in words.
    pub reason: String,
    /// What was turned down, told whole.
    pub failure: Option<Failure>,
    /// What a person has ordered.
    pub order: Option<Order>,
    /// The live slot.
    pub live: Option<Slot>,
    /// When traffic was moved last.
    pub switched_at: Option<Timestamp>,
    /// The move that is being baked.
    pub moved: Option<Shift>,
    /// What the slots hold.
    pub slots: Slots<Option<HeldSlot>>,
}

/// What a slot holds.
#[derive(Debug, Clone)]
pub struct HeldSlot {
    record: SlotRecord,
    running: Option<Running>,
}

impl Look {
    /// Of a pass that has decided.
    pub fn of(
        seen: &Seen,
        desired: Desired,
        decision: &Decision,
        status: &WorkloadStatus,
        (namespace, app): (&str, &str),
    ) -> Self {
        let app = app_name(&reference(namespace, app));
        let record = match &seen.pointer {
            Pointer::Recorded { record, .. } => Some(record),
            Pointer::Unrecorded => None,
        };
        let slots = Slots { blue: held(seen, Slot::Blue), green: held(seen, Slot::Green) };
        let live = record.and_then(|record| record.live);
        let revision = |slot: Slot| slots.get(slot).as_ref().map(|held: &HeldSlot| held.record.revision);
        let stand = Stand {
            phase: decision.phase,
            waits: match decision.step {
                Step::Wait(waiting) => Some(waiting),
                Step::Ask(_) | Step::Carry(_) => None,
            },
            desired: desired.revision(),
            serves: live.and_then(revision),
            is_baking: record.is_some_and(Record::is_baking),
        };
        let moved = record.filter(|record| record.is_baking()).and_then(|record| {
            Some(shift(app.as_ref()?, record.from.map(|from| from.slot), record.live?, record.switched_at))
        });
        Self {
            stand,
            reason: status.reason.clone(),
            failure: status.failure.as_deref().cloned(),
            order: record.and_then(|record| record.order.clone()),
            live,
            switched_at: record.map(|record| record.switched_at),
            moved,
            slots,
        }
    }

    /// The revision that a slot holds.
    pub fn revision(&self, slot: Slot) -> Option<Revision> {
        self.slots.get(slot).as_ref().map(|held| held.record.revision)
    }

    /// What a daemon finds that comes after another one, in words.
    pub fn found(&self) -> String {
        let live = self.live.and_then(|live| Some((live, self.slots.get(live).as_ref()?)));
        match live {
            Some((live, HeldSlot { record, .. })) => {
                format!(
                    "{live} serves revision {} of commit {}; {}",
                    record.revision, record.commit, self.reason
                )
            }
            None => format!("nothing serves; {}", self.reason),
        }
    }

    /// What runs where traffic goes.
    pub fn serving(&self) -> Option<Running> {
        self.slots.get(self.live?).as_ref()?.running.clone()
    }

    /// What runs of a revision, and what gates have said of it.
    pub fn of_revision(
        &self,
        app: &AppName,
        revision: Revision,
    ) -> (Option<Running>, Vec<tidegate_core::ledger::GateAnswer>) {
        let mut slots = Slot::ALL.into_iter().filter_map(|slot| self.slots.get(slot).as_ref());
        match slots.find(|held| held.record.revision == revision) {
            Some(held) => (held.running.clone(), gate_answers(app, &held.record, revision)),
            None => (None, Vec::new()),
        }
    }

    /// Why what was asked for was turned down: its code, its sentence, and what its pods said last.
    pub fn turned_down(&self) -> (Option<String>, Vec<Evidence>) {
        let Some(failure) = &self.failure else { return (None, Vec::new()) };
        let words = failure.last_words.as_ref().filter(|words| !words.lines.is_empty());
        let log = words.map(|words| Evidence {
            kind: "log".to_owned(),
            of: format!("{}/{}", words.pod, words.container),
            text: words.lines.join("\n"),
        });
        (Some(Code::RolloutRejected.to_string()), log.into_iter().collect())
    }
}

/// A move of all traffic, by the colours.
pub fn shift(app: &AppName, from: Option<Slot>, to: Slot, t: Timestamp) -> Shift {
    let from = from.map(|slot| slot.to_string());
    Shift { app: app.clone(), t, from, to: to.to_string(), weight: 100 }
}

fn held(seen: &Seen, slot: Slot) -> Option<HeldSlot> {
    let SeenSlot { live, record, .. } = seen.slots.get(slot).as_ref()?;
    let object = reference(live.text("/metadata/namespace"), live.name());
    let running = running(&object, &live.value, &record.commit).map(|(_, mut running)| {
        running.revision = Some(record.revision.to_string());
        let (slot, revision) = (slot.to_string(), record.revision.to_string());
        let is_of = |pod: &&Pod| {
            pod.labels().get(SLOT) == Some(&slot) && pod.labels().get(REVISION) == Some(&revision)
        };
        note_digests(&mut running.images, seen.pods.iter().filter(is_of));
        running
    });
    Some(HeldSlot { record: record.clone(), running })
}

/// What a step is about to write; marks and checks among it are of the same objects.
pub fn pending(writes: &[Write], names: &Names, namespace: &str, seen: &Seen) -> Vec<ObjectOperation> {
    let slot_of = |slot: Slot| {
        let held = seen.slots.get(slot).as_ref();
        held.map_or_else(|| slot_name(&names.app, slot), |held| held.live.name().to_owned())
    };
    let deployment = |name: String, op: Operation| Some(one(reference(namespace, &name), op));
    let service = |name: &str, op: Operation| {
        let gvk = Gvk::from_api_version("v1", "Service");
        Some(one(ObjectRef { gvk, namespace: Some(namespace.to_owned()), name: name.to_owned() }, op))
    };
    let of = |write: &Write| match write {
        Write::Mark { slot, .. }
        | Write::Release(slot)
        | Write::Evidence { slot, .. }
        | Write::Uncolour(slot) => deployment(slot_of(*slot), Operation::Change),
        Write::Prepare { slot, .. } => {
            let is_there = seen.slots.get(*slot).is_some();
            deployment(slot_of(*slot), if is_there { Operation::Change } else { Operation::Create })
        }
        Write::Recreate(slot) => deployment(slot_of(*slot), Operation::Create),
        Write::Scale { slot, .. } => deployment(slot_of(*slot), Operation::Scale),
        Write::Delete(slot) => deployment(slot_of(*slot), Operation::Delete),
        Write::Colour(_) => deployment(names.app.clone(), Operation::Adopt),
        Write::MakeUncoloured { .. } => deployment(names.app.clone(), Operation::Create),
        Write::DeleteUncoloured => deployment(names.app.clone(), Operation::Delete),
        Write::Point { .. } | Write::Epoch | Write::Forget => service(&names.service, Operation::Change),
        Write::DeletePointer => service(&names.service, Operation::Delete),
        // Their own write says which object it is.
        Write::MarkFollowers
        | Write::Recheck(_)
        | Write::Follow(_)
        | Write::Autoscaler { .. }
        | Write::FreezeAutoscaler
        | Write::ReplaceBudget => None,
    };
    writes.iter().filter_map(of).collect()
}

fn one(object: ObjectRef, op: Operation) -> ObjectOperation {
    ObjectOperation { object, uid: None, op, fields: tidegate_core::ledger::Capped::default(), times: 1 }
}
