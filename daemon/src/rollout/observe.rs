//! What the cluster holds of one workload, read directly: no watch, because decisions about traffic rest on it.
//!
//! Everything that is read comes with its resourceVersion, the guard of whatever is written for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use tidegate_core::gate::text::summary;
use tidegate_core::health::{assess_pods, why_not_created};
use tidegate_core::inventory::Marks;
use tidegate_core::rollout::{
    Attempt, POINTER_RECORD, Pods, Pointer, PointerRecord, Revision, SLOT_RECORD, Selection, Slot,
    SlotRecord, SlotView, Slots, Uncoloured,
};
use tidegate_core::workload::names::{APP, REVISION, SLOT, slot_name};

use super::calls::{Calls, Kind, Live};
use super::leaving::services_of;
use super::names::Names;
use super::{record_of, traffic, undone};
use crate::cluster::call::CallError;
use crate::cluster::pods::sentence;

/// Annotation of a Deployment without a colour that was made for the time after the colours.
pub const MADE_TO_LEAVE: &str = "tidegate.dev/made-to-leave";

/// So many pods of a slot are asked why they are not ready.
const PODS_CAP: usize = 50;

/// What is to be seen of a workload.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When it was read.
    pub at: Timestamp,
    /// The pointer object.
    pub service: Option<Live>,
    /// The record on it.
    pub record: Option<PointerRecord>,
    /// The same as decisions read it.
    pub pointer: Pointer,
    /// The slots' Deployments.
    pub slots: Slots<Option<SeenSlot>>,
    /// The same as decisions read it.
    pub views: Slots<SlotView>,
    /// The slots' autoscalers.
    pub autoscalers: Slots<Option<Live>>,
    /// The Deployment without a colour.
    pub uncoloured: Option<SeenUncoloured>,
    /// The followers, by name; none inside for one that is missing.
    pub followers: BTreeMap<String, Option<Live>>,
    /// Those of them that git no longer asks to follow.
    pub former: BTreeSet<String>,
    /// The Service that leads, where it is another one than git's.
    pub led_by: Option<String>,
    /// Traffic has followed the pointer.
    pub is_settled: bool,
    /// The workload's pods.
    pub pods: Vec<Pod>,
    /// Names of slots at which something stands that is not ours.
    pub strangers: Vec<String>,
}

/// A slot's Deployment.
#[derive(Debug, Clone)]
pub struct SeenSlot {
    /// The object.
    pub live: Live,
    /// The record on it.
    pub record: SlotRecord,
    /// It is the one from before Tidegate came.
    pub is_adopted: bool,
    /// The record stands on it as it is here.
    pub is_written: bool,
}

/// The Deployment without a colour.
#[derive(Debug, Clone)]
pub struct SeenUncoloured {
    /// The object.
    pub live: Live,
    /// As decisions read it.
    pub view: Uncoloured,
    /// Its autoscaler.
    pub autoscaler: Option<Live>,
    /// The budget over its pods, unless it leaves coloured pods out already.
    pub budget: Option<Live>,
}

