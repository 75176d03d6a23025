//! Pods, by themselves and as the trouble of a workload.

use super::*;
use crate::health::{PodTrouble, assess_pods};

fn pods() -> BTreeMap<String, Value> {
    fixtures(include_str!("../fixtures/pods.json"))
}

const NOT_PULLED: &str = "images.example/shop/none:9 cannot be pulled:";

#[test]
fn pods_of_a_real_cluster_are_judged() {
    let pull = "failed to pull and unpack image \"images.example/shop/none:9\": failed to resolve reference \
                \"images.example/shop/none:9\": not found";
    let not_started = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc \
                       create failed: unable to start container process: exec: \"/absent\": stat /absent: no such file \
                       or directory: unknown";
    expect_all(
        &pods(),
        &[
            (
                "badinit",
                Degraded,
                "container prepare: CrashLoopBackOff: exited with code 1, restarted 5 times",
            ),
            ("badinit-between", Degraded, "container prepare: Error: exited with code 1, restarted 3 times"),
            (
                "badname",
                Degraded,
                "container c: InvalidImageName: Failed to apply default image tag \"images.example/SHOP:::1\": couldn't \
                 parse image name \"images.example/SHOP:::1\": invalid reference format: repository name (SHOP) must be \
                 lowercase",
            ),
            ("crash", Degraded, "container c: CrashLoopBackOff: exited with code 1, restarted 5 times"),
            ("crash-between", Degraded, "container c: Error: exited with code 1, restarted 3 times"),
            ("fails", Degraded, "Failed: exited with code 1"),
            ("good", Healthy, "it is ready"),
            (
                "never",
                Degraded,
                "container c: ErrImageNeverPull: Container image \"images.example/shop/absent:1\" is not present with pull \
                 policy of Never",
            ),
            (
                "nobinary",
                Degraded,
                &format!(
                    "container c: CrashLoopBackOff: exited with code 128 (StartError), restarted 5 times: {not_started}"
                ),
            ),
            ("nobinary-at-first", Degraded, &format!("container c: RunContainerError: {not_started}")),
            ("noconfig", Degraded, "container c: CreateContainerConfigError: configmap \"absent\" not found"),
            (
                "novolume",
                Progressing,
                "container c: ContainerCreating: its volumes or its network are not ready yet",
            ),
            (
                "stuck",
                Degraded,
                &format!(
                    "container c: ImagePullBackOff: {NOT_PULLED} Back-off pulling image \"images.example/shop/none:9\": \
                     ErrImagePull: {pull}"
                ),
            ),
            ("stuck-at-first", Progressing, &format!("container c: ErrImagePull: {NOT_PULLED} {pull}")),
            (
                "toobig",
                Progressing,
                "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 \
                 nodes are available: 1 Preemption is not helpful for scheduling",
            ),
            (
                "unready",
                Progressing,
                "container c: NotReady: it runs since 2026-11-21T12:34:51Z and its readiness probe has not passed",
            ),
        ],
    );
}

#[test]
fn a_pod_goes_by_its_phase_when_nothing_is_wrong() {
    let good = &pods()["good"];
    let phase = |phase: Value| edited(good, &json!({"status": {"phase": phase, "conditions": []}}));
    expect(&phase(json!("Succeeded")), Healthy, "it has completed");
    expect(&phase(json!("Pending")), Progressing, "it is pending");
    expect(&phase(json!("Running")), Progressing, "it is running and not ready yet");
    expect(&phase(json!("Odd")), Progressing, "its phase is Odd");
    expect(&phase(Value::Null), Progressing, "no kubelet has seen it yet");
    let evicted = json!({"status": {"phase": "Failed", "conditions": [], "reason": "Evicted", "message": "No memory. "}});
    expect(&edited(good, &evicted), Degraded, "Evicted: No memory");
}

fn with_container(status: &Value) -> Value {
    edited(&pods()["unready"], &json!({"status": {"containerStatuses": [status]}}))
}

#[test]
fn a_container_that_was_killed_for_memory_says_so_while_it_runs_again() {
    let ended = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
    let looping = json!({"name": "c", "ready": false, "restartCount": 1, "lastState": ended,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}}});
    let says = "exited with code 137 (OOMKilled), restarted once";
    expect(&with_container(&looping), Degraded, &format!("container c: CrashLoopBackOff: {says}"));
    let again = edited(&looping, &json!({"state": {"waiting": null, "running": {}}}));
    let line = format!(
        "container c: OOMKilled: it runs and its startup probe has not passed; before that it {says}"
    );
    expect(&with_container(&again), Progressing, &line);
    let well = edited(&again, &json!({"lastState": {"terminated": {"exitCode": 0, "reason": "Completed"}}}));
    let line = "container c: NotReady: it runs and its startup probe has not passed";
    expect(&with_container(&well), Progressing, line);
}

