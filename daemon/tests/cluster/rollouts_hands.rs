//! Blue/green on a real cluster while daemons die, people give orders, and running services are taken over and let go.

use serde_json::json;

use crate::reads::{Restricted, grant};
use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::gone;
use crate::support::{Load, check, eventually};

#[test]
fn another_daemon_goes_on_with_the_bake_of_one_that_died() {
    let (scene, mut daemon, load) = Scene::installed("rollout-two", Judged::WhileBaking, "4s");
    let other = scene.world.daemon_with(&["--replica", "rollout-two-other"]);
    scene.release(Release::wrong("2"));
    eventually("green serves", || check(scene.selected() == "green", "it does not"));
    daemon.kill();
    eventually("blue serves again", || check(scene.selected() == "blue", other.log()));
    load.ends_well(&["1", "2"]);
}

#[test]
fn a_person_aborts_promotes_retries_and_goes_back_each_with_a_reason() {
    let (scene, _daemon, load) = Scene::installed("rollout-orders", Judged::BeforeSwitch, "1s");
    let workload = format!("{}/{APP}", scene.world.name);
    let order = |word: &str| scene.world.tidegate(&[word, &workload, "--reason", "incident 7"]);
    for word in ["promote", "abort", "retry", "rollback", "resume"] {
        for reason in [&[][..], &["--reason", ""], &["--reason", "  "]] {
            let refused = scene.world.tidegate(&[&[word, workload.as_str()], reason].concat());
            assert!(refused.code != 0 && refused.stderr.contains("reason"), "{word}: {}", refused.stderr);
        }
    }
    assert!(scene.pointer()["order"].is_null(), "{:#}", scene.pointer());
    let long =
        Scene::policy(Judged::BeforeSwitch, "50s").replace("  drain: 1s\n", "  drain: 1s\n  standby: 50s\n");
    scene.world.repo.write("policies/blue-green.yaml", &long);
    scene.release(Release::new("2"));
    eventually("green serves", || check(scene.selected() == "green", "it does not"));
    let refused = order("resume");
    assert_eq!(refused.code, 6, "it is not halted: {}{}", refused.stdout, refused.stderr);
    assert_eq!(order("abort").code, 0);
    eventually("blue serves again", || check(scene.selected() == "blue", "it does not"));
    assert_eq!(scene.pointer()["rejected"]["reason"]["ordered"]["reason"], "incident 7");
    let text = eventually("status says who and why", || {
        let text = scene.world.tidegate(&["status", &scene.world.name]).stdout;
        check(text.contains("ordered it: incident 7"), text.clone())?;
        Ok(text)
    });
    assert!(text.contains("rejected"), "{text}");
    assert_eq!(order("retry").code, 0);
    eventually("green serves anew", || check(scene.selected() == "green", "it does not"));
    assert_eq!(order("promote").code, 0);
    eventually("the bake is closed", || {
        let bake = scene.pointer()["bake"].clone();
        check(bake["closed"].is_object(), bake.to_string())
    });
    scene.event("blue serves with 2 of 2");
    scene.event("green serves with 2 of 2");
    let not_down = order("retry");
    assert_eq!(not_down.code, 6, "what git asks for serves: {}{}", not_down.stdout, not_down.stderr);
    assert_eq!(order("rollback").code, 0);
    eventually("blue serves once more", || check(scene.selected() == "blue", "it does not"));
    load.ends_well(&["1", "2"]);
}

