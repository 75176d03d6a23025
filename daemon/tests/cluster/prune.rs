//! What leaves git leaves the cluster: within a budget, never what somebody wants kept, and never by accident.

use std::time::Duration;

use crate::scene::{
    allow, bare_environment, deny, gone, marked_config_map, parent_annotation, problem, reason_of, record,
    throughout,
};
use crate::support::{Kube, World, check, config_map, eventually};

fn twelve(world: &World, environment: &str) -> String {
    let files: Vec<(String, String)> =
        (0..12).map(|n| (format!("c{n:02}.yaml"), config_map(&format!("c{n:02}"), "k", "v"))).collect();
    let mut files: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    files.push(("environment.yaml", environment));
    world.commit("twelve", &files)
}

#[test]
fn a_prune_beyond_its_budget_deletes_nothing_and_asks() {
    let world = World::new("saf-budget");
    let commit = twelve(&world, &world.environment(""));
    let mut daemon = world.daemon();
    world.wait_for("live", &commit);
    for n in 0..5 {
        world.repo.remove(&format!("environments/saf-budget/c{n:02}.yaml"));
    }
    let commit = world.repo.commit("five fewer");
    let status = record(&world, "saf-budget", "it asks", |status| {
        status["seen"]["id"] == commit.as_str() && status["state"] == "failed"
    });
    let asks = problem(&status, "E0405");
    assert!(asks["message"].as_str().unwrap().starts_with("5 of 13 objects left git"), "{asks:#}");
    assert!(asks["help"].as_str().unwrap().contains("prune.budget"), "{asks:#}");
    let count =
        || world.kube.must(&["get", "configmap", "-n", "saf-budget", "-o", "name"]).matches("/c").count();
    throughout(Duration::from_secs(2), "all twelve stay", || count() == 12);
    daemon.kill();
    daemon.restart();
    throughout(Duration::from_secs(4), "also after a restart", || count() == 12);

    let raised = bare_environment(
        "saf-budget",
        "saf-budget",
        "  createNamespaces: true\n  prune: {budget: {max: 10, percent: 50}, allow: [Namespace]}\n",
    );
    let commit = world.commit("allowed", &[("environment.yaml", &raised)]);
    world.wait_for("live", &commit);
    assert_eq!(count(), 7);
}

#[test]
fn what_is_marked_to_be_kept_stays_and_the_environment_is_live_all_the_same() {
    let world = World::new("saf-keep");
    let keep = marked_config_map("keep", "  annotations: {tidegate.dev/prune: disabled}\n");
    let commit = world.commit(
        "two",
        &[
            ("environment.yaml", &world.environment("")),
            ("keep.yaml", &keep),
            ("go.yaml", &config_map("go", "k", "v")),
            ("stay.yaml", &config_map("stay", "k", "v")),
        ],
    );
    let _daemon = world.daemon();
    world.wait_for("live", &commit);
    world.repo.remove("environments/saf-keep/keep.yaml");
    world.repo.remove("environments/saf-keep/go.yaml");
    let commit = world.repo.commit("without them");
    let status = world.wait_for("live", &commit);
    gone(&world, "configmap", "saf-keep", "go");
    let kept = reason_of(&status, "ConfigMap", "keep");
    assert!(kept.contains("tidegate.dev/prune: disabled"), "{status:#}");
    assert!(world.kube.get("configmap", "saf-keep", "keep").is_some());
    assert_eq!(parent_annotation(&world, "saf-keep", "tidegate.dev/applied"), commit, "it is applied whole");
    assert_eq!(world.tidegate(&["wait", "saf-keep", "--timeout", "5s"]).code, 0);
}

#[test]
fn a_namespace_or_a_claim_is_deleted_only_where_that_is_allowed() {
    let world = World::new("saf-guarded");
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: disk}\nspec:\n  accessModes: [ReadWriteOnce]\n  storageClassName: none\n  resources: {requests: {storage: 1Gi}}\n";
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: saf-guarded-b}\n";
    let environment = |allow: &str| {
        let further = format!(
            "  createNamespaces: true\n  clusterScoped: [Namespace]\n  prune: {{allow: [{allow}]}}\n"
        );
        let listed = if allow.is_empty() { "saf-guarded, saf-guarded-b" } else { "saf-guarded" };
        bare_environment("saf-guarded", listed, &further)
    };
    let commit = world.commit(
        "guarded",
        &[
            ("environment.yaml", &environment("")),
            ("disk.yaml", claim),
            ("space.yaml", namespace),
            ("stay.yaml", &config_map("stay", "k", "v")),
        ],
    );
    let _daemon = world.daemon();
    record(&world, "saf-guarded", "applied", |status| status["applied"]["id"] == commit.as_str());
    world.repo.remove("environments/saf-guarded/disk.yaml");
    world.repo.remove("environments/saf-guarded/space.yaml");
    world
        .repo
        .write("environments/saf-guarded/environment.yaml", &environment("").replace(", saf-guarded-b", ""));
    let commit = world.repo.commit("without them");
    let status = world.wait_for("live", &commit);
    for (kind, name) in [("PersistentVolumeClaim", "disk"), ("Namespace", "saf-guarded-b")] {
        assert!(reason_of(&status, kind, name).contains("prune.allow"), "{status:#}");
    }
    throughout(Duration::from_secs(1), "both stay", || {
        world.kube.get("pvc", "saf-guarded", "disk").is_some()
            && world.kube.field("namespace", "default", "saf-guarded-b", "/status/phase") == "Active"
    });
    let commit =
        world.commit("allowed", &[("environment.yaml", &environment("Namespace, PersistentVolumeClaim"))]);
    record(&world, "saf-guarded", "live again", |status| {
        status["seen"]["id"] == commit.as_str() && status["state"] == "live"
    });
    gone(&world, "pvc", "saf-guarded", "disk");
    gone(&world, "namespace", "default", "saf-guarded-b");
}

