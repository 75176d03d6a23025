//! Blue/green on a real cluster when something changes between the look that a step was decided by and its writes. Not here: the
//! death of the daemon there (`kills`).

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::support::{Call, Fault, FaultProxy, Hold, check, eventually};

/// Longest wait for a colour to be proven.
const PROVEN_WITHIN: Duration = Duration::from_mins(2);

/// The write by which a slot is marked before traffic moves to it.
fn is_served_mark(call: &Call, slot: &str) -> bool {
    let body: Value = serde_json::from_str(&call.body).unwrap_or_default();
    let record = body["metadata"]["annotations"]["tidegate.dev/slot-record"].as_str().unwrap_or_default();
    let is_marked = record.contains("\"served\"");
    call.method == "PATCH" && call.path.ends_with(&format!("/deployments/{APP}-{slot}")) && is_marked
}

/// Keeps back what follows the first mark of a slot, once: the last look at its pods, or, where there is none, the pointer. Says
/// when it came.
fn keep_back_what_follows_the_mark(proxy: &FaultProxy, slot: &'static str) -> (Receiver<()>, Hold) {
    let (came, comes) = channel();
    let hold = Hold::new();
    let mut once = Some((came, hold.clone()));
    let mut is_marked = false;
    proxy.script(move |call| {
        if is_served_mark(call, slot) {
            is_marked = true;
            return Fault::Pass;
        }
        let paths = [format!("/deployments/{APP}-{slot}"), format!("/services/{APP}")];
        let follows = is_marked && paths.iter().any(|path| call.path.ends_with(path));
        match once.take_if(|_| follows) {
            Some((came, hold)) => {
                came.send(()).unwrap();
                Fault::KeptBack(hold)
            }
            None => Fault::Pass,
        }
    });
    (comes, hold)
}

#[test]
fn traffic_stays_where_it_is_when_pods_get_unready_right_before_the_switch() {
    let policy = Scene::direct(&Scene::policy(Judged::BeforeSwitch, "1s"));
    let (scene, proxy, daemon, load) = Scene::behind_proxy("rollout-moment", &policy);
    let (comes, hold) = keep_back_what_follows_the_mark(&proxy, "green");
    scene.world.commit("version 2", &[("app.yaml", &scene.called(Release::new("2")))]);
    scene.call_ready("green", 2);
    comes.recv_timeout(PROVEN_WITHIN).expect("green is about to get the traffic");
    scene.call("green", false);
    scene.ready("green", 0);
    hold.let_go();
    scene.said(&["0 of 2 pods of green are ready"]);
    assert_eq!(scene.selected(), "blue");
    // It was seen by the last look, not by the one after.
    let log = daemon.log();
    assert!(log.contains("0 pods of green are ready, 2 have to be"), "{log}");
    scene.call("green", true);
    eventually("green serves", || check(scene.selected() == "green", "it does not"));
    load.ends_well(&["1", "2"]);
}