#[test]
fn a_person_aborts_a_release_before_its_switch_and_promotes_one_whose_bake_cannot_tell() {
    let (scene, _daemon, load) = Scene::installed("rollout-early", Judged::BeforeSwitch, "1s");
    let order = |word: &str| {
        let workload = format!("{}/{APP}", scene.world.name);
        let ordered = scene.world.tidegate(&[word, &workload, "--reason", "incident 8"]);
        assert_eq!(ordered.code, 0, "{word}: {}{}", ordered.stdout, ordered.stderr);
    };
    scene.set_policy(&Scene::policy_with_database(Judged::BeforeSwitch, "1s"));
    let second = scene.release(Release::new("2"));
    scene.said(&["gate database: ", "next: gate `database` passes, or its deadline, "]);
    order("abort");
    let status = scene.world.wait_for("degraded", &second);
    assert_eq!(scene.pointer()["rejected"]["reason"]["ordered"]["reason"], "incident 8", "{status:#}");
    eventually("green is put away", || check(scene.replicas("green") == Some(0), "it has pods"));
    assert_eq!(scene.selected(), "blue");

    let gate = "      - {name: database, every: 1s, tcp: {service: database, port: 80}}\n  bake:";
    let policy = Scene::policy(Judged::BeforeSwitch, "1s").replace("max: 60s", "max: 2s");
    scene.set_policy(&policy.replace("  bake:", gate));
    let third = scene.release(Release::new("3"));
    scene.said(&["green serves with 2 of 2", "gate database: ", "`tidegate promote` or `abort`"]);
    assert!(scene.pointer()["bake"]["open"].is_object(), "{:#}", scene.pointer());
    order("promote");
    scene.world.wait_for("live", &third);
    assert!(scene.pointer()["bake"]["closed"].is_object(), "{:#}", scene.pointer());
    assert_eq!(scene.selected(), "green");
    // What was aborted has answered nobody.
    load.ends_well(&["1", "3"]);
}

#[test]
fn a_running_service_is_taken_over_rolled_out_and_let_go_without_a_failed_request() {
    let scene = Scene::new("rollout-adopt");
    let namespace = scene.world.name.clone();
    scene.world.kube.must(&["create", "namespace", &namespace]);
    scene.apply(&scene.manifests(Release::new("1")));
    eventually("it is ready", || {
        let ready = scene.field("deployment", APP, "/status/readyReplicas");
        check(ready == json!(2), ready.to_string())
    });
    let load: Load = scene.load();
    let first = scene.begin(Judged::BeforeSwitch, "1s", Release::new("1"));
    let _daemon = scene.world.daemon();
    scene.world.wait_for("live", &first);
    assert_eq!(scene.selected(), "blue", "the Deployment from before is the blue slot");
    assert_eq!(scene.replicas("blue"), None);
    let second = scene.release(Release::new("2"));
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    gone(&scene.world, "deployment", &namespace, APP);
    let none = Scene::policy(Judged::BeforeSwitch, "1s").replace("{mode: service}", "{mode: none}");
    scene.world.repo.write("policies/blue-green.yaml", &none);
    let left = scene.world.repo.commit("without colours");
    scene.world.wait_for("live", &left);
    gone(&scene.world, "deployment", &namespace, &format!("{APP}-green"));
    assert_eq!(scene.selected(), "");
    eventually("its objects are the environment's again, and none of its colours is told", || {
        let status = scene.world.status();
        let told = (&status["reason"], &status["counts"]["objects"], status.get("workloads"));
        check(told == (&json!("all 4 objects are healthy"), &json!(4), None), status.to_string())
    });
    load.ends_well(&["1", "2"]);
}

#[test]
fn a_release_needs_no_other_rights_than_those_that_operators_are_given() {
    let scene = Scene::new("rollout-rights");
    let namespace = scene.world.name.clone();
    scene.world.kube.must(&["create", "namespace", &namespace]);
    grant(&scene.world, &namespace);
    scene.begin(Judged::BeforeSwitch, "1s", Release::new("1"));
    let environment = scene.environment().replace("createNamespaces: true", "createNamespaces: false");
    let first = scene.world.commit("no namespaces", &[("environment.yaml", &environment)]);
    let restricted = Restricted::new(&scene.world);
    let daemon = restricted.daemon(&scene.world);
    scene.world.wait_for("live", &first);
    let second = scene.release(Release::new("2"));
    scene.world.wait_for("live", &second);
    eventually("blue is put away", || check(scene.replicas("blue") == Some(0), "it has pods"));
    let log = daemon.log();
    // Where the whole cluster may not be watched, its namespaces are; nothing else is missing.
    let is_missing = |line: &&str| line.contains("forbidden") && !line.contains("in the whole cluster");
    let missing: Vec<&str> = log.lines().filter(is_missing).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    eventually("Events tell of it", || {
        let events = scene.kubectl(&["get", "events.events.k8s.io", "-o", "json"]);
        check(events.contains("gate smoke: pass") && events.contains("serves with"), events)
    });
}
