//! A running service with an autoscaler and a disruption budget: taken over into colours, rolled out, and let go again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::gone;
use crate::support::{Api, check, eventually};

/// Both pods are needed, so that one budget over a ready pod refuses its eviction; its autoscaler keeps it from one.
const SIZED: &str = "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: sized}\nspec:\n  \
    scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: house-price}\n  minReplicas: 2\n  maxReplicas: 2\n  \
    metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 90}}}]\n\
    ---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: kept}\nspec:\n  minAvailable: 2\n  \
    selector: {matchLabels: {app: house-price}}\n";

/// Asks again and again, without doing it, whether each ready pod may be evicted.
struct Evictions {
    ends: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    asks: Option<JoinHandle<()>>,
}

impl Evictions {
    fn of(scene: &Scene) -> Self {
        let (ends, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let api = Api::connect(&scene.world.kube);
        let pods = format!("/api/v1/namespaces/{}/pods", scene.world.name);
        let (end, count) = (ends.clone(), asked.clone());
        let asks = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let list = api.get(&format!("{pods}?labelSelector=app%3D{APP}"));
                for pod in list["items"].as_array().unwrap().iter().filter(|pod| is_ready(pod)) {
                    refused_by_one_budget(&api, &pods, pod["metadata"]["name"].as_str().unwrap());
                    count.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self { ends, asked, asks: Some(asks) }
    }

    /// How often a pod was asked about; panics where an answer was wrong.
    fn end(mut self) -> usize {
        self.ends.store(true, Ordering::Relaxed);
        if let Err(wrong) = self.asks.take().unwrap().join() {
            std::panic::resume_unwind(wrong);
        }
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Evictions {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
    ready && pod["metadata"]["deletionTimestamp"].is_null()
}

/// 429 is the answer of one budget; 500 that of two, and 201 that of none.
fn refused_by_one_budget(api: &Api, pods: &str, name: &str) {
    let eviction = json!({
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name},
        "deleteOptions": {"dryRun": ["All"]}
    });
    let (code, answer) = api.call("POST", &format!("{pods}/{name}/eviction?dryRun=All"), Some(&eviction));
    // One that ends meanwhile, or is no longer ready, needs no budget; nor one whose Deployment has gone, before that is known
    // of its pods.
    if code == 429 || !is_ready(&api.get(&format!("{pods}/{name}"))) {
        return;
    }
    let deployment = name.rsplitn(3, '-').last().unwrap();
    let deployments = pods.replace("/api/v1", "/apis/apps/v1").replace("/pods", "/deployments");
    if api.get(&format!("{deployments}/{deployment}")).is_null() {
        return;
    }
    panic!("at {}: {name} is not under exactly one budget: {code} {answer}", jiff::Timestamp::now());
}

#[test]
fn a_service_with_autoscaler_and_budget_is_taken_over_and_let_go_under_one_budget_at_any_time() {
    let scene = Scene::new("sized-adopted");
    let namespace = scene.world.name.clone();
    scene.world.kube.must(&["create", "namespace", &namespace]);
    let sized =
        |release| format!("{}{SIZED}", scene.manifests(release)).replace("spec:\n  replicas: 2\n", "spec:\n");
    scene.apply(&sized(Release::new("1")));
    eventually("it has the autoscaler's size", || {
        let ready = scene.field("deployment", APP, "/status/readyReplicas");
        check(ready == json!(2), ready.to_string())
    });
    eventually("its budget counts", || {
        let healthy = scene.field("pdb", "kept", "/status/currentHealthy");
        check(healthy == json!(2), healthy.to_string())
    });
    let load = scene.load();
    let evictions = Evictions::of(&scene);
    scene.set_policy(&Scene::policy(Judged::BeforeSwitch, "1s"));
    let files = [("environment.yaml", scene.environment()), ("app.yaml", sized(Release::new("1")))];
    let first =
        scene.world.commit("taken over", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    let daemon = scene.world.daemon();
    scene.world.wait_for("live", &first);
    assert_eq!(scene.selected(), "blue", "{}", daemon.log());
    assert_eq!(scene.field("deployment", APP, "/spec/replicas"), json!(2), "{}", daemon.log());
    gone(&scene.world, "hpa", &namespace, "sized");

    let second = scene.world.commit("version 2", &[("app.yaml", &sized(Release::new("2")))]);
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    gone(&scene.world, "deployment", &namespace, APP);
    let target = scene.field("hpa", "sized-green", "/spec/scaleTargetRef/name");
    assert_eq!(target, json!(format!("{APP}-green")), "{}", daemon.log());

    let none = Scene::policy(Judged::BeforeSwitch, "1s").replace("{mode: service}", "{mode: none}");
    scene.set_policy(&none);
    let left = scene.world.repo.commit("without colours");
    scene.world.wait_for("live", &left);
    gone(&scene.world, "deployment", &namespace, &format!("{APP}-green"));
    for (kind, name) in
        [("hpa", "sized-green"), ("hpa", "sized-blue"), ("pdb", "kept-green"), ("pdb", "kept-blue")]
    {
        gone(&scene.world, kind, &namespace, name);
    }
    assert_eq!(scene.field("hpa", "sized", "/spec/scaleTargetRef/name"), json!(APP), "{}", daemon.log());
    assert_eq!(scene.field("deployment", APP, "/spec/replicas"), json!(2), "{}", daemon.log());
    let asked = evictions.end();
    assert!(asked > 20, "pods were asked about {asked} times");
    load.ends_well(&["1", "2"]);
}
