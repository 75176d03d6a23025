//! Shapes of workloads on a real cluster: pods that keep apart, Services that follow, windows that are closed, tiers in order,
//! and what cannot roll out in colours.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use kube::core::WatchEvent;
use serde_json::Value;
use tokio_util::sync::DropGuard;

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::{field_is, problem, record};
use crate::support::{Api, check, eventually};

#[test]
fn pods_that_must_keep_apart_get_a_second_colour_on_one_node_and_other_services_go_where_they_say() {
    let scene = Scene::new("shapes-apart");
    let manifests = |version| {
        let apart = format!(
            "      affinity: {{podAntiAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: kubernetes.io/hostname, \
             labelSelector: {{matchLabels: {{app: {APP}}}}}}}]}}}}\n      containers:\n"
        );
        let service = |name: &str, role: &str| {
            format!(
                "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, annotations: {{tidegate.dev/role: {role}}}}}\nspec:\n  \
                 selector: {{app: {APP}}}\n  ports: [{{port: 81, targetPort: http}}]\n"
            )
        };
        let release = Release { replicas: 1, ..Release::new(version) };
        let main = scene.manifests(release).replace("      containers:\n", &apart);
        format!("{main}{}{}", service("metrics", "follow"), service("every", "both"))
    };
    scene.begin(Judged::BeforeSwitch, "1s", Release::new("1"));
    let first = scene.world.commit("version 1", &[("app.yaml", &manifests("1"))]);
    let _daemon = scene.world.daemon();
    scene.world.wait_for("live", &first);
    let load = scene.load();
    let second = scene.world.commit("version 2", &[("app.yaml", &manifests("2"))]);
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    let selector = |service| scene.field("service", service, "/spec/selector/tidegate.dev~1slot");
    assert_eq!((selector("metrics").as_str(), selector("every")), (Some("green"), Value::Null));
    load.ends_well(&["1", "2"]);
}

/// The definition of KEDA's ScaledObject, as far as an API server needs it; it goes with the test.
struct Keda<'a>(&'a Scene);

impl Keda<'_> {
    fn new(scene: &Scene) -> Keda<'_> {
        scene.apply(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: scaledobjects.keda.sh}\nspec:\n  \
             group: keda.sh\n  scope: Namespaced\n  names: {kind: ScaledObject, plural: scaledobjects, singular: scaledobject, listKind: ScaledObjectList}\n  \
             versions: [{name: v1alpha1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]\n",
        );
        Keda(scene)
    }
}

impl Drop for Keda<'_> {
    fn drop(&mut self) {
        let _ = self.0.world.kube.run(&["delete", "crd", "scaledobjects.keda.sh", "--ignore-not-found"]);
    }
}

/// These manifests cannot roll out in colours: refused in these words, with their place and what to do, and what is live stays.
fn is_refused(scene: &Scene, manifests: &str, code: &str, words: &str) {
    let load = scene.load();
    let commit = scene.world.commit(words, &[("app.yaml", manifests)]);
    let status = scene.world.wait_for("failed", &commit);
    let told = problem(&status, code);
    let message = told["message"].as_str().unwrap();
    assert!(message.contains(words), "{message}");
    assert!(told["location"]["file"].as_str().unwrap().ends_with("/app.yaml"), "{told:#}");
    assert!(told["help"].as_str().is_some_and(|help| !help.is_empty()), "what to do is said: {told:#}");
    assert_eq!((scene.selected().as_str(), scene.replicas("green")), ("blue", None));
    let mended = scene.release(Release::new("2"));
    scene.world.wait_for("live", &mended);
    load.ends_well(&["1", "2"]);
}

