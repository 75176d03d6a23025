//! Storage, network, autoscaling and what extends or holds the API.

use super::*;

fn others() -> BTreeMap<String, Value> {
    fixtures(include_str!("../fixtures/others.json"))
}

#[test]
fn objects_of_a_real_cluster_are_judged() {
    expect_all(
        &others(),
        &[
            (
                "apiservice/absent",
                Progressing,
                "it is not available: service/absent in \"shop\" is not present",
            ),
            ("apiservice/local", Healthy, "it is available"),
            ("configmap/held", Progressing, "it is being deleted, held by health.example/keep"),
            ("crd/conflict", Degraded, "its names are not accepted: \"WidgetList\" is already in use"),
            ("crd/established", Healthy, "it is established"),
            ("hpa/hpa", Healthy, "it scales by its metrics"),
            ("hpa/hpazero", Suspended, "its target is scaled to zero"),
            (
                "hpa/nometrics",
                Progressing,
                "it has no metrics: the HPA was unable to compute the replica count: failed to get cpu utilization: unable \
                 to get metrics for resource cpu: no metrics returned from resource metrics API",
            ),
            (
                "hpa/notarget",
                Degraded,
                "it cannot scale: the HPA controller was unable to get the target's current scale: deployments.apps \
                 \"absent\" not found",
            ),
            ("ingress/none", Healthy, "it exists, without an address of a load balancer"),
            ("namespace/active", Healthy, "it is active"),
            ("node/ready", Healthy, "it is ready"),
            ("pdb/allowed", Healthy, "disruptions are allowed"),
            ("pdb/tight", Healthy, "no disruption is allowed: 0 of 5 needed pods are healthy"),
            ("pv/bound", Healthy, "it is bound"),
            ("pvc/bound", Healthy, "it is bound"),
            ("pvc/pending", Progressing, "it waits for a volume, or for the first pod that uses it"),
            ("service/cluster", Healthy, "it exists"),
            ("service/lb", Progressing, "its load balancer has no address yet"),
        ],
    );
}

#[test]
fn claims_and_volumes_go_by_their_phase() {
    let claim = &others()["pvc/pending"];
    let phase = |phase: &str| json!({"status": {"phase": phase}});
    expect(&edited(claim, &phase("Lost")), Degraded, "its volume is lost");
    expect(&edited(claim, &phase("New")), Progressing, "its phase is New");
    expect(&edited(claim, &json!({"status": null})), Progressing, "its controller has not seen it yet");
    let chosen = json!({"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "n"}}});
    expect(&edited(claim, &chosen), Progressing, "its volume is being provisioned");
    let volume = &others()["pv/bound"];
    expect(&edited(volume, &phase("Available")), Healthy, "it is available");
    expect(&edited(volume, &phase("Released")), Healthy, "it is released");
    expect(&edited(volume, &phase("Pending")), Progressing, "its phase is Pending");
    let failed = json!({"status": {"phase": "Failed", "message": "no plugin deletes it"}});
    expect(&edited(volume, &failed), Degraded, "no plugin deletes it");
}

#[test]
fn a_load_balancer_is_named_by_its_address() {
    let to = |entry: Value| json!({"status": {"loadBalancer": {"ingress": [entry]}}});
    let service = &others()["service/lb"];
    expect(
        &edited(service, &to(json!({"hostname": "lb.example"}))),
        Healthy,
        "its load balancer is lb.example",
    );
    expect(&edited(service, &to(json!({"ip": "192.0.2.1"}))), Healthy, "its load balancer is 192.0.2.1");
    expect(&edited(service, &to(json!({}))), Healthy, "its load balancer is ready");
    let ingress = &others()["ingress/none"];
    expect(&edited(ingress, &to(json!({"ip": "192.0.2.1"}))), Healthy, "its load balancer is 192.0.2.1");
}

#[test]
fn an_autoscaler_that_cannot_work_is_degraded_and_one_without_a_word_progresses() {
    let scaler = &others()["hpa/hpa"];
    expect(&edited(scaler, &json!({"status": null})), Progressing, "its controller has not seen it yet");
    let with = |active: Value| {
        edited(
            scaler,
            &json!({"status": {"conditions": [{"type": "AbleToScale", "status": "True"}, active]}}),
        )
    };
    let invalid =
        json!({"type": "ScalingActive", "status": "False", "reason": "InvalidSelector", "message": "bad"});
    expect(&with(invalid), Degraded, "it cannot scale: bad");
    expect(&with(json!({})), Progressing, "it has not read its metrics yet");
    let limited = json!({"status": {"conditions": [
        {"type": "AbleToScale", "status": "False", "reason": "BackoffBoth"}, {"type": "ScalingActive", "status": "True"}]}});
    expect(&edited(scaler, &limited), Healthy, "it scales by its metrics");
}

#[test]
fn an_autoscaler_of_the_first_version_goes_by_its_annotation() {
    let scaler = |conditions: &str| {
        json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "status": {"currentReplicas": 1},
               "metadata": {"annotations": {"autoscaling.alpha.kubernetes.io/conditions": conditions}}})
    };
    let works = r#"[{"type":"AbleToScale","status":"True"},{"type":"ScalingActive","status":"True"}]"#;
    expect(&scaler(works), Healthy, "it scales by its metrics");
    let fails =
        r#"[{"type":"AbleToScale","status":"False","reason":"FailedGetScale","message":"no target"}]"#;
    expect(&scaler(fails), Degraded, "it cannot scale: no target");
    expect(&scaler("not JSON"), Progressing, "its controller has not seen it yet");
}

#[test]
fn a_disruption_budget_that_cannot_count_is_degraded() {
    let budget = &others()["pdb/tight"];
    let failed = json!({"status": {"conditions": [
        {"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": "no controller found"}]}});
    expect(&edited(budget, &failed), Degraded, "it cannot count its pods: no controller found");
    expect(&edited(budget, &json!({"status": null})), Progressing, "its controller has not seen it yet");
}

#[test]
fn a_definition_is_healthy_only_when_it_is_served() {
    let definition = &others()["crd/established"];
    expect(&edited(definition, &json!({"status": null})), Progressing, "it is being installed");
    let with = |reason: &str| json!({"status": {"conditions": [{"type": "Established", "status": "False", "reason": reason}]}});
    expect(&edited(definition, &with("Installing")), Progressing, "it is being installed");
    let unknown = json!({"status": {"conditions": [{"type": "Established", "status": "Unknown"}]}});
    expect(&edited(definition, &unknown), Progressing, "it is being installed");
    expect(&edited(definition, &with("NotAccepted")), Degraded, "it is not established: NotAccepted");
}

#[test]
fn namespaces_nodes_and_api_services_go_by_what_they_report() {
    let gone = json!({"status": {"phase": "Terminating"}});
    expect(&edited(&others()["namespace/active"], &gone), Progressing, "its phase is Terminating");
    let node = &others()["node/ready"];
    expect(
        &edited(node, &json!({"spec": {"unschedulable": true}})),
        Suspended,
        "it is ready and takes no new pods",
    );
    let silent = json!({"status": {"conditions": [
        {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}]}});
    expect(&edited(node, &silent), Degraded, "it is not ready: Kubelet stopped posting node status");
    expect(&edited(node, &json!({"status": null})), Progressing, "its kubelet has not reported yet");
    let service = edited(&others()["apiservice/local"], &json!({"status": null}));
    expect(&service, Progressing, "its controller has not seen it yet");
}
