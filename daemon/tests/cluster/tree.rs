//! What a person sees of live objects: the tree down to pods, the events, and the health of what kubectl prints.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use crate::scene::binary;
use crate::support::{Output, World, check, config_map, deployment, eventually};

/// A world with one Deployment that runs, one whose image does not exist, and a ConfigMap.
fn half_broken(name: &str) -> (World, crate::support::Daemon) {
    let world = World::new(name);
    let bad = deployment("bad", 1, "").replace("docker.io/local/pause:1", "docker.io/local/absent:1");
    let bad = bad.replace("IfNotPresent", "Never");
    world.commit(
        "half",
        &[
            ("environment.yaml", &world.environment("")),
            ("c.yaml", &config_map("c", "k", "one")),
            ("web.yaml", &deployment("web", 1, "")),
            ("bad.yaml", &bad),
        ],
    );
    let daemon = world.daemon();
    (world, daemon)
}

/// The node of this kind in a tree of `-o json`, anywhere.
fn find<'a>(node: &'a Value, kind: &str, name: &str) -> Option<&'a Value> {
    if node["kind"] == kind && node["name"].as_str().is_some_and(|own| own.starts_with(name)) {
        return Some(node);
    }
    let below = ["environments", "objects", "children"];
    below.iter().filter_map(|key| node[key].as_array()).flatten().find_map(|child| find(child, kind, name))
}

#[test]
fn the_tree_goes_down_to_pods_and_begins_with_what_failed() {
    let (world, _daemon) = half_broken("tree-pods");
    let output = eventually("the pods are in the tree", || {
        let output = world.tidegate(&["tree", "tree-pods", "-o", "json"]);
        check(output.code == 0, output.stderr.clone())?;
        let data = output.json();
        let running = find(&data, "Pod", "web-").is_some_and(|pod| pod["status"] == "Healthy");
        let first = data["environments"][0]["firstFailing"]["reason"].as_str().unwrap_or_default().to_owned();
        check(running && first.contains("ErrImageNeverPull"), format!("{data:#}"))?;
        Ok(data)
    });
    assert_eq!(output["schema"], "tidegate.tree/v1");
    let web = find(&output, "Deployment", "web").expect("the Deployment");
    let set = &web["children"][0];
    assert_eq!((&set["kind"], &set["children"][0]["kind"]), (&"ReplicaSet".into(), &"Pod".into()), "{web:#}");
    assert_eq!(output["environments"][0]["firstFailing"]["object"]["kind"], "Pod");
    let text = world.tidegate(&["tree", "tree-pods"]).stdout;
    let head = text.lines().next().unwrap();
    assert!(head.contains("tree-pods: Pod tree-pods/bad-") && head.contains("ErrImageNeverPull"), "{text}");
    assert!(text.contains("ConfigMap tree-pods/c\n"), "of what is well there is nothing to say: {text}");
    let one = world.tidegate(&["tree", "tree-pods/Deployment/web"]).stdout;
    assert!(
        one.contains("Pod tree-pods/web-") && !one.contains("bad") && !one.contains("ConfigMap"),
        "{one}"
    );
    let unknown = world.tidegate(&["tree", "tree-pods/wbe"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("did you mean `web`?"), "{}", unknown.stderr);
    let nowhere = world.tidegate(&["tree", "tree-podz"]);
    assert!(nowhere.code == 2 && nowhere.stderr.contains("did you mean `tree-pods`?"), "{}", nowhere.stderr);
}

#[test]
fn events_are_those_of_the_environment_and_what_it_owns_newest_last() {
    let (world, _daemon) = half_broken("tree-events");
    eventually("the namespace is there", || {
        check(world.kube.get("namespace", "", "tree-events").is_some(), "not yet")
    });
    world.kube.apply("tree-events", "apiVersion: v1\nkind: Pod\nmetadata: {name: stranger}\nspec: {containers: [{name: a, image: docker.io/local/absent:2, imagePullPolicy: Never}]}\n");
    let data = eventually("the failure of the pod is among the events", || {
        let output = world.tidegate(&["events", "tree-events", "-o", "json"]);
        check(output.code == 0, output.stderr.clone())?;
        let data = output.json();
        let text = data.to_string();
        check(text.contains("ErrImageNeverPull") && text.contains("ScalingReplicaSet"), text)?;
        Ok(data)
    });
    let events = data["events"].as_array().unwrap();
    assert!(events.iter().all(|event| event["name"] != "stranger"), "not ours: {data:#}");
    // Whole seconds are written without a fraction.
    let times: Vec<&str> =
        events.iter().map(|event| event["time"].as_str().unwrap().trim_end_matches('Z')).collect();
    assert!(times.is_sorted(), "{times:?}");
    let text = world.tidegate(&["events", "tree-events", "--limit", "1"]).stdout;
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("older ones are left out"), "{text}");
}

/// `tidegate health -f -` with this input.
fn health_of(world: &World, input: &str) -> Output {
    let mut command = binary(world, &[]);
    command.args(["health", "-f", "-", "-o", "json"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn the_health_of_what_kubectl_prints_is_told_in_both_formats() {
    let (world, _daemon) = half_broken("tree-health");
    eventually("the Deployment is available", || {
        let ready = world.kube.field("deployment", "tree-health", "web", "/status/readyReplicas");
        check(ready == 1, format!("{ready}"))
    });
    let kinds = "deployments,replicasets,pods,configmaps,services,events,endpointslices,serviceaccounts";
    for format in ["yaml", "json"] {
        let printed = world.kube.must(&["get", kinds, "-n", "tree-health", "-o", format]);
        let output = health_of(&world, &printed);
        assert_eq!(output.code, 0, "{format}: {}", output.stderr);
        let data = output.json();
        let items = data["items"].as_array().unwrap();
        let state = |kind: &str, name: &str| {
            let is_it = |item: &&Value| {
                item["kind"] == kind && item["name"].as_str().is_some_and(|own| own.starts_with(name))
            };
            items.iter().find(is_it).map(|item| item["status"].as_str().unwrap().to_owned())
        };
        assert_eq!(state("Deployment", "web").as_deref(), Some("Healthy"), "{data:#}");
        assert_ne!(state("Deployment", "bad").as_deref(), Some("Healthy"), "{data:#}");
        assert_eq!(state("ConfigMap", "c").as_deref(), Some("Healthy"), "{data:#}");
        assert!(items.iter().all(|item| item["namespace"] == "tree-health"), "{data:#}");
    }
    let everything =
        world.kube.must(&["get", "nodes,namespaces,clusterroles,crds,apiservices", "-o", "json"]);
    assert_eq!(health_of(&world, &everything).code, 0);
}
