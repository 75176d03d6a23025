//! Rules on rendered objects.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{found, named, read};
use crate::location::{Location, Position};
use crate::object::{DesiredObject, Gvk, ObjectRef};
use crate::policy::Policies;
use crate::yaml::Spans;

fn text(spec: &str) -> String {
    format!("apiVersion: tidegate.dev/v1\nkind: Guardrail\nmetadata: {{name: g}}\nspec:\n  {spec}\n")
}

fn guardrail(spec: &str) -> Policies {
    let text = text(spec);
    read(&text).select(&[named("g")]).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

fn object(api_version: &str, kind: &str, value: Value) -> Arc<DesiredObject> {
    let gvk = Gvk::from_api_version(api_version, kind);
    let reference = ObjectRef { gvk, namespace: Some("shop".to_owned()), name: "api".to_owned() };
    let position = Position { line: 7, column: 3 };
    let mut value = value;
    value["apiVersion"] = json!(api_version);
    value["kind"] = json!(kind);
    Arc::new(DesiredObject::new(reference, value, Spans::new("app/api.yaml".into(), position), 0))
}

fn deployment(replicas: u32) -> Arc<DesiredObject> {
    let labels = json!({ "tier": "front" });
    object(
        "apps/v1",
        "Deployment",
        json!({ "metadata": { "labels": labels }, "spec": { "replicas": replicas } }),
    )
}

/// What is said, without the place.
fn said(policies: &Policies, object: Arc<DesiredObject>) -> Vec<String> {
    policies.check(&[object]).into_iter().map(|problem| problem.message).collect()
}

const TWO: &str = "{match: {kinds: [Deployment]}, validations: [{expression: object.spec.replicas >= 2, message: two at least}]}";

#[test]
fn a_broken_rule_is_said_at_the_object_with_the_place_of_the_rule() {
    let policies = guardrail(TWO);
    assert_eq!(policies.check(&[deployment(2)]), []);
    let problems = policies.check(&[deployment(1)]);
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["app/api.yaml:7:3: error[E0309]: Deployment shop/api: two at least (guardrail `g`)"]);
    let rule: &Location = &problems[0].related[0].location;
    assert_eq!(rule.to_string(), "policies/p.yaml:5:48");
}

#[test]
fn a_guardrail_that_warns_keeps_nothing_from_being_applied() {
    let policies = guardrail(&TWO.replace("{match", "{action: warn, match"));
    let problems = policies.check(&[deployment(1)]);
    assert!(problems.len() == 1 && !problems[0].is_error(), "{problems:#?}");
}

#[test]
fn rules_are_for_the_objects_that_match() {
    let with = |matches: &str| {
        let policies = guardrail(&format!(
            "{{match: {matches}, validations: [{{expression: 'false', message: never}}]}}"
        ));
        let config = object("v1", "ConfigMap", json!({ "metadata": {} }));
        let certificate = object("cert-manager.io/v1", "Certificate", json!({ "metadata": {} }));
        let objects = [deployment(1), config, certificate];
        let hit: Vec<String> = policies
            .check(&objects)
            .iter()
            .filter_map(|problem| Some(problem.object.as_ref()?.gvk.kind.clone()))
            .collect();
        hit.join(" ")
    };
    assert_eq!(with("{kinds: [ConfigMap, Deployment]}"), "Deployment ConfigMap");
    assert_eq!(with("{kinds: ['*']}"), "Deployment ConfigMap Certificate");
    assert_eq!(with("{kinds: ['*'], groups: ['']}"), "ConfigMap");
    assert_eq!(with("{kinds: ['*'], groups: [apps, cert-manager.io]}"), "Deployment Certificate");
    assert_eq!(with("{kinds: ['*'], selector: {matchLabels: {tier: front}}}"), "Deployment");
    let exempt = "{kinds: ['*'], selector: {matchExpressions: [{key: tier, operator: DoesNotExist}]}}";
    assert_eq!(with(exempt), "ConfigMap Certificate");
}

#[test]
fn what_is_said_is_made_of_the_object_where_it_can_be() {
    let with = |rest: &str| {
        guardrail(&format!(
            "{{match: {{kinds: [Deployment]}}, validations: [{{expression: object.spec.replicas >= 2{rest}}}]}}"
        ))
    };
    let made = with(", message: plain, messageExpression: \"'only ' + string(object.spec.replicas)\"");
    assert_eq!(said(&made, deployment(1)), ["only 1 (guardrail `g`)"]);
    let failing = with(", message: plain, messageExpression: object.spec.nothing");
    assert_eq!(said(&failing, deployment(1)), ["plain (guardrail `g`)"]);
    assert_eq!(said(&with(""), deployment(1)), ["`object.spec.replicas >= 2` is not true (guardrail `g`)"]);
}

#[test]
fn a_rule_that_cannot_be_evaluated_is_a_broken_one() {
    let policies = guardrail(
        "{match: {kinds: [Deployment]}, validations: [{expression: object.spec.paused, message: a}]}",
    );
    let problems = policies.check(&[deployment(1)]);
    let message = "`object.spec.paused` cannot be checked: the object has no `paused` there; ask `has(...)` first (guardrail `g`)";
    assert_eq!((problems[0].message.as_str(), problems[0].is_error()), (message, true));
    assert!(problems[0].help.is_some());
}

#[test]
fn the_value_of_a_secret_is_in_no_message() {
    let rule = "{match: {kinds: [Secret]}, validations: [{expression: 'false', messageExpression: \"object.data.k + '!'\"}]}";
    let secret = object("v1", "Secret", json!({ "metadata": {}, "data": { "k": "aHVudGVyMg==" } }));
    assert_eq!(said(&guardrail(rule), secret), ["! (guardrail `g`)"]);
}

#[test]
fn every_mistake_of_a_guardrail_is_named_at_its_place() {
    let rule = "validations: [{expression: 'true'}]";
    let cases = [
        (format!("{{{rule}}}"), "4:1: spec.match is missing"),
        ("{match: {kinds: [a]}}".to_owned(), "4:1: spec.validations is missing"),
        (format!("{{match: {{}}, {rule}}}"), "5:4: spec.match.kinds is missing"),
        (
            format!("{{match: {{kinds: []}}, {rule}}}"),
            "5:12: spec.match.kinds must be a sequence of 1 to 100 items",
        ),
        (
            format!("{{match: {{kinds: [a], groups: [A_b]}}, {rule}}}"),
            "5:33: spec.match.groups[0] must be a name of a-z, 0-9, `-` and `.`",
        ),
        (
            format!("{{match: {{kinds: [a]}}, action: refuse, {rule}}}"),
            "5:33: spec.action must be deny or warn",
        ),
        (
            "{match: {kinds: [a]}, validations: [{expresion: 'true'}]}".to_owned(),
            "5:39: spec.validations[0].expression is missing",
        ),
        (
            "{match: {kinds: [a]}, validations: [{expression: 'objekt == 1'}]}".to_owned(),
            "5:52: spec.validations[0].expression: there is no variable `objekt`; did you mean `object`?",
        ),
        (
            "{match: {kinds: [a]}, validations: [{expression: 'true', messageExpression: '1 +'}]}".to_owned(),
            "5:79: spec.validations[0].messageExpression: it is not CEL",
        ),
    ];
    for (spec, expected) in cases {
        let found = found(&text(&spec));
        let first = found.first().map(String::as_str).unwrap_or_default();
        assert!(first.starts_with(expected), "{spec}: {found:?}");
    }
}