/// Reads everything.
pub async fn observe(calls: &Calls, names: &Names, marks: &Marks) -> Result<Seen, CallError> {
    let of_slot = |slot| calls.read_owned(Kind::Deployment, slot_name(&names.app, slot));
    let (service, plain, blue, green, Following { followers, former, led_by }, blue_scaler, green_scaler) = futures::try_join!(
        calls.read(Kind::Service, &names.service),
        calls.read(Kind::Deployment, &names.app),
        of_slot(Slot::Blue),
        of_slot(Slot::Green),
        followers(calls, names, marks),
        autoscaler(calls, names, Slot::Blue),
        autoscaler(calls, names, Slot::Green),
    )?;
    let (pods, endpoints) =
        futures::try_join!(calls.pods_of(format!("{APP}={}", names.app)), calls.endpoints(&names.service))?;
    let record: Option<PointerRecord> =
        service.as_ref().and_then(|live| serde_json::from_str(live.annotation(POINTER_RECORD)?).ok());
    let own_record = record.as_ref().filter(|record| record.app.is_empty() || record.app == names.app);
    let mut strangers = Vec::new();
    let mut slots = Slots::default();
    for (slot, live) in [(Slot::Blue, blue), (Slot::Green, green)] {
        let own = live.and_then(|live| own_slot(live, names, slot, &mut strangers));
        *slots.get_mut(slot) = own.map(|seen| undone::remembered(slot, seen, own_record));
    }
    let (adopted, plain) = match adopted(plain) {
        (None, Some(live)) => undone::adopted(live, &slots, names, own_record),
        found => found,
    };
    if let Some((slot, seen)) = adopted
        && slots.get(slot).is_none()
    {
        *slots.get_mut(slot) = Some(seen);
    }
    let autoscalers = Slots { blue: blue_scaler, green: green_scaler };
    let mut views = Slots::default();
    for slot in Slot::ALL {
        *views.get_mut(slot) = view(calls, slot, &slots, &autoscalers, &pods).await?;
    }
    let uncoloured = match plain {
        Some(live) => Some(uncoloured(calls, names, live).await?),
        None => None,
    };
    // Another workload's word on who is live: going by it would send traffic to nobody.
    let others = record.as_ref().filter(|record| !record.app.is_empty() && record.app != names.app);
    strangers.extend(others.map(|record| format!("Service {} of workload {}", names.service, record.app)));
    let selection = service.as_ref().map_or(Selection::Nothing, |live| traffic::selection(live, &names.app));
    let pointer = match &record {
        Some(PointerRecord { record, .. }) => Pointer::Recorded { record: record.clone(), selection },
        None => Pointer::Unrecorded,
    };
    let led_by = led_by.filter(|_| record.is_none());
    let is_settled = traffic::is_settled(selection, &endpoints, &pods);
    let at = Timestamp::now();
    Ok(Seen {
        at,
        service,
        record,
        pointer,
        slots,
        views,
        autoscalers,
        uncoloured,
        followers,
        former,
        led_by,
        is_settled,
        pods,
        strangers,
    })
}

impl Calls {
    async fn read_owned(&self, kind: Kind, name: String) -> Result<Option<Live>, CallError> {
        self.read(kind, &name).await
    }

    async fn pods_of(&self, labels: String) -> Result<Vec<Pod>, CallError> {
        self.pods(&labels).await
    }
}

/// See [`Seen`].
struct Following {
    followers: BTreeMap<String, Option<Live>>,
    former: BTreeSet<String>,
    led_by: Option<String>,
}

/// Services beside the pointer: those that git asks to follow, and those that do without it.
async fn followers(calls: &Calls, names: &Names, marks: &Marks) -> Result<Following, CallError> {
    let mut services = services_of(calls, &marks.apply_set, &names.app).await?;
    services.retain(|live| live.name() != names.service);
    let led_by = services.iter().find(|live| record_of(live).is_some()).map(|live| live.name().to_owned());
    services.retain(|live| record_of(live).is_none());
    let by_name = services.into_iter().map(|live| (live.name().to_owned(), Some(live)));
    let mut followers: BTreeMap<String, Option<Live>> = by_name.collect();
    let former = followers.keys().filter(|name| !names.followers.contains(name)).cloned().collect();
    for name in names.followers.iter().filter(|name| Some(*name) != led_by.as_ref()) {
        if !followers.contains_key(name) {
            followers.insert(name.clone(), calls.read(Kind::Service, name).await?);
        }
    }
    Ok(Following { followers, former, led_by })
}

async fn autoscaler(calls: &Calls, names: &Names, slot: Slot) -> Result<Option<Live>, CallError> {
    match &names.autoscaler {
        Some(name) => calls.read(Kind::Autoscaler, &slot_name(name, slot)).await,
        None => Ok(None),
    }
}

