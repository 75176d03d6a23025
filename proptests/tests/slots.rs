//! What a slot is made of, for any workload: its number follows from what git says of its pods and from nothing else.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test material: what is not there is a bug of the test, and may say so"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};
use tidegate_core::location::{Location, Position};
use tidegate_core::object::{DesiredObject, Gvk, ObjectRef};
use tidegate_core::policy::{Bake, Deadlines, Match, Mode, RolloutPolicy};
use tidegate_core::rollout::Slot;
use tidegate_core::workload::{Split, Workload, names, split};
use tidegate_core::yaml::Spans;
use tidegate_proptests::cases::Cases;

/// Keys of the texts in every configuration.
const KEYS: [&str; 3] = ["a", "b", "c"];

/// What git says of a workload and of what it refers to.
#[derive(Debug, Clone)]
struct Git {
    deployment: Value,
    settings: Value,
    password: Value,
    others: Vec<Value>,
}

fn policy() -> RolloutPolicy {
    RolloutPolicy {
        name: "blue-green".to_owned(),
        location: Location::file("policies/blue-green.yaml"),
        matches: Match { names: ["web".to_owned()].into(), ..Match::default() },
        mode: Mode::Service { service: None },
        before_switch: Vec::new(),
        while_baking: Vec::new(),
        bake: Bake { duration: Duration::from_mins(10), max: Duration::from_hours(1), floor_percent: 80 },
        drain: Duration::from_secs(30),
        keep_failed: Duration::from_mins(10),
        standby: Duration::ZERO,
        deadlines: Deadlines::default(),
        reach: None,
    }
}

fn object(value: &Value) -> Arc<DesiredObject> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let gvk = Gvk::from_api_version(&text("/apiVersion"), &text("/kind"));
    let reference = ObjectRef { gvk, namespace: Some("shop".to_owned()), name: text("/metadata/name") };
    Arc::new(DesiredObject::new(
        reference,
        value.clone(),
        Spans::new(Arc::from("a.yaml"), Position::START),
        0,
    ))
}

impl Git {
    fn objects(&self) -> Vec<Arc<DesiredObject>> {
        let Self { deployment, settings, password, others } = self;
        [deployment, settings, password].into_iter().chain(others).map(object).collect()
    }

    fn split(&self) -> Split {
        split(&self.objects(), &[Arc::new(policy())])
    }

    /// None where it is refused.
    fn workload(&self) -> Option<Arc<Workload>> {
        self.split().workloads.first().cloned()
    }

    fn known(&self) -> Arc<Workload> {
        let split = self.split();
        split.workloads.first().cloned().unwrap_or_else(|| panic!("it is refused: {:?}", split.problems))
    }
}

fn texts() -> impl Strategy<Value = Map<String, Value>> {
    proptest::collection::vec("[a-z]{0,3}", KEYS.len()).prop_map(|values| {
        KEYS.iter().zip(values).map(|(key, value)| ((*key).to_owned(), json!(value))).collect()
    })
}

/// A rule of placement, about the workload itself or not.
fn term() -> impl Strategy<Value = Value> {
    let selector = prop_oneof![
        Just(json!({ "matchLabels": { "app": "web" } })),
        Just(json!({ "matchLabels": { "app": "db" } })),
        Just(json!({ "matchExpressions": [{ "key": "app", "operator": "Exists" }] })),
        Just(json!({})),
    ];
    let namespaces = prop_oneof![Just(json!([])), Just(json!(["shop"])), Just(json!(["other"]))];
    (selector, namespaces).prop_map(|(selector, namespaces)| {
        json!({ "labelSelector": selector, "topologyKey": "kubernetes.io/hostname", "namespaces": namespaces })
    })
}

fn pod() -> impl Strategy<Value = Value> {
    let terms = || proptest::collection::vec(term(), 0..3);
    ("[a-z]{1,4}", texts(), terms(), terms(), 1_u64..90, any::<[bool; 4]>()).prop_map(
        |(image, variables, required, spread, grace, [mounts, projects, takes_all, takes_one])| {
            let mut environment: Vec<Value> =
                variables.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
            if takes_one {
                let from = json!({ "secretKeyRef": { "name": "password", "key": "a" } });
                environment.push(json!({ "name": "P", "valueFrom": from }));
            }
            let all = if takes_all { json!([{ "configMapRef": { "name": "settings" } }]) } else { json!([]) };
            let mut volumes = Vec::new();
            if mounts {
                volumes.push(json!({ "name": "v", "configMap": { "name": "settings" } }));
            }
            if projects {
                let sources =
                    json!([{ "secret": { "name": "password" } }, { "configMap": { "name": "absent" } }]);
                volumes.push(json!({ "name": "w", "projected": { "sources": sources } }));
            }
            let rules = json!({ "requiredDuringSchedulingIgnoredDuringExecution": required });
            json!({
                "terminationGracePeriodSeconds": grace, "volumes": volumes,
                "affinity": { "podAntiAffinity": rules }, "topologySpreadConstraints": spread,
                "containers": [{
                    "name": "web", "image": image, "env": environment, "envFrom": all,
                    "readinessProbe": { "httpGet": { "path": "/ready", "port": 8080 } },
                }],
            })
        },
    )
}

