//! Why people have to look before a workload goes on: its pointer was taken away, or somebody else moved its traffic. In words;
//! that it is halted is decided in the core.

use std::collections::BTreeSet;

use serde_json::Value;
use tidegate_core::rollout::{Phase, PointerRecord, Record};

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

/// What a step takes back, where it is something that somebody else has done.
pub fn taken_back(seen: &Seen, names: &Names, phase: Phase) -> Option<String> {
    match (phase, &seen.record) {
        (Phase::Restore, _) => Some(lost(names)),
        (Phase::Repair, _) => Some("a colour that is needed was deleted or scaled to 0".to_owned()),
        (Phase::Torn, Some(before)) => torn(seen, names, &before.record),
        _ => None,
    }
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
