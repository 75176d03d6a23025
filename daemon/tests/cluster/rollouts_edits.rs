//! What people do by hand to a workload that rolls out in colours: colours that they delete, scale and restart, and rules of the
//! cluster that are in the way. Traffic stays on a revision that has passed its gates.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::rule::Rule;
use crate::scene::{problem, throughout};
use crate::support::{Api, Load, check, eventually, within};

#[test]
fn an_idle_colour_that_somebody_scales_or_deletes_is_made_and_asked_anew() {
    let (scene, daemon, load) = Scene::installed("edits-idle", Judged::BeforeSwitch, "1s");
    scene.set_policy(&Scene::policy_with_database(Judged::BeforeSwitch, "1s"));
    let second = scene.release(Release::new("2"));
    let green = format!("deployment/{APP}-green");
    let passed = || daemon.log().matches("gate=\"smoke\" verdict=\"pass\"").count();
    // One of them was the first release's.
    let asked = |times: usize| {
        eventually("green is asked", || check(passed() == times, format!("{} times", passed())));
        scene.ready("green", 2);
    };
    asked(2);
    scene.kubectl(&["scale", &green, "--replicas=0"]);
    asked(3);
    scene.kubectl(&["delete", &green]);
    asked(4);
    scene.kubectl(&["scale", &green, "--replicas=3"]);
    throughout(Duration::from_secs(1), "more pods than it needs are left", || {
        scene.replicas("green") == Some(3)
    });
    assert_eq!(scene.selected(), "blue");
    scene.open_database();
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    eventually("it has git's size once it is live", || {
        check(scene.replicas("green") == Some(2), "it has not")
    });
    eventually("blue is put away", || check(scene.replicas("blue") == Some(0), "it is not"));
    scene.kubectl(&["scale", &format!("deployment/{APP}-blue"), "--replicas=1"]);
    eventually("blue is put away again", || check(scene.replicas("blue") == Some(0), "it is not"));
    load.ends_well(&["1", "2"]);
}

#[test]
fn a_live_colour_whose_deployment_somebody_deletes_is_made_again_as_it_was_in_a_bake_and_after_it() {
    let (scene, _daemon, load) = Scene::installed("edits-live", Judged::BeforeSwitch, "1s");
    scene.set_policy(&Scene::policy(Judged::BeforeSwitch, "50s"));
    let second = scene.release(Release::new("2"));
    eventually("green serves", || check(scene.selected() == "green", "it does not"));
    let deleted = || {
        let uid = || scene.field("deployment", &format!("{APP}-green"), "/metadata/uid");
        let before = uid();
        scene.kubectl(&["delete", "deployment", &format!("{APP}-green")]);
        eventually("it is there again", || check(uid().is_string() && uid() != before, "it is not"));
        scene.ready("green", 2);
        assert_eq!(scene.selected(), "green");
    };
    deleted();
    scene.event("a colour that is needed was deleted or scaled to 0; it is as it was again");
    assert!(scene.pointer()["bake"]["open"].is_object(), "{:#}", scene.pointer());
    let workload = format!("{}/{APP}", scene.world.name);
    assert_eq!(scene.world.tidegate(&["promote", &workload, "--reason", "seen enough"]).code, 0);
    scene.world.wait_for("live", &second);
    deleted();
    scene.world.wait_for("live", &second);
    // Without a pod nobody answers for a moment; then the same revision does.
    Scene::answered(&load);
    assert_eq!(load.end().versions(), ["1", "2"]);
}

/// A selector that somebody edits is seen by a watch, and put back by one step: 0.6 to 0.8 s where a dozen others want two cores.
const PUT_BACK_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn a_selector_that_somebody_turns_to_a_warm_colour_that_no_gate_has_passed_is_put_back_at_once() {
    let (scene, daemon, load) = Scene::installed("edits-selector", Judged::BeforeSwitch, "1s");
    // The first of its gates cannot tell, and the next one would turn it down.
    let gate = "    beforeSwitch:\n      - {name: database, every: 1s, tcp: {service: database, port: 80}}\n";
    scene.set_policy(&Scene::policy(Judged::BeforeSwitch, "1s").replace("    beforeSwitch:\n", gate));
    scene.release(Release::wrong("2"));
    scene.said(&["gate database: "]);
    scene.ready("green", 2);
    let fresh = Load::fresh(scene.address());
    let turned = json!({"spec": {"selector": {"tidegate.dev/slot": "green"}}}).to_string();
    let api = Api::connect(&scene.world.kube);
    let service = format!("/api/v1/namespaces/{}/services/{APP}", scene.world.name);
    let is_answer = |line: &&str| line.contains("phase=\"torn\"") && line.contains(" writes=");
    let moves = || daemon.log().lines().filter(is_answer).count();
    for times in 1..=3 {
        let start = Instant::now();
        scene.kubectl(&["patch", "service", APP, "--type=merge", "-p", &turned]);
        let returned = Instant::now();
        within(PUT_BACK_WITHIN, "it selects blue again", || {
            let selector = &api.get(&service)["spec"]["selector"];
            check(moves() == times && selector["tidegate.dev/slot"] == "blue", selector.to_string())
        });
        println!(
            "put back {:?} after kubectl returned, {:?} after it began",
            returned.elapsed(),
            start.elapsed()
        );
    }
    scene.said(&["kubectl-patch changed where Service house-price sends traffic"]);
    // Whoever connects from now on is answered by blue; kube-proxy may be a moment behind.
    std::thread::sleep(Duration::from_secs(1));
    let answers = |load: &Load| load.so_far().by_version.get("2").copied().unwrap_or_default();
    let before = answers(&fresh);
    Scene::answered(&fresh);
    assert_eq!(answers(&fresh), before, "new connections go to blue");
    println!("{before} of {} new connections went to green", fresh.so_far().total());
    fresh.ends_among(&["1", "2"]);
    // Connections that were made in the meantime stay where they are until green ends.
    load.ends_among(&["1", "2"]);
    assert!(scene.pointer()["bake"]["open"].is_null(), "it was no switch: {:#}", scene.pointer());
}

