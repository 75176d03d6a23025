//! `job`: real Jobs that pass, fail, are waited for after a kill, and that do not count.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_core::gate::job::Asked;
use tidegate_core::policy::{GateKind, JobGate};
use tidegate_core::rollout::{Attempt, Finding, Revision, Slot, Stage, Verdict};

use crate::gates::{HOUSE, NAMESPACE, Question, await_ready, blue, pod, scene};
use crate::support::{check, eventually, runtime, shop};

/// A Job of one container with these arguments. Each test has a number of its own, and so Jobs of its own.
fn job(number: u64, container: &Value) -> Question {
    blue();
    let template = json!({ "spec": { "terminationGracePeriodSeconds": 0, "containers": [container] } });
    let mut question = Question::new(Slot::Blue, 1, GateKind::Job(JobGate { template, backoff_limit: 0 }));
    question.gate.config = number;
    question.within(Duration::from_secs(50))
}

fn container(arguments: &[&str]) -> Value {
    let image = shop::image(&scene().kube);
    json!({ "name": "main", "image": image, "imagePullPolicy": "IfNotPresent", "args": arguments })
}

fn name_of(question: &Question) -> String {
    let (revision, attempt) = (Revision::new(question.revision), question.attempt);
    let (slot, gate) = (question.slot, &question.gate);
    Asked { app: HOUSE, slot, revision, attempt, stage: Stage::BeforeSwitch, gate }.name()
}

fn field(job: &str, pointer: &str) -> Value {
    scene().kube.field("job", NAMESPACE, job, pointer)
}

fn is(finding: &Finding, verdict: Verdict, said: &str) {
    assert!(finding.verdict == verdict && finding.summary.contains(said), "{finding:#?}");
}

#[test]
fn a_job_that_succeeds_passes_and_is_told_whom_to_ask() {
    let question = job(11, &container(&["get", "$(TARGET_URL)/version"]));
    is(&question.ask(), Verdict::Pass, "succeeded: 1.0.0");
    let name = name_of(&question);
    let env = field(&name, "/spec/template/spec/containers/0/env");
    let target = env[0]["value"].as_str().unwrap();
    assert!(
        env[0]["name"] == "TARGET_URL" && target.starts_with("http://198.") && target.ends_with(":8080"),
        "{env}"
    );
    assert_eq!(env[1], json!({ "name": "LIVE_URL", "value": "http://house.gates.svc:80" }));
    assert_eq!(env[2], json!({ "name": "REVISION", "value": Revision::new(1).to_string() }));
    assert_eq!(field(&name, "/metadata/labels/team"), "shop");
    assert_eq!(field(&name, "/spec/template/metadata/labels/tidegate.dev~1gate-of"), HOUSE);
    // Asked again, it is the same Job, and nothing runs twice.
    let uid = field(&name, "/metadata/uid");
    is(&question.ask(), Verdict::Pass, "succeeded: 1.0.0");
    assert_eq!(field(&name, "/metadata/uid"), uid);
    // Another try is another Job.
    let again = Question { attempt: Attempt { git: 1, ordered: 0 }, ..question };
    is(&again.ask(), Verdict::Pass, "succeeded");
    assert_ne!(name_of(&again), name);
}

#[test]
fn a_job_that_fails_is_told_with_its_exit_code_and_the_end_of_its_log() {
    let failed = job(12, &container(&["get", "$(TARGET_URL)/nowhere"])).ask();
    is(&failed, Verdict::Fail, "BackoffLimitExceeded, container main: exit code 1");
    assert!(failed.summary.contains("/nowhere answered 404"), "{failed:#?}");
    assert_eq!(
        (failed.value.as_deref(), failed.threshold.as_deref()),
        (Some("exit code 1"), Some("exit code 0"))
    );
    assert!(failed.rule.is_some());
}

#[test]
fn whoever_is_killed_in_the_middle_finds_the_job_that_runs_and_waits_on() {
    let mut slow = container(&["house-price"]);
    slow["env"] = json!([{ "name": "CRASH_AFTER", "value": "10s" }]);
    let question = job(13, &slow);
    let name = name_of(&question);
    let runs = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if !field(&name, "/metadata/uid").is_null() {
                return;
            }
        }
    };
    // The asking ends where it stands, as by kill -9.
    runtime().block_on(async {
        tokio::select! {
            () = runs => {}
            finding = question.ask_by(&scene().client) => panic!("{finding:#?}"),
        }
    });
    let uid = field(&name, "/metadata/uid");
    let question = question.within(Duration::from_millis(500));
    is(&question.ask(), Verdict::Unknown, "is not over");
    let failed = question.within(Duration::from_secs(50)).ask();
    is(&failed, Verdict::Fail, "crashes because CRASH_AFTER asks for it");
    assert_eq!(field(&name, "/metadata/uid"), uid);
    let pods =
        scene().kube.must(&["get", "pod", "-n", NAMESPACE, "-l", &format!("job-name={name}"), "-o", "name"]);
    assert_eq!(pods.lines().count(), 1, "{pods}");
}

#[test]
fn a_job_that_cannot_start_says_why_in_the_words_of_the_kubelet() {
    let missing = json!({ "name": "main", "image": "docker.io/local/nothing:1", "imagePullPolicy": "Never" });
    let question = job(14, &missing).within(Duration::from_secs(2));
    eventually("the kubelet's words", || {
        let finding = question.ask();
        assert_eq!(finding.verdict, Verdict::Unknown, "{finding:#?}");
        check(finding.summary.contains("ErrImageNeverPull"), finding.summary)
    });
    let wrong = job(15, &json!({ "name": "Not A Name" })).ask();
    is(&wrong, Verdict::Unknown, "cannot be created");
}

#[test]
fn a_job_about_pods_that_are_gone_or_of_somebody_else_does_not_count() {
    pod("reborn", Slot::Green, 7, &[]);
    await_ready(&["reborn"]);
    let question =
        Question { slot: Slot::Green, revision: 7, ..job(16, &container(&["get", "$(TARGET_URL)/version"])) };
    is(&question.ask(), Verdict::Pass, "succeeded");
    let name = name_of(&question);
    let first = field(&name, "/metadata/uid");
    scene().kube.must(&["delete", "pod", "reborn", "-n", NAMESPACE]);
    pod("reborn", Slot::Green, 7, &[]);
    await_ready(&["reborn"]);
    is(&question.ask(), Verdict::Unknown, "it asked pods of house green that are gone; it is made again");
    let passed = eventually("it is made again", || {
        let finding = question.ask();
        check(finding.verdict == Verdict::Pass, finding.summary.clone())?;
        Ok(finding)
    });
    is(&passed, Verdict::Pass, "succeeded");
    assert_ne!(field(&name, "/metadata/uid"), first);

    let question = job(17, &container(&["get", "$(TARGET_URL)/version"]));
    let foreign = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name_of(&question) },
        "spec": { "suspend": true, "template": { "spec": { "restartPolicy": "Never", "containers": [container(&["get", "x"])] } } },
    });
    scene().kube.apply(NAMESPACE, &foreign.to_string());
    is(&question.ask(), Verdict::Unknown, "it was made by somebody else; delete it");
    assert!(!field(&name_of(&question), "/metadata/uid").is_null());
}
