//! The inner loop: a file that is saved is live, a push is live, without waiting for a poll.

use std::time::{Duration, Instant};

use crate::support::{Daemon, World, check, config_map, eventually};

fn live_within(world: &World, limit: Duration, value: &str, change: impl FnOnce()) {
    let start = Instant::now();
    change();
    eventually("it is live", || {
        let live = world.kube.field("configmap", &world.name, "c", "/data/k");
        check(live == value, format!("{live}"))
    });
    assert!(start.elapsed() < limit, "{value}: {:?}", start.elapsed());
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
    for value in ["two", "three", "four"] {
        live_within(&world, Duration::from_secs(2), value, || save(value));
    }
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
    live_within(&world, Duration::from_secs(2), "five", || save("five"));
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
    for value in ["two", "three", "four"] {
        live_within(&world, Duration::from_secs(3), value, || {
            world.commit(value, &[("c.yaml", &config_map("c", "k", value))]);
        });
    }
}
