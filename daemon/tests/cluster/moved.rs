//! An environment that git points to another cluster: what it left is said where it is, and stays.

use std::time::Duration;

use crate::scene::{kubeconfig_to, place, problem, record, throughout};
use crate::support::{World, config_map};

#[test]
fn what_a_moved_environment_leaves_is_said_in_the_old_cluster_and_stays() {
    let world = World::new("saf-moved");
    let environment = world.environment("");
    let first =
        world.commit("here", &[("environment.yaml", &environment), ("c.yaml", &config_map("c", "k", "v"))]);
    let mut daemon = world.daemon();
    world.wait_for("live", &first);
    let uid = world.kube.field("configmap", "saf-moved", "c", "/metadata/uid");
    let folder = tempfile::tempdir().unwrap();
    let away = kubeconfig_to(folder.path(), 1);
    let there = environment.replace("kubeconfig: {}", &format!("kubeconfig: {{path: {}}}", away.display()));
    // A neighbour keeps the daemon talking to the old cluster after a restart.
    world.repo.write(
        "environments/saf-moved-b/environment.yaml",
        &crate::support::environment("saf-moved-b", "saf-moved-b", ""),
    );
    world.commit("there", &[("environment.yaml", &there)]);
    let said = |what: &str| {
        record(&world, "saf-moved", what, |status| status["reason"].to_string().contains("moved to"))
    };
    let status = said("it is said");
    assert_eq!(status["state"], "failed", "{status:#}");
    let moved = problem(&status, "E0505");
    assert_eq!(place(&moved), "environments/saf-moved/environment.yaml:5:3", "{moved:#}");
    assert!(moved["help"].as_str().unwrap().contains("decommission: true"), "{moved:#}");
    throughout(Duration::from_secs(2), "it stays", || {
        world.kube.field("configmap", "saf-moved", "c", "/metadata/uid") == uid
    });
    assert!(daemon.log().contains("E0505"), "{}", daemon.log());
    daemon.kill();
    let blank = r#"{"data":{"status.json":"{}"}}"#;
    world.kube.must(&[
        "patch",
        "configmap",
        "tidegate-saf-moved",
        "-n",
        "tidegate-system",
        "--type=merge",
        "-p",
        blank,
    ]);
    daemon.restart();
    let before = daemon.log().matches("E0505").count();
    crate::support::eventually("also after a restart", || {
        crate::support::check(daemon.log().matches("E0505").count() > before, "not yet")
    });
    let back = world.commit("back", &[("environment.yaml", &environment)]);
    let status = world.wait_for("live", &back);
    assert_eq!(status["problems"]["total"], 0, "{status:#}");
    assert_eq!(world.kube.field("configmap", "saf-moved", "c", "/metadata/uid"), uid);
}
