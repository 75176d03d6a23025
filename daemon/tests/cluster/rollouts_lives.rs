//! Rollouts whose daemons die in each of their phases, or stand still and come back while another one has taken over.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::history::{History, Rule};
use crate::rollout_scene::{Judged, Release, Scene};
use crate::support::{Api, Daemon, check, eventually, within};

/// A release that goes live stands in these, one after the other.
const LIVE: [&str; 9] =
    ["prepare", "scale-up", "warm", "gates", "switch", "settle", "bake", "close", "retire"];
/// So do those that are turned down, before the switch and in the bake.
const STOPPED: [&str; 2] = ["reject", "rejected"];
const TAKEN_BACK: [&str; 2] = ["roll-back", "rejected"];
/// These take some milliseconds and may pass unseen, with each release anew: `rollouts_deaths` meets them for certain.
const BRIEF: [&str; 5] = ["prepare", "scale-up", "switch", "close", "retire"];
/// So many releases are tried.
const RELEASES: usize = 8;
/// How often the log is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// A phase that has not changed for so long is not followed by another one.
const STANDSTILL: Duration = Duration::from_secs(90);

/// The phase that stands last in a log.
pub fn last_phase(log: &str) -> Option<&str> {
    let (_, rest) = log.rsplit_once(" phase=\"")?;
    rest.split('"').next()
}

/// Follows a release to its end, and kills the daemon in each phase of `left` that it finds it in: the last one that it had
/// logged when it died. Restarted each time.
fn kill_in(daemon: &mut Daemon, left: &mut BTreeSet<&'static str>, ends: &str) {
    let mut from = daemon.log().len();
    let mut since = Instant::now();
    let mut stood = None;
    loop {
        let log = daemon.log();
        let phase = last_phase(log.get(from..).unwrap_or_default());
        if stood.as_deref() != phase {
            (stood, since) = (phase.map(str::to_owned), Instant::now());
        }
        if phase.is_some_and(|phase| left.contains(phase)) {
            daemon.kill();
            let log = daemon.log();
            let died_in = last_phase(log.get(from..).unwrap_or_default()).unwrap();
            left.retain(|phase| *phase != died_in);
            from = log.len();
            since = Instant::now();
            daemon.restart();
        } else if phase == Some(ends) {
            return;
        }
        assert!(since.elapsed() < STANDSTILL, "it stands in {phase:?}, and was not killed in {left:?}");
        std::thread::sleep(LOOK);
    }
}

#[test]
fn a_daemon_that_is_killed_in_each_phase_of_a_release_goes_on_with_it_and_no_request_fails() {
    let (scene, mut daemon, load) = Scene::installed("rollout-killed", Judged::BeforeSwitch, "2s");
    let history = History::begin(&Api::connect(&scene.world.kube), &scene.world.name);
    let mut left = BTreeSet::from(LIVE);
    let mut versions = vec!["1".to_owned()];
    while !left.is_empty() && versions.len() <= RELEASES {
        let version = (versions.len() + 1).to_string();
        let release = Release::new(version.clone().leak());
        let commit = scene.release(release);
        kill_in(&mut daemon, &mut left, "steady");
        scene.world.wait_for("live", &commit);
        versions.push(version);
    }
    assert!(left.iter().all(|phase| BRIEF.contains(phase)), "it was never killed in {left:?}");
    println!("killed in all phases but {left:?}");
    let moves = history
        .judge(&Rule { gates: &["smoke"], size: 2, drain: jiff::SignedDuration::from_secs(1) })
        .unwrap();
    let turns: Vec<&str> = ["green", "blue"].into_iter().cycle().take(versions.len() - 1).collect();
    assert_eq!(moves, turns, "once for each release");
    let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
    load.ends_well(&versions);
}

#[test]
fn a_daemon_that_is_killed_while_it_turns_a_release_down_turns_it_down_and_traffic_is_where_it_was() {
    let (scene, mut daemon, load) = Scene::installed("rollout-cut", Judged::BeforeSwitch, "2s");
    let mut answered = vec!["1"];
    let mut next = (2..).map(|version| &*version.to_string().leak());
    for (judged, phases) in [(Judged::BeforeSwitch, STOPPED), (Judged::WhileBaking, TAKEN_BACK)] {
        scene.set_policy(&Scene::policy_of_long_bake(judged));
        let mut left = BTreeSet::from(phases);
        let mut releases = 0;
        while !left.is_empty() {
            releases += 1;
            assert!(releases <= RELEASES, "it was never killed in {left:?}");
            let version = next.next().unwrap();
            let commit = scene.release(Release::wrong(version));
            kill_in(&mut daemon, &mut left, "rejected");
            scene.world.wait_for("degraded", &commit);
            assert_eq!(scene.selected(), "blue");
            if judged == Judged::WhileBaking {
                answered.push(version);
            }
        }
    }
    load.ends_among(&answered);
}

#[test]
fn two_daemons_that_act_at_once_leave_one_history_and_no_request_fails() {
    let scene = Scene::new("rollout-twins");
    let first = scene.begin(Judged::BeforeSwitch, "2s", Release::new("1"));
    let names = ["rollout-twins-a", "rollout-twins-b"];
    let daemons = names.map(|name| scene.world.daemon_with(&["--replica", name]));
    scene.world.wait_for("live", &first);
    let load = scene.load();
    let leases = || scene.world.kube.must(&["get", "lease", "-n", "tidegate-system", "-o", "name"]);
    eventually("both are known", || check(names.iter().all(|name| leases().contains(name)), leases()));
    let history = History::begin(&Api::connect(&scene.world.kube), &scene.world.name);
    let replica = || scene.world.status()["replica"].as_str().unwrap_or_default().to_owned();

    // One that stands still while the other colour warms; its Lease runs out, and the other one goes on.
    let second = scene.world.commit("version 2", &[("app.yaml", &scene.called(Release::new("2")))]);
    scene.said(&["0 of 2 pods of green are ready"]);
    let owner = usize::from(replica() == names[1]);
    let (still, other) = (&daemons[owner], &daemons[1 - owner]);
    still.signal("-STOP");
    within(TAKEN_OVER_WITHIN, "the other one has taken over", || {
        check(replica() == names[1 - owner], other.log())
    });
    assert_eq!(scene.selected(), "blue");
    scene.call_ready("green", 2);
    // From here on both act, the first one from where it stood.
    still.signal("-CONT");
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");

    // One that stands still in the bake, until the other one has closed it.
    scene.set_policy(&Scene::policy(Judged::BeforeSwitch, "30s"));
    let third = scene.release(Release::new("3"));
    eventually("blue serves", || check(scene.selected() == "blue", "it does not"));
    let owner = usize::from(replica() == names[1]);
    daemons[owner].signal("-STOP");
    let closed = || scene.pointer()["bake"]["closed"] != Value::Null;
    assert!(!closed(), "it stands still in the bake: {:#}", scene.pointer());
    within(TAKEN_OVER_WITHIN, "the bake is closed", || check(closed(), daemons[1 - owner].log()));
    daemons[owner].signal("-CONT");
    scene.world.wait_for("live", &third);
    eventually("green is put away", || check(scene.replicas("green") == Some(0), "it has pods"));
    assert_eq!(scene.selected(), "blue");
    let moves = history
        .judge(&Rule { gates: &["smoke"], size: 2, drain: jiff::SignedDuration::from_secs(1) })
        .unwrap();
    assert_eq!(moves, ["green", "blue"]);
    load.ends_well(&["1", "2", "3"]);
}

/// A Lease runs out after 15 s, and is looked at every 5 s.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(90);
