//! Suspensions: nothing is written while one stands, and each is lifted where it was set.

use std::time::Duration;

use serde_json::Value;

use crate::scene::{field_is, parent_annotation, record, throughout};
use crate::support::{World, check, config_map, eventually};

fn value(world: &World, value: &str, further: &str) -> String {
    world.commit(
        value,
        &[("environment.yaml", &world.environment(further)), ("c.yaml", &config_map("c", "k", value))],
    )
}

/// Everything of the namespace and of our own objects, by resourceVersion.
fn versions(world: &World) -> String {
    let columns = "custom-columns=K:.kind,N:.metadata.name,V:.metadata.resourceVersion";
    let ours = world.kube.must(&["get", "configmap,secret", "-n", &world.name, "-o", columns]);
    let label = format!("tidegate.dev/parent-of={}", world.name);
    ours + &world.kube.must(&["get", "configmap", "-n", "tidegate-system", "-l", &label, "-o", columns])
}

#[test]
fn while_it_is_suspended_by_hand_nothing_is_written_and_resume_goes_on() {
    let world = World::new("saf-suspend");
    let first = value(&world, "one", "");
    let mut daemon = world.daemon();
    world.wait_for("live", &first);
    for unreasoned in [&["suspend", "saf-suspend"][..], &["suspend", "saf-suspend", "--reason", " \t"]] {
        let refused = world.tidegate(unreasoned);
        assert_eq!(refused.code, 64, "{}", refused.stderr);
    }
    assert_eq!(world.tidegate(&["resume", "saf-suspend", "--reason", ""]).code, 64);
    let suspended = world.tidegate(&["suspend", "saf-suspend", "--reason", "incident 4711"]);
    assert_eq!(suspended.code, 0, "{}", suspended.stderr);
    let status = record(&world, "saf-suspend", "suspended", |status| status["state"] == "suspended");
    // The name on this machine, and who the API server takes it for.
    let reason = status["reason"].as_str().unwrap();
    assert!(reason.contains("by tester (") && reason.ends_with("): incident 4711"), "{reason}");
    assert_eq!(status["suspended"], "hand", "{status:#}");
    assert!(status["next"].as_str().unwrap().contains("tidegate resume saf-suspend"), "{status:#}");
    let second = value(&world, "two", "");
    let wrong = r#"{"data":{"k":"by hand"}}"#;
    world.kube.must(&["patch", "configmap", "c", "-n", "saf-suspend", "--type=merge", "-p", wrong]);
    // Both are recorded, each perhaps in a record of its own.
    record(&world, "saf-suspend", "the new commit and the drift are seen", |status| {
        status["seen"]["id"] == second.as_str() && status["drifted"]["total"] == 1
    });
    let before = versions(&world);
    throughout(Duration::from_secs(2), "nothing is written", || versions(&world) == before);
    daemon.kill();
    daemon.restart();
    let unchanged = || world.kube.field("configmap", "saf-suspend", "c", "/data/k") == "by hand";
    throughout(Duration::from_secs(3), "nothing is written after a restart", unchanged);
    assert_eq!(world.tidegate(&["wait", "saf-suspend", "--timeout", "5s"]).code, 6);
    let resumed = world.tidegate(&["resume", "saf-suspend", "--reason", "over"]);
    assert!(
        resumed.code == 0 && resumed.stdout.contains("incident 4711"),
        "{}{}",
        resumed.stdout,
        resumed.stderr
    );
    let live = world.wait_for("live", &second);
    assert!(live["suspended"].is_null(), "{live:#}");
    field_is(&world, "configmap", "saf-suspend", "c", "/data/k", "two");
    // Who resumed it, and why, can be seen later.
    let kept: Value =
        serde_json::from_str(&parent_annotation(&world, "saf-suspend", "tidegate.dev/resumed")).unwrap();
    assert!(kept["reason"] == "over" && kept["by"].as_str().unwrap().starts_with("tester ("), "{kept:#}");
    assert_eq!(kept["was"]["reason"], "incident 4711", "{kept:#}");
    assert!(!kept["at"].as_str().unwrap().contains('.'), "whole seconds: {kept:#}");
    let logged = daemon.log();
    assert!(logged.lines().any(|line| line.contains("resumed") && line.contains("over")), "{logged}");
    let shown = world.tidegate(&["status", "saf-suspend"]).stdout;
    assert!(shown.contains("last resumed") && shown.contains(": over"), "{shown}");
    let again = world.tidegate(&["resume", "saf-suspend", "--reason", "again"]);
    assert!(
        again.code == 0 && again.stdout.contains("was not suspended"),
        "{}{}",
        again.stdout,
        again.stderr
    );
}

