//! What becomes of a revision that was turned down: it is held while git is asked again and again, until git says otherwise; and
//! what git can say without another revision, `tidegate.dev/retry`, or without another template, `tidegate.dev/rollout-restart`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::{problem, short, throughout};
use crate::support::{check, eventually, shop};

/// The manifests of a release whose Deployment has an annotation.
fn annotated(scene: &Scene, release: Release, annotation: &str, value: &str) -> String {
    let plain = format!("metadata: {{name: {APP}, labels: {{app: {APP}}}}}");
    let annotated = format!(
        "metadata: {{name: {APP}, labels: {{app: {APP}}}, annotations: {{{annotation}: \"{value}\"}}}}"
    );
    let text = scene.manifests(release).replace(&plain, &annotated);
    assert!(text.contains(annotation), "{text}");
    text
}

#[test]
fn what_has_failed_its_bake_stays_away_however_often_git_is_asked_until_it_says_otherwise() {
    let scene = Scene::new("tried-held");
    let first = scene.begin(Judged::WhileBaking, "4s", Release::new("1"));
    let daemon = scene.world.daemon_with(&["--poll-interval", "1s"]);
    scene.world.wait_for("live", &first);
    let load = scene.load();
    let second = scene.release(Release::wrong("2"));
    scene.world.wait_for("degraded", &second);
    eventually("green is put away", || check(scene.replicas("green") == Some(0), "it has pods"));
    let prepared = || daemon.log().matches("phase=\"prepare\"").count();
    let (before, asked) = (prepared(), daemon.log().len());
    // Git moves, and what it asks of this workload is the same: commits of other folders, and of nothing.
    for number in 0..3 {
        scene.world.repo.write("README.md", &format!("look {number}\n"));
        let head = scene.world.repo.commit("a word");
        eventually("it is seen", || {
            let log = daemon.log();
            check(log.get(asked..).unwrap_or_default().contains(short(&head)), log.clone())
        });
        throughout(Duration::from_millis(1500), "blue serves alone", || {
            scene.selected() == "blue" && scene.replicas("green") == Some(0)
        });
    }
    assert_eq!(prepared(), before, "it was not tried again: {}", daemon.log());
    assert_eq!(scene.pointer()["rejected"]["reason"], json!({"gate": "watch"}));
    let mended = scene.release(Release::new("3"));
    scene.world.wait_for("live", &mended);
    load.ends_well(&["1", "2", "3"]);
}

#[test]
fn git_asks_for_another_try_of_what_a_gate_has_turned_down_and_for_a_restart() {
    let scene = Scene::new("tried-again");
    let image = shop::image(&scene.world.kube);
    // It fails for as long as there is no database, whatever the release.
    let job = format!(
        "      - name: migrations\n        job: {{template: {{spec: {{containers: [{{name: main, image: '{image}', \
         imagePullPolicy: IfNotPresent, args: [get, http://database.{}.svc/version]}}]}}}}}}\n    whileBaking:\n",
        scene.world.name
    );
    let first = scene.begin(Judged::BeforeSwitch, "1s", Release::new("1"));
    let daemon = scene.world.daemon();
    scene.world.wait_for("live", &first);
    let load = scene.load();
    scene.set_policy(&Scene::policy(Judged::BeforeSwitch, "1s").replace("    whileBaking:\n", &job));
    let second = scene.release(Release::new("2"));
    let status = scene.world.wait_for("degraded", &second);
    let told = problem(&status, "E0407");
    assert!(told["message"].as_str().unwrap().contains("gate `migrations` failed"), "{told:#}");
    assert!(told["help"].as_str().unwrap().contains("tidegate retry"), "{told:#}");
    scene.open_database();
    let again = annotated(&scene, Release::new("2"), "tidegate.dev/retry", "1");
    let again = scene.world.commit("once more", &[("app.yaml", &again)]);
    scene.world.wait_for("live", &again);
    assert_eq!(scene.selected(), "green");
    assert_eq!(scene.pointer()["rejected"], Value::Null, "{}", daemon.log());

    // The same again, in other pods, by the same gates.
    let image_of = |slot: &str| {
        scene.field("deployment", &format!("{APP}-{slot}"), "/spec/template/spec/containers/0/image")
    };
    let restart = annotated(&scene, Release::new("2"), "tidegate.dev/rollout-restart", "2026-11-22");
    let restart = scene.world.commit("new pods", &[("app.yaml", &restart)]);
    scene.world.wait_for("live", &restart);
    assert_eq!(scene.selected(), "blue");
    assert_eq!(image_of("blue"), image_of("green"));
    load.ends_well(&["1", "2"]);
}

#[test]
fn where_both_colours_are_sick_people_are_told_and_another_commit_leads_out() {
    let scene = Scene::new("tried-stranded");
    scene.begin(Judged::BeforeSwitch, "1s", Release::new("1"));
    let first = scene.world.commit("version 1", &[("app.yaml", &scene.called(Release::new("1")))]);
    let _daemon = scene.world.daemon();
    scene.call_ready("blue", 2);
    scene.world.wait_for("live", &first);
    scene.set_policy(&Scene::policy_of_long_bake(Judged::BeforeSwitch));
    scene.world.commit("version 2", &[("app.yaml", &scene.called(Release::new("2")))]);
    scene.call_ready("green", 2);
    eventually("green serves", || check(scene.selected() == "green", "it does not"));
    scene.call("blue", false);
    scene.said(&["house-price-blue", "0 of 2 ready"]);
    scene.call("green", false);
    let words =
        ["the new revision fails, and there is nothing well to go back to", "green serves with 0 of 2"];
    scene.said(&[words[0], words[1], "E0412", "next: another commit"]);
    scene.event(words[0]);
    throughout(Duration::from_secs(2), "traffic is not moved about", || scene.selected() == "green");
    scene.set_policy(&Scene::policy(Judged::BeforeSwitch, "1s"));
    let third = scene.release(Release::new("3"));
    scene.world.wait_for("live", &third);
    assert_eq!(scene.selected(), "blue");
    let load = scene.load();
    Scene::answered(&load);
    load.ends_well(&["3"]);
}
