//! The objects of a slot.

use serde_json::{Value, json};

use super::super::SlotRender;
use super::shop::{Shop, autoscaler, budget, config_map};
use crate::rollout::Slot;

fn blue(shop: &Shop) -> SlotRender {
    shop.workload().slot(Slot::Blue, "c1")
}

fn template(shop: &Shop) -> Value {
    blue(shop).deployment["spec"]["template"].clone()
}

#[test]
fn a_slot_is_selected_by_our_labels_and_its_pods_keep_those_of_git() {
    let shop = Shop::new();
    let revision = shop.workload().revision.to_string();
    let SlotRender { commit, deployment, configs, ports, follower_ports } = blue(&shop);
    assert_eq!((commit.as_str(), configs.len(), follower_ports.len()), ("c1", 0, 0));
    assert_eq!(ports, json!([{ "name": "http", "port": 80, "targetPort": "http" }]));
    let ours = json!({ "tidegate.dev/app": "web", "tidegate.dev/slot": "blue" });
    assert_eq!(deployment["metadata"]["name"], "web-blue");
    assert_eq!(deployment["metadata"]["namespace"], "shop");
    assert_eq!(deployment["metadata"]["annotations"], json!({ "note": "ours" }));
    assert_eq!(deployment["metadata"]["labels"]["team"], "shop");
    assert_eq!(deployment["spec"]["selector"], json!({ "matchLabels": ours }));
    assert_eq!(deployment["spec"].get("replicas"), None);
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    let wanted = json!({
        "app": "web", "tidegate.dev/app": "web", "tidegate.dev/slot": "blue", "tidegate.dev/revision": revision,
    });
    assert_eq!(labels, &wanted);
}

#[test]
fn the_pods_of_a_slot_never_go_before_their_successors_are_ready() {
    let strategy =
        |git: Value| blue(&Shop::new().web("/spec/strategy", git)).deployment["spec"]["strategy"].clone();
    let rolling = |surge: Value| json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": surge, "maxUnavailable": 0 } });
    assert_eq!(strategy(json!({ "type": "Recreate" })), rolling(json!("25%")));
    assert_eq!(
        strategy(json!({ "rollingUpdate": { "maxSurge": 0, "maxUnavailable": 1 } })),
        rolling(json!("25%"))
    );
    assert_eq!(strategy(json!({ "rollingUpdate": { "maxSurge": 2 } })), rolling(json!(2)));
}

#[test]
fn configuration_of_git_is_copied_under_names_of_its_contents() {
    let spec = json!({
        "containers": [{
            "name": "web", "image": "web:1", "readinessProbe": { "tcpSocket": { "port": 80 } },
            "envFrom": [{ "configMapRef": { "name": "settings" } }, { "secretRef": { "name": "absent", "optional": true } }],
            "env": [{ "name": "A", "valueFrom": { "secretKeyRef": { "name": "password", "key": "p" } } }],
        }],
        "initContainers": [{ "name": "i", "image": "i", "env": [
            { "name": "B", "valueFrom": { "configMapKeyRef": { "name": "flags", "key": "level" } } },
        ] }],
        "volumes": [
            { "name": "a", "projected": { "sources": [{ "secret": { "name": "password" } }, { "configMap": { "name": "settings" } }] } },
            { "name": "b", "secret": { "secretName": "password" } },
            { "name": "c", "configMap": { "name": "settings" } },
        ],
        "imagePullSecrets": [{ "name": "password" }],
    });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": { "name": "password" },
        "stringData": { "p": "hunter2" },
    });
    let shop = Shop::new()
        .web("/spec/template/spec", spec)
        .with(config_map("settings", "info"))
        .with(config_map("flags", "on"))
        .with(secret)
        .set("ConfigMap", "settings", "/metadata/labels", json!({ "team": "shop" }))
        .set("ConfigMap", "flags", "/metadata/annotations", json!({ "tidegate.dev/config": "live" }));
    let SlotRender { deployment, configs, .. } = blue(&shop);
    let name = |index: usize| configs[index]["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    assert_eq!(configs.len(), 2, "one that is live stays as it is: {configs:#?}");
    let (settings, password) = (name(0), name(1));
    assert!(settings.starts_with("settings-") && password.starts_with("password-"), "{settings} {password}");
    assert_eq!(configs[0]["immutable"], true);
    assert_eq!(configs[0]["data"], json!({ "level": "info" }));
    assert_eq!(configs[0]["metadata"]["labels"]["team"], "shop");
    assert_eq!(configs[0]["metadata"]["labels"]["tidegate.dev/app"], "web");
    assert_eq!(configs[1]["data"], json!({ "p": "aHVudGVyMg==" }));
    assert_eq!(configs[1]["type"], "Opaque");
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["envFrom"][0]["configMapRef"]["name"], settings.as_str());
    assert_eq!(container["envFrom"][1]["secretRef"]["name"], "absent");
    assert_eq!(container["env"][0]["valueFrom"]["secretKeyRef"]["name"], password.as_str());
    assert_eq!(pod["initContainers"][0]["env"][0]["valueFrom"]["configMapKeyRef"]["name"], "flags");
    assert_eq!(pod["volumes"][0]["projected"]["sources"][0]["secret"]["name"], password.as_str());
    assert_eq!(pod["volumes"][0]["projected"]["sources"][1]["configMap"]["name"], settings.as_str());
    assert_eq!(pod["volumes"][1]["secret"]["secretName"], password.as_str());
    assert_eq!(pod["volumes"][2]["configMap"]["name"], settings.as_str());
    assert_eq!(pod["imagePullSecrets"][0]["name"], "password");
}

