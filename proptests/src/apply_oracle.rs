//! The API server as the judge of the simulated server: the same writes to both, and where they differ in the outcome, the
//! object, or who holds which field. Needs a cluster; everything happens in a namespace that the test makes.
//!
//! Compared are the fields that anybody named in the sequence: what a real server adds by itself (defaults, status) is not in
//! the simulated one. A write that a real server refuses for its meaning (a container without an image) is not played there.
#![allow(
    clippy::indexing_slicing,
    reason = "test material: an answer without metadata is a bug and may say so"
)]

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::apply_steps::{Condition, Sequence, Step};
use crate::kube_http::{Answer, Http};
use crate::world::fields::{Paths, at, decode, held, is_item_path, put, remove};
use crate::world::managers::Mode;
use crate::world::request::{Answer as Simulated, Reply};
use crate::world::server::World;

/// An update that meets a controller's write is sent again so often.
const ATTEMPTS: usize = 20;
/// A uid and a version that nothing has.
const NO_UID: &str = "00000000-0000-0000-0000-000000000000";
const OLD_VERSION: &str = "1";

/// What came of a sequence.
#[derive(Debug, Default)]
pub struct Played {
    /// Writes that were compared.
    pub steps: usize,
    /// Writes that the real server refused for their meaning.
    pub invalid: usize,
    /// Where the two first differ.
    pub difference: Option<String>,
}

/// What a write came to, as far as the next step of a client depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    Conflict,
    Exists,
    Gone,
    Invalid,
}

/// One object on both servers.
struct Both<'a> {
    http: &'a Http,
    path: String,
    sequence: &'a Sequence,
    world: World,
    named: Paths,
    /// The time of each step: simulated, and between which seconds it really was.
    times: BTreeMap<String, (Timestamp, Timestamp)>,
}

/// Plays a sequence on both.
pub fn play(http: &Http, namespace: &str, seed: u64) -> Played {
    let mut sequence = Sequence::new(seed, namespace);
    let mut played = Played::default();
    let mut told: Vec<String> = Vec::new();
    let (mut world, mut named, mut times) = (World::new(None), Paths::new(), BTreeMap::new());
    world.quiet = true;
    while let Some(step) = sequence.next(world.objects.contains_key(&sequence.id)) {
        world.pass(SignedDuration::from_secs(1));
        told.push(format!("{step:?}"));
        let path = path_of(&sequence);
        let mut both = Both { http, path, sequence: &sequence, world, named, times };
        let compared = both.step(&step);
        Both { world, named, times, .. } = both;
        match compared {
            Ok(true) => played.steps += 1,
            Ok(false) => played.invalid += 1,
            Err(difference) => {
                let id = &sequence.id;
                played.difference =
                    Some(format!("sequence {seed}, {id}:\n  {}\n{difference}", told.join("\n  ")));
                return played;
            }
        }
    }
    played
}

fn path_of(sequence: &Sequence) -> String {
    let resource = format!("{}s", sequence.id.kind.to_lowercase());
    let api = match sequence.api_version.as_str() {
        "v1" => "/api/v1".to_owned(),
        group => format!("/apis/{group}"),
    };
    format!("{api}/namespaces/{}/{resource}", sequence.id.namespace.as_deref().unwrap_or_default())
}