#[test]
fn several_services_of_which_none_is_said_to_lead_are_refused_and_what_is_live_stays() {
    let (scene, _daemon, load) = Scene::installed("shapes-several", Judged::BeforeSwitch, "1s");
    load.end();
    let second = scene.manifests(Release::new("2"));
    let metrics = format!(
        "{second}---\napiVersion: v1\nkind: Service\nmetadata: {{name: metrics}}\nspec:\n  selector: {{app: {APP}}}\n  ports: [{{port: 81}}]\n"
    );
    let words = "which of them moves the traffic is not said: `house-price`, `metrics`";
    is_refused(&scene, &metrics, "E0604", words);
}

#[test]
fn a_workload_without_a_service_is_refused_and_what_is_live_stays() {
    let (scene, _daemon, load) = Scene::installed("shapes-alone", Judged::BeforeSwitch, "1s");
    load.end();
    let second = scene.manifests(Release::new("2"));
    let (config, rest) = second.split_once("---\n").unwrap();
    let (_service, deployment) = rest.split_once("---\n").unwrap();
    is_refused(&scene, &format!("{config}---\n{deployment}"), "E0604", "no Service selects its pods");
}

#[test]
fn a_workload_that_keda_sizes_is_refused_and_what_is_live_stays() {
    let (scene, _daemon, load) = Scene::installed("shapes-keda", Judged::BeforeSwitch, "1s");
    load.end();
    let _keda = Keda::new(&scene);
    let second = scene.manifests(Release::new("2"));
    let scaled = format!(
        "{second}---\napiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: {APP}}}\nspec: {{scaleTargetRef: {{name: {APP}}}}}\n"
    );
    is_refused(&scene, &scaled, "E0607", "a ScaledObject cannot be split between them");
}

#[test]
fn a_rollout_waits_for_its_window_and_switches_by_itself_when_it_opens() {
    let (scene, _daemon, load) = Scene::installed("shapes-window", Judged::BeforeSwitch, "1s");
    let freeze = |lasts: SignedDuration| {
        let until = Timestamp::now() + lasts;
        let window = format!(
            "apiVersion: tidegate.dev/v1\nkind: ChangeWindow\nmetadata: {{name: freeze}}\nspec:\n  \
             freezes: [{{from: 2026-01-01T00:00:00Z, until: {until:.0}, reason: stock-taking}}]\n"
        );
        scene.world.repo.write("policies/freeze.yaml", &window);
    };
    freeze(SignedDuration::from_hours(1));
    let environment = scene.environment().replace("[blue-green]", "[blue-green, freeze]");
    let second = scene.world.commit(
        "version 2",
        &[("environment.yaml", &environment), ("app.yaml", &scene.manifests(Release::new("2")))],
    );
    let status = scene.world.wait_for("waiting", &second);
    let workload = &status["workloads"][0];
    let reason = workload["reason"].as_str().unwrap();
    assert!(reason.starts_with("green has passed its gates; a change window is closed: "), "{reason}");
    assert!(reason.contains("frozen by freeze (stock-taking) until "), "{reason}");
    assert_eq!(workload["next"], "the window opens");
    assert_eq!(scene.selected(), "blue");
    freeze(SignedDuration::from_secs(4));
    let soon = scene.world.repo.commit("it ends soon");
    scene.world.wait_for("live", &soon);
    assert_eq!(scene.selected(), "green");
    load.ends_well(&["1", "2"]);
}

/// The manifests of one tier: the same program under another name, in a wave where it has one.
fn tier(scene: &Scene, name: &str, wave: Option<u8>, release: Release) -> String {
    let release = Release { replicas: 1, ..release };
    let plain = scene
        .manifests(release)
        .replace(APP, name)
        .replace(&format!("args: [{name}]"), "args: [house-price]");
    let head = format!("metadata: {{name: {name}, labels: {{app: {name}}}}}");
    let wave =
        wave.map(|wave| format!(", annotations: {{tidegate.dev/wave: \"{wave}\"}}")).unwrap_or_default();
    let rolled = format!("metadata: {{name: {name}, labels: {{app: {name}, tier: rolled}}{wave}}}");
    plain.replace(&head, &rolled)
}

