//! `http`, `tcp`, `lbHealth` and `load` on real pods.

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tidegate_core::location::Location;
use tidegate_core::policy::{
    Expectation, GateKind, HttpAnswer, HttpGate, HttpRequest, Json, JsonCheck, LbHealthGate, LoadGate, Port,
    TcpGate, TcpTarget, Tolerance,
};
use tidegate_core::rollout::{Finding, Slot, Verdict};

use crate::gates::{HOUSE, NAMESPACE, Question, await_ready, blue, get, pod, scene};
use crate::support::{check, eventually, runtime};

/// A golden prediction, of every pod.
pub fn prediction() -> HttpGate {
    let tolerance = Some(Tolerance { absolute: Some(0.01), relative: None });
    let check = JsonCheck::Equals(Expectation { value: json!(20.35), tolerance });
    HttpGate {
        request: HttpRequest {
            method: "POST".to_owned(),
            body: Some(json!({ "rooms": 6.5 })),
            ..get("/predict")
        },
        expect: HttpAnswer {
            json: vec![Json {
                pointer: "/prediction".to_owned(),
                check,
                location: Location::file("policies/golden.yaml"),
            }],
            ..HttpAnswer::default()
        },
        requests: 1,
        every_pod: true,
    }
}

fn tcp(target: TcpTarget) -> GateKind {
    GateKind::Tcp(TcpGate { target })
}

fn is(finding: &Finding, verdict: Verdict, said: &str) {
    assert!(finding.verdict == verdict && finding.summary.contains(said), "{finding:#?}");
    assert!(finding.started <= finding.ended, "{finding:#?}");
}

#[test]
fn every_ready_pod_of_the_revision_is_asked_and_no_other() {
    blue();
    // Wrong ones that are not ready, or of another revision, are nobody's business; one wrong one that counts is found.
    pod("mixed-good", Slot::Green, 2, &[]);
    pod("mixed-unready", Slot::Green, 2, &[("PREDICTION_OFFSET", "5"), ("NOT_READY", "true")]);
    pod("mixed-old", Slot::Green, 9, &[("PREDICTION_OFFSET", "5")]);
    await_ready(&["mixed-good", "mixed-old"]);
    let green = Question::new(Slot::Green, 2, GateKind::Http(prediction()));
    let good = green.ask();
    is(&good, Verdict::Pass, "1 of 1 requests to 1 pod answered as expected");
    pod("mixed-wrong", Slot::Green, 2, &[("PREDICTION_OFFSET", "5")]);
    await_ready(&["mixed-wrong"]);
    let wrong = green.ask();
    is(
        &wrong,
        Verdict::Fail,
        "1 of 2 requests failed, the first: pod mixed-wrong answered /prediction = 25.35, expected 20.35 ± 0.01",
    );
    assert_eq!(
        (wrong.value.as_deref(), wrong.threshold.as_deref()),
        (Some("/prediction = 25.35"), Some("20.35 ± 0.01"))
    );
    assert_eq!(wrong.rule, Some(Location::file("policies/golden.yaml")));
    let both = Question::new(Slot::Blue, 1, GateKind::Http(prediction())).ask();
    is(&both, Verdict::Pass, "2 of 2 requests to 2 pods");
    let none = Question::new(Slot::Blue, 77, GateKind::Http(prediction())).ask();
    is(&none, Verdict::Unknown, "no pod of house blue is ready (0 exist)");
    let port = Some(Port::Name("nope".to_owned()));
    let unnamed = HttpGate { request: HttpRequest { port, ..get("/") }, ..prediction() };
    is(
        &Question::new(Slot::Blue, 1, GateKind::Http(unnamed)).ask(),
        Verdict::Unknown,
        "has no port named `nope`",
    );
}

#[test]
fn a_pod_that_is_taken_away_while_it_is_asked_says_nothing() {
    pod("leaving", Slot::Green, 5, &[("DELAY", "60s")]);
    await_ready(&["leaving"]);
    let question = Question::new(Slot::Green, 5, GateKind::Http(prediction()));
    let asked = runtime().spawn(async move { question.ask_by(&scene().client).await });
    // Wherever in the asking this comes: a pod that goes is not held against its revision.
    std::thread::sleep(Duration::from_millis(500));
    scene().kube.must(&["delete", "pod", "leaving", "-n", NAMESPACE, "--wait=false"]);
    let finding = runtime().block_on(asked).unwrap();
    assert_eq!(finding.verdict, Verdict::Unknown, "{finding:#?}");
}

#[test]
fn a_port_of_pods_and_of_services_accepts_or_does_not() {
    blue();
    let pods = |port| Question::new(Slot::Blue, 1, tcp(TcpTarget::Pods { port })).ask();
    is(&pods(None), Verdict::Pass, "all 2 ready pods accept");
    is(&pods(Some(Port::Name("http".to_owned()))), Verdict::Pass, "all 2 ready pods accept");
    is(&pods(Some(Port::Number(9))), Verdict::Fail, "refused the connection");
    let service = |name: &str, port| {
        let target = TcpTarget::Service { name: name.to_owned(), port };
        Question::new(Slot::Green, 2, tcp(target)).ask()
    };
    is(&service(HOUSE, 80), Verdict::Pass, "port 80 of Service house");
    is(&service(HOUSE, 81), Verdict::Unknown, "has no port 81");
    is(&service("nobody", 80), Verdict::Unknown, "Service gates/nobody cannot be read");
}

