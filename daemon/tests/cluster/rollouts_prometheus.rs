//! Bakes whose gate asks a real Prometheus: it measures too much, or is down for a while.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::gates_prometheus::Prometheus;
use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::{problem, throughout};
use crate::support::{check, eventually};

/// Watched for a second by a query, for three while it cannot tell.
fn policy(prometheus: SocketAddr) -> String {
    let policy = Scene::policy(Judged::BeforeSwitch, "1s").replace("max: 60s}", "max: 3s}");
    let (before, rest) = policy.split_once("    whileBaking:\n").unwrap();
    let (_, times) = rest.split_once("  bake:").unwrap();
    let gate = format!("{{url: 'http://{prometheus}', query: 'vector(0)', max: 1}}");
    format!(
        "{before}    whileBaking:\n      - name: errors\n        every: 1s\n        prometheus: {gate}\n  bake:{times}"
    )
}

/// The workload, once it stands in this phase.
fn in_phase(scene: &Scene, phase: &str) -> Value {
    eventually(&format!("it is {phase}"), || {
        let status = scene.world.status();
        let workload = status["workloads"][0].clone();
        check(workload["phase"] == phase, format!("{status:#}"))?;
        Ok(workload)
    })
}

#[test]
fn prometheus_down_in_a_bake_extends_and_holds_it_never_rolls_back_and_closes_it_once_it_answers() {
    let scene = Scene::new("rollout-prometheus");
    let host = scene.world.kube.cluster().host_address().unwrap();
    let nobody = [((host, 9).into(), "nobody")];
    let mut prometheus = Prometheus::start(host, &nobody);
    let first = scene.begin(Judged::BeforeSwitch, "1s", Release::new("1"));
    let _daemon = scene.world.daemon_with(&["--allow-gate-address", &format!("{host}/32")]);
    scene.world.wait_for("live", &first);
    let load = scene.load();
    scene.world.repo.write("policies/blue-green.yaml", &policy(prometheus.address));
    prometheus.end();
    let second = scene.release(Release::new("2"));
    let held = in_phase(&scene, "inconclusive");
    assert_eq!((&held["state"], &held["serves"]), (&"baking".into(), &"green".into()), "{held:#}");
    let gate = &held["gates"][0];
    assert_eq!((&gate["name"], &gate["verdict"]), (&"errors".into(), &"unknown".into()), "{held:#}");
    assert!(gate["summary"].as_str().unwrap().contains("the query was not answered"), "{held:#}");
    assert_eq!(held["canGoBack"], true, "{held:#}");
    assert!(held["next"].as_str().unwrap().contains("`tidegate promote` or `abort`"), "{held:#}");
    throughout(Duration::from_secs(2), "green serves, and blue stands by", || {
        scene.selected() == "green" && scene.replicas("blue") == Some(2)
    });
    let _again = Prometheus::start_at(prometheus.address, &nobody);
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    load.ends_well(&["1", "2"]);
}

#[test]
fn a_bake_goes_back_without_git_and_without_prometheus() {
    let scene = Scene::new("rollout-alone");
    let host = scene.world.kube.cluster().host_address().unwrap();
    let nobody = [((host, 9).into(), "nobody")];
    let mut prometheus = Prometheus::start(host, &nobody);
    let first = scene.begin(Judged::BeforeSwitch, "1s", Release::new("1"));
    let mut daemon = scene.world.daemon_with(&["--allow-gate-address", &format!("{host}/32")]);
    scene.world.wait_for("live", &first);
    let load = scene.load();
    let long = policy(prometheus.address)
        .replace("{duration: 1s, max: 3s}", "{duration: 30m, max: 1h}")
        .replace("gates: 10m}", "gates: 10m, grace: 1s}");
    assert!(long.contains("30m") && long.contains("grace"), "{long}");
    scene.set_policy(&long);
    scene.world.commit("version 2", &[("app.yaml", &Scene::lasting(&scene.called(Release::new("2"))))]);
    scene.call_ready("green", 2);
    eventually("green serves", || check(scene.selected() == "green", "it does not"));
    prometheus.end();
    let here = std::path::PathBuf::from(scene.world.repo.url());
    let away = here.with_extension("away");
    std::fs::rename(&here, &away).unwrap();
    // A new daemon has its cache, and nobody else to ask.
    daemon.kill();
    daemon.restart();
    // Those that come after them are called by nobody.
    scene.kubectl(&["delete", "pods", "-l", "tidegate.dev/slot=green", "--wait=false"]);
    eventually("blue serves again", || check(scene.selected() == "blue", daemon.log()));
    assert_eq!(scene.pointer()["rejected"]["reason"], json!("lostReadiness"), "{:#}", scene.pointer());
    std::fs::rename(&away, &here).unwrap();
    load.ends_well(&["1", "2"]);
}

