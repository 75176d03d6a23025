//! kill -9 at any moment: the next start goes on, leaves nothing unknown and makes nothing twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::scene::{bare_environment, field_is, gone, uids};
use crate::support::{Daemon, World, config_map, deployment};

const KINDS: &str = "configmap,service,deployment,serviceaccount";

/// Pauses that are the same in every run: a multiplicative generator, as old as it is enough.
struct Pauses(u64);

impl Pauses {
    fn next(&mut self) -> Duration {
        self.0 = self.0 * 48_271 % 2_147_483_647;
        Duration::from_millis(20 + self.0 % 380)
    }
}

/// Kills and starts the daemon so often; the uids of all objects must stay what they once were. Every other kill comes
/// while it carries out a plan, if it still has one to carry out.
fn kill_often(
    world: &World,
    daemon: &mut Daemon,
    pauses: &mut Pauses,
    times: u32,
    known: &mut BTreeMap<String, String>,
) {
    for round in 0..times {
        let pause = pauses.next();
        if round % 2 == 0 {
            std::thread::sleep(pause);
        } else {
            await_execution(daemon);
            std::thread::sleep(pause / 8);
        }
        daemon.kill();
        compare(world, known);
        daemon.restart();
    }
}

/// Returns when a plan is being carried out, or nothing seems left to do.
fn await_execution(daemon: &Daemon) {
    let executions = || daemon.log().matches(" executing ").count();
    let (before, start) = (executions(), Instant::now());
    while executions() == before && start.elapsed() < Duration::from_millis(2_500) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What is known and still there has kept its uid; what is new becomes known.
fn compare(world: &World, known: &mut BTreeMap<String, String>) {
    for (name, uid) in uids(world, KINDS, &world.name, &world.name) {
        let before = known.entry(name.clone()).or_insert_with(|| uid.clone());
        assert_eq!(*before, uid, "{name} was made twice");
    }
}

fn thirty(value: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> =
        (0..20).map(|n| (format!("c{n:02}.yaml"), config_map(&format!("c{n:02}"), "k", value))).collect();
    for n in 0..5 {
        let account = format!(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: a{n}\n  annotations: {{value: {value}}}\n"
        );
        files.push((format!("a{n}.yaml"), account));
        let service = format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s{n}\n  annotations: {{value: {value}}}\nspec:\n  selector: {{app: web}}\n  ports: [{{name: web, port: 80}}]\n"
        );
        files.push((format!("s{n}.yaml"), service));
    }
    files.push(("web.yaml".to_owned(), deployment("web", 1, "")));
    files
}

fn commit(world: &World, message: &str, files: &[(String, String)]) -> String {
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    world.commit(message, &files)
}

/// Everything that carries the environment's label stands in git, and everything of git stands there.
fn assert_exact(world: &World, wanted: usize) {
    let found = uids(world, KINDS, &world.name, &world.name);
    assert_eq!(found.len(), wanted, "{:#?}", found.keys().collect::<Vec<_>>());
}

#[test]
fn killed_at_many_moments_of_install_update_and_prune_it_converges_without_orphans_or_duplicates() {
    let world = World::new("saf-crash");
    world.kube.must(&["create", "namespace", "saf-crash"]);
    let environment = bare_environment(
        "saf-crash",
        "saf-crash",
        "  createNamespaces: true\n  prune: {budget: {max: 50, percent: 90}, allow: [Namespace]}\n",
    );
    world.repo.write("environments/saf-crash/environment.yaml", &environment);
    let head = commit(&world, "install", &thirty("one"));
    let mut pauses = Pauses(4_711);
    let mut known = BTreeMap::new();
    let mut daemon = world.daemon();
    kill_often(&world, &mut daemon, &mut pauses, 15, &mut known);
    world.wait_for("live", &head);
    compare(&world, &mut known);
    assert_exact(&world, 31);

    let head = commit(&world, "update", &thirty("two"));
    kill_often(&world, &mut daemon, &mut pauses, 8, &mut known);
    world.wait_for("live", &head);
    compare(&world, &mut known);
    assert_exact(&world, 31);
    for n in 0..20 {
        assert_eq!(world.kube.field("configmap", "saf-crash", &format!("c{n:02}"), "/data/k"), "two");
    }

    for n in 0..12 {
        world.repo.remove(&format!("environments/saf-crash/c{n:02}.yaml"));
    }
    let head = world.repo.commit("prune");
    kill_often(&world, &mut daemon, &mut pauses, 8, &mut known);
    world.wait_for("live", &head);
    gone(&world, "configmap", "saf-crash", "c00");
    compare(&world, &mut known);
    assert_exact(&world, 19);
}

