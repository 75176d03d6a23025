//! Rights that lack one verb each: what works without it goes on, what does not is said in the API server's words, and
//! the environment becomes live once the right is there. Every environment has an identity of its own.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::scene::bare_environment;
use crate::support::{Daemon, World, check, config_map, eventually, within};

/// Everything that the daemon asks for: where (the environment's namespace, Tidegate's own, everywhere), what, which verbs.
const RIGHTS: [(&str, &str, &str, &[&str]); 6] = [
    ("own", "", "configmaps", &["get", "list", "watch", "create", "patch", "delete"]),
    ("all", "", "configmaps", &["get", "list", "watch"]),
    ("all", "", "namespaces", &["get", "list", "watch", "create", "patch"]),
    (
        "system",
        "",
        "configmaps",
        &["get", "list", "watch", "create", "patch", "update", "delete", "deletecollection"],
    ),
    ("system", "coordination.k8s.io", "leases", &["get", "list", "create", "patch", "delete"]),
    ("own", "", "secrets", &["get"]),
];

/// A right that is taken away: where, what, which verb; in the whole cluster too.
#[derive(Clone, Copy)]
struct Lack(&'static str, &'static str, &'static str);

impl Lack {
    fn name(self, world: &World) -> String {
        format!("{}-{}-{}-{}", world.name, self.0, self.1, self.2)
    }

    fn takes(self, place: &str, resource: &str, verb: &str) -> bool {
        (self.0 == place || place == "all") && self.1 == resource && self.2 == verb
    }

    /// The rules of a place without what is lacking.
    fn rules(self, place: &str) -> Vec<Value> {
        let of_place = RIGHTS.iter().filter(|(at, ..)| *at == place);
        of_place
            .map(|(_, group, resource, verbs)| {
                let verbs: Vec<&str> =
                    verbs.iter().copied().filter(|verb| !self.takes(place, resource, verb)).collect();
                json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs })
            })
            .collect()
    }
}

/// Lacks nothing.
const NOTHING: Lack = Lack("", "", "");

/// Gives the user of `lack` everything but what `without` takes away.
fn grant(world: &World, lack: Lack, without: Lack) {
    let name = lack.name(world);
    let mut items = Vec::new();
    for (place, namespace) in
        [("own", Some(name.as_str())), ("all", None), ("system", Some("tidegate-system"))]
    {
        let (role, binding) = match namespace {
            Some(_) => ("Role", "RoleBinding"),
            None => ("ClusterRole", "ClusterRoleBinding"),
        };
        let api = "rbac.authorization.k8s.io";
        let version = format!("{api}/v1");
        let metadata = namespace
            .map_or(json!({ "name": name }), |namespace| json!({ "name": name, "namespace": namespace }));
        items.push(json!({
            "apiVersion": version, "kind": role, "metadata": metadata, "rules": without.rules(place),
        }));
        items.push(json!({
            "apiVersion": version, "kind": binding, "metadata": metadata,
            "roleRef": { "apiGroup": api, "kind": role, "name": name },
            "subjects": [{ "apiGroup": api, "kind": "User", "name": name }],
        }));
    }
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string();
    world.kube.run_with(&["apply", "-f", "-"], &list).unwrap();
}

fn revoke(world: &World, lack: Lack) {
    let name = lack.name(world);
    let _ = world.kube.run(&["delete", "clusterrole,clusterrolebinding", &name, "--ignore-not-found"]);
    let system = ["delete", "role,rolebinding", &name, "-n", "tidegate-system", "--ignore-not-found"];
    let _ = world.kube.run(&system);
}

/// One environment with the ConfigMaps `a` and `b` for each, with an identity that lacks it.
fn environments(world: &World, folder: &Path, lacks: &[Lack]) {
    let _ = world.kube.run(&["create", "namespace", "tidegate-system"]);
    let admin: Value =
        serde_json::from_str(&world.kube.must(&["config", "view", "--raw", "-o", "json"])).unwrap();
    for lack in lacks {
        let name = lack.name(world);
        world.kube.must(&["create", "namespace", &name]);
        grant(world, *lack, *lack);
        let mut config = admin.clone();
        config["users"][0]["user"]["as"] = json!(name);
        let path = folder.join(&name);
        std::fs::write(&path, config.to_string()).unwrap();
        let environment = bare_environment(&name, &name, "  prune: {enabled: true}\n")
            .replace("kubeconfig: {}", &format!("kubeconfig: {{path: {}}}", path.display()));
        world.repo.write(&format!("environments/{name}/environment.yaml"), &environment);
        for object in ["a", "b"] {
            let file = format!("environments/{name}/{object}.yaml");
            world.repo.write(&file, &config_map(object, "k", "v"));
        }
    }
}