fn git() -> impl Strategy<Value = Git> {
    (pod(), texts(), texts(), "[a-z]{0,3}", 1_u32..9).prop_map(|(pod, settings, password, note, replicas)| {
        let labels = json!({ "app": "web", "tier": "front" });
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "shop", "labels": {} },
            "spec": {
                "replicas": replicas, "selector": { "matchLabels": { "app": "web" } },
                "template": { "metadata": { "labels": labels, "annotations": { "note": note } }, "spec": pod },
            },
        });
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web", "namespace": "shop" },
            "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": 8080 }] },
        });
        Git {
            deployment,
            settings: json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "settings" }, "data": settings }),
            password: json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "password" }, "stringData": password }),
            others: vec![service],
        }
    })
}

/// What says how many pods there are, and nothing of what they run.
fn sizes() -> impl Strategy<Value = Vec<Value>> {
    (1_u32..4, 4_u32..9, any::<[bool; 2]>()).prop_map(|(min, max, [scales, protects])| {
        let scaler = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "web" },
            "spec": {
                "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
                "minReplicas": min, "maxReplicas": max,
            },
        });
        let budget = json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "web" },
            "spec": { "maxUnavailable": min, "selector": { "matchLabels": { "app": "web" } } },
        });
        let all = [(scales, scaler), (protects, budget)];
        all.into_iter().filter_map(|(wanted, value)| wanted.then_some(value)).collect()
    })
}

/// The same value with the keys of its maps in the other order.
fn turned(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().rev().map(|(key, value)| (key.clone(), turned(value))).collect()
        }
        Value::Array(items) => items.iter().map(turned).collect(),
        other => other.clone(),
    }
}

/// The pointers to everything that is no map and no list.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                leaves(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                leaves(value, &format!("{at}/{index}"), found);
            }
        }
        _ => found.push(at.to_owned()),
    }
}

fn change(leaf: &mut Value) {
    *leaf = match &*leaf {
        Value::String(text) => json!(format!("{text}x")),
        Value::Number(number) => json!(number.as_u64().unwrap_or_default() + 1),
        other => json!([other]),
    };
}

fn config_names(workload: &Workload) -> BTreeSet<String> {
    let configs = workload.slot(Slot::Blue, "c").configs;
    configs.iter().filter_map(|config| Some(config["metadata"]["name"].as_str()?.to_owned())).collect()
}

