//! Somebody changes by hand what Tidegate keeps for itself: it says so, and nothing is deleted or forgotten quietly.

use std::time::Duration;

use crate::scene::{gone, parent_annotation, record, short, throughout};
use crate::support::{Daemon, World, check, config_map, eventually};

/// A world with two ConfigMaps `a` and `b` that are live, its daemon, and the commit.
fn two_are_live(name: &str) -> (World, Daemon, String) {
    let world = World::new(name);
    let environment = world.environment("");
    let files = [
        ("environment.yaml", environment.as_str()),
        ("a.yaml", &config_map("a", "k", "1")),
        ("b.yaml", &config_map("b", "k", "1")),
    ];
    let commit = world.commit("two", &files);
    let daemon = world.daemon();
    world.wait_for("live", &commit);
    (world, daemon, commit)
}

#[test]
fn a_damaged_inventory_is_said_and_deletes_nothing() {
    let (world, mut daemon, _) = two_are_live("saf-tamper");
    daemon.kill();
    let garbage = r#"{"binaryData":{"entries":"Z2FyYmFnZQ=="}}"#;
    let shard = "tidegate-saf-tamper-inventory-1-0";
    world.kube.must(&["patch", "configmap", shard, "-n", "tidegate-system", "--type=merge", "-p", garbage]);
    world.repo.remove("environments/saf-tamper/b.yaml");
    let second = world.repo.commit("one");
    daemon.restart();
    let status = record(&world, "saf-tamper", "the damage is recorded", |status| status["state"] == "failed");
    let reason = status["reason"].as_str().unwrap();
    assert!(reason.contains("the inventory") && reason.contains("tidegate-saf-tamper"), "{reason}");
    throughout(Duration::from_secs(2), "nothing is deleted", || {
        world.kube.get("configmap", "saf-tamper", "b").is_some()
    });
    world.kube.must(&["delete", "configmap", "tidegate-saf-tamper", "-n", "tidegate-system"]);
    world.wait_for("live", &second);
    assert!(world.kube.get("configmap", "saf-tamper", "b").is_some(), "what nobody remembers is not deleted");
}

#[test]
fn a_suspension_written_by_hand_in_other_words_suspends() {
    let world = World::new("saf-handmade");
    let files = |value: &str| config_map("c", "k", value);
    let first =
        world.commit("one", &[("environment.yaml", &world.environment("")), ("c.yaml", &files("one"))]);
    let _daemon = world.daemon();
    world.wait_for("live", &first);
    let parent = ["annotate", "configmap", "tidegate-saf-handmade", "-n", "tidegate-system"];
    world.kube.must(&[&parent[..], &["tidegate.dev/suspend=incident 4711"]].concat());
    record(&world, "saf-handmade", "suspended", |status| status["state"] == "suspended");
    let second = world.commit("two", &[("c.yaml", &files("two"))]);
    throughout(Duration::from_secs(2), "nothing is written", || {
        world.kube.field("configmap", "saf-handmade", "c", "/data/k") == "one"
    });
    world.kube.must(&[&parent[..], &["tidegate.dev/suspend-"]].concat());
    world.wait_for("live", &second);
}

#[test]
fn an_object_without_our_label_that_cannot_be_taken_over_is_not_asked_for_again_and_again() {
    let world = World::new("saf-spin");
    world.kube.must(&["create", "namespace", "saf-spin"]);
    world.kube.must(&["create", "configmap", "c", "-n", "saf-spin", "--from-literal=k=theirs"]);
    world.kube.must(&[
        "patch",
        "configmap",
        "c",
        "-n",
        "saf-spin",
        "--type=merge",
        "-p",
        r#"{"immutable":true}"#,
    ]);
    let commit = world.commit(
        "ours",
        &[("environment.yaml", &world.environment("")), ("c.yaml", &config_map("c", "k", "ours"))],
    );
    let daemon = world.daemon();
    world.wait_for("failed", &commit);
    let tried = || daemon.log().matches("error[E0402]").count();
    let before = tried();
    std::thread::sleep(Duration::from_secs(3));
    assert!(tried() <= before + 1, "{before} refusals became {}", tried());
}

#[test]
fn a_parent_that_is_deleted_while_the_daemon_runs_comes_back_with_its_inventory_and_suspension() {
    let (world, mut daemon, first) = two_are_live("saf-rescue");
    let suspended = world.tidegate(&["suspend", "saf-rescue", "--reason", "incident"]);
    assert_eq!(suspended.code, 0, "{}", suspended.stderr);
    record(&world, "saf-rescue", "suspended", |status| status["state"] == "suspended");
    let uid = || world.kube.field("configmap", "tidegate-system", "tidegate-saf-rescue", "/metadata/uid");
    let before = uid();
    world.kube.must(&["delete", "configmap", "tidegate-saf-rescue", "-n", "tidegate-system"]);
    record(&world, "saf-rescue", "it is back, and still suspended", |status| {
        status["state"] == "suspended" && uid() != before && !uid().is_null()
    });
    assert_eq!(parent_annotation(&world, "saf-rescue", "tidegate.dev/seen"), first);
    // What left git while nobody but the inventory knew of it is pruned, also by a daemon that has just started.
    std::thread::sleep(Duration::from_secs(3));
    daemon.kill();
    daemon.restart();
    world.repo.remove("environments/saf-rescue/b.yaml");
    let second = world.repo.commit("one");
    let resumed = world.tidegate(&["resume", "saf-rescue", "--reason", "over"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    world.wait_for("live", &second);
    gone(&world, "configmap", "saf-rescue", "b");
    let shard = "tidegate-saf-rescue-inventory-1-0";
    assert!(world.kube.get("configmap", "tidegate-system", shard).is_some(), "the garbage collector left it");
}

#[test]
fn garbage_in_the_mark_of_what_was_seen_does_not_let_an_older_commit_in() {
    let world = World::new("saf-garbled");
    let files = |value: &str| config_map("c", "k", value);
    let first =
        world.commit("one", &[("environment.yaml", &world.environment("")), ("c.yaml", &files("one"))]);
    let mut daemon = world.daemon();
    world.wait_for("live", &first);
    let second = world.commit("two", &[("c.yaml", &files("two"))]);
    world.wait_for("live", &second);
    daemon.kill();
    let garble = || {
        let parent =
            ["annotate", "configmap", "tidegate-saf-garbled", "-n", "tidegate-system", "--overwrite"];
        world.kube.must(&[&parent[..], &["tidegate.dev/seen=garbage"]].concat());
    };
    garble();
    // Another daemon, with a cache of its own, that only knows the older commit.
    world.repo.git(&["push", "--quiet", "--force", "origin", &format!("{first}:main")]);
    let other = world.daemon();
    let status = record(&world, "saf-garbled", "it waits", |status| status["state"] == "waiting");
    assert!(status["reason"].as_str().unwrap().starts_with(short(&second)), "{status:#}");
    throughout(Duration::from_secs(2), "two stays", || {
        world.kube.field("configmap", "saf-garbled", "c", "/data/k") == "two"
    });
    drop(other);
    world.repo.git(&["push", "--quiet", "origin", "main"]);
    daemon.restart();
    world.wait_for("live", &second);
    garble();
    world.tidegate(&["sync", "saf-garbled"]);
    eventually("it is written anew", || {
        let seen = parent_annotation(&world, "saf-garbled", "tidegate.dev/seen");
        check(seen == second, format!("it is {seen}"))
    });
    assert!(daemon.log().contains("did not name a commit"), "{}", daemon.log());
}
