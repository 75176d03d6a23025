//! How a revision that was turned down is told.

use std::sync::Arc;

use super::super::{
    Answer, Attempt, ChangedField, Changes, Evidence, Failure, Finding, GateName, Held, LastWords, Reason,
    Rejected, Reported, Slot, SlotRecord, Slots, Stage, Verdict, decide, last_lines,
};
use super::scene::{NOW, Scene, ago, gate, minutes, revision, running, timing};
use crate::explain::{Example, explain};
use crate::location::{Location, Position};
use crate::object::{Gvk, ObjectRef};
use crate::problem::Code;

fn place(file: &str, line: u32) -> Location {
    Location { file: file.into(), position: Position { line, column: 7 } }
}

fn reference(kind: &str, name: &str) -> ObjectRef {
    let gvk = Gvk::from_api_version(if kind == "Deployment" { "apps/v1" } else { "v1" }, kind);
    ObjectRef { gvk, namespace: Some("shop".to_owned()), name: name.to_owned() }
}

fn held(number: u128, commit: &str) -> SlotRecord {
    let held = Held::new(revision(number), Attempt::default(), commit.to_owned(), 2);
    SlotRecord::prepared(held, (minutes(1), "api".to_owned()), ago(9))
}

fn failed(record: SlotRecord, name: &str, stage: Stage) -> SlotRecord {
    let finding = Finding {
        verdict: Verdict::Fail,
        value: Some("/prediction = 31.7".to_owned()),
        threshold: Some("20.35 ± 0.01".to_owned()),
        rule: Some(place("policies/blue-green.yaml", 21)),
        samples: 4,
        summary: "4 of 4 requests failed, the first: pod api-green-x7 answered /prediction = 31.7".to_owned(),
        started: ago(2),
        ended: ago(1),
    };
    let (revision, attempt) = (record.revision, record.attempt);
    let evidence = Evidence { gate: gate(name), stage, revision, attempt, verdict: Verdict::Fail };
    let words = LastWords {
        pod: "api-green-x7".to_owned(),
        container: "main".to_owned(),
        lines: vec!["KeyError: 'model_v' (x 211)".to_owned()],
        trouble: None,
    };
    SlotRecord {
        last_words: Some(words),
        ..record.answered(Answer { evidence, finding, first_asked: ago(2) })
    }
}

fn change() -> Changes {
    let field = ChangedField {
        object: reference("ConfigMap", "api"),
        field: "data.OFFSET".to_owned(),
        old: Some("\"0\"".to_owned()),
        new: Some("\"5\"".to_owned()),
        location: place("environments/dev/api.yaml", 4),
    };
    Changes { fields: vec![field], further: 0 }
}

/// Revision 2 on green was turned down, revision 1 on blue serves.
fn turned_down(reason: Reason) -> Scene {
    let mut scene = Scene::new_commit();
    scene.slots.green = running(2, 2);
    let attempt = Attempt::default();
    scene.record().rejected =
        Some(Rejected { revision: revision(2), attempt, reason, cause: None, at: ago(1) });
    scene
}

fn told(scene: &Scene, blue: &SlotRecord, green: &SlotRecord) -> Failure {
    let timing = timing();
    let situation = scene.situation(&timing);
    let decision = decide(&situation);
    let names = Slots { blue: "api-blue".to_owned(), green: "api-green".to_owned() };
    let changes = change();
    let reported = Reported {
        workload: &reference("Deployment", "api"),
        situation: &situation,
        decision: &decision,
        records: Slots { blue: Some(blue), green: Some(green) },
        names,
        changes: &changes,
    };
    *reported.status().failure.expect("it was turned down")
}

fn by(name: &str) -> Reason {
    Reason::Gate(GateName(Arc::from(name)))
}

const NEW: &str = "9b03d7e1c0ffee0000000000000000000000dead";
const OLD: &str = "4f1c2aa1c0ffee0000000000000000000000beef";

#[test]
fn a_gate_that_fails_before_the_switch_is_told_with_everything_that_is_known() {
    let green = failed(held(2, NEW), "smoke", Stage::BeforeSwitch);
    let failure = told(&turned_down(by("smoke")), &held(1, OLD), &green);
    let Example::Situation { says, .. } = explain(Code::RolloutRejected).example else {
        panic!("a situation")
    };
    assert_eq!(failure.headline(), says);
    let problem = failure.problem(&reference("Deployment", "api"));
    assert_eq!(problem.code, Code::RolloutRejected);
    assert_eq!(problem.location, Some(place("policies/blue-green.yaml", 21)));
    let related: Vec<String> =
        problem.related.iter().map(|other| format!("{}: {}", other.note, other.location)).collect();
    let changed =
        "changed by 9b03d7e, ConfigMap shop/api data.OFFSET: \"0\" -> \"5\": environments/dev/api.yaml:4:7";
    assert_eq!(related, [changed]);
    assert_eq!(
        problem.notes,
        [
            "4 of 4 requests failed, the first: pod api-green-x7 answered /prediction = 31.7; 4 samples, 00:58:00Z to 00:59:00Z",
            "pod api-green-x7, the end of the log of main:\nKeyError: 'model_v' (x 211)",
            "green keeps its pods for a look until 01:09:00Z, then it is put away; the revision is held until git asks for another one",
        ]
    );
    assert!(problem.help.is_some_and(|help| help.starts_with("git revert 9b03d7e, or mend it")));
}

