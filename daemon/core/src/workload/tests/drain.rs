//! What a manifest shows about draining.

use serde_json::{Value, json};

use super::super::drain_safe;
use super::shop::deployment;
use crate::rollout::Verdict;

fn with(hook: &Value) -> Value {
    let mut deployment = deployment();
    deployment["spec"]["template"]["spec"]["containers"][0]["lifecycle"] = json!({ "preStop": hook });
    deployment
}

fn said(deployment: &Value) -> (Verdict, String) {
    let found = drain_safe(deployment);
    (found.verdict, found.summary)
}

#[test]
fn a_container_that_pauses_before_it_stops_drains() {
    for hook in [
        json!({ "sleep": { "seconds": 5 } }),
        json!({ "exec": { "command": ["sleep", "10"] } }),
        json!({ "exec": { "command": ["/bin/sh", "-c", "/bin/sleep 10s; nginx -s quit"] } }),
        json!({ "exec": { "command": ["/drain.sh"] } }),
        json!({ "httpGet": { "path": "/drain", "port": 80 } }),
    ] {
        let (verdict, summary) = said(&with(&hook));
        assert_eq!(verdict, Verdict::Pass, "{hook}: {summary}");
    }
}

#[test]
fn no_hook_a_short_one_or_one_that_eats_the_grace_period_fails_with_what_to_do() {
    let (verdict, summary) = said(&deployment());
    assert_eq!(verdict, Verdict::Fail);
    assert!(summary.contains("container `web` has no preStop hook"), "{summary}");
    let (verdict, summary) = said(&with(&json!({ "sleep": { "seconds": 1 } })));
    assert_eq!((verdict, summary.contains("at least 2 s")), (Verdict::Fail, true), "{summary}");
    let (verdict, summary) = said(&with(&json!({ "exec": { "command": ["sh", "-c", "sleep 28"] } })));
    assert_eq!((verdict, summary.contains("at least 33 s")), (Verdict::Fail, true), "{summary}");
}

#[test]
fn only_containers_with_ports_have_to_pause_and_one_of_them_has_to_be_probed() {
    let mut deployment = with(&json!({ "sleep": { "seconds": 5 } }));
    let containers = &mut deployment["spec"]["template"]["spec"]["containers"];
    containers.as_array_mut().expect("a list").push(json!({ "name": "logs", "image": "logs" }));
    assert_eq!(said(&deployment).0, Verdict::Pass);
    deployment["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = Value::Null;
    let (verdict, summary) = said(&deployment);
    assert_eq!((verdict, summary.contains("readinessProbe")), (Verdict::Fail, true), "{summary}");
}
