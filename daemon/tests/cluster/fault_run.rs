//! One scenario with at most one fault: install, update, prune, repair, or suspend and resume, on a namespace and an
//! environment of its own that serve one run after the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::scene::bare_environment;
use crate::support::{Api, Call, Daemon, Fault, FaultProxy, World, config_map};

/// Longest wait for convergence after a fault: invariant 1 of the design.
const CONVERGED_WITHIN: Duration = Duration::from_mins(1);
/// More real applies of one object than this in one run are a loop.
const APPLIES_CAP: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    Install,
    Update,
    Prune,
    Repair,
    Suspend,
}

impl Scenario {
    pub const ALL: [Self; 5] = [Self::Install, Self::Update, Self::Prune, Self::Repair, Self::Suspend];
}

/// A call as it comes again in every run of a scenario: method and path without names of the run, and its number among
/// those alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    pub call: String,
    pub number: usize,
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} #{}", self.call, self.number)
    }
}

/// Where runs take place.
pub struct Place {
    world: World,
    api: Api,
    proxy: FaultProxy,
    runs: u32,
}

/// What a run has shown.
pub struct Ran {
    /// The calls from the beginning of the scenario to its end.
    pub shapes: Vec<Shape>,
    /// The fault came to its call.
    pub hit: bool,
}

/// What the script of a run knows.
struct Armed {
    name: String,
    target: Option<(Shape, Fault)>,
    seen: BTreeMap<String, usize>,
    shapes: Vec<Shape>,
    hit: bool,
}

impl Armed {
    fn next(&mut self, call: &Call) -> Fault {
        let text = shape_of(&self.name, call);
        let number = self.seen.entry(text.clone()).or_default();
        *number += 1;
        let shape = Shape { call: text, number: *number };
        self.shapes.push(shape.clone());
        match &self.target {
            Some((target, fault)) if *target == shape => {
                self.hit = true;
                fault.clone()
            }
            Some(_) | None => Fault::Pass,
        }
    }
}

fn shape_of(name: &str, call: &Call) -> String {
    let mut path: Vec<&str> = call.path.split('/').collect();
    if call.path.contains("/leases/") {
        path.pop();
        path.push("OWN");
    }
    let path = path.join("/").replace(name, "ENV");
    let dry = if call.query.contains("dryRun=All") { " dry-run" } else { "" };
    let watch = if call.is_watch() { " watch" } else { "" };
    format!("{} {path}{dry}{watch}", call.method)
}

impl Place {
    pub fn new(name: &str) -> Self {
        let world = World::new(name);
        world.kube.must(&["create", "namespace", name]);
        let api = Api::connect(&world.kube);
        let proxy = FaultProxy::start(&world.kube.kubeconfig());
        let place = Self { world, api, proxy, runs: 0 };
        let labels = json!({ "tidegate.dev/environment": name, "app": "copied" });
        for (object, labels) in [("bystander", json!({})), ("copied", labels)] {
            let body = json!({ "metadata": { "name": object, "labels": labels }, "data": { "k": "v" } });
            assert_eq!(place.api.call("POST", &place.path("configmaps", ""), Some(&body)).0, 201);
        }
        place
    }

    fn name(&self) -> &str {
        &self.world.name
    }

    fn path(&self, resource: &str, object: &str) -> String {
        let path = format!("/api/v1/namespaces/{}/{resource}/{object}", self.name());
        path.trim_end_matches('/').to_owned()
    }