#[test]
fn killed_in_a_repair_it_repairs_after_the_next_start() {
    let world = World::new("saf-repair");
    let head = world.commit(
        "one",
        &[("environment.yaml", &world.environment("")), ("c.yaml", &config_map("c", "k", "right"))],
    );
    let mut daemon = world.daemon();
    world.wait_for("live", &head);
    let uid = world.kube.field("configmap", "saf-repair", "c", "/metadata/uid");
    for pause in [0, 40, 120] {
        let wrong = r#"{"data":{"k":"wrong"}}"#;
        world.kube.must(&["patch", "configmap", "c", "-n", "saf-repair", "--type=merge", "-p", wrong]);
        std::thread::sleep(Duration::from_millis(pause));
        daemon.kill();
        daemon.restart();
        field_is(&world, "configmap", "saf-repair", "c", "/data/k", "right");
    }
    assert_eq!(world.kube.field("configmap", "saf-repair", "c", "/metadata/uid"), uid);
}

#[test]
fn killed_in_a_create_whose_object_then_left_git_it_leaves_no_orphan() {
    let world = World::new("saf-orphan");
    world.kube.must(&["create", "namespace", "saf-orphan"]);
    let environment = bare_environment(
        "saf-orphan",
        "saf-orphan",
        "  createNamespaces: true\n  prune: {budget: {max: 50, percent: 100}, allow: [Namespace]}\n",
    );
    world.repo.write("environments/saf-orphan/environment.yaml", &environment);
    let write = |round: u32| {
        for n in 0..8 {
            if round > 0 {
                world.repo.remove(&format!("environments/saf-orphan/r{}-{n}.yaml", round - 1));
            }
            let name = format!("r{round}-{n}");
            world.repo.write(&format!("environments/saf-orphan/{name}.yaml"), &config_map(&name, "k", "v"));
        }
        world.repo.commit(&format!("round {round}"))
    };
    let mut pauses = Pauses(99);
    write(0);
    let mut daemon = world.daemon();
    // Each commit replaces all objects of the one before, which the daemon was just making when it died.
    for round in 1..=8 {
        await_execution(&daemon);
        std::thread::sleep(pauses.next() / 8);
        daemon.kill();
        write(round);
        daemon.restart();
    }
    world.wait_for("live", &world.repo.head());
    let found = uids(&world, KINDS, "saf-orphan", "saf-orphan");
    let names: Vec<&String> = found.keys().collect();
    let wanted: Vec<String> = (0..8).map(|n| format!("ConfigMap/r8-{n}")).collect();
    assert_eq!(names, wanted.iter().collect::<Vec<_>>());
}

#[test]
fn sigterm_ends_it_within_five_seconds_with_code_zero() {
    let world = World::new("saf-term");
    let head = world.commit(
        "one",
        &[("environment.yaml", &world.environment("")), ("c.yaml", &config_map("c", "k", "v"))],
    );
    let mut daemon = world.daemon();
    world.wait_for("live", &head);
    let (span, code) = daemon.terminate();
    assert!(span < Duration::from_secs(5) && code == 0, "{span:?}, {code}");
    let leases = world.kube.must(&["get", "lease", "-n", "tidegate-system", "-o", "name"]);
    let replica = world.status()["replica"].as_str().unwrap().to_owned();
    assert!(!leases.contains(&replica), "its Lease is given up");

    // With an API server that is away, and one that accepts connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for port in [1, silent.local_addr().unwrap().port()] {
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = crate::scene::kubeconfig_to(folder.path(), port);
        let mut daemon = Daemon::start(&world.repo.url(), &kubeconfig, &[]);
        std::thread::sleep(Duration::from_millis(1500));
        assert!(daemon.is_running());
        let (span, code) = daemon.terminate();
        assert!(span < Duration::from_secs(5) && code == 0, "port {port}: {span:?}, {code}");
    }
}

#[test]
fn a_shard_that_a_kill_left_before_its_parent_pointed_to_it_is_written_over() {
    let world = World::new("rev-shard");
    // Another environment's record may be the first thing ever in Tidegate's namespace, or not.
    let _ = world.kube.run(&["create", "namespace", "tidegate-system"]);
    let shard = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: tidegate-rev-shard-inventory-1-0\n  \
                 labels: {tidegate.dev/inventory-of: rev-shard}\nbinaryData: {entries: AAAA}\n";
    world.kube.apply("tidegate-system", shard);
    let files = [("environment.yaml", &*world.environment("")), ("a.yaml", &*config_map("a", "k", "v"))];
    let commit = world.commit("one", &files);
    let _daemon = world.daemon();
    world.wait_for("live", &commit);
}
