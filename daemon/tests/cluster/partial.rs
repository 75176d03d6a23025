//! One object that the API server refuses: the others proceed, and people read why.

use std::time::Duration;

use crate::scene::{allow, deny, field_is, needy_deployment, place, problem, problems, reason_of, record};
use crate::support::{World, check, config_map, eventually, within};

/// The API server refuses the name of its port; no schema knows that.
const BAD_PORT: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: front}\nspec:\n  selector: {app: web}\n  ports:\n  - name: Not_A_Name\n    port: 80\n";
const GOOD_PORT: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: front}\nspec:\n  selector: {app: web}\n  ports:\n  - name: web\n    port: 80\n";
/// The API server refuses the key.
const BAD_KEY: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata:\n  good: x\n  \"bad key\": z\n";

#[test]
fn a_refused_object_holds_up_only_what_needs_it_and_is_named_with_its_line() {
    let world = World::new("saf-refused");
    let commit = world.commit(
        "two refused",
        &[
            ("environment.yaml", &world.environment("")),
            ("front.yaml", BAD_PORT),
            ("settings.yaml", BAD_KEY),
            ("other.yaml", &config_map("other", "k", "v")),
            ("web.yaml", &needy_deployment("web", "settings")),
        ],
    );
    let _daemon = world.daemon();
    let status = world.wait_for("failed", &commit);
    assert_eq!(world.kube.field("configmap", &world.name, "other", "/data/k"), "v", "the others proceed");
    assert!(world.kube.get("deployment", &world.name, "web").is_none(), "its dependents wait");
    let waits = reason_of(&status, "Deployment", "web");
    assert!(waits.starts_with("waiting") && waits.contains("settings"), "{waits}");
    let refused = problems(&status, "E0401");
    let of = |kind: &str| {
        refused
            .iter()
            .find(|problem| problem["object"]["gvk"]["kind"] == kind || problem["object"]["kind"] == kind)
            .unwrap_or_else(|| panic!("{status:#}"))
    };
    let port = of("Service");
    assert_eq!(place(port), "environments/saf-refused/front.yaml:7:11", "{port:#}");
    assert_eq!(port["field"], "spec.ports[0].name");
    assert!(port["message"].as_str().unwrap().contains("Not_A_Name"), "{port:#}");
    let key = of("ConfigMap");
    assert!(place(key).starts_with("environments/saf-refused/settings.yaml:6:"), "{key:#}");

    let commit = world.commit(
        "mended",
        &[("front.yaml", GOOD_PORT), ("settings.yaml", &config_map("settings", "good", "x"))],
    );
    let status = world.wait_for("live", &commit);
    assert_eq!(status["problems"]["total"], 0, "{status:#}");
    assert!(world.kube.get("deployment", &world.name, "web").is_some());
}

