//! The policy that people are told to copy, in whole rollouts of a daemon, with its times shortened and nothing else; and the
//! kinds of gates that it has none of.

use serde_json::Value;

use crate::rollout_scene::{APP, Release, Scene};
use crate::scene::problem;
use crate::support::{check, eventually};

/// Longer than the runs below, each replaced where it stands once.
const TIMES: [(&str, &str); 6] = [
    ("lbHealth: {duration: 15s}", "lbHealth: {duration: 3s}"),
    ("every: 15s", "every: 1s"),
    ("bake: {duration: 10m, max: 1h,", "bake: {duration: 2s, max: 1m,"),
    ("drain: 30s", "drain: 1s"),
    ("standby: 30m", "standby: 1s"),
    ("keepFailed: 10m", "keepFailed: 1s"),
];

/// `policies/blue-green.yaml` of this repository.
fn shipped() -> String {
    let text = include_str!("../../../policies/blue-green.yaml").to_owned();
    TIMES.iter().fold(text, |text, (long, short)| {
        assert_eq!(text.matches(long).count(), 1, "{long} in {text}");
        text.replace(long, short)
    })
}

/// Gates of the kinds that it has none of, before the switch and in the bake, beside two that it has.
fn of_other_kinds() -> String {
    let shipped = shipped();
    let (_, smoke) = shipped.split_once("      # Each pod answers.\n").unwrap();
    let (smoke, _) = smoke.split_once("\n    # After the switch").unwrap();
    let others = "      - name: port\n        tcp: {port: http}\n      - name: bears\n        every: 1s\n        \
                  load: {method: POST, path: /predict, body: {rooms: 6.5}, rate: 20, duration: 2s, p95: 1s}\n";
    let baking = "    whileBaking:\n      - name: endpoints\n        every: 1s\n        lbHealth: {duration: 1s}\n      \
                  - name: still-bears\n        every: 1s\n        \
                  load: {method: POST, path: /predict, body: {rooms: 6.5}, rate: 20, duration: 1s, p95: 1s}\n      \
                  - name: still-open\n        every: 1s\n        tcp: {port: http}\n";
    shipped.replace(smoke, others).replace("    whileBaking:\n", baking)
}

/// The release, with the label by which the policy knows its Deployment.
fn labelled(scene: &Scene, release: Release) -> String {
    let plain = format!("name: {APP}, labels: {{app: {APP}}}");
    let label = format!("name: {APP}, labels: {{app: {APP}, tidegate.dev/rollout: blue-green}}");
    // Shorter than the pause of its hook and some seconds to end in, it would be turned down.
    let ends = ("terminationGracePeriodSeconds: 5", "terminationGracePeriodSeconds: 10");
    scene.manifests(release).replace(&plain, &label).replace(ends.0, ends.1)
}

fn commit(scene: &Scene, message: &str, manifests: &str) -> String {
    let files = [("environment.yaml", scene.environment()), ("app.yaml", manifests.to_owned())];
    scene.world.commit(message, &files.each_ref().map(|(path, text)| (*path, text.as_str())))
}

/// The gates that a slot's record has an answer of, and what each has said.
fn answers(scene: &Scene, slot: &str) -> Vec<(String, String)> {
    let record = "/metadata/annotations/tidegate.dev~1slot-record";
    let record = scene.field("deployment", &format!("{APP}-{slot}"), record);
    let record: Value = serde_json::from_str(record.as_str().unwrap_or("null")).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = record["answers"].as_array().cloned().unwrap_or_default();
    let mut all: Vec<_> = all
        .iter()
        .map(|answer| &answer["evidence"])
        .map(|evidence| (text(&evidence["gate"]["name"]), text(&evidence["verdict"])))
        .collect();
    all.sort();
    all
}

fn all_pass(names: &[&str]) -> Vec<(String, String)> {
    let mut all: Vec<_> = names.iter().map(|name| ((*name).to_owned(), "pass".to_owned())).collect();
    all.sort();
    all
}

#[test]
fn the_policy_that_is_shipped_brings_releases_live_and_turns_a_wrong_one_down_and_so_do_its_other_gates() {
    let scene = Scene::new("shipped");
    scene.set_policy(&shipped());
    let first = commit(&scene, "version 1", &labelled(&scene, Release::new("1")));
    let daemon = scene.world.daemon();
    scene.world.wait_for("live", &first);
    let load = scene.load();
    let second = commit(&scene, "version 2", &labelled(&scene, Release::new("2")));
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    let gates = ["drain-safe", "steady", "smoke", "still-answers"];
    assert_eq!(answers(&scene, "green"), all_pass(&gates), "{}", daemon.log());

    scene.set_policy(&of_other_kinds());
    let third = commit(&scene, "version 3", &labelled(&scene, Release::new("3")));
    scene.world.wait_for("live", &third);
    assert_eq!(scene.selected(), "blue");
    let before = ["drain-safe", "steady", "port", "bears"];
    let gates = [&before[..], &["endpoints", "still-bears", "still-open", "still-answers"]].concat();
    assert_eq!(answers(&scene, "blue"), all_pass(&gates), "{}", daemon.log());

    // One that each of two gates turns down, by its name: what cannot drain, what does not bear a load.
    let hook = "        lifecycle: {preStop: {sleep: {seconds: 2}}}\n";
    let hasty = labelled(&scene, Release::new("4")).replace(hook, "");
    let failing = Release { further: ", {name: FAIL_RATE, value: \"0.25\"}", ..Release::new("5") };
    for (manifests, gate, words) in [
        (hasty, "drain-safe", "has no preStop hook"),
        (labelled(&scene, failing), "bears", " % errors, expected at most 0 %)"),
    ] {
        let wrong = commit(&scene, gate, &manifests);
        let status = scene.world.wait_for("degraded", &wrong);
        let told = problem(&status, "E0407");
        let message = told["message"].as_str().unwrap();
        assert!(message.contains(&format!("gate `{gate}` failed")) && message.contains(words), "{message}");
        assert_eq!(scene.selected(), "blue");
        eventually("green is put away", || {
            check(scene.replicas("green").is_none_or(|size| size == 0), "it has pods")
        });
    }
    load.ends_well(&["1", "2", "3"]);
}