#[test]
fn a_request_that_no_daemon_will_see_says_so() {
    let world = World::new("saf-idle-ask");
    let first = value(&world, "one", "");
    let mut daemon = world.daemon();
    world.wait_for("live", &first);
    for arguments in [&["sync", "saf-idle-ask"][..], &["suspend", "saf-idle-ask", "--reason", "x"]] {
        let served = world.tidegate(arguments);
        assert!(served.code == 0 && served.stderr.is_empty(), "{}{}", served.stdout, served.stderr);
    }
    daemon.terminate();
    for arguments in [
        &["sync", "saf-idle-ask"][..],
        &["resume", "saf-idle-ask", "--reason", "x"],
        &["suspend", "saf-idle-ask", "--reason", "x"],
    ] {
        let asked = world.tidegate(arguments);
        assert_eq!(asked.code, 0, "{}{}", asked.stdout, asked.stderr);
        assert!(asked.stderr.contains("no daemon runs for saf-idle-ask"), "{arguments:?}: {}", asked.stderr);
    }
    let json = world.tidegate(&["resume", "saf-idle-ask", "--reason", "x", "-o", "json"]).json();
    assert_eq!(json["daemonRunning"], false, "{json:#}");
}

#[test]
fn a_suspension_for_a_time_ends_by_itself() {
    let world = World::new("saf-pause");
    let first = value(&world, "one", "");
    let _daemon = world.daemon();
    world.wait_for("live", &first);
    let suspended = world.tidegate(&["suspend", "saf-pause", "--reason", "lunch", "--for", "4s"]);
    assert_eq!(suspended.code, 0, "{}", suspended.stderr);
    record(&world, "saf-pause", "suspended", |status| status["state"] == "suspended");
    let second = value(&world, "two", "");
    throughout(Duration::from_secs(1), "nothing is written", || {
        world.kube.field("configmap", "saf-pause", "c", "/data/k") == "one"
    });
    world.wait_for("live", &second);
}

#[test]
fn a_suspension_in_git_is_lifted_only_in_git() {
    let world = World::new("saf-gitstop");
    let first = value(&world, "one", "");
    let _daemon = world.daemon();
    world.wait_for("live", &first);
    let second = value(&world, "two", "  suspend: {reason: \"freeze\"}\n");
    let status = world.wait_for("suspended", &second);
    let reason = status["reason"].as_str().unwrap();
    assert!(
        reason.contains("environments/saf-gitstop/environment.yaml:9:") && reason.contains("freeze"),
        "{reason}"
    );
    let refused = world.tidegate(&["resume", "saf-gitstop", "--reason", "now"]);
    assert!(refused.code == 6 && refused.stderr.contains("only by a commit"), "{}", refused.stderr);
    assert_eq!(status["suspended"], "git", "{status:#}");
    // One by hand beside it is lifted by hand, and that is not the end of it.
    let by_hand = world.tidegate(&["suspend", "saf-gitstop", "--reason", "suspended in git, says somebody"]);
    assert_eq!(by_hand.code, 0, "{}", by_hand.stderr);
    let lifted = world.tidegate(&["resume", "saf-gitstop", "--reason", "now"]);
    assert!(lifted.code == 6 && lifted.stdout.contains("stays suspended in git"), "{}", lifted.stdout);
    throughout(Duration::from_secs(2), "nothing is written", || {
        world.kube.field("configmap", "saf-gitstop", "c", "/data/k") == "one"
    });
    let third = value(&world, "three", "");
    world.wait_for("live", &third);
    eventually("applied", || {
        check(world.kube.field("configmap", "saf-gitstop", "c", "/data/k") == "three", "not yet")
    });
}

