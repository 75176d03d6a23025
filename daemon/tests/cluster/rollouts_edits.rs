//! What people do by hand to a workload that rolls out in colours: colours that they delete, scale and restart, and rules of the
//! cluster that are in the way. Traffic stays on a revision that has passed its gates.

use std::time::Duration;

use serde_json::json;

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::{problem, throughout};
use crate::support::{check, eventually};

#[test]
fn an_idle_colour_that_somebody_scales_or_deletes_is_made_and_asked_anew() {
    let (scene, daemon, load) = Scene::installed("edits-idle", Judged::BeforeSwitch, "1s");
    scene.set_policy(&Scene::policy_with_database(Judged::BeforeSwitch, "1s"));
    let second = scene.release(Release::new("2"));
    let green = format!("deployment/{APP}-green");
    let passed = || daemon.log().matches("gate=\"smoke\" verdict=\"pass\"").count();
    // One of them was the first release's.
    let asked = |times: usize| {
        eventually("green is asked", || check(passed() == times, format!("{} times", passed())));
        scene.ready("green", 2);
    };
    asked(2);
    scene.kubectl(&["scale", &green, "--replicas=0"]);
    asked(3);
    scene.kubectl(&["delete", &green]);
    asked(4);
    scene.kubectl(&["scale", &green, "--replicas=3"]);
    throughout(Duration::from_secs(1), "more pods than it needs are left", || {
        scene.replicas("green") == Some(3)
    });
    assert_eq!(scene.selected(), "blue");
    scene.open_database();
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    eventually("it has git's size once it is live", || {
        check(scene.replicas("green") == Some(2), "it has not")
    });
    eventually("blue is put away", || check(scene.replicas("blue") == Some(0), "it is not"));
    scene.kubectl(&["scale", &format!("deployment/{APP}-blue"), "--replicas=1"]);
    eventually("blue is put away again", || check(scene.replicas("blue") == Some(0), "it is not"));
    load.ends_well(&["1", "2"]);
}

#[test]
fn a_live_colour_whose_deployment_somebody_deletes_is_made_again_as_it_was_in_a_bake_and_after_it() {
    let (scene, _daemon, load) = Scene::installed("edits-live", Judged::BeforeSwitch, "1s");
    scene.set_policy(&Scene::policy(Judged::BeforeSwitch, "50s"));
    let second = scene.release(Release::new("2"));
    eventually("green serves", || check(scene.selected() == "green", "it does not"));
    let deleted = || {
        let uid = || scene.field("deployment", &format!("{APP}-green"), "/metadata/uid");
        let before = uid();
        scene.kubectl(&["delete", "deployment", &format!("{APP}-green")]);
        eventually("it is there again", || check(uid().is_string() && uid() != before, "it is not"));
        scene.ready("green", 2);
        assert_eq!(scene.selected(), "green");
    };
    deleted();
    scene.event("a colour that is needed was deleted or scaled to 0; it is as it was again");
    assert!(scene.pointer()["bake"]["open"].is_object(), "{:#}", scene.pointer());
    let workload = format!("{}/{APP}", scene.world.name);
    assert_eq!(scene.world.tidegate(&["promote", &workload, "--reason", "seen enough"]).code, 0);
    scene.world.wait_for("live", &second);
    deleted();
    scene.world.wait_for("live", &second);
    // Without a pod nobody answers for a moment; then the same revision does.
    Scene::answered(&load);
    assert_eq!(load.end().versions(), ["1", "2"]);
}

#[test]
fn a_restart_of_the_live_colour_by_hand_is_left_and_costs_no_request() {
    let (scene, daemon, load) = Scene::installed("edits-restart", Judged::BeforeSwitch, "1s");
    let blue = format!("deployment/{APP}-blue");
    let before = scene.pods("blue");
    scene.kubectl(&["rollout", "restart", &blue]);
    scene.kubectl(&["rollout", "status", &blue, "--timeout=60s"]);
    eventually("its pods are new ones", || {
        let now = scene.pods("blue");
        check(now.len() == 2 && now.iter().all(|pod| !before.contains(pod)), format!("{now:?}"))
    });
    let restarted = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
    assert!(scene.field("deployment", &format!("{APP}-blue"), restarted).is_string());
    assert!(!daemon.log().contains("was taken back"), "{}", daemon.log());
    let second = scene.release(Release::new("2"));
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    load.ends_well(&["1", "2"]);
}

/// A rule of the API server, which refuses green as the target of the Service in one namespace; it goes with the test.
struct Rule<'a>(&'a Scene);

impl Rule<'_> {
    fn new(scene: &Scene) -> Rule<'_> {
        let name = &scene.world.name;
        scene.apply(&format!(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {{name: {name}}}\nspec:\n  \
             failurePolicy: Fail\n  matchConstraints:\n    resourceRules:\n    - {{apiGroups: [\"\"], apiVersions: [v1], operations: [UPDATE], resources: [services]}}\n  \
             validations:\n  - {{expression: \"object.spec.selector[?'tidegate.dev/slot'].orValue('') != 'green'\", message: \"no switches today, ask Ann\"}}\n---\n\
             apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {{name: {name}}}\nspec:\n  \
             policyName: {name}\n  validationActions: [Deny]\n  matchResources: {{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}}}\n"
        ));
        let patch = json!({"spec": {"selector": {"tidegate.dev/slot": "green"}}}).to_string();
        let try_it = ["-n", name, "patch", "service", APP, "--dry-run=server", "--type=merge", "-p", &patch];
        eventually("the rule holds", || {
            let came = scene.world.kube.run(&try_it);
            check(came.is_err_and(|why| why.contains("ask Ann")), "it does not")
        });
        Rule(scene)
    }
}

impl Drop for Rule<'_> {
    fn drop(&mut self) {
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            let _ = self.0.world.kube.run(&["delete", kind, &self.0.world.name, "--ignore-not-found"]);
        }
    }
}

#[test]
fn a_switch_that_the_cluster_refuses_is_told_in_its_words_and_goes_on_when_it_may() {
    let (scene, _daemon, load) = Scene::installed("edits-refused", Judged::BeforeSwitch, "1s");
    let rule = Rule::new(&scene);
    let second = scene.release(Release::new("2"));
    let status = scene.world.wait_for("degraded", &second);
    let told = problem(&status, "E0413");
    let message = told["message"].as_str().unwrap();
    assert!(message.starts_with("the rollout does not go on: switch: the API server refused: "), "{message}");
    assert!(message.contains("no switches today, ask Ann"), "{message}");
    let help = told["help"].as_str().unwrap();
    assert!(help.contains("it is tried again by itself"), "{help}");
    throughout(Duration::from_secs(3), "blue serves", || scene.selected() == "blue");
    drop(rule);
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    load.ends_well(&["1", "2"]);
}
