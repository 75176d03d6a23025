//! What leaves git of a workload that rolls out in colours, one piece at a time: its Deployment without its Service, a Service
//! that follows, all of it. And ports that somebody edits while another revision than git's serves.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::{gone, problem, problems, record, throughout};
use crate::support::{Audited, Load, Request, check, eventually};

/// The Deployment left out of a release's manifests; the policy that matched it stays.
fn without_deployment(scene: &Scene, release: Release) -> String {
    let manifests = scene.manifests(release);
    manifests.split_once("---\napiVersion: apps/v1").unwrap().0.to_owned()
}

/// A further Service on the workload's pods; `role` is its annotation.
fn further(name: &str, role: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, annotations: {{tidegate.dev/role: {role}}}}}\nspec:\n  \
         selector: {{app: {APP}}}\n  ports: [{{port: 81, targetPort: http}}]\n"
    )
}

fn commit(scene: &Scene, message: &str, manifests: &str) -> String {
    scene.world.commit(message, &[("app.yaml", manifests)])
}

fn slot_of(scene: &Scene, service: &str) -> Value {
    scene.field("service", service, "/spec/selector/tidegate.dev~1slot")
}

/// The writes of a Service by the daemon.
fn writes(audited: &Audited, mark: &crate::support::Mark, service: &str) -> Vec<Request> {
    let path = format!("/services/{service}?");
    audited
        .since(mark)
        .into_iter()
        .filter(|request| request.is_write() && request.uri.contains(&path))
        .collect()
}

/// What the ordinary engine applies is not the rollout's.
fn is_ordinary(request: &Request) -> bool {
    request.uri.contains("fieldManager=tidegate&") || request.uri.ends_with("fieldManager=tidegate")
}

#[test]
fn a_deployment_that_leaves_git_without_its_service_serves_on_until_both_have_left_or_it_is_back() {
    let scene = Scene::new("left-pointer");
    let first = scene.begin(Judged::BeforeSwitch, "1s", Release::new("1"));
    let (mut daemon, audited) = scene.world.audited_daemon();
    scene.world.wait_for("live", &first);
    let load = scene.load();
    // The other colour keeps its pods, and would answer.
    let standby =
        Scene::policy(Judged::BeforeSwitch, "1s").replace("  drain: 1s\n", "  drain: 1s\n  standby: 10m\n");
    scene.set_policy(&standby);
    let second = scene.release(Release::new("2"));
    scene.world.wait_for("live", &second);
    assert_eq!((scene.selected().as_str(), scene.replicas("blue")), ("green", Some(2)));
    let fresh = Load::fresh(scene.address());
    let mark = audited.mark();
    let left = commit(&scene, "without the Deployment", &without_deployment(&scene, Release::new("2")));
    scene.world.wait_for("live", &left);
    let told = record(&scene.world, &scene.world.name, "that it stays is told", |status| {
        problems(status, "E0413").len() == 1
    });
    let told = problem(&told, "E0413");
    let message = told["message"].as_str().unwrap();
    assert!(
        message.contains(&format!("/{APP} has left git and stays with its colours: Service {APP}, ")),
        "{message}"
    );
    assert!(told["help"].as_str().unwrap().contains("take the Service out of git too"), "{told:#}");
    throughout(Duration::from_secs(3), "green serves", || scene.selected() == "green");
    // Whoever begins anew knows it before the first apply.
    daemon.kill();
    daemon.restart();
    let manifests = format!(
        "{}---\n{}",
        without_deployment(&scene, Release::new("2")),
        crate::support::config_map("more", "a", "1")
    );
    let again = commit(&scene, "something else", &manifests);
    scene.world.wait_for("live", &again);
    throughout(Duration::from_secs(2), "green serves", || scene.selected() == "green");
    let written = writes(&audited, &mark, APP);
    let told: Vec<String> = written.iter().map(ToString::to_string).collect();
    assert!(!written.iter().any(is_ordinary), "{told:#?}");
    assert!(written.len() <= 3, "{told:#?}");
    fresh.ends_well(&["2"]);
    // It is there again, and goes on from what serves.
    let third = scene.release(Release::new("3"));
    scene.world.wait_for("live", &third);
    assert_eq!(scene.selected(), "blue");
    load.ends_well(&["1", "2", "3"]);
    let left = commit(&scene, "without the Deployment", &without_deployment(&scene, Release::new("3")));
    scene.world.wait_for("live", &left);
    scene.said(&["has left git and stays with its colours"]);
    let rest = crate::support::config_map("rest", "a", "1");
    let all = commit(&scene, "without the Service", &rest);
    scene.world.wait_for("live", &all);
    for (kind, name) in
        [("service", APP), ("deployment", "house-price-blue"), ("deployment", "house-price-green")]
    {
        gone(&scene.world, kind, &scene.world.name, name);
    }
}

