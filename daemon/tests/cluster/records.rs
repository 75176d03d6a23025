//! What Tidegate keeps in a cluster when it is written by several at once, or hardly at all: nobody's word is lost, and
//! nobody takes what is another's.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate::cluster::parent::{Parents, SHARDS};
use tidegate::cluster::shards::StoredShards;
use tidegate_core::inventory::Inventory;
use tidegate_core::object::{Gvk, ObjectRef};

use crate::scene::{parent_annotation, problem, record, throughout};
use crate::support::{
    Daemon, Fault, FaultProxy, Kube, Repo, World, check, client, config_map, environment, eventually,
    runtime, tidegate,
};

fn one(world: &World) -> String {
    world.commit(
        "one",
        &[("environment.yaml", &world.environment("")), ("c.yaml", &config_map("c", "k", "git"))],
    )
}

fn parent(world: &World) -> String {
    format!("tidegate-{}", world.name)
}

#[test]
fn passes_that_fail_because_the_api_server_is_sick_are_called_unreachable_and_wait_goes_on() {
    let world = World::new("rec-sick");
    let commit = one(&world);
    let mut daemon = world.daemon();
    world.wait_for("live", &commit);
    daemon.kill();
    let proxy = FaultProxy::start(&world.kube.kubeconfig());
    // The inventory cannot be read, so that no pass gets anywhere; the record can be written.
    let shards = "inventory-of";
    proxy.script(move |call| if call.query.contains(shards) { Fault::Status(500) } else { Fault::Pass });
    let daemon = Daemon::start(&world.repo.url(), &proxy.kubeconfig(), &[]);
    let status = record(&world, &world.name, "it is said", |status| status["state"] == "unreachable");
    assert!(
        problem(&status, "E0503")["message"].as_str().unwrap().contains("the API server failed"),
        "{status:#}"
    );
    assert_eq!(status["applied"]["id"], commit.as_str(), "{status:#}");
    let waited = world.tidegate(&["wait", &world.name, "--for", "live", "--timeout", "1s"]);
    assert_eq!(waited.code, 5, "{}{}", waited.stdout, waited.stderr);
    proxy.pass();
    let waited = world.tidegate(&["wait", &world.name, "--for", "live", "--timeout", "60s"]);
    assert_eq!(waited.code, 0, "{}{}\n{}", waited.stdout, waited.stderr, daemon.log());
}

/// An inventory of these ConfigMaps.
fn inventory(names: &[&str]) -> Inventory {
    let mut inventory = Inventory::default();
    for name in names {
        inventory.record_pending(&ObjectRef {
            gvk: Gvk { group: String::new(), version: "v1".to_owned(), kind: "ConfigMap".to_owned() },
            namespace: Some("n".to_owned()),
            name: (*name).to_owned(),
        });
    }
    inventory
}

#[test]
fn a_parent_that_is_made_again_keeps_what_another_replica_has_noted_on_it_already() {
    let world = World::new("rec-again");
    let name = world.name.parse().unwrap();
    let client = client(&world.kube.kubeconfig());
    runtime().block_on(async {
        let parents = Parents::new(client);
        parents.ensure_namespace().await.unwrap();
        let mut lost =
            parents.create(&name, &BTreeMap::from([(SHARDS.to_owned(), "1".to_owned())])).await.unwrap();
        parents.write_inventory(&lost, &mut StoredShards::default(), &inventory(&["a"])).await.unwrap();
        lost = parents.read(&name).await.unwrap().unwrap();
        // Its shard still stands, as until the garbage collector comes, and is written over.
        world.kube.must(&[
            "delete",
            "configmap",
            &parent(&world),
            "-n",
            "tidegate-system",
            "--cascade=orphan",
        ]);
        let made = parents.create_again(&lost, &inventory(&["a", "b"])).await.unwrap();
        parents.write_again(&made, &inventory(&["a", "b"])).await.unwrap();
        let (kept, mut stored) = parents.read_inventory(&made).await.unwrap();
        assert_eq!(kept, inventory(&["a", "b"]));
        // Another replica finds the new parent and works on it, before this one has looked again.
        let theirs = inventory(&["a", "b", "c"]);
        parents.write_inventory(&made, &mut stored, &theirs).await.unwrap();
        parents.write_again(&made, &inventory(&["a", "b"])).await.unwrap();
        let now = parents.read(&name).await.unwrap().unwrap();
        let (kept, _) = parents.read_inventory(&now).await.unwrap();
        assert_eq!(kept, theirs, "what the other one noted is still there");
    });
}

