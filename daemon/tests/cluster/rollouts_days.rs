//! Bad days of blue/green on a real cluster: no room, pods that do not start or do not stay, colours and pointers that go. Each
//! ends with traffic on a revision that has passed its gates, and says what was wrong in the words of who knows.

use std::time::Duration;

use serde_json::json;

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::{problem, throughout};
use crate::support::{check, eventually};

/// A second release that does not become ready: what is said while it is waited for, and that it is given up with the same
/// words when its time is over, while the first one serves.
fn never_gets_ready(name: &str, manifests: impl Fn(&Scene) -> String, words: &[&str]) {
    let (scene, _daemon, load) = Scene::installed(name, Judged::BeforeSwitch, "1s");
    scene.world.commit("version 2", &[("app.yaml", &manifests(&scene))]);
    let mut waits = vec!["of 2 pods of green are ready (", "next: its pods are ready, or its deadline"];
    waits.extend(words);
    scene.said(&waits);
    let late = scene.give_up();
    let status = scene.world.wait_for("degraded", &late);
    let told = problem(&status, "E0407");
    let message = told["message"].as_str().unwrap();
    assert!(message.starts_with("its pods were not ready in time: "), "{message}");
    let blue = message.split_once("; traffic never left blue (").map(|(_, rest)| rest);
    assert!(blue.is_some_and(|blue| blue.ends_with("), which serves with 2 of 2")), "{message}");
    assert!(words.iter().all(|words| message.contains(words)), "{words:?}: {message}");
    let help = told["help"].as_str().unwrap();
    assert!(help.contains("git revert ") && help.contains("tidegate retry"), "{help}");
    eventually("green is put away", || check(scene.replicas("green") == Some(0), "it has pods"));
    // The words stay when the pods are gone.
    scene.said(&words.iter().copied().chain(["rejected"]).collect::<Vec<_>>());
    assert_eq!(scene.selected(), "blue");
    load.ends_well(&["1"]);
}

#[test]
fn a_colour_for_which_no_node_has_room_is_given_up_in_the_schedulers_words() {
    let large = |scene: &Scene| scene.manifests(Release::new("2")).replace("memory: 8Mi", "memory: 8Ti");
    never_gets_ready("days-room", large, &["Unschedulable: 0/1 nodes are available: 1 Insufficient memory"]);
}

#[test]
fn a_colour_that_crashes_again_and_again_is_given_up_with_its_exit_code() {
    let crashing = Release { further: ", {name: PORT, value: none}", ..Release::new("2") };
    let words = ["container main: ", "exited with code 1"];
    never_gets_ready("days-crash", |scene| scene.manifests(crashing), &words);
}

#[test]
fn a_colour_that_is_never_ready_is_given_up_with_its_probe() {
    let unready = Release { further: ", {name: NOT_READY, value: \"true\"}", ..Release::new("2") };
    let words = ["container main: NotReady: it runs since ", "its readiness probe has not passed"];
    never_gets_ready("days-unready", |scene| scene.manifests(unready), &words);
}

#[test]
fn a_quota_without_room_for_two_colours_is_told_and_the_rollout_goes_on_when_it_is_raised() {
    let (scene, _daemon, load) = Scene::installed("days-quota", Judged::BeforeSwitch, "1s");
    let quota = |pods: u32| {
        format!(
            "apiVersion: v1\nkind: ResourceQuota\nmetadata: {{name: few}}\nspec: {{hard: {{pods: \"{pods}\"}}}}\n"
        )
    };
    scene.apply(&quota(2));
    eventually("the quota counts", || {
        let used = scene.field("resourcequota", "few", "/status/used/pods");
        check(used == json!("2"), used.to_string())
    });
    let second = scene.release(Release::new("2"));
    scene.said(&[
        "0 of 2 pods of green are ready",
        "its pods cannot be created: ",
        "exceeded quota: few",
        "next: its pods are ready, or its deadline",
    ]);
    assert_eq!(scene.selected(), "blue");
    scene.apply(&quota(8));
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    load.ends_well(&["1", "2"]);
}

