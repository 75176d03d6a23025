//! Kinds whose definitions change under an environment: versions that are served no more, definitions that go and come back.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::scene::{field_is, record};
use crate::support::{Daemon, Fault, FaultProxy, World, check, config_map, eventually, within};

/// A repair that a watch has asked for.
const AT_ONCE: Duration = Duration::from_secs(2);

/// A definition of a kind `Widget` in the group `GROUP.example.dev`, made by hand, gone with the test.
pub struct Definition<'a> {
    world: &'a World,
    group: String,
}

impl<'a> Definition<'a> {
    pub fn new(world: &'a World) -> Self {
        let definition = Self { world, group: format!("{}.example.dev", world.name) };
        definition.delete();
        definition
    }

    fn name(&self) -> String {
        format!("widgets.{}", self.group)
    }

    /// Applies the definition with these versions, each served or not; the last one is stored.
    pub fn serve(&self, versions: &[(&str, bool)]) {
        let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {
            "spec": {"type": "object", "properties": {"size": {"type": "string"}}},
            "status": {"type": "object", "properties": {"phase": {"type": "string"}}}}}});
        let last = versions.len() - 1;
        let versions: Vec<_> = versions
            .iter()
            .enumerate()
            .map(|(at, (name, served))| json!({"name": name, "served": served, "storage": at == last, "schema": schema}))
            .collect();
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": self.name()},
            "spec": {"group": self.group, "scope": "Namespaced", "versions": versions,
                "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"}}
        });
        self.world.kube.run_with(&["apply", "-f", "-"], &definition.to_string()).unwrap();
        let wait = ["wait", "--for=condition=Established", "--timeout=30s", "crd", &self.name()];
        self.world.kube.must(&wait);
    }

    pub fn delete(&self) {
        self.world.kube.must(&["delete", "crd", &self.name(), "--ignore-not-found", "--timeout=60s"]);
    }

    pub fn widget(&self, version: &str) -> String {
        format!(
            "apiVersion: {}/{version}\nkind: Widget\nmetadata: {{name: w}}\nspec: {{size: \"one\"}}\n",
            self.group
        )
    }

    /// How kubectl names the kind in a version.
    pub fn resource(&self, version: &str) -> String {
        format!("widgets.{version}.{}", self.group)
    }

    fn edit(&self, version: &str, size: &str) {
        let patch = json!({"spec": {"size": size}}).to_string();
        let resource = self.resource(version);
        self.world.kube.must(&[
            "patch",
            &resource,
            "w",
            "-n",
            &self.world.name,
            "--type=merge",
            "-p",
            &patch,
        ]);
    }

    /// Edits the object by hand; how long until it is as git asks for.
    fn repair(&self, version: &str) -> Duration {
        self.edit(version, "by hand");
        let start = Instant::now();
        field_is(self.world, &self.resource(version), &self.world.name, "w", "/spec/size", "one");
        start.elapsed()
    }
}

impl Drop for Definition<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.delete();
        }
    }
}

fn at_once(definition: &Definition<'_>, version: &str, daemon: &Daemon) {
    let times = [definition.repair(version), definition.repair(version)];
    println!("repaired in {version}: {times:?}");
    assert!(times.iter().min().unwrap() < &AT_ONCE, "{times:?}\n{}", daemon.log());
}

#[test]
fn drift_is_repaired_after_the_version_that_was_watched_is_served_no_more() {
    let world = World::new("kinds-version");
    let definition = Definition::new(&world);
    definition.serve(&[("v1beta1", true), ("v1", true)]);
    let first = world.commit(
        "beta",
        &[("environment.yaml", &world.environment("")), ("w.yaml", &definition.widget("v1beta1"))],
    );
    let daemon = world.daemon();
    world.wait_for("live", &first);
    at_once(&definition, "v1beta1", &daemon);
    let second = world.commit("stable", &[("w.yaml", &definition.widget("v1"))]);
    world.wait_for("live", &second);

    definition.serve(&[("v1beta1", false), ("v1", true)]);
    let first_repair = definition.repair("v1");
    println!("repaired while the version goes: {first_repair:?}");
    eventually("the watch has moved", || {
        let log = daemon.log();
        let moved =
            log.lines().any(|line| line.contains("watched in another version") && line.contains("to=v1"));
        check(moved, log)
    });
    at_once(&definition, "v1", &daemon);
    world.wait_for("live", &second);
    // The inventory names the version that was applied, and its objects are looked at in the one that is served.
    definition.serve(&[("v1", false), ("v2", true)]);
    let shown = world.tidegate(&["status", "kinds-version", "-o", "json"]).json();
    let live = shown["environments"][0]["liveHealth"].to_string();
    assert!(live.contains("state") && !live.contains("no longer serves"), "{live}");
}