impl Both<'_> {
    /// One write on both; false where the real one refused it for its meaning.
    fn step(&mut self, step: &Step) -> Result<bool, String> {
        let before = self.read();
        let simulated = self.world.objects.get(&self.sequence.id).cloned();
        let begun = second(Timestamp::now());
        let (outcome, real) = self.really(step, &before)?;
        self.times.insert(self.world.second(), (begun, Timestamp::now()));
        if outcome == Outcome::Invalid {
            return Ok(false);
        }
        let (expected, answer) = self.simulate(step, simulated.as_ref());
        if expected != outcome {
            return Err(format!("simulated: {expected:?}; real: {outcome:?} {real}"));
        }
        if let (Outcome::Done, Some(answer), false) = (outcome, &answer, matches!(step, Step::Delete(_))) {
            self.compare(answer, &real).map_err(|what| format!("in the answer: {what}"))?;
        }
        let after = self.read();
        let stands = self.world.objects.get(&self.sequence.id);
        match (stands, after.is_null()) {
            (None, true) => Ok(true),
            (Some(_), true) => Err("it stands in the simulated server only".to_owned()),
            (None, false) => Err("it stands in the real server only".to_owned()),
            (Some(stands), false) => {
                self.compare(stands, &after)?;
                let changed = |before: &Value, after: &Value| {
                    before["metadata"]["resourceVersion"] != after["metadata"]["resourceVersion"]
                };
                let here = changed(simulated.as_ref().unwrap_or(&Value::Null), stands);
                let there = changed(&before, &after);
                if here != there && !self.sequence.is_written_by_controllers() {
                    return Err(format!("written: simulated {here}, real {there}"));
                }
                Ok(true)
            }
        }
    }

    fn read(&self) -> Value {
        self.http.call("GET", &format!("{}/{}", self.path, self.sequence.id.name), "", None).object()
    }

    fn really(&self, step: &Step, before: &Value) -> Result<(Outcome, Value), String> {
        let one = format!("{}/{}", self.path, self.sequence.id.name);
        let answer = match step {
            Step::Apply { manager, body, mode, dry_run, condition } => {
                let force = *mode == Mode::Force;
                let dry = if *dry_run { "&dryRun=All" } else { "" };
                let query = format!("?fieldManager={manager}&force={force}{dry}");
                let body = conditioned(body, *condition, before);
                self.http.call("PATCH", &format!("{one}{query}"), "application/apply-patch+yaml", Some(&body))
            }
            Step::Create(manager, body) => {
                let path = format!("{}?fieldManager={manager}", self.path);
                self.http.call("POST", &path, "application/json", Some(body))
            }
            Step::Update { manager, changes, condition } => {
                self.put(&format!("{one}?fieldManager={manager}"), changes, *condition)
            }
            Step::Delete(condition) => {
                let body = conditioned(&json!({"metadata": {}}), *condition, before);
                let preconditions = body["metadata"].clone();
                let options = json!({"apiVersion": "v1", "kind": "DeleteOptions",
                    "propagationPolicy": "Background", "preconditions": preconditions});
                let answer = self.http.call("DELETE", &one, "application/json", Some(&options));
                if answer.code == 200 {
                    self.wait_until_gone()?;
                }
                answer
            }
        };
        let Answer { code, body } = answer;
        let reason = body["reason"].as_str().unwrap_or_default();
        let outcome = match (code, reason) {
            (200 | 201, _) => Outcome::Done,
            (404, _) => Outcome::Gone,
            (409, "AlreadyExists") => Outcome::Exists,
            (409, _) => Outcome::Conflict,
            (422, _) => Outcome::Invalid,
            (code, reason) => return Err(format!("the real server answered {code} {reason}: {body}")),
        };
        Ok((outcome, body))
    }

    /// An update by somebody who has just read the object.
    fn put(&self, path: &str, changes: &[(Vec<String>, Option<Value>)], condition: Condition) -> Answer {
        for _ in 1..ATTEMPTS {
            let answer = self.put_once(path, changes, condition);
            if answer.code != 409 || condition != Condition::Version {
                return answer;
            }
        }
        self.put_once(path, changes, condition)
    }

    fn put_once(&self, path: &str, changes: &[(Vec<String>, Option<Value>)], condition: Condition) -> Answer {
        let mut object = self.read();
        if object.is_null() {
            return Answer { code: 404, body: Value::Null };
        }
        change(&mut object, changes);
        if condition == Condition::OldVersion {
            object["metadata"]["resourceVersion"] = json!(OLD_VERSION);
        }
        self.http.call("PUT", path, "application/json", Some(&object))
    }

    /// A finalizer of the cluster's own may hold it for a moment.
    fn wait_until_gone(&self) -> Result<(), String> {
        let begun = Timestamp::now();
        while !self.read().is_null() {
            if Timestamp::now().duration_since(begun) > SignedDuration::from_secs(30) {
                return Err("the real server does not let it go".to_owned());
            }
        }
        Ok(())
    }

    fn simulate(&mut self, step: &Step, stands: Option<&Value>) -> (Outcome, Option<Value>) {
        let id = self.sequence.id.clone();
        let nothing = Value::Null;
        let live = stands.unwrap_or(&nothing);
        match step {
            Step::Apply { manager, body, mode, dry_run, condition } => {
                self.named.extend(held(body));
                let body = conditioned(body, *condition, live);
                outcome(self.world.apply_as(&id, &body, manager, *mode, *dry_run))
            }
            Step::Create(_, _) if stands.is_some() => (Outcome::Exists, None),
            Step::Create(manager, body) => {
                self.named.extend(held(body));
                outcome(self.world.create_as(&id, body, manager))
            }
            Step::Update { .. } | Step::Delete(_) if stands.is_none() => (Outcome::Gone, None),
            Step::Update { condition: Condition::OldVersion, .. } | Step::Delete(Condition::WrongUid) => {
                (Outcome::Conflict, None)
            }
            Step::Update { manager, changes, condition: _ } => {
                let mut after = live.clone();
                change(&mut after, changes);
                self.named.extend(held(&after));
                self.world.update(&id, after, manager, "");
                (Outcome::Done, None)
            }
            Step::Delete(_) => {
                self.world.end(&id);
                (Outcome::Done, None)
            }
        }
    }

    /// The same values in all fields that anybody named, held by the same managers since the same writes.
    fn compare(&self, simulated: &Value, real: &Value) -> Result<(), String> {
        for path in &self.named {
            let (here, there) = (at(simulated, path), at(real, path));
            let same = if is_item_path(path) { here.is_some() == there.is_some() } else { here == there };
            if !same {
                return Err(format!("{}: simulated {here:?}, real {there:?}", path.join(" ")));
            }
        }
        let (here, there) = (self.managers(simulated), self.managers(real));
        for key in here.keys().chain(there.keys()).collect::<BTreeSet<_>>() {
            let (here, there) = (here.get(key), there.get(key));
            let paths = |held: Option<&(Paths, String)>| held.map(|(paths, _)| paths.clone());
            if paths(here) != paths(there) {
                return Err(format!("{key:?} holds: simulated {:?}, real {:?}", paths(here), paths(there)));
            }
            if let (Some((_, here)), Some((_, there))) = (here, there) {
                self.compare_times(here, there).map_err(|what| format!("{key:?} {what}"))?;
            }
        }
        Ok(())
    }

    fn compare_times(&self, simulated: &str, real: &str) -> Result<(), String> {
        let same = match (self.times.get(simulated), real.parse::<Timestamp>()) {
            (Some((begun, ended)), Ok(real)) => *begun <= real && real <= *ended,
            (None, Err(_)) => simulated.is_empty(),
            (Some(_), Err(_)) | (None, Ok(_)) => false,
        };
        if same { Ok(()) } else { Err(format!("is of {real:?}, simulated {simulated:?}")) }
    }

    /// By manager and operation, the named fields that each holds, and since when.
    fn managers(&self, object: &Value) -> BTreeMap<(String, String), (Paths, String)> {
        let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let mut found = BTreeMap::new();
        for entry in entries.iter().filter(|entry| text(entry, "subresource").is_empty()) {
            let mut paths = decode(&entry["fieldsV1"]);
            paths.retain(|path| self.named.contains(path));
            if !paths.is_empty() {
                let time = text(entry, "time");
                found.insert((text(entry, "manager"), text(entry, "operation")), (paths, time));
            }
        }
        found
    }
}

fn second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn change(object: &mut Value, changes: &[(Vec<String>, Option<Value>)]) {
    for (path, value) in changes {
        match value {
            Some(value) => put(object, path, value.clone()),
            None => remove(object, path),
        }
    }
}

/// The body with what must stand.
fn conditioned(body: &Value, condition: Condition, live: &Value) -> Value {
    let mut body = body.clone();
    let stands = |key: &str, otherwise: &str| match &live["metadata"][key] {
        Value::Null => json!(otherwise),
        value => value.clone(),
    };
    let (key, value) = match condition {
        Condition::None => return body,
        Condition::Uid => ("uid", stands("uid", NO_UID)),
        Condition::WrongUid => ("uid", json!(NO_UID)),
        Condition::Version => ("resourceVersion", stands("resourceVersion", OLD_VERSION)),
        Condition::OldVersion => ("resourceVersion", json!(OLD_VERSION)),
    };
    body["metadata"][key] = value;
    body
}

fn outcome(reply: Reply) -> (Outcome, Option<Value>) {
    match reply {
        Ok(Simulated::Written(object)) => (Outcome::Done, Some(object)),
        Ok(_) => (Outcome::Done, None),
        Err(_) => (Outcome::Conflict, None),
    }
}
