//! `reach: apiserver`, from a network that has a route to the API server and to nothing else: what a gate finds there, and a
//! whole daemon that brings a release live and turns another one down.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fd::AsFd as _;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;
use tidegate_core::location::Location;
use tidegate_core::policy::{
    GateKind, HttpGate, LoadGate, Port, PrometheusGate, PrometheusSource, Reach, TcpGate, TcpTarget,
};
use tidegate_core::rollout::{Finding, Slot, Verdict};

use crate::gates::{HOUSE, NAMESPACE, Question, await_ready, blue, client_of, pod, scene};
use crate::gates_http::prediction;
use crate::rollout_scene::{APP, Judged, Release, Scene};
use crate::scene::problem;
use crate::support::{Daemon, check, eventually, shop};

/// A network namespace with one route; removed when dropped.
struct Elsewhere {
    name: String,
}

impl Elsewhere {
    /// `number`: from 0 to 25, one for each that stands at the same time.
    fn new(number: u8) -> Self {
        let IpAddr::V4(api_server) = scene().kube.cluster().host_address().unwrap() else { panic!("IPv4") };
        let id = format!("{}{}", char::from(b'a' + number), std::process::id());
        let name = format!("gates-{id}");
        // Addresses of the cluster's slice that neither nodes, pods nor Services have.
        let [a, b, c, _] = api_server.octets();
        let first = 4 * number;
        let (here, there) = (Ipv4Addr::new(a, b, c + 8, first + 1), Ipv4Addr::new(a, b, c + 8, first + 2));
        let (near, far) = (format!("tgn{id}"), format!("tgf{id}"));
        let elsewhere = Self { name: name.clone() };
        for words in [
            format!("netns add {name}"),
            format!("link add {near} type veth peer name {far} netns {name}"),
            format!("addr add {here}/30 dev {near}"),
            format!("link set {near} up"),
            format!("-n {name} addr add {there}/30 dev {far}"),
            format!("-n {name} link set {far} up"),
            format!("-n {name} link set lo up"),
            format!("-n {name} route add {api_server}/32 via {here}"),
        ] {
            let output = Command::new("ip").args(words.split(' ')).output().unwrap();
            assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
        }
        elsewhere
    }

    /// Asks from there: a thread of its own, with a runtime and a client of its own, in the other network.
    fn ask(&self, question: Question) -> Finding {
        self.within(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { question.ask_by(&client_of(scene().kubeconfig.path()).await).await })
        })
    }

    /// Whether anything answers there at this address.
    fn connects(&self, address: SocketAddr) -> bool {
        self.within(move || TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok())
    }

    /// Runs it on a thread of its own in the other network.
    fn within<T: Send + 'static>(&self, run: impl FnOnce() -> T + Send + 'static) -> T {
        let network = File::open(format!("/run/netns/{}", self.name)).unwrap();
        let running = std::thread::spawn(move || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            run()
        });
        running.join().unwrap()
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // Its end of the pair goes with it, and so does ours.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn is(finding: &Finding, verdict: Verdict, said: &str) {
    assert!(finding.verdict == verdict && finding.summary.contains(said), "{said}: {finding:#?}");
}

