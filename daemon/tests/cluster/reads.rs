//! With which rights a cluster is read: watches of namespaces where the whole cluster may not be watched, rights that come
//! later. The files that are applied are those that operators are given (`deploy/rbac`).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::scene::{bare_environment, field_is, record};
use crate::support::{Daemon, World, check, config_map, deployment, eventually, within};

/// A repair that a watch has asked for.
const AT_ONCE: Duration = Duration::from_secs(2);
/// What was refused is tried again after a minute at the latest.
const NOTICED: Duration = Duration::from_secs(70);

/// A kubeconfig of the service account `tidegate`, whose rights are those of `deploy/rbac/daemon.yaml`.
pub struct Restricted {
    folder: TempDir,
}

impl Restricted {
    pub fn new(world: &World) -> Self {
        world.kube.must(&["apply", "-f", &rbac("daemon.yaml")]);
        let token =
            world.kube.must(&["create", "token", "tidegate", "-n", "tidegate-system", "--duration=1h"]);
        let mut config: Value =
            serde_json::from_str(&world.kube.must(&["config", "view", "--raw", "-o", "json"])).unwrap();
        config["users"][0]["user"] = json!({"token": token.trim()});
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kubeconfig"), config.to_string()).unwrap();
        Self { folder }
    }

    pub fn daemon(&self, world: &World) -> Daemon {
        Daemon::start(&world.repo.url(), &self.folder.path().join("kubeconfig"), &[])
    }
}

/// A file of `deploy/rbac`.
fn rbac(file: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    root.join("deploy/rbac").join(file).display().to_string()
}

/// The rights of `deploy/rbac/environment.yaml` in a namespace.
pub fn grant(world: &World, namespace: &str) {
    world.kube.must(&["apply", "-n", namespace, "-f", &rbac("environment.yaml")]);
}

/// A Role `further` with these verbs on ConfigMaps, for the daemon's service account.
fn grant_config_maps(world: &World, namespace: &str, verbs: &str) {
    let role = ["create", "role", "further", "--resource=configmaps", "-n", namespace];
    world.kube.must(&[&role[..], &[&format!("--verb={verbs}")]].concat());
    let account = "--serviceaccount=tidegate-system:tidegate";
    world.kube.must(&["create", "rolebinding", "further", "--role=further", account, "-n", namespace]);
}

fn edit(world: &World, namespace: &str, name: &str, value: &str) {
    let patch = json!({"data": {"k": value}}).to_string();
    world.kube.must(&["patch", "configmap", name, "-n", namespace, "--type=merge", "-p", &patch]);
}

/// Edits a ConfigMap twice and measures how long the repair takes; the better one counts on a busy machine.
fn repaired_at_once(world: &World, namespace: &str, name: &str, wanted: &str) {
    let times: Vec<Duration> = (0..2)
        .map(|number| {
            edit(world, namespace, name, &format!("by hand {number}"));
            let start = Instant::now();
            field_is(world, "configmap", namespace, name, "/data/k", wanted);
            start.elapsed()
        })
        .collect();
    println!("repaired in {namespace}: {times:?}");
    assert!(times.iter().min().unwrap() < &AT_ONCE, "{times:?}");
}

