//! One rollout with at most one kill of the daemon, at one of its calls. A place is an environment and a namespace of its own;
//! what one run leaves is where the next one begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fault_run::Shape;
use crate::guarded::{self, Stood};
use crate::history::{History, Rule};
use crate::kill_scenario::{Kill, Scenario, Standing, steps_before};
use crate::rollout_scene::{APP, Release, Scene};
use crate::support::{Answers, Api, Call, Daemon, Fault, FaultProxy, Hold, Load, check, eventually};

/// Longest wait for the next write of a run that has not ended: a daemon that stands still.
const WRITES_WITHIN: Duration = Duration::from_secs(90);
/// Longest wait for the end of a run, however much is written: a daemon that goes round and round. On a busy machine a run has
/// taken two minutes.
const ENDED_WITHIN: Duration = Duration::from_mins(10);
/// More writes of one object than this in one run are a loop.
const WRITES_CAP: usize = 40;
/// What stands for a digest in a name.
const DIGEST: &str = "DIGEST";
/// What stands in a manifest for the version of a run.
const VERSION: &str = "@version@";
/// Pods of each release.
const SIZE: u32 = 2;
const RULE: Rule = Rule { gates: &["smoke"], size: SIZE as u64, drain: jiff::SignedDuration::from_secs(1) };

/// What a run has shown.
pub struct Ran {
    /// The mutating calls of the workload's lane, in their order.
    pub shapes: Vec<Shape>,
    /// Those of the environment's lane, which come at any time beside them.
    pub beside: Vec<Shape>,
    /// The kill came.
    pub hit: bool,
    /// Requests of its load; none failed.
    pub answered: u64,
    /// Writes of its rollout; all carried what they have to.
    pub guarded: usize,
}

/// What the script of a run knows.
struct Armed {
    namespace: String,
    /// The slot with traffic when the run began; empty in an installation.
    live: String,
    target: Option<(Shape, Kill)>,
    seen: BTreeMap<String, usize>,
    copies: BTreeSet<String>,
    shapes: Vec<Shape>,
    beside: Vec<Shape>,
    hit: bool,
    /// What a write that lands late is kept back by, which one it is, and whether a successor has sent the same.
    late: Hold,
    killed: Option<Call>,
    is_sent_again: bool,
    /// How many writes there were, and starts of the daemon.
    moves: Arc<AtomicUsize>,
}

impl Armed {
    fn next(&mut self, call: &Call) -> Fault {
        let Some(text) = self.text(call) else { return Fault::Pass };
        self.moves.fetch_add(1, Ordering::Relaxed);
        if self.is_sent_again {
            // One lane sends one write after the other: that one was answered.
            self.late.let_go();
        }
        self.is_sent_again |= self.killed.as_ref().is_some_and(|killed| is_same_write(killed, call));
        // Copies of configuration are the same however often they are written.
        if text.contains(DIGEST) && !self.copies.insert(format!("{} {}", call.method, call.path)) {
            return Fault::Pass;
        }
        let number = self.seen.entry(text.clone()).or_default();
        *number += 1;
        let shape = Shape { call: text, number: *number };
        let is_beside = shape.call.contains(&format!("/configmaps/{APP} "));
        if is_beside { &mut self.beside } else { &mut self.shapes }.push(shape.clone());
        match &self.target {
            Some((target, kill)) if *target == shape => {
                self.hit = true;
                self.killed = Some(call.clone());
                kill.fault(&self.late)
            }
            Some(_) | None => Fault::Pass,
        }
    }

    /// None for what is no write of a rollout: Events and the environment's record say what happened, and decide nothing.
    fn text(&self, call: &Call) -> Option<String> {
        let ours = format!("/namespaces/{}/", self.namespace);
        let is_ours = call.path.contains(&ours) && !call.path.contains("/events");
        let is_kept = call.path.contains("/namespaces/tidegate-system/secrets");
        if !call.is_write() || !(is_ours || is_kept) {
            return None;
        }
        let mut path = call.path.replace(&ours, "/namespaces/ENV/");
        for slot in ["blue", "green"] {
            let place = if slot == self.live { "LIVE" } else { "OTHER" };
            path = path.replace(&format!("{APP}-{slot}"), &format!("{APP}-{place}"));
        }
        let words =
            path.split('/').map(|word| word.split('-').map(without_digest).collect::<Vec<_>>().join("-"));
        let path = words.collect::<Vec<_>>().join("/");
        // Which of several writes of one object it is: by whose fields, and to which size.
        let manager =
            call.query.split('&').find_map(|part| part.strip_prefix("fieldManager=")).unwrap_or_default();
        let body: Value = serde_json::from_str(&call.body).unwrap_or_default();
        let size =
            if path.ends_with("/scale") { body["spec"]["replicas"].to_string() } else { String::new() };
        Some(format!("{} {path} {manager}{size}", call.method))
    }
}