    /// Runs a scenario; the error says what is not as it should be, with the end of the daemon's log.
    pub fn run(&mut self, scenario: Scenario, target: Option<(Shape, Fault)>) -> Result<Ran, String> {
        self.runs += 1;
        self.proxy.pass();
        self.reset();
        let armed = Armed {
            name: self.name().to_owned(),
            target,
            seen: BTreeMap::new(),
            shapes: Vec::new(),
            hit: false,
        };
        let armed = Arc::new(Mutex::new(armed));
        let mut head = self.commit("one", &["a", "b", "c"]);
        let mark = self.proxy.mark();
        if scenario == Scenario::Install {
            self.arm(&armed);
        }
        let mut daemon =
            Daemon::start(&self.world.repo.url(), &self.proxy.kubeconfig(), &["--replica", self.name()]);
        self.proxy.victim(daemon.pid());
        let done = self.play(scenario, &armed, &mut daemon, &mut head, mark);
        let told = |complaint: String| {
            let log = daemon.log();
            let lines: Vec<&str> = log.lines().collect();
            format!("{complaint}\n{}", lines[lines.len().saturating_sub(30)..].join("\n"))
        };
        done.map_err(told)?;
        let armed = armed.lock().unwrap();
        Ok(Ran { shapes: armed.shapes.clone(), hit: armed.hit })
    }

    fn play(
        &self,
        scenario: Scenario,
        armed: &Arc<Mutex<Armed>>,
        daemon: &mut Daemon,
        head: &mut String,
        mut mark: usize,
    ) -> Result<(), String> {
        let mut before = BTreeMap::new();
        if scenario != Scenario::Install {
            self.converge(daemon, head, "one", &["a", "b", "c"])?;
            before = self.uids();
            mark = self.proxy.mark();
            self.arm(armed);
        }
        let (value, objects): (&str, &[&str]) = match scenario {
            Scenario::Install => ("one", &["a", "b", "c"]),
            Scenario::Update => ("two", &["a", "b", "c"]),
            Scenario::Prune => ("one", &["a"]),
            Scenario::Repair => {
                let (code, _) = self.api.call(
                    "PATCH",
                    &self.path("configmaps", "a"),
                    Some(&json!({"data": {"k": "by hand"}})),
                );
                assert_eq!(code, 200);
                ("one", &["a", "b", "c"])
            }
            Scenario::Suspend => {
                self.suspend(daemon, head)?;
                ("two", &["a", "b", "c"])
            }
        };
        if scenario == Scenario::Update || scenario == Scenario::Prune {
            *head = self.commit(value, objects);
        }
        self.converge(daemon, head, value, objects)?;
        for (object, uid) in self.uids() {
            let known = before.get(&object).is_none_or(|known| *known == uid);
            ensure(known, || format!("{object} was made anew"))?;
        }
        let gone: &[&str] = if scenario == Scenario::Prune { &["b", "c"] } else { &[] };
        self.look_at_writes(mark, gone)
    }

    /// Suspends, commits, sees that nothing happens, resumes.
    fn suspend(&self, daemon: &mut Daemon, head: &mut String) -> Result<(), String> {
        let asked = self.world.tidegate(&["suspend", self.name(), "--reason", "test"]);
        ensure(asked.code == 0, || asked.stderr.clone())?;
        self.until(daemon, "suspended", |status| status["state"] == "suspended")?;
        *head = self.commit("two", &["a", "b", "c"]);
        std::thread::sleep(Duration::from_millis(200));
        let value = self.api.get(&self.path("configmaps", "a"))["data"]["k"].clone();
        ensure(value == "one", || format!("while it is suspended a is {value}"))?;
        let asked = self.world.tidegate(&["resume", self.name(), "--reason", "test"]);
        ensure(asked.code == 0, || asked.stderr)
    }

    fn arm(&self, armed: &Arc<Mutex<Armed>>) {
        let armed = armed.clone();
        self.proxy.script(move |call| armed.lock().unwrap().next(call));
    }

    /// Removes everything that the run before left; the bystanders stay.
    fn reset(&self) {
        let name = self.name();
        for object in ["a", "b", "c"] {
            self.api.call("DELETE", &self.path("configmaps", object), None);
        }
        self.api.call("DELETE", &self.path("services", "s"), None);
        let system = "/api/v1/namespaces/tidegate-system/configmaps";
        self.api.call("DELETE", &format!("{system}/tidegate-{name}"), None);
        self.api.call("DELETE", &format!("{system}?labelSelector=tidegate.dev/inventory-of={name}"), None);
    }