#[test]
fn a_container_that_ended_well_or_fails_for_the_first_time_is_not_a_crash() {
    let ended = |code: i64, restarts: i64| {
        with_container(&json!({"name": "c", "ready": false, "restartCount": restarts,
            "state": {"terminated": {"exitCode": code, "reason": "Error"}}}))
    };
    expect(&ended(0, 1), Progressing, "it is running and not ready yet");
    expect(&ended(2, 0), Progressing, "container c: Error: exited with code 2");
    expect(&ended(2, 1), Degraded, "container c: Error: exited with code 2, restarted once");
}

#[test]
fn an_init_container_that_runs_or_a_pod_that_initializes_is_no_trouble() {
    let pod = edited(
        &pods()["badinit"],
        &json!({"status": {"initContainerStatuses": [
            {"name": "done", "ready": true, "restartCount": 2, "state": {"terminated": {"exitCode": 0}}},
            {"name": "prepare", "ready": false, "started": true, "restartCount": 0, "state": {"running": {}}}]}}),
    );
    assert_eq!(assess_pods(std::slice::from_ref(&pod)), None);
    expect(&pod, Progressing, "it is pending");
}

fn trouble_of(names: &[&str]) -> Option<PodTrouble> {
    let pods = pods();
    assess_pods(&names.iter().map(|name| pods[*name].clone()).collect::<Vec<_>>())
}

#[test]
fn the_most_telling_trouble_of_a_workload_comes_first() {
    assert_eq!(trouble_of(&[]), None);
    assert_eq!(trouble_of(&["good"]), None);
    let order = ["stuck", "noconfig", "crash", "fails", "toobig", "stuck-at-first", "unready", "novolume"];
    for (index, name) in order.iter().enumerate() {
        let mut rest: Vec<&str> = order.iter().skip(index).copied().collect();
        rest.reverse();
        rest.push("good");
        assert_eq!(trouble_of(&rest), trouble_of(&[name]), "{name} tells more than what follows");
    }
}

#[test]
fn a_trouble_names_pod_container_reason_and_whether_waiting_helps() {
    let crash = trouble_of(&["good", "crash"]).expect("a crash");
    assert_eq!(
        crash,
        PodTrouble {
            pod: "crash-76d687bd59-rlzt9".into(),
            container: Some("c".into()),
            reason: "CrashLoopBackOff".into(),
            message: "exited with code 1, restarted 5 times".into(),
            fatal: false,
        }
    );
    let toobig = trouble_of(&["toobig"]).expect("unschedulable");
    assert_eq!((toobig.container, toobig.reason.as_str(), toobig.fatal), (None, "Unschedulable", false));
    assert!(toobig.message.starts_with("0/1 nodes are available: 1 Insufficient cpu"), "{}", toobig.message);
    assert!(trouble_of(&["never"]).is_some_and(|trouble| trouble.fatal));
    assert!(trouble_of(&["badname"]).is_some_and(|trouble| trouble.fatal));
    assert!(trouble_of(&["stuck"]).is_some_and(|trouble| !trouble.fatal));
}

#[test]
fn a_pod_whose_readiness_gates_are_not_set_names_them() {
    let words = "corresponding condition of pod readiness gate \"example.com/ok\" does not exist.";
    let ready =
        json!({"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": words});
    let gated = edited(&pods()["good"], &json!({"status": {"conditions": [ready]}}));
    let trouble = assess_pods(&[gated]).expect("it is not ready");
    assert_eq!((trouble.container, trouble.reason.as_str()), (None, "ReadinessGatesNotReady"));
    assert_eq!(trouble.message, words.trim_end_matches('.'));
}

#[test]
fn pods_that_are_being_deleted_are_no_trouble() {
    let gone = edited(&pods()["crash"], &json!({"metadata": {"deletionTimestamp": "2026-11-21T12:00:00Z"}}));
    assert_eq!(assess_pods(&[gone]), None);
}

#[test]
fn equal_troubles_go_by_the_name_of_the_pod() {
    let named = |name: &str| edited(&pods()["crash"], &json!({"metadata": {"name": name}}));
    let trouble = assess_pods(&[named("b"), named("a"), named("c")]).expect("a crash");
    assert_eq!(trouble.pod, "a");
}
