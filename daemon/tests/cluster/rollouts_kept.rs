//! What the live colour is repaired from: what was kept of it when it was made, whatever git asks for by then.

use serde_json::{Value, json};

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::support::{check, eventually};

/// The template of the live colour, once its pods are all of it.
fn template(scene: &Scene) -> Value {
    scene.ready("blue", 2);
    scene.field("deployment", &format!("{APP}-blue"), "/spec/template")
}

/// Somebody edits the live colour, and deletes it; each time it is as it was.
fn is_repaired(scene: &Scene, proven: &Value) {
    let blue = format!("{APP}-blue");
    let field = |pointer: &str| scene.field("deployment", &blue, pointer);
    let before = field("/metadata/generation");
    scene.kubectl(&["set", "env", &format!("deployment/{blue}"), "EXTRA=1"]);
    eventually("the template is what was proven", || {
        let (generation, now) = (field("/metadata/generation"), field("/spec/template"));
        check(generation != before && now == *proven, now.to_string())
    });
    scene.ready("blue", 2);
    let uid = field("/metadata/uid");
    scene.kubectl(&["delete", "deployment", &blue, "--wait=false"]);
    eventually("it is made again of what was proven", || {
        let is_new = field("/metadata/uid").is_string() && field("/metadata/uid") != uid;
        let now = field("/spec/template");
        check(is_new && now == *proven, now.to_string())
    });
    scene.ready("blue", 2);
    assert_eq!((scene.selected().as_str(), scene.pointer()["live"].clone()), ("blue", json!("blue")));
}

#[test]
fn the_live_colour_is_repaired_from_what_was_kept_while_git_asks_for_another_and_has_lost_its_commit() {
    let scene = Scene::new("kept-live");
    let commit = |release: Release| {
        let lasting = Scene::lasting(&scene.manifests(release));
        let files = [("environment.yaml", scene.environment()), ("app.yaml", lasting)];
        let message = format!("version {}", release.version);
        scene.world.commit(&message, &files.each_ref().map(|(path, text)| (*path, text.as_str())))
    };
    scene.set_policy(&Scene::policy(Judged::BeforeSwitch, "1s"));
    let first = commit(Release::new("1"));
    let mut daemon = scene.world.daemon();
    scene.world.wait_for("live", &first);
    let load = scene.load();
    let proven = template(&scene);
    let wrong = commit(Release::wrong("2"));
    scene.world.wait_for("degraded", &wrong);
    is_repaired(&scene, &proven);

    // Another history, in which that commit never was; a daemon that has nothing of it.
    let repo = &scene.world.repo;
    for step in [
        &["checkout", "--quiet", "--orphan", "other"][..],
        &["commit", "--quiet", "-m", "version 2, as if there had been no other"],
        &["push", "--quiet", "--force", "origin", "other:main"],
        &["--git-dir", &repo.url(), "gc", "--quiet", "--prune=now"],
    ] {
        repo.git(step);
    }
    let rewritten = repo.head();
    let is_there = |commit: &str| {
        let known = ["--git-dir", &repo.url(), "cat-file", "--batch-check", "--batch-all-objects"];
        repo.git(&known).contains(commit)
    };
    assert!(is_there(&rewritten) && !is_there(&first), "the first commit is gone");
    daemon.kill();
    let daemon = scene.world.daemon();
    let accepted = ["sync", &scene.world.name, "--rewind", &rewritten, "--reason", "a secret was in it"];
    eventually("the other history is accepted", || {
        let asked = scene.world.tidegate(&accepted);
        check(asked.code == 0, asked.stderr)
    });
    scene.world.wait_for("degraded", &rewritten);
    is_repaired(&scene, &proven);
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    load.ends_well(&["1"]);
}
