//! What its controller has not looked at yet: there is nothing to be read of it, so nobody is asked, and nothing said at once.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::scene::{field_is, record};
use crate::support::{World, check, within};

/// Longer than the way to health of what controllers have looked at is left unsaid.
const PAUSE: Duration = Duration::from_secs(5);
/// Well before what controllers have not looked at is said too.
const IN_TIME: Duration = Duration::from_secs(12);
const KIND: &str = "widgets.unseen.example.dev";

/// A kind whose controller is this test.
fn define(world: &World) {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": open, "status": open}}});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": KIND},
        "spec": {"group": "unseen.example.dev", "scope": "Namespaced",
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema, "subresources": {"status": {}}}],
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"}}
    });
    world.kube.run_with(&["apply", "-f", "-"], &definition.to_string()).unwrap();
    world.kube.must(&["wait", "--for=condition=Established", "--timeout=30s", "crd", KIND]);
}

fn forget(world: &World) {
    world.kube.must(&["delete", "crd", KIND, "--ignore-not-found", "--timeout=60s"]);
}

fn widget(size: &str) -> String {
    format!(
        "apiVersion: unseen.example.dev/v1\nkind: Widget\nmetadata: {{name: w}}\nspec: {{size: {size}, selector: {{matchLabels: {{app: w}}}}}}\n"
    )
}

/// The controller has looked at this generation, and is done.
fn look(world: &World, generation: u32) {
    let ready = json!([{"type": "Ready", "status": "True"}]);
    let patch = json!({"status": {"observedGeneration": generation, "conditions": ready}}).to_string();
    let arguments =
        ["patch", KIND, "w", "-n", &world.name, "--subresource=status", "--type=merge", "-p", &patch];
    world.kube.must(&arguments);
}

#[test]
fn until_controllers_have_looked_no_pods_are_listed_and_one_record_says_it_all() {
    let world = World::new("unseen");
    forget(&world);
    define(&world);
    let environment = world.environment("");
    let first = world.commit("one", &[("environment.yaml", &environment), ("widget.yaml", &widget("one"))]);
    let (daemon, audited) = world.audited_daemon();
    field_is(&world, KIND, &world.name, "w", "/spec/size", "one");
    look(&world, 1);
    world.wait_for("live", &first);
    // It was live before, without conditions to judge by: the record that has seen them may come a second later.
    record(&world, &world.name, "the controller's word is recorded", |status| {
        status["reason"].to_string().contains("all 2 objects are healthy")
    });

    let mark = audited.mark();
    let second = world.commit("two", &[("widget.yaml", &widget("two"))]);
    field_is(&world, KIND, &world.name, "w", "/spec/size", "two");
    let applied = Instant::now();
    std::thread::sleep(PAUSE);
    let before = world.status();
    look(&world, 2);
    let in_time = applied.elapsed() < IN_TIME;
    let status = world.wait_for("live", &second);
    let sent = audited.since(&mark);
    let all: Vec<String> = sent.iter().map(ToString::to_string).collect();
    assert!(!all.iter().any(|request| request.contains("/pods")), "{}\n{}", all.join("\n"), daemon.log());
    let parent = format!("/configmaps/tidegate-{}?", world.name);
    let written = sent.iter().filter(|request| request.is_write() && request.uri.contains(&parent)).count();
    // A machine that stood still meanwhile has it recorded, rightly.
    if in_time {
        assert_eq!(before["state"], "live", "{before:#}");
        assert_eq!(written, 2, "the claim and the record\n{}\n{status:#}", all.join("\n"));
    }
    // One whose controller does not look at all is said.
    let limit = Duration::from_secs(45);
    world.commit("three", &[("widget.yaml", &widget("three"))]);
    within(limit, "it is on its way", || {
        let state = world.status()["state"].clone();
        check(state == "progressing", state.to_string())
    });
    let reason = "has seen generation 2, not yet 3";
    record(&world, &world.name, reason, |status| status["reason"].to_string().contains(reason));
    forget(&world);
}
