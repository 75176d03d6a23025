//! Workloads and jobs.

use super::*;

fn workloads() -> BTreeMap<String, Value> {
    fixtures(include_str!("../fixtures/workloads.json"))
}

fn jobs() -> BTreeMap<String, Value> {
    fixtures(include_str!("../fixtures/batch.json"))
}

#[test]
fn workloads_of_a_real_cluster_are_judged() {
    let forbidden = "its pods cannot be created: pods \"forbidden-755cdd969f-\" is forbidden: error looking up service \
                     account shop/nobody: serviceaccount \"nobody\" not found";
    expect_all(
        &workloads(),
        &[
            ("daemonset/good", Healthy, "its pod is available"),
            ("daemonset/nowhere", Healthy, "no node asks for its pod"),
            ("deployment/forbidden", Progressing, forbidden),
            ("deployment/good", Healthy, "all 2 replicas are available"),
            ("deployment/paused", Suspended, "it is paused"),
            (
                "deployment/stuck",
                Degraded,
                "its progress deadline is exceeded: ReplicaSet \"stuck-64bd8755d\" has timed out progressing",
            ),
            ("deployment/surging", Progressing, "1 of 2 replicas is of the new template"),
            ("deployment/unready", Progressing, "0 of 1 replica is available"),
            ("deployment/zero", Healthy, "scaled to zero"),
            ("replicaset/forbidden", Progressing, forbidden),
            ("replicaset/good", Healthy, "all 2 replicas are available"),
            ("replicaset/starting", Progressing, "0 of 1 replica is ready"),
            ("replicationcontroller/good", Healthy, "its replica is available"),
            ("statefulset/good", Healthy, "all 2 replicas are available"),
            (
                "statefulset/partition",
                Healthy,
                "1 of 2 replicas is of the new revision, as the partition 1 says",
            ),
        ],
    );
}

#[test]
fn jobs_of_a_real_cluster_are_judged() {
    expect_all(
        &jobs(),
        &[
            ("cronjob/asleep", Suspended, "it is suspended"),
            ("cronjob/nightly", Healthy, "it is scheduled"),
            ("job/failed", Degraded, "it failed: Job has reached the specified backoff limit"),
            ("job/retrying", Progressing, "0 of 1 pod is complete, 2 pods failed"),
            ("job/running", Progressing, "0 of 1 pod is complete"),
            ("job/suspended", Suspended, "it is suspended"),
        ],
    );
}

#[test]
fn a_deployment_is_healthy_only_when_its_whole_rollout_is_done() {
    let good = &workloads()["deployment/good"];
    for (edit, reason) in [
        (json!({"status": null}), "its controller has not seen it yet"),
        (json!({"metadata": {"generation": 2}}), "its controller has seen generation 1, not yet 2"),
        (json!({"spec": {"replicas": 5}}), "2 of 5 replicas are of the new template"),
        (json!({"status": {"updatedReplicas": 1}}), "1 of 2 replicas is of the new template"),
        (json!({"status": {"replicas": 3}}), "1 replica of the old template still to go"),
        (json!({"status": {"replicas": 4, "updatedReplicas": 4}}), "2 replicas too many, still to go"),
        (json!({"status": {"availableReplicas": 1}}), "1 of 2 replicas is available"),
        (json!({"status": {"readyReplicas": null}}), "0 of 2 replicas are available"),
        (json!({"status": {"conditions": []}}), "its rollout is not finished"),
        (
            json!({"status": {"conditions": [
                {"type": "Progressing", "status": "Unknown", "reason": "NewReplicaSetAvailable"}]}}),
            "its rollout is not finished",
        ),
        (
            json!({"spec": {"replicas": null}, "status": {"updatedReplicas": 0}}),
            "0 of 1 replica is of the new template",
        ),
    ] {
        expect(&edited(good, &edit), Progressing, reason);
    }
    let no_deadline = edited(good, &json!({"spec": {"progressDeadlineSeconds": i32::MAX}}));
    expect(&no_deadline, Healthy, "all 2 replicas are available");
    let unavailable = edited(&no_deadline, &json!({"status": {"conditions": []}}));
    expect(&unavailable, Progressing, "it has not reached its minimum availability");
}

#[test]
fn a_stateful_set_goes_by_replicas_partition_and_revision() {
    let good = &workloads()["statefulset/good"];
    let rolling =
        |partition: i64| json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": partition}}}});
    for (edit, reason) in [
        (json!({"status": null}), "its controller has not seen it yet"),
        (json!({"spec": {"replicas": 3}}), "2 of 3 replicas are created"),
        (json!({"status": {"readyReplicas": 1}}), "1 of 2 replicas is ready"),
        (json!({"status": {"availableReplicas": 0}}), "0 of 2 replicas are available"),
        (json!({"spec": {"replicas": 1}}), "1 replica too many, still to go"),
        (json!({"status": {"updatedReplicas": 1}}), "1 of 2 replicas is of the new revision"),
        (json!({"status": {"currentRevision": "old"}}), "its new revision is not the current one yet"),
    ] {
        expect(&edited(good, &edit), Progressing, reason);
    }
    let half = json!({"spec": {"updateStrategy": null}, "status": {"updatedReplicas": 1}});
    expect(&edited(good, &half), Progressing, "1 of 2 replicas is of the new revision");
    let old_cluster = edited(good, &json!({"status": {"availableReplicas": null}}));
    expect(&old_cluster, Healthy, "all 2 replicas are available");
    let none_updated = edited(good, &json!({"status": {"updatedReplicas": 0, "currentRevision": "old"}}));
    expect(&edited(&none_updated, &rolling(1)), Progressing, "0 of 1 replica is of the new revision");
    let beyond = "0 of 2 replicas are of the new revision, as the partition 5 says";
    expect(&edited(&none_updated, &rolling(5)), Healthy, beyond);
    let on_delete = edited(&none_updated, &json!({"spec": {"updateStrategy": {"type": "OnDelete"}}}));
    expect(&on_delete, Healthy, "all 2 replicas are available; updates wait for pods to be deleted");
    let broken = edited(&on_delete, &json!({"status": {"readyReplicas": 1}}));
    expect(&broken, Progressing, "1 of 2 replicas is ready");
}

