//! Names, manifests and ends of the Jobs of gates.

use std::time::Duration;

use super::*;
use crate::policy::GateKind;
use crate::rollout::Verdict;

fn gate(name: &str, config: u64, template: Value) -> Gate {
    Gate {
        name: name.to_owned(),
        location: Location::file("p.yaml"),
        timeout: Duration::from_mins(10),
        every: Duration::from_secs(10),
        kind: GateKind::Job(JobGate { template, backoff_limit: 0 }),
        config,
    }
}

fn asked(gate: &Gate) -> Asked<'_> {
    let (revision, attempt) = (Revision::new(7), Attempt::default());
    Asked { app: "api", slot: Slot::Green, revision, attempt, stage: Stage::BeforeSwitch, gate }
}

fn made(template: Value) -> Option<Value> {
    let gate = gate("smoke", 1, template.clone());
    let labels = BTreeMap::from([("tidegate.dev/environment".to_owned(), "prod".to_owned())]);
    let told = Told {
        namespace: "shop",
        target_url: "http://10.1.2.3:8080",
        target: "uid-1",
        live_url: "http://api.shop.svc:80",
        labels: &labels,
    };
    manifest(&asked(&gate), &JobGate { template, backoff_limit: 2 }, &told)
}

#[test]
fn the_same_asking_has_the_same_name_and_every_other_one_another() {
    let (one, other) = (gate("smoke", 1, json!({})), gate("smoke", 2, json!({})));
    let named = asked(&one).name();
    assert_eq!(named, asked(&one).name());
    assert!(named.starts_with("api-smoke-"), "{named}");
    let bake = |second| Stage::Baking(jiff::Timestamp::from_second(second).unwrap());
    let different = [
        Asked { app: "web", ..asked(&one) },
        Asked { slot: Slot::Blue, ..asked(&one) },
        Asked { revision: Revision::new(8), ..asked(&one) },
        Asked { attempt: Attempt { git: 1, ordered: 0 }, ..asked(&one) },
        Asked { attempt: Attempt { git: 0, ordered: 1 }, ..asked(&one) },
        Asked { stage: bake(1), ..asked(&one) },
        Asked { stage: bake(2), ..asked(&one) },
        asked(&other),
    ];
    let all: std::collections::BTreeSet<String> = different.iter().map(Asked::name).chain([named]).collect();
    assert_eq!(all.len(), 9, "{all:?}");
}

#[test]
fn any_name_becomes_one_that_kubernetes_takes() {
    let gate = gate("Smoke Test / größe – a very long name that nobody will ever type twice", 1, json!({}));
    let name =
        Asked { app: "a.very.long-application.name-of-more-than-sixty-three-characters-x", ..asked(&gate) }
            .name();
    assert!(name.len() <= 63, "{name}");
    assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
    assert!(!name.contains("--a very") && !name.starts_with('-') && !name.ends_with('-'), "{name}");
}

#[test]
fn every_container_is_told_where_and_what_and_no_variable_of_the_user_hides_it() {
    let job = made(json!({ "spec": {
        "initContainers": [{ "name": "i", "image": "x" }],
        "containers": [
            { "name": "a", "image": "x", "env": [{ "name": "REVISION", "value": "mine" }, { "name": "A", "value": "$(TARGET_URL)/x" }] },
            { "name": "b", "image": "x" },
        ],
    } }))
    .unwrap();
    let ours = json!([
        { "name": "TARGET_URL", "value": "http://10.1.2.3:8080" },
        { "name": "LIVE_URL", "value": "http://api.shop.svc:80" },
        { "name": "REVISION", "value": "00000000000000000000000000000007" },
    ]);
    assert_eq!(job.pointer("/spec/template/spec/initContainers/0/env"), Some(&ours));
    assert_eq!(job.pointer("/spec/template/spec/containers/1/env"), Some(&ours));
    let mixed = job.pointer("/spec/template/spec/containers/0/env").unwrap().as_array().unwrap();
    assert_eq!(mixed.len(), 4);
    assert_eq!(mixed[3], json!({ "name": "A", "value": "$(TARGET_URL)/x" }));
    assert_eq!(job.pointer("/spec/template/spec/restartPolicy"), Some(&json!("Never")));
    assert_eq!(job.pointer("/spec/backoffLimit"), Some(&json!(2)));
    assert_eq!(job.pointer("/spec/activeDeadlineSeconds"), Some(&json!(3_600)));
}

#[test]
fn its_pods_are_never_taken_for_pods_of_a_slot() {
    let job = made(json!({
        "metadata": { "labels": { "tidegate.dev/app": "api", "tidegate.dev/slot": "green", "tidegate.dev/revision": "7", "team": "x" } },
        "spec": { "containers": [] },
    }))
    .unwrap();
    let labels = job.pointer("/spec/template/metadata/labels").unwrap();
    assert_eq!(*labels, json!({ "team": "x", GATE_OF: "api", GATE: "smoke" }));
    let own = job.pointer("/metadata/labels").unwrap();
    assert_eq!(*own, json!({ "tidegate.dev/environment": "prod", GATE_OF: "api", GATE: "smoke" }));
}

#[test]
fn what_is_no_template_of_pods_makes_no_job() {
    for template in [json!(null), json!([]), json!({}), json!({ "spec": 7 })] {
        assert_eq!(made(template.clone()), None, "{template}");
    }
}

#[test]
fn a_job_is_over_by_its_conditions_alone() {
    let with = |kind: &str, status: &str| json!({ "status": { "conditions": [{ "type": kind, "status": status, "reason": "BackoffLimitExceeded" }] } });
    assert_eq!(standing(&json!({})), Standing::Runs);
    assert_eq!(standing(&json!({ "status": { "succeeded": 1 } })), Standing::Runs);
    assert_eq!(standing(&with("Complete", "True")), Standing::Succeeded);
    assert_eq!(standing(&with("Complete", "False")), Standing::Runs);
    assert_eq!(standing(&with("Suspended", "True")), Standing::Runs);
    assert_eq!(
        standing(&with("Failed", "True")),
        Standing::Failed { reason: "BackoffLimitExceeded".to_owned() }
    );
}

#[test]
fn a_failed_job_is_told_with_its_exit_code_and_the_end_of_its_log() {
    let pod = json!({ "status": {
        "initContainerStatuses": [{ "name": "i", "state": { "terminated": { "exitCode": 0 } } }],
        "containerStatuses": [
            { "name": "sidecar", "state": { "terminated": { "exitCode": 0 } } },
            { "name": "main", "state": { "terminated": { "exitCode": 3 } } },
        ],
    } });
    let ending = ending(&pod).unwrap();
    assert_eq!(ending, Ending { container: "main".to_owned(), code: 3 });
    let failed = Standing::Failed { reason: "BackoffLimitExceeded".to_owned() };
    let rule = Location::file("p.yaml");
    let judged = judge("j", &failed, Some(&ending), "one\ntwo \u{1b}[2J\n", &rule).unwrap();
    assert_eq!((judged.verdict, judged.value.as_deref()), (Verdict::Fail, Some("exit code 3")));
    assert_eq!(
        judged.summary,
        "Job j failed (BackoffLimitExceeded, container main: exit code 3): one / two \\u{1b}[2J"
    );
    let passed = judge("j", &Standing::Succeeded, None, "one\nall good\n", &rule).unwrap();
    assert_eq!((passed.verdict, passed.summary.as_str()), (Verdict::Pass, "Job j succeeded: all good"));
    assert_eq!(judge("j", &Standing::Runs, None, "", &rule), None);
}