/// A slot's template without what makes it a slot's: git's own again.
fn stripped(mut template: Value, copies: &[Value]) -> Value {
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.retain(|key, _| !names::is_ours(key));
    }
    let mut text = template.to_string();
    for copy in copies {
        let name = copy["metadata"]["name"].as_str().unwrap_or_default();
        let digest = copy["metadata"]["labels"][names::CONFIG].as_str().unwrap_or_default();
        let plain = name.strip_suffix(&format!("-{digest}")).unwrap_or_default();
        text = text.replace(name, plain);
    }
    for slot in Slot::ALL {
        text = text.replace(&format!(r#","{}":"{slot}""#, names::SLOT), "");
        text = text.replace(&format!(r#","matchLabels":{{"{}":"{slot}"}}"#, names::SLOT), "");
        text = text.replace(&format!(r#""matchLabels":{{"{}":"{slot}"}}"#, names::SLOT), "");
    }
    serde_json::from_str(&text).expect("it was JSON before")
}

proptest! {
    #![proptest_config(Cases::USUAL.config())]

    #[test]
    fn what_a_workload_runs_does_not_depend_on_order_or_sizes(git in git(), sizes in sizes(), replicas in 1_u32..9) {
        let before = git.known();
        let mut other = git.clone();
        other.deployment = turned(&git.deployment);
        other.deployment["spec"]["replicas"] = json!(replicas);
        other.deployment["metadata"]["labels"]["team"] = json!("shop");
        other.settings = turned(&git.settings);
        other.others.extend(sizes);
        other.others.reverse();
        let after = other.known();
        prop_assert_eq!(before.revision, after.revision);
        let template = |workload: &Workload, slot| workload.slot(slot, "c").deployment["spec"]["template"].to_string();
        for slot in Slot::ALL {
            prop_assert_eq!(template(&before, slot), template(&after, slot), "to the byte: a repair must not restart pods");
        }
    }

    #[test]
    fn any_other_leaf_of_the_template_is_another_revision(git in git(), leaf in any::<Index>()) {
        let before = git.known().revision;
        let mut other = git.clone();
        let mut pointers = Vec::new();
        leaves(&git.deployment["spec"]["template"], "/spec/template", &mut pointers);
        let pointer = leaf.get(&pointers);
        change(other.deployment.pointer_mut(pointer).expect("it is one of its leaves"));
        // Without its label the Service does not lead to it.
        if let Some(after) = other.workload() {
            prop_assert_ne!(before, after.revision, "{}", pointer);
        } else {
            prop_assert_eq!(pointer, "/spec/template/metadata/labels/app");
        }
    }

    #[test]
    fn any_byte_of_configuration_that_is_referred_to_is_another_revision(
        git in git(), is_secret in any::<bool>(), key in any::<Index>(),
    ) {
        let (before, mut other) = (git.known(), git.clone());
        let (config, field, name) = if is_secret {
            (&mut other.password, "stringData", "password-")
        } else {
            (&mut other.settings, "data", "settings-")
        };
        change(&mut config[field][*key.get(&KEYS)]);
        let after = other.known();
        let is_referred_to = config_names(&before).iter().any(|found| found.starts_with(name));
        prop_assert_eq!(before.revision != after.revision, is_referred_to);
        prop_assert_eq!(config_names(&before) != config_names(&after), is_referred_to);
    }

    #[test]
    fn a_restart_is_another_revision(git in git(), texts in ("[a-z]{0,4}", "[a-z]{0,4}")) {
        let restarted = |text: &str| {
            let mut git = git.clone();
            git.deployment["metadata"]["annotations"] = json!({ names::RESTART: text });
            git.known().revision
        };
        prop_assert_ne!(restarted(&texts.0), git.known().revision);
        prop_assert_eq!(restarted(&texts.0) == restarted(&texts.1), texts.0 == texts.1);
    }

    #[test]
    fn equal_contents_have_equal_names(git in git(), pod in pod(), settings in texts()) {
        let mut other = git.clone();
        other.deployment["spec"]["template"]["spec"] = pod;
        other.settings["data"] = Value::Object(settings);
        let is_same = other.settings["data"] == git.settings["data"];
        let settings = |git: &Git| config_names(&git.known()).into_iter().find(|name| name.starts_with("settings-"));
        if let (Some(before), Some(after)) = (settings(&git), settings(&other)) {
            prop_assert_eq!(before == after, is_same);
        }
    }

    #[test]
    fn a_slot_runs_what_git_says_and_the_slots_differ_in_their_name_only(git in git(), sizes in sizes()) {
        let mut git = git;
        git.others.extend(sizes);
        let workload = git.known();
        let [blue, green] = Slot::ALL.map(|slot| workload.slot(slot, "c"));
        let text = serde_json::to_string(&blue).expect("it is JSON");
        let other = text.replace("web-blue", "web-green").replace(r#""blue""#, r#""green""#);
        prop_assert_eq!(other, serde_json::to_string(&green).expect("it is JSON"));
        let template = blue.deployment["spec"]["template"].clone();
        prop_assert_eq!(stripped(template, &blue.configs), git.deployment["spec"]["template"].clone());
        prop_assert_eq!(blue.deployment["spec"].get("replicas"), None);
        let labels = &blue.deployment["spec"]["template"]["metadata"]["labels"];
        for (key, value) in blue.deployment["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten() {
            prop_assert_eq!(&labels[key], value, "its own selector finds its pods");
        }
    }

    #[test]
    fn every_object_is_the_rollouts_or_an_ordinary_one(git in git(), sizes in sizes()) {
        let mut git = git;
        git.others.extend(sizes);
        let all: BTreeSet<_> = git.objects().iter().map(|object| object.reference.id()).collect();
        let split = git.split();
        let ordinary: BTreeSet<_> = split.ordinary.iter().map(|object| object.reference.id()).collect();
        let handled = git.known().ids();
        prop_assert!(ordinary.is_disjoint(&handled));
        prop_assert_eq!(&ordinary | &handled, all);
    }
}
