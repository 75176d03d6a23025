//! What the deploy log tells of workloads that roll out in colours, on a real cluster: each rollout once, with what its gates said and
//! when traffic moved; each order of a person; and what became of a rollout whose daemon was killed.

use serde_json::{Value, json};

use crate::ledger::{Logs, kinds, queued};
use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::support::{Daemon, check, eventually};

/// A scene whose first release is live, and told.
fn installed(name: &str, judged: Judged, bake: &str) -> (Scene, Logs, Daemon) {
    let (scene, logs) = (Scene::new(name), Logs::new());
    for entry in queued(&scene.world) {
        let name = format!("deploylog-{}", entry["id"].as_str().unwrap().to_lowercase());
        scene.world.kube.must(&["delete", "configmap", "-n", "tidegate-system", &name]);
    }
    let first = scene.begin(judged, bake, Release::new("1"));
    let daemon = logs.daemon(&scene.world, &["--ledger-coalesce", "2s"]);
    scene.world.wait_for("live", &first);
    told(&scene, &logs, 1);
    (scene, logs, daemon)
}

/// The records about the workload, once there are so many.
fn told(scene: &Scene, logs: &Logs, count: usize) -> Vec<Value> {
    eventually(&format!("{count} records of the workload are in git"), || {
        let all = logs.records(&scene.world);
        let name = format!("{}/{APP}", scene.world.name);
        // Not what is put away or kept up beside it.
        let is_about = |record: &&Value| {
            let apps = record["apps"].as_array();
            let of_app = apps.is_some_and(|apps| apps.iter().any(|change| change["app"] == name.as_str()));
            of_app || record["kind"] == "break_glass" || !record["repairs"].is_null()
        };
        let found: Vec<Value> = all.iter().filter(is_about).cloned().collect();
        check(found.len() >= count, format!("{:?}\n{found:#?}", kinds(&all)))?;
        Ok(found)
    })
}

fn gates(record: &Value) -> Vec<(String, String)> {
    let all = record["gates"]["items"].as_array().cloned().unwrap_or_default();
    let word = |gate: &Value, key: &str| gate[key].as_str().unwrap_or_default().to_owned();
    all.iter().map(|gate| (word(gate, "name"), word(gate, "result"))).collect()
}

fn moves(record: &Value) -> Vec<(Value, Value)> {
    let all = record["traffic"]["items"].as_array().cloned().unwrap_or_default();
    all.iter().map(|shift| (shift["from"].clone(), shift["to"].clone())).collect()
}

