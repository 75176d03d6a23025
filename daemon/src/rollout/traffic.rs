//! Traffic by the selector of a Service: where it goes, what moves it, and whether it has followed. The seam for further ways:
//! a mode is these three functions.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};
use tidegate_core::rollout::Selection;
use tidegate_core::workload::names::{APP, SLOT};

use super::calls::Live;
use super::observe::{is_ready, pods_of, slot_of};

/// The value of the slot's label that no pod has.
const NO_SLOT: &str = "none";

/// Where a Service sends traffic.
pub fn selection(service: &Live, app: &str) -> Selection {
    let selector = service.value.pointer("/spec/selector").and_then(Value::as_object);
    let Some(selector) = selector.filter(|selector| !selector.is_empty()) else { return Selection::Foreign };
    let of = |key: &str| selector.get(key).and_then(Value::as_str);
    match (of(APP), of(SLOT)) {
        (None, None) => Selection::All,
        (Some(named), Some(slot)) if named == app && selector.len() == 2 => match slot_of(slot) {
            Some(slot) => Selection::Only(slot),
            None if slot == NO_SLOT => Selection::Nothing,
            None => Selection::Foreign,
        },
        (Some(_) | None, _) => Selection::Foreign,
    }
}

/// The selector that sends traffic there. `plain` is git's own, for all pods of the workload.
pub fn selector(selection: Selection, app: &str, plain: &BTreeMap<String, String>) -> Value {
    let only = |slot: &str| json!({ APP: app, SLOT: slot });
    match selection {
        Selection::Only(slot) => only(&slot.to_string()),
        Selection::Nothing | Selection::Foreign => only(NO_SLOT),
        Selection::All => json!(plain),
    }
}

/// True when the endpoints are those of the selection alone, and some are there where pods are ready. One that is taken over without
/// pods has none to wait for.
pub fn is_settled(selection: Selection, slices: &[EndpointSlice], pods: &[Pod]) -> bool {
    let endpoints = || slices.iter().flat_map(|slice| &slice.endpoints);
    match selection {
        Selection::Nothing => endpoints().next().is_none(),
        Selection::Foreign => false,
        Selection::All => endpoints().next().is_some() || !pods.iter().any(is_ready),
        Selection::Only(slot) => {
            let own = pods_of(pods, slot);
            let is_own = |name: Option<&str>| name.is_some_and(|name| own.contains(name));
            let names = || endpoints().map(|endpoint| endpoint.target_ref.as_ref()?.name.as_deref());
            let expects = pods.iter().any(|pod| is_ready(pod) && is_own(pod.metadata.name.as_deref()));
            names().all(is_own) && (!expects || names().next().is_some())
        }
    }
}