#[test]
fn a_daemon_without_any_route_to_pods_asks_them_through_the_api_server() {
    blue();
    pod("far-wrong", Slot::Green, 20, &[("PREDICTION_OFFSET", "5")]);
    pod("far-slow", Slot::Green, 21, &[("DELAY", "20s")]);
    pod("far-crashing", Slot::Green, 22, &[("DELAY", "60s"), ("CRASH_AFTER", "5s")]);
    await_ready(&["far-wrong", "far-slow"]);
    let elsewhere = Elsewhere::new(0);
    let begun = Instant::now();
    let ask = |slot, revision, kind| elsewhere.ask(Question::new(slot, revision, kind).by(Reach::ApiServer));
    let http = || GateKind::Http(HttpGate { requests: 4, ..prediction() });

    // There is no other way to them.
    let direct = elsewhere.ask(Question::new(Slot::Blue, 1, http()));
    is(&direct, Verdict::Unknown, "is out of reach");

    is(&ask(Slot::Blue, 1, http()), Verdict::Pass, "4 of 4 requests to 2 pods answered as expected");
    is(&ask(Slot::Green, 20, http()), Verdict::Fail, "pod far-wrong answered /prediction = 25.35");
    let once = GateKind::Http(prediction());
    let slow = Question::new(Slot::Green, 21, once).by(Reach::ApiServer).within(Duration::from_secs(12));
    is(&elsewhere.ask(slow), Verdict::Fail, "pod far-slow did not answer within 6 s");

    // It goes down with the request in it; between its lives it is not ready, and nobody can tell.
    let crashed = eventually("a crash in the middle of an answer", || {
        let finding = ask(Slot::Green, 22, http());
        check(finding.verdict != Verdict::Unknown, finding.summary.clone())?;
        Ok(finding)
    });
    is(&crashed, Verdict::Fail, "pod far-crashing");
    scene().kube.must(&["delete", "pod", "far-crashing", "-n", NAMESPACE, "--wait=false"]);

    let tcp = |target| GateKind::Tcp(TcpGate { target });
    is(&ask(Slot::Blue, 1, tcp(TcpTarget::Pods { port: None })), Verdict::Pass, "all 2 ready pods accept");
    let closed = TcpTarget::Pods { port: Some(Port::Number(9)) };
    is(&ask(Slot::Blue, 1, tcp(closed)), Verdict::Fail, "refused the connection");
    let service = TcpTarget::Service { name: HOUSE.to_owned(), port: 80 };
    is(&ask(Slot::Blue, 1, tcp(service)), Verdict::Pass, "port 80 of Service house");

    let load = LoadGate {
        request: prediction().request,
        status: (200..400).collect(),
        rate: 5,
        duration: Duration::from_secs(4),
        max_errors: 0.0,
        p95: None,
    };
    is(&ask(Slot::Blue, 1, GateKind::Load(load)), Verdict::Pass, " requests, 0 failed");

    // What is behind the Service is no Prometheus, and it is reached.
    let source =
        PrometheusSource::Service { namespace: NAMESPACE.to_owned(), name: HOUSE.to_owned(), port: 80 };
    let bound = Location::file("p.yaml");
    let (max_age, query) = (Duration::from_mins(1), "1".to_owned());
    let prometheus =
        PrometheusGate { source, query, min: None, max: Some(1.0), bound, max_age, traffic: None };
    is(&ask(Slot::Blue, 1, GateKind::Prometheus(prometheus)), Verdict::Unknown, "was answered 404");
    assert!(begun.elapsed() < Duration::from_mins(3), "{:?}", begun.elapsed());
}

/// The evidence that a slot's record holds of a gate.
fn evidence(scene: &Scene, slot: &str, gate: &str) -> Value {
    let record = scene.field(
        "deployment",
        &format!("{APP}-{slot}"),
        "/metadata/annotations/tidegate.dev~1slot-record",
    );
    let record: Value = serde_json::from_str(record.as_str().unwrap_or("null")).unwrap();
    let answers = record["answers"].as_array().cloned().unwrap_or_default();
    answers.into_iter().find(|answer| answer["evidence"]["gate"]["name"] == gate).unwrap_or_default()
}

#[test]
fn a_whole_daemon_there_brings_a_release_live_by_its_gates_and_turns_a_wrong_one_down() {
    // The namespace of the gates' tests also has what the other network is made of.
    scene();
    let scene = Scene::new("rollout-far");
    let image = shop::image(&scene.world.kube);
    let job = format!(
        "    beforeSwitch:\n      - name: version\n        job: {{template: {{spec: {{containers: [{{name: main, image: '{image}', \
         imagePullPolicy: IfNotPresent, args: [get, $(TARGET_URL)/version]}}]}}}}}}\n"
    );
    let policy = Scene::policy(Judged::BeforeSwitch, "1s").replace("    beforeSwitch:\n", &job);
    let first = scene.begin(Judged::BeforeSwitch, "1s", Release::new("1"));
    scene.set_policy(&format!("{policy}  reach: apiserver\n"));
    assert_ne!(scene.world.repo.commit("by the API server alone"), first);
    let elsewhere = Elsewhere::new(1);
    let network = ["ip", "netns", "exec", &elsewhere.name];
    let (repository, kubeconfig) = (scene.world.repo.url(), scene.world.kube.kubeconfig());
    let daemon = Daemon::start_under(&network, &repository, &kubeconfig, &[]);
    let first = scene.world.repo.head();
    scene.world.wait_for("live", &first);
    let load = scene.load();
    assert!(!elsewhere.connects(scene.address()), "there is no way to the Service from there");

    let second = scene.release(Release::new("2"));
    scene.world.wait_for("live", &second);
    assert_eq!(scene.selected(), "green");
    for gate in ["version", "smoke"] {
        let answer = evidence(&scene, "green", gate);
        assert_eq!(answer["evidence"]["verdict"], "pass", "{gate}: {answer:#}\n{}", daemon.log());
    }
    let said = evidence(&scene, "green", "version")["finding"].to_string();
    assert!(said.contains("succeeded: 2"), "the Job asked the pods of version 2: {said}");

    let third = scene.release(Release::wrong("3"));
    let status = scene.world.wait_for("degraded", &third);
    let message = problem(&status, "E0407")["message"].to_string();
    assert!(message.contains("gate `smoke` failed") && message.contains("25.35"), "{message}");
    assert_eq!(scene.selected(), "green");
    load.ends_well(&["1", "2"]);
}
