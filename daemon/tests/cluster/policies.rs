//! Policies on a real cluster: health rules of custom kinds, guardrails.

use serde_json::{Value, json};

use crate::kinds::Definition;
use crate::scene::{place, problem};
use crate::support::{World, check, config_map, eventually};

/// Writes a policy into the folder of the next commit.
fn policy(world: &World, kind: &str, name: &str, spec: &str) {
    let text =
        format!("apiVersion: tidegate.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n");
    world.repo.write(&format!("policies/{name}.yaml"), &text);
}

fn health_rule(world: &World, healthy: &str) {
    let spec = format!(
        "{{group: {}.example.dev, kind: Widget, healthy: \"{healthy}\", degraded: \"object.status.phase == 'Failed'\", \
         messageExpression: \"'the widget says ' + object.status.phase\"}}",
        world.name
    );
    policy(world, "HealthRule", "widgets", &spec);
}

/// What a controller would write.
fn says(world: &World, definition: &Definition<'_>, phase: &str) {
    let patch = json!({"status": {"phase": phase}}).to_string();
    let resource = definition.resource("v1");
    world.kube.must(&["patch", &resource, "w", "-n", &world.name, "--type=merge", "-p", &patch]);
}

fn until(world: &World, state: &str, words: &str) -> Value {
    eventually(&format!("the environment is {state}: {words}"), || {
        let status = world.status();
        let reason = status["objects"]["items"][0]["reason"].as_str().unwrap_or_default();
        check(status["state"] == state && reason.contains(words), format!("{status:#}"))?;
        Ok(status)
    })
}

#[test]
fn a_health_rule_says_how_objects_of_a_custom_kind_are_and_a_change_of_it_counts_at_once() {
    let world = World::new("policy-health");
    let definition = Definition::new(&world);
    definition.serve(&[("v1", true)]);
    health_rule(&world, "object.status.phase == 'Running'");
    let environment = world.environment("  policies: [widgets]\n");
    let commit =
        world.commit("one", &[("environment.yaml", &environment), ("widget.yaml", &definition.widget("v1"))]);
    let _daemon = world.daemon();
    until(&world, "progressing", "it is not healthy yet, by the health rule `widgets`");
    says(&world, &definition, "Running");
    let status = world.wait_for("live", &commit);
    assert_eq!(status["counts"]["unknown"], 0, "{status:#}");
    says(&world, &definition, "Failed");
    until(&world, "degraded", "the widget says Failed");
    // Only the policy changes; nothing in the cluster does.
    health_rule(&world, "object.status.phase in ['Running', 'Asleep']");
    says(&world, &definition, "Asleep");
    let commit = world.commit("another rule", &[]);
    world.wait_for("live", &commit);
}

#[test]
fn a_guardrail_keeps_a_commit_from_being_applied_until_it_is_kept_or_only_warns() {
    let world = World::new("policy-guard");
    let rule = "{match: {kinds: [ConfigMap]}, ACTION validations: [{expression: object.data.key != 'bad', message: never bad}]}";
    policy(&world, "Guardrail", "never", &rule.replace("ACTION", "action: deny,"));
    let environment = world.environment("  policies: [never]\n");
    let good = world
        .commit("good", &[("environment.yaml", &environment), ("a.yaml", &config_map("a", "key", "fine"))]);
    let _daemon = world.daemon();
    world.wait_for("live", &good);
    let bad = world.commit("bad", &[("a.yaml", &config_map("a", "key", "bad"))]);
    let status = world.wait_for("failed", &bad);
    let broken = problem(&status, "E0309");
    assert_eq!(broken["message"], "never bad (guardrail `never`)", "{broken:#}");
    assert!(place(&broken).starts_with("environments/policy-guard/a.yaml:1:"), "{broken:#}");
    assert_eq!(broken["related"][0]["location"]["file"], "policies/never.yaml", "{broken:#}");
    assert_eq!(world.kube.field("configmap", &world.name, "a", "/data/key"), "fine", "nothing was applied");
    policy(&world, "Guardrail", "never", &rule.replace("ACTION", "action: warn,"));
    let warned = world.commit("only a warning", &[]);
    world.wait_for("live", &warned);
    assert_eq!(world.kube.field("configmap", &world.name, "a", "/data/key"), "bad");
}