#[test]
fn a_parent_that_another_repository_made_in_the_same_moment_is_left_to_it() {
    let world = World::new("rec-first");
    let other = "rec-first-o";
    let theirs = Repo::new();
    theirs.write(&format!("environments/{other}/environment.yaml"), &environment(other, other, ""));
    let commit = theirs.commit("theirs");
    let neighbour = Daemon::start(&theirs.url(), &world.kube.kubeconfig(), &[]);
    world.wait_for_environment(other, "live", &commit);
    let source = parent_annotation(&world, other, "tidegate.dev/source");
    // Its Lease is alive for 15 s more; awake, it would find a parent that its git does not name, and take it down.
    neighbour.signal("-STOP");

    one(&world);
    let proxy = FaultProxy::start(&world.kube.kubeconfig());
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": parent(&world), "labels": { "tidegate.dev/parent-of": world.name },
            "annotations": { "tidegate.dev/source": source },
        },
    });
    let path = format!("\"{}\"", parent(&world));
    proxy.script(move |call| {
        if call.method == "POST" && call.path.ends_with("/configmaps") && call.body.contains(&path) {
            // Theirs comes first; ours is answered by a conflict. Made once.
            let _ = Kube::connect()
                .run_with(&["create", "-n", "tidegate-system", "-f", "-"], &object.to_string());
        }
        Fault::Pass
    });
    let daemon = Daemon::start(&world.repo.url(), &proxy.kubeconfig(), &[]);
    eventually("it is said", || check(daemon.log().contains("follows another repository"), daemon.log()));
    let seen = || parent_annotation(&world, &world.name, "tidegate.dev/seen");
    throughout(Duration::from_secs(2), "it is not claimed", || seen().is_empty());
    assert_eq!(parent_annotation(&world, &world.name, "tidegate.dev/source"), source);
    neighbour.signal("-CONT");
}

#[test]
fn what_left_git_and_was_taken_over_by_another_repository_is_neither_recorded_nor_taken_down() {
    let world = World::new("rec-left");
    one(&world);
    let neighbour = "environments/rec-left-b/environment.yaml";
    world.repo.write(neighbour, &environment("rec-left-b", "rec-left-b", ""));
    let commit = world.repo.commit("a neighbour");
    let _daemon = world.daemon();
    world.wait_for("live", &commit);
    world.repo.remove("environments/rec-left");
    world.repo.commit("gone");
    record(&world, &world.name, "it is said to be gone", |status| {
        status["problems"]["items"].to_string().contains("gone from git")
    });
    let patch = json!({
        "metadata": { "annotations": { "tidegate.dev/source": "0123456789ab" } },
        "data": { "status.json": "" },
    });
    let name = parent(&world);
    let system = "tidegate-system";
    world.kube.must(&["patch", "configmap", &name, "-n", system, "--type=merge", "-p", &patch.to_string()]);
    let status = || world.kube.field("configmap", system, &name, "/data/status.json");
    throughout(Duration::from_secs(3), "it is left alone", || status() == "");
    // Without an inventory it would be forgotten, were it ours.
    let shard = format!("{name}-inventory-1-0");
    world.kube.must(&["delete", "configmap", &shard, "-n", system]);
    let none = json!({ "metadata": { "annotations": { "tidegate.dev/inventory-shards": null } } });
    world.kube.must(&["patch", "configmap", &name, "-n", system, "--type=merge", "-p", &none.to_string()]);
    assert_eq!(world.tidegate(&["sync", &world.name]).code, 0);
    throughout(Duration::from_secs(3), "it is there", || status() == "");
    let object = world.kube.get("configmap", &world.name, "c");
    assert!(object.is_some(), "what it owned is there");
}

#[test]
fn resume_lifts_the_suspension_that_it_was_told_of_and_no_newer_one() {
    let world = World::new("rec-resume");
    let commit = one(&world);
    let _daemon = world.daemon();
    world.wait_for("live", &commit);
    assert_eq!(world.tidegate(&["suspend", &world.name, "--reason", "the first incident"]).code, 0);
    record(&world, &world.name, "suspended", |status| status["state"] == "suspended");
    let newer: Value =
        json!({ "reason": "the second incident", "by": "Grace", "since": "2026-11-21T10:00:00Z" });
    let proxy = FaultProxy::start(&world.kube.kubeconfig());
    let name = parent(&world);
    proxy.script(move |call| {
        if call.method == "PATCH" && call.path.ends_with(&name) {
            let note = format!("tidegate.dev/suspend={newer}");
            let arguments = ["annotate", "configmap", &name, "-n", "tidegate-system", "--overwrite", &note];
            Kube::connect().must(&arguments);
        }
        Fault::Pass
    });
    let resumed = tidegate(&proxy.kubeconfig(), &["resume", &world.name, "--reason", "over"]);
    assert_eq!(resumed.code, 6, "{}{}", resumed.stdout, resumed.stderr);
    assert!(
        resumed.stderr.contains("meanwhile it was suspended anew by Grace: the second incident"),
        "{}",
        resumed.stderr
    );
    let suspension = parent_annotation(&world, &world.name, "tidegate.dev/suspend");
    assert!(suspension.contains("the second incident"), "{suspension}");
    let resumed = world.tidegate(&["resume", &world.name, "--reason", "over"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    world.wait_for("live", &commit);
}
