//! A commit becomes a converged cluster.

use crate::support::{World, config_map, deployment, eventually};

#[test]
fn a_commit_is_live_within_seconds_and_the_next_one_too() {
    let world = World::new("converge");
    let first = world.commit(
        "first",
        &[
            ("environment.yaml", &world.environment("")),
            ("settings.yaml", &config_map("settings", "colour", "blue")),
            ("web.yaml", &deployment("web", 1, "")),
        ],
    );
    let _daemon = world.daemon();
    let status = world.wait_for("live", &first);
    assert_eq!(status["counts"]["objects"], 3, "{status:#}");
    assert_eq!(world.kube.field("configmap", "converge", "settings", "/data/colour"), "blue");

    let second = world.commit("second", &[("settings.yaml", &config_map("settings", "colour", "green"))]);
    world.wait_for("live", &second);
    assert_eq!(world.kube.field("configmap", "converge", "settings", "/data/colour"), "green");
}

#[test]
fn an_object_that_leaves_git_is_pruned_and_nothing_else() {
    let world = World::new("prune");
    world.commit(
        "two",
        &[
            ("environment.yaml", &world.environment("")),
            ("a.yaml", &config_map("a", "k", "v")),
            ("b.yaml", &config_map("b", "k", "v")),
        ],
    );
    let _daemon = world.daemon();
    world.wait_for("live", &world.repo.head());
    world.kube.apply("prune", &config_map("by-hand", "k", "v"));
    world.repo.remove("environments/prune/b.yaml");
    let commit = world.repo.commit("without b");
    world.wait_for("live", &commit);
    eventually("b is gone", || match world.kube.get("configmap", "prune", "b") {
        None => Ok(()),
        Some(_) => Err("it is there".to_owned()),
    });
    assert!(world.kube.get("configmap", "prune", "a").is_some());
    assert!(world.kube.get("configmap", "prune", "by-hand").is_some());
}