#[test]
fn two_workloads_with_the_same_configuration_have_copies_of_their_own() {
    let volumes = json!([{ "name": "a", "configMap": { "name": "settings" } }]);
    let mut shop =
        Shop::new().web("/spec/template/spec/volumes", volumes).with(config_map("settings", "info"));
    let name = |shop: &Shop| blue(shop).configs[0]["metadata"]["name"].clone();
    let before = name(&shop);
    shop = shop.web("/metadata/name", json!("shop"));
    shop.policies[0].matches.names = ["shop".to_owned()].into();
    assert_ne!(name(&shop), before, "one that puts its copies away would take those of the other");
}

#[test]
fn configuration_that_others_fill_is_not_copied() {
    let volumes = json!([
        { "name": "a", "secret": { "secretName": "token" } }, { "name": "b", "configMap": { "name": "models" } },
    ]);
    let shop = Shop::new()
        .web("/spec/template/spec/volumes", volumes.clone())
        .with(config_map("models", "x"))
        .with(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token", "metadata": { "name": "token" },
        }))
        .with(json!({
            "apiVersion": "tidegate.dev/v1", "kind": "ModelRelease", "metadata": { "name": "m" },
            "spec": { "server": { "configMap": "models" } },
        }));
    assert_eq!(blue(&shop).configs, Vec::<Value>::new());
    assert_eq!(template(&shop)["spec"]["volumes"], volumes);
}

#[test]
fn rules_of_placement_that_mean_the_workload_mean_the_slot() {
    let own = json!({ "labelSelector": { "matchLabels": { "app": "web" } }, "topologyKey": "host" });
    let by_expression = json!({ "labelSelector": { "matchExpressions": [{ "key": "app", "operator": "In", "values": ["web"] }] } });
    let other = json!({ "labelSelector": { "matchLabels": { "app": "db" } }, "topologyKey": "host" });
    let elsewhere = json!({ "labelSelector": { "matchLabels": { "app": "web" } }, "namespaces": ["other"] });
    let here = json!({ "labelSelector": { "matchLabels": { "app": "web" } }, "namespaces": ["shop"] });
    let everywhere = json!({ "labelSelector": { "matchLabels": { "app": "web" } }, "namespaces": ["other"], "namespaceSelector": {} });
    let none = json!({ "topologyKey": "host" });
    let required = json!([own, by_expression, other, elsewhere, here, everywhere, none]);
    let preferred =
        json!([{ "weight": 1, "podAffinityTerm": own }, { "weight": 1, "podAffinityTerm": other }]);
    let rules = json!({
        "requiredDuringSchedulingIgnoredDuringExecution": required,
        "preferredDuringSchedulingIgnoredDuringExecution": preferred,
    });
    let shop = Shop::new()
        .web("/spec/template/spec/affinity", json!({ "podAffinity": rules, "podAntiAffinity": rules }))
        .web("/spec/template/spec/topologySpreadConstraints", json!([own, other]));
    let spec = template(&shop)["spec"].clone();
    let narrowed = |list: &Value, inner: &str| -> Vec<bool> {
        let rules = list.as_array().expect("a list");
        rules
            .iter()
            .map(|rule| {
                rule.pointer(&format!("{inner}/labelSelector/matchLabels/tidegate.dev~1slot"))
                    == Some(&json!("blue"))
            })
            .collect()
    };
    for kind in ["podAffinity", "podAntiAffinity"] {
        let rules = &spec["affinity"][kind];
        let required = &rules["requiredDuringSchedulingIgnoredDuringExecution"];
        assert_eq!(narrowed(required, ""), [true, true, false, false, true, true, false], "{kind}");
        let preferred = &rules["preferredDuringSchedulingIgnoredDuringExecution"];
        assert_eq!(narrowed(preferred, "/podAffinityTerm"), [true, false], "{kind}");
    }
    assert_eq!(narrowed(&spec["topologySpreadConstraints"], ""), [true, false]);
}

