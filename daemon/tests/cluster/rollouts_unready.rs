//! Running Deployments that are in no state to be taken over, and colours that are given up before they had traffic: what git asks
//! for gets its way, or people are told what is missing.

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::problem;
use crate::support::{check, eventually};

/// A Deployment that is there before Tidegate, and a policy with a short patience.
fn before(name: &str, manifests: impl Fn(&Scene) -> String) -> Scene {
    let scene = Scene::new(name);
    scene.world.kube.must(&["create", "namespace", &scene.world.name]);
    scene.apply(&manifests(&scene));
    scene
}

fn begin(scene: &Scene, policy: &str, release: Release) -> String {
    scene.set_policy(policy);
    let files = [("environment.yaml", scene.environment()), ("app.yaml", scene.manifests(release))];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    scene.world.commit(&format!("version {}", release.version), &files)
}

fn policy() -> String {
    Scene::policy(Judged::BeforeSwitch, "1s").replace("warm: 10m", "warm: 3s")
}

fn broken(scene: &Scene) -> String {
    scene.manifests(Release::new("0")).replace("/readyz", "/nowhere")
}

#[test]
fn a_broken_deployment_is_taken_over_and_mended_by_the_commit_that_brings_the_policy() {
    let scene = before("unready-broken", broken);
    let policy = policy().replace("warm: 3s", "warm: 20s");
    begin(&scene, &policy, Release::new("1"));
    let _daemon = scene.world.daemon();
    scene.said(&["the running Deployment is taken over: 0 of 2 pods with its colour are ready, 2 pods"]);
    eventually("it is taken over", || check(scene.selected() == "blue", "it is not"));
    scene.set_policy(&Scene::policy(Judged::BeforeSwitch, "1s"));
    let patient = scene.world.repo.commit("with patience");
    scene.world.wait_for("live", &patient);
    assert_eq!(scene.selected(), "green");
    let load = scene.load();
    Scene::answered(&load);
    load.ends_well(&["1"]);
}

#[test]
fn a_deployment_without_pods_is_taken_over_at_once() {
    let scene = before("unready-none", |scene| scene.manifests(Release { replicas: 0, ..Release::new("0") }));
    let first = begin(&scene, &Scene::policy(Judged::BeforeSwitch, "1s"), Release::new("1"));
    let daemon = scene.world.daemon();
    scene.world.wait_for("live", &first);
    assert_eq!(scene.selected(), "green");
    // Nothing that was never judged is started.
    assert!(!daemon.log().contains("phase=\"repair\""), "{}", daemon.log());
}

#[test]
fn a_paused_deployment_is_not_taken_over_and_people_are_told() {
    let scene = before("unready-paused", |scene| scene.manifests(Release::new("0")));
    let deployment = format!("deployment/{APP}");
    scene.kubectl(&["rollout", "status", &deployment, "--timeout=60s"]);
    scene.kubectl(&["rollout", "pause", &deployment]);
    let load = scene.load();
    let first = begin(&scene, &policy(), Release::new("1"));
    let _daemon = scene.world.daemon();
    let status = scene.world.wait_for("degraded", &first);
    let message = problem(&status, "E0413")["message"].as_str().unwrap().to_owned();
    let paused = format!("(Deployment {APP} is paused: `kubectl rollout resume` lets it go on)");
    assert!(
        message.starts_with("the rollout does not go on: the running Deployment is taken over: 0 of 2"),
        "{message}"
    );
    assert!(message.ends_with(&paused), "{message}");
    scene.set_policy(&Scene::policy(Judged::BeforeSwitch, "1s"));
    let patient = scene.world.repo.commit("with patience");
    eventually("the daemon has seen it", || {
        let status = scene.world.status();
        check(status["seen"]["id"] == patient, status["seen"].to_string())
    });
    scene.kubectl(&["rollout", "resume", &deployment]);
    scene.world.wait_for("live", &patient);
    load.ends_well(&["0", "1"]);
}

#[test]
fn what_was_begun_is_given_up_when_git_asks_for_no_colours_and_what_git_asks_for_is_applied() {
    let scene = before("unready-given-up", broken);
    let first = begin(&scene, &Scene::policy(Judged::BeforeSwitch, "1s"), Release::new("1"));
    let _daemon = scene.world.daemon();
    scene.said(&["the running Deployment is taken over: 0 of 2"]);
    let none = Scene::policy(Judged::BeforeSwitch, "1s").replace("mode: service", "mode: none");
    scene.set_policy(&none);
    let second = scene.release(Release::new("2"));
    assert_ne!(first, second);
    scene.world.wait_for("live", &second);
    let version = "/spec/template/spec/containers/0/env/0/value";
    assert_eq!(scene.field("deployment", APP, version), "2");
    let slot = scene.field("deployment", APP, "/spec/template/metadata/labels/tidegate.dev~1slot");
    assert!(slot.is_null(), "{slot}");
    let load = scene.load();
    Scene::answered(&load);
    load.ends_well(&["2"]);
}

#[test]
fn a_first_installation_that_fails_is_given_up_when_git_asks_for_no_colours() {
    let scene = Scene::new("unready-first");
    let first = scene.begin(Judged::BeforeSwitch, "1s", Release::wrong("1"));
    let _daemon = scene.world.daemon();
    scene.world.wait_for("degraded", &first);
    let none = Scene::policy(Judged::BeforeSwitch, "1s").replace("mode: service", "mode: none");
    scene.set_policy(&none);
    let second = scene.release(Release::new("2"));
    scene.world.wait_for("live", &second);
    eventually("the colours are gone", || check(scene.replicas("blue").is_none(), "blue is there"));
    let load = scene.load();
    Scene::answered(&load);
    load.ends_well(&["2"]);
}
