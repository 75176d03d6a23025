//! What people and Prometheus are told of a rollout beside its status: Events where `kubectl describe` shows them, metrics, how much
//! time a gate has left, whether traffic could go back. And a take-over that the cluster refuses.

use serde_json::json;

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::rule::Rule;
use crate::scene::{Killed, binary, gone};
use crate::support::{check, config_map, eventually};

/// Waits until `kubectl describe` says this of an object.
fn described(scene: &Scene, object: &str, words: &str) {
    eventually(&format!("{object} is described with {words}"), || {
        let text = scene.kubectl(&["describe", object]);
        check(text.contains(words), text)
    });
}

#[test]
fn events_stand_on_the_service_and_on_the_colour_and_metrics_count_phases_steps_and_gates() {
    let (scene, daemon, load) = Scene::installed("told-objects", Judged::BeforeSwitch, "1s");
    described(&scene, &format!("service/{APP}"), "blue serves with 2 of 2");
    described(&scene, &format!("deployment/{APP}-blue"), "gate smoke: pass");
    let wrong = scene.release(Release::wrong("2"));
    scene.world.wait_for("degraded", &wrong);
    described(&scene, &format!("service/{APP}"), "gate `smoke` failed");
    described(&scene, &format!("deployment/{APP}-green"), "gate smoke: fail");
    let workload = format!("environment=\"{0}\",workload=\"{0}/{APP}\"", scene.world.name);
    let metrics = daemon.http("/metrics");
    let value = |name: &str, labels: &str| {
        let line = format!("tidegate_{name}{{{workload},{labels}}} ");
        let value = metrics.lines().find_map(|found| found.strip_prefix(&line)).unwrap_or_default();
        value.parse::<u32>().unwrap_or_else(|_| panic!("{line}: {metrics}"))
    };
    assert_eq!(value("rollout_phase", "phase=\"rejected\""), 1);
    assert_eq!(value("rollout_phase", "phase=\"warm\""), 0);
    assert!(value("gate_answers_total", "gate=\"smoke\",verdict=\"pass\"") >= 1);
    assert!(value("gate_answers_total", "gate=\"smoke\",verdict=\"fail\"") >= 1);
    assert_eq!(value("rollout_steps_total", "phase=\"switch\",outcome=\"done\""), 1);
    load.ends_well(&["1"]);
    scene.world.commit("without it", &[("app.yaml", &config_map("rest", "a", "1"))]);
    gone(&scene.world, "service", &scene.world.name, APP);
    eventually("it is in no phase", || {
        let metrics = daemon.http("/metrics");
        let phases = metrics.lines().filter(|line| line.starts_with("tidegate_rollout_phase{"));
        check(phases.clone().all(|line| line.ends_with(" 0")), phases.collect::<Vec<_>>().join("\n"))
    });
}

#[test]
fn a_gate_that_cannot_tell_says_how_long_it_has_and_a_bake_whether_traffic_could_go_back() {
    let scene = Scene::new("told-left");
    scene.begin(Judged::BeforeSwitch, "50s", Release::new("1"));
    let _daemon = scene.world.daemon();
    let first = scene.said(&["blue serves with 2 of 2; gates watch, and there is nothing to go back to"]);
    assert!(first.contains("rollback: nothing that is ready to go back to"), "{first}");
    assert!(first.contains("next: the bake ends, "), "{first}");
    scene.set_policy(&Scene::policy_with_database(Judged::BeforeSwitch, "50s"));
    scene.release(Release::new("2"));
    let order = ["promote", &format!("{}/{APP}", scene.world.name), "--reason", "it is the first"];
    assert_eq!(scene.world.tidegate(&order).code, 0);
    let gates = scene.said(&["gate database: ", "next: gate `database` passes, or its deadline, "]);
    let line = gates.lines().find(|line| line.contains("gate database: ")).unwrap();
    assert!(line.contains(" min left: "), "{line}");
    scene.open_database();
    scene.said(&["green serves with 2 of 2; gates watch", "rollback: ready"]);
}

#[test]
fn a_release_is_watched_in_words_from_its_first_pod_to_its_end() {
    let (scene, _daemon, load) = Scene::installed("told-watched", Judged::BeforeSwitch, "1s");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let mut watch = binary(&scene.world, &[]);
    watch.args(["status", &scene.world.name, "--watch"]).stdout(std::fs::File::create(&path).unwrap());
    let _watch = Killed(watch.spawn().unwrap());
    let read = std::cell::Cell::new(0);
    // Each stands after the one before.
    let comes = |words: &str| {
        eventually(&format!("it says {words:?}"), || {
            let text = std::fs::read_to_string(&path).unwrap();
            let new = text.get(read.get()..).unwrap_or_default();
            let at = new.find(words).ok_or_else(|| text.clone())?;
            read.set(read.get() + at + words.len());
            Ok(())
        });
    };
    comes("house-price: ✔ live (steady): blue serves with 2 of 2");
    scene.set_policy(&Scene::policy_with_database(Judged::BeforeSwitch, "5s"));
    scene.world.commit("version 2", &[("app.yaml", &scene.called(Release::new("2")))]);
    comes("house-price: ◌ moving (warm): 0 of 2 pods of green are ready");
    scene.call_ready("green", 2);
    comes("house-price: ◌ moving (gates): gate `database` is asked");
    comes("gate smoke: ✔ pass");
    comes("gate database: ? unknown, 9 min left: ");
    scene.open_database();
    comes("house-price: ◌ baking (bake): green serves with 2 of 2; gates watch");
    comes("gate watch: ✔ pass");
    comes("rollback: ready");
    comes("house-price: ✔ live (");
    comes("2 of 2 ready  serves");
    load.ends_well(&["1", "2"]);
}

#[test]
fn a_take_over_that_the_cluster_refuses_leaves_the_autoscaler_where_it_is() {
    let scene = Scene::new("told-refused");
    scene.world.kube.must(&["create", "namespace", &scene.world.name]);
    let autoscaler = format!(
        "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: sized}}\nspec:\n  \
         scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {APP}}}\n  minReplicas: 2\n  maxReplicas: 2\n  \
         metrics: [{{type: Resource, resource: {{name: cpu, target: {{type: Utilization, averageUtilization: 90}}}}}}]\n"
    );
    let manifests = scene.manifests(Release::new("1")) + &autoscaler;
    scene.apply(&manifests);
    let coloured = json!({"spec": {"template": {"metadata": {"labels": {"tidegate.dev/slot": "blue"}}}}});
    let holds = "!('tidegate.dev/slot' in object.spec.template.metadata.labels)";
    let rule = Rule::new(
        &scene,
        ("apps", "deployments", APP),
        holds,
        "labels are Ann's business",
        &coloured.to_string(),
    );
    scene.begin(Judged::BeforeSwitch, "1s", Release::new("1"));
    let first = scene.world.commit("with its autoscaler", &[("app.yaml", &manifests)]);
    let _daemon = scene.world.daemon();
    scene.said(&["the rollout does not go on: adopt: ", "labels are Ann's business"]);
    let scaler = scene.field("hpa", "sized", "/spec/scaleTargetRef/name");
    assert_eq!(scaler, json!(APP), "it sizes what runs");
    drop(rule);
    scene.world.wait_for("live", &first);
    assert_eq!(scene.selected(), "blue");
}