#[test]
fn each_slot_has_an_autoscaler_and_a_budget_of_its_own() {
    let shop =
        Shop::new().with(autoscaler("load")).with(budget("web", &json!({ "matchLabels": { "app": "web" } })));
    let sizing = shop.workload().sizing(Slot::Green);
    let ours = json!({ "tidegate.dev/app": "web", "tidegate.dev/slot": "green" });
    assert_eq!(sizing.len(), 2);
    assert_eq!(sizing[0]["metadata"]["name"], "load-green");
    assert_eq!(sizing[0]["metadata"]["labels"], ours);
    assert_eq!(sizing[0]["spec"]["scaleTargetRef"]["name"], "web-green");
    assert_eq!(sizing[0]["spec"]["maxReplicas"], 9);
    assert_eq!(sizing[1]["metadata"]["name"], "web-green");
    assert_eq!(sizing[1]["spec"], json!({ "maxUnavailable": 1, "selector": { "matchLabels": ours } }));
}

#[test]
fn a_refreshed_slot_keeps_its_pods_and_takes_the_rest_from_git() {
    let kept = blue(&Shop::new());
    let mut older = kept.clone();
    older.deployment["spec"]["template"]["metadata"]["annotations"] =
        json!({ "rendered": "by an older version" });
    let shop = Shop::new().web("/metadata/labels/team", json!("other")).set(
        "Service",
        "web",
        "/spec/ports/0/port",
        json!(81),
    );
    let now = shop.workload().refreshed(Slot::Blue, "c2", &older);
    assert_eq!(now.deployment["spec"]["template"], older.deployment["spec"]["template"]);
    assert_eq!(now.deployment["metadata"]["labels"]["team"], "other");
    assert_eq!((now.commit.as_str(), &now.ports[0]["port"]), ("c2", &json!(81)));
}

#[test]
fn git_cannot_write_records_of_ours() {
    let annotations =
        json!({ "tidegate.dev/evidence": "{}", "tidegate.dev/prune": "disabled", "note": "ours" });
    let shop = Shop::new().web("/metadata/annotations", annotations.clone()).set(
        "Service",
        "web",
        "/metadata/annotations",
        annotations,
    );
    let kept = json!({ "tidegate.dev/prune": "disabled", "note": "ours" });
    assert_eq!(blue(&shop).deployment["metadata"]["annotations"], kept);
    assert_eq!(shop.workload().service_body()["metadata"]["annotations"], kept);
}

#[test]
fn a_render_is_printed_without_what_its_secrets_hold() {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "password" }, "data": { "p": "aHVudGVyMg==" },
    });
    let volumes = json!([{ "name": "a", "secret": { "secretName": "password" } }]);
    let render = blue(&Shop::new().web("/spec/template/spec/volumes", volumes).with(secret));
    assert_eq!(render.configs[0]["data"]["p"], "aHVudGVyMg==");
    let text = format!("{render:?}");
    assert!(text.contains("password-") && !text.contains("aHVudGVyMg"), "{text}");
}

#[test]
fn a_kept_render_is_read_as_it_was_written() {
    let render = blue(&Shop::new());
    let text = serde_json::to_string(&render).expect("it is JSON");
    assert_eq!(serde_json::from_str::<SlotRender>(&text).expect("it was written by us"), render);
}
