//! Blue/green on a real cluster, under a steady load: no request fails, and nothing answers that has not passed its gates.

use std::time::Duration;

use serde_json::json;

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::{gone, problem, problems, record, throughout};
use crate::support::{check, eventually};

#[test]
fn a_good_release_takes_the_traffic_and_the_colour_before_it_is_put_away() {
    let (scene, _daemon, load) = Scene::installed("rollout-good", Judged::BeforeSwitch, "2s");
    assert_eq!((scene.selected().as_str(), scene.replicas("green")), ("blue", None));
    let second = scene.release(Release::new("2"));
    let status = scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    assert_eq!(status["workloads"][0]["serves"], "green", "{status:#}");
    crate::schema::assert_valid("record", &status);
    eventually("blue is put away", || check(scene.replicas("blue") == Some(0), "it has pods"));
    let third = scene.release(Release::new("3"));
    scene.world.wait_for("live", &third);
    assert_eq!(scene.selected(), "blue");
    load.ends_well(&["1", "2", "3"]);
    gone(&scene.world, "deployment", &scene.world.name, APP);
}

#[test]
fn a_wrong_release_is_stopped_by_its_gate_and_its_colour_is_put_away() {
    let (scene, _daemon, load) = Scene::installed("rollout-wrong", Judged::BeforeSwitch, "1s");
    let second = scene.release(Release::wrong("2"));
    let status = scene.world.wait_for("degraded", &second);
    crate::schema::assert_valid("record", &status);
    let problem = problem(&status, "E0407");
    let message = problem["message"].as_str().unwrap();
    assert!(message.contains("gate `smoke` failed"), "{message}");
    assert!(message.contains("25.35"), "the measured value is told: {message}");
    assert_eq!(problem["location"]["file"], "policies/blue-green.yaml");
    assert_eq!(scene.selected(), "blue");
    eventually("green is put away", || check(scene.replicas("green") == Some(0), "it has pods"));
    load.ends_well(&["1"]);
    // A commit that mends it goes through.
    let third = scene.release(Release::new("3"));
    scene.world.wait_for("live", &third);
    assert_eq!(scene.selected(), "green");
}

#[test]
fn a_release_that_fails_while_baking_goes_back_by_itself_and_is_held_until_git_moves() {
    let (scene, _daemon, load) = Scene::installed("rollout-bake", Judged::WhileBaking, "4s");
    let second = scene.release(Release::wrong("2"));
    let status = scene.world.wait_for("degraded", &second);
    assert!(problem(&status, "E0407")["message"].as_str().unwrap().contains("gate `watch` failed"));
    assert_eq!(scene.selected(), "blue");
    let record = scene.pointer();
    assert_eq!(record["rejected"]["reason"], json!({"gate": "watch"}), "{record:#}");
    scene.world.repo.git(&["revert", "--no-edit", "HEAD"]);
    let reverted = scene.world.repo.commit("go back");
    scene.world.wait_for("live", &reverted);
    eventually("green is put away", || check(scene.replicas("green") == Some(0), "it has pods"));
    load.ends_well(&["1", "2"]);
}

#[test]
fn a_revert_while_baking_goes_back_at_once() {
    let (scene, _daemon, load) = Scene::installed("rollout-revert", Judged::BeforeSwitch, "1s");
    scene.world.repo.write("policies/blue-green.yaml", &Scene::policy(Judged::BeforeSwitch, "50s"));
    scene.world.repo.commit("watch for longer");
    scene.release(Release::new("2"));
    eventually("green serves", || check(scene.selected() == "green", "it does not"));
    scene.world.repo.git(&["revert", "--no-edit", "HEAD"]);
    let reverted = scene.world.repo.commit("go back");
    let status = scene.world.wait_for("live", &reverted);
    assert_eq!(scene.selected(), "blue");
    assert_eq!(scene.pointer()["rejected"], json!(null), "git asked for it: {status:#}");
    load.ends_well(&["1", "2"]);
}

#[test]
fn a_selector_that_somebody_edits_goes_back_and_halts_what_comes() {
    let (scene, _daemon, load) = Scene::installed("rollout-torn", Judged::BeforeSwitch, "1s");
    let patch =
        json!({"spec": {"selector": {"app": APP, "tidegate.dev/app": null, "tidegate.dev/slot": null}}});
    scene.kubectl(&["patch", "service", APP, "--type=merge", "-p", &patch.to_string()]);
    eventually("it selects blue again", || check(scene.selected() == "blue", "it does not"));
    eventually("who did it is named", || {
        let events = scene.kubectl(&["get", "events.events.k8s.io", "-o", "json"]);
        check(events.contains("kubectl-patch changed where Service house-price sends traffic"), events)
    });
    scene.said(&["blue serves with 2 of 2; kubectl-patch changed where Service house-price sends traffic"]);
    let second = scene.release(Release::new("2"));
    // Halted is the revision of then; another one goes through.
    scene.world.wait_for("live", &second);
    load.ends_well(&["1", "2"]);
}