#[test]
fn a_gate_that_fails_in_a_bake_is_told_after_traffic_went_back_and_its_stage_is_shown() {
    let green = failed(held(2, NEW), "errors", Stage::Baking(ago(3)));
    let green = SlotRecord { served: Some(ago(3)), ..green };
    let mut scene = turned_down(by("errors"));
    scene.slots.green = running(2, 0);
    let failure = told(&scene, &held(1, OLD), &green);
    assert_eq!(failure.done, "traffic went back to blue (4f1c2aa), which serves with 2 of 2");
    assert_eq!(failure.colour, "green is put away");
    let gate = failure.gate.expect("one failed");
    assert_eq!((gate.name.as_str(), gate.stage.as_str()), ("errors", "whileBaking"));
}

#[test]
fn what_still_serves_because_there_was_nothing_to_go_back_to_is_told_so() {
    let mut scene = turned_down(Reason::LostReadiness);
    scene.record().live = Some(Slot::Green);
    scene.selects(super::super::Selection::Only(Slot::Green));
    let failure = told(&scene, &held(1, OLD), &held(2, NEW));
    assert_eq!(failure.done, "there was nothing well to go back to, and green still serves with 2 of 2");
    assert_eq!((failure.gate, failure.last_words), (None, None));
}

#[test]
fn without_a_rule_the_change_is_the_place() {
    let mut scene = turned_down(Reason::NeverReady);
    let rejected = scene.record().rejected.as_mut().expect("it was");
    rejected.cause = Some(Arc::from("no node has room"));
    let failure = told(&scene, &held(1, OLD), &held(2, NEW));
    let problem = failure.problem(&reference("Deployment", "api"));
    assert_eq!(problem.location, Some(place("environments/dev/api.yaml", 4)));
    assert!(
        problem
            .message
            .starts_with("its pods were not ready in time: no node has room; traffic never left blue")
    );
}

#[test]
fn an_event_has_the_code_both_places_and_where_the_rest_is() {
    let green = failed(held(2, NEW), "smoke", Stage::BeforeSwitch);
    let mut failure = told(&turned_down(by("smoke")), &held(1, OLD), &green);
    failure.below("shop/");
    let short = failure.short();
    for part in [
        "E0407: gate `smoke` failed (/prediction = 31.7, expected 20.35 ± 0.01); traffic never left blue",
        "rule shop/policies/blue-green.yaml:21:7",
        "change shop/environments/dev/api.yaml:4:7",
        "`tidegate status` tells all of it",
    ] {
        assert!(short.contains(part), "{part}: {short}");
    }
    failure.done = "x".repeat(5_000);
    assert!(failure.short().len() < 900, "an Event's note is short");
}

#[test]
fn nothing_is_told_once_git_asks_for_something_else() {
    let mut scene = turned_down(by("smoke"));
    scene.asks_for(3);
    let timing = timing();
    let situation = scene.situation(&timing);
    let reported = Reported {
        workload: &reference("Deployment", "api"),
        situation: &situation,
        decision: &decide(&situation),
        records: Slots::default(),
        names: Slots::default(),
        changes: &Changes::default(),
    };
    assert_eq!(reported.status().failure, None);
    assert!(NOW > ago(1));
}

#[test]
fn the_end_of_a_log_is_short_visible_and_without_values_of_secrets() {
    let repeated = "again\n".repeat(300);
    let log = format!("first\n\n{repeated}\u{1b}[31mred\n{}\npassword=hunter2\nlast\n", "x".repeat(900));
    let lines = last_lines(&log, |line| line.contains("hunter2"));
    assert_eq!(lines[0], "first");
    assert_eq!(lines[1], "again (x 300)");
    assert_eq!(lines[2], "\\u{1b}[31mred");
    assert!(lines[3].chars().count() < 240 && lines[3].contains("(700 characters)"), "{}", lines[3]);
    assert_eq!(lines[4], "(a line that may repeat a value of a Secret is withheld)");
    assert_eq!(lines.last().map(String::as_str), Some("last"));
    let many = (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
    let lines = last_lines(&many, |_| false);
    assert_eq!((lines.len(), lines[0].as_str()), (8, "92"));
    assert_eq!(last_lines("", |_| false), Vec::<String>::new());
}
