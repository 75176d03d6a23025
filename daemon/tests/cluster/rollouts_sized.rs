//! Blue/green on a real cluster while others write to the live slot: people who edit its template, an autoscaler that sizes it.
//! Judged by the requests of a steady load, of which none fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use kube::core::WatchEvent;
use serde_json::{Value, json};
use tokio_util::sync::DropGuard;

use crate::history::{History, Rule};
use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::support::{Api, check, eventually, within};

/// The autoscaler of these tests: a load of 300 requests a second is more than its largest size bears, and a pod that nobody asks
/// (1m of its 5m, as autoscalers round) is half of what it aims at.
const AUTOSCALER: &str = "---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: house-price}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: house-price}
  minReplicas: 2
  maxReplicas: 4
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 40}}}]
  behavior: {scaleDown: {stabilizationWindowSeconds: 0}}
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

/// The ready endpoints of the Service, by watches: as many as there were after each change.
struct Endpoints {
    counts: Arc<Mutex<Vec<usize>>>,
    _end: DropGuard,
}

impl Endpoints {
    fn begin(api: &Api, namespace: &str) -> Self {
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices");
        let path = format!("{path}?labelSelector=kubernetes.io%2Fservice-name%3D{APP}");
        let list = api.get(&path);
        let name = |slice: &Value| slice["metadata"]["name"].as_str().unwrap().to_owned();
        let items = list["items"].as_array().unwrap().iter();
        let mut slices: BTreeMap<String, usize> = items.map(|slice| (name(slice), ready(slice))).collect();
        let counts = Arc::new(Mutex::new(vec![slices.values().sum()]));
        let version = list["metadata"]["resourceVersion"].as_str().unwrap();
        let seen = counts.clone();
        let end = api.watch(&format!("{path}&watch=1&resourceVersion={version}"), move |event| {
            match event {
                WatchEvent::Added(slice) | WatchEvent::Modified(slice) => {
                    slices.insert(name(&slice), ready(&slice))
                }
                WatchEvent::Deleted(slice) => slices.remove(&name(&slice)),
                WatchEvent::Bookmark(_) | WatchEvent::Error(_) => panic!("nobody asked for this: {event:?}"),
            };
            seen.lock().unwrap().push(slices.values().sum());
        });
        Self { counts, _end: end }
    }

    fn counts(&self) -> Vec<usize> {
        self.counts.lock().unwrap().clone()
    }
}

fn ready(slice: &Value) -> usize {
    let endpoints = slice["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
    endpoints.iter().filter(|endpoint| endpoint["conditions"]["ready"] == true).count()
}

/// The autoscaler of a slot has looked at its pods, by the metrics of the real metrics-server.
fn is_looked_at(scene: &Scene, slot: &str) -> Result<(), String> {
    let status = scene.field("hpa", &format!("{APP}-{slot}"), "/status");
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let is_active = conditions.iter().any(|one| one["type"] == "ScalingActive" && one["status"] == "True");
    let has_metrics = status["currentMetrics"].as_array().is_some_and(|metrics| {
        metrics.iter().any(|metric| metric["resource"]["current"]["averageUtilization"].is_u64())
    });
    check(is_active && has_metrics, status.to_string())
}

#[test]
fn an_autoscaled_colour_is_followed_by_one_as_large_and_no_size_is_fought_over_also_when_load_drops_in_its_bake()
 {
    let scene = Scene::new("autoscaled");
    let manifests = |version| {
        let text = scene.manifests(Release::new(version));
        // Parity is judged by ready pods: one slow answer to a probe on a busy machine is no loss of a pod.
        let text =
            text.replace("periodSeconds: 1}", "periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 10}");
        text.replace("spec:\n  replicas: 2\n", "spec:\n") + AUTOSCALER
    };
    scene.set_policy(&Scene::policy(Judged::BeforeSwitch, "2s"));
    scene
        .world
        .commit("version 1", &[("environment.yaml", &scene.environment()), ("app.yaml", &manifests("1"))]);
    let (_daemon, audited) = scene.world.audited_daemon();
    eventually("blue serves", || check(scene.selected() == "blue", "it does not"));
    let load = scene.load();
    within(AUTOSCALED_WITHIN, "the autoscaler has made blue larger", || is_whole(&scene, "blue", LARGEST));
    // Nobody but the autoscaler sizes it from here on: it stays as large as that under its load.
    let mark = audited.mark();
    let api = Api::connect(&scene.world.kube);
    let history = History::begin(&api, &scene.world.name);
    let endpoints = Endpoints::begin(&api, &scene.world.name);
    scene.set_policy(&Scene::policy_of_long_bake(Judged::BeforeSwitch));
    scene.world.commit("version 2", &[("app.yaml", &manifests("2"))]);
    let switched = eventually("green serves", || {
        check(scene.selected() == "green", "it does not")?;
        Ok(audited.mark())
    });
    let before: Vec<_> = audited.since(&mark);
    // It is the autoscaler's for as long as that one knows it.
    within(AUTOSCALED_WITHIN, "green's own autoscaler has looked at it", || is_looked_at(&scene, "green"));
    is_whole(&scene, "green", LARGEST).unwrap();
    let counts = endpoints.counts();
    let parity = usize::try_from(LARGEST).unwrap();
    assert!(counts.len() > 1, "the endpoints have changed from blue to green: {counts:?}");
    assert!(counts.iter().all(|count| *count >= parity), "fewer than {parity} ready endpoints: {counts:?}");
    load.ends_well(&["1", "2"]);
    // Nobody asks any more: green's autoscaler wants less, and both colours are kept as large as they were until the bake closes.
    within(AUTOSCALED_WITHIN, "the autoscaler wants green smaller", || {
        let sizes = (scene.replicas("green"), scene.replicas("blue"));
        assert_eq!(sizes, (Some(LARGEST), Some(LARGEST)), "neither is below parity in the bake");
        let conditions = scene.field("hpa", &format!("{APP}-green"), "/status/conditions");
        check(conditions.to_string().contains("TooFewReplicas"), conditions.to_string())
    });
    assert!(scene.pointer()["bake"]["open"].is_object(), "{:#}", scene.pointer());
    let rule = |size| Rule { gates: &["smoke"], size, drain: SignedDuration::from_secs(1) };
    assert_eq!(history.judge(&rule(LARGEST)).unwrap(), ["green"]);
    // From here on git's least size is what counts.
    let history = History::begin(&api, &scene.world.name);
    let workload = format!("{}/{APP}", scene.world.name);
    assert_eq!(scene.world.tidegate(&["promote", &workload, "--reason", "seen enough"]).code, 0);
    let closed = || scene.pointer()["bake"]["closed"] != Value::Null;
    eventually("the bake is closed and blue put away", || {
        check(closed() && scene.replicas("blue") == Some(0), scene.pointer().to_string())
    });
    within(AUTOSCALED_WITHIN, "the autoscaler has made green smaller", || {
        let green = scene.replicas("green");
        check(green.is_some_and(|size| (2..LARGEST).contains(&size)), format!("{green:?}"))
    });
    assert!(history.judge(&rule(2)).unwrap().is_empty(), "traffic stays where it is");
    assert_eq!(sizes_written(&before, "blue"), 0, "the live size is the autoscaler's");
    let raised = sizes_written(&before, "green");
    assert!((1..=2).contains(&raised), "green was sized {raised} times");
    let after = audited.since(&switched);
    assert_eq!(sizes_written(&after, "green"), 0, "the live size is the autoscaler's");
    assert_eq!(sizes_written(&after, "blue"), 1, "blue is put away once");
}