#[test]
fn a_definition_that_is_deleted_and_made_again_has_its_objects_again_and_their_drift_repaired() {
    let world = World::new("kinds-again");
    let definition = Definition::new(&world);
    definition.serve(&[("v1", true)]);
    let commit = world.commit(
        "widget",
        &[("environment.yaml", &world.environment("")), ("w.yaml", &definition.widget("v1"))],
    );
    let daemon = world.daemon();
    world.wait_for("live", &commit);
    definition.delete();
    record(&world, "kinds-again", "the missing kind is said", |status| {
        status["state"] != "live" && status.to_string().contains("serves no Widget")
    });
    definition.serve(&[("v1", true)]);
    let status = within(Duration::from_secs(30), "live again", || {
        let status = world.status();
        check(status["state"] == "live", format!("{status:#}"))?;
        Ok(status)
    });
    assert_eq!(status["seen"]["id"], commit);
    field_is(&world, &definition.resource("v1"), "kinds-again", "w", "/spec/size", "one");
    at_once(&definition, "v1", &daemon);
    let resource = definition.resource("v1");
    world.kube.must(&["delete", &resource, "w", "-n", "kinds-again"]);
    field_is(&world, &resource, "kinds-again", "w", "/spec/size", "one");
}

/// Pauses between looks for a kind that is not served grow; one that is back ends them.
#[test]
fn a_definition_that_was_gone_for_long_has_its_drift_repaired_at_once_when_it_is_back() {
    let world = World::new("kinds-long");
    let definition = Definition::new(&world);
    definition.serve(&[("v1", true)]);
    let files = [("environment.yaml", world.environment("")), ("w.yaml", definition.widget("v1"))];
    let commit = world.commit("widget", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    let daemon = world.daemon();
    world.wait_for("live", &commit);
    definition.delete();
    record(&world, "kinds-long", "the missing kind is said", |status| {
        status.to_string().contains("serves no Widget")
    });
    std::thread::sleep(Duration::from_secs(16));
    definition.serve(&[("v1", true)]);
    world.wait_for("live", &commit);
    let first = definition.repair("v1");
    assert!(first < AT_ONCE, "{first:?}\n{}", daemon.log());
}

#[test]
fn a_kind_that_is_found_missing_by_a_write_is_looked_for_again_and_not_given_up_for_a_minute() {
    let world = World::new("kinds-write");
    let definition = Definition::new(&world);
    definition.serve(&[("v1", true)]);
    let commit = world.commit(
        "widget",
        &[("environment.yaml", &world.environment("")), ("w.yaml", &definition.widget("v1"))],
    );
    // As when the definition goes between the look and the write, and is back at once.
    let proxy = FaultProxy::start(&world.kube.kubeconfig());
    let mut met = false;
    proxy.script(move |call| {
        let first = !met && call.is_write() && call.path.contains("/widgets/");
        met |= first;
        if first { Fault::Status(404) } else { Fault::Pass }
    });
    let daemon = Daemon::start(&world.repo.url(), &proxy.kubeconfig(), &[]);
    let start = Instant::now();
    world.wait_for("live", &commit);
    let log = daemon.log();
    assert!(log.contains("E0304"), "the write has met the fault: {log}");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}: {log}", start.elapsed());
    field_is(&world, &definition.resource("v1"), "kinds-write", "w", "/spec/size", "one");
}

/// The log lines that say that something was forgotten.
fn forgotten(daemon: &Daemon) -> usize {
    daemon.log().lines().filter(|line| line.contains("its kind is gone") && line.contains("Widget")).count()
}

