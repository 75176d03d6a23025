//! Policies that cannot be held, and pods that cannot be proven, committed beside a new release while an earlier one serves under
//! load: people are told at the line that is wrong, nothing that runs is touched, and the commit taken back is the end of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::{place, problem, throughout};

const POLICY: &str = "policies/blue-green.yaml";

/// `file:line:column` of the first place of these words in a file.
fn at(file: &str, text: &str, words: &str) -> String {
    let before = text.split_once(words).unwrap_or_else(|| panic!("{words} is not in {text}")).0;
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    format!("{file}:{}:{column}", before.matches('\n').count() + 1)
}

/// What a commit changes, and how people are told.
struct Mistake {
    environment: String,
    policy: String,
    manifests: String,
    code: &'static str,
    place: String,
    words: &'static str,
}

/// What stands in the cluster of the workload: another value after anything of it was written by whomever.
fn what_stands(scene: &Scene) -> Value {
    let blue = format!("{APP}-blue");
    json!({
        "generation": scene.field("deployment", &blue, "/metadata/generation"),
        "slot": scene.field("deployment", &blue, "/metadata/annotations/tidegate.dev~1slot-record"),
        "pods": scene.pods("blue"),
        "service": scene.field("service", APP, "/spec"),
        "pointer": scene.pointer(),
    })
}

/// A release that comes with a mistake, on a workload that serves: told, and nothing else; then taken back.
fn is_told_and_nothing_is_touched(name: &str, mistake: impl Fn(&Scene, Mistake) -> Mistake) {
    let (scene, _daemon, load) = Scene::installed(name, Judged::BeforeSwitch, "1s");
    let stood = what_stands(&scene);
    let Mistake { environment, policy, manifests, code, place: wrong, words } = mistake(
        &scene,
        Mistake {
            environment: scene.environment(),
            policy: Scene::policy(Judged::BeforeSwitch, "1s"),
            manifests: scene.manifests(Release::new("2")),
            code: "",
            place: String::new(),
            words: "",
        },
    );
    scene.set_policy(&policy);
    let files = [("environment.yaml", environment), ("app.yaml", manifests)];
    let broken = scene.world.commit(words, &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    let status = scene.world.wait_for("failed", &broken);
    let told = problem(&status, code);
    assert!(told["message"].as_str().unwrap().contains(words), "{words}: {told:#}");
    assert_eq!(place(&told), wrong, "{told:#}");
    scene.said(&[code, words, &wrong]);
    throughout(Duration::from_secs(2), "nothing is touched", || {
        what_stands(&scene) == stood && scene.replicas("green").is_none()
    });
    scene.world.repo.git(&["revert", "--no-edit", "HEAD"]);
    let reverted = scene.world.repo.commit("take it back");
    let status = scene.world.wait_for("live", &reverted);
    assert_eq!(status["problems"]["total"], 0, "{status:#}");
    assert_eq!((what_stands(&scene), scene.replicas("green")), (stood, None));
    load.ends_well(&["1"]);
}

#[test]
fn a_second_policy_that_matches_a_live_workload_is_named_and_touches_nothing() {
    is_told_and_nothing_is_touched("refused-two", |scene, right| {
        let second = right.policy.replace("{name: blue-green}", "{name: canary}");
        scene.world.repo.write("policies/canary.yaml", &second);
        let app = format!("environments/{}/app.yaml", scene.world.name);
        Mistake {
            environment: right.environment.replace("[blue-green]", "[blue-green, canary]"),
            code: "E0601",
            place: at(&app, &right.manifests, "apiVersion: apps/v1"),
            words: "several rollout policies match it: `blue-green`, `canary`",
            ..right
        }
    });
}

#[test]
fn a_gate_that_asks_about_a_variable_that_is_none_is_told_at_it_and_a_live_workload_is_not_touched() {
    is_told_and_nothing_is_touched("refused-variable", |_, right| {
        let gate = "    whileBaking:\n      - name: errors\n        prometheus: {url: 'http://p', query: '${slots}', max: 1}\n";
        let policy = right.policy.replace("    whileBaking:\n", gate);
        Mistake {
            code: "E0204",
            place: at(POLICY, &policy, "'${slots}'"),
            words: "nothing is known of ${slots}",
            policy,
            ..right
        }
    });
}

#[test]
fn a_tolerance_without_a_number_is_told_at_it_and_a_live_workload_is_not_touched() {
    is_told_and_nothing_is_touched("refused-tolerance", |_, right| {
        let policy = right.policy.replace("{abs: 0.01}", "{}");
        Mistake {
            code: "E0201",
            place: at(POLICY, &policy, "tolerance: {}"),
            words: "a tolerance needs a number",
            policy,
            ..right
        }
    });
}

#[test]
fn pods_without_a_readiness_probe_are_told_at_their_containers_and_a_live_workload_is_not_touched() {
    is_told_and_nothing_is_touched("refused-probe", |scene, right| {
        let probe = "        readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 1}\n";
        let manifests = right.manifests.replace(probe, "");
        let app = format!("environments/{}/app.yaml", scene.world.name);
        assert_ne!(manifests, right.manifests);
        Mistake {
            code: "E0609",
            place: at(&app, &manifests, "containers:"),
            words: "none of its containers has a readinessProbe",
            manifests,
            ..right
        }
    });
}