/// The record in an object's annotation.
fn kept(object: &Value, annotation: &str) -> Value {
    let text = object["metadata"]["annotations"][annotation].as_str().unwrap_or("null");
    serde_json::from_str(text).unwrap()
}

/// The versions of objects of a path in which something holds, from now on, in the order of the API server.
struct Moments {
    found: Arc<Mutex<Vec<u64>>>,
    _end: DropGuard,
}

impl Moments {
    fn of(scene: &Scene, path: &str, holds: impl Fn(&Value) -> bool + Send + 'static) -> Self {
        let api = Api::connect(&scene.world.kube);
        let version = api.get(path)["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        let found: Arc<Mutex<Vec<u64>>> = Arc::default();
        let seen = found.clone();
        let end = api.watch(&format!("{path}?watch=1&resourceVersion={version}"), move |event| {
            if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event
                && holds(&object)
            {
                let version = object["metadata"]["resourceVersion"].as_str().unwrap();
                seen.lock().unwrap().push(version.parse().unwrap());
            }
        });
        Self { found, _end: end }
    }

    fn first(&self, what: &str) -> u64 {
        eventually(what, || self.found.lock().unwrap().first().copied().ok_or_else(|| "not seen".to_owned()))
    }
}

#[test]
fn three_tiers_go_in_their_order_and_a_wrong_middle_one_keeps_the_last_one_back() {
    let scene = Scene::new("shapes-tiers");
    let policy = Scene::policy_with_database(Judged::BeforeSwitch, "1s");
    scene.set_policy(&policy.replace(&format!("{{app: {APP}}}"), "{tier: rolled}"));
    let database = scene.manifests(Release { replicas: 1, ..Release::new("1") });
    let database = database.replace(APP, "database").replace("args: [database]", "args: [house-price]");
    let commit = |api: Release, web: Release| {
        let (api, web) = (tier(&scene, "api", Some(1), api), tier(&scene, "web", Some(2), web));
        let files = [
            ("environment.yaml", scene.environment()),
            ("database.yaml", database.clone()),
            ("api.yaml", api),
            ("web.yaml", web),
        ];
        scene.world.commit("tiers", &files.each_ref().map(|(path, text)| (*path, text.as_str())))
    };
    let namespace = scene.world.name.as_str();
    // Each tier has a time of its own.
    let serve = |slot: &str| {
        for service in ["api", "web"] {
            field_is(&scene.world, "service", namespace, service, "/spec/selector/tidegate.dev~1slot", slot);
        }
    };
    let first = commit(Release::new("1"), Release::new("1"));
    let _daemon = scene.world.daemon();
    serve("blue");
    scene.world.wait_for("live", &first);
    let services = format!("/api/v1/namespaces/{namespace}/services");
    let closed = Moments::of(&scene, &services, |service| {
        let record = kept(service, "tidegate.dev/rollout");
        service["metadata"]["name"] == "api"
            && record["live"] == "green"
            && record["bake"]["closed"].is_object()
    });
    let deployments = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    let prepared = Moments::of(&scene, &deployments, |slot| slot["metadata"]["name"] == "web-green");
    let second = commit(Release::new("2"), Release::new("2"));
    serve("green");
    scene.world.wait_for("live", &second);
    let (closed, prepared) =
        (closed.first("the API's bake is closed"), prepared.first("the web's colour is prepared"));
    assert!(closed < prepared, "the API's bake was closed ({closed}) before the web's began ({prepared})");
    let third = commit(Release::wrong("3"), Release::new("3"));
    let wave = format!("{namespace}/api of wave 1 is not live yet");
    let status = record(&scene.world, namespace, "the API is turned down", |status| {
        let told = status["workloads"].to_string();
        status["seen"]["id"] == third && told.contains("gate `smoke` failed") && told.contains(&wave)
    });
    let told = problem(&status, "E0407");
    assert_eq!(told["object"]["name"], "api", "{told:#}");
    serve("green");
    let env = scene.field("deployment", "web-blue", "/spec/template/spec/containers/0/env/0/value");
    assert_eq!(env, "1", "the web's other colour still holds the first release");
}

#[test]
fn workloads_of_one_commit_without_waves_go_their_own_ways() {
    let scene = Scene::new("shapes-unordered");
    let policy = Scene::policy(Judged::BeforeSwitch, "1s");
    scene.set_policy(&policy.replace(&format!("{{app: {APP}}}"), "{tier: rolled}"));
    let commit = |one: Release, two: Release| {
        let files = [
            ("environment.yaml", scene.environment()),
            ("one.yaml", tier(&scene, "one", None, one)),
            ("two.yaml", tier(&scene, "two", None, two)),
        ];
        scene.world.commit("both", &files.each_ref().map(|(path, text)| (*path, text.as_str())))
    };
    let first = commit(Release::new("1"), Release::new("1"));
    let _daemon = scene.world.daemon();
    scene.world.wait_for("live", &first);
    let namespace = scene.world.name.as_str();
    let serves = |service: &str, slot: &str| {
        field_is(&scene.world, "service", namespace, service, "/spec/selector/tidegate.dev~1slot", slot);
    };
    let second = commit(Release::wrong("2"), Release::new("2"));
    serves("two", "green");
    let status = scene.world.wait_for("degraded", &second);
    let told = problem(&status, "E0407");
    assert_eq!(told["object"]["name"], "one", "{told:#}");
    serves("one", "blue");
    let state = |status: &Value, name: &str| {
        let workloads = status["workloads"].as_array().unwrap().clone();
        let found = workloads.into_iter().find(|workload| workload["workload"].to_string().contains(name));
        found.unwrap_or_default()["state"].as_str().unwrap_or_default().to_owned()
    };
    record(&scene.world, namespace, "each has its own end", |status| {
        state(status, "one") == "rejected" && state(status, "two") == "live"
    });
    // The one that was turned down is mended, and the other one is left alone.
    let switched = kept(&scene.world.kube.get("service", namespace, "two").unwrap(), "tidegate.dev/rollout");
    let third = commit(Release::new("3"), Release::new("2"));
    scene.world.wait_for("live", &third);
    serves("one", "green");
    let now = kept(&scene.world.kube.get("service", namespace, "two").unwrap(), "tidegate.dev/rollout");
    assert_eq!(now["switchedAt"], switched["switchedAt"], "{now:#}");
}

#[test]
fn a_copy_of_configuration_goes_with_the_last_colour_that_reads_it_and_the_others_stay() {
    let (scene, _daemon, load) = Scene::installed("shapes-configs", Judged::BeforeSwitch, "1s");
    let manifests = |version| {
        let of_release = format!("\ndata: {{RELEASE: \"{version}\", ");
        scene
            .manifests(Release::new(version))
            .replace("\ndata: {", &of_release)
            .replace("  replicas:", "  revisionHistoryLimit: 0\n  replicas:")
    };
    let copies = || {
        let list =
            scene.kubectl(&["get", "configmaps", "-l", &format!("tidegate.dev/app={APP}"), "-o", "json"]);
        let list: Value = serde_json::from_str(&list).unwrap();
        let data = list["items"].as_array().unwrap().iter().map(|copy| copy["data"]["RELEASE"].clone());
        let mut releases: Vec<String> =
            data.map(|release| release.as_str().unwrap_or("none").to_owned()).collect();
        releases.sort();
        releases
    };
    let kept = |expected: &[&str]| {
        eventually(&format!("copies of {expected:?} are kept"), || {
            let there = copies();
            check(there == expected, format!("{there:?}"))
        });
    };
    kept(&["none"]);
    for (version, expected) in [("2", ["2", "none"]), ("3", ["2", "3"]), ("4", ["3", "4"])] {
        let commit = scene.world.commit(version, &[("app.yaml", &manifests(version))]);
        scene.world.wait_for("live", &commit);
        kept(&expected);
    }
    load.ends_well(&["1", "2", "3", "4"]);
}
