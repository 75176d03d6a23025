//! What rolls out, what stays ordinary, and which Services are which.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;

use super::super::{Colours, Split};
use super::shop::{Shop, autoscaler, budget, config_map, policy, service};
use crate::location::Location;
use crate::policy::{Gate, GateKind, LabelSelector, LbHealthGate, Mode};
use crate::problem::{Code, Severity};
use crate::rollout::{self, Autoscaler, GateName, Gates, Size};

fn names(objects: &[std::sync::Arc<crate::object::DesiredObject>]) -> Vec<String> {
    objects.iter().map(|object| object.reference.to_string()).collect()
}

#[test]
fn what_belongs_to_a_workload_is_the_rollouts_and_the_rest_stays_ordinary() {
    let shop = Shop::new()
        .with(autoscaler("web"))
        .with(budget("web", &json!({ "matchLabels": { "app": "web" } })))
        .with(config_map("settings", "info"));
    let shop = shop
        .web("/spec/template/spec/volumes", json!([{ "name": "a", "configMap": { "name": "settings" } }]));
    let split = shop.split();
    assert_eq!(names(&split.ordinary), ["ConfigMap shop/settings"], "its plain name stays");
    let workload = shop.workload();
    assert_eq!(workload.mode, Colours::Coloured);
    assert_eq!(workload.size, Size { replicas: 3, autoscaler: Some(Autoscaler { min: 2, max: 9 }) });
    let ids: Vec<String> = workload.ids().iter().map(ToString::to_string).collect();
    assert_eq!(
        ids,
        [
            "Service shop/web",
            "Deployment shop/web",
            "HorizontalPodAutoscaler shop/web",
            "PodDisruptionBudget shop/web"
        ]
    );
}

#[test]
fn without_a_policy_everything_is_ordinary() {
    let split = Shop { policies: Vec::new(), ..Shop::new() }.split();
    assert_eq!(split.ordinary.len(), 2);
    assert!(split.workloads.is_empty() && split.problems.is_empty());
}

#[test]
fn a_policy_that_matches_nothing_is_warned_of_where_it_stands() {
    let mut shop = Shop::new();
    let mut other = policy("other");
    let selector =
        LabelSelector { labels: [("team".to_owned(), "stock".to_owned())].into(), expressions: Vec::new() };
    other.matches.names.clear();
    other.matches.selector = Some(selector);
    shop.policies.push(other);
    let split = shop.split();
    assert_eq!(split.workloads.len(), 1);
    let found: Vec<_> =
        split.problems.iter().map(|problem| (problem.severity, problem.to_string())).collect();
    let text = "policies/other.yaml:1:1: warning[E0602]: the rollout policy `other` matches nothing in this environment";
    assert_eq!(found, [(Severity::Warning, text.to_owned())]);
}

#[test]
fn two_policies_for_one_workload_are_refused_with_both_places() {
    let mut shop = Shop::new();
    shop.policies.push(policy("careful"));
    let message = shop.refusal(Code::RolloutPolicies);
    assert!(message.contains("several rollout policies match it: `blue-green`, `careful`"), "{message}");
    let related: Vec<String> =
        shop.split().problems[0].related.iter().map(|related| related.location.to_string()).collect();
    assert_eq!(related, ["policies/blue-green.yaml:1:1", "policies/careful.yaml:1:1"]);
}

#[test]
fn further_services_follow_or_select_both_colours_as_they_say() {
    let shop = Shop::new()
        .with(service("web-metrics"))
        .with(service("web-peers"))
        .set("Service", "web-metrics", "/metadata/annotations", json!({ "tidegate.dev/role": "both" }))
        .set("Service", "web-peers", "/metadata/labels", json!({ "tidegate.dev/role": "follow" }))
        .set("Service", "web-peers", "/spec/clusterIP", json!("None"));
    let workload = shop.workload();
    assert_eq!(workload.service.reference.name, "web");
    assert_eq!(workload.followers.len(), 1);
    let follower = &workload.followers[0];
    assert_eq!(follower.object.reference.name, "web-peers");
    assert_eq!(follower.body()["spec"].get("selector"), None);
    assert_eq!(follower.base_selector(), [("app".to_owned(), "web".to_owned())].into());
    assert_eq!(names(&shop.split().ordinary), ["Service shop/web-metrics"]);
}

#[test]
fn the_service_that_a_policy_names_leads() {
    let shop = Shop::new()
        .with(service("public"))
        .set("Service", "web", "/metadata/annotations", json!({ "tidegate.dev/role": "follow" }))
        .mode(Mode::Service { service: Some("public".to_owned()) });
    let workload = shop.workload();
    assert_eq!(workload.service.reference.name, "public");
    assert_eq!(workload.followers.len(), 1);
    assert_eq!(workload.service_body()["spec"]["ports"][0]["port"], 80);
    assert_eq!(workload.base_selector(), [("app".to_owned(), "web".to_owned())].into());
}

