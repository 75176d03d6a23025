//! Manifests on which the offline schema check and the API server must agree (see [`crate::schema_oracle`]).

use serde_json::{Value, json};

/// One manifest; the names of good ones begin with `good: `.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is good or broken about it.
    pub name: &'static str,
    /// The manifest.
    pub manifest: Value,
}

/// The whole list.
pub fn cases() -> Vec<Case> {
    let mut cases: Vec<(&'static str, Value)> = good();
    cases.extend(good_small());
    cases.extend(broken_kinds());
    cases.extend(broken_deployments());
    cases.extend(broken_others());
    cases.into_iter().map(|(name, manifest)| Case { name, manifest }).collect()
}

fn object(api_version: &str, kind: &str, rest: Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "oracle"}});
    if let (Some(object), Value::Object(rest)) = (object.as_object_mut(), rest) {
        object.extend(rest);
    }
    object
}

fn deployment() -> Value {
    object(
        "apps/v1",
        "Deployment",
        json!({"spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": {"app": "web"}, "annotations": {"a.example/b": "c"}},
                "spec": {
                    "containers": [{
                        "name": "web", "image": "web:1", "imagePullPolicy": "IfNotPresent",
                        "env": [{"name": "A", "value": "b"}],
                        "ports": [{"name": "http", "containerPort": 80}],
                        "resources": {"limits": {"cpu": 1, "memory": "1.5Gi"}},
                        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
                    }],
                    "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1G"}}],
                },
            },
        }}),
    )
}

/// The deployment with the value under a pointer replaced or added; `Value::Null` removes it.
fn deployment_with(pointer: &str, value: Value) -> Value {
    let mut deployment = deployment();
    let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
    match deployment.pointer_mut(parent) {
        Some(Value::Object(map)) if value.is_null() => {
            map.remove(key);
        }
        Some(Value::Object(map)) => {
            map.insert(key.to_owned(), value);
        }
        Some(Value::Array(items)) => items.push(value),
        _ => {}
    }
    deployment
}

fn good() -> Vec<(&'static str, Value)> {
    let nulls = json!({"spec": {"type": null, "selector": null, "clusterIP": "None"}});
    vec![
        ("good: deployment", deployment()),
        ("good: nulls read as absent", object("v1", "Service", nulls)),
        (
            "good: an empty text reads as absent",
            deployment_with("/spec/template/spec/containers/0/imagePullPolicy", json!("")),
        ),
        (
            "good: one port number, two protocols",
            deployment_with(
                "/spec/template/spec/containers/0/ports/1",
                json!({"containerPort": 80, "protocol": "UDP"}),
            ),
        ),
        (
            "good: service",
            object(
                "v1",
                "Service",
                json!({"spec": {"selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": "http"}]}}),
            ),
        ),
        (
            "good: config map",
            object("v1", "ConfigMap", json!({"data": {"a": "b"}, "binaryData": {"c": "YQ=="}})),
        ),
        ("good: secret", object("v1", "Secret", json!({"data": {"a": "YQ=="}, "stringData": {"b": "c"}}))),
        (
            "good: ingress",
            object(
                "networking.k8s.io/v1",
                "Ingress",
                json!({"spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}}}),
            ),
        ),
        (
            "good: autoscaler",
            object(
                "autoscaling/v2",
                "HorizontalPodAutoscaler",
                json!({"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "a", "apiVersion": "apps/v1"}}}),
            ),
        ),
        (
            "good: disruption budget",
            object(
                "policy/v1",
                "PodDisruptionBudget",
                json!({"spec": {"minAvailable": "50%", "selector": {}}}),
            ),
        ),
    ]
}

fn good_small() -> Vec<(&'static str, Value)> {
    let pod = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}});
    vec![
        (
            "good: network policy without a field that is required on paper",
            object("networking.k8s.io/v1", "NetworkPolicy", json!({"spec": {"ingress": [{}]}})),
        ),
        ("good: priority class without a value", object("scheduling.k8s.io/v1", "PriorityClass", json!({}))),
        (
            "good: cron job",
            object(
                "batch/v1",
                "CronJob",
                json!({"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": pod}}}}),
            ),
        ),
        (
            "good: role",
            object(
                "rbac.authorization.k8s.io/v1",
                "Role",
                json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
            ),
        ),
        (
            "good: lease with times",
            object(
                "coordination.k8s.io/v1",
                "Lease",
                json!({"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}),
            ),
        ),
        ("good: deprecated endpoints", object("v1", "Endpoints", json!({}))),
        (
            "good: unknown fields deep in a definition are dropped",
            definition(&json!({"type": "array", "items": {"type": "string", "colour": "blue"}})),
        ),
    ]
}

