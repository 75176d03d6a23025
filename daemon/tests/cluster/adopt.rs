//! Objects that exist before us: taken over when nobody claims them, refused when somebody does.

use std::time::Duration;

use serde_json::Value;

use crate::kinds::Definition;
use crate::support::{World, check, config_map, environment, eventually};

/// The namespace, made by hand, and objects in it.
fn prepare(world: &World, objects: &[&str]) {
    world.kube.must(&["create", "namespace", &world.name]);
    for object in objects {
        world.kube.apply(&world.name, object);
    }
}

fn ownership_problem(world: &World, environment: &str) -> Value {
    eventually("refused with E0403", || {
        let status = world.status_of(environment);
        let all = status["problems"]["items"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|problem| problem["code"] == "E0403").ok_or_else(|| format!("{status:#}"))
    })
}

#[test]
fn an_unmarked_object_that_exists_is_taken_over_and_the_log_says_so() {
    let world = World::new("adopt-plain");
    let by_hand = config_map("settings", "colour", "red").replace("\ndata: {", "\ndata: {old: \"x\", ");
    prepare(&world, &[&by_hand]);
    let before = world.kube.field("configmap", "adopt-plain", "settings", "/metadata/uid");
    let commit = world.commit(
        "settings",
        &[
            ("environment.yaml", &world.environment("")),
            ("settings.yaml", &config_map("settings", "colour", "blue")),
        ],
    );
    let daemon = world.daemon();
    world.wait_for("live", &commit);
    let live = world.kube.get("configmap", "adopt-plain", "settings").unwrap();
    assert_eq!(live["metadata"]["uid"], before, "it is the same object");
    assert_eq!(live["data"], serde_json::json!({"colour": "blue"}), "what kubectl added goes");
    assert_eq!(live["metadata"]["labels"]["tidegate.dev/environment"], "adopt-plain");
    let log = daemon.log();
    let said = log.lines().any(|line| line.contains("taken over") && line.contains("settings"));
    assert!(said, "{log}");
}

/// One object with the marks of a tool: refused, with what to write to take it over, and then taken over.
fn refused_until_adopted(name: &str, tool: &str, metadata: &str) {
    let world = World::new(name);
    let theirs = config_map("settings", "colour", "red")
        .replace("{name: settings}", &format!("{{name: settings, {metadata}}}"));
    prepare(&world, &[&theirs]);
    let first = world.commit(
        "settings",
        &[
            ("environment.yaml", &world.environment("")),
            ("settings.yaml", &config_map("settings", "colour", "blue")),
            ("other.yaml", &config_map("other", "colour", "blue")),
        ],
    );
    let _daemon = world.daemon();
    let problem = ownership_problem(&world, name);
    let text = problem.to_string();
    assert!(problem["message"].as_str().unwrap().contains(tool), "{text}");
    let wanted = format!("ConfigMap {name}/settings");
    assert!(problem["help"].as_str().unwrap().contains(&format!("adopt: [\"{wanted}\"]")), "{text}");
    assert!(text.contains("settings.yaml"), "it says which file asks: {text}");
    let colour = |object: &str| world.kube.field("configmap", name, object, "/data/colour");
    eventually("the other object is applied", || check(colour("other") == "blue", "it is not"));
    let status = world.status();
    assert_eq!(status["state"], "failed", "{status:#}");
    assert_ne!(status["applied"]["id"], first.as_str(), "{status:#}");
    assert_eq!(colour("settings"), "red", "nothing was written");
    let adopted = world
        .commit("adopt", &[("environment.yaml", &world.environment(&format!("  adopt: [\"{wanted}\"]\n")))]);
    world.wait_for("live", &adopted);
    assert_eq!(colour("settings"), "blue");
}

#[test]
fn a_custom_object_that_exists_is_not_written_over_unseen() {
    let world = World::new("adopt-custom");
    let definition = Definition::new(&world);
    definition.serve(&[("v1", true)]);
    let theirs = definition.widget("v1").replace("one", "theirs");
    let marked = theirs.replace("{name: w}", "{name: w, annotations: {meta.helm.sh/release-name: shop}}");
    prepare(&world, &[&marked]);
    world.commit(
        "widget",
        &[("environment.yaml", &world.environment("")), ("widget.yaml", &definition.widget("v1"))],
    );
    let _daemon = world.daemon();
    ownership_problem(&world, "adopt-custom");
    let size = world.kube.field(&definition.resource("v1"), "adopt-custom", "w", "/spec/size");
    assert_eq!(size, "theirs");
}

#[test]
fn an_object_of_helm_is_refused_until_it_is_named() {
    refused_until_adopted(
        "adopt-helm",
        "Helm",
        "labels: {app.kubernetes.io/managed-by: Helm}, annotations: {meta.helm.sh/release-name: shop, meta.helm.sh/release-namespace: x}",
    );
}

#[test]
fn an_object_of_argo_cd_is_refused_until_it_is_named() {
    refused_until_adopted(
        "adopt-argo",
        "Argo CD",
        "annotations: {argocd.argoproj.io/tracking-id: \"shop:/ConfigMap:x/settings\"}",
    );
}

#[test]
fn an_object_of_flux_is_refused_until_it_is_named() {
    refused_until_adopted(
        "adopt-flux",
        "Flux",
        "labels: {kustomize.toolkit.fluxcd.io/name: shop, kustomize.toolkit.fluxcd.io/namespace: x}",
    );
}

#[test]
fn an_object_of_another_apply_set_is_refused_until_it_is_named() {
    refused_until_adopted(
        "adopt-set",
        "applyset-x-v1",
        "labels: {applyset.kubernetes.io/part-of: applyset-x-v1}",
    );
}

#[test]
fn of_two_environments_that_claim_one_object_the_second_is_refused_and_the_first_is_named() {
    let world = World::new("adopt-two");
    let second = "adopt-two-b";
    let commit = world.commit(
        "first",
        &[
            ("environment.yaml", &world.environment("")),
            ("settings.yaml", &config_map("settings", "colour", "blue")),
        ],
    );
    let daemon = world.daemon();
    world.wait_for("live", &commit);
    let folder = format!("environments/{second}");
    world.repo.write(
        &format!("{folder}/environment.yaml"),
        &environment(second, "adopt-two", "").replace("  createNamespaces: true\n", ""),
    );
    world.repo.write(&format!("{folder}/settings.yaml"), &config_map("settings", "colour", "red"));
    world.repo.write(&format!("{folder}/own.yaml"), &config_map("own", "colour", "red"));
    world.repo.commit("second");
    let problem = ownership_problem(&world, second);
    assert!(problem["message"].as_str().unwrap().contains("`adopt-two`"), "{problem:#}");
    eventually("its own object is applied", || {
        check(world.kube.get("configmap", "adopt-two", "own").is_some(), "it is not")
    });
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(world.kube.field("configmap", "adopt-two", "settings", "/data/colour"), "blue");
    let first = world.status();
    assert_eq!(first["state"], "live", "{first:#}");
    assert_eq!(first["drift"], serde_json::json!([]), "{first:#}");
    // It leaves the first environment: the second may have it then, and it is never deleted in between by the first's prune.
    let log = daemon.log();
    assert!(log.contains("E0403") || log.contains("belongs to the environment"), "{log}");
}
