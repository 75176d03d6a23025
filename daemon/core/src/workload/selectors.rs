//! Rules of placement in a template that mean the workload's own pods: they mean the pods of the slot then. Else a rule that
//! keeps the workload's pods apart would keep the second colour from every node that the first is on.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::names::SLOT;
use super::read::{items, items_mut, map_at, selector};
use crate::rollout::Slot;

/// Whose pods are meant.
pub(super) struct Own<'a> {
    pub(super) labels: &'a BTreeMap<String, String>,
    pub(super) namespace: Option<&'a str>,
}

/// Narrows the rules of a template that mean its own pods to those of a slot.
pub(super) fn narrow(template: &mut Value, own: &Own<'_>, slot: Slot) {
    for rule in ["podAffinity", "podAntiAffinity"] {
        let required = format!("/spec/affinity/{rule}/requiredDuringSchedulingIgnoredDuringExecution");
        for term in items_mut(template, &required) {
            narrow_term(term, own, slot);
        }
        let preferred = format!("/spec/affinity/{rule}/preferredDuringSchedulingIgnoredDuringExecution");
        for weighted in items_mut(template, &preferred) {
            if let Some(term) = weighted.get_mut("podAffinityTerm") {
                narrow_term(term, own, slot);
            }
        }
    }
    for constraint in items_mut(template, "/spec/topologySpreadConstraints") {
        narrow_selector(constraint, own, slot);
    }
}

fn narrow_term(term: &mut Value, own: &Own<'_>, slot: Slot) {
    if reaches(term, own.namespace) {
        narrow_selector(term, own, slot);
    }
}

/// Whether the term looks into the workload's namespace. What a selector of namespaces finds only the cluster knows: it may.
fn reaches(term: &Value, namespace: Option<&str>) -> bool {
    let mut named = items(term, "/namespaces").filter_map(Value::as_str).peekable();
    let selects = term.get("namespaceSelector").is_some_and(Value::is_object);
    selects || named.peek().is_none() || named.any(|name| Some(name) == namespace)
}

fn narrow_selector(rule: &mut Value, own: &Own<'_>, slot: Slot) {
    let Some(found) = rule.get_mut("labelSelector") else { return };
    if !selector(found).is_some_and(|selector| selector.selects(own.labels)) {
        return;
    }
    if let Some(labels) = map_at(found, "matchLabels") {
        labels.insert(SLOT.to_owned(), json!(slot));
    }
}
