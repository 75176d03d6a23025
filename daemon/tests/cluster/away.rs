//! A repository with environments on two clusters, one of which is out of reach: commands show the other one.

use crate::scene::kubeconfig_to;
use crate::support::{Output, World, config_map};

/// The world's own environment, and one whose cluster is an address where nobody listens.
fn with_a_far_one(world: &World, folder: &std::path::Path) -> String {
    let name = &world.name;
    let far = format!(
        "apiVersion: tidegate.dev/v1\nkind: Environment\nmetadata: {{name: {name}-far}}\nspec:\n  cluster: {{kubeconfig: {{path: \
         {}}}}}\n  namespaces: [{name}-far]\n",
        kubeconfig_to(folder, 1).display()
    );
    world.repo.write(&format!("environments/{name}-far/environment.yaml"), &far);
    world.repo.write(&format!("environments/{name}-far/c.yaml"), &config_map("c", "k", "far"));
    let near = config_map("c", "k", "near");
    world.commit("two clusters", &[("environment.yaml", &world.environment("")), ("c.yaml", &near)])
}

fn complains_of_the_far_one(output: &Output) {
    let Output { code, stdout, stderr } = output;
    assert_eq!(*code, 5, "{stdout}{stderr}");
    assert!(stderr.contains("beyond-far") && stderr.contains("out of reach"), "{stdout}{stderr}");
}

#[test]
fn a_cluster_out_of_reach_is_named_and_the_others_are_shown() {
    let world = World::new("beyond");
    let folder = tempfile::tempdir().unwrap();
    let commit = with_a_far_one(&world, folder.path());
    let _daemon = world.daemon();
    world.wait_for("live", &commit);
    let repo = world.repo.url();
    let tidegate = |arguments: &[&str]| world.tidegate(&[&["--repo", repo.as_str()], arguments].concat());

    let status = tidegate(&["status"]);
    complains_of_the_far_one(&status);
    let line = status.stdout.lines().find(|line| line.starts_with("beyond ")).expect("the near one");
    assert!(line.contains("live"), "{line}");
    let json = tidegate(&["status", "-o", "json"]).json();
    assert_eq!(json["unreachable"][0]["environments"][0], "beyond-far", "{json:#}");
    assert!(json["unreachable"][0]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{json:#}");
    let one = tidegate(&["status", "beyond"]);
    assert!(
        one.code == 0 && one.stderr.is_empty(),
        "what was asked for is there: {}{}",
        one.stdout,
        one.stderr
    );
    complains_of_the_far_one(&tidegate(&["status", "beyond-far"]));

    let diff = tidegate(&["diff", "--exit-code"]);
    complains_of_the_far_one(&diff);
    assert!(diff.stdout.contains("beyond: no changes"), "{}", diff.stdout);
    let json = tidegate(&["diff", "-o", "json"]).json();
    assert_eq!(json["environments"][0]["name"], "beyond", "{json:#}");
    assert_eq!(json["notCompared"][0]["name"], "beyond-far", "{json:#}");
    assert_eq!(json["notCompared"][0]["exit"], 5, "{json:#}");

    assert_eq!(tidegate(&["wait", &commit, "--env", "beyond", "--timeout", "20s"]).code, 0);
    let both = tidegate(&["wait", &commit, "--timeout", "4s"]);
    complains_of_the_far_one(&both);
    assert!(both.stdout.contains("beyond: live"), "{}", both.stdout);
    assert!(both.stdout.contains("beyond-far: not live: its cluster is out of reach"), "{}", both.stdout);

    let sync = tidegate(&["sync"]);
    complains_of_the_far_one(&sync);
    assert!(sync.stdout.contains("beyond"), "{}", sync.stdout);
    let suspended = tidegate(&["suspend", "beyond", "--reason", "test"]);
    assert_eq!(suspended.code, 0, "{}{}", suspended.stdout, suspended.stderr);
    complains_of_the_far_one(&tidegate(&["suspend", "beyond-far", "--reason", "test"]));
}
