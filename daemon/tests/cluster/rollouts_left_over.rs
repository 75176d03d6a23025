//! Workloads that leave git, or have left it, where hands or moments are in the way: records that somebody took away, colours that
//! somebody deleted, an end of the colours that is not over, a first revision that was never live.

use serde_json::json;

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::gone;
use crate::support::{check, config_map, eventually};

const RECORD: &str = "/metadata/annotations/tidegate.dev~1slot-record";

/// Only the Deployment leaves git; its Service keeps it.
fn without_deployment(scene: &Scene) {
    let manifests = scene.manifests(Release::new("1"));
    let rest = manifests.split_once("---\napiVersion: apps/v1").unwrap().0;
    scene.world.commit("without the Deployment", &[("app.yaml", rest)]);
    scene.said(&["has left git and stays with its colours"]);
}

fn without_all(scene: &Scene) {
    scene.world.commit("without the workload", &[("app.yaml", &config_map("rest", "a", "1"))]);
}

fn all_is_gone(scene: &Scene) {
    let objects =
        [("deployment", APP), ("deployment", "house-price-blue"), ("service", APP), ("service", "metrics")];
    for (kind, name) in objects {
        gone(&scene.world, kind, &scene.world.name, name);
    }
}

#[test]
fn a_workload_that_stays_is_watched_on_when_somebody_takes_the_record_of_its_last_colour_away() {
    let (scene, _daemon, load) = Scene::installed("left-record", Judged::BeforeSwitch, "1s");
    without_deployment(&scene);
    scene.kubectl(&["annotate", "deployment", "house-price-blue", "tidegate.dev/slot-record-"]);
    eventually("the record is there again", || {
        let record = scene.field("deployment", "house-price-blue", RECORD);
        check(record.is_string(), record.to_string())
    });
    scene.said(&["has left git and stays with its colours"]);
    let patch = r#"{"spec":{"selector":{"tidegate.dev/slot":"green"}}}"#;
    scene.kubectl(&["patch", "service", APP, "--type=merge", "-p", patch]);
    eventually("traffic goes back to blue", || check(scene.selected() == "blue", scene.selected()));
    drop(load);
}

#[test]
fn the_colour_of_a_workload_that_stays_is_made_again_when_somebody_deletes_it_until_its_service_has_left_too()
{
    let (scene, _daemon, load) = Scene::installed("left-deleted", Judged::BeforeSwitch, "1s");
    without_deployment(&scene);
    drop(load);
    let uid = || scene.field("deployment", "house-price-blue", "/metadata/uid");
    let before = uid();
    scene.kubectl(&["delete", "deployment", "house-price-blue", "--timeout=60s"]);
    eventually("blue is made again", || check(uid().is_string() && uid() != before, uid().to_string()));
    scene.ready("blue", 2);
    scene.said(&["has left git and stays with its colours"]);
    let load = scene.load();
    Scene::answered(&load);
    load.ends_well(&["1"]);
    without_all(&scene);
    all_is_gone(&scene);
}

#[test]
fn a_workload_that_leaves_git_while_it_loses_its_colours_leaves_nothing_behind() {
    let (scene, _daemon, load) = Scene::installed("left-leaving", Judged::BeforeSwitch, "1s");
    // Traffic has left the colours, and they are there for the time of the drain.
    let none = Scene::policy(Judged::BeforeSwitch, "1s").replace("mode: service", "mode: none");
    scene.set_policy(&none.replace("drain: 1s", "drain: 5m"));
    scene.world.repo.commit("no colours");
    eventually("traffic goes to the Deployment without a colour", || {
        let is_there = scene.field("deployment", APP, "/status/readyReplicas") == json!(2);
        let record = scene.pointer();
        check(is_there && record["isLeaving"] == json!(true), record.to_string())
    });
    Scene::answered(&load);
    load.ends_well(&["1"]);
    without_all(&scene);
    all_is_gone(&scene);
}

#[test]
fn services_that_follow_go_with_a_workload_whose_first_revision_was_never_live() {
    let scene = Scene::new("left-unborn");
    let follower = format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: metrics, annotations: {{tidegate.dev/role: follow}}}}\nspec:\n  \
         selector: {{app: {APP}}}\n  ports: [{{port: 81, targetPort: http}}]\n"
    );
    scene.begin(Judged::BeforeSwitch, "1s", Release::wrong("1"));
    let with = scene.manifests(Release::wrong("1")) + &follower;
    let first = scene.world.commit("one follows", &[("app.yaml", &with)]);
    let _daemon = scene.world.daemon();
    scene.world.wait_for("degraded", &first);
    let whose = || scene.field("service", "metrics", "/metadata/labels/tidegate.dev~1app");
    eventually("it says whose it is", || check(whose() == json!(APP), whose().to_string()));
    assert!(scene.pointer()["live"].is_null(), "{:#}", scene.pointer());
    without_all(&scene);
    all_is_gone(&scene);
}

#[test]
fn a_deployment_of_another_environment_is_not_taken_over_behind_a_service_of_nobodys() {
    let scene = Scene::new("left-foreign");
    scene.world.kube.must(&["create", "namespace", &scene.world.name]);
    scene.apply(&scene.manifests(Release::new("1")));
    let label = "applyset.kubernetes.io/part-of";
    let of = |whose: &str| scene.kubectl(&["label", "deployment", APP, &format!("{label}{whose}")]);
    of("=applyset-of-another-one");
    let first = scene.begin(Judged::BeforeSwitch, "1s", Release::new("1"));
    let _daemon = scene.world.daemon();
    scene.said(&[&format!("Deployment {APP} of another environment")]);
    let colour = scene.field("deployment", APP, "/spec/template/metadata/labels/tidegate.dev~1slot");
    assert!(colour.is_null(), "{colour}");
    of("-");
    scene.world.wait_for("live", &first);
    assert_eq!(scene.selected(), "blue");
}

#[test]
fn a_colour_that_has_lost_all_its_pods_after_its_bake_is_degraded_until_it_has_some() {
    let scene = Scene::new("left-unready");
    scene.begin(Judged::BeforeSwitch, "1s", Release::new("1"));
    let called = scene.called(Release::new("1"));
    let first = scene.world.commit("called", &[("app.yaml", &called)]);
    let _daemon = scene.world.daemon();
    scene.call_ready("blue", 2);
    scene.world.wait_for("live", &first);
    scene.call("blue", false);
    scene.world.wait_for("degraded", &first);
    scene.said(&["none of its pods is ready: blue serves with 0 of 2", "tidegate tree"]);
    scene.call("blue", true);
    scene.world.wait_for("live", &first);
}