#[test]
fn a_service_that_follows_goes_when_it_leaves_git_or_is_an_ordinary_one_when_it_no_longer_follows() {
    let scene = Scene::new("left-follower");
    let release = Release { replicas: 1, ..Release::new("1") };
    let with = |services: &[(&str, &str)]| {
        let further = services.iter().map(|(name, role)| further(name, role));
        further.fold(scene.manifests(release), |all, one| all + &one)
    };
    scene.begin(Judged::BeforeSwitch, "1s", release);
    let all = with(&[("metrics", "follow"), ("other", "follow"), ("kept", "follow")]);
    let first = commit(&scene, "three follow", &all);
    let (mut daemon, audited) = scene.world.audited_daemon();
    scene.world.wait_for("live", &first);
    eventually("they follow", || {
        let slots = ["metrics", "other", "kept"].map(|name| slot_of(&scene, name));
        check(slots.iter().all(|slot| slot == "blue"), format!("{slots:?}"))
    });
    scene.kubectl(&["annotate", "service", "kept", "tidegate.dev/prune=disabled"]);
    // Whoever finds them has never seen them in git.
    daemon.kill();
    let mark = audited.mark();
    let second = commit(&scene, "one is left, one is plain", &with(&[("other", "both")]));
    daemon.restart();
    scene.world.wait_for("live", &second);
    gone(&scene.world, "service", &scene.world.name, "metrics");
    let selector = json!({"app": APP});
    eventually("the other one is as git says", || {
        let live = scene.world.kube.get("service", &scene.world.name, "other").unwrap_or_default();
        let labels = live["metadata"]["labels"].to_string();
        let is_plain = live["spec"]["selector"] == selector && !labels.contains("tidegate.dev/app\"");
        check(is_plain, format!("{live:#} {}", daemon.log()))
    });
    scene.said(&["Service ", "/kept has left git and stays", "tidegate.dev/prune: disabled"]);
    let written = writes(&audited, &mark, "other");
    let told: Vec<String> = written.iter().map(ToString::to_string).collect();
    assert!(written.len() <= 5, "{told:#?}");
    // What stays goes where the pointer goes.
    let release = Release { replicas: 1, ..Release::new("2") };
    let third =
        commit(&scene, "version 2", &format!("{}{}", scene.manifests(release), further("other", "both")));
    scene.world.wait_for("live", &third);
    assert_eq!((scene.selected().as_str(), slot_of(&scene, "kept")), ("green", json!("green")));
    assert_eq!(scene.field("service", "other", "/spec/selector"), selector);
    // A port that leaves git goes: nobody else holds it any more.
    let moved = further("other", "both").replace("port: 81", "port: 82");
    let fourth = commit(&scene, "another port", &format!("{}{moved}", scene.manifests(release)));
    scene.world.wait_for("live", &fourth);
    let ports = scene.field("service", "other", "/spec/ports");
    assert_eq!((ports.as_array().map(Vec::len), &ports[0]["port"]), (Some(1), &json!(82)), "{ports}");
    // With its workload it goes too, once it may.
    scene.kubectl(&["annotate", "service", "kept", "tidegate.dev/prune-"]);
    gone(&scene.world, "service", &scene.world.name, "kept");
    let follows = |role| format!("{}{}", scene.manifests(release), further("last", role));
    let fifth = commit(&scene, "another one follows", &follows("follow"));
    scene.world.wait_for("live", &fifth);
    eventually("it follows", || check(slot_of(&scene, "last") == "green", "it does not"));
    let rest = format!("{}{}", crate::support::config_map("rest", "a", "1"), further("other", "both"));
    let without = commit(&scene, "without the workload", &rest);
    scene.world.wait_for("live", &without);
    for name in ["last", APP] {
        gone(&scene.world, "service", &scene.world.name, name);
    }
    gone(&scene.world, "deployment", &scene.world.name, "house-price-green");
    assert_eq!(scene.field("service", "other", "/spec/selector"), selector);
}

