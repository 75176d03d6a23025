//! The history of one workload's Service, Deployments and pods, by watches: every version that ever was, in the order of the API
//! server. Versions of objects grow over all kinds, so that the state between any two writes can be told. Not here: what each
//! request was answered (`support/load`), and where a rollout ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use kube::core::WatchEvent;
use serde_json::{Value, json};
use tokio_util::sync::DropGuard;

use crate::rollout_scene::APP;
use crate::support::{Api, check, eventually};

/// The slots' names.
const SLOTS: [&str; 2] = ["blue", "green"];

/// A version of an object, or its end.
struct Event {
    version: u64,
    /// The watch that told of it, by its place among the paths.
    watch: usize,
    object: Value,
    is_gone: bool,
    /// When it was heard of: after it was.
    at: Timestamp,
}

/// Watches a namespace until it is dropped or judged.
pub struct History {
    api: Api,
    /// What is watched, and since which version.
    watched: Vec<(String, u64)>,
    events: Arc<Mutex<Vec<Event>>>,
    first: State,
    _ends: Vec<DropGuard>,
}

/// What stands between two writes.
#[derive(Default)]
struct State {
    service: Option<Value>,
    slots: BTreeMap<&'static str, Value>,
    /// The Deployment under the workload's own name, in a colour or in none.
    own: Option<Value>,
    pods: BTreeMap<String, Value>,
    /// What the last write of the pointer's record changed.
    pointer: Changed,
    /// Slots that were marked since.
    marked: BTreeSet<&'static str>,
}

/// What a write of the pointer's record has changed of what decisions read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Changed {
    /// Nothing was written yet.
    #[default]
    Nothing,
    /// The epoch: whoever has read it before moves no traffic any more.
    Epoch,
    /// More than that.
    More,
}

/// What has to hold of a slot with traffic.
pub struct Rule {
    /// Gates that have passed before it serves.
    pub gates: &'static [&'static str],
    /// `spec.replicas`, at least.
    pub size: u64,
    /// Nothing is taken from a slot before this is over, since traffic has settled elsewhere.
    pub drain: SignedDuration,
}

impl History {
    pub fn begin(api: &Api, namespace: &str) -> Self {
        let paths = [
            format!("/api/v1/namespaces/{namespace}/services"),
            format!("/apis/apps/v1/namespaces/{namespace}/deployments"),
            format!("/api/v1/namespaces/{namespace}/pods"),
        ];
        let events = Arc::new(Mutex::new(Vec::new()));
        let mut first = State::default();
        let (mut watched, mut ends) = (Vec::new(), Vec::new());
        for (watch, path) in paths.into_iter().enumerate() {
            let list = api.get(&path);
            let kind = list["kind"].as_str().unwrap().trim_end_matches("List").to_owned();
            for item in list["items"].as_array().unwrap() {
                let mut object = item.clone();
                object["kind"] = json!(kind);
                first.put(object, false);
            }
            let version = version_of(&list);
            let events = events.clone();
            ends.push(api.watch(&format!("{path}?watch=1&resourceVersion={version}"), move |event| {
                let (object, is_gone) = match event {
                    WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, false),
                    WatchEvent::Deleted(object) => (object, true),
                    WatchEvent::Bookmark(_) | WatchEvent::Error(_) => {
                        panic!("nobody asked for this: {event:?}")
                    }
                };
                let version = version_of(&object);
                let at = Timestamp::now();
                events.lock().unwrap().push(Event { version, watch, object, is_gone, at });
            }));
            watched.push((path, version));
        }
        Self { api: api.clone(), watched, events, first, _ends: ends }
    }

    /// Where traffic went, one move after the other; the error is a moment that broke the rule.
    pub fn judge(self, rule: &Rule) -> Result<Vec<String>, String> {
        let Self { api, watched, events, first: mut state, _ends } = self;
        for (watch, (path, since)) in watched.iter().enumerate() {
            let newest = api.get(path)["items"].as_array().unwrap().iter().map(version_of).max();
            eventually("the watch has everything", || {
                let events = events.lock().unwrap();
                let of_this = events.iter().filter(|event| event.watch == watch);
                let seen = of_this.map(|event| event.version).max().unwrap_or(*since).max(*since);
                check(newest.is_none_or(|newest| newest <= seen), format!("{newest:?}, seen {seen}"))
            });
        }
        let mut events = std::mem::take(&mut *events.lock().unwrap());
        events.sort_by_key(|event| event.version);
        let mut moves = Vec::new();
        for event in events {
            let version = event.version;
            let step = state.next(event, rule).map_err(|what| format!("at version {version}: {what}"))?;
            moves.extend(step);
        }
        Ok(moves)
    }
}