    fn commit(&self, value: &str, objects: &[&str]) -> String {
        let (name, runs) = (self.name(), self.runs);
        let folder = format!("environments/{name}");
        for object in ["a", "b", "c"] {
            let file = format!("{folder}/{object}.yaml");
            if objects.contains(&object) {
                self.world.repo.write(&file, &config_map(object, "k", value));
            } else {
                self.world.repo.remove(&file);
            }
        }
        let environment =
            bare_environment(name, name, "  prune: {enabled: true, budget: {max: 9, percent: 100}}\n");
        self.world.repo.write(&format!("{folder}/environment.yaml"), &environment);
        let service =
            "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{name: web, port: 80}]}\n";
        self.world.repo.write(&format!("{folder}/s.yaml"), service);
        self.world.repo.commit(&format!("run {runs}: {value}"))
    }

    /// Starts the daemon again whenever it was killed, until its record says `holds`.
    fn until(&self, daemon: &mut Daemon, what: &str, holds: impl Fn(&Value) -> bool) -> Result<(), String> {
        let path = format!("/api/v1/namespaces/tidegate-system/configmaps/tidegate-{}", self.name());
        let start = Instant::now();
        loop {
            if !daemon.is_running() {
                daemon.restart();
                self.proxy.victim(daemon.pid());
            }
            let text = self.api.get(&path)["data"]["status.json"].as_str().unwrap_or("null").to_owned();
            let status: Value = serde_json::from_str(&text).unwrap();
            if holds(&status) {
                return Ok(());
            }
            ensure(start.elapsed() < CONVERGED_WITHIN, || format!("not {what} in time: {status}"))?;
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    /// Until git and the cluster agree: nothing more there, nothing less, every value right.
    fn converge(&self, daemon: &mut Daemon, head: &str, value: &str, objects: &[&str]) -> Result<(), String> {
        let is_right = || {
            let list = self.api.get(&self.path("configmaps", ""));
            let items = list["items"].as_array().unwrap();
            let ours: BTreeMap<&str, &Value> = items
                .iter()
                .filter(|item| !item["metadata"]["labels"]["applyset.kubernetes.io/part-of"].is_null())
                .map(|item| (item["metadata"]["name"].as_str().unwrap(), &item["data"]["k"]))
                .collect();
            ours.keys().copied().eq(objects.iter().copied())
                && ours.values().all(|found| **found == value)
                && self.api.call("GET", &self.path("services", "s"), None).0 == 200
        };
        self.until(daemon, "live with everything right", |status| {
            status["state"] == "live" && status["seen"]["id"] == head && is_right()
        })?;
        for object in ["bystander", "copied"] {
            let there = self.api.get(&self.path("configmaps", object));
            ensure(there["data"]["k"] == "v", || format!("{object} was touched: {there}"))?;
        }
        Ok(())
    }

    fn uids(&self) -> BTreeMap<String, String> {
        let list = self.api.get(&self.path("configmaps", ""));
        let items = list["items"].as_array().unwrap();
        let text = |item: &Value, key: &str| item["metadata"][key].as_str().unwrap().to_owned();
        items.iter().map(|item| (text(item, "name"), text(item, "uid"))).collect()
    }

    /// Deletes name what they mean by uid, and only what left git; nothing is applied again and again.
    fn look_at_writes(&self, mark: usize, gone: &[&str]) -> Result<(), String> {
        let mut applies: BTreeMap<String, usize> = BTreeMap::new();
        let calls = self.proxy.calls_since(mark);
        for call in calls.iter().filter(|call| call.is_write() && !call.path.contains("tidegate-system")) {
            let object = call.path.rsplit('/').next().unwrap_or_default();
            match call.method.as_str() {
                "DELETE" => ensure(gone.contains(&object) && call.body.contains("\"uid\""), || {
                    format!("DELETE {} {}", call.path, call.body)
                })?,
                _ => *applies.entry(object.to_owned()).or_default() += 1,
            }
        }
        ensure(applies.values().all(|count| *count <= APPLIES_CAP), || {
            format!("applied again and again: {applies:?}")
        })
    }
}

fn ensure(holds: bool, complaint: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(complaint()) }
}