#[test]
fn a_suspended_environment_says_what_has_drifted_and_writes_nothing_to_it() {
    let world = World::new("saf-drifted");
    let first = value(&world, "one", "");
    let mut daemon = world.daemon();
    world.wait_for("live", &first);
    let suspended = world.tidegate(&["suspend", "saf-drifted", "--reason", "incident 4711"]);
    assert_eq!(suspended.code, 0, "{}", suspended.stderr);
    let status = record(&world, "saf-drifted", "suspended", |status| status["state"] == "suspended");
    assert_eq!(status["drifted"]["total"], 0, "{status:#}");
    // Git goes on meanwhile: the drift is what differs from what was applied.
    let second = value(&world, "two", "");
    let wrong = r#"{"data":{"k":"by hand"}}"#;
    world.kube.must(&["patch", "configmap", "c", "-n", "saf-drifted", "--type=merge", "-p", wrong]);
    let drifted = |what: &str| {
        let status = record(&world, "saf-drifted", what, |status| status["drifted"]["total"] == 1);
        let found = &status["drifted"]["items"][0];
        assert_eq!(found["object"]["name"], "c", "{status:#}");
        assert!(found["changes"][0].as_str().unwrap().contains("by hand"), "{status:#}");
        assert_eq!(found["manager"], "kubectl-patch", "{status:#}");
        assert!(found["repaired"].is_null() && status["seen"]["id"] == second.as_str(), "{status:#}");
        assert!(
            status["reason"].as_str().unwrap().ends_with("1 object differs from what was applied"),
            "{status:#}"
        );
        found["seen"].clone()
    };
    let seen = drifted("it is said");
    let shown = world.tidegate(&["status", "saf-drifted"]).stdout;
    assert!(shown.contains("not repaired: ConfigMap saf-drifted/c changed by kubectl-patch"), "{shown}");
    let before = versions(&world);
    throughout(Duration::from_secs(3), "nothing is written", || versions(&world) == before);
    daemon.kill();
    daemon.restart();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(drifted("also after a restart"), seen);
    let right = r#"{"data":{"k":"one"}}"#;
    world.kube.must(&["patch", "configmap", "c", "-n", "saf-drifted", "--type=merge", "-p", right]);
    record(&world, "saf-drifted", "put right by hand, and held by another hand", |status| {
        status["drifted"]["items"][0]["changes"][0] == "data.k is held by kubectl-patch"
    });
    world.kube.must(&["delete", "configmap", "c", "-n", "saf-drifted"]);
    record(&world, "saf-drifted", "deleted", |status| {
        status["drifted"]["items"][0]["changes"][0] == "the object was deleted"
    });
    throughout(Duration::from_secs(2), "it is not made again", || {
        world.kube.get("configmap", "saf-drifted", "c").is_none()
    });
    let resumed = world.tidegate(&["resume", "saf-drifted", "--reason", "over"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    let status = world.wait_for("live", &second);
    assert_eq!(status["drifted"]["total"], 0, "{status:#}");
    field_is(&world, "configmap", "saf-drifted", "c", "/data/k", "two");
}

#[test]
fn a_broken_commit_lifts_no_suspension_of_the_commit_before_it() {
    let world = World::new("saf-still-held");
    let first = value(&world, "one", "");
    let _daemon = world.daemon();
    world.wait_for("live", &first);
    value(&world, "two", "  suspend: { reason: an incident }\n");
    let suspended = |status: &Value| status["state"] == "suspended";
    record(&world, "saf-still-held", "suspended", suspended);
    world.commit(
        "lifts the suspension, and is broken",
        &[("environment.yaml", &world.environment("")), ("c.yaml", "kind: [ConfigMap\n")],
    );
    let unchanged = || world.kube.field("configmap", "saf-still-held", "c", "/data/k") == "one";
    throughout(Duration::from_secs(5), "the suspended commit is not applied", unchanged);
    record(&world, "saf-still-held", "still suspended", suspended);
    let mended = value(&world, "three", "");
    world.wait_for("live", &mended);
}