fn definition(list: &Value) -> Value {
    let schema = json!({"type": "object", "properties": {"list": list}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "oracles.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "oracles", "kind": "Oracle"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

fn broken_kinds() -> Vec<(&'static str, Value)> {
    vec![
        ("a kind with a typing mistake", object("apps/v1", "Deploymnet", json!({}))),
        ("a kind in the wrong group", object("v1", "Deployment", json!({}))),
        ("a group with a typing mistake", object("app/v1", "Deployment", json!({}))),
        ("a version that never was", object("apps/v2", "Deployment", json!({}))),
        ("a removed ingress", object("extensions/v1beta1", "Ingress", json!({}))),
        ("a removed disruption budget", object("policy/v1beta1", "PodDisruptionBudget", json!({}))),
        ("a removed cron job", object("batch/v1beta1", "CronJob", json!({}))),
        ("a removed autoscaler", object("autoscaling/v2beta2", "HorizontalPodAutoscaler", json!({}))),
        ("a removed security policy", object("policy/v1beta1", "PodSecurityPolicy", json!({}))),
        ("a kind that cannot be applied", object("autoscaling/v1", "Scale", json!({}))),
    ]
}

fn broken_deployments() -> Vec<(&'static str, Value)> {
    let container = |field: &str, value: Value| {
        deployment_with(&format!("/spec/template/spec/containers/0/{field}"), value)
    };
    vec![
        ("an unknown field of a container", container("imagePulPolicy", json!("Always"))),
        ("an unknown field of the object", deployment_with("/specs", json!({}))),
        ("an unknown field of the metadata", deployment_with("/metadata/lables", json!({}))),
        ("a probe at the wrong depth", deployment_with("/spec/template/spec/readinessProbe", json!({}))),
        ("a text for a whole number", deployment_with("/spec/replicas", json!("two"))),
        ("a fraction for a whole number", deployment_with("/spec/replicas", json!(1.5))),
        ("a text for true or false", deployment_with("/spec/paused", json!("no"))),
        ("a list for a mapping", deployment_with("/spec/template", json!([]))),
        ("a mapping for a list", deployment_with("/spec/template/spec/containers", json!({}))),
        ("a number for a label", deployment_with("/metadata/labels", json!({"version": 2}))),
        ("a number for an environment variable", container("env", json!([{"name": "PORT", "value": 8080}]))),
        ("true for a share", deployment_with("/spec/strategy/rollingUpdate/maxSurge", json!(true))),
        ("an odd quantity", container("resources", json!({"limits": {"memory": "1GB"}}))),
        ("an odd pull policy", container("imagePullPolicy", json!("Allways"))),
        ("an odd time", deployment_with("/metadata/creationTimestamp", json!("yesterday"))),
        ("a container without a name", container("name", Value::Null)),
        ("no selector", deployment_with("/spec/selector", Value::Null)),
        ("no template", deployment_with("/spec/template", Value::Null)),
        ("no containers", deployment_with("/spec/template/spec/containers", Value::Null)),
        (
            "a port twice",
            container("ports", json!([{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}])),
        ),
        ("an environment variable twice", container("env", json!([{"name": "A"}, {"name": "A"}]))),
        ("a null container", deployment_with("/spec/template/spec/containers", json!([null]))),
    ]
}

fn broken_others() -> Vec<(&'static str, Value)> {
    vec![
        ("an odd base64", object("v1", "Secret", json!({"data": {"password": "hunter2"}}))),
        ("a number in a config map", object("v1", "ConfigMap", json!({"data": {"port": 80}}))),
        (
            "a service without a port number",
            object("v1", "Service", json!({"spec": {"ports": [{"name": "a"}]}})),
        ),
        (
            "a service of an odd type",
            object("v1", "Service", json!({"spec": {"type": "Loadbalancer", "ports": [{"port": 80}]}})),
        ),
        (
            "a role without verbs",
            object(
                "rbac.authorization.k8s.io/v1",
                "Role",
                json!({"rules": [{"apiGroups": [""], "resources": ["pods"]}]}),
            ),
        ),
        (
            "a binding without a role",
            object("rbac.authorization.k8s.io/v1", "RoleBinding", json!({"subjects": []})),
        ),
        (
            "an autoscaler without a maximum",
            object(
                "autoscaling/v2",
                "HorizontalPodAutoscaler",
                json!({"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "a"}}}),
            ),
        ),
        (
            "a finalizer twice",
            object(
                "v1",
                "ConfigMap",
                json!({"metadata": {"name": "oracle", "finalizers": ["a.example/b", "a.example/b"]}}),
            ),
        ),
        (
            "a secret reference without a name",
            object("v1", "ServiceAccount", json!({"secrets": [{"namespace": "a"}]})),
        ),
        ("a definition with an odd type inside", definition(&json!({"type": "array", "items": {"type": 3}}))),
    ]
}