fn quota(world: &World, services: u32) {
    let yaml = format!(
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {{name: few}}\nspec: {{hard: {{services: \"{services}\"}}}}\n"
    );
    world.kube.apply(&world.name, &yaml);
    field_is(world, "resourcequota", &world.name, "few", "/status/hard/services", &services.to_string());
}

fn over_quota(name: &str) -> (World, String) {
    let world = World::new(name);
    world.kube.must(&["create", "namespace", name]);
    quota(&world, 0);
    let commit = world.commit(
        "a service too many",
        &[
            ("environment.yaml", &world.environment("")),
            ("front.yaml", GOOD_PORT),
            ("other.yaml", &config_map("other", "k", "v")),
        ],
    );
    (world, commit)
}

#[test]
fn what_a_quota_refused_is_tried_again_at_sync() {
    let (world, commit) = over_quota("saf-quota");
    let _daemon = world.daemon();
    let status = world.wait_for("failed", &commit);
    let refused = problem(&status, "E0401");
    assert!(refused["message"].as_str().unwrap().contains("exceeded quota"), "{refused:#}");
    assert!(place(&refused).starts_with("environments/saf-quota/front.yaml:1:"), "{refused:#}");
    assert!(world.kube.get("configmap", &world.name, "other").is_some());
    quota(&world, 1);
    let asked = world.tidegate(&["sync", "saf-quota"]);
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    within(Duration::from_secs(15), "live after sync", || {
        check(world.status()["state"] == "live", format!("{:#}", world.status()))
    });
}

#[test]
fn what_a_quota_refused_is_tried_again_by_itself() {
    let (world, commit) = over_quota("saf-requota");
    let _daemon = world.daemon();
    world.wait_for("failed", &commit);
    quota(&world, 1);
    within(Duration::from_secs(90), "live by itself", || {
        check(world.status()["state"] == "live", format!("{:#}", world.status()))
    });
}

#[test]
fn a_policys_denial_is_quoted() {
    let world = World::new("saf-denied");
    world.kube.must(&["create", "namespace", "saf-denied"]);
    deny(&world, "saf-denied", "CREATE", "object.metadata.name != 'denied'", "nothing of that name");
    eventually("the policy is in force", || {
        let tried =
            world.kube.run(&["create", "configmap", "denied", "-n", "saf-denied", "--dry-run=server"]);
        check(tried.is_err(), "not yet")
    });
    let commit = world.commit(
        "denied",
        &[
            ("environment.yaml", &world.environment("")),
            ("denied.yaml", &config_map("denied", "k", "v")),
            ("other.yaml", &config_map("other", "k", "v")),
        ],
    );
    let _daemon = world.daemon();
    let status = world.wait_for("failed", &commit);
    let refused = problem(&status, "E0401");
    assert!(refused["message"].as_str().unwrap().contains("nothing of that name"), "{refused:#}");
    assert!(place(&refused).starts_with("environments/saf-denied/denied.yaml:1:"), "{refused:#}");
    assert!(world.kube.get("configmap", &world.name, "other").is_some());
    allow(&world, "saf-denied");
    std::thread::sleep(Duration::from_secs(1));
    eventually("live once the policy is gone", || {
        world.tidegate(&["sync", "saf-denied"]);
        std::thread::sleep(Duration::from_secs(1));
        check(world.status()["state"] == "live", format!("{:#}", world.status()))
    });
}

#[test]
fn a_field_that_cannot_change_is_refused_with_its_line_and_the_object_stays() {
    let world = World::new("saf-immutable");
    let labelled = |label: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: 1\n  selector:\n    matchLabels:\n      app: {label}\n  \
             template:\n    metadata: {{labels: {{app: {label}}}}}\n    spec:\n      terminationGracePeriodSeconds: 0\n      containers:\n      \
             - {{name: main, image: \"docker.io/local/pause:1\", imagePullPolicy: IfNotPresent}}\n"
        )
    };
    let first = world
        .commit("first", &[("environment.yaml", &world.environment("")), ("web.yaml", &labelled("one"))]);
    let _daemon = world.daemon();
    world.wait_for("live", &first);
    let uid = world.kube.field("deployment", &world.name, "web", "/metadata/uid");
    let second = world.commit(
        "another selector",
        &[("web.yaml", &labelled("two")), ("o.yaml", &config_map("o", "k", "v"))],
    );
    let status = world.wait_for("failed", &second);
    let refused = problem(&status, "E0402");
    assert_eq!(refused["field"], "spec.selector", "{refused:#}");
    let at = place(&refused);
    assert!(
        at.starts_with("environments/saf-immutable/web.yaml:6:")
            || at.starts_with("environments/saf-immutable/web.yaml:7:"),
        "{at}"
    );
    assert_eq!(world.kube.field("deployment", &world.name, "web", "/metadata/uid"), uid);
    assert!(world.kube.get("configmap", &world.name, "o").is_some(), "the others proceed");
}

fn job(command: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: once}}\nspec:\n  suspend: true\n  template:\n    spec:\n      restartPolicy: Never\n      \
         containers:\n      - name: main\n        image: docker.io/local/pause:1\n        env: [{{name: RUN, value: {command}}}]\n"
    )
}

#[test]
fn a_job_whose_template_changes_is_made_anew() {
    let world = World::new("saf-job");
    // Not suspended: a suspended Job may change its template in place.
    let running = |text: &str| job(text).replace("  suspend: true\n", "");
    let commit =
        world.commit("first", &[("environment.yaml", &world.environment("")), ("job.yaml", &running("one"))]);
    let _daemon = world.daemon();
    record(&world, "saf-job", "applied", |status| status["applied"]["id"] == commit.as_str());
    let uid = world.kube.field("job", &world.name, "once", "/metadata/uid");
    let commit = world.commit("second", &[("job.yaml", &running("two"))]);
    let status = record(&world, "saf-job", "applied", |status| status["applied"]["id"] == commit.as_str());
    assert_eq!(status["problems"]["total"], 0, "{status:#}");
    let pointer = "/spec/template/spec/containers/0/env/0/value";
    assert_eq!(world.kube.field("job", &world.name, "once", pointer), "two");
    assert_ne!(world.kube.field("job", &world.name, "once", "/metadata/uid"), uid);
}

#[test]
fn a_claim_is_never_made_anew() {
    let world = World::new("saf-claim");
    let claim = |class: &str| {
        format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: disk}}\nspec:\n  accessModes: [ReadWriteOnce]\n  \
             storageClassName: {class}\n  resources: {{requests: {{storage: 1Gi}}}}\n"
        )
    };
    let commit =
        world.commit("first", &[("environment.yaml", &world.environment("")), ("disk.yaml", &claim("one"))]);
    let _daemon = world.daemon();
    record(&world, "saf-claim", "applied", |status| status["applied"]["id"] == commit.as_str());
    let uid = world.kube.field("pvc", &world.name, "disk", "/metadata/uid");
    let commit = world.commit("another class", &[("disk.yaml", &claim("two"))]);
    let status = world.wait_for("failed", &commit);
    let refused = problem(&status, "E0402");
    assert!(place(&refused).starts_with("environments/saf-claim/disk.yaml:"), "{refused:#}");
    assert_eq!(world.kube.field("pvc", &world.name, "disk", "/metadata/uid"), uid);
    assert_eq!(world.kube.field("pvc", &world.name, "disk", "/spec/storageClassName"), "one");
}

#[test]
fn an_object_that_is_refused_while_it_is_taken_over_is_not_sent_again_and_again() {
    let world = World::new("rev-adopt");
    world.kube.must(&["create", "namespace", "rev-adopt"]);
    let held = format!("{}immutable: true\n", config_map("m", "k", "by-hand"));
    world.kube.apply("rev-adopt", &held);
    let files = [("environment.yaml", &*world.environment("")), ("m.yaml", &*config_map("m", "k", "git"))];
    let commit = world.commit("one", &files);
    let daemon = world.daemon();
    world.wait_for("failed", &commit);
    std::thread::sleep(Duration::from_secs(3));
    let refusals =
        daemon.log().lines().filter(|line| line.contains("ERROR") && line.contains("immutable")).count();
    assert_eq!(refusals, 1, "{}", daemon.log());
}
