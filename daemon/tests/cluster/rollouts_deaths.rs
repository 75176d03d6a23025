//! A daemon that is killed in phases that no release stands in for long, or that none comes to by itself: at the first write of
//! each, which the API server carries out and the daemon never hears of, or where it waits. Each goes on as if it had not died,
//! under load. Not here: the phases that last in a release (`rollouts_lives`), and every write (`kills`).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::rollouts_lives::last_phase;
use crate::scene::gone;
use crate::support::{Call, Daemon, Fault, FaultProxy, Load, check, eventually};

/// Longest time until the daemon has died in every phase that it should.
const DIES_WITHIN: Duration = Duration::from_secs(90);
/// How often the log is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What happens, where the daemon dies of it, and how it ends all the same.
struct Case {
    /// The phases that have a write: killed by the first one.
    writing: &'static [&'static str],
    /// Those that wait.
    waiting: &'static [&'static str],
    happens: fn(&Scene) -> String,
    /// Given the commit.
    ends: fn(&Scene, &str),
}

/// A daemon with a proxy that kills it.
struct Mortal {
    scene: Scene,
    proxy: FaultProxy,
    daemon: Daemon,
    /// It dies at the first write of each of these.
    left: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Mortal {
    fn begin(name: &str, policy: &str) -> (Self, Load) {
        let (scene, proxy, daemon, load) = Scene::behind_proxy(name, &Scene::direct(policy));
        let left = Arc::new(Mutex::new(BTreeSet::new()));
        proxy.script(dies_at(daemon.log_file(), &scene.world.name, left.clone()));
        (Self { scene, proxy, daemon, left }, load)
    }

    /// Lives through each of these.
    fn lives_through(&mut self, cases: &[Case]) {
        for Case { writing, waiting, happens, ends } in cases {
            *self.left.lock().unwrap() = writing.iter().copied().collect();
            let from = self.daemon.log().len();
            let commit = happens(&self.scene);
            self.dies(from, waiting.iter().copied().collect());
            ends(&self.scene, &commit);
        }
    }

    /// Until it has died in all of them, and lives again.
    fn dies(&mut self, mut from: usize, mut waiting: BTreeSet<&'static str>) {
        let start = Instant::now();
        // Which phase it dies in is struck off before it is dead.
        let mut lives = self.left.lock().unwrap().len() + waiting.len();
        loop {
            if !self.daemon.is_running() {
                self.restart();
                lives = lives.saturating_sub(1);
            }
            let log = self.daemon.log();
            let phase = last_phase(log.get(from..).unwrap_or_default()).unwrap_or_default();
            if waiting.remove(phase) {
                self.daemon.kill();
                from = self.daemon.log().len();
                self.restart();
                lives = lives.saturating_sub(1);
            }
            if lives == 0 {
                return;
            }
            let left = self.left.lock().unwrap().clone();
            let is_over = start.elapsed() > DIES_WITHIN;
            assert!(!is_over, "it did not die in {left:?} and {waiting:?}, and stands in {phase}");
            std::thread::sleep(LOOK);
        }
    }

    fn restart(&mut self) {
        self.daemon.restart();
        self.proxy.victim(self.daemon.pid());
    }
}

/// Kills by the first write of a phase of `left` to a slot or to the pointer, once it is carried out.
fn dies_at(
    log: PathBuf,
    namespace: &str,
    left: Arc<Mutex<BTreeSet<&'static str>>>,
) -> impl FnMut(&Call) -> Fault + Send + use<> {
    let kinds = [format!("/namespaces/{namespace}/deployments"), format!("/namespaces/{namespace}/services")];
    move |call| {
        if !call.is_write() || !kinds.iter().any(|kind| call.path.contains(kind)) {
            return Fault::Pass;
        }
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        let phase = last_phase(&log).unwrap_or_default();
        if left.lock().unwrap().remove(phase) { Fault::KillAfter } else { Fault::Pass }
    }
}

fn live(scene: &Scene, commit: &str, slot: &str) {
    scene.world.wait_for("live", commit);
    assert_eq!(scene.selected(), slot);
}

fn serves(scene: &Scene, slot: &str) {
    eventually(&format!("{slot} serves"), || check(scene.selected() == slot, "it does not"));
}

fn put_away(scene: &Scene, slot: &str) {
    eventually(&format!("{slot} is put away"), || check(scene.replicas(slot) == Some(0), "it has pods"));
}

/// A policy with this bake and this drain.
fn policy(bake: &str, drain: &str) -> String {
    let policy = Scene::policy(Judged::BeforeSwitch, bake).replace("drain: 1s", &format!("drain: {drain}"));
    Scene::direct(&policy)
}

const RELEASES: [Case; 4] = [
    Case {
        writing: &["prepare", "scale-up", "switch", "close", "retire"],
        waiting: &[],
        happens: |scene| scene.release(Release::new("2")),
        ends: |scene, commit| {
            live(scene, commit, "green");
            put_away(scene, "blue");
        },
    },
    Case {
        writing: &[],
        waiting: &[],
        happens: |scene| {
            scene.set_policy(&policy("50s", "1s"));
            scene.release(Release::new("3"))
        },
        ends: |scene, _| serves(scene, "blue"),
    },
    Case {
        writing: &["fast-roll-back"],
        waiting: &[],
        happens: |scene| {
            scene.world.repo.git(&["revert", "--no-edit", "HEAD"]);
            // Blue, which the traffic leaves, drains for long.
            scene.set_policy(&policy("1s", "15s"));
            scene.world.repo.commit("go back")
        },
        ends: |scene, _| serves(scene, "green"),
    },
    Case {
        writing: &[],
        waiting: &["drain"],
        happens: |scene| scene.release(Release::new("4")),
        ends: |scene, commit| live(scene, commit, "blue"),
    },
];

#[test]
fn a_daemon_that_dies_by_a_write_of_each_brief_phase_and_while_traffic_drains_goes_on_and_no_request_fails() {
    let (mut mortal, load) = Mortal::begin("deaths-brief", &Scene::policy(Judged::BeforeSwitch, "1s"));
    mortal.lives_through(&RELEASES);
    load.ends_well(&["1", "2", "3", "4"]);
}

/// The selector loses what makes it one of a colour.
fn tear(scene: &Scene) {
    let torn =
        json!({"spec": {"selector": {"app": APP, "tidegate.dev/app": null, "tidegate.dev/slot": null}}});
    scene.kubectl(&["patch", "service", APP, "--type=merge", "-p", &torn.to_string()]);
}

const TURNED_DOWN_AND_TORN: [Case; 3] = [
    Case {
        writing: &["reject"],
        waiting: &["rejected"],
        happens: |scene| scene.release(Release::wrong("2")),
        ends: |scene, commit| {
            scene.world.wait_for("degraded", commit);
            put_away(scene, "green");
            assert_eq!(scene.selected(), "blue");
        },
    },
    Case {
        writing: &["torn"],
        waiting: &["halted"],
        happens: |scene| {
            let third = scene.world.commit("version 3", &[("app.yaml", &scene.called(Release::new("3")))]);
            scene.said(&["0 of 2 pods of green are ready"]);
            tear(scene);
            third
        },
        ends: |scene, commit| {
            scene.said(&["halted until a person resumes it; blue serves with 2 of 2"]);
            assert_eq!(scene.selected(), "blue");
            let workload = format!("{}/{APP}", scene.world.name);
            let resumed = scene.world.tidegate(&["resume", &workload, "--reason", "looked at it"]);
            assert_eq!(resumed.code, 0, "{}{}", resumed.stdout, resumed.stderr);
            scene.call_ready("green", 2);
            live(scene, commit, "green");
        },
    },
    Case {
        writing: &["roll-back"],
        waiting: &["rejected"],
        happens: |scene| {
            scene.set_policy(&Scene::direct(&Scene::policy(Judged::WhileBaking, "50s")));
            scene.release(Release::wrong("4"))
        },
        ends: |scene, commit| {
            scene.world.wait_for("degraded", commit);
            assert_eq!(scene.selected(), "green");
        },
    },
];

const LOST: [Case; 1] = [Case {
    writing: &["restore"],
    waiting: &[],
    happens: |scene| {
        scene.kubectl(&["delete", "service", APP, "--wait=false"]);
        String::new()
    },
    ends: |scene, _| {
        eventually("the Service selects green", || check(scene.selected() == "green", "it does not"));
        scene.said(&["green serves with 2 of 2; Service house-price was deleted"]);
        assert_eq!(scene.pointer()["live"], json!("green"), "{:#}", scene.pointer());
    },
}];

#[test]
fn a_daemon_that_dies_while_it_turns_down_rolls_back_puts_back_and_halts_goes_on_and_no_request_fails() {
    let (mut mortal, load) = Mortal::begin("deaths-halted", &Scene::policy(Judged::BeforeSwitch, "1s"));
    mortal.lives_through(&TURNED_DOWN_AND_TORN);
    load.ends_among(&["1", "3", "4"]);
    // A Service that is made anew has another address: who asks it is not there before.
    mortal.lives_through(&LOST);
    let load = mortal.scene.load();
    Scene::answered(&load);
    load.ends_well(&["3"]);
}

const LEFT_AND_TAKEN_OVER: [Case; 2] = [
    Case {
        writing: &["leave"],
        waiting: &[],
        happens: |scene| {
            let none = Scene::policy(Judged::BeforeSwitch, "1s").replace("mode: service", "mode: none");
            scene.set_policy(&Scene::direct(&none));
            scene.world.repo.commit("without colours")
        },
        ends: |scene, commit| {
            scene.world.wait_for("live", commit);
            gone(&scene.world, "deployment", &scene.world.name, &format!("{APP}-blue"));
            assert_eq!(scene.selected(), "");
        },
    },
    Case {
        writing: &["adopt"],
        waiting: &[],
        happens: |scene| {
            scene.set_policy(&Scene::direct(&Scene::policy(Judged::BeforeSwitch, "1s")));
            scene.world.repo.commit("in colours")
        },
        ends: |scene, commit| {
            live(scene, commit, "blue");
            let slot = scene.field("deployment", APP, "/spec/template/metadata/labels/tidegate.dev~1slot");
            assert_eq!(slot, Value::from("blue"), "what ran before is the blue slot");
        },
    },
];

#[test]
fn a_daemon_that_dies_while_it_lets_a_workload_go_and_takes_it_over_goes_on_and_no_request_fails() {
    let (mut mortal, load) = Mortal::begin("deaths-left", &Scene::policy(Judged::BeforeSwitch, "1s"));
    mortal.lives_through(&LEFT_AND_TAKEN_OVER);
    load.ends_well(&["1"]);
}
