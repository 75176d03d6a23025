//! What a slot with traffic holds, where the record on it is not the one that was written last. `kubectl rollout undo` puts back
//! a former revision's annotations together with its template, and with them our record of that time; others take annotations
//! away. The pointer's record knows better: a slot's revision never changes while it has traffic, or may get it back.

use serde_json::Value;
use tidegate_core::ids::Digest;
use tidegate_core::rollout::{Attempt, Held, PointerRecord, Revision, Slot, SlotRecord, Slots};

use super::calls::{COLOUR, Live};
use super::names::Names;
use super::observe::{MADE_TO_LEAVE, SeenSlot};

/// The slot, with a record that says what the pointer says.
pub fn remembered(slot: Slot, seen: SeenSlot, pointer: Option<&PointerRecord>) -> SeenSlot {
    let Some((pointer, held)) = pointer.and_then(|pointer| Some((pointer, needed(slot, pointer)?))) else {
        return seen;
    };
    let is_same = seen.record.revision == held.revision;
    if is_same && seen.record.served.is_some() {
        return seen;
    }
    let served = Some(pointer.record.switched_at);
    let commit = held.commit.clone();
    let record = if is_same {
        SlotRecord { served, commit, ..seen.record }
    } else {
        SlotRecord {
            revision: held.revision,
            attempt: held.attempt,
            recorded: seen.live.number("/spec/replicas"),
            released: None,
            answers: Vec::new(),
            last_words: None,
            served,
            commit,
            ..seen.record
        }
    };
    SeenSlot { record, is_written: false, ..seen }
}

/// What a slot holds that has traffic, or had it before an open bake.
fn needed(slot: Slot, pointer: &PointerRecord) -> Option<&Held> {
    let PointerRecord { record, held, .. } = pointer;
    let held = held.get(slot).as_ref()?;
    let is_live = record.live == Some(slot);
    let is_from = record.is_baking()
        && record.from.is_some_and(|from| from.slot == slot && from.revision == held.revision);
    (is_live || is_from).then_some(held)
}

/// The Deployment from before Tidegate came, where it has traffic and somebody took its colour: it gets one again, for what it
/// runs now, which nobody has proven.
pub fn adopted(
    live: Live,
    slots: &Slots<Option<SeenSlot>>,
    names: &Names,
    pointer: Option<&PointerRecord>,
) -> (Option<(Slot, SeenSlot)>, Option<Live>) {
    let is_ours = live.annotation(MADE_TO_LEAVE).is_none() && was_coloured(&live);
    let found = pointer.filter(|pointer| is_ours && !pointer.record.is_leaving).and_then(|pointer| {
        let slot = pointer.record.live.filter(|slot| slots.get(*slot).is_none())?;
        let held = pointer.held.get(slot).clone()?;
        // Nobody has proven it: nor has it been tried.
        let held = Held { revision: revision(&live)?, attempt: Attempt::default(), ..held };
        Some((pointer, slot, held))
    });
    let Some((pointer, slot, held)) = found else { return (None, Some(live)) };
    let switched_at = pointer.record.switched_at;
    let keep = (names.drain, names.service.clone());
    let record = SlotRecord {
        recorded: live.number("/spec/replicas"),
        served: Some(switched_at),
        ..SlotRecord::prepared(held, keep, switched_at)
    };
    (Some((slot, SeenSlot { live, record, is_adopted: true, is_written: false })), None)
}

/// What a Deployment runs, as a number of its own: git may ask for the very same, and it has passed nothing.
fn revision(live: &Live) -> Option<Revision> {
    let template = live.value.pointer("/spec/template")?;
    let digest = Digest::of(template.to_string().as_bytes());
    digest.as_str().get(..32)?.parse().ok()
}

/// The manager of colours still holds a part of it: its strategy, which people do not undo.
fn was_coloured(live: &Live) -> bool {
    let entries = live.value.pointer("/metadata/managedFields").and_then(Value::as_array);
    let is_colour = |entry: &Value| entry.get("manager").and_then(Value::as_str) == Some(COLOUR);
    entries.into_iter().flatten().any(is_colour)
}
