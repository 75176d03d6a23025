//! Gates whose endpoint is the release itself, and lies: it hangs, answers nonsense, sends the daemon elsewhere, or never stops.

use crate::rollout_scene::{Judged, Release, Scene};
use crate::scene::problem;
use crate::support::{check, eventually};

/// What a release answers its gate with, and what is said of it.
const LIES: [(&str, &str); 4] = [
    (", {name: DELAY, value: 60s}", "did not answer within "),
    (", {name: LIE, value: nonsense}", "JSON"),
    (", {name: LIE, value: metadata}", "302"),
    (", {name: LIE, value: huge}", "answered more than 1048576 bytes"),
];

#[test]
fn a_release_that_hangs_or_lies_to_its_gate_is_turned_down_and_people_are_told_what_came() {
    let (scene, _daemon, load) = Scene::installed("rollout-lies", Judged::BeforeSwitch, "1s");
    let short = Scene::policy(Judged::BeforeSwitch, "1s")
        .replace("name: smoke\n", "name: smoke\n        timeout: 3s\n");
    scene.set_policy(&short);
    for (number, (lie, words)) in LIES.into_iter().enumerate() {
        let version: &str = (number + 2).to_string().leak();
        let commit = scene.release(Release { further: lie, ..Release::new(version) });
        let status = scene.world.wait_for("degraded", &commit);
        let told = problem(&status, "E0407");
        let message = told["message"].as_str().unwrap();
        assert!(message.contains("gate `smoke` failed"), "{message}");
        assert!(told.to_string().contains(words), "{words}: {told:#}");
        assert!(message.contains("traffic never left blue (") && message.len() < 2_000, "{message}");
        assert!(told["help"].as_str().unwrap().contains("git revert "), "{told:#}");
        assert_eq!(scene.selected(), "blue");
        eventually("green is put away", || check(scene.replicas("green") == Some(0), "it has pods"));
    }
    let mended = scene.release(Release::new("9"));
    scene.world.wait_for("live", &mended);
    load.ends_well(&["1", "9"]);
}
