//! How objects stand, and why: the words of the kubelet, the scheduler and the controllers reach the status.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{World, check, deployment, eventually, within};

/// Waits until the status record names an object in a state with all these words.
fn says(world: &World, object: &str, state: &str, words: &[&str]) -> Value {
    eventually(&format!("{object} is {state} with {words:?}"), || {
        let status = world.status();
        let items = status["objects"]["items"].as_array().cloned().unwrap_or_default();
        let found = items.iter().any(|item| {
            let reason = item["reason"].as_str().unwrap_or_default();
            item["object"]["name"] == object
                && item["state"] == state
                && words.iter().all(|word| reason.contains(word))
        });
        check(found, format!("{status:#}"))?;
        Ok(status)
    })
}

fn started(name: &str, further: &str, manifest: &str) -> (World, crate::support::Daemon) {
    let world = World::new(name);
    world.commit("one", &[("environment.yaml", &world.environment(further)), ("object.yaml", manifest)]);
    let daemon = world.daemon();
    (world, daemon)
}

/// A Deployment whose pods run pause with this in their spec.
fn pods(name: &str, container: &str, pod: &str) -> String {
    let plain = deployment(name, 1, "");
    let plain = plain.replace("      containers:\n", &format!("{pod}      containers:\n"));
    format!("{plain}{container}")
}

#[test]
fn an_image_that_does_not_exist_is_named_with_pod_container_and_the_words_of_the_kubelet() {
    let manifest = deployment("web", 1, "").replace("docker.io/local/pause:1", "127.0.0.1:1/missing/image:7");
    let (world, _daemon) = started("health-image", "", &manifest);
    let status = says(
        &world,
        "web",
        "progressing",
        &["pod web-", "container main", "127.0.0.1:1/missing/image:7", "ImagePull"],
    );
    assert_eq!(status["state"], "progressing", "a registry may come back before the deadline: {status:#}");
    assert!(
        status["reason"].as_str().unwrap().contains("missing/image:7"),
        "the first line says it: {status:#}"
    );
    let text = world.tidegate(&["status", "health-image"]);
    assert!(
        text.stdout.contains("container main") && text.stdout.contains("missing/image:7"),
        "{}",
        text.stdout
    );
    // A commit that mends it makes it live.
    let commit = world.commit("mended", &[("object.yaml", &deployment("web", 1, ""))]);
    let status = world.wait_for("live", &commit);
    assert_eq!(status["objects"]["items"], serde_json::json!([]), "{status:#}");
}

#[test]
fn a_pod_that_no_node_takes_is_reported_in_the_words_of_the_scheduler() {
    let manifest = pods("web", "", "      nodeSelector: {disk: imaginary}\n");
    let (world, _daemon) = started("health-unschedulable", "", &manifest);
    let status = says(
        &world,
        "web",
        "progressing",
        &["pod web-", "Unschedulable", "0/1 nodes are available", "node affinity/selector"],
    );
    assert_eq!(status["state"], "progressing", "a node may come: {status:#}");
    assert_eq!(status["next"], "a change of the objects' status", "{status:#}");
}

#[test]
fn a_crash_loop_is_reported_with_how_the_container_ended() {
    let manifest = pods("web", "        command: [/no/such/program]\n", "");
    let (world, _daemon) = started("health-crash", "", &manifest);
    let words = ["pod web-", "container main", "exited with code 128 (StartError)", "/no/such/program"];
    let status = says(&world, "web", "progressing", &words);
    assert!(status["reason"].as_str().unwrap().contains("exited with code 128"), "{status:#}");
}

