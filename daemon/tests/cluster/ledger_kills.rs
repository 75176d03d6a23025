//! kill -9 at every step of recording, by enumeration: before and after every write that the daemon makes while something happens
//! that is to be on record, and at each stage of a push. Afterwards every outcome is in the log once, nothing waits in the cluster,
//! and the log is what was written.
//!
//! `TIDEGATE_TEST=full` runs all cases, else a sample is taken. `TIDEGATE_TEST_SEED=<number>` takes the same sample again;
//! `TIDEGATE_TEST_FAULT=<text>` runs those whose name contains the text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::enumerated::{is_full, say, seed, shuffled};
use crate::ledger::{Logs, clean, kinds, queued};
use crate::support::{Call, Daemon, Fault, FaultProxy, World, config_map, deployment};

/// Runs side by side: they mostly wait.
const PLACES: usize = 4;
/// Runs of a sample.
const SAMPLE: usize = 24;
/// Longest wait for what a run is to come to.
const WITHIN: Duration = Duration::from_mins(1);

/// What happens, to be on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scenario {
    /// A commit changes an object.
    Deploy,
    /// A commit takes an object away.
    Remove,
    /// Somebody edits an object.
    Repair,
    /// A person suspends the environment.
    Suspend,
    /// A person lets it go on.
    Resume,
    /// A commit cannot be read.
    Reject,
    /// A commit never becomes healthy, and the environment goes back.
    GoBack,
}

const SCENARIOS: [Scenario; 7] = [
    Scenario::Deploy,
    Scenario::Remove,
    Scenario::Repair,
    Scenario::Suspend,
    Scenario::Resume,
    Scenario::Reject,
    Scenario::GoBack,
];

/// The moment of a kill.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Moment {
    /// At a write: method and object, and its number among those alike.
    Write { write: String, number: usize, fault: Fault },
    /// While the remote works on a push, in this hook.
    Push(&'static str),
}

impl Moment {
    /// So many daemons it ends.
    fn kills(&self) -> u32 {
        match self {
            Self::Write { fault: Fault::LostReply, .. } => 0,
            Self::Write { .. } | Self::Push(_) => 1,
        }
    }
}

/// Hooks of the remote: the commits are there; the branch has moved. And one that does not let it move.
const STAGES: [&str; 3] = ["pre-receive", "post-receive", "refused"];

/// One run to be done.
#[derive(Debug, Clone)]
struct Case {
    scenario: Scenario,
    moment: Moment,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.moment {
            Moment::Write { write, number, fault } => {
                write!(f, "{:?}: {fault:?} at {write} #{number}", self.scenario)
            }
            Moment::Push(stage) => write!(f, "{:?}: killed in the push, {stage}", self.scenario),
        }
    }
}

/// A write as it comes again in every run of a scenario: entries have a name of their own each time.
fn write_of(name: &str, call: &Call) -> Option<String> {
    let is_lease = call.path.contains("/leases");
    if !call.is_write() || is_lease || call.path.contains("/events") || call.path.contains("reviews") {
        return None;
    }
    let object = call.path.rsplit('/').next().unwrap_or_default();
    let object = if object.starts_with("deploylog-") || call.body.contains("tidegate.dev/record-of") {
        "an entry".to_owned()
    } else {
        object.replace(name, "ENV")
    };
    Some(format!("{} {object}", call.method))
}

/// What a run's script knows.
#[derive(Default)]
struct Armed {
    target: Option<Moment>,
    seen: BTreeMap<String, usize>,
    is_hit: bool,
}

impl Armed {
    fn next(&mut self, name: &str, call: &Call) -> Fault {
        let Some(text) = write_of(name, call) else { return Fault::Pass };
        let count = self.seen.entry(text.clone()).or_default();
        *count += 1;
        match &self.target {
            Some(Moment::Write { write, number, fault }) if *write == text && number == count => {
                self.is_hit = true;
                fault.clone()
            }
            Some(Moment::Write { .. } | Moment::Push(_)) | None => Fault::Pass,
        }
    }
}

/// What a run has shown.
struct Ran {
    /// The records of it.
    told: Vec<Value>,
    /// How often each write was made.
    writes: BTreeMap<String, usize>,
    /// It came to its kill.
    is_hit: bool,
}

