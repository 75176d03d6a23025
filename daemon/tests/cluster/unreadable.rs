//! Environments whose file could never be read have no record of their own: that of the repository names them.

use serde_json::Value;

use crate::scene::throughout;
use crate::support::{World, check, environment, eventually};
use std::time::Duration;

/// The record of the repository that names this environment.
fn named(world: &World, name: &str) -> Option<Value> {
    let label = "tidegate.dev/repository";
    let list =
        world.kube.run(&["get", "configmap", "-n", "tidegate-system", "-l", label, "-o", "json"]).ok()?;
    let list: Value = serde_json::from_str(&list).ok()?;
    let records = list["items"]
        .as_array()?
        .iter()
        .filter_map(|item| serde_json::from_str::<Value>(item["data"]["repository.json"].as_str()?).ok());
    let mut all =
        records.flat_map(|record| record["environments"]["items"].as_array().cloned().unwrap_or_default());
    all.find(|entry| entry["environment"] == name)
}

#[test]
fn an_environment_that_could_never_be_read_is_named_with_its_error_until_it_can_or_is_gone() {
    let world = World::new("saf-unread");
    let broken = |name: &str| format!("environments/{name}/environment.yaml");
    world.repo.write(&broken("saf-unread-b"), "apiVersion: tidegate.dev/v1\nkind: Environment\nspec: [\n");
    world.repo.write(&broken("saf-unread-c"), "apiVersion: tidegate.dev/v1\nkind: Environment\nspec: {}\n");
    let commit = world.commit("one is good", &[("environment.yaml", &world.environment(""))]);
    let mut daemon = world.daemon();
    world.wait_for("live", &commit);
    let entry = eventually("it is named", || named(&world, "saf-unread-b").ok_or("not yet".to_owned()));
    assert_eq!(entry["seen"]["id"], commit.as_str(), "{entry:#}");
    let problem = &entry["problems"]["items"][0];
    assert_eq!(problem["code"], "E0101", "{entry:#}");
    assert_eq!(problem["location"]["file"], "environments/saf-unread-b/environment.yaml", "{entry:#}");
    eventually("so is the other", || named(&world, "saf-unread-c").map(drop).ok_or("not yet".to_owned()));
    let shown = world.tidegate(&["status"]);
    let place = "environments/saf-unread-b/environment.yaml:";
    assert!(
        shown.stdout.contains("saf-unread-b: its file cannot be read") && shown.stdout.contains(place),
        "{}",
        shown.stdout
    );
    let shown = world.tidegate(&["status", "saf-unread-c", "-o", "json"]);
    assert_eq!(shown.json()["unreadable"][0]["environment"], "saf-unread-c", "{}", shown.stdout);
    daemon.kill();
    world.repo.remove("environments/saf-unread-c");
    world.repo.write(&broken("saf-unread-b"), &environment("saf-unread-b", "saf-unread-b", ""));
    let commit = world.repo.commit("mended, and one away");
    daemon.restart();
    world.wait_for_environment("saf-unread-b", "live", &commit);
    eventually("none is named any more", || {
        let left = ["saf-unread-b", "saf-unread-c"].iter().any(|name| named(&world, name).is_some());
        check(!left, "one is")
    });
    assert!(!daemon.log().contains("saf-unread-c is gone from git"), "{}", daemon.log());
}

#[test]
fn an_environment_that_was_broken_before_it_was_ever_deployed_is_named_with_its_error() {
    let world = World::new("saf-undeployed");
    world.commit("whole, and nobody looks", &[("environment.yaml", &world.environment(""))]);
    let commit = world.commit("broken", &[("environment.yaml", "apiVersion: tidegate.dev/v1\nkind: [\n")]);
    let _daemon = world.daemon();
    let entry = eventually("it is named", || named(&world, "saf-undeployed").ok_or("not yet".to_owned()));
    assert_eq!(entry["seen"]["id"], commit.as_str(), "{entry:#}");
    assert_eq!(entry["problems"]["items"][0]["code"], "E0101", "{entry:#}");
    throughout(Duration::from_secs(5), "it stays named", || named(&world, "saf-undeployed").is_some());
    let shown = world.tidegate(&["status", "saf-undeployed"]);
    assert!(shown.stdout.contains("saf-undeployed: its file cannot be read"), "{}", shown.stdout);
    let commit = world.commit("mended", &[("environment.yaml", &world.environment(""))]);
    world.wait_for("live", &commit);
    eventually("it is not named any more", || check(named(&world, "saf-undeployed").is_none(), "it is"));
}
