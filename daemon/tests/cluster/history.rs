//! The history of one workload's Service and slots, by watches: every version that ever was, in the order of the API server.
//! Versions of objects grow over all kinds, so that the state between any two writes can be told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

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
    object: Value,
    is_gone: bool,
}

/// Watches a namespace until it is dropped or judged.
pub struct History {
    api: Api,
    paths: [String; 2],
    events: Arc<Mutex<Vec<Event>>>,
    first: State,
    _ends: Vec<DropGuard>,
}

/// What stands between two writes.
#[derive(Default)]
struct State {
    service: Option<Value>,
    slots: BTreeMap<&'static str, Value>,
}

/// What has to hold of a slot with traffic.
pub struct Rule {
    /// Gates that have passed before it serves.
    pub gates: &'static [&'static str],
    /// `spec.replicas`, at least.
    pub size: u64,
}

impl History {
    pub fn begin(api: &Api, namespace: &str) -> Self {
        let paths = [
            format!("/api/v1/namespaces/{namespace}/services"),
            format!("/apis/apps/v1/namespaces/{namespace}/deployments"),
        ];
        let events = Arc::new(Mutex::new(Vec::new()));
        let mut first = State::default();
        let mut ends = Vec::new();
        for path in &paths {
            let list = api.get(path);
            let kind = list["kind"].as_str().unwrap().trim_end_matches("List").to_owned();
            for item in list["items"].as_array().unwrap() {
                let mut object = item.clone();
                object["kind"] = json!(kind);
                first.put(object, false);
            }
            let version = list["metadata"]["resourceVersion"].as_str().unwrap();
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
                events.lock().unwrap().push(Event { version, object, is_gone });
            }));
        }
        Self { api: api.clone(), paths, events, first, _ends: ends }
    }

    /// Where traffic went, one move after the other; the error is a moment that broke the rule.
    pub fn judge(self, rule: &Rule) -> Result<Vec<String>, String> {
        let Self { api, paths, events, first: mut state, _ends } = self;
        for path in &paths {
            let newest = api.get(path)["items"].as_array().unwrap().iter().map(version_of).max();
            eventually("the watch has everything", || {
                let seen = events.lock().unwrap().iter().map(|event| event.version).max();
                let is_old = newest <= state.newest().max(seen);
                check(is_old, format!("{newest:?}, seen {seen:?}"))
            });
        }
        let mut events = std::mem::take(&mut *events.lock().unwrap());
        events.sort_by_key(|event| event.version);
        let mut moves = Vec::new();
        for Event { version, object, is_gone } in events {
            let step =
                state.next(object, is_gone, rule).map_err(|what| format!("at version {version}: {what}"))?;
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
            Some("Deployment") => {
                let Some(slot) = SLOTS.into_iter().find(|slot| name == format!("{APP}-{slot}")) else {
                    return;
                };
                if is_gone {
                    self.slots.remove(slot);
                } else {
                    self.slots.insert(slot, object);
                }
            }
            _ => {}
        }
    }

    fn newest(&self) -> Option<u64> {
        self.slots.values().chain(&self.service).map(version_of).max()
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
    fn next(&mut self, object: Value, is_gone: bool, rule: &Rule) -> Result<Option<String>, String> {
        let (selected, from) = (self.selected(), self.from());
        let before = self.slots.clone();
        self.put(object, is_gone);
        let now = self.selected();
        let live = self.record()["live"].as_str().map(str::to_owned);
        if now != live {
            return Err(format!("the Service selects {now:?}, its record says {live:?}"));
        }
        for slot in [&selected, &from].into_iter().flatten() {
            // A Service that is gone sends nothing anywhere.
            if self.service.is_some() {
                self.is_left_alone(slot, before.get(slot.as_str()), rule)?;
            }
        }
        let Some(to) = now.filter(|now| Some(now) != selected.as_ref()) else { return Ok(None) };
        if from.as_ref() != Some(&to) {
            self.has_passed(&to, rule)?;
        }
        Ok(Some(to))
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

    /// Its revision has passed every gate, and it is marked.
    fn has_passed(&self, slot: &str, rule: &Rule) -> Result<(), String> {
        let deployment =
            self.slots.get(slot).ok_or_else(|| format!("traffic moved to {slot}, which is not there"))?;
        let record = annotation(deployment, "tidegate.dev/slot-record");
        let label = &deployment["spec"]["template"]["metadata"]["labels"]["tidegate.dev/revision"];
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
        let size = deployment["spec"]["replicas"].as_u64().unwrap_or_default();
        check(size >= rule.size, format!("traffic moved to {slot} with {size} pods"))
    }
}

fn version_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap()
}

fn annotation(object: &Value, name: &str) -> Value {
    let text = object["metadata"]["annotations"][name].as_str().unwrap_or("null");
    serde_json::from_str(text).unwrap()
}