#[test]
fn without_colours_nothing_is_refused_and_every_service_goes_back() {
    let shop = Shop::new()
        .with(service("api"))
        .set("Service", "web", "/spec/clusterIP", json!("None"))
        .web("/spec/replicas", json!(0))
        .mode(Mode::None);
    let workload = shop.workload();
    assert_eq!(workload.mode, Colours::Plain);
    assert_eq!(names(&workload.plain()), ["Deployment shop/web", "Service shop/web", "Service shop/api"]);
    let alone = Shop { objects: vec![super::shop::deployment()], ..Shop::new() }.mode(Mode::None).split();
    assert_eq!((alone.workloads.len(), alone.ordinary.len(), alone.problems.len()), (0, 1, 0));
}

#[test]
fn the_drain_is_no_shorter_than_what_a_pod_may_take() {
    let drain = |shop: &Shop| shop.workload().timing.drain;
    let mut shop = Shop::new();
    shop.policies[0].drain = Duration::from_secs(5);
    assert_eq!(drain(&shop), SignedDuration::from_secs(30), "the grace period that Kubernetes gives");
    shop = shop.web("/spec/template/spec/terminationGracePeriodSeconds", json!(7));
    assert_eq!(drain(&shop), SignedDuration::from_secs(7));
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": { "name": "web" },
        "spec": { "rules": [{ "http": { "paths": [{ "path": "/", "backend": { "service": { "name": "web" } } }] } }] },
    });
    shop = shop.with(ingress);
    assert_eq!(drain(&shop), SignedDuration::from_secs(30), "behind a load balancer");
    shop.policies[0].drain = Duration::from_mins(2);
    assert_eq!(drain(&shop), SignedDuration::from_mins(2));
}

#[test]
fn windows_are_no_gates_that_are_asked() {
    let pause = json!({ "preStop": { "sleep": { "seconds": 5 } } });
    let mut shop = Shop::new().web("/spec/template/spec/containers/0/lifecycle", pause);
    let gate = |name: &str, kind: GateKind| Gate {
        name: name.to_owned(),
        location: Location::file("policies/blue-green.yaml"),
        timeout: Duration::from_secs(30),
        every: Duration::from_secs(10),
        kind,
        config: 7,
    };
    let windows = GateKind::Window(vec!["workdays".to_owned(), "no-fridays".to_owned()]);
    shop.policies[0].before_switch = vec![gate("when", windows), gate("drain", GateKind::DrainSafe)];
    shop.policies[0].while_baking =
        vec![gate("ready", GateKind::LbHealth(LbHealthGate { endpoints: None, duration: Duration::ZERO }))];
    let workload = shop.workload();
    assert_eq!(workload.windows, ["no-fridays", "workdays"]);
    let asked = |name: &str| vec![rollout::Gate { name: GateName(name.into()), config: 7 }];
    assert_eq!(workload.gates, Gates { before_switch: asked("drain"), while_baking: asked("ready") });
}

#[test]
fn what_a_gate_reads_from_the_manifest_alone_is_told_before_the_merge() {
    let gated = |pause: Option<u64>| {
        let mut shop = Shop::new();
        shop.policies[0].before_switch = vec![Gate {
            name: "drain".to_owned(),
            location: Location::file("policies/blue-green.yaml"),
            timeout: Duration::from_secs(30),
            every: Duration::from_secs(10),
            kind: GateKind::DrainSafe,
            config: 7,
        }];
        match pause {
            Some(seconds) => {
                let hook = json!({ "preStop": { "sleep": { "seconds": seconds } } });
                shop.web("/spec/template/spec/containers/0/lifecycle", hook)
            }
            None => shop,
        }
    };
    let Split { problems, workloads, .. } = gated(None).split();
    assert_eq!(workloads.len(), 1, "it rolls out, and the gate decides");
    let told = problems.iter().map(|problem| (problem.code, problem.severity, problem.message.as_str()));
    let told: Vec<_> = told.collect();
    let [(Code::RolloutUnproven, Severity::Warning, message)] = told[..] else { panic!("{problems:#?}") };
    assert!(message.starts_with("its gate `drain` will turn it down: "), "{message}");
    assert!(
        problems[0].location.as_ref().is_some_and(|at| at.file.contains("deployment-web")),
        "{problems:#?}"
    );
    assert!(gated(Some(5)).split().problems.is_empty());
}

#[test]
fn a_retry_is_a_number() {
    let retry = |text: &str| Shop::new().web("/metadata/annotations/tidegate.dev~1retry", json!(text));
    assert_eq!(retry("3").workload().retry, 3);
    assert_eq!(Shop::new().workload().retry, 0);
    let message = retry("again").refusal(Code::FieldValue);
    assert!(message.contains("`tidegate.dev/retry: again` is not a whole number from 0"), "{message}");
}
