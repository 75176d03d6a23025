//! The words by which a real API server says that a field cannot change: each of them is known as such, because another
//! word would make a Job that cannot be changed a failure for ever, and would send no help with it.

use serde_json::{Value, json};
use tidegate::cluster::failure::is_immutable;

use crate::support::{Api, World};

/// An object, where it is made, and changes that no API server takes.
struct Case {
    collection: String,
    object: Value,
    changes: Vec<Value>,
}

fn case(collection: String, object: &Value, changes: Vec<Value>) -> Case {
    Case { collection, object: object.clone(), changes }
}

fn workload(name: &str, replicas: bool) -> Value {
    let pod = json!({ "nodeSelector": { "nowhere": "1" }, "containers": [{ "name": "a", "image": "a" }] });
    let mut spec = json!({
        "selector": { "matchLabels": { "app": name } },
        "template": { "metadata": { "labels": { "app": name, "also": "b" } }, "spec": pod },
    });
    if replicas {
        spec["replicas"] = json!(0);
    }
    json!({ "metadata": { "name": name }, "spec": spec })
}

fn workloads(namespace: &str) -> Vec<Case> {
    let apps = |kind: &str| format!("/apis/apps/v1/namespaces/{namespace}/{kind}");
    let selector = || json!({ "spec": { "selector": { "matchLabels": { "also": "b" } } } });
    let mut stateful = workload("stateful", true);
    stateful["spec"]["serviceName"] = json!("s");
    let job = json!({ "metadata": { "name": "job" }, "spec": { "suspend": true, "template": { "spec": {
        "restartPolicy": "Never", "containers": [{ "name": "a", "image": "a" }],
    } } } });
    let pod = json!({ "metadata": { "name": "pod" }, "spec": {
        "nodeSelector": { "nowhere": "1" }, "containers": [{ "name": "a", "image": "a" }],
    } });
    let template = json!({ "spec": { "containers": [{ "name": "a", "image": "b" }] } });
    vec![
        case(apps("deployments"), &workload("web", true), vec![selector()]),
        case(apps("daemonsets"), &workload("agent", false), vec![selector()]),
        case(apps("replicasets"), &workload("set", true), vec![selector()]),
        case(
            apps("statefulsets"),
            &stateful,
            vec![selector(), json!({ "spec": { "serviceName": "other" } })],
        ),
        case(
            format!("/apis/batch/v1/namespaces/{namespace}/jobs"),
            &job,
            vec![
                json!({ "spec": { "template": template } }),
                json!({ "spec": { "completions": 4 } }),
                json!({ "spec": { "completionMode": "Indexed" } }),
            ],
        ),
        case(
            format!("/api/v1/namespaces/{namespace}/pods"),
            &pod,
            vec![json!({ "spec": { "hostNetwork": true } })],
        ),
    ]
}

fn storage(namespace: &str, world: &str) -> Vec<Case> {
    let core = |kind: &str| format!("/api/v1/namespaces/{namespace}/{kind}");
    let size = |size: &str| json!({ "requests": { "storage": size } });
    let claim = json!({ "metadata": { "name": "claim" }, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": size("1Gi"), "storageClassName": world,
    } });
    let volume = json!({ "metadata": { "name": world }, "spec": {
        "accessModes": ["ReadWriteOnce"], "capacity": { "storage": "1Gi" }, "hostPath": { "path": "/a" },
        "storageClassName": world, "claimRef": { "namespace": "none", "name": "none" },
    } });
    let class = json!({
        "metadata": { "name": world }, "provisioner": "example.com/a", "parameters": { "a": "1" },
    });
    let driver = json!({ "metadata": { "name": world }, "spec": { "attachRequired": true } });
    vec![
        case(
            core("persistentvolumeclaims"),
            &claim,
            vec![
                json!({ "spec": { "accessModes": ["ReadWriteMany"] } }),
                json!({ "spec": { "resources": size("1Mi") } }),
            ],
        ),
        case(
            "/api/v1/persistentvolumes".to_owned(),
            &volume,
            vec![
                json!({ "spec": { "hostPath": { "path": "/b" } } }),
                json!({ "spec": { "volumeMode": "Block" } }),
            ],
        ),
        case(
            "/apis/storage.k8s.io/v1/storageclasses".to_owned(),
            &class,
            vec![
                json!({ "provisioner": "example.com/b" }),
                json!({ "parameters": { "a": "2" } }),
                json!({ "reclaimPolicy": "Retain" }),
                json!({ "volumeBindingMode": "WaitForFirstConsumer" }),
            ],
        ),
        case(
            "/apis/storage.k8s.io/v1/csidrivers".to_owned(),
            &driver,
            vec![json!({ "spec": { "attachRequired": false } })],
        ),
    ]
}