/// True for what a successor sends in the place of a write. Upkeep repeats the pointer's record as it is, which is not it.
fn is_same_write(killed: &Call, call: &Call) -> bool {
    let epoch = |call: &Call| {
        let body: Value = serde_json::from_str(&call.body).unwrap_or_default();
        let record = body["metadata"]["annotations"]["tidegate.dev/rollout"].as_str().unwrap_or("null");
        serde_json::from_str::<Value>(record).unwrap_or_default()["epoch"].as_u64()
    };
    let object = |call: &Call| (call.method.clone(), call.path.clone(), call.query.clone());
    object(killed) == object(call) && epoch(killed) <= epoch(call)
}

/// A part of a name, or [`DIGEST`].
fn without_digest(part: &str) -> &str {
    let is_digest = part.len() >= 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest { DIGEST } else { part }
}

/// How the pods of a place end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pods {
    /// At once: traffic has left them before.
    AtOnce,
    /// After a pause: they are replaced while they serve.
    Paused,
}

/// Where runs take place.
pub struct Place {
    scene: Scene,
    api: Api,
    proxy: FaultProxy,
    daemon: Daemon,
    pods: Pods,
    standing: Standing,
    /// The version that serves, and its manifests.
    serves: String,
    good: String,
    runs: u32,
    moves: Arc<AtomicUsize>,
    late: Hold,
}

