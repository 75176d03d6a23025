//! Health of custom kinds by rules.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{found, named, read};
use crate::health::{Health, HealthState, judge};
use crate::object::{Gvk, Scope};
use crate::observed::Observed;
use crate::policy::{Policies, PolicyFolder};
use crate::summarize::{Detail, detail_of, id_of, summarize};

const READY: &str = "object.status.phase == 'Running'";

fn text(name: &str, spec: &str) -> String {
    format!("apiVersion: tidegate.dev/v1\nkind: HealthRule\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

fn rule(further: &str) -> Policies {
    let text = text("db", &format!("{{group: example.com, kind: Database, healthy: \"{READY}\"{further}}}"));
    read(&text).select(&[named("db")]).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

/// How an object is that a watch has seen.
fn health(policies: &Policies, object: &Value) -> Health {
    let gvk = Gvk::from_api_version("example.com/v1", "Database");
    assert_eq!(detail_of(&gvk), Detail::Whole, "the kind is watched whole");
    let mut object = object.clone();
    object["metadata"]["name"] = json!("main");
    let id = id_of(&gvk, Scope::Namespaced, &object).expect("it has a name");
    let mut observed = Observed::default();
    observed.objects.insert(id.clone(), Arc::new(summarize(&gvk, Detail::Whole, &object)));
    judge(&policies.health_rules, &mut observed);
    observed.objects[&id].health.clone().expect("it is judged")
}

fn phase(phase: &str) -> Value {
    json!({ "status": { "phase": phase } })
}

#[test]
fn a_kind_without_a_rule_is_unknown_and_one_with_a_rule_is_judged_by_it() {
    let none = health(&Policies::default(), &phase("Running"));
    assert_eq!(
        (none.state, none.reason.as_str()),
        (HealthState::Unknown, "its kind has no health rule and it has no Ready condition")
    );
    let ruled = health(&rule(""), &phase("Running"));
    assert_eq!(
        (ruled.state, ruled.reason.as_str()),
        (HealthState::Healthy, "it is healthy, by the health rule `db`")
    );
    assert_eq!(health(&rule(""), &phase("Starting")).state, HealthState::Progressing);
}

#[test]
fn what_is_not_there_is_not_true() {
    let health = health(&rule(""), &json!({ "spec": {} }));
    assert_eq!(
        (health.state, health.reason.as_str()),
        (HealthState::Progressing, "it is not healthy yet, by the health rule `db`")
    );
}

#[test]
fn degraded_comes_first_and_what_nothing_speaks_for_is_unknown() {
    let all = rule(
        ", degraded: \"object.status.phase in ['Failed', 'Both']\", progressing: \"object.status.phase == 'Starting'\", \
         messageExpression: \"'phase ' + object.status.phase\"",
    );
    let said = |text: &str| {
        let health = health(&all, &phase(text));
        (health.state, health.reason)
    };
    assert_eq!(said("Failed"), (HealthState::Degraded, "phase Failed".to_owned()));
    assert_eq!(said("Running"), (HealthState::Healthy, "phase Running".to_owned()));
    assert_eq!(said("Starting"), (HealthState::Progressing, "phase Starting".to_owned()));
    assert_eq!(said("Asleep").0, HealthState::Unknown);
    assert_eq!(said("Fa\u{1b}[31m").1, "phase Fa [31m", "no controller writes to a terminal by this way");
}

#[test]
fn what_holds_for_every_kind_comes_before_a_rule() {
    let mut object = phase("Running");
    object["metadata"] = json!({ "deletionTimestamp": "2026-11-22T00:00:00Z" });
    assert_eq!(health(&rule(""), &object).reason, "it is being deleted");
    let mut object = phase("Running");
    object["metadata"] = json!({ "generation": 2 });
    object["status"]["observedGeneration"] = json!(1);
    assert_eq!(
        health(&rule(""), &object).state,
        HealthState::Progressing,
        "the phase is about an older spec"
    );
}

#[test]
fn a_rule_that_cannot_be_evaluated_says_so_and_never_healthy() {
    let broken = rule(", degraded: object.status.phase + 1 == 2");
    let health = health(&broken, &phase("Running"));
    let reason = "its health rule `db` cannot be evaluated: it puts values together that do not go together";
    assert_eq!((health.state, health.reason.as_str()), (HealthState::Unknown, reason));
}

#[test]
fn an_object_that_is_too_large_to_be_kept_is_unknown() {
    let mut object = phase("Running");
    object["spec"] = json!({ "blob": "x".repeat(70_000) });
    let health = health(&rule(""), &object);
    assert_eq!(
        (health.state, health.reason.as_str()),
        (HealthState::Unknown, "it is too large for its health rule `db`")
    );
}

#[test]
fn an_environment_has_one_rule_for_a_kind() {
    let spec = format!("{{group: example.com, kind: Database, healthy: \"{READY}\"}}");
    let both = format!("{}---\n{}", text("a", &spec), text("b", &spec));
    let folder = PolicyFolder::read(&[("policies/p.yaml", both.as_bytes())].into_iter().collect());
    assert!(folder.select(&[named("a")]).is_ok() && folder.select(&[named("b")]).is_ok());
    let problems = folder.select(&[named("a"), named("b")]).expect_err("two rules");
    let message = "environments/dev/environment.yaml:1:1: error[E0201]: `a` and `b` are both the health rule of Database";
    assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [message]);
}

#[test]
fn every_mistake_of_a_health_rule_is_named_at_its_place() {
    let cases = [
        ("{kind: A, healthy: 'true'}", "4:1: spec.group is missing"),
        ("{group: a.io, healthy: 'true'}", "4:1: spec.kind is missing"),
        ("{group: a.io, kind: A}", "4:1: spec.healthy is missing"),
        (
            "{group: apps, kind: Deployment, healthy: 'true'}",
            "4:15: apps is a group of Kubernetes itself, whose kinds have rules of their own",
        ),
        (
            "{group: a.io, kind: A, healthy: 'status.ok'}",
            "4:39: spec.healthy: there is no variable `status`; known: object",
        ),
        ("{group: a.io, kind: A, healthy: 'true', suspended: 'true'}", "4:47: unknown field spec.suspended"),
    ];
    for (spec, expected) in cases {
        let found = found(&text("a", spec));
        assert_eq!(found.first().map(String::as_str), Some(expected), "{spec}: {found:?}");
    }
}
