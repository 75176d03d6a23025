//! Gates whose endpoint is the release itself, and lies: it hangs, answers nonsense, sends the daemon elsewhere, or never stops.

use crate::rollout_scene::{Judged, Release, Scene};
use crate::scene::problem;
use crate::support::{check, eventually};

/// A release that answers its gate in this way is turned down, in these words; one that does not goes through after it.
fn is_turned_down(name: &str, lie: &'static str, words: &str) {
    let (scene, _daemon, load) = Scene::installed(name, Judged::BeforeSwitch, "1s");
    let short = Scene::policy(Judged::BeforeSwitch, "1s")
        .replace("name: smoke\n", "name: smoke\n        timeout: 3s\n");
    scene.set_policy(&short);
    let commit = scene.release(Release { further: lie, ..Release::new("2") });
    let status = scene.world.wait_for("degraded", &commit);
    let told = problem(&status, "E0407");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("gate `smoke` failed"), "{message}");
    assert!(told.to_string().contains(words), "{words}: {told:#}");
    assert!(message.contains("traffic never left blue (") && message.len() < 2_000, "{message}");
    assert!(told["help"].as_str().unwrap().contains("git revert "), "{told:#}");
    assert_eq!(scene.selected(), "blue");
    eventually("green is put away", || check(scene.replicas("green") == Some(0), "it has pods"));
    let mended = scene.release(Release::new("3"));
    scene.world.wait_for("live", &mended);
    load.ends_well(&["1", "3"]);
}

#[test]
fn a_release_that_hangs_before_its_gate_is_turned_down() {
    is_turned_down("lies-hang", ", {name: DELAY, value: 60s}", "did not answer within ");
}

#[test]
fn a_release_that_answers_nonsense_to_its_gate_is_turned_down() {
    is_turned_down("lies-nonsense", ", {name: LIE, value: nonsense}", "JSON");
}

#[test]
fn a_release_that_sends_its_gate_to_the_metadata_address_is_turned_down() {
    is_turned_down("lies-metadata", ", {name: LIE, value: metadata}", "302");
}

#[test]
fn a_release_that_answers_its_gate_without_end_is_turned_down() {
    is_turned_down("lies-huge", ", {name: LIE, value: huge}", "answered more than 1048576 bytes");
}
