//! What people are told of a release that was turned down: in the record, by `status`, by an Event and in the log.

use serde_json::{Value, json};

use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::problem;
use crate::support::{check, eventually};

/// `note: file:line:column` of the second places.
fn places(problem: &Value) -> Vec<String> {
    let place = |other: &Value| {
        let at = &other["location"];
        let file = at["file"].as_str().unwrap();
        format!("{}: {file}:{}:{}", other["note"].as_str().unwrap(), at["line"], at["column"])
    };
    problem["related"].as_array().unwrap().iter().map(place).collect()
}

fn notes(problem: &Value) -> String {
    let notes = problem["notes"].as_array().cloned().unwrap_or_default();
    let lines: Vec<&str> = notes.iter().map(|note| note.as_str().unwrap()).collect();
    lines.join("\n")
}

/// The line of a file in the repository, from one.
fn line(scene: &Scene, file: &str, line: &Value) -> String {
    let text = std::fs::read_to_string(scene.world.repo.work().join(file)).unwrap();
    let line = usize::try_from(line.as_u64().unwrap()).unwrap();
    text.lines().nth(line - 1).unwrap().to_owned()
}

fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
}

#[test]
fn a_wrong_release_is_told_with_its_rule_its_change_its_log_and_what_to_do() {
    let (scene, daemon, load) = Scene::installed("told-gate", Judged::BeforeSwitch, "1s");
    // A Secret with a word that the program prints.
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: word}\nstringData: {word: listens}\n";
    let app = format!("{}{secret}", scene.manifests(Release::wrong("2")));
    let second = scene.world.commit("version 2", &[("app.yaml", &app)]);
    let status = scene.world.wait_for("degraded", &second);
    crate::schema::assert_valid("record", &status);
    let problem = problem(&status, "E0407");
    let message = problem["message"].as_str().unwrap();
    contains(
        message,
        &[
            "gate `smoke` failed (/prediction = 25.35, expected 20.35 ± 0.01)",
            "traffic never left blue (",
            "which serves with 2 of 2",
        ],
    );
    let (file, at) = (problem["location"]["file"].as_str().unwrap(), &problem["location"]["line"]);
    assert_eq!(file, "policies/blue-green.yaml");
    assert!(line(&scene, file, at).contains("pointer: /prediction"), "{problem:#}");
    let short: String = second.chars().take(7).collect();
    let app = format!("environments/{}/app.yaml", scene.world.name);
    let found = places(&problem);
    let object = format!("ConfigMap {}/{APP}", scene.world.name);
    let wanted = [
        format!(
            "changed by {short}, Deployment {}/{APP} spec.template.spec.containers[main].env[VERSION].value: \"1\" -> \"2\": {app}:",
            scene.world.name
        ),
        format!("changed by {short}, {object} data.PREDICTION_OFFSET: \"0\" -> \"5\": {app}:4:27"),
    ];
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found.iter().zip(&wanted).all(|(found, wanted)| found.starts_with(wanted)), "{found:#?}");
    let notes = notes(&problem);
    contains(
        &notes,
        &[
            "requests failed, the first: pod house-price-green-",
            " samples, ",
            "the end of the log of main:\n",
            "\nthe model is loaded with an offset of 5\n",
            "\n(a line that may repeat a value of a Secret is withheld)\n",
            "; the revision is held until git asks for another one",
        ],
    );
    assert!(!notes.contains("listens"), "{notes}");
    let help = problem["help"].as_str().unwrap();
    assert!(help.starts_with(&format!("git revert {short}, or mend it")), "{help}");
    // The same for people, whole, and short where there is little room.
    let shown = scene.world.tidegate(&["status", &scene.world.name]);
    contains(
        &shown.stdout,
        &[
            "error[E0407]: Deployment told-gate/house-price: gate `smoke` failed",
            "    --> policies/blue-green.yaml:",
            &format!("    = changed by {short}, {object} data.PREDICTION_OFFSET: \"0\" -> \"5\": {app}:4:27"),
            "        the model is loaded with an offset of 5",
            &format!("    help: git revert {short}"),
        ],
    );
    eventually("an Event tells it", || {
        let events = scene.kubectl(&["get", "events", "-o", "json"]);
        check(events.contains("E0407: gate `smoke` failed") && events.contains(&app), events)
    });
    let log = daemon.log();
    let told =
        log.lines().find(|line| line.contains(" turned down environment")).unwrap_or_else(|| panic!("{log}"));
    contains(told, &["code=E0407", "/prediction = 25.35", "policies/blue-green.yaml:", &app]);
    load.ends_well(&["1"]);
}

#[test]
fn a_log_that_cannot_be_read_is_told_so_and_a_gate_of_a_bake_with_its_stage() {
    let (scene, _daemon, load) = Scene::installed("told-bake", Judged::WhileBaking, "20s");
    let second = scene.release(Release::wrong("2"));
    let status = scene.world.wait_for("degraded", &second);
    let problem = problem(&status, "E0407");
    contains(problem["message"].as_str().unwrap(), &["gate `watch` failed", "traffic went back to blue ("]);
    let workload = &status["workloads"][0];
    assert_eq!(workload["gates"][0]["stage"], "whileBaking", "{workload:#}");
    assert_eq!(workload["gates"][0]["verdict"], "fail", "{workload:#}");
    // An image that is nowhere starts no container, which has no log then.
    let policy = Scene::policy(Judged::WhileBaking, "20s").replace("warm: 10m", "warm: 4s");
    scene.world.repo.write("policies/blue-green.yaml", &policy);
    let app = scene.manifests(Release::new("3")).replace("/shop:1.0.0", "/nowhere:1.0.0");
    let third = scene.world.commit("version 3", &[("app.yaml", &app)]);
    let status = scene.world.wait_for("degraded", &third);
    let failure = &status["workloads"][0]["failure"];
    assert_eq!(failure["gate"], json!(null), "{failure:#}");
    let message = crate::scene::problem(&status, "E0407")["message"].as_str().unwrap().to_owned();
    contains(&message, &["its pods were not ready in time", "traffic never left blue ("]);
    let trouble = failure["lastWords"]["trouble"].as_str().unwrap_or_default();
    assert!(!trouble.is_empty() && failure["lastWords"]["container"] == "main", "{failure:#}");
    crate::schema::assert_valid("record", &status);
    load.ends_well(&["1", "2"]);
}