#[test]
fn an_environment_that_leaves_git_is_left_as_it_is_and_said_to_be_missing() {
    let world = World::new("saf-missing");
    let files = [("environment.yaml", world.environment("")), ("a.yaml", config_map("a", "k", "v"))];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let commit = world.commit("there", &files);
    let mut daemon = world.daemon();
    world.wait_for("live", &commit);
    let uid = world.kube.field("configmap", "saf-missing", "a", "/metadata/uid");
    let missing = |what: &str| {
        let status = record(&world, "saf-missing", what, |status| {
            status["problems"]["items"].to_string().contains("E0504")
        });
        assert_eq!(status["state"], "failed", "{status:#}");
        let gone = problem(&status, "E0504");
        assert!(gone["message"].as_str().unwrap().contains("nothing is deleted"), "{gone:#}");
        throughout(Duration::from_secs(1), "it stays", || {
            world.kube.field("configmap", "saf-missing", "a", "/metadata/uid") == uid
        });
    };
    world.repo.remove("environments/saf-missing/environment.yaml");
    world.repo.commit("without its file");
    missing("the file is missing");
    let commit = world.commit("back", &files);
    let status = world.wait_for("live", &commit);
    assert_eq!(status["problems"]["total"], 0, "{status:#}");
    world.repo.remove("environments/saf-missing");
    world.repo.write("environments/readme.md", "empty\n");
    world.repo.commit("without its folder");
    missing("the folder is missing");
    daemon.kill();
    daemon.restart();
    missing("also after a restart");
    let commit = world.commit("back again", &files);
    world.wait_for("live", &commit);
    assert_eq!(world.kube.field("configmap", "saf-missing", "a", "/metadata/uid"), uid);
}

#[test]
fn an_environment_that_is_decommissioned_leaves_nothing() {
    let world = World::new("saf-decom");
    let commit = twelve(&world, &world.environment(""));
    let daemon = world.daemon();
    world.wait_for("live", &commit);
    let commit = world.commit("down", &[("environment.yaml", &world.environment("  decommission: true\n"))]);
    gone(&world, "namespace", "default", "saf-decom");
    gone(&world, "configmap", "tidegate-system", "tidegate-saf-decom");
    let shards = world.kube.must(&[
        "get",
        "configmap",
        "-n",
        "tidegate-system",
        "-l",
        "tidegate.dev/inventory-of=saf-decom",
        "-o",
        "name",
    ]);
    assert_eq!(shards, "", "at {commit}");
    eventually("the log says so", || check(daemon.log().contains("taken down"), "not yet"));
    // A folder that leaves git afterwards is nothing to complain about.
    world.repo.remove("environments/saf-decom");
    world.repo.write("environments/readme.md", "empty\n");
    world.repo.commit("away");
    throughout(Duration::from_secs(1), "no parent comes back", || {
        world.kube.get("configmap", "tidegate-system", "tidegate-saf-decom").is_none()
    });
    assert!(!daemon.log().contains("E0504"), "{}", daemon.log());
}

#[test]
fn an_object_that_a_finalizer_holds_is_reported_until_it_is_gone() {
    // A run that was cut short leaves the finalizer, and with it the namespace.
    let free = r#"{"metadata":{"finalizers":null}}"#;
    let release = ["patch", "configmap", "held", "-n", "saf-stuck", "--type=merge", "-p", free];
    let _ = Kube::connect().run(&release);
    let world = World::new("saf-stuck");
    let held = marked_config_map("held", "  finalizers: [example.com/hold]\n");
    let commit = world.commit(
        "held",
        &[
            ("environment.yaml", &world.environment("")),
            ("held.yaml", &held),
            ("stay.yaml", &config_map("stay", "k", "v")),
        ],
    );
    let mut daemon = world.daemon();
    world.wait_for("live", &commit);
    world.repo.remove("environments/saf-stuck/held.yaml");
    let commit = world.repo.commit("without it");
    let reported = |status: &serde_json::Value| {
        reason_of(status, "ConfigMap", "held").contains("example.com/hold")
            && status["seen"]["id"] == commit.as_str()
    };
    let status = record(&world, "saf-stuck", "the finalizer is named", reported);
    assert_eq!(status["state"], "waiting", "{status:#}");
    daemon.kill();
    daemon.restart();
    std::thread::sleep(Duration::from_secs(2));
    record(&world, "saf-stuck", "still so after a restart", reported);
    world.kube.must(&release);
    world.wait_for("live", &commit);
    gone(&world, "configmap", "saf-stuck", "held");
}