/// PostgreSQL beside the cluster; ended when dropped.
struct Postgres {
    address: IpAddr,
    folder: tempfile::TempDir,
    port: u16,
}

impl Postgres {
    fn start() -> Self {
        let address = scene().kube.cluster().host_address().unwrap();
        let port = std::net::TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        // PostgreSQL runs as a user of its own.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let postgres = Self { address, folder, port };
        postgres.run("up");
        postgres
    }

    fn run(&self, verb: &str) {
        let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/demo/postgres.sh");
        let ran = Command::new(script)
            .arg(verb)
            .env("CLUSTER", "gates")
            .env("DATABASE_ADDRESS", self.address.to_string())
            .env("DATABASE_PORT", self.port.to_string())
            .env("DATABASE_FOLDER", self.folder.path().join("postgres"))
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.port != 0 {
            self.run("down");
        }
    }
}

#[test]
fn a_database_behind_an_external_name_is_reached_where_an_operator_allows_its_address() {
    let mut postgres = Postgres::start();
    let address = postgres.address;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "database" },
        "spec": { "type": "ExternalName", "externalName": address.to_string() },
    });
    scene().kube.apply(NAMESPACE, &service.to_string());
    let target = TcpTarget::Service { name: "database".to_owned(), port: postgres.port };
    let question = Question::new(Slot::Green, 2, tcp(target));
    // It runs where the API server runs.
    let refused = question.ask();
    is(&refused, Verdict::Unknown, "the API server's own address");
    assert!(refused.summary.contains(&format!("--allow-gate-address {address}")), "{refused:#?}");
    let question = question.allowing(&format!("{address}/32"));
    is(&question.ask(), Verdict::Pass, "port");
    postgres.run("down");
    postgres.port = 0;
    is(&question.ask(), Verdict::Unknown, "refused the connection");
    for (name, said) in
        [("localhost", "a loopback address"), ("169.254.169.254", "where clouds keep their metadata")]
    {
        let patch = json!({ "spec": { "externalName": name } }).to_string();
        scene().kube.must(&["patch", "service", "database", "-n", NAMESPACE, "-p", &patch]);
        is(&question.ask(), Verdict::Unknown, said);
    }
}

#[test]
fn pods_that_stay_ready_are_told_from_too_few_and_from_those_that_flap() {
    blue();
    let health = |endpoints| GateKind::LbHealth(LbHealthGate { endpoints, duration: Duration::from_secs(2) });
    is(&Question::new(Slot::Blue, 1, health(None)).ask(), Verdict::Pass, "2 pods stayed ready for 2 s");
    is(&Question::new(Slot::Blue, 1, health(Some(3))).ask(), Verdict::Unknown, "2 of 3 pods are ready");
    pod("flapping", Slot::Green, 6, &[("CRASH_AFTER", "5s")]);
    await_ready(&["flapping"]);
    let long = LbHealthGate { endpoints: Some(1), duration: Duration::from_secs(30) };
    let question = Question::new(Slot::Green, 6, GateKind::LbHealth(long));
    // An asking that begins while it is down knows nothing; one that begins while it is up sees it fall.
    let flapped = eventually("a flap is seen", || {
        let finding = question.ask();
        check(finding.verdict != Verdict::Unknown, finding.summary.clone())?;
        Ok(finding)
    });
    is(&flapped, Verdict::Fail, "flapping");
    scene().kube.must(&["delete", "pod", "flapping", "-n", NAMESPACE, "--wait=false"]);
}

#[test]
fn load_and_latency_are_measured_on_the_pods() {
    blue();
    pod("slow", Slot::Green, 3, &[("DELAY", "300ms")]);
    pod("failing", Slot::Green, 4, &[("FAIL_RATE", "0.25")]);
    await_ready(&["slow", "failing"]);
    let load = |p95| LoadGate {
        request: prediction().request,
        status: (200..400).collect(),
        rate: 20,
        duration: Duration::from_secs(2),
        max_errors: 0.1,
        p95,
    };
    let on = |slot, revision, p95| Question::new(slot, revision, GateKind::Load(load(p95))).ask();
    let passed = on(Slot::Blue, 1, Some(Duration::from_secs(5)));
    is(&passed, Verdict::Pass, " requests, 0 failed");
    is(&on(Slot::Green, 4, None), Verdict::Fail, "pod failing answered 500");
    is(&on(Slot::Green, 3, Some(Duration::from_millis(100))), Verdict::Fail, "where 100 ms are allowed");
    let limit = Some(Duration::from_millis(100));
    let http =
        HttpGate { expect: HttpAnswer { p95: limit, ..prediction().expect }, requests: 3, ..prediction() };
    is(&Question::new(Slot::Green, 3, GateKind::Http(http)).ask(), Verdict::Fail, "where 100 ms are allowed");
}