/// The Deployment under the workload's own name is a slot once it carries a slot's record.
fn adopted(plain: Option<Live>) -> (Option<(Slot, SeenSlot)>, Option<Live>) {
    let Some(live) = plain else { return (None, None) };
    let record = live.annotation(SLOT_RECORD).and_then(|text| serde_json::from_str(text).ok());
    let slot = slot_of(live.text(&format!("/spec/template/metadata/labels/{}", escaped(SLOT))));
    match (record, slot) {
        (Some(record), Some(slot)) => {
            (Some((slot, SeenSlot { live, record, is_adopted: true, is_written: true })), None)
        }
        _ => (None, Some(live)),
    }
}

/// A slot's own Deployment: known by its record, or by its labels where somebody took the record away. Labels that are missing
/// beside a record come back with the next repair.
fn own_slot(live: Live, names: &Names, slot: Slot, strangers: &mut Vec<String>) -> Option<SeenSlot> {
    let is_labelled =
        live.label(APP) == Some(names.app.as_str()) && live.label(SLOT) == Some(slot.to_string().as_str());
    let written = live.annotation(SLOT_RECORD).and_then(|text| serde_json::from_str(text).ok());
    let is_written = written.is_some();
    let record = written.or_else(|| rebuilt(&live, names).filter(|_| is_labelled));
    if record.is_none() {
        strangers.push(format!("Deployment {}", live.name()));
    }
    record.map(|record| SeenSlot { live, record, is_adopted: false, is_written })
}

/// What a Deployment without its record still says. It has passed nothing.
fn rebuilt(live: &Live, names: &Names) -> Option<SlotRecord> {
    let revision: Revision =
        live.text(&format!("/spec/template/metadata/labels/{}", escaped(REVISION))).parse().ok()?;
    let created = live.text("/metadata/creationTimestamp").parse().unwrap_or(Timestamp::UNIX_EPOCH);
    Some(SlotRecord {
        commit: String::new(),
        revision,
        attempt: Attempt::default(),
        recorded: live.number("/spec/replicas"),
        served: None,
        released: None,
        prepared_at: created,
        drain: names.drain.as_secs(),
        service: names.service.clone(),
        marks: 0,
        answers: Vec::new(),
        last_words: None,
    })
}

/// A key as it stands in a JSON pointer.
pub fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The slot of a label's value.
pub fn slot_of(value: &str) -> Option<Slot> {
    Slot::ALL.into_iter().find(|slot| slot.to_string() == value)
}

async fn view(
    calls: &Calls,
    slot: Slot,
    slots: &Slots<Option<SeenSlot>>,
    autoscalers: &Slots<Option<Live>>,
    pods: &[Pod],
) -> Result<SlotView, CallError> {
    let seen = slots.get(slot).as_ref();
    let mut counted = count(pods, slot, seen.map(|seen| seen.record.revision));
    if let Some(SeenSlot { live, is_adopted: true, .. }) = seen {
        // Its pods from before it had a colour.
        let others = calls.pods(&without_colour(live)).await?;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let alive = number(others.iter().filter(|pod| is_alive(pod)).count());
        counted.others += alive;
        counted.total += alive;
        counted.others_ready += number(others.iter().filter(|pod| is_alive(pod) && is_ready(pod)).count());
    }
    let deployment = seen.map(|SeenSlot { live, record, is_adopted, is_written: _ }| {
        let is_current = live.number("/status/observedGeneration") >= live.number("/metadata/generation");
        record.deployment(live.number("/spec/replicas"), is_current, *is_adopted)
    });
    let min = |live: &Live| live.number("/spec/minReplicas").max(1);
    let autoscaler = autoscalers.get(slot).as_ref().filter(|_| seen.is_some());
    let autoscaler_min = autoscaler.map(min);
    let autoscaler_max = autoscaler.map(|live| live.number("/spec/maxReplicas"));
    let is_short = seen.is_some_and(|seen| counted.ready < seen.live.number("/spec/replicas"));
    let cause = seen.filter(|_| is_short).and_then(|seen| cause(seen, slot, pods));
    Ok(SlotView { deployment, pods: counted, autoscaler_min, autoscaler_max, cause })
}

