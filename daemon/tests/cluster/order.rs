//! What comes first: definitions before their objects, earlier waves before later ones, namespaces before all.

use std::time::Duration;

use serde_json::Value;

use crate::scene::{bare_environment, gone, place, problem, reason_of, record};
use crate::support::{World, check, config_map, deployment, within};

fn definition(group: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: boats.{group}}}\nspec:\n  group: {group}\n  \
         names: {{plural: boats, singular: boat, kind: Boat, listKind: BoatList}}\n  scope: Namespaced\n  versions:\n  \
         - name: v1\n    served: true\n    storage: true\n    schema:\n      openAPIV3Schema:\n        type: object\n        \
         properties: {{spec: {{type: object, properties: {{masts: {{type: integer}}}}}}}}\n"
    )
}

fn boat(group: &str, name: &str) -> String {
    format!("apiVersion: {group}/v1\nkind: Boat\nmetadata: {{name: {name}}}\nspec: {{masts: 2}}\n")
}

#[test]
fn a_definition_and_its_objects_come_in_one_commit_and_go_in_one_where_that_is_allowed() {
    let world = World::new("saf-crd");
    let group = "saf-crd.example.com";
    let kind = format!("boats.{group}");
    let _ = world.kube.run(&["delete", "crd", &kind, "--ignore-not-found"]);
    let environment = |allow: &str| {
        let further = format!(
            "  createNamespaces: true\n  prune: {{budget: {{max: 10, percent: 100}}, allow: [Namespace{allow}]}}\n  clusterScoped: [CustomResourceDefinition]\n"
        );
        bare_environment("saf-crd", "saf-crd", &further)
    };
    let commit = world.commit(
        "boats",
        &[
            ("environment.yaml", &environment("")),
            ("definition.yaml", &definition(group)),
            ("a.yaml", &boat(group, "a")),
            ("b.yaml", &boat(group, "b")),
            ("keep.yaml", &config_map("keep", "k", "v")),
        ],
    );
    let _daemon = world.daemon();
    world.wait_for("live", &commit);
    assert_eq!(world.kube.field(&kind, "saf-crd", "a", "/spec/masts"), 2);

    for file in ["definition.yaml", "a.yaml", "b.yaml"] {
        world.repo.remove(&format!("environments/saf-crd/{file}"));
    }
    let commit = world.repo.commit("no boats");
    let status = world.wait_for("live", &commit);
    gone(&world, &kind, "saf-crd", "a");
    assert!(
        world.kube.get("crd", "default", &kind).is_some(),
        "a definition goes only where that is allowed"
    );
    let kept = reason_of(&status, "CustomResourceDefinition", &kind);
    assert!(kept.contains("prune.allow"), "{kept}: {status:#}");

    let commit = world.commit("allowed", &[("environment.yaml", &environment(", CustomResourceDefinition"))]);
    world.wait_for("live", &commit);
    gone(&world, "crd", "default", &kind);
}

#[test]
fn an_unknown_kind_is_named_with_the_nearest_and_nothing_is_sent() {
    let world = World::new("saf-unknown");
    let odd = "apiVersion: apps/v1\nkind: Deploymnet\nmetadata: {name: web}\nspec: {}\n";
    let commit = world.commit(
        "odd",
        &[
            ("environment.yaml", &world.environment("")),
            ("odd.yaml", odd),
            ("other.yaml", &config_map("other", "k", "v")),
        ],
    );
    let _daemon = world.daemon();
    let status = world.wait_for("failed", &commit);
    let unknown = problem(&status, "E0304");
    assert!(place(&unknown).starts_with("environments/saf-unknown/odd.yaml:"), "{unknown:#}");
    let said = format!("{} {}", unknown["message"], unknown["help"]);
    assert!(said.contains("Deployment"), "{said}");
    assert!(world.kube.get("namespace", "default", "saf-unknown").is_none(), "nothing was sent");
}

