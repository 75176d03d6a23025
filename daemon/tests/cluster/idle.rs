//! What a settled environment costs: nothing is written, hardly anything is asked, whatever controllers do.

use std::time::Duration;

use serde_json::json;

use crate::support::{Audited, Request, World, check, config_map, deployment, environment, eventually};

/// How long an idle environment is looked at.
const QUIET: Duration = Duration::from_secs(20);

fn listed(requests: &[&Request]) -> String {
    let lines: Vec<String> = requests.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Waits until the daemon has sent nothing but what keeps its Lease for two seconds.
fn wait_for_quiet(audited: &Audited) {
    eventually("the daemon is quiet", || {
        let mark = audited.mark();
        std::thread::sleep(Duration::from_secs(2));
        let sent = audited.since(&mark);
        let sent: Vec<&Request> = sent.iter().filter(|request| !request.uri.contains("/leases")).collect();
        check(sent.is_empty(), listed(&sent))
    });
}

fn inventories_listed(sent: &[Request]) -> Vec<String> {
    let lists = sent.iter().filter(|request| request.uri.contains("inventory-of"));
    lists.map(ToString::to_string).collect()
}

fn versions(world: &World) -> String {
    let format =
        "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}";
    let objects =
        ["get", "deployment,configmap,secret,service,serviceaccount", "-n", &world.name, "-o", format];
    let parent = format!("tidegate-{}", world.name);
    let state =
        ["get", "configmap", &parent, "-n", "tidegate-system", "-o", "jsonpath={.metadata.resourceVersion}"];
    format!("{}{}", world.kube.must(&objects), world.kube.must(&state))
}

#[test]
fn an_idle_environment_writes_nothing_and_asks_hardly_anything() {
    let world = World::new("idle-quiet");
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n";
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {token: text}\n";
    let commit = world.commit(
        "shop",
        &[
            ("environment.yaml", &world.environment("")),
            ("settings.yaml", &config_map("settings", "colour", "blue")),
            ("key.yaml", secret),
            ("web.yaml", &deployment("web", 2, "")),
            ("service.yaml", service),
        ],
    );
    let (daemon, audited) = world.audited_daemon();
    world.wait_for("live", &commit);
    wait_for_quiet(&audited);
    let before = versions(&world);
    let mark = audited.mark();
    std::thread::sleep(QUIET);
    let sent = audited.since(&mark);
    let writes: Vec<&Request> = sent.iter().filter(|request| request.is_write()).collect();
    assert!(writes.is_empty(), "{}\n{}", listed(&writes), daemon.log());
    assert_eq!(versions(&world), before);
    let all: Vec<&Request> = sent.iter().collect();
    println!("idle: {} requests in {QUIET:?}", sent.len());
    // Less than one in a second; what there is renews the Lease.
    assert!(sent.len() < 20, "{}", listed(&all));
    assert!(!sent.iter().any(Request::is_dry_run), "{}", listed(&all));
    assert!(!sent.is_empty(), "the requests of this daemon are seen");
}

#[test]
fn an_install_and_an_update_write_little_of_their_own() {
    let world = World::new("idle-install");
    let commit = world.commit(
        "begin",
        &[("environment.yaml", &world.environment("")), ("a.yaml", &config_map("a", "k", "v"))],
    );
    let (mut daemon, audited) = world.audited_daemon();
    world.wait_for("live", &commit);
    wait_for_quiet(&audited);

    // A further environment, of objects that are healthy as soon as they exist.
    let other = "idle-install-more";
    let install = |value: &str| {
        let folder = format!("environments/{other}");
        world.repo.write(&format!("{folder}/environment.yaml"), &environment(other, other, ""));
        for name in ["a", "b"] {
            world.repo.write(&format!("{folder}/{name}.yaml"), &config_map(name, "k", value));
        }
        let mark = audited.mark();
        let commit = world.repo.commit(value);
        world.wait_for_environment(other, "live", &commit);
        wait_for_quiet(&audited);
        let sent = audited.since(&mark);
        let own: Vec<String> = sent
            .iter()
            .filter(|request| request.uri.contains("/tidegate-system/configmaps"))
            .map(ToString::to_string)
            .collect();
        println!("{value}: {} requests, {} of them of our own state", sent.len(), own.len());
        // What was never made is created on condition that nothing is there; nobody looks before.
        let objects = format!("/namespaces/{other}/configmaps/");
        let reads = sent.iter().filter(|request| request.verb == "get" && request.uri.contains(&objects));
        assert_eq!(reads.count(), 0, "{}", listed(&sent.iter().collect::<Vec<_>>()));
        own
    };
    // Parent and shard are made, the shard takes the uids, the parent the record.
    let own = install("first");
    assert!(own.len() <= 4, "{}", own.join("\n"));
    // The claim, the shard with the digests, the record.
    let own = install("second");
    assert!(own.len() <= 3, "{}", own.join("\n"));

    // A start reads what is kept of all environments in one list.
    let mark = audited.mark();
    daemon.terminate();
    daemon.restart();
    eventually("the new daemon has listed", || {
        let lists = inventories_listed(&audited.since(&mark));
        check(!lists.is_empty(), "nothing yet")
    });
    wait_for_quiet(&audited);
    let lists = inventories_listed(&audited.since(&mark));
    assert_eq!(lists.len(), 1, "{}", lists.join("\n"));
}

#[test]
fn changes_of_the_status_alone_cause_no_dry_run_and_no_write() {
    let world = World::new("idle-churn");
    let claim = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\ndata: {k: v}\n";
    let commit = world.commit(
        "web",
        &[
            ("environment.yaml", &world.environment("")),
            ("web.yaml", &deployment("web", 2, "")),
            ("plain.yaml", claim),
        ],
    );
    let (_daemon, audited) = world.audited_daemon();
    world.wait_for("live", &commit);
    wait_for_quiet(&audited);
    let mark = audited.mark();
    for number in 0..10 {
        let status = json!({"status": {"conditions": [{"type": "Test", "status": "True", "reason": format!("Churn{number}"), "message": ""}]}});
        let patch = status.to_string();
        world.kube.must(&[
            "patch",
            "deployment",
            "web",
            "-n",
            "idle-churn",
            "--subresource=status",
            "-p",
            &patch,
        ]);
    }
    std::thread::sleep(Duration::from_secs(1));
    let sent = audited.since(&mark);
    let asked: Vec<&Request> = sent.iter().filter(|request| !request.uri.contains("/leases")).collect();
    println!("status churn: {} requests for 10 changes", asked.len());
    assert!(!sent.iter().any(Request::is_dry_run), "{}", listed(&asked));
    let on_objects = |request: &&&Request| request.is_write() && request.uri.contains("/idle-churn/");
    let writes: Vec<&Request> = asked.iter().copied().filter(|request| on_objects(&request)).collect();
    assert!(writes.is_empty(), "{}", listed(&writes));

    // Pods that restart: the workload is on its way and live again. That much is recorded, and nothing is applied or asked about.
    let mark = audited.mark();
    world.kube.must(&["delete", "pods", "-l", "app=web", "-n", "idle-churn", "--wait=true"]);
    eventually("the pods are back", || {
        let ready = world.kube.field("deployment", "idle-churn", "web", "/status/readyReplicas");
        check(ready == 2, ready.to_string())
    });
    world.wait_for("live", &commit);
    wait_for_quiet(&audited);
    let sent = audited.since(&mark);
    let asked: Vec<&Request> = sent.iter().filter(|request| !request.uri.contains("/leases")).collect();
    println!("restarted pods: {} requests", asked.len());
    assert!(!sent.iter().any(Request::is_dry_run), "{}", listed(&asked));
    let writes: Vec<&Request> = asked.iter().copied().filter(|request| on_objects(&request)).collect();
    assert!(writes.is_empty(), "{}", listed(&writes));
    assert!(asked.iter().filter(|request| request.is_write()).count() <= 6, "{}", listed(&asked));
    // An edit is seen by this test's own means: else it would pass for the wrong reason.
    let mark = audited.mark();
    world.kube.must(&["set", "env", "deployment/web", "-n", "idle-churn", "EXTRA=1"]);
    eventually("the edit is asked about and repaired", || {
        let sent = audited.since(&mark);
        let asked = sent.iter().any(Request::is_dry_run);
        let repaired = sent.iter().any(|request| on_objects(&&request));
        check(asked && repaired, listed(&sent.iter().collect::<Vec<_>>()))
    });
}
