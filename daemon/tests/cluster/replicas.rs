//! Two daemons on one repository: one works on an environment, the other takes over, and nothing goes backwards.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::scene::{field_is, parent_annotation, throughout, uids};
use crate::support::{Daemon, World, check, config_map, eventually, within};

const SEEN: &str = "tidegate.dev/seen";

fn replica(world: &World, name: &str) -> Daemon {
    world.daemon_with(&["--replica", name])
}

fn value(world: &World, value: &str) -> String {
    world.commit(
        value,
        &[("environment.yaml", &world.environment("")), ("c.yaml", &config_map("c", "k", value))],
    )
}

/// Two daemons of which the first answer is the one that works on the environment.
fn pair(world: &World) -> (Daemon, Daemon) {
    let commit = value(world, "one");
    let (a, b) = (format!("{}-a", world.name), format!("{}-b", world.name));
    let (first, second) = (replica(world, &a), replica(world, &b));
    world.wait_for("live", &commit);
    // Both have looked at each other once their Leases are renewed; the record says who works.
    let both = || world.kube.must(&["get", "lease", "-n", "tidegate-system", "-o", "name"]);
    eventually("both have a Lease", || check(both().contains(&a) && both().contains(&b), both()));
    std::thread::sleep(Duration::from_secs(6));
    let commit = value(world, "two");
    let status = world.wait_for("live", &commit);
    if status["replica"] == a.as_str() { (first, second) } else { (second, first) }
}

#[test]
fn when_one_is_killed_the_other_takes_over() {
    let world = World::new("saf-takeover");
    let (mut owner, other) = pair(&world);
    owner.kill();
    let killed = Instant::now();
    let commit = value(&world, "three");
    within(Duration::from_secs(30), "the other applies it", || {
        let status = world.status();
        check(status["state"] == "live" && status["seen"]["id"] == commit.as_str(), format!("{status:#}"))
    });
    let span = killed.elapsed();
    assert!(span < Duration::from_secs(26), "{span:?}\n{}", other.log());
}

#[test]
fn when_one_is_ended_the_other_takes_over_at_once() {
    let world = World::new("saf-handover");
    let (mut owner, other) = pair(&world);
    let (span, code) = owner.terminate();
    assert!(span < Duration::from_secs(5) && code == 0, "{span:?} {code}");
    let ended = Instant::now();
    let commit = value(&world, "three");
    world.wait_for("live", &commit);
    let span = ended.elapsed();
    // Not by the age of its Lease, which would take 15 s.
    assert!(span < Duration::from_secs(13), "{span:?}\n{}", other.log());
}

#[test]
fn while_both_are_killed_at_random_and_commits_flow_nothing_goes_backwards_or_is_lost() {
    let world = World::new("saf-twin");
    let commit = value(&world, "start");
    let mut daemons = [replica(&world, "saf-twin-a"), replica(&world, "saf-twin-b")];
    world.wait_for("live", &commit);
    let uid = uids(&world, "configmap", "saf-twin", "saf-twin")["ConfigMap/c"].clone();
    let commits = RefCell::new(vec![commit]);
    let newest = RefCell::new(0_usize);
    // Where `seen` stands in the order of the commits; it must never fall.
    let look = || {
        let seen = parent_annotation(&world, "saf-twin", SEEN);
        let at = commits.borrow().iter().position(|commit| *commit == seen);
        let at = at.unwrap_or_else(|| panic!("{seen} is none of ours"));
        assert!(at >= *newest.borrow(), "seen went back from {} to {at}", newest.borrow());
        *newest.borrow_mut() = at;
        let live = uids(&world, "configmap", "saf-twin", "saf-twin");
        assert_eq!(live.get("ConfigMap/c"), Some(&uid), "c was deleted or made anew");
    };
    let mut random = 7_u64;
    for round in 0..12 {
        random = random * 48_271 % 2_147_483_647;
        let victim = &mut daemons[usize::try_from(random % 2).unwrap()];
        victim.kill();
        commits.borrow_mut().push(value(&world, &format!("v{round}")));
        look();
        std::thread::sleep(Duration::from_millis(random % 700));
        victim.restart();
        look();
    }
    let last = commits.borrow().last().unwrap().clone();
    world.wait_for("live", &last);
    look();
    assert_eq!(world.kube.field("configmap", "saf-twin", "c", "/data/k"), "v11");
}

/// A bare repository that has the commits up to now and gets no more.
fn lagging(world: &World) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lag.git").display().to_string();
    world.repo.git(&["clone", "--quiet", "--bare", &world.repo.url(), &path]);
    (folder, path)
}

#[test]
fn a_daemon_with_stale_git_never_applies_the_older_commit() {
    let world = World::new("saf-stale");
    let first = value(&world, "old");
    let (_folder, path) = lagging(&world);
    let mut fresh = replica(&world, "saf-stale-fresh");
    world.wait_for("live", &first);
    let second = value(&world, "new");
    world.wait_for("live", &second);
    fresh.kill();
    // The other repository's daemon is not alive any more, so that this one may work on the environment.
    let stale = Daemon::start(
        &path,
        &world.kube.kubeconfig(),
        &["--replica", "saf-stale-stale", "--poll-interval", "1s"],
    );
    eventually("it says that it is behind", || {
        let status = world.status();
        check(
            status["reason"].as_str().unwrap_or_default().contains("was seen before"),
            format!("{status:#}\n{}", stale.log()),
        )
    });
    // Every sync makes a pass: not one of them may write.
    for _ in 0..3 {
        world.tidegate(&["sync", "saf-stale"]);
        throughout(Duration::from_secs(1), "the newer value stands", || {
            world.kube.field("configmap", "saf-stale", "c", "/data/k") == "new"
        });
    }
    assert_eq!(parent_annotation(&world, "saf-stale", SEEN), second);
    // Once its repository has caught up, it goes on.
    let third = value(&world, "newest");
    world.repo.git(&["push", "--quiet", &path, "main"]);
    world.wait_for("live", &third);
    field_is(&world, "configmap", "saf-stale", "c", "/data/k", "newest");
}

#[test]
fn a_daemon_with_stale_git_does_not_undo_what_a_killed_one_had_begun() {
    let world = World::new("saf-begun");
    let first = value(&world, "old");
    let (_folder, path) = lagging(&world);
    let mut fresh = replica(&world, "saf-begun-fresh");
    world.wait_for("live", &first);
    fresh.kill();
    // What a daemon leaves that was killed after its first write: `seen` says the new commit, the record is the old one.
    let begun = value(&world, "new");
    let name = "tidegate-saf-begun";
    world.kube.must(&[
        "annotate",
        "configmap",
        name,
        "-n",
        "tidegate-system",
        "--overwrite",
        &format!("{SEEN}={begun}"),
        "tidegate.dev/seen-inputs=of-the-new",
    ]);
    let change = r#"{"data":{"k":"new"}}"#;
    let manager = "--field-manager=tidegate";
    world.kube.must(&["patch", "configmap", "c", "-n", "saf-begun", "--type=merge", manager, "-p", change]);
    let stale = Daemon::start(&path, &world.kube.kubeconfig(), &["--replica", "saf-begun-stale"]);
    eventually("it is ready", || check(stale.log().contains("new head"), stale.log()));
    throughout(Duration::from_secs(22), "the newer value stands", || {
        world.kube.field("configmap", "saf-begun", "c", "/data/k") == "new"
    });
    drop(stale);
    fresh.restart();
    world.wait_for("live", &begun);
}
