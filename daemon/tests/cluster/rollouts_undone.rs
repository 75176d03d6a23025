//! Hands that bring back something of before: `kubectl rollout undo` and `pause`, copies of configuration that are cleaned up,
//! policies that match no more. What serves is what was proven.

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::throughout;
use crate::support::{check, eventually};

use std::time::Duration;

/// Where a Deployment's template says its revision.
const REVISION: &str = "/spec/template/metadata/labels/tidegate.dev~1revision";

#[test]
fn a_rejected_revision_that_somebody_goes_back_to_by_hand_is_taken_back_before_its_pods_are_ready() {
    let (scene, daemon, load) = Scene::installed("undone-rejected", Judged::BeforeSwitch, "1s");
    // Its pods take longer to be ready than the daemon to look, however busy the machine is.
    let late = scene
        .manifests(Release::wrong("2"))
        .replace("periodSeconds: 1}", "periodSeconds: 1, initialDelaySeconds: 15}");
    let wrong = scene.world.commit("version 2", &[("app.yaml", &late)]);
    scene.world.wait_for("degraded", &wrong);
    let third = scene.release(Release::new("3"));
    scene.world.wait_for("live", &third);
    let green = format!("{APP}-green");
    let revision = || scene.field("deployment", &green, REVISION);
    let proven = revision();
    for _ in 0..3 {
        scene.kubectl(&["rollout", "undo", &format!("deployment/{green}")]);
        eventually("green is as it was", || check(revision() == proven, revision().to_string()));
    }
    scene.event(&format!("the template of {green} was changed"));
    scene.ready("green", 2);
    assert_eq!(scene.selected(), "green");
    let record = scene.field("deployment", &green, "/metadata/annotations/tidegate.dev~1slot-record");
    assert!(record.as_str().unwrap().contains(proven.as_str().unwrap()), "{record}");
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    load.ends_well(&["1", "3"]);
}

#[test]
fn a_deployment_that_was_taken_over_keeps_its_traffic_when_somebody_goes_back_to_its_template_of_before() {
    let scene = Scene::new("undone-adopted");
    let namespace = ["create", "namespace", scene.world.name.as_str()];
    scene.world.kube.must(&namespace);
    for version in ["0", "1"] {
        scene.apply(&scene.manifests(Release::new(version)));
        scene.kubectl(&["rollout", "status", &format!("deployment/{APP}"), "--timeout=60s"]);
    }
    let first = scene.begin(Judged::BeforeSwitch, "1s", Release::new("1"));
    let _daemon = scene.world.daemon();
    scene.world.wait_for("live", &first);
    let load = scene.load();
    scene.kubectl(&["rollout", "undo", &format!("deployment/{APP}")]);
    eventually("what git asks for is proven and live again", || {
        check(scene.selected() == "green", "it is not")
    });
    scene.world.wait_for("live", &first);
    Scene::answered(&load);
    let answers = load.end();
    assert_eq!(answers.failed, 0, "{:?}", answers.failures);
}

#[test]
fn an_idle_colour_that_somebody_has_paused_takes_the_next_release() {
    let (scene, _daemon, load) = Scene::installed("undone-paused", Judged::BeforeSwitch, "1s");
    let second = scene.release(Release::new("2"));
    scene.world.wait_for("live", &second);
    eventually("blue is put away", || check(scene.replicas("blue") == Some(0), "it is not"));
    scene.kubectl(&["rollout", "pause", &format!("deployment/{APP}-blue")]);
    let third = scene.release(Release::new("3"));
    scene.world.wait_for("live", &third);
    assert_eq!(scene.selected(), "blue");
    load.ends_well(&["1", "2", "3"]);
}

#[test]
fn copies_of_configuration_that_somebody_deletes_are_made_again() {
    let (scene, _daemon, _load) = Scene::installed("undone-copies", Judged::BeforeSwitch, "1s");
    let copies = || scene.kubectl(&["get", "configmaps", "-l", "tidegate.dev/config", "-o", "name"]);
    let before = copies();
    assert_eq!(before.lines().count(), 1, "{before}");
    // Nothing of it was looked at for a while.
    throughout(Duration::from_secs(3), "it is there", || copies() == before);
    // Also at once after it was made again.
    for _ in 0..3 {
        scene.kubectl(&["delete", "configmaps", "-l", "tidegate.dev/config"]);
        scene.kubectl(&["delete", "pods", "-l", "tidegate.dev/slot=blue", "--wait=false"]);
        eventually("it is there again", || check(copies() == before, copies()));
    }
    scene.ready("blue", 2);
}

#[test]
fn a_workload_that_no_policy_matches_any_more_is_watched_as_before() {
    let (scene, _daemon, load) = Scene::installed("undone-policy", Judged::BeforeSwitch, "1s");
    scene.set_policy(&Scene::policy(Judged::BeforeSwitch, "50s"));
    scene.release(Release::new("2"));
    eventually("green serves", || check(scene.selected() == "green", "it does not"));
    let other = Scene::policy(Judged::BeforeSwitch, "50s").replace(&format!("app: {APP}"), "app: other");
    scene.set_policy(&other);
    scene.world.repo.commit("another policy");
    scene.said(&["no policy matches it any more"]);
    let patch = r#"{"spec":{"selector":{"tidegate.dev/slot":"blue"}}}"#;
    scene.kubectl(&["patch", "service", APP, "--type=merge", "-p", patch]);
    eventually("traffic goes back to green", || check(scene.selected() == "green", "it does not"));
    load.ends_well(&["1", "2"]);
}