/// Where runs take place, one after the other: an environment, its log, and a daemon.
struct Place {
    world: World,
    logs: Logs,
    proxy: FaultProxy,
    daemon: Daemon,
    armed: Arc<Mutex<Armed>>,
    /// The run, for contents that no run had before.
    runs: u32,
    /// What the live commit's contents are of.
    number: u32,
    /// Records that are known.
    known: usize,
    /// The commit that is live.
    head: String,
}

impl Place {
    fn new(name: &str) -> Self {
        let (world, logs) = (World::new(name), Logs::new());
        clean(&world);
        let proxy = FaultProxy::start(&world.kube.kubeconfig());
        let head = commit(&world, 0, true, &good());
        let flags = ["--replica", name, "--ledger-coalesce", "1s"];
        let daemon = logs.daemon_behind(&world, &proxy.kubeconfig(), &flags);
        let armed = Arc::<Mutex<Armed>>::default();
        let mut place = Self { world, logs, proxy, daemon, armed, runs: 0, number: 0, known: 0, head };
        place.proxy.victim(place.daemon.pid());
        let script = place.armed.clone();
        let name = name.to_owned();
        place.proxy.script(move |call| script.lock().unwrap().next(&name, call));
        place.logs.hooks();
        place.until("live at first", |place| place.is("live")).unwrap_or_else(|why| panic!("{why}"));
        place.known = place.recorded().unwrap_or_else(|why| panic!("{why}")).len();
        place
    }

    /// A scenario, with a kill or without.
    fn run(&mut self, scenario: Scenario, target: Option<&Moment>) -> Result<Ran, String> {
        self.runs += 1;
        self.ready(scenario)?;
        self.known = self.recorded()?.len();
        if let Some(Moment::Push(stage)) = target {
            self.logs.arm(stage, self.daemon.pid());
        }
        let armed = Armed { target: target.cloned(), ..Armed::default() };
        *self.armed.lock().unwrap() = armed;
        self.play(scenario)?;
        let records = self.recorded()?;
        let armed = std::mem::take(&mut *self.armed.lock().unwrap());
        let is_hit = match target {
            Some(Moment::Push(_)) => !self.logs.disarm(),
            Some(Moment::Write { .. }) => armed.is_hit,
            None => false,
        };
        let ran = Ran { told: records[self.known..].to_vec(), writes: armed.seen, is_hit };
        self.clear(scenario)?;
        Ok(ran)
    }

    /// What a scenario begins with.
    fn ready(&mut self, scenario: Scenario) -> Result<(), String> {
        if scenario == Scenario::Resume {
            self.order("suspend")?;
            self.until("suspended", |place| place.is("suspended"))?;
        }
        Ok(())
    }

    fn play(&mut self, scenario: Scenario) -> Result<(), String> {
        match scenario {
            Scenario::Deploy => {
                self.number = self.runs;
                self.head = commit(&self.world, self.number, true, &good());
                self.until("live", |place| place.is("live"))
            }
            Scenario::Remove => {
                self.head = commit(&self.world, self.number, false, &good());
                self.until("live without it", |place| place.is("live") && !place.has_spare())
            }
            Scenario::Repair => {
                let by_hand = json!({ "data": { "rooms": "by hand" } }).to_string();
                let name = self.world.name.as_str();
                self.world.kube.must(&["patch", "configmap", "prices", "-n", name, "-p", &by_hand]);
                self.until("repaired", |place| place.rooms() != "by hand")
            }
            Scenario::Suspend => {
                self.order("suspend")?;
                self.until("suspended", |place| place.is("suspended"))
            }
            Scenario::Resume => {
                self.order("resume")?;
                self.until("live again", |place| place.is("live"))
            }
            Scenario::Reject => {
                self.head = commit(&self.world, self.runs, true, "kind: nothing\n");
                self.until("told", |place| place.is("failed"))
            }
            Scenario::GoBack => {
                self.head = commit(&self.world, self.runs, false, &wrong());
                self.until("gone back", |place| place.is("rolled-back"))
            }
        }
    }

    /// Leaves what a scenario has brought about, where the next one could not begin with it.
    fn clear(&mut self, scenario: Scenario) -> Result<(), String> {
        match scenario {
            Scenario::Suspend => {
                self.order("resume")?;
                self.until("live again", |place| place.is("live"))
            }
            Scenario::Remove | Scenario::Reject | Scenario::GoBack => {
                self.number = self.runs;
                self.head = commit(&self.world, self.number, true, &good());
                self.until("live again", |place| place.is("live"))
            }
            Scenario::Deploy | Scenario::Repair | Scenario::Resume => Ok(()),
        }
    }