#[test]
fn a_live_colour_that_somebody_makes_smaller_has_its_size_again_and_costs_no_request() {
    let scene = Scene::new("edits-smaller");
    let three = Release { replicas: 3, ..Release::new("1") };
    let first = scene.begin(Judged::BeforeSwitch, "1s", three);
    let _daemon = scene.world.daemon();
    scene.world.wait_for("live", &first);
    let load = scene.load();
    let blue = format!("deployment/{APP}-blue");
    for size in ["2", "1"] {
        scene.kubectl(&["scale", &blue, &format!("--replicas={size}")]);
        eventually("it has its size again", || check(scene.replicas("blue") == Some(3), "it has not"));
        scene.ready("blue", 3);
    }
    eventually("those that were to go have ended", || check(scene.pods("blue").len() == 3, "not yet"));
    Scene::answered(&load);
    load.ends_well(&["1"]);
}

#[test]
fn a_restart_of_the_live_colour_by_hand_is_left_and_costs_no_request() {
    let (scene, daemon, load) = Scene::installed("edits-restart", Judged::BeforeSwitch, "1s");
    let blue = format!("deployment/{APP}-blue");
    let before = scene.pods("blue");
    scene.kubectl(&["rollout", "restart", &blue]);
    scene.kubectl(&["rollout", "status", &blue, "--timeout=60s"]);
    eventually("its pods are new ones", || {
        let now = scene.pods("blue");
        check(now.len() == 2 && now.iter().all(|pod| !before.contains(pod)), format!("{now:?}"))
    });
    let restarted = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
    assert!(scene.field("deployment", &format!("{APP}-blue"), restarted).is_string());
    assert!(!daemon.log().contains("was taken back"), "{}", daemon.log());
    scene.event("house-price-blue was restarted by hand (`kubectl rollout restart`)");
    let second = scene.release(Release::new("2"));
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    load.ends_well(&["1", "2"]);
}

#[test]
fn a_switch_that_the_cluster_refuses_is_told_in_its_words_and_goes_on_when_it_may() {
    let (scene, _daemon, load) = Scene::installed("edits-refused", Judged::BeforeSwitch, "1s");
    let patch = json!({"spec": {"selector": {"tidegate.dev/slot": "green"}}}).to_string();
    let holds = "object.spec.selector[?'tidegate.dev/slot'].orValue('') != 'green'";
    let rule = Rule::new(&scene, ("", "services", APP), holds, "no switches today, ask Ann", &patch);
    let second = scene.release(Release::new("2"));
    let status = scene.world.wait_for("degraded", &second);
    let told = problem(&status, "E0413");
    let message = told["message"].as_str().unwrap();
    assert!(message.starts_with("the rollout does not go on: switch: the API server refused: "), "{message}");
    assert!(message.contains("no switches today, ask Ann"), "{message}");
    let help = told["help"].as_str().unwrap();
    assert!(help.contains("it is tried again by itself"), "{help}");
    throughout(Duration::from_secs(3), "blue serves", || scene.selected() == "blue");
    drop(rule);
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    load.ends_well(&["1", "2"]);
}

#[test]
fn what_stands_where_a_colour_would_be_is_left_alone_and_named_until_it_goes() {
    let scene = Scene::new("edits-stranger");
    let (namespace, blue) = (scene.world.name.clone(), format!("{APP}-blue"));
    scene.world.kube.must(&["create", "namespace", &namespace]);
    scene.apply(&crate::support::deployment(&blue, 1, ""));
    let uid = || scene.field("deployment", &blue, "/metadata/uid");
    let theirs = uid();
    let first = scene.begin(Judged::BeforeSwitch, "1s", Release::new("1"));
    let _daemon = scene.world.daemon();
    let status = scene.world.wait_for("degraded", &first);
    let told = problem(&status, "E0413");
    let message = told["message"].as_str().unwrap();
    let expected = format!(
        "Deployment {blue} in {namespace} stands in the way and is not this workload's: rename one of them, or move traffic off it and delete it"
    );
    assert!(message.contains(&expected), "{message}");
    scene.said(&["E0413", &expected]);
    let labels = scene.field("deployment", &blue, "/metadata/labels");
    assert!(uid() == theirs && !labels.to_string().contains("tidegate"), "{labels}");
    scene.kubectl(&["delete", "deployment", &blue]);
    scene.world.wait_for("live", &first);
    assert_eq!(scene.selected(), "blue");
}