fn others(namespace: &str, world: &str) -> Vec<Case> {
    let core = |kind: &str| format!("/api/v1/namespaces/{namespace}/{kind}");
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let named = |name: &str| json!({ "name": name });
    let role = |kind: &str, name: &str| json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name });
    let bound =
        |kind: &str| json!({ "metadata": named(world), "roleRef": role(kind, "none"), "subjects": [] });
    let fixed = json!({ "metadata": named("fixed"), "immutable": true, "data": { "a": "YQ==" } });
    vec![
        case(
            core("configmaps"),
            &fixed,
            vec![json!({ "data": { "a": "b" } }), json!({ "immutable": false })],
        ),
        case(core("secrets"), &fixed, vec![json!({ "data": { "a": "Yg==" } }), json!({ "type": "x/y" })]),
        case(
            core("services"),
            &json!({ "metadata": named("service"), "spec": { "ports": [{ "port": 80 }] } }),
            vec![json!({ "spec": { "clusterIP": "None" } })],
        ),
        case(
            core("resourcequotas"),
            &json!({ "metadata": named("quota"), "spec": { "hard": { "pods": "9" }, "scopes": ["BestEffort"] } }),
            vec![json!({ "spec": { "scopes": ["NotBestEffort"] } })],
        ),
        case(
            format!("{rbac}/namespaces/{namespace}/rolebindings"),
            &bound("Role"),
            vec![json!({ "roleRef": role("Role", "other") })],
        ),
        case(
            format!("{rbac}/clusterrolebindings"),
            &bound("ClusterRole"),
            vec![json!({ "roleRef": role("ClusterRole", "other") })],
        ),
        case(
            "/apis/scheduling.k8s.io/v1/priorityclasses".to_owned(),
            &json!({ "metadata": named(world), "value": 5 }),
            vec![json!({ "value": 6 }), json!({ "preemptionPolicy": "Never" })],
        ),
        case(
            "/apis/networking.k8s.io/v1/ingressclasses".to_owned(),
            &json!({ "metadata": named(world), "spec": { "controller": "example.com/a" } }),
            vec![json!({ "spec": { "controller": "example.com/b" } })],
        ),
        case(
            "/apis/node.k8s.io/v1/runtimeclasses".to_owned(),
            &json!({ "metadata": named(world), "handler": "a" }),
            vec![json!({ "handler": "b" })],
        ),
        case(
            format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"),
            &json!({ "metadata": named("slice"), "addressType": "IPv4", "endpoints": [] }),
            vec![json!({ "addressType": "IPv6" })],
        ),
    ]
}

/// Every cause of the refusal, as `problems` of a refusal reads them.
fn causes(answer: &Value) -> Vec<String> {
    let causes = answer.pointer("/details/causes").and_then(Value::as_array).cloned().unwrap_or_default();
    causes.iter().map(|cause| cause["message"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_word_of_an_api_server_for_a_field_that_cannot_change_is_known() {
    let world = World::new("ref-fields");
    world.kube.must(&["create", "namespace", &world.name]);
    let api = Api::connect(&world.kube);
    let mut unknown = Vec::new();
    let all = [workloads(&world.name), storage(&world.name, &world.name), others(&world.name, &world.name)];
    for Case { collection, object, changes } in all.into_iter().flatten() {
        let path = format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap());
        api.call("DELETE", &path, None);
        let (code, answer) = api.call("POST", &collection, Some(&object));
        assert_eq!(code, 201, "{collection}: {answer:#}");
        for change in changes {
            let (code, answer) = api.call("PATCH", &format!("{path}?dryRun=All"), Some(&change));
            assert_eq!(code, 422, "{path} {change}: {answer:#}");
            let said = causes(&answer);
            if !said.iter().any(|message| is_immutable(message)) {
                unknown.push(format!("{path} {change}: {said:?}"));
            }
        }
        api.call("DELETE", &path, None);
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn words_about_a_value_that_is_only_wrong_are_not_taken_for_it() {
    let world = World::new("ref-values");
    world.kube.must(&["create", "namespace", &world.name]);
    let api = Api::connect(&world.kube);
    let object = json!({ "metadata": { "name": "s" }, "spec": { "ports": [{ "port": 80_000 }] } });
    let (code, answer) =
        api.call("POST", &format!("/api/v1/namespaces/{}/services", world.name), Some(&object));
    assert_eq!(code, 422, "{answer:#}");
    assert!(causes(&answer).iter().all(|message| !is_immutable(message)), "{answer:#}");
}
