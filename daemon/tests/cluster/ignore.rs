//! Fields that are left to others: an autoscaler's replicas, and whatever an annotation names.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{World, check, config_map, deployment, eventually};

const RULE: &str = "  ignore: [{kind: Deployment, pointers: [/spec/replicas], when: hpa}]\n";

fn autoscaler(target: &str) -> String {
    format!(
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: {target}}}\nspec:\n  \
         scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {target}}}\n  minReplicas: 1\n  maxReplicas: 5\n  \
         metrics:\n  - type: Resource\n    resource: {{name: cpu, target: {{type: Utilization, averageUtilization: 80}}}}\n"
    )
}

#[test]
fn replicas_are_left_to_an_autoscaler_and_no_change_in_git_resets_them() {
    let world = World::new("ignore-hpa");
    let commit = world.commit(
        "web",
        &[
            ("environment.yaml", &world.environment(RULE)),
            ("web.yaml", &deployment("web", 2, "")),
            ("alone.yaml", &deployment("alone", 2, "")),
            ("scaler.yaml", &autoscaler("web")),
        ],
    );
    let daemon = world.daemon();
    let replicas = |name: &str| world.kube.field("deployment", "ignore-hpa", name, "/spec/replicas");
    eventually("it is created with git's replicas", || {
        check(replicas("web") == 2, replicas("web").to_string())
    });
    eventually("applied", || {
        let status = world.status();
        check(status["applied"]["id"] == commit, format!("{status:#}"))
    });

    world.kube.must(&["scale", "deployment/web", "deployment/alone", "-n", "ignore-hpa", "--replicas=3"]);
    eventually("the other Deployment is scaled back", || {
        check(replicas("alone") == 2, replicas("alone").to_string())
    });
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(replicas("web"), 3, "the autoscaler's number stays");
    let drift = world.status()["drift"].to_string();
    assert!(!drift.contains("\"name\":\"web\""), "{drift}");

    // Other fields change in git, then replicas themselves, then the daemon forgets everything.
    let image = |name: &str| {
        world.kube.field("deployment", "ignore-hpa", name, "/spec/template/spec/containers/0/env/1/name")
    };
    world.commit("env", &[("web.yaml", &deployment("web", 2, "        - {name: NEW, value: \"1\"}\n"))]);
    eventually("the change is applied", || check(image("web") == "NEW", image("web").to_string()));
    assert_eq!(replicas("web"), 3);
    let last = world
        .commit("four", &[("web.yaml", &deployment("web", 4, "        - {name: NEWER, value: \"1\"}\n"))]);
    eventually("the change is applied", || check(image("web") == "NEWER", image("web").to_string()));
    assert_eq!(replicas("web"), 3);
    eventually("nothing is left to do", || {
        let status = world.status();
        check(status["applied"]["id"] == last, format!("{status:#}"))
    });
    // Drift of another field is repaired, and replicas stay even then.
    world.kube.must(&["set", "env", "deployment/web", "-n", "ignore-hpa", "NEWER=hand"]);
    let value = || {
        world.kube.field("deployment", "ignore-hpa", "web", "/spec/template/spec/containers/0/env/1/value")
    };
    eventually("drift beside it is repaired", || check(value() == "1", value().to_string()));
    assert_eq!(replicas("web"), 3, "{}", daemon.log());
}

#[test]
fn the_first_change_in_git_does_not_reset_replicas_that_were_scaled_while_the_daemon_was_down() {
    let world = World::new("ignore-down");
    world.commit(
        "web",
        &[
            ("environment.yaml", &world.environment(RULE)),
            ("web.yaml", &deployment("web", 2, "")),
            ("scaler.yaml", &autoscaler("web")),
        ],
    );
    let mut daemon = world.daemon();
    eventually("applied", || {
        let status = world.status();
        check(status["applied"].is_object(), format!("{status:#}"))
    });
    daemon.kill();
    world.kube.must(&["scale", "deployment/web", "-n", "ignore-down", "--replicas=4"]);
    world.commit("env", &[("web.yaml", &deployment("web", 1, "        - {name: NEW, value: \"1\"}\n"))]);
    daemon.restart();
    eventually("the change is applied", || {
        let live = world.kube.get("deployment", "ignore-down", "web").unwrap();
        let env = live.pointer("/spec/template/spec/containers/0/env/1/name").cloned().unwrap_or_default();
        assert_ne!(live["spec"]["replicas"], 1, "git's number reset the autoscaler's");
        check(env == "NEW", env.to_string())
    });
    let replicas: Value = world.kube.field("deployment", "ignore-down", "web", "/spec/replicas");
    assert!(replicas == 4 || replicas == 2, "4 by hand, unless the autoscaler itself changed it: {replicas}");
    assert_eq!(replicas, 4);
}

#[test]
fn a_field_that_an_annotation_names_is_left_to_others_and_every_other_one_is_not() {
    let world = World::new("ignore-annotation");
    let settings = config_map("settings", "colour", "blue")
        .replace("{name: settings}", "{name: settings, annotations: {tidegate.dev/ignore: /data/size}}")
        + "  size: small\n";
    let commit = world.commit(
        "settings",
        &[
            ("environment.yaml", &world.environment("")),
            ("settings.yaml", &settings.replace("{colour: \"blue\"}", "\n  colour: blue")),
        ],
    );
    let _daemon = world.daemon();
    world.wait_for("live", &commit);
    let data = || world.kube.field("configmap", "ignore-annotation", "settings", "/data");
    assert_eq!(data(), json!({"colour": "blue", "size": "small"}));
    let patch = r#"{"data":{"colour":"red","size":"large"}}"#;
    world.kube.must(&["patch", "configmap", "settings", "-n", "ignore-annotation", "-p", patch]);
    eventually("the other field is repaired", || check(data()["colour"] == "blue", data().to_string()));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(data(), json!({"colour": "blue", "size": "large"}));
    let status = eventually("live", || {
        let status = world.status();
        check(status["state"] == "live", format!("{status:#}"))?;
        Ok(status)
    });
    assert!(!status["drift"].to_string().contains("data.size"), "{status:#}");

    // A change of the ignored field alone is nobody's business: nothing is written.
    let patch = r#"{"data":{"size":"huge"}}"#;
    world.kube.must(&["patch", "configmap", "settings", "-n", "ignore-annotation", "-p", patch]);
    let version = world.kube.field("configmap", "ignore-annotation", "settings", "/metadata/resourceVersion");
    std::thread::sleep(Duration::from_secs(3));
    let now = world.kube.field("configmap", "ignore-annotation", "settings", "/metadata/resourceVersion");
    assert_eq!(now, version);
    assert_eq!(data(), json!({"colour": "blue", "size": "huge"}));
    assert_eq!(
        world.status()["drift"].as_array().map(Vec::len),
        Some(1),
        "one repair, that of the other field"
    );
}
