//! The inner loop: a file that is saved is live, a push is live, without waiting for a poll.

use std::time::{Duration, Instant};

use crate::support::{Daemon, World, check, config_map, eventually};

/// How long it takes from a change to its value in the cluster.
fn measure(world: &World, value: &str, change: impl FnOnce()) -> Duration {
    let start = Instant::now();
    change();
    eventually("it is live", || {
        let live = world.kube.field("configmap", &world.name, "c", "/data/k");
        check(live == value, format!("{live}"))
    });
    start.elapsed()
}

/// The best of several rounds is within the limit: others work on this machine as well, and a poll would be in none of them.
fn assert_within(limit: Duration, spans: &[Duration]) {
    assert!(spans.iter().min().is_some_and(|best| *best < limit), "{spans:?}");
}

#[test]
fn a_saved_file_is_live_within_two_seconds() {
    let world = World::new("saf-follow");
    let save = |value: &str| world.repo.write("environments/saf-follow/c.yaml", &config_map("c", "k", value));
    world.repo.write("environments/saf-follow/environment.yaml", &world.environment(""));
    save("one");
    let work = world.repo.work().display().to_string();
    let daemon = Daemon::start("", &world.kube.kubeconfig(), &["--follow", &work]);
    eventually("live", || check(world.status()["state"] == "live", format!("{:#}", world.status())));
    let spans = ["two", "three", "four"].map(|value| measure(&world, value, || save(value)));
    assert_within(Duration::from_secs(2), &spans);
    let status = eventually("recorded", || {
        let status = world.status();
        check(status["state"] == "live", format!("{status:#}"))?;
        Ok(status)
    });
    assert!(status["seen"]["id"].as_str().unwrap().starts_with("uncommitted-"), "{status:#}");
    // A file that is half written is an error for as long as it is, and nothing is pruned by it.
    world.repo.write("environments/saf-follow/c.yaml", "apiVersion: v1\nkind: Config");
    eventually("failed", || check(world.status()["state"] == "failed", format!("{:#}", world.status())));
    assert_eq!(world.kube.field("configmap", "saf-follow", "c", "/data/k"), "four");
    measure(&world, "five", || save("five"));
    drop(daemon);
}

#[test]
fn a_push_to_a_local_repository_is_live_without_waiting_for_the_poll() {
    let world = World::new("saf-push");
    let first = world.commit(
        "one",
        &[("environment.yaml", &world.environment("")), ("c.yaml", &config_map("c", "k", "one"))],
    );
    let _daemon = world.daemon_with(&["--poll-interval", "10m"]);
    world.wait_for("live", &first);
    let spans = ["two", "three", "four"].map(|value| {
        measure(&world, value, || drop(world.commit(value, &[("c.yaml", &config_map("c", "k", value))])))
    });
    assert_within(Duration::from_secs(3), &spans);
}