#[test]
fn ports_that_somebody_edits_while_git_asks_for_another_revision_are_those_of_what_serves_again() {
    const PORTS: &str = "ports: [{name: http, port: 80, targetPort: http}]";
    let scene = Scene::new("left-ports");
    let manifests =
        |release, ports: &str| scene.manifests(release).replace(PORTS, ports) + &further("metrics", "follow");
    let told = |service: &str| {
        let ports = scene.field("service", service, "/spec/ports");
        let all = ports.as_array().cloned().unwrap_or_default();
        Value::Array(all.iter().map(|port| json!([port["port"], port["targetPort"]])).collect())
    };
    let release = |version| Release { replicas: 1, ..Release::new(version) };
    scene.begin(Judged::BeforeSwitch, "1s", release("1"));
    commit(&scene, "one", &manifests(release("1"), PORTS));
    let daemon = scene.world.daemon();
    eventually("blue serves", || check(scene.selected() == "blue", "it does not"));
    // A commit of ports alone: they are blue's from now on.
    let wider =
        "ports: [{name: http, port: 80, targetPort: http}, {name: web, port: 8080, targetPort: http}]";
    let ports = commit(&scene, "a port more", &manifests(release("1"), wider));
    scene.world.wait_for("live", &ports);
    let of_blue = json!([[80, "http"], [8080, "http"]]);
    eventually("the port is there", || check(told(APP) == of_blue, told(APP).to_string()));
    // A release that is turned down, with other ports.
    let moved =
        "ports: [{name: http, port: 80, targetPort: http}, {name: web, port: 9090, targetPort: http}]";
    let wrong = Release { replicas: 1, ..Release::wrong("2") };
    let second = commit(&scene, "wrong", &manifests(wrong, moved));
    scene.world.wait_for("degraded", &second);
    assert_eq!((scene.selected().as_str(), told(APP)), ("blue", of_blue.clone()));
    let edited = r#"[{"op":"replace","path":"/spec/ports","value":[{"name":"http","port":80,"targetPort":9},{"name":"x","port":7,"targetPort":7}]}]"#;
    for service in [APP, "metrics"] {
        scene.kubectl(&["patch", "service", service, "--type=json", "-p", edited]);
    }
    eventually("the ports are blue's again", || {
        let now = (told(APP), told("metrics"));
        check(now == (of_blue.clone(), json!([[81, "http"]])), format!("{now:?} {}", daemon.log()))
    });
    // Edited while a release is on its way, and back with it: they are still not blue's.
    scene.set_policy(&Scene::policy(Judged::WhileBaking, "30s"));
    let third = commit(
        &scene,
        "it fails while it bakes",
        &manifests(Release { replicas: 1, ..Release::wrong("3") }, moved),
    );
    scene.world.wait_for("degraded", &third);
    assert_eq!(scene.pointer()["rejected"]["reason"], json!({"gate": "watch"}), "{:#}", scene.pointer());
    assert_eq!((scene.selected().as_str(), told(APP)), ("blue", of_blue));
    let held = scene.pointer()["held"]["blue"]["ports"].to_string();
    assert!(held.contains("8080") && !held.contains("\"x\""), "{held}");
    let load = scene.load();
    Scene::answered(&load);
    load.ends_well(&["1"]);
}

#[test]
fn another_service_in_gits_lead_is_refused_and_the_one_that_leads_does_so_until_it_is_back() {
    let (scene, _daemon, load) = Scene::installed("left-lead", Judged::BeforeSwitch, "1s");
    let head = format!("kind: Service\nmetadata: {{name: {APP}}}");
    let renamed = scene.manifests(Release::new("2")).replace(&head, "kind: Service\nmetadata: {name: front}");
    let second = commit(&scene, "another Service", &renamed);
    let status = scene.world.wait_for("degraded", &second);
    let told = problem(&status, "E0413");
    let message = told["message"].as_str().unwrap();
    assert!(
        message.contains(&format!("git says that Service front moves its traffic, and Service {APP} does")),
        "{message}"
    );
    assert!(message.contains("`traffic: {mode: none}` first"), "{message}");
    // It is looked after all the same.
    scene.kubectl(&["scale", "deployment", "house-price-blue", "--replicas=0"]);
    scene.ready("blue", 2);
    assert_eq!((scene.selected().as_str(), scene.replicas("green")), ("blue", None));
    assert!(scene.world.kube.get("service", &scene.world.name, "front").is_none());
    load.end();
    let third = scene.release(Release::new("2"));
    scene.world.wait_for("live", &third);
    assert_eq!(scene.selected(), "green");
    assert!(scene.pointer()["halted"].is_null(), "{:#}", scene.pointer());
}