#[test]
fn a_live_colour_that_dies_in_its_bake_gives_the_traffic_back() {
    let (scene, _daemon, load) = Scene::installed("days-bake", Judged::BeforeSwitch, "1s");
    let long = Scene::policy(Judged::BeforeSwitch, "50s").replace("gates: 10m}", "gates: 10m, grace: 1s}");
    scene.set_policy(&long);
    let lasting = Scene::lasting(&scene.called(Release::new("2")));
    let second = scene.world.commit("version 2", &[("app.yaml", &lasting)]);
    scene.call_ready("green", 2);
    eventually("green serves", || check(scene.selected() == "green", "it does not"));
    // Those that come after them are called by nobody.
    scene.kubectl(&["delete", "pods", "-l", "tidegate.dev/slot=green", "--wait=false"]);
    let status = scene.world.wait_for("degraded", &second);
    assert_eq!(scene.selected(), "blue");
    let told = problem(&status, "E0407");
    let message = told["message"].as_str().unwrap();
    assert!(message.starts_with("too few of its pods stayed ready: pod house-price-green-"), "{message}");
    let blue = message.split_once("; traffic went back to blue (").map(|(_, rest)| rest);
    assert!(blue.is_some_and(|blue| blue.ends_with("), which serves with 2 of 2")), "{message}");
    assert!(told["help"].as_str().unwrap().contains("git revert "), "{told:#}");
    load.ends_well(&["1", "2"]);
}

#[test]
fn a_pointer_that_somebody_deletes_comes_back_to_the_live_colour_and_people_look_before_it_goes_on() {
    let (scene, _daemon, load) = Scene::installed("days-pointer", Judged::BeforeSwitch, "1s");
    let manifests = scene.called(Release::new("2"));
    let second = scene.world.commit("version 2", &[("app.yaml", &manifests)]);
    scene.said(&["0 of 2 pods of green are ready"]);
    load.ends_well(&["1"]);
    scene.kubectl(&["delete", "service", APP]);
    eventually("it is there again", || check(scene.selected() == "blue", "it is not"));
    let halted = "halted until a person resumes it; blue serves with 2 of 2; Service house-price was deleted";
    let text = scene.said(&[halted, "E0412", "tidegate resume"]);
    assert!(!text.contains("green  serves"), "{text}");
    // Its address is another one: that is the cluster's to give.
    let load = scene.load();
    scene.call_ready("green", 2);
    throughout(Duration::from_secs(2), "blue serves", || scene.selected() == "blue");
    let workload = format!("{}/{APP}", scene.world.name);
    assert_eq!(scene.world.tidegate(&["resume", &workload, "--reason", "looked at it"]).code, 0);
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    load.ends_well(&["1", "2"]);
}

#[test]
fn a_colour_that_was_ready_and_is_not_any_more_never_gets_traffic() {
    let (scene, daemon, load) = Scene::installed("days-flap", Judged::BeforeSwitch, "1s");
    scene.set_policy(&Scene::policy_with_database(Judged::BeforeSwitch, "1s"));
    scene.world.commit("version 2", &[("app.yaml", &scene.called(Release::new("2")))]);
    scene.call_ready("green", 2);
    eventually("it is asked", || check(daemon.log().contains("verdict=\"unknown\""), daemon.log()));
    scene.call("green", false);
    scene.said(&["0 of 2 pods of green are ready (pod house-price-green-", "tidegate.test/called"]);
    // The last gate would pass now.
    scene.open_database();
    let late = scene.give_up();
    let status = scene.world.wait_for("degraded", &late);
    let message = problem(&status, "E0407")["message"].to_string();
    assert!(message.contains("its pods were not ready in time: pod house-price-green-"), "{message}");
    assert_eq!(scene.selected(), "blue");
    load.ends_well(&["1"]);
}

#[test]
fn a_live_colour_that_dies_while_another_warms_does_not_keep_it_from_the_traffic() {
    let scene = Scene::new("days-dead");
    scene.begin(Judged::BeforeSwitch, "1s", Release::new("1"));
    let called = scene.called(Release::new("1"));
    let first = scene.world.commit("version 1", &[("app.yaml", &called)]);
    let _daemon = scene.world.daemon();
    scene.call_ready("blue", 2);
    scene.world.wait_for("live", &first);
    let second = scene.world.commit("version 2", &[("app.yaml", &scene.called(Release::new("2")))]);
    scene.said(&["0 of 2 pods of green are ready"]);
    // Those that come after them are called by nobody.
    scene.kubectl(&["delete", "pods", "-l", "tidegate.dev/slot=blue", "--wait=false"]);
    scene.said(&["house-price-blue", "0 of 2 ready  serves"]);
    scene.call_ready("green", 2);
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    let load = scene.load();
    Scene::answered(&load);
    load.ends_well(&["2"]);
}