    fn order(&self, command: &str) -> Result<(), String> {
        let asked = self.world.tidegate(&[command, &self.world.name, "--reason", "test"]);
        if asked.code == 0 { Ok(()) } else { Err(asked.stderr) }
    }

    /// All records, once nothing waits in the cluster any more.
    fn recorded(&mut self) -> Result<Vec<Value>, String> {
        self.until("nothing waits", |place| queued(&place.world).is_empty())?;
        Ok(self.logs.records(&self.world))
    }

    /// Starts the daemon again whenever it was killed, until this holds.
    fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> Result<(), String> {
        let start = Instant::now();
        loop {
            if !self.daemon.is_running() {
                self.daemon.restart();
                self.proxy.victim(self.daemon.pid());
            }
            if holds(self) {
                return Ok(());
            }
            if start.elapsed() > WITHIN {
                let (status, waits) = (self.world.status(), queued(&self.world));
                let log = self.daemon.log();
                let lines: Vec<&str> = log.lines().collect();
                let end = lines[lines.len().saturating_sub(30)..].join("\n");
                return Err(format!("not {what} in time: {status:#}\nwaiting: {waits:#?}\n{end}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn is(&self, state: &str) -> bool {
        let status = self.world.status();
        status["state"] == state && status["seen"]["id"] == self.head.as_str()
    }

    fn has_spare(&self) -> bool {
        self.world.kube.get("configmap", &self.world.name, "spare").is_some()
    }

    fn rooms(&self) -> Value {
        let prices = self.world.kube.get("configmap", &self.world.name, "prices");
        prices.map_or(Value::Null, |prices| prices["data"]["rooms"].clone())
    }
}

/// Its image is there.
fn good() -> String {
    deployment("web", 1, "")
}

/// Its image is not.
fn wrong() -> String {
    good().replace("docker.io/local/pause:1", "127.0.0.1:1/missing/image:7")
}

/// A commit with contents of its own. One with the wrong image is soon given up; it also takes an object away and brings one, so
/// that there is something of every kind to be taken back.
fn commit(world: &World, number: u32, has_spare: bool, web: &str) -> String {
    let prices = config_map("prices", "rooms", &number.to_string());
    let healthy = if web == wrong() { "3s" } else { "5m" };
    let environment = world.environment(&format!("  deadlines: {{healthy: {healthy}}}\n"));
    for (object, is_there) in [("spare", has_spare), ("extra", web == wrong())] {
        let file = format!("environments/{}/{object}.yaml", world.name);
        world.repo.write(&file, &config_map(object, "a", "b"));
        if !is_there {
            world.repo.remove(&file);
        }
    }
    let files = [("environment.yaml", environment.as_str()), ("prices.yaml", &prices), ("web.yaml", web)];
    world.commit(&format!("number {number}"), &files)
}

/// A record in words.
fn words(record: &Value) -> String {
    let kind = kinds(std::slice::from_ref(record)).remove(0);
    let order = record["order"]["command"].as_str().unwrap_or_default();
    format!("{kind} {order}").trim_end().to_owned()
}

/// What a record says, in a few lines.
fn outline(record: &Value) -> String {
    let objects = record["objects"]["items"].as_array().cloned().unwrap_or_default();
    let objects = objects.iter().map(|object| format!("{} {}", object["op"], object["ref"]["name"]));
    format!("{}: {}; {}", words(record), record["reason"], objects.collect::<Vec<_>>().join(", "))
}

/// What a kill may make of what is told without one: something that was under way is told as interrupted, and then, where it was
/// not done by then, once more as what it came to. Orders are told once, always.
fn is_told(clean: &[String], found: &[Value], kills: u32, was_cut_short: bool) -> bool {
    let Some((first, rest)) = found.split_first() else { return clean.is_empty() };
    let is_back = was_cut_short && words(first) == "rollback succeeded";
    let is_as_told =
        |expected: &String| *expected == words(first) || is_back && expected == "deploy rolled_back";
    if clean.first().is_some_and(is_as_told) && is_told(&clean[1..], rest, kills, was_cut_short) {
        return true;
    }
    if kills == 0 || words(first) != "interrupted unknown" {
        return false;
    }
    let is_done = first["reason"].as_str().is_some_and(|reason| reason.contains("everything is as git asks"));
    let cut_short = clean.first().is_some_and(|expected| !expected.starts_with("break_glass"));
    (is_done && cut_short && is_told(&clean[1..], rest, 0, true))
        || (cut_short && is_told(clean, rest, 0, true))
}

/// The whole log of a place is in order.
fn is_sound(place: &mut Place) -> Result<usize, String> {
    let records = place.recorded()?;
    for (number, record) in records.iter().enumerate() {
        if record["seq"] != number || record["epoch"] != 0 {
            return Err(format!("record {number}: {record:#}"));
        }
    }
    let ids: BTreeSet<&str> = records.iter().filter_map(|record| record["id"].as_str()).collect();
    let (code, told) = place.logs.verify(&place.world);
    if ids.len() == records.len() && code == 0 { Ok(records.len()) } else { Err(told) }
}

/// What is told without a kill, and all kills there are.
fn enumerate(place: &mut Place) -> (BTreeMap<Scenario, Vec<String>>, Vec<Case>) {
    let (mut clean, mut cases) = (BTreeMap::new(), Vec::new());
    for scenario in SCENARIOS {
        let ran = place.run(scenario, None);
        let Ran { told, writes, .. } = ran.unwrap_or_else(|why| panic!("{scenario:?}: {why}"));
        let told: Vec<String> = told.iter().map(words).collect();
        say(&format!("{scenario:?} is told as {told:?}, with {} writes", writes.values().sum::<usize>()));
        clean.insert(scenario, told);
        for (write, count) in writes {
            let lost = write.ends_with("an entry").then_some(Fault::LostReply);
            for number in 1..=count {
                for fault in [Fault::KillBefore, Fault::KillAfter].into_iter().chain(lost.clone()) {
                    let moment = Moment::Write { write: write.clone(), number, fault };
                    cases.push(Case { scenario, moment });
                }
            }
        }
        cases.extend(STAGES.map(|stage| Case { scenario, moment: Moment::Push(stage) }));
    }
    (clean, cases)
}

/// The cases of this run of the test.
fn chosen(cases: Vec<Case>, seed: u64) -> Vec<Case> {
    if let Ok(text) = std::env::var("TIDEGATE_TEST_FAULT") {
        return cases.into_iter().filter(|case| case.to_string().contains(&text)).collect();
    }
    let mut cases = shuffled(cases, seed);
    if !is_full() {
        cases.truncate(SAMPLE);
    }
    cases
}

#[test]
fn a_daemon_killed_at_any_step_of_recording_tells_every_outcome_once() {
    let (seed, start) = (seed(), Instant::now());
    let mut first = Place::new("log-kills-0");
    let (clean, cases) = enumerate(&mut first);
    let total = cases.len();
    let chosen = chosen(cases, seed);
    let count = chosen.len();
    let queue = Mutex::new(chosen);
    let failures: Mutex<Vec<String>> = Mutex::default();
    let (hit, records) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let mut places = vec![first];
        places.extend((1..PLACES).map(|number| Place::new(&format!("log-kills-{number}"))));
        for mut place in places {
            let (queue, failures, clean, hit, records) = (&queue, &failures, &clean, &hit, &records);
            scope.spawn(move || {
                loop {
                    let Some(case) = queue.lock().unwrap().pop() else { break };
                    let fails = |why: String| failures.lock().unwrap().push(format!("{case}\n{why}"));
                    match place.run(case.scenario, Some(&case.moment)) {
                        Ok(Ran { told: found, is_hit, writes: _ }) => {
                            hit.fetch_add(usize::from(is_hit), Ordering::Relaxed);
                            if !is_told(&clean[&case.scenario], &found, case.moment.kills(), false) {
                                fails(found.iter().map(outline).collect::<Vec<_>>().join("\n"));
                            }
                        }
                        // What comes next would begin in the middle of this.
                        Err(why) => return fails(why),
                    }
                }
                match is_sound(&mut place) {
                    Ok(count) => _ = records.fetch_add(count, Ordering::Relaxed),
                    Err(why) => failures.lock().unwrap().push(why),
                }
            });
        }
    });
    let (hit, failures) = (hit.into_inner(), failures.into_inner().unwrap());
    say(&format!(
        "kills of recording: {count} of {total}, {hit} came to their moment, {} records, in {} s; TIDEGATE_TEST_SEED={seed}",
        records.into_inner(),
        start.elapsed().as_secs()
    ));
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n\n"));
    assert!(count > 0, "no case has such a name");
    assert!(hit * 4 >= count * 3, "{hit} of {count} kills came to their moment");
}