/// Why not all pods of a slot are ready. Pods of other revisions say nothing of this one.
fn cause(seen: &SeenSlot, slot: Slot, pods: &[Pod]) -> Option<Arc<str>> {
    let (slot, revision) = (slot.to_string(), seen.record.revision.to_string());
    let own = pods
        .iter()
        .filter(|pod| pod.labels().get(SLOT) == Some(&slot) && pod.labels().get(REVISION) == Some(&revision));
    let words = paused(&seen.live).or_else(|| why_not_created(&seen.live.value)).or_else(|| {
        let own: Vec<_> = own.take(PODS_CAP).map(without_last_messages).collect();
        let own: Vec<_> = own.iter().filter_map(|pod| serde_json::to_value(pod).ok()).collect();
        assess_pods(&own).as_ref().map(sentence)
    })?;
    Some(Arc::from(summary(&words)))
}

/// A Deployment that somebody has paused makes no pods of a new template.
fn paused(live: &Live) -> Option<String> {
    let is_paused = live.value.pointer("/spec/paused").and_then(serde_json::Value::as_bool) == Some(true);
    is_paused.then(|| format!("Deployment {} is paused: `kubectl rollout resume` lets it go on", live.name()))
}

/// Without what containers said when they ended: it may be the end of a log, and that is told elsewhere, without Secrets.
fn without_last_messages(pod: &Pod) -> Pod {
    let mut pod = pod.clone();
    let Some(status) = &mut pod.status else { return pod };
    let all = [&mut status.init_container_statuses, &mut status.container_statuses];
    for container in all.into_iter().flatten().flatten() {
        for state in [&mut container.state, &mut container.last_state].into_iter().flatten() {
            if let Some(ended) = &mut state.terminated {
                ended.message = None;
            }
        }
    }
    pod
}

/// Selects the pods of a Deployment that have no colour.
fn without_colour(live: &Live) -> String {
    let selector = live.value.pointer("/spec/selector");
    let labels = selector.and_then(|selector| selector.get("matchLabels")?.as_object());
    let own =
        labels.into_iter().flatten().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    let expressions = selector.and_then(|selector| selector.get("matchExpressions")?.as_array());
    let further = expressions.into_iter().flatten().filter_map(expression);
    own.chain(further).chain([format!("!{SLOT}")]).collect::<Vec<_>>().join(",")
}

/// A requirement of a label selector as queries write it.
fn expression(value: &serde_json::Value) -> Option<String> {
    let key = value.get("key")?.as_str()?;
    let values = value.get("values").and_then(|values| values.as_array());
    let values: Vec<&str> = values.into_iter().flatten().filter_map(|value| value.as_str()).collect();
    let values = values.join(",");
    match value.get("operator")?.as_str()? {
        "In" => Some(format!("{key} in ({values})")),
        "NotIn" => Some(format!("{key} notin ({values})")),
        "Exists" => Some(key.to_owned()),
        "DoesNotExist" => Some(format!("!{key}")),
        _ => None,
    }
}

/// True for a pod that a Deployment's own ReplicaSet keeps: others may have the same labels.
fn is_kept_by(pod: &Pod, deployment: &str) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    let mut sets = owners.filter(|owner| owner.kind == "ReplicaSet").map(|owner| owner.name.as_str());
    let hash = pod.labels().get("pod-template-hash").map(String::as_str);
    sets.any(|set| set.strip_prefix(deployment).and_then(|rest| rest.strip_prefix('-')) == hash)
}