impl Place {
    /// `pods`: how they end.
    pub fn new(name: &str, pods: Pods) -> Self {
        let scene = Scene::new(name);
        let api = Api::connect(&scene.world.kube);
        let proxy = FaultProxy::start(&scene.world.kube.kubeconfig());
        let rest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: rest}\ndata: {a: \"1\"}\n";
        scene.world.repo.write("policies/blue-green.yaml", &policy("1s", "service"));
        scene.world.commit("nothing yet", &[("environment.yaml", &scene.environment()), ("rest.yaml", rest)]);
        let daemon = daemon(&scene, &proxy);
        Self {
            scene,
            api,
            proxy,
            daemon,
            pods,
            standing: Standing::Absent,
            serves: String::new(),
            good: String::new(),
            runs: 0,
            moves: Arc::default(),
            late: Hold::new(),
        }
    }

    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Runs a scenario; the error says what is not as it should be, with the end of the daemon's log.
    pub fn run(&mut self, scenario: Scenario, target: Option<(Shape, Kill)>) -> Result<Ran, String> {
        let ran = self.stand(scenario).and_then(|()| self.play(scenario, target));
        ran.map_err(|complaint| {
            let log = self.daemon.log();
            let lines: Vec<&str> = log.lines().collect();
            let told = format!("{complaint}\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
            self.rebuild();
            told
        })
    }

    /// Brings the place to where a scenario begins.
    fn stand(&mut self, scenario: Scenario) -> Result<(), String> {
        match (scenario, self.standing) {
            (Scenario::Install, Standing::Absent) => {}
            (Scenario::Install, Standing::Single | Standing::Both) => drop(self.play(Scenario::Gone, None)?),
            (Scenario::Adopt | Scenario::Return | Scenario::Leave, _) => {
                self.stand_for_taking_over(scenario)?;
            }
            (_, Standing::Absent) => {
                self.play(Scenario::Install, None)?;
                self.play(Scenario::Release, None)?;
            }
            (_, Standing::Single) => drop(self.play(Scenario::Release, None)?),
            (_, Standing::Both) => {}
            (_, Standing::Plain | Standing::Adopted) => {
                return Err(format!("{scenario:?} does not begin from {:?}", self.standing));
            }
        }
        Ok(())
    }

    fn stand_for_taking_over(&mut self, scenario: Scenario) -> Result<(), String> {
        let steps = steps_before(scenario, self.standing);
        steps.iter().try_for_each(|step| self.play(*step, None).map(drop))
    }

    /// Begins anew where a run left something that no other can begin from.
    fn rebuild(&mut self) {
        let name = self.name().to_owned();
        self.proxy.pass();
        self.late.let_go();
        if self.daemon.is_running() {
            self.daemon.kill();
        }
        self.scene.world.kube.clean(&name);
        self.scene.world.repo.write("policies/blue-green.yaml", &policy("1s", "service"));
        if self.scene.world.repo.work().join(format!("environments/{name}/app.yaml")).exists() {
            self.scene.world.repo.remove(&format!("environments/{name}/app.yaml"));
        }
        self.scene.world.repo.commit("begin anew");
        self.daemon = daemon(&self.scene, &self.proxy);
        self.standing = Standing::Absent;
    }

    fn name(&self) -> &str {
        &self.scene.world.name
    }

    fn play(&mut self, scenario: Scenario, target: Option<(Shape, Kill)>) -> Result<Ran, String> {
        self.runs += 1;
        let (live, old) = (self.selected(), std::mem::take(&mut self.serves));
        let other = if live == "blue" { "green" } else { "blue" };
        let new = format!("v{}", self.runs);
        let history = History::begin(&self.api, self.name());
        let is_loaded = !matches!(scenario, Scenario::Install | Scenario::Gone);
        let load = is_loaded.then(|| Load::light(self.scene.address()));
        let (mark, stood) = (self.proxy.mark(), self.stood());
        let is_late = target.as_ref().is_some_and(|(_, kill)| *kill == Kill::Late);
        let armed = self.arm(target, &live);
        let head = self.commit(scenario, &new, other)?;
        let (serves, version, allowed): (&str, &str, &[&str]) = match scenario {
            Scenario::Install => (other, &new, &[&new]),
            Scenario::Release => (other, &new, &[&old, &new]),
            Scenario::Rejected => (&live, &old, &[&old]),
            Scenario::Fails | Scenario::Revert => (&live, &old, &[&old, &new]),
            Scenario::Gone => ("", "", &[]),
            Scenario::Adopt => ("blue", &old, &[&old]),
            Scenario::Return | Scenario::Leave => ("", &old, &[&old]),
        };
        let end = format!("{} with {serves:?} serving", scenario.end());
        self.until(&end, |place| place.ended(scenario, &head, serves))?;
        if is_late && armed.lock().unwrap().hit {
            self.late.let_go();
            eventually("the write has landed", || check(self.late.has_landed(), "it has not"));
            self.until(&end, |place| place.ended(scenario, &head, serves))?;
        }
        let load = load.map_or_else(Answers::default, Load::end);
        check(load.failed == 0, format!("{} requests failed: {:?}", load.failed, load.failures))?;
        let strange = load.versions().into_iter().find(|version| !allowed.contains(version));
        check(strange.is_none(), format!("{strange:?} answered; allowed are {allowed:?}"))?;
        let moves = history.judge(&RULE)?;
        let wanted: &[&str] = match scenario {
            Scenario::Install | Scenario::Release => &[other],
            Scenario::Fails | Scenario::Revert => &[other, &live],
            Scenario::Adopt => &["blue"],
            Scenario::Rejected | Scenario::Gone | Scenario::Return | Scenario::Leave => &[],
        };
        check(moves == wanted, format!("traffic moved to {moves:?}, not to {wanted:?}"))?;
        let guarded = self.look_at_writes(mark, stood)?;
        self.standing = match scenario {
            Scenario::Install => Standing::Single,
            Scenario::Gone => Standing::Absent,
            Scenario::Release | Scenario::Rejected | Scenario::Fails | Scenario::Revert => Standing::Both,
            Scenario::Adopt => Standing::Adopted,
            Scenario::Return | Scenario::Leave => Standing::Plain,
        };
        version.clone_into(&mut self.serves);
        self.proxy.pass();
        let armed = armed.lock().unwrap();
        Ok(Ran {
            shapes: armed.shapes.clone(),
            beside: armed.beside.clone(),
            hit: armed.hit,
            answered: load.total(),
            guarded,
        })
    }

    fn arm(&mut self, target: Option<(Shape, Kill)>, live: &str) -> Arc<Mutex<Armed>> {
        self.late = Hold::new();
        let armed = Armed {
            namespace: self.name().to_owned(),
            live: live.to_owned(),
            target,
            seen: BTreeMap::new(),
            copies: BTreeSet::new(),
            shapes: Vec::new(),
            beside: Vec::new(),
            hit: false,
            late: self.late.clone(),
            killed: None,
            is_sent_again: false,
            moves: self.moves.clone(),
        };
        let armed = Arc::new(Mutex::new(armed));
        let script = armed.clone();
        self.proxy.script(move |call| script.lock().unwrap().next(call));
        armed
    }

    /// Commits what the scenario is about; the commit that stands at its end.
    fn commit(&mut self, scenario: Scenario, new: &str, other: &str) -> Result<String, String> {
        let app = format!("environments/{}/app.yaml", self.name());
        let repo = &self.scene.world.repo;
        if scenario == Scenario::Gone {
            repo.remove(&app);
            return Ok(repo.commit("without it"));
        }
        repo.write("policies/blue-green.yaml", &policy(scenario.bake(), scenario.mode()));
        if scenario.is_of_taking_over() {
            return Ok(repo.commit(scenario.mode()));
        }
        let release = Release { offset: scenario.offset(), replicas: SIZE, ..Release::new(VERSION) };
        let text = manifests(&self.scene, release, self.pods).replace(VERSION, new);
        repo.write(&app, &text);
        let head = repo.commit(new);
        match scenario {
            Scenario::Install | Scenario::Release => self.good = text,
            Scenario::Rejected
            | Scenario::Fails
            | Scenario::Revert
            | Scenario::Gone
            | Scenario::Adopt
            | Scenario::Return
            | Scenario::Leave => {}
        }
        if scenario != Scenario::Revert {
            return Ok(head);
        }
        self.until(&format!("{other} serves"), |place| {
            let selected = place.selected();
            check(selected == other, format!("{selected} serves"))
        })?;
        let repo = &self.scene.world.repo;
        repo.write(&app, &self.good);
        Ok(repo.commit("go back"))
    }

    /// Starts the daemon again whenever it was killed, until this holds.
    fn until(&mut self, what: &str, holds: impl Fn(&Self) -> Result<(), String>) -> Result<(), String> {
        let start = Instant::now();
        let (mut since, mut known) = (start, self.moves.load(Ordering::Relaxed));
        loop {
            if !self.daemon.is_running() {
                self.daemon.restart();
                self.proxy.victim(self.daemon.pid());
                self.moves.fetch_add(1, Ordering::Relaxed);
            }
            let moves = self.moves.load(Ordering::Relaxed);
            if moves != known {
                (since, known) = (Instant::now(), moves);
            }
            let is_over = since.elapsed() >= WRITES_WITHIN || start.elapsed() >= ENDED_WITHIN;
            match holds(self) {
                Ok(()) => return Ok(()),
                Err(why) => check(!is_over, format!("not {what} in time: {why}"))?,
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The record says how it ended, the slot that should serve does, and the other one is put away.
    fn ended(&self, scenario: Scenario, head: &str, serves: &str) -> Result<(), String> {
        let status = self.scene_status();
        let is_told = status["state"] == scenario.end() && status["seen"]["id"] == head;
        check(is_told, format!("the record: {status:#}"))?;
        let selected = self.selected();
        check(selected == serves, format!("{selected:?} serves"))?;
        if scenario.is_of_taking_over() {
            self.is_plain_deployment(scenario)?;
        } else {
            // One that was taken over as a slot has another name than slots have, and is put away as they are.
            let own = self.get("/apis/apps/v1", "deployments", APP);
            check(own["spec"].is_null(), "the Deployment that was taken over is there".to_owned())?;
        }
        let record = self.record();
        check(record["halted"].is_null(), format!("people would have to look: {record:#}"))?;
        let rejected = record["rejected"].clone();
        let named = ["blue", "green"].into_iter().filter(|slot| {
            let slot = self.get("/apis/apps/v1", "deployments", &format!("{APP}-{slot}"));
            let revision = &slot["spec"]["template"]["metadata"]["labels"]["tidegate.dev/revision"];
            revision.is_string() && *revision == rejected["revision"]
        });
        let reason = if named.count() == 0 { &Value::Null } else { &rejected["reason"] };
        check(*reason == scenario.turned_down(), format!("turned down is {rejected:#}"))?;
        for slot in ["blue", "green"] {
            let deployment = self.get("/apis/apps/v1", "deployments", &format!("{APP}-{slot}"));
            let size = deployment["spec"]["replicas"].as_u64();
            if slot == serves && scenario != Scenario::Adopt {
                check(size == Some(u64::from(SIZE)), format!("{slot} serves at {size:?}"))?;
                check(deployment["status"]["readyReplicas"] == json!(SIZE), format!("{slot} is not ready"))?;
            } else if scenario == Scenario::Gone || scenario.is_of_taking_over() {
                check(size.is_none(), format!("{slot} is there"))?;
            } else {
                check(size.unwrap_or_default() == 0, format!("{slot} is not put away: {size:?}"))?;
            }
        }
        Ok(())
    }

    /// The Deployment serves under its own name, in a colour or in none.
    fn is_plain_deployment(&self, scenario: Scenario) -> Result<(), String> {
        let deployment = self.get("/apis/apps/v1", "deployments", APP);
        let (spec, status) = (&deployment["spec"], &deployment["status"]);
        let is_whole = ["replicas", "updatedReplicas", "readyReplicas"].iter().all(|of| status[of] == SIZE);
        check(spec["replicas"] == SIZE && is_whole, format!("it is not whole: {status}"))?;
        let colour = &spec["template"]["metadata"]["labels"]["tidegate.dev/slot"];
        let wanted = if scenario == Scenario::Adopt { json!("blue") } else { Value::Null };
        check(*colour == wanted, format!("its colour is {colour}"))?;
        let record = self.record();
        let is_kept = scenario == Scenario::Adopt;
        check(record.is_object() == is_kept, format!("its Service says {record}"))
    }

    fn scene_status(&self) -> Value {
        let path = format!("/api/v1/namespaces/tidegate-system/configmaps/tidegate-{}", self.name());
        let text = self.api.get(&path)["data"]["status.json"].as_str().unwrap_or("null").to_owned();
        serde_json::from_str(&text).unwrap()
    }

    fn get(&self, group: &str, resource: &str, name: &str) -> Value {
        self.api.get(&format!("{group}/namespaces/{}/{resource}/{name}", self.name()))
    }

    fn selected(&self) -> String {
        let service = self.get("/api/v1", "services", APP);
        service["spec"]["selector"]["tidegate.dev/slot"].as_str().unwrap_or_default().to_owned()
    }

    fn record(&self) -> Value {
        let service = self.get("/api/v1", "services", APP);
        let text = service["metadata"]["annotations"]["tidegate.dev/rollout"].as_str().unwrap_or("null");
        serde_json::from_str(text).unwrap()
    }

    fn stood(&self) -> Stood {
        let size = |name: &String| self.get("/apis/apps/v1", "deployments", name)["spec"]["replicas"].clone();
        let slots = ["blue", "green"].map(|slot| format!("{APP}-{slot}"));
        let sizes = slots.into_iter().map(|name| (name.clone(), size(&name)));
        Stood {
            is_pointer: self.record().is_object(),
            sizes: sizes.filter(|(_, size)| size.is_u64()).collect(),
        }
    }

    /// None was sent again and again, and all carried what they have to.
    fn look_at_writes(&self, mark: usize, stood: Stood) -> Result<usize, String> {
        let calls = self.proxy.calls_since(mark);
        let mut writes: BTreeMap<String, usize> = BTreeMap::new();
        let ours = format!("/namespaces/{}/", self.name());
        for call in &calls {
            if call.is_write() && call.path.contains(&ours) && !call.path.contains("/events") {
                *writes.entry(call.path.clone()).or_default() += 1;
            }
        }
        let is_a_loop = writes.values().any(|count| *count > WRITES_CAP);
        check(!is_a_loop, format!("written again and again: {writes:?}"))?;
        guarded::judge(&calls, self.name(), stood)
    }
}

fn daemon(scene: &Scene, proxy: &FaultProxy) -> Daemon {
    let world = &scene.world;
    let daemon = Daemon::start(&world.repo.url(), &proxy.kubeconfig(), &["--replica", &world.name]);
    proxy.victim(daemon.pid());
    daemon
}

/// Two gates that differ in what they let through; everything as short as it may be. Pods are asked directly: the proxy of these
/// tests carries no streams.
fn policy(bake: &str, mode: &str) -> String {
    let gate = |name: &str, tolerance: &str| {
        format!(
            "      - name: {name}\n        every: 1s\n        http: {{method: POST, path: /predict, body: {{rooms: 6.5}}, requests: 2, \
             everyPod: true, expect: {{status: 200, json: [{{pointer: /prediction, equals: 20.35, tolerance: {{abs: {tolerance}}}}}]}}}}\n"
        )
    };
    let (smoke, watch) = (gate("smoke", "1"), gate("watch", "0.01"));
    format!(
        "apiVersion: tidegate.dev/v1\nkind: RolloutPolicy\nmetadata: {{name: blue-green}}\nspec:\n  reach: direct\n  \
         match: {{selector: {{matchLabels: {{app: {APP}}}}}}}\n  traffic: {{mode: {mode}}}\n  gates:\n    beforeSwitch:\n{smoke}    \
         whileBaking:\n{watch}  bake: {{duration: {bake}, max: 60s}}\n  drain: 1s\n  keepFailed: 1s\n  \
         deadlines: {{warm: 10m, gates: 10m}}\n"
    )
}

/// Where traffic has left pods before they end they need no pause for it; without one the drain is a second.
fn manifests(scene: &Scene, release: Release, pods: Pods) -> String {
    let text = scene.manifests(release);
    if pods == Pods::Paused {
        return text;
    }
    let text = text.replace("        lifecycle: {preStop: {sleep: {seconds: 2}}}\n", "");
    text.replace("terminationGracePeriodSeconds: 5", "terminationGracePeriodSeconds: 1")
}