#[test]
fn a_daemon_set_has_an_updated_available_pod_on_every_node_that_wants_one() {
    let good = edited(
        &workloads()["daemonset/good"],
        &json!({"status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 3, "updatedNumberScheduled": 3,
                           "numberReady": 3, "numberAvailable": 3}}),
    );
    expect(&good, Healthy, "all 3 pods are available");
    for (field, reason) in [
        ("currentNumberScheduled", "2 of 3 pods are scheduled"),
        ("updatedNumberScheduled", "2 of 3 pods are of the new template"),
        ("numberReady", "2 of 3 pods are ready"),
        ("numberAvailable", "2 of 3 pods are available"),
    ] {
        expect(&edited(&good, &json!({"status": {field: 2}})), Progressing, reason);
    }
    expect(&edited(&good, &json!({"status": null})), Progressing, "its controller has not seen it yet");
    let uncounted = edited(&good, &json!({"status": {"desiredNumberScheduled": null}}));
    expect(&uncounted, Progressing, "its controller has not counted the nodes yet");
    let on_delete = edited(
        &good,
        &json!({"spec": {"updateStrategy": {"type": "OnDelete"}}, "status": {"updatedNumberScheduled": 0}}),
    );
    expect(&on_delete, Healthy, "all 3 pods are available");
}

#[test]
fn a_replica_set_needs_every_replica_labelled_ready_available_and_no_more() {
    let good = &workloads()["replicaset/good"];
    for (edit, reason) in [
        (json!({"status": {"fullyLabeledReplicas": 1}}), "1 of 2 replicas is labelled"),
        (json!({"status": {"readyReplicas": 1}}), "1 of 2 replicas is ready"),
        (json!({"status": {"availableReplicas": 1}}), "1 of 2 replicas is available"),
        (json!({"status": {"replicas": 4}}), "2 replicas too many, still to go"),
        (json!({"status": null}), "its controller has not seen it yet"),
    ] {
        expect(&edited(good, &edit), Progressing, reason);
    }
}

#[test]
fn a_job_is_healthy_only_at_its_end() {
    let running = &jobs()["job/running"];
    let with = |kind: &str| {
        edited(
            running,
            &json!({"status": {"conditions": [{"type": kind, "status": "True", "reason": "Why"}]}}),
        )
    };
    expect(&with("Complete"), Healthy, "it is complete");
    expect(&with("Failed"), Degraded, "it failed: Why");
    expect(&with("FailureTarget"), Degraded, "it failed: Why");
    expect(&with("SuccessCriteriaMet"), Progressing, "0 of 1 pod is complete");
    expect(&edited(running, &json!({"status": null})), Progressing, "it has not started yet");
    expect(&edited(running, &json!({"spec": {"suspend": true}})), Suspended, "it is suspended");
    let several =
        edited(running, &json!({"spec": {"completions": 3}, "status": {"succeeded": 2, "failed": 1}}));
    expect(&several, Progressing, "2 of 3 pods are complete, 1 pod failed");
    let parallel = edited(running, &json!({"spec": {"completions": null, "parallelism": 4}}));
    expect(&parallel, Progressing, "0 of 4 pods are complete");
    let cron = edited(
        &jobs()["cronjob/nightly"],
        &json!({"status": {"lastSuccessfulTime": "2026-11-21T03:00:00Z"}}),
    );
    expect(&cron, Healthy, "it last succeeded at 2026-11-21T03:00:00Z");
}

#[test]
fn pods_are_asked_only_where_the_controller_has_seen_what_is_asked_for_and_replicas_are() {
    let all = workloads();
    let podless: Vec<&str> =
        all.iter().filter(|(_, live)| is_podless(live)).map(|(name, _)| name.as_str()).collect();
    assert_eq!(podless, ["deployment/zero"]);
    for name in ["deployment/unready", "statefulset/good", "replicaset/starting", "daemonset/good"] {
        let object = &all[name];
        let behind = edited(object, &json!({"metadata": {"generation": 99}}));
        assert!(is_podless(&behind), "{name}");
        assert!(is_podless(&edited(object, &json!({"status": null}))), "{name}");
        let going = edited(&behind, &json!({"metadata": {"deletionTimestamp": "2026-11-21T12:00:00Z"}}));
        assert!(!is_podless(&going), "{name}: its pods may hold it");
    }
    let job = jobs().into_values().next().expect("there is one");
    assert!(
        !is_podless(&edited(&job, &json!({"status": null}))),
        "a Job's controller does not say what it has seen"
    );
}