async fn uncoloured(calls: &Calls, names: &Names, live: Live) -> Result<SeenUncoloured, CallError> {
    let autoscaler = match &names.autoscaler {
        Some(name) => calls.read(Kind::Autoscaler, name).await?,
        None => None,
    };
    let budget = match &names.budget {
        Some(name) => calls.read(Kind::Budget, name).await?.filter(|budget| !leaves_colours_out(budget)),
        None => None,
    };
    let pods = calls.pods(&without_colour(&live)).await?;
    let is_own_ready = |pod: &&Pod| is_alive(pod) && is_ready(pod) && is_kept_by(pod, live.name());
    let ready = pods.iter().filter(is_own_ready).count();
    let view = Uncoloured {
        replicas: live.number("/spec/replicas"),
        ready: u32::try_from(ready).unwrap_or(u32::MAX),
        has_autoscaler: autoscaler.is_some(),
        has_budget: budget.is_some(),
        is_ours: live.annotation(MADE_TO_LEAVE).is_some(),
    };
    Ok(SeenUncoloured { live, view, autoscaler, budget })
}

/// True for a budget that was narrowed to pods without a colour.
fn leaves_colours_out(budget: &Live) -> bool {
    let expressions =
        budget.value.pointer("/spec/selector/matchExpressions").and_then(|list| list.as_array());
    expressions.into_iter().flatten().any(|expression| {
        let text = |key: &str| expression.get(key).and_then(|value| value.as_str());
        text("key") == Some(SLOT) && text("operator") == Some("DoesNotExist")
    })
}

/// The pods of a slot. Those that have ended do not count.
pub fn count(pods: &[Pod], slot: Slot, revision: Option<Revision>) -> Pods {
    let (slot, revision) = (slot.to_string(), revision.map(|revision| revision.to_string()));
    let mut counted = Pods::default();
    for pod in pods.iter().filter(|pod| is_alive(pod) && pod.labels().get(SLOT) == Some(&slot)) {
        counted.total += 1;
        if pod.labels().get(REVISION) != revision.as_ref() {
            counted.others += 1;
            counted.others_ready += u32::from(is_ready(pod));
        } else if is_ready(pod) {
            counted.ready += 1;
        }
    }
    counted
}

/// True for a pod that has not ended.
pub fn is_alive(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}

/// True for a pod that is ready and stays.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let is_ready = conditions.is_some_and(|all| {
        all.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    });
    is_ready && pod.metadata.deletion_timestamp.is_none()
}

/// The names of the pods of a slot.
pub fn pods_of(pods: &[Pod], slot: Slot) -> BTreeSet<String> {
    let slot = slot.to_string();
    pods.iter().filter(|pod| pod.labels().get(SLOT) == Some(&slot)).map(kube::ResourceExt::name_any).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_without_a_colour_are_those_that_the_whole_selector_finds() {
        let of = |selector: serde_json::Value| {
            without_colour(&Live { value: json!({ "spec": { "selector": selector } }) })
        };
        let labels = of(json!({ "matchLabels": { "app": "api" } }));
        assert_eq!(labels, "app=api,!tidegate.dev/slot");
        let expressions = of(json!({ "matchExpressions": [
            { "key": "app", "operator": "In", "values": ["api", "web"] },
            { "key": "tier", "operator": "NotIn", "values": ["test"] },
            { "key": "team", "operator": "Exists" },
            { "key": "old", "operator": "DoesNotExist" },
        ] }));
        assert_eq!(expressions, "app in (api,web),tier notin (test),team,!old,!tidegate.dev/slot");
    }

    #[test]
    fn pods_of_others_with_the_same_labels_are_not_a_deployments_own() {
        let pod = |owner: &str, hash: &str| {
            let pod = json!({ "metadata": {
                "labels": { "app": "api", "pod-template-hash": hash },
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": "1" }],
            } });
            serde_json::from_value::<Pod>(pod).unwrap()
        };
        assert!(is_kept_by(&pod("api-5d4", "5d4"), "api"));
        assert!(!is_kept_by(&pod("api-web-5d4", "5d4"), "api"));
        assert!(!is_kept_by(&Pod::default(), "api"));
    }
}