/// True when an edit stays for longer than a watch needs to see it. One pass that happens for another reason repairs an edit,
/// not three of them.
fn stays_edited(world: &World, value: &str) -> bool {
    edit(world, "reads-later", "c0", value);
    let start = Instant::now();
    while start.elapsed() < 2 * AT_ONCE {
        if world.kube.field("configmap", "reads-later", "c0", "/data/k") != value {
            return false;
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    true
}

fn says(daemon: &Daemon, words: &[&str]) -> usize {
    daemon.log().lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

#[test]
fn rights_in_its_namespaces_alone_bring_an_environment_to_live_and_repair_drift_at_once() {
    let world = World::new("reads-narrow");
    let restricted = Restricted::new(&world);
    for namespace in ["reads-narrow", "reads-narrow-b"] {
        world.kube.must(&["create", "namespace", namespace]);
        grant(&world, namespace);
    }
    let elsewhere =
        config_map("there", "k", "one").replace("name: there", "name: there, namespace: reads-narrow-b");
    let environment = bare_environment("reads-narrow", "reads-narrow, reads-narrow-b", "");
    let commit = world.commit(
        "narrow",
        &[
            ("environment.yaml", &environment),
            ("here.yaml", &config_map("here", "k", "one")),
            ("there.yaml", &elsewhere),
            ("web.yaml", &deployment("web", 1, "")),
        ],
    );
    let daemon = restricted.daemon(&world);
    world.wait_for("live", &commit);
    repaired_at_once(&world, "reads-narrow", "here", "one");
    repaired_at_once(&world, "reads-narrow-b", "there", "one");
    // A workload that becomes unwell is seen by the watch of its namespace as well.
    world.kube.must(&["delete", "pods", "-l", "app=web", "-n", "reads-narrow", "--wait=false"]);
    world.wait_for("live", &commit);
    assert_eq!(
        says(&daemon, &["ConfigMap in the whole cluster", "watched in each namespace"]),
        1,
        "{}",
        daemon.log()
    );
    assert_eq!(says(&daemon, &["WARN", "list and watch"]), 0, "{}", daemon.log());
    // What left git is deleted with these rights, too.
    world.repo.remove("environments/reads-narrow/there.yaml");
    let second = world.repo.commit("less");
    let pruned =
        world.commit("prune", &[("environment.yaml", &format!("{environment}  prune: {{enabled: true}}\n"))]);
    assert_ne!(second, pruned);
    world.wait_for("live", &pruned);
    eventually("it is gone", || {
        check(world.kube.get("configmap", "reads-narrow-b", "there").is_none(), "it is there")
    });
}

#[test]
fn rights_that_come_later_are_noticed_in_a_namespace_and_in_the_whole_cluster() {
    let world = World::new("reads-later");
    let restricted = Restricted::new(&world);
    world.kube.must(&["create", "namespace", "reads-later"]);
    grant_config_maps(&world, "reads-later", "get,create,patch,delete");
    let mut files = vec![("environment.yaml".to_owned(), bare_environment("reads-later", "reads-later", ""))];
    // More than single reads are thought to be worth, if a list were allowed.
    files.extend((0..10).map(|n| (format!("c{n}.yaml"), config_map(&format!("c{n}"), "k", "one"))));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let commit = world.commit("later", &files);
    let daemon = restricted.daemon(&world);
    world.wait_for("live", &commit);
    let words = ["WARN", "ConfigMap in namespace reads-later", "only at the resync"];
    assert_eq!(says(&daemon, &words), 1, "{}", daemon.log());
    let status = record(&world, "reads-later", "it is recorded", |status| !status["unwatched"].is_null());
    assert_eq!(status["unwatched"], json!(["ConfigMap"]), "{status:#}");
    crate::schema::assert_valid("record", &status);
    let shown = world.tidegate(&["status", "reads-later"]).stdout;
    assert!(
        shown.contains("may not be watched, so that drift is seen every 10 min only: ConfigMap"),
        "{shown}"
    );
    assert!((0..3).any(|number| stays_edited(&world, &format!("by hand {number}"))), "{}", daemon.log());
    edit(&world, "reads-later", "c0", "by hand");
    assert_eq!(says(&daemon, &words), 1, "it is said once: {}", daemon.log());

    world.kube.must(&["delete", "role,rolebinding", "further", "-n", "reads-later"]);
    grant(&world, "reads-later");
    within(NOTICED, "the right is noticed, and the edit is repaired", || {
        let value = world.kube.field("configmap", "reads-later", "c0", "/data/k");
        check(value == "one", format!("{value}"))
    });
    // The list of the new watch repairs; that the watch holds is known, and said, a little later.
    within(NOTICED, "the new watch is said", || {
        let words = ["ConfigMap in namespace reads-later", "watched now"];
        check(says(&daemon, &words) == 1, daemon.log())
    });
    repaired_at_once(&world, "reads-later", "c0", "one");
    record(&world, "reads-later", "it is watched", |status| status["unwatched"].is_null());

    let wide = ["create", "clusterrole", "reads-later", "--verb=list,watch", "--resource=configmaps"];
    clean_wide(&world);
    world.kube.must(&wide);
    let account = "--serviceaccount=tidegate-system:tidegate";
    world.kube.must(&["create", "clusterrolebinding", "reads-later", "--clusterrole=reads-later", account]);
    let noticed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        within(NOTICED, "the right in the whole cluster is noticed", || {
            let words = ["ConfigMap in the whole cluster", "watched now"];
            check(says(&daemon, &words) == 1, daemon.log())
        });
        repaired_at_once(&world, "reads-later", "c0", "one");
    }));
    clean_wide(&world);
    noticed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn clean_wide(world: &World) {
    for kind in ["clusterrole", "clusterrolebinding"] {
        world.kube.must(&["delete", kind, "reads-later", "--ignore-not-found"]);
    }
}