#[test]
fn what_left_git_after_its_definition_was_deleted_is_forgotten() {
    let world = World::new("kinds-gone");
    let definition = Definition::new(&world);
    definition.serve(&[("v1", true)]);
    world.commit("settings", &[("c.yaml", &config_map("c", "k", "one"))]);
    let first = world.commit(
        "widget",
        &[("environment.yaml", &world.environment("")), ("w.yaml", &definition.widget("v1"))],
    );
    let daemon = world.daemon();
    world.wait_for("live", &first);
    definition.delete();
    world.repo.remove(&format!("environments/{}/w.yaml", world.name));
    let second = world.repo.commit("no widget");
    world.wait_for("live", &second);
    assert!(forgotten(&daemon) > 0, "{}", daemon.log());
    assert!(!world.status().to_string().contains("Widget"), "{:#}", world.status());
}

#[test]
fn an_aggregated_api_that_is_down_is_said_and_nothing_of_it_is_forgotten() {
    let world = World::new("kinds-down");
    let definition = Definition::new(&world);
    let service = Service::new(&world, &definition);
    definition.serve(&[("v1", true)]);
    world.commit("settings", &[("c.yaml", &config_map("c", "k", "one"))]);
    let first = world.commit(
        "widget",
        &[("environment.yaml", &world.environment("")), ("w.yaml", &definition.widget("v1"))],
    );
    let daemon = world.daemon();
    world.wait_for("live", &first);
    // The same group, served by a program that is not there.
    definition.delete();
    service.start();
    world.repo.remove(&format!("environments/{}/w.yaml", world.name));
    let second = world.repo.commit("no widget");
    record(&world, "kinds-down", "the service that is down is named", |status| {
        let text = status.to_string();
        status["seen"]["id"] == second && text.contains(&service.name) && text.contains("is not available")
    });
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(forgotten(&daemon), 0, "{}", daemon.log());
    assert_ne!(world.status()["state"], "live");
    service.delete();
    world.wait_for("live", &second);
    assert!(forgotten(&daemon) > 0, "{}", daemon.log());
}

#[test]
fn an_aggregated_api_that_goes_down_while_its_kind_is_known_is_named() {
    let world = World::new("kinds-known");
    let definition = Definition::new(&world);
    let service = Service::new(&world, &definition);
    definition.serve(&[("v1", true)]);
    world.commit("settings", &[("c.yaml", &config_map("c", "k", "one"))]);
    let first = world.commit(
        "widget",
        &[("environment.yaml", &world.environment("")), ("w.yaml", &definition.widget("v1"))],
    );
    let daemon = world.daemon();
    world.wait_for("live", &first);
    // It sleeps through the deletion, so that what it knows of the kinds is from before.
    daemon.signal("-STOP");
    definition.delete();
    service.start();
    world.repo.remove(&format!("environments/{}/w.yaml", world.name));
    let second = world.repo.commit("no widget");
    daemon.signal("-CONT");
    record(&world, "kinds-known", "the service that is down is named", |status| {
        let text = status.to_string();
        status["seen"]["id"] == second && text.contains(&service.name) && text.contains("is not available")
    });
    assert_eq!(forgotten(&daemon), 0, "{}", daemon.log());
    service.delete();
    world.wait_for("live", &second);
}

/// An aggregated API of the definition's group, whose program is not there; gone with the test.
struct Service<'a> {
    world: &'a World,
    group: String,
    name: String,
}

impl<'a> Service<'a> {
    fn new(world: &'a World, definition: &Definition<'_>) -> Self {
        let service =
            Self { world, group: definition.group.clone(), name: format!("v1.{}", definition.group) };
        service.delete();
        service
    }

    fn start(&self) {
        // The one that Kubernetes keeps for the definition goes some moments after it.
        eventually("the definition's own service is gone", || {
            let there = self.world.kube.run(&["get", "apiservice", &self.name]).is_ok();
            check(!there, "it is there")
        });
        let service = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": self.name},
            "spec": {"group": self.group, "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15,
                "insecureSkipTLSVerify": true, "service": {"name": "nobody", "namespace": "default"}}
        });
        self.world.kube.run_with(&["apply", "-f", "-"], &service.to_string()).unwrap();
    }

    fn delete(&self) {
        self.world.kube.must(&["delete", "apiservice", &self.name, "--ignore-not-found", "--timeout=30s"]);
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        // One that is down holds up the deletion of every namespace.
        let _ =
            self.world.kube.run(&["delete", "apiservice", &self.name, "--ignore-not-found", "--timeout=30s"]);
    }
}