#[test]
fn a_rollout_is_a_record_with_its_gates_its_moves_of_traffic_and_the_images_that_ran() {
    let (scene, logs, _daemon) = installed("log-rollout", Judged::BeforeSwitch, "1s");
    scene.release(Release::wrong("2"));
    told(&scene, &logs, 2);
    let third = scene.release(Release::new("3"));
    scene.world.wait_for("live", &third);
    let records = told(&scene, &logs, 3);
    assert_eq!(
        kinds(&records)[..3],
        ["deploy succeeded", "deploy failed", "deploy succeeded"],
        "{records:#?}"
    );
    let (first, wrong, good) = (&records[0], &records[1], &records[2]);
    assert_eq!(moves(first), [(Value::Null, json!("blue"))], "{first:#}");
    assert_eq!((&wrong["code"], moves(wrong)), (&json!("E0407"), vec![]), "{wrong:#}");
    assert_eq!(gates(wrong), [("smoke".to_owned(), "fail".to_owned())], "{wrong:#}");
    let (value, threshold) = (&wrong["gates"]["items"][0]["value"], &wrong["gates"]["items"][0]["threshold"]);
    assert!(value.to_string().contains("25.35") && threshold.to_string().contains("20.35"), "{wrong:#}");
    assert_eq!(moves(good), [(json!("blue"), json!("green"))], "{good:#}");
    let passed = |name: &str| (name.to_owned(), "pass".to_owned());
    assert_eq!(gates(good), [passed("smoke"), passed("watch")], "{good:#}");
    assert_eq!(good["source"]["commit"], third.as_str());
    assert_eq!(good["policy"]["path"], "policies/blue-green.yaml");
    let change = &good["apps"][0];
    assert_eq!(change["to"]["commit"], third.as_str());
    assert_ne!(change["to"]["revision"], change["from"]["revision"], "{good:#}");
    let digest = change["to"]["images"]["main"]["digest"].as_str().unwrap_or_default();
    assert!(digest.starts_with("sha256:"), "what pods report: {good:#}");
    let switched = good["times"]["switched"].as_str().unwrap();
    assert!(good["times"]["started"].as_str().unwrap() < switched, "{good:#}");
    let (code, text) = logs.verify(&scene.world);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn what_people_order_and_what_comes_of_it_is_told_with_their_names() {
    let (scene, logs, _daemon) = installed("log-orders", Judged::BeforeSwitch, "1s");
    scene.world.repo.write("policies/blue-green.yaml", &Scene::policy_of_long_bake(Judged::BeforeSwitch));
    scene.release(Release::new("2"));
    eventually("green serves", || check(scene.selected() == "green", "it does not"));
    let order = |word: &str, why: &str| {
        let workload = format!("{}/{APP}", scene.world.name);
        let said = scene.world.tidegate(&[word, &workload, "--reason", why]);
        assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    };
    order("abort", "customers complain");
    eventually("blue serves", || check(scene.selected() == "blue", "it does not"));
    let records = told(&scene, &logs, 3);
    assert_eq!(
        kinds(&records),
        ["deploy succeeded", "break_glass succeeded", "deploy rolled_back"],
        "{records:#?}"
    );
    assert_eq!(records[1]["order"]["reason"], "customers complain", "{:#}", records[1]);
    assert_eq!(records[1]["order"]["command"], "abort");
    let there_and_back = [(json!("blue"), json!("green")), (json!("green"), json!("blue"))];
    assert_eq!(moves(&records[2]), there_and_back, "{:#}", records[2]);
    order("retry", "it was another service");
    eventually("green serves", || check(scene.selected() == "green", "it does not"));
    order("promote", "all is well");
    let records = told(&scene, &logs, 6);
    let words: Vec<String> = kinds(&records)[3..].to_vec();
    assert_eq!(words, ["break_glass succeeded", "break_glass succeeded", "deploy succeeded"], "{records:#?}");
}

#[test]
fn what_somebody_else_changed_is_told_once_with_who_did() {
    let (scene, logs, _daemon) = installed("log-edited", Judged::BeforeSwitch, "1s");
    scene.kubectl(&["set", "env", &format!("deployment/{APP}-blue"), "EXTRA=1"]);
    let records = told(&scene, &logs, 2);
    assert_eq!(kinds(&records), ["deploy succeeded", "drift succeeded"], "{records:#?}");
    assert_eq!(records[1]["repairs"]["items"][0]["ref"]["name"], format!("{APP}-blue"), "{:#}", records[1]);
    assert!(
        records[1]["repairs"]["items"][0]["manager"].as_str().unwrap().contains("kubectl"),
        "{:#}",
        records[1]
    );
}

#[test]
fn a_rollout_whose_daemon_is_killed_is_told_as_interrupted_and_then_as_what_it_came_to() {
    let (scene, logs, mut daemon) = installed("log-cut", Judged::BeforeSwitch, "8s");
    let second = scene.release(Release::new("2"));
    eventually("green serves", || check(scene.selected() == "green", "it does not"));
    scene.said(&["gates watch"]);
    daemon.kill();
    daemon.restart();
    scene.world.wait_for("live", &second);
    let records = told(&scene, &logs, 3);
    assert_eq!(
        kinds(&records),
        ["deploy succeeded", "interrupted unknown", "deploy succeeded"],
        "{records:#?}"
    );
    let (cut, whole) = (&records[1], &records[2]);
    assert!(cut["reason"].as_str().unwrap().contains("green serves"), "{cut:#}");
    assert_eq!(cut["apps"][0]["to"]["commit"], second.as_str(), "who serves is known: {cut:#}");
    assert_eq!(moves(whole), [(json!("blue"), json!("green"))], "it had moved before: {whole:#}");
    assert_eq!(gates(whole).len(), 2, "what gates said before the kill counts: {whole:#}");
    let (code, text) = logs.verify(&scene.world);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a_workload_that_leaves_git_is_told_and_nothing_runs_of_it_any_more() {
    let (scene, logs, _daemon) = installed("log-left", Judged::BeforeSwitch, "1s");
    scene.world.repo.remove(&format!("environments/{}/app.yaml", scene.world.name));
    scene.world.repo.commit("no more");
    let records = told(&scene, &logs, 2);
    assert_eq!(kinds(&records).last().unwrap(), "prune succeeded", "{records:#?}");
    assert_eq!(records.last().unwrap()["apps"][0]["to"], Value::Null);
}