#[test]
fn a_later_wave_waits_until_the_earlier_one_is_healthy() {
    let world = World::new("saf-wave");
    let stuck = deployment("first", 1, "").replace(
        "      terminationGracePeriodSeconds: 0\n",
        "      terminationGracePeriodSeconds: 0\n      nodeSelector: {there: none}\n",
    );
    let second = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: second\n  annotations: {tidegate.dev/wave: \"1\"}\ndata: {k: v}\n";
    let commit = world.commit(
        "waves",
        &[("environment.yaml", &world.environment("")), ("first.yaml", &stuck), ("second.yaml", second)],
    );
    let _daemon = world.daemon();
    let status = record(&world, "saf-wave", "the second waits", |status| {
        status["seen"]["id"] == commit.as_str() && reason_of(status, "ConfigMap", "second").contains("wave 0")
    });
    assert!(world.kube.get("configmap", "saf-wave", "second").is_none(), "{status:#}");
    let commit = world.commit("schedulable", &[("first.yaml", &deployment("first", 1, ""))]);
    world.wait_for("live", &commit);
    assert!(world.kube.get("configmap", "saf-wave", "second").is_some());
}

#[test]
fn several_namespaces_are_made_before_what_is_in_them() {
    let world = World::new("saf-spaces");
    let other =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: there, namespace: saf-spaces-b}\ndata: {k: v}\n";
    let environment = bare_environment(
        "saf-spaces",
        "saf-spaces, saf-spaces-b",
        "  createNamespaces: true\n  prune: {allow: [Namespace]}\n",
    );
    let commit = world.commit(
        "two namespaces",
        &[
            ("environment.yaml", &environment),
            ("here.yaml", &config_map("here", "k", "v")),
            ("there.yaml", other),
        ],
    );
    let _daemon = world.daemon();
    let status = world.wait_for("live", &commit);
    assert_eq!(status["counts"]["objects"], 4, "{status:#}");
    assert!(world.kube.get("configmap", "saf-spaces", "here").is_some());
    assert!(world.kube.get("configmap", "saf-spaces-b", "there").is_some());
}

#[test]
fn a_namespace_off_the_list_is_refused_before_anything_is_sent() {
    let world = World::new("saf-foreign");
    let foreign =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: kube-system\ndata: {k: v}\n";
    let commit = world.commit(
        "foreign",
        &[
            ("environment.yaml", &world.environment("")),
            ("x.yaml", foreign),
            ("here.yaml", &config_map("here", "k", "v")),
        ],
    );
    let _daemon = world.daemon();
    let status = world.wait_for("failed", &commit);
    let refused = problem(&status, "E0305");
    assert_eq!(place(&refused), "environments/saf-foreign/x.yaml:5:14", "{refused:#}");
    assert!(world.kube.get("configmap", "kube-system", "x").is_none());
    assert!(world.kube.get("namespace", "default", "saf-foreign").is_none(), "nothing was sent");
}

#[test]
fn a_namespace_that_nobody_makes_is_named_and_found_once_it_is_there() {
    let world = World::new("saf-nospace");
    let commit = world.commit(
        "no namespace",
        &[
            ("environment.yaml", &bare_environment("saf-nospace", "saf-nospace", "")),
            ("here.yaml", &config_map("here", "k", "v")),
        ],
    );
    let _daemon = world.daemon();
    let status = world.wait_for("failed", &commit);
    let refused = problem(&status, "E0401");
    assert!(refused["help"].as_str().is_some_and(|help| help.contains("createNamespaces")), "{refused:#}");
    world.kube.must(&["create", "namespace", "saf-nospace"]);
    assert_eq!(world.tidegate(&["sync", "saf-nospace"]).code, 0);
    within(Duration::from_secs(15), "live", || {
        let status: Value = world.status();
        check(status["state"] == "live", format!("{status:#}"))
    });
}
