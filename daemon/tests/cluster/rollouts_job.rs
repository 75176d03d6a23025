//! A daemon that is killed while the Job of a gate is made, and while it runs: the gate ends as if it had not been, by the same
//! Job.

use std::sync::{Arc, Mutex};

use kube::core::WatchEvent;
use serde_json::Value;
use tokio_util::sync::DropGuard;

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::support::{Api, Fault, FaultProxy, check, eventually, shop};

/// The Jobs that were made in a namespace, whether they are there or not: the API server leaves nothing out.
struct Made {
    names: Arc<Mutex<Vec<String>>>,
    _end: DropGuard,
}

impl Made {
    fn in_world(scene: &Scene) -> Self {
        let api = Api::connect(&scene.world.kube);
        let path = format!("/apis/batch/v1/namespaces/{}/jobs", scene.world.name);
        let version = api.get(&path)["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        let names: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = names.clone();
        let end = api.watch(&format!("{path}?watch=1&resourceVersion={version}"), move |event| {
            if let WatchEvent::Added(job) = event {
                seen.lock().unwrap().push(job["metadata"]["name"].as_str().unwrap().to_owned());
            }
        });
        Self { names, _end: end }
    }

    fn names(&self) -> Vec<String> {
        self.names.lock().unwrap().clone()
    }
}

/// The daemon has asked how the only Job is since so many requests, and it runs.
fn waits_for_it(scene: &Scene, proxy: &FaultProxy, mark: usize) -> Result<(), String> {
    let asked = proxy.calls_since(mark).iter().any(|call| call.path.contains("/jobs/") && !call.is_write());
    let list: Value = serde_json::from_str(&scene.kubectl(&["get", "jobs", "-o", "json"])).unwrap();
    let status = &list["items"][0]["status"];
    check(asked && status["active"] == 1, format!("asked: {asked}, {status}"))
}

/// A policy with a Job that takes some seconds: its containers ask what is slow to answer one after the other.
fn policy(scene: &Scene) -> String {
    let image = shop::image(&scene.world.kube);
    let asks = |name: &str| {
        format!(
            "{{name: {name}, image: '{image}', imagePullPolicy: IfNotPresent, args: [get, http://slow.{}.svc/version]}}",
            scene.world.name
        )
    };
    let gate = format!(
        "      - name: migrations\n        job: {{template: {{spec: {{initContainers: [{}, {}], containers: [{}]}}}}}}\n    whileBaking:\n",
        asks("one"),
        asks("two"),
        asks("three")
    );
    Scene::direct(&Scene::policy(Judged::BeforeSwitch, "1s").replace("    whileBaking:\n", &gate))
}

#[test]
fn a_daemon_that_is_killed_while_a_gates_job_is_made_and_while_it_runs_waits_for_that_one_and_makes_no_other()
{
    let first = Scene::direct(&Scene::policy(Judged::BeforeSwitch, "1s"));
    let (scene, proxy, mut daemon, load) = Scene::behind_proxy("rollout-job", &first);
    let slow = Release { further: ", {name: DELAY, value: 2500ms}", replicas: 1, ..Release::new("slow") };
    let slow = scene.manifests(slow).replace(APP, "slow").replace("args: [slow]", "args: [house-price]");
    scene.apply(&slow);
    scene.kubectl(&["rollout", "status", "deployment/slow", "--timeout=60s"]);
    let made = Made::in_world(&scene);
    // Killed by the first one, which is made.
    let mut is_first = true;
    proxy.script(move |call| {
        let makes = call.is_write() && call.path.ends_with("/jobs");
        if makes && std::mem::take(&mut is_first) { Fault::KillAfter } else { Fault::Pass }
    });
    scene.set_policy(&policy(&scene));
    let second = scene.release(Release::new("2"));
    eventually("the Job is made", || check(made.names().len() == 1, "it is not"));
    for _ in 0..2 {
        daemon.kill();
        let mark = proxy.mark();
        daemon.restart();
        eventually("the next daemon waits for it", || waits_for_it(&scene, &proxy, mark));
        assert_eq!(scene.selected(), "blue");
    }
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    assert_eq!(made.names().len(), 1, "{:?}", made.names());
    assert!(daemon.log().contains("gate=\"migrations\" verdict=\"pass\""), "{}", daemon.log());
    load.ends_well(&["1", "2"]);
}