#[test]
fn a_missed_deadline_is_a_problem_with_its_place_in_git_and_degrades_the_environment() {
    let manifest = pods("web", "", "      nodeSelector: {disk: imaginary}\n");
    let (world, _daemon) = started("health-deadline", "  deadlines: {healthy: 5s}\n", &manifest);
    says(&world, "web", "progressing", &["pod web-"]);
    let status = within(Duration::from_secs(25), "the deadline is missed", || {
        let status = world.status();
        let problem = status["problems"]["items"]
            .as_array()
            .and_then(|all| all.iter().find(|problem| problem["code"] == "E0406").cloned());
        check(problem.is_some() && status["state"] == "degraded", format!("{status:#}"))?;
        Ok(status)
    });
    let text = status["problems"].to_string();
    for word in [
        "environments/health-deadline/object.yaml",
        "within 5s",
        "node affinity/selector",
        "\"name\":\"web\"",
    ] {
        assert!(text.contains(word), "{word}: {status:#}");
    }
    let shown = world.tidegate(&["status", "health-deadline"]);
    assert!(shown.stdout.contains("E0406") && shown.stdout.contains("object.yaml:1"), "{}", shown.stdout);
    // It is over as soon as the object is well.
    let commit = world.commit("mended", &[("object.yaml", &deployment("web", 1, ""))]);
    let status = world.wait_for("live", &commit);
    assert_eq!(status["problems"]["total"], 0, "{status:#}");
}

#[test]
fn pods_that_restart_long_after_the_apply_have_the_whole_deadline_again() {
    let (world, _daemon) =
        started("health-restart", "  deadlines: {healthy: 8s}\n", &deployment("web", 1, ""));
    let commit = world.repo.head();
    world.wait_for("live", &commit);
    std::thread::sleep(Duration::from_secs(9));
    world.kube.must(&["delete", "pods", "-l", "app=web", "-n", "health-restart", "--wait=false"]);
    let start = Instant::now();
    let mut seen = Vec::new();
    while start.elapsed() < Duration::from_secs(5) {
        let status = world.status();
        seen.push(status["state"].to_string());
        assert!(!status["problems"].to_string().contains("E0406"), "{status:#}");
    }
    world.wait_for("live", &commit);
    println!("states after a restart of pods: {seen:?}");
}

#[test]
fn a_job_that_failed_is_reported_with_its_reason() {
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\nspec:\n  backoffLimit: 0\n  template:\n    spec:\n      \
               restartPolicy: Never\n      containers:\n      - {name: main, image: docker.io/local/pause:1, command: [/no/such/program]}\n";
    let (world, _daemon) = started("health-job", "", job);
    let status = says(
        &world,
        "migrate",
        "degraded",
        &["backoff limit", "pod migrate-", "exited with code 128", "/no/such/program"],
    );
    assert_eq!(status["state"], "degraded", "{status:#}");
}

#[test]
fn a_claim_without_a_volume_is_on_its_way_and_says_so() {
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: disk}\nspec:\n  storageClassName: imaginary\n  \
                 accessModes: [ReadWriteOnce]\n  resources: {requests: {storage: 1Gi}}\n";
    let (world, _daemon) = started("health-claim", "", claim);
    let status = says(&world, "disk", "progressing", &["waits for a volume"]);
    assert_eq!(status["state"], "progressing", "{status:#}");
}

#[test]
fn an_environment_becomes_live_by_watch_within_a_second_of_its_last_object() {
    // A gate by hand: the pod is not ready before a condition of it is set.
    let manifest = pods("web", "", "      readinessGates: [{conditionType: tests.example.com/go}]\n");
    let (world, _daemon) = started("health-watch", "", &manifest);
    let status = says(&world, "web", "progressing", &["0"]);
    assert_eq!(status["state"], "progressing", "{status:#}");
    let pod = eventually("its pod runs", || {
        let all = world.kube.must(&[
            "get",
            "pods",
            "-n",
            "health-watch",
            "-l",
            "app=web",
            "--field-selector=status.phase=Running",
            "-o",
            "name",
        ]);
        all.lines().next().map(str::to_owned).ok_or(all)
    });
    let patch = r#"{"status":{"conditions":[{"type":"tests.example.com/go","status":"True"}]}}"#;
    world.kube.must(&["patch", &pod, "-n", "health-watch", "--subresource=status", "-p", patch]);
    eventually("the Deployment is available", || {
        let ready = world.kube.field("deployment", "health-watch", "web", "/status/availableReplicas");
        check(ready == 1, ready.to_string())
    });
    let start = Instant::now();
    world.wait_for("live", &world.repo.head());
    println!("live {:?} after its last object", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
