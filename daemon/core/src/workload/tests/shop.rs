//! A web server behind a Service, with everything that rolls out with it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Split, Workload, split};
use crate::location::{Location, Position};
use crate::object::{DesiredObject, Gvk, ObjectRef};
use crate::policy::{Bake, Deadlines, Match, Mode, RolloutPolicy};
use crate::problem::Code;
use crate::yaml::Spans;

/// The objects of git by kind and name, and the policies.
pub struct Shop {
    pub objects: Vec<Value>,
    pub policies: Vec<RolloutPolicy>,
}

pub fn policy(name: &str) -> RolloutPolicy {
    RolloutPolicy {
        name: name.to_owned(),
        location: Location::file(&format!("policies/{name}.yaml")),
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

pub fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "web", "labels": { "team": "shop" }, "annotations": { "note": "ours" } },
        "spec": {
            "replicas": 3, "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{
                    "name": "web", "image": "web:1", "ports": [{ "name": "http", "containerPort": 8080 }],
                    "readinessProbe": { "httpGet": { "path": "/ready", "port": "http" } },
                }] },
            },
        },
    })
}

pub fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
        "spec": { "selector": { "app": "web" }, "ports": [{ "name": "http", "port": 80, "targetPort": "http" }] },
    })
}

pub fn config_map(name: &str, text: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "level": text } })
}

pub fn autoscaler(name: &str) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": name },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
            "minReplicas": 2, "maxReplicas": 9,
        },
    })
}

pub fn budget(name: &str, selector: &Value) -> Value {
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": name },
        "spec": { "maxUnavailable": 1, "selector": selector },
    })
}

impl Shop {
    /// A Deployment, its Service, and a policy for it.
    pub fn new() -> Self {
        Self { objects: vec![deployment(), service("web")], policies: vec![policy("blue-green")] }
    }

    pub fn with(mut self, object: Value) -> Self {
        self.objects.push(object);
        self
    }

    pub fn mode(mut self, mode: Mode) -> Self {
        self.policies[0].mode = mode;
        self
    }

    /// Sets a field of an object, making the maps around it.
    pub fn set(mut self, kind: &str, name: &str, pointer: &str, value: Value) -> Self {
        let is_it = |object: &&mut Value| object["kind"] == kind && object["metadata"]["name"] == name;
        let mut place = self.objects.iter_mut().find(is_it).expect("it is in the shop");
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/");
            place = match token.parse::<usize>() {
                Ok(index) => &mut place[index],
                Err(_) => &mut place[token],
            };
        }
        *place = value;
        self
    }

    pub fn web(self, pointer: &str, value: Value) -> Self {
        self.set("Deployment", "web", pointer, value)
    }

    pub fn split(&self) -> Split {
        let objects: Vec<_> = self.objects.iter().cloned().map(object).collect();
        let policies: Vec<_> = self.policies.iter().cloned().map(Arc::new).collect();
        split(&objects, &policies)
    }

    /// The only workload.
    pub fn workload(&self) -> Arc<Workload> {
        let split = self.split();
        assert_eq!(split.problems, []);
        assert_eq!(split.workloads.len(), 1);
        split.workloads[0].clone()
    }

    /// The codes and messages of what is refused; then nothing rolls out.
    pub fn refused(&self) -> Vec<(Code, String)> {
        let split = self.split();
        assert_eq!(split.workloads.len(), 0);
        for problem in &split.problems {
            assert!(problem.location.is_some() && problem.help.is_some(), "{problem}");
        }
        split.problems.into_iter().map(|problem| (problem.code, problem.to_string())).collect()
    }

    /// The only refusal.
    pub fn refusal(&self, code: Code) -> String {
        match self.refused().as_slice() {
            [(found, message)] if *found == code => message.clone(),
            other => panic!("{other:#?}"),
        }
    }
}

fn object(mut value: Value) -> Arc<DesiredObject> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let gvk = Gvk::from_api_version(&text("/apiVersion"), &text("/kind"));
    let (kind, name) = (text("/kind"), text("/metadata/name"));
    value["metadata"]["namespace"] = json!("shop");
    value.sort_all_objects();
    let file = format!("environments/dev/{}-{name}.yaml", kind.to_lowercase());
    let reference = ObjectRef { gvk, namespace: Some("shop".to_owned()), name };
    Arc::new(DesiredObject::new(reference, value, Spans::new(Arc::from(file), Position::START), 0))
}