impl State {
    fn put(&mut self, object: Value, is_gone: bool) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        match object["kind"].as_str() {
            Some("Service") if name == APP => self.service = (!is_gone).then_some(object),
            Some("Pod") if is_gone => drop(self.pods.remove(name)),
            Some("Pod") => drop(self.pods.insert(name.to_owned(), object)),
            Some("Deployment") => {
                if name == APP {
                    self.own = (!is_gone).then(|| object.clone());
                    // What it was as a slot, if it was one.
                    self.slots.retain(|_, known| known["metadata"]["name"] != APP);
                }
                let Some(slot) = slot_of(&object) else { return };
                if is_gone {
                    self.slots.remove(slot);
                } else {
                    self.slots.insert(slot, object);
                }
            }
            _ => {}
        }
    }

    /// Pods that are ready and stay: those of a slot in its revision, or those without a colour.
    fn ready(&self, slot: Option<&str>) -> u64 {
        let revision = slot.and_then(|slot| self.slots.get(slot)).map(revision_of);
        let counts = |pod: &&Value| {
            let labels = &pod["metadata"]["labels"];
            let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
            let mut ready = conditions.filter(|one| one["type"] == "Ready" && one["status"] == "True");
            labels["app"] == APP
                && labels["tidegate.dev/slot"].as_str() == slot
                && revision.is_none_or(|revision| labels["tidegate.dev/revision"] == *revision)
                && pod["metadata"]["deletionTimestamp"].is_null()
                && ready.next().is_some()
        };
        self.pods.values().filter(counts).count().try_into().unwrap()
    }

    /// Where the Service sends traffic.
    fn selected(&self) -> Option<String> {
        let slot = self.service.as_ref()?.pointer("/spec/selector/tidegate.dev~1slot")?.as_str()?;
        SLOTS.contains(&slot).then(|| slot.to_owned())
    }

    fn record(&self) -> Value {
        self.service.as_ref().map_or(Value::Null, |service| annotation(service, "tidegate.dev/rollout"))
    }

    /// The slot that an open bake may go back to.
    fn from(&self) -> Option<String> {
        let record = self.record();
        let slot = record["from"]["slot"].as_str().filter(|_| record["bake"]["open"].is_object());
        slot.map(str::to_owned)
    }

    /// The next version of an object; where traffic has moved to, if it has.
    fn next(&mut self, event: Event, rule: &Rule) -> Result<Option<String>, String> {
        let Event { version: _, watch: _, object, is_gone, at } = event;
        let (selected, from, known, own) = (self.selected(), self.from(), self.record(), self.own.clone());
        let mut before = self.slots.clone();
        if !is_gone && object["kind"] == "Deployment" && slot_of(&object).is_none() {
            // One that was taken over and is no slot any more keeps its pods.
            before.retain(|_, known| known["metadata"]["name"] != object["metadata"]["name"]);
        }
        self.put(object, is_gone);
        let (now, record) = (self.selected(), self.record());
        let live = record["live"].as_str().filter(|_| record["isLeaving"] != true).map(str::to_owned);
        if now != live {
            return Err(format!("the Service selects {now:?}, its record says {live:?}"));
        }
        for slot in SLOTS {
            let marks = self.slots.get(slot).map_or(0, marks_of);
            if marks > 0 && before.get(slot).is_none_or(|before| marks_of(before) != marks) {
                self.marked.insert(slot);
            }
        }
        let marked = self.marked.clone();
        if known != record {
            self.marked.clear();
        }
        self.look_at_epoch(&known, &record)?;
        self.looks_whole_when_it_leaves(&known, &record, rule)?;
        self.is_replaced_whole(own.as_ref())?;
        for slot in SLOTS {
            self.is_taken_in_time(slot, before.get(slot), at, rule)?;
        }
        for slot in [&selected, &from].into_iter().flatten() {
            // A Service that is gone sends nothing anywhere.
            if self.service.is_some() {
                self.is_left_alone(slot, before.get(slot.as_str()), rule)?;
            }
        }
        let Some(to) = now.filter(|now| Some(now) != selected.as_ref()) else { return Ok(None) };
        let settled = &record["settledAt"];
        check(settled.is_null(), format!("traffic moved to {to}, and has settled at {settled} already"))?;
        let ready = self.ready(Some(&to));
        self.is_marked_before(&to, &marked)?;
        let is_back = from.as_ref() == Some(&to);
        let least = if is_back { 1 } else { rule.size };
        check(ready >= least, format!("traffic moved to {to} with {ready} ready pods"))?;
        if !is_back {
            self.has_passed(&to, rule)?;
        }
        Ok(Some(to))
    }

    /// Each change of what decisions read takes the epoch one on: none is lost, and none comes late. What the slots hold (ports
    /// that git has changed, a size) is written down beside it, by upkeep too: guarded by the version that was read, it moves no
    /// traffic, and whoever has read the pointer before it can write no more either.
    fn look_at_epoch(&mut self, known: &Value, record: &Value) -> Result<(), String> {
        let rest = |record: &Value| {
            let fields = record.as_object().cloned().unwrap_or_default();
            fields.into_iter().filter(|(key, _)| key != "epoch" && key != "held").collect::<Vec<_>>()
        };
        let is_same = rest(known) == rest(record);
        let epochs = (known["epoch"].as_u64(), record["epoch"].as_u64());
        if is_same && epochs.0 == epochs.1 {
            return Ok(());
        }
        if let (Some(before), Some(now)) = epochs {
            check(now == before + 1, format!("the epoch went from {before} to {now}: {known} to {record}"))?;
        }
        self.pointer = if is_same { Changed::Epoch } else { Changed::More };
        Ok(())
    }

    /// Traffic goes to all pods once there are as many without a colour as it takes; those of a Deployment that was taken over are
    /// the same before and after.
    fn looks_whole_when_it_leaves(&self, known: &Value, record: &Value, rule: &Rule) -> Result<(), String> {
        let begins = known["isLeaving"] != true && record["isLeaving"] == true;
        let live = record["live"].as_str().and_then(|slot| self.slots.get(slot));
        if !begins || live.is_some_and(|live| live["metadata"]["name"] == APP) {
            return Ok(());
        }
        let ready = self.ready(None);
        check(
            ready >= rule.size,
            format!("traffic leaves the colours with {ready} ready pods that have none"),
        )
    }

    /// The Deployment under the workload's own name serves all the time: none of its pods goes before another one is ready.
    fn is_replaced_whole(&self, before: Option<&Value>) -> Result<(), String> {
        let (Some(before), Some(now)) = (before, &self.own) else { return Ok(()) };
        let is_same = before["spec"]["template"] == now["spec"]["template"];
        check(is_same || is_whole_when_replaced(now), format!("its pods go before others are ready: {now}"))
    }

    /// What a slot's pods are taken for (its size, its template, itself) is taken once traffic has settled elsewhere and has
    /// drained, and after the epoch, without which somebody could still move traffic there.
    fn is_taken_in_time(
        &self,
        slot: &str,
        before: Option<&Value>,
        at: Timestamp,
        rule: &Rule,
    ) -> Result<(), String> {
        let Some(before) = before else { return Ok(()) };
        let now = self.slots.get(slot);
        let size = |deployment: &Value| deployment["spec"]["replicas"].as_u64().unwrap_or_default();
        let is_emptied = size(before) > 0 && now.is_none_or(|now| size(now) == 0);
        let is_changed = now.is_some_and(|now| now["spec"]["template"] != before["spec"]["template"]);
        if !(is_emptied || is_changed) {
            return Ok(());
        }
        let record = self.record();
        if is_emptied && record["isLeaving"] == true {
            let others = SLOTS.into_iter().filter(|other| *other != slot).map(Some).chain([None]);
            let ready: u64 = others.map(|other| self.ready(other)).sum();
            check(ready >= rule.size, format!("{slot} goes, and {ready} pods beside it are ready"))?;
        }
        let since = if self.service.is_some() {
            let pointer = self.pointer;
            check(pointer == Changed::Epoch, format!("{slot} is taken without an epoch: {pointer:?}"))?;
            record["settledAt"].clone()
        } else {
            annotation(before, "tidegate.dev/slot-record")["released"].clone()
        };
        let settled: Option<Timestamp> = since.as_str().and_then(|text| text.parse().ok());
        let is_over = settled.is_some_and(|settled| at.duration_since(settled) >= rule.drain);
        check(!is_emptied || is_over, format!("{slot} is emptied at {at}, and traffic drains since {since}"))
    }

    /// A slot with traffic, or one that a bake may go back to, keeps its size and its template.
    fn is_left_alone(&self, slot: &str, before: Option<&Value>, rule: &Rule) -> Result<(), String> {
        let Some(deployment) = self.slots.get(slot) else { return Err(format!("{slot} is gone")) };
        let size = deployment["spec"]["replicas"].as_u64().unwrap_or_default();
        check(size >= rule.size, format!("{slot} has traffic and {size} pods"))?;
        let template = before.map(|before| &before["spec"]["template"]);
        let is_same = template.is_none_or(|template| *template == deployment["spec"]["template"]);
        check(is_same, format!("the template of {slot} has changed under traffic"))
    }

    /// The slot is marked first, then the pointer is written: whoever is about to take the slot's pods by what was read before that
    /// has to look again. One that is taken over has the traffic already.
    fn is_marked_before(&self, slot: &str, marked: &BTreeSet<&'static str>) -> Result<(), String> {
        let Some(deployment) = self.slots.get(slot) else { return Err(format!("{slot} is not there")) };
        let is_marked = marked.contains(slot) || deployment["metadata"]["name"] == APP;
        check(is_marked, format!("traffic moved to {slot}, not marked since the pointer was written before"))
    }

    /// Its revision has passed every gate, and it is marked.
    fn has_passed(&self, slot: &str, rule: &Rule) -> Result<(), String> {
        let deployment =
            self.slots.get(slot).ok_or_else(|| format!("traffic moved to {slot}, which is not there"))?;
        let size = deployment["spec"]["replicas"].as_u64().unwrap_or_default();
        check(size >= rule.size, format!("traffic moved to {slot} with {size} pods"))?;
        check(is_whole_when_replaced(deployment), format!("{slot} may lose its pods at once: {deployment}"))?;
        if deployment["metadata"]["name"] == APP {
            // It was taken over as it served.
            return Ok(());
        }
        let record = annotation(deployment, "tidegate.dev/slot-record");
        let label = revision_of(deployment);
        check(record["revision"] == *label, format!("{slot} runs {label}, its record says {record}"))?;
        check(record["served"].is_string(), format!("traffic moved to {slot} without a mark: {record}"))?;
        let answers = record["answers"].as_array().cloned().unwrap_or_default();
        for gate in rule.gates {
            let has_passed = answers.iter().map(|answer| &answer["evidence"]).any(|evidence| {
                evidence["gate"]["name"] == *gate
                    && evidence["stage"] == "beforeSwitch"
                    && evidence["revision"] == *label
                    && evidence["verdict"] == "pass"
            });
            check(has_passed, format!("traffic moved to {slot}, which {gate} has not passed: {record}"))?;
        }
        Ok(())
    }
}

/// Which slot a Deployment is: by its name, or by its pods where it was taken over.
fn slot_of(deployment: &Value) -> Option<&'static str> {
    let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
    let colour = &deployment["spec"]["template"]["metadata"]["labels"]["tidegate.dev/slot"];
    let is_slot = |slot: &&str| name == format!("{APP}-{slot}") || (name == APP && *colour == **slot);
    SLOTS.into_iter().find(is_slot)
}

fn revision_of(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["metadata"]["labels"]["tidegate.dev/revision"]
}

/// A new template, of whoever, takes no pod away before another one is ready.
fn is_whole_when_replaced(deployment: &Value) -> bool {
    deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
}

/// How often a slot was marked.
fn marks_of(deployment: &Value) -> u64 {
    annotation(deployment, "tidegate.dev/slot-record")["marks"].as_u64().unwrap_or_default()
}

fn version_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap()
}

fn annotation(object: &Value, name: &str) -> Value {
    let text = object["metadata"]["annotations"][name].as_str().unwrap_or("null");
    serde_json::from_str(text).unwrap()
}