/// The pods of both colours are scraped from now on.
fn scrape(scene: &Scene, prometheus: &Prometheus) {
    let list = scene.kubectl(&["get", "pods", "-l", &format!("app={APP}"), "-o", "json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    let target = |pod: &Value| {
        let address: IpAddr = pod["status"]["podIP"].as_str()?.parse().ok()?;
        Some(((address, 8080).into(), pod["metadata"]["name"].as_str()?.to_owned()))
    };
    let targets: Vec<_> = list["items"].as_array().unwrap().iter().filter_map(target).collect();
    prometheus.scrapes(&scene.world.name, &targets);
}

/// So many requests that the release does not understand are borne, of its own pods.
const BORNE: u32 = 20;

/// Sends more requests that nobody understands than are borne.
fn nonsense(address: SocketAddr) {
    for _ in 0..=BORNE {
        let mut stream = TcpStream::connect(address).unwrap();
        let request =
            "POST /predict HTTP/1.1\r\nHost: house-price\r\nConnection: close\r\nContent-Length: 1\r\n\r\n?";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
}

#[test]
fn what_a_real_prometheus_measures_of_the_new_pods_later_in_a_bake_takes_it_back_by_the_name_of_its_gate() {
    let scene = Scene::new("rollout-measured");
    let host = scene.world.kube.cluster().host_address().unwrap();
    let prometheus = Prometheus::told(host);
    let first = scene.begin(Judged::BeforeSwitch, "1s", Release::new("1"));
    let daemon = scene.world.daemon_with(&["--allow-gate-address", &format!("{host}/32")]);
    scene.world.wait_for("live", &first);
    scrape(&scene, &prometheus);
    // What the colour that is live until then has answered does not count.
    nonsense(scene.address());
    let load = scene.load();
    let of_pods = "shop_requests_total{pod=~\"${pods}\",namespace=\"${namespace}\"";
    let measured = format!(
        "      - name: refused\n        every: 1s\n        prometheus: {{url: 'http://{}', query: 'sum({of_pods},code=\"400\"}}) \
         or vector(0)', max: {BORNE}, minRequests: 50, requestsQuery: 'sum({of_pods}}})'}}\n  bake:",
        prometheus.address
    );
    let policy = Scene::policy(Judged::BeforeSwitch, "50s").replace("  bake:", &measured);
    let bound = policy.lines().position(|line| line.contains("max: 20")).unwrap() + 1;
    scene.set_policy(&policy);
    let second = scene.release(Release::new("2"));
    scene.ready("green", 2);
    scrape(&scene, &prometheus);
    eventually("both gates have passed in the bake", || {
        let workload = scene.world.status()["workloads"][0].clone();
        let said = |gate: usize| {
            (workload["gates"][gate]["name"].clone(), workload["gates"][gate]["verdict"].clone())
        };
        let all = (said(0), said(1), workload["state"].clone());
        let passed = (json!("watch"), json!("pass"));
        check(all == (passed, (json!("refused"), json!("pass")), json!("baking")), format!("{workload:#}"))
    });
    assert_eq!(scene.selected(), "green");
    nonsense(scene.address());
    let status = scene.world.wait_for("degraded", &second);
    assert_eq!(scene.selected(), "blue", "{}", daemon.log());
    assert_eq!(scene.pointer()["rejected"]["reason"], json!({"gate": "refused"}), "{:#}", scene.pointer());
    let told = problem(&status, "E0407");
    let message = told["message"].as_str().unwrap();
    assert!(
        message.contains("gate `refused` failed (21, expected at most 20); traffic went back to blue ("),
        "{message}"
    );
    assert_eq!(told["location"]["file"], "policies/blue-green.yaml");
    assert_eq!(told["location"]["line"], json!(bound), "{told:#}");
    load.ends_well(&["1", "2"]);
}
