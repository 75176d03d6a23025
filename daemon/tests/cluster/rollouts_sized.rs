//! Blue/green on a real cluster while others write to the live slot: people who edit its template, an autoscaler that sizes it.
//! Judged by the requests of a steady load, of which none fails.

use serde_json::{Value, json};

use crate::enumerated::{is_full, say};
use crate::history::{History, Rule};
use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::support::{Api, check, eventually, within};

/// The autoscaler of these tests: a load of 300 requests a second is more than its largest size bears.
const AUTOSCALER: &str = "---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: house-price}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: house-price}
  minReplicas: 2
  maxReplicas: 4
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 20}}}]
";
/// `maxReplicas` above.
const LARGEST: u64 = 4;
/// Metrics come every 10 s and the autoscaler looks every 5 s; new pods have none for a while.
const AUTOSCALED_WITHIN: std::time::Duration = std::time::Duration::from_secs(90);

/// As many pods as it should have, all of its own template and ready, and none of before.
fn is_whole(scene: &Scene, slot: &str, size: u64) -> Result<(), String> {
    let deployment = scene.world.kube.get("deployment", &scene.world.name, &format!("{APP}-{slot}"));
    let deployment = deployment.ok_or("it is gone")?;
    let status = &deployment["status"];
    check(status["observedGeneration"] == deployment["metadata"]["generation"], "not looked at yet")?;
    for count in ["replicas", "updatedReplicas", "readyReplicas"] {
        check(status[count] == json!(size), format!("{count}: {status}"))?;
    }
    Ok(())
}

#[test]
fn no_request_fails_while_an_edited_template_of_the_live_slot_is_taken_back() {
    let (scene, daemon, load) = Scene::installed("rollout-edit", Judged::BeforeSwitch, "1s");
    let container = |field: &str| scene.field("deployment", &format!("{APP}-blue"), field);
    let env = container("/spec/template/spec/containers/0/env");
    let image = container("/spec/template/spec/containers/0/image");
    let blue = format!("deployment/{APP}-blue");
    let edits: [(&[&str], u32); 2] = [
        (&["set", "env", &blue, "EXTRA=1"], 1),
        // No node has it: pods of it never get ready.
        (&["set", "image", &blue, "main=docker.io/local/none:1"], 2),
    ];
    for (edit, times) in edits {
        scene.kubectl(edit);
        eventually("it is taken back, and all pods are of the template from git", || {
            let count = daemon.log().matches("a changed template was taken back").count();
            check(count >= usize::try_from(times).unwrap(), format!("said {count} times"))?;
            check(container("/spec/template/spec/containers/0/env") == env, "another env")?;
            check(container("/spec/template/spec/containers/0/image") == image, "another image")?;
            is_whole(&scene, "blue", 2)
        });
    }
    assert_eq!((scene.selected().as_str(), scene.replicas("green")), ("blue", None));
    load.ends_well(&["1"]);
}

/// Writes of a slot's size by the daemon.
fn sizes_written(requests: &[crate::support::Request], slot: &str) -> usize {
    let path = format!("/deployments/{APP}-{slot}/scale");
    requests.iter().filter(|request| request.is_write() && request.uri.contains(&path)).count()
}

/// Its budget is 150 s: metrics of new pods take some 20 s each time.
#[test]
fn an_autoscaled_colour_is_followed_by_one_as_large_and_no_size_is_fought_over() {
    if !is_full() {
        say("autoscaled rollouts: left to `make test-full`");
        return;
    }
    let scene = Scene::new("rollout-sized");
    let manifests = |version| {
        let text = scene.manifests(Release::new(version));
        text.replace("spec:\n  replicas: 2\n", "spec:\n") + AUTOSCALER
    };
    scene.world.repo.write("policies/blue-green.yaml", &Scene::policy(Judged::BeforeSwitch, "2s"));
    scene
        .world
        .commit("version 1", &[("environment.yaml", &scene.environment()), ("app.yaml", &manifests("1"))]);
    let (_daemon, audited) = scene.world.audited_daemon();
    eventually("blue serves", || check(scene.selected() == "blue", "it does not"));
    let load = scene.load();
    within(AUTOSCALED_WITHIN, "the autoscaler has made blue larger", || is_whole(&scene, "blue", LARGEST));
    // Nobody but the autoscaler sizes it from here on: it stays as large as that under its load.
    let mark = audited.mark();
    let history = History::begin(&Api::connect(&scene.world.kube), &scene.world.name);
    scene.world.commit("version 2", &[("app.yaml", &manifests("2"))]);
    let switched = eventually("green serves", || {
        check(scene.selected() == "green", "it does not")?;
        Ok(audited.mark())
    });
    let before: Vec<_> = audited.since(&mark);
    let closed = || scene.pointer()["bake"]["closed"] != Value::Null;
    eventually("the bake is closed and blue put away", || {
        check(closed() && scene.replicas("blue") == Some(0), scene.pointer().to_string())
    });
    is_whole(&scene, "green", LARGEST).unwrap();
    let moves = history.judge(&Rule { gates: &["smoke"], size: LARGEST }).unwrap();
    assert_eq!(moves, ["green"]);
    assert_eq!(sizes_written(&before, "blue"), 0, "the live size is the autoscaler's");
    let raised = sizes_written(&before, "green");
    assert!((1..=2).contains(&raised), "green was sized {raised} times");
    let after = audited.since(&switched);
    assert_eq!(sizes_written(&after, "green"), 0, "the live size is the autoscaler's");
    assert_eq!(sizes_written(&after, "blue"), 1, "blue is put away once");
    load.ends_well(&["1", "2"]);
}