#[test]
fn a_delete_that_was_refused_is_remembered_and_tried_again() {
    let world = World::new("saf-undel");
    world.kube.must(&["create", "namespace", "saf-undel"]);
    let commit = world.commit(
        "two",
        &[
            ("environment.yaml", &world.environment("")),
            ("a.yaml", &config_map("a", "k", "v")),
            ("b.yaml", &config_map("b", "k", "v")),
        ],
    );
    let mut daemon = world.daemon();
    world.wait_for("live", &commit);
    deny(&world, "saf-undel", "DELETE", "oldObject.metadata.name != 'b'", "b is precious");
    eventually("the policy is in force", || {
        let tried = world.kube.run(&["delete", "configmap", "b", "-n", "saf-undel", "--dry-run=server"]);
        check(tried.is_err(), "not yet")
    });
    world.repo.remove("environments/saf-undel/b.yaml");
    let commit = world.repo.commit("without b");
    let refused = |status: &serde_json::Value| {
        status["seen"]["id"] == commit.as_str()
            && status["problems"]["items"].to_string().contains("b is precious")
    };
    let status = record(&world, "saf-undel", "the refusal is quoted", refused);
    assert_eq!(status["state"], "failed", "{status:#}");
    daemon.kill();
    daemon.restart();
    allow(&world, "saf-undel");
    std::thread::sleep(Duration::from_secs(1));
    eventually("b is gone at last", || {
        world.tidegate(&["sync", "saf-undel"]);
        std::thread::sleep(Duration::from_secs(1));
        check(world.kube.get("configmap", "saf-undel", "b").is_none(), "it is there")
    });
    world.wait_for("live", &commit);
}

#[test]
fn an_environment_that_is_decommissioned_keeps_what_may_not_be_deleted_and_ends() {
    let world = World::new("saf-down-kept");
    let environment = world.environment("").replace(", allow: [Namespace]", "");
    let files = [("environment.yaml", environment.as_str()), ("a.yaml", &config_map("a", "k", "v"))];
    let commit = world.commit("up", &files);
    let _daemon = world.daemon();
    world.wait_for("live", &commit);
    world.commit("down", &[("environment.yaml", &format!("{environment}  decommission: true\n"))]);
    eventually("the parent is gone", || {
        let parent = world.kube.get("configmap", "tidegate-system", "tidegate-saf-down-kept");
        check(parent.is_none(), format!("{:#}", world.status()))
    });
    assert!(world.kube.get("configmap", "saf-down-kept", "a").is_none());
    assert_eq!(world.kube.field("namespace", "", "saf-down-kept", "/status/phase"), "Active");
}

#[test]
fn a_refused_delete_that_somebody_else_does_holds_up_nothing() {
    let world = World::new("saf-undone");
    world.kube.must(&["create", "namespace", "saf-undone"]);
    let environment = world.environment("");
    let files = [("environment.yaml", environment.as_str()), ("b.yaml", &config_map("b", "k", "v"))];
    let commit = world.commit("up", &files);
    let daemon = world.daemon();
    world.wait_for("live", &commit);
    deny(&world, "saf-undone", "DELETE", "oldObject.metadata.name != 'b'", "b is precious");
    eventually("the policy is in force", || {
        let tried = world.kube.run(&["delete", "configmap", "b", "-n", "saf-undone", "--dry-run=server"]);
        check(tried.is_err(), "not yet")
    });
    world.commit("down", &[("environment.yaml", &world.environment("  decommission: true\n"))]);
    eventually("the delete is refused", || check(daemon.log().contains("b is precious"), "not yet"));
    allow(&world, "saf-undone");
    eventually("somebody deletes it", || {
        world.kube.run(&["delete", "configmap", "b", "-n", "saf-undone", "--ignore-not-found"]).map(drop)
    });
    gone(&world, "configmap", "tidegate-system", "tidegate-saf-undone");
}

#[test]
fn a_folder_that_goes_before_anything_was_applied_leaves_no_trace() {
    let world = World::new("saf-never");
    let broken = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: [1]\n";
    let commit = world.commit("broken", &[("environment.yaml", &world.environment("")), ("c.yaml", broken)]);
    let mut daemon = world.daemon();
    world.wait_for("failed", &commit);
    world.repo.remove("environments/saf-never");
    world.repo.write("environments/readme.md", "empty\n");
    world.repo.commit("away");
    gone(&world, "configmap", "tidegate-system", "tidegate-saf-never");
    daemon.kill();
    daemon.restart();
    throughout(Duration::from_secs(2), "it stays away", || {
        world.kube.get("configmap", "tidegate-system", "tidegate-saf-never").is_none()
    });
}