#[test]
fn a_template_and_a_size_that_somebody_edits_go_back() {
    let (scene, daemon, load) = Scene::installed("rollout-drift", Judged::BeforeSwitch, "1s");
    let blue = format!("{APP}-blue");
    scene.kubectl(&["set", "env", &format!("deployment/{blue}"), "EXTRA=1"]);
    eventually("the variable is gone", || {
        let env = scene.field("deployment", &blue, "/spec/template/spec/containers/0/env");
        check(env.as_array().is_some_and(|all| all.len() == 1), env.to_string())
    });
    eventually("it is said", || {
        check(daemon.log().contains("a changed template was taken back"), "it is not")
    });
    scene.kubectl(&["scale", "deployment", &blue, "--replicas=0"]);
    eventually("it is repaired", || check(scene.replicas("blue") == Some(2), "it is not"));
    // Not judged: without a pod nobody answers until the size is repaired.
    load.end();
}

#[test]
fn a_change_of_replicas_alone_is_a_scale_and_no_rollout() {
    let (scene, _daemon, load) = Scene::installed("rollout-scale", Judged::BeforeSwitch, "1s");
    let second = scene.release(Release { replicas: 3, ..Release::new("1") });
    scene.world.wait_for("live", &second);
    eventually("blue has three", || check(scene.replicas("blue") == Some(3), "it has not"));
    scene.ready("blue", 3);
    let third = scene.release(Release { replicas: 1, ..Release::new("1") });
    scene.world.wait_for("live", &third);
    eventually("blue has one", || check(scene.replicas("blue") == Some(1), "it has not"));
    eventually("the others have ended", || check(scene.pods("blue").len() == 1, "they have not"));
    Scene::answered(&load);
    assert_eq!((scene.selected().as_str(), scene.replicas("green")), ("blue", None));
    load.ends_well(&["1"]);
}

#[test]
fn a_workload_that_leaves_git_goes_with_all_that_was_made_for_it() {
    let (scene, _daemon, load) = Scene::installed("rollout-gone", Judged::BeforeSwitch, "1s");
    load.end();
    // What says that it stays, stays.
    let blue = format!("{APP}-blue");
    scene.kubectl(&["annotate", "deployment", &blue, "tidegate.dev/prune=disabled"]);
    scene.world.repo.remove(&format!("environments/{}/app.yaml", scene.world.name));
    scene.world.repo.write(
        &format!("environments/{}/rest.yaml", scene.world.name),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: rest}\ndata: {a: \"1\"}\n",
    );
    let commit = scene.world.repo.commit("without it");
    scene.world.wait_for("live", &commit);
    eventually("that it stays is said", || {
        let said = scene.world.tidegate(&["status", &scene.world.name]).stdout;
        check(said.contains("has left git and stays") && said.contains("tidegate.dev/prune: disabled"), said)
    });
    throughout(Duration::from_secs(3), "the Service is there", || {
        scene.world.kube.get("service", &scene.world.name, APP).is_some()
    });
    scene.kubectl(&["annotate", "deployment", &blue, "tidegate.dev/prune-"]);
    gone(&scene.world, "service", &scene.world.name, APP);
    gone(&scene.world, "deployment", &scene.world.name, &format!("{APP}-blue"));
    let of_app = format!("tidegate.dev/app={APP}");
    let of_environment = format!("{of_app},tidegate.dev/environment={}", scene.world.name);
    eventually("nothing is kept of it", || {
        let kept = ["get", "secrets", "-n", "tidegate-system", "-l", &of_environment, "-o", "name"];
        let kept = scene.world.kube.must(&kept);
        let copies = scene.kubectl(&["get", "configmaps", "-l", &of_app, "-o", "name"]);
        check(copies.is_empty() && kept.is_empty(), format!("{kept} {copies}"))
    });
}

#[test]
fn an_environment_that_is_taken_down_takes_its_workloads_with_it() {
    let (scene, _daemon, load) = Scene::installed("rollout-down", Judged::BeforeSwitch, "1s");
    load.end();
    let environment = format!("{}  decommission: true\n", scene.environment());
    scene.world.commit("take it down", &[("environment.yaml", &environment)]);
    gone(&scene.world, "deployment", &scene.world.name, &format!("{APP}-blue"));
    gone(&scene.world, "service", &scene.world.name, APP);
    gone(&scene.world, "configmap", "tidegate-system", &format!("tidegate-{}", scene.world.name));
}

#[test]
fn another_name_for_the_same_service_is_refused_and_traffic_stays() {
    let (scene, _daemon, load) = Scene::installed("rollout-renamed", Judged::BeforeSwitch, "1s");
    let renamed = scene.manifests(Release::new("2")).replace(
        &format!("kind: Deployment\nmetadata: {{name: {APP},"),
        "kind: Deployment\nmetadata: {name: renamed,",
    );
    let commit = scene.world.commit("another name", &[("app.yaml", &renamed)]);
    let status = scene.world.wait_for("degraded", &commit);
    // The old name, which has left git and stays, is told beside it some moments later.
    let refused: Vec<_> =
        problems(&status, "E0413").into_iter().filter(|one| one["object"]["name"] == "renamed").collect();
    assert_eq!(refused.len(), 1, "{status:#}");
    let message = refused[0]["message"].as_str().unwrap();
    assert!(message.contains(&format!("Service {APP} of workload {APP}")), "{message}");
    record(&scene.world, &scene.world.name, "why the old name stays is told", |status| {
        let stays = format!("/{APP} has left git and stays with its colours");
        problems(status, "E0413").iter().any(|one| one["message"].as_str().unwrap().contains(&stays))
    });
    throughout(Duration::from_secs(3), "blue serves", || scene.selected() == "blue");
    load.ends_well(&["1"]);
}
