//! Why people have to look before a workload goes on: its pointer was taken away, or somebody else moved its traffic. In words;
//! that it is halted is decided in the core.

use std::collections::BTreeSet;

use serde_json::Value;
use tidegate_core::rollout::{Phase, PointerRecord, Record, Slot, Write};

use super::calls::{BODY, Live, ROLLOUT};
use super::names::Names;
use super::observe::Seen;
use super::traffic;

/// The words that stand on a pointer beside a record. They stay as long as the halt does.
pub fn because(seen: &Seen, names: &Names, record: &Record) -> Option<String> {
    record.halted?;
    let Some(PointerRecord { record: before, halted_because, .. }) = &seen.record else {
        return Some(lost(names));
    };
    torn(seen, names, before).or_else(|| halted_because.clone())
}

/// What somebody else has done, and what a step with these writes has made of it; none where a step answers nobody.
pub fn taken_back(seen: &Seen, names: &Names, phase: Phase, writes: &[Write]) -> Option<String> {
    let what = match phase {
        Phase::Restore => lost(names),
        Phase::Repair => "a colour that is needed was deleted or scaled to 0".to_owned(),
        Phase::Torn => torn(seen, names, &seen.record.as_ref()?.record)?,
        Phase::Install
        | Phase::Adopt
        | Phase::Remove
        | Phase::Decline
        | Phase::RollBack
        | Phase::FastRollBack
        | Phase::Follow
        | Phase::Stranded
        | Phase::Settle
        | Phase::Bake
        | Phase::Inconclusive
        | Phase::Close
        | Phase::Leave
        | Phase::Steady
        | Phase::Resize
        | Phase::Retire
        | Phase::Rejected
        | Phase::Halted
        | Phase::Drain
        | Phase::Empty
        | Phase::Prepare
        | Phase::ScaleUp
        | Phase::Warm
        | Phase::Reject
        | Phase::Gates
        | Phase::Hold
        | Phase::Switch => return None,
    };
    let before = seen.record.as_ref().and_then(|before| before.record.live);
    Some(match (before, moved_to(writes)) {
        (Some(before), Some(now)) if before != now => {
            format!("{what}; {before} has no ready pod, so that traffic is sent to {now}")
        }
        _ => format!("{what}; it is as it was again"),
    })
}

/// Where traffic is sent by these writes.
fn moved_to(writes: &[Write]) -> Option<Slot> {
    writes.iter().find_map(|write| if let Write::Point { record, .. } = write { record.live } else { None })
}

fn lost(names: &Names) -> String {
    format!("Service {} was deleted, or what Tidegate had written on it", names.service)
}

fn torn(seen: &Seen, names: &Names, before: &Record) -> Option<String> {
    let live = seen.service.as_ref()?;
    if before.agrees(traffic::selection(live, &names.app)) {
        return None;
    }
    let managers = selectors_managers(live);
    let who = if managers.is_empty() { "somebody".to_owned() } else { managers.join(", ") };
    Some(format!("{who} changed where Service {} sends traffic", names.service))
}

/// Who else holds a part of the selector. Whoever has only taken something away holds nothing.
fn selectors_managers(live: &Live) -> Vec<String> {
    let entries = live.value.pointer("/metadata/managedFields").and_then(Value::as_array);
    let of_selector = entries
        .into_iter()
        .flatten()
        .filter(|entry| entry.pointer("/fieldsV1/f:spec/f:selector").is_some())
        .filter_map(|entry| entry.get("manager").and_then(Value::as_str));
    let others: BTreeSet<&str> = of_selector.filter(|manager| ![BODY, ROLLOUT].contains(manager)).collect();
    others.into_iter().map(str::to_owned).collect()
}