/// Both the record and the log: without the right to write the record there is only the log.
fn says(world: &World, daemon: &Daemon, lack: Lack) {
    let words = format!("cannot {} resource \\\"{}\\\"", lack.2, lack.1);
    let plain = words.replace('\\', "");
    let name = lack.name(world);
    within(Duration::from_secs(30), &format!("{name} is said"), || {
        let log = daemon.log();
        let told =
            log.lines().any(|line| line.contains(&name) && (line.contains(&plain) || line.contains(&words)));
        check(told, format!("{:#}", world.status_of(&name)))
    });
}

/// While one right is lacking `holds` is awaited; then it is given, and all environments become live.
fn lacking(world: &World, lacks: &[Lack], holds: impl Fn(&World, &Daemon)) {
    let folder = tempfile::tempdir().unwrap();
    environments(world, folder.path(), lacks);
    let commit = world.commit("one", &[("environment.yaml", &world.environment(""))]);
    let daemon = world.daemon();
    world.wait_for("live", &commit);
    holds(world, &daemon);
    for lack in lacks {
        grant(world, *lack, NOTHING);
    }
    // What was refused is asked for again after a minute; people need not wait for that.
    for lack in lacks {
        world.tidegate(&["sync", &lack.name(world)]);
    }
    for lack in lacks {
        let name = lack.name(world);
        within(Duration::from_secs(90), &format!("{name} is live"), || {
            let status = world.status_of(&name);
            check(status["state"] == "live", format!("{status:#}"))
        });
        revoke(world, *lack);
    }
}

fn is_live(world: &World, lack: Lack) {
    let name = lack.name(world);
    eventually(&format!("{name} is live"), || {
        let status = world.status_of(&name);
        check(status["state"] == "live", format!("{status:#}"))
    });
}

#[test]
fn a_verb_that_is_lacking_on_an_environments_objects_is_said_and_the_others_are_used() {
    let world = World::new("hor-own");
    let [get, list, watch, create, patch, delete] =
        ["get", "list", "watch", "create", "patch", "delete"].map(|verb| Lack("own", "configmaps", verb));
    lacking(&world, &[get, list, watch, create, patch, delete], |world, daemon| {
        for lack in [create, patch] {
            says(world, daemon, lack);
            assert_ne!(world.status_of(&lack.name(world))["state"], "live");
        }
        // Without these it is slower, not less.
        for lack in [get, list, watch, delete] {
            is_live(world, lack);
        }
        // What is watched is read only when somebody has changed it.
        let edited = get.name(world);
        world.kube.must(&["label", "configmap", "a", "-n", &edited, "by=hand"]);
        says(world, daemon, get);
        let name = delete.name(world);
        world.repo.remove(&format!("environments/{name}/b.yaml"));
        world.repo.commit("without b");
        says(world, daemon, delete);
        assert!(world.kube.get("configmap", &name, "b").is_some());
    });
    let name = delete.name(&world);
    eventually("b is gone", || check(world.kube.get("configmap", &name, "b").is_none(), "it is there"));
}

#[test]
fn a_verb_that_is_lacking_on_tidegates_own_records_is_said_and_nothing_is_applied_without_a_record() {
    let world = World::new("hor-system");
    let [get, list, create, patch] =
        ["get", "list", "create", "patch"].map(|verb| Lack("system", "configmaps", verb));
    let leases = ["list", "patch"].map(|verb| Lack("system", "leases", verb));
    let stopping: Vec<Lack> = [list, create].into_iter().chain(leases).collect();
    let all: Vec<Lack> = stopping.iter().copied().chain([get, patch]).collect();
    lacking(&world, &all, |world, daemon| {
        for lack in &stopping {
            says(world, daemon, *lack);
            assert!(world.kube.get("configmap", &lack.name(world), "a").is_none(), "{}", lack.name(world));
        }
        // What is listed and watched need not be read, as long as nothing goes wrong.
        is_live(world, get);
        // What is to be applied is recorded by creates, before the first of it; how it went would be a patch.
        says(world, daemon, patch);
        let name = patch.name(world);
        if world.kube.get("configmap", &name, "a").is_some() {
            let shard = format!("tidegate-{name}-inventory-1-0");
            assert!(
                world.kube.get("configmap", "tidegate-system", &shard).is_some(),
                "it is in the inventory"
            );
        }
    });
}
