//! A webhook of the cluster that stands before the switch: it denies it, hangs, or is not there. Traffic stays where it is, people
//! are told, and the rollout goes on once it may.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::hostile_cluster::{Does, answering};
use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::{problems, throughout};
use crate::support::{check, eventually, within};
use crate::tls_front::TlsFront;

/// The pause after failures grows to a minute.
const TRIED_AGAIN_WITHIN: Duration = Duration::from_mins(2);

/// A ValidatingWebhookConfiguration for what moves traffic to green in one namespace; it goes with the test.
struct Hook<'a> {
    scene: &'a Scene,
    front: Option<TlsFront>,
}

impl<'a> Hook<'a> {
    fn new(scene: &'a Scene, does: Does) -> Self {
        let mut hook = Self { scene, front: None };
        hook.becomes(does);
        eventually("the webhook is in force", || hook.tried());
        hook
    }

    /// Another program behind it, or the first one; there is no moment without one of them.
    fn becomes(&mut self, does: Does) {
        let (name, front) = (&self.scene.world.name, answering(does));
        let authority = STANDARD.encode(std::fs::read(front.authority()).unwrap());
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": { "name": name },
            "webhooks": [{
                "name": "switches.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "failurePolicy": "Fail", "timeoutSeconds": 1,
                "clientConfig": { "url": front.url("hook"), "caBundle": authority },
                "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": name } },
                "rules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["services"],
                }],
                "matchConditions": [{
                    "name": "to-green",
                    "expression": "object.spec.selector[?'tidegate.dev/slot'].orValue('') == 'green'",
                }],
            }],
        });
        self.scene.world.kube.apply("default", &configuration.to_string());
        self.front = Some(front);
    }

    /// Whether a switch by hand, which is not carried out, is refused by it.
    fn tried(&self) -> Result<(), String> {
        let patch = json!({ "spec": { "selector": { "tidegate.dev/slot": "green" } } }).to_string();
        let name = &self.scene.world.name;
        let try_it = ["-n", name, "patch", "service", APP, "--dry-run=server", "--type=merge", "-p", &patch];
        let came = self.scene.world.kube.run(&try_it);
        check(came.is_err_and(|why| why.contains("switches.example.com")), "it is not")
    }

    /// What is behind it goes; it stays.
    fn loses_its_program(&mut self) {
        self.front = None;
    }

    fn remove(&self) {
        let name = &self.scene.world.name;
        let _ = self.scene.world.kube.run(&[
            "delete",
            "validatingwebhookconfiguration",
            name,
            "--ignore-not-found",
        ]);
    }
}

impl Drop for Hook<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}

/// People are told that the switch does not go on, in these words, and what happens next; traffic stays.
fn is_told(scene: &Scene, commit: &str, words: &[&str]) {
    eventually(&format!("the record says {words:?}"), || {
        let status = scene.world.status();
        let told = problems(&status, "E0413");
        let is_told = |told: &Value| {
            let message = told["message"].as_str().unwrap_or_default();
            let help = told["help"].as_str().unwrap_or_default();
            message.starts_with("the rollout does not go on: ")
                && words.iter().all(|words| message.contains(words))
                && help.contains("it is tried again by itself")
        };
        check(status["seen"]["id"] == commit && told.iter().any(is_told), format!("{status:#}"))
    });
    scene.said(&[&["E0413", "2 of 2 ready  serves"], words].concat());
    throughout(Duration::from_secs(1), "blue serves", || scene.selected() == "blue");
}

#[test]
fn a_webhook_that_denies_the_switch_or_hangs_or_is_gone_is_told_and_traffic_stays_until_it_may_move() {
    let (scene, _daemon, load) = Scene::installed("webhook-switch", Judged::BeforeSwitch, "1s");
    let mut hook = Hook::new(&scene, Does::Rejects);
    let second = scene.release(Release::new("2"));
    is_told(&scene, &second, &["switches.example.com", "not on a Saturday"]);
    scene.event("not on a Saturday");
    hook.becomes(Does::Hangs);
    is_told(&scene, &second, &["switches.example.com", "failed calling webhook"]);
    hook.loses_its_program();
    is_told(&scene, &second, &["switches.example.com", "connection refused"]);
    hook.remove();
    within(TRIED_AGAIN_WITHIN, "green serves", || check(scene.selected() == "green", "it does not"));
    scene.world.wait_for("live", &second);
    load.ends_well(&["1", "2"]);
}
