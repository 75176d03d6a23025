//! `prometheus`: the real one, beside servers that hang, lie, flood and redirect. Everything but one fresh number is unknown.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tidegate_core::location::Location;
use tidegate_core::policy::{GateKind, HttpGate, PrometheusGate, PrometheusSource, Traffic};
use tidegate_core::rollout::{Finding, Slot, Verdict};

use crate::gates::{NAMESPACE, Question, await_ready, pod, scene};
use crate::gates_http::prediction;
use crate::support::{check, eventually};

/// The revision of the metered pod.
const METERED: u128 = 8;

/// A Prometheus of one test; ended when dropped.
pub struct Prometheus {
    child: Child,
    pub address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes these every second.
    pub fn start(address: IpAddr, targets: &[(SocketAddr, &str)]) -> Self {
        let port = TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port();
        Self::start_at(SocketAddr::from((address, port)), targets)
    }

    /// The same at an address that is known.
    pub fn start_at(address: SocketAddr, targets: &[(SocketAddr, &str)]) -> Self {
        let scraped: Vec<String> = targets
            .iter()
            .map(|(target, pod)| {
                format!("  - {{targets: ['{target}'], labels: {{pod: {pod}, namespace: {NAMESPACE}}}}}\n")
            })
            .collect();
        Self::scraping(address, &format!("  static_configs:\n{}", scraped.concat()))
    }

    /// Scrapes what [`Self::scrapes`] says every second.
    pub fn told(address: IpAddr) -> Self {
        let port = TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port();
        let files = "  file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]\n";
        Self::scraping(SocketAddr::from((address, port)), files)
    }

    /// From now on these, each with the name of a pod, of this namespace.
    pub fn scrapes(&self, namespace: &str, targets: &[(SocketAddr, String)]) {
        let all: Vec<_> = targets
            .iter()
            .map(|(target, pod)| {
                json!({"targets": [target.to_string()], "labels": {"pod": pod, "namespace": namespace}})
            })
            .collect();
        let file = self.folder.path().join("targets.json");
        // Renamed: it is never read half.
        std::fs::write(file.with_extension("new"), json!(all).to_string()).unwrap();
        std::fs::rename(file.with_extension("new"), file).unwrap();
    }

    fn scraping(address: SocketAddr, targets: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: pods\n{targets}");
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Prometheus is installed: deploy/prerequisites.sh names its package");
        Self { child, address, folder }
    }

    pub fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that sends this to whoever asks, and how often it was asked.
fn server(answer: impl Fn() -> Vec<u8> + Send + 'static) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut head = [0; 8 * 1024];
            let _ = stream.read(&mut head);
            let answer = answer();
            // Nothing to send: it hangs, as long as this program lives.
            if answer.is_empty() {
                std::mem::forget(stream);
            } else {
                let _ = stream.write_all(&answer);
            }
        }
    });
    (address, count)
}

fn http(head: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into_bytes()
}

fn gate(source: PrometheusSource, query: &str, max: f64) -> PrometheusGate {
    PrometheusGate {
        source,
        query: query.to_owned(),
        min: None,
        max: Some(max),
        bound: Location::file("policies/errors.yaml"),
        max_age: Duration::from_mins(1),
        traffic: None,
    }
}

fn at(address: SocketAddr) -> PrometheusSource {
    PrometheusSource::Url(format!("http://{address}"))
}

fn question(gate: PrometheusGate) -> Question {
    Question::new(Slot::Green, METERED, GateKind::Prometheus(gate))
}

fn is(finding: &Finding, verdict: Verdict, said: &str) {
    assert!(finding.verdict == verdict && finding.summary.contains(said), "{said}: {finding:#?}");
}

const ERRORS: &str = r#"sum(shop_requests_total{pod=~"${pods}",namespace="${namespace}",code="500"})"#;
const ALL: &str = r#"sum(shop_requests_total{pod=~"${pods}",namespace="${namespace}"})"#;

#[test]
fn the_real_prometheus_passes_fails_and_has_no_data() {
    pod("metered", Slot::Green, METERED, &[("FAIL_RATE", "0.25")]);
    await_ready(&["metered"]);
    let requests = HttpGate { requests: 40, ..prediction() };
    let sent = Question::new(Slot::Green, METERED, GateKind::Http(requests)).ask();
    is(&sent, Verdict::Fail, "10 of 40 requests failed");
    let address: IpAddr =
        scene().kube.field("pod", NAMESPACE, "metered", "/status/podIP").as_str().unwrap().parse().unwrap();
    let (old, _) = server(|| {
        let two_minutes_ago = Timestamp::now().as_millisecond() - 120_000;
        http("200 OK\r\nContent-Type: text/plain", &format!("old_sample 1 {two_minutes_ago}\n"))
    });
    let host = scene().kube.cluster().host_address().unwrap();
    let mut prometheus = Prometheus::start(host, &[((address, 8080).into(), "metered"), (old, "old")]);
    let here = at(prometheus.address);
    let allowed = format!("{host}/32");
    let ask = |gate: PrometheusGate| question(gate).allowing(&allowed).ask();

    let share = format!("{ERRORS} / {ALL}");
    let with_traffic = |max, least| PrometheusGate {
        traffic: Some(Traffic { query: ALL.to_owned(), min: least }),
        ..gate(here.clone(), &share, max)
    };
    // Until it has scraped enough, it is unknown, for whatever reason.
    let passed = eventually("the requests are scraped", || {
        let finding = ask(with_traffic(0.5, 40.0));
        assert_ne!(finding.verdict, Verdict::Fail, "{finding:#?}");
        check(finding.verdict == Verdict::Pass, finding.summary.clone())?;
        Ok(finding)
    });
    assert_eq!((passed.value.as_deref(), passed.samples), (Some("0.25"), 40), "{passed:#?}");
    let failed = ask(with_traffic(0.1, 40.0));
    is(&failed, Verdict::Fail, "the query gives 0.25 over 40 requests, allowed is at most 0.1");
    assert_eq!(failed.rule, Some(Location::file("policies/errors.yaml")));
    is(
        &ask(with_traffic(0.1, 41.0)),
        Verdict::Unknown,
        "too little traffic to tell: 40, at least 41 is needed",
    );

    // The lookback of five minutes would find it.
    let stale = gate(here.clone(), "old_sample", 1.0);
    let fresh = PrometheusGate { max_age: Duration::from_mins(5), ..stale.clone() };
    eventually("the old sample is scraped", || {
        let finding = ask(fresh.clone());
        check(finding.verdict == Verdict::Pass, finding.summary)
    });
    let old = ask(stale);
    // Newer ones leave it out, older ones say how old it is.
    assert!(
        old.verdict == Verdict::Unknown
            && (old.summary.contains("s old") || old.summary.contains("no sample")),
        "{old:#?}"
    );

    is(&ask(gate(here.clone(), "nothing_of_this_name", 1.0)), Verdict::Unknown, "the query has no sample");
    is(&ask(gate(here.clone(), "up", 1.0)), Verdict::Unknown, "has 2 samples, and one is needed");
    is(&ask(gate(here.clone(), "0 / 0", 1.0)), Verdict::Unknown, "NaN");
    is(&ask(gate(here.clone(), "1 / 0", 1.0)), Verdict::Unknown, "inf");
    is(&ask(gate(here.clone(), "sum(", 1.0)), Verdict::Unknown, "was answered 400");
    is(&ask(gate(here.clone(), "${nope}", 1.0)), Verdict::Unknown, "`${nope}` is no variable");

    behind_a_service(&prometheus, &allowed);
    let refused = question(gate(here.clone(), "1", 1.0)).ask();
    is(&refused, Verdict::Unknown, "the API server's own address");
    prometheus.end();
    is(&ask(gate(here, "1", 1.0)), Verdict::Unknown, "was not answered");
}

/// A Service without pods, whose endpoint somebody wrote.
fn behind_a_service(prometheus: &Prometheus, allowed: &str) {
    let (address, port) = (prometheus.address.ip(), prometheus.address.port());
    let objects = json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "Service", "metadata": { "name": "prometheus" },
          "spec": { "ports": [{ "name": "web", "port": 9090 }] } },
        { "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
          "metadata": { "name": "prometheus-1", "labels": { "kubernetes.io/service-name": "prometheus" } },
          "ports": [{ "name": "web", "port": port }], "endpoints": [{ "addresses": [address] }] },
    ] });
    scene().kube.apply(NAMESPACE, &objects.to_string());
    let source = PrometheusSource::Service {
        namespace: NAMESPACE.to_owned(),
        name: "prometheus".to_owned(),
        port: 9090,
    };
    let asked = question(gate(source, "vector(1)", 1.0));
    is(&asked.ask(), Verdict::Unknown, "the API server's own address");
    is(&asked.allowing(allowed).ask(), Verdict::Pass, "the query gives 1");
}

#[test]
fn whoever_hangs_lies_floods_or_redirects_gives_no_data() {
    let (metadata, asked) = server(|| http("200 OK", "secret"));
    let sample = r#"{"status":"success","data":{"resultType":"scalar","result":[1000,"0"]}}"#;
    for (answer, said) in [
        (Vec::new(), "was not answered"),
        (http("200 OK", "<html>It works!</html>"), "no answer of Prometheus"),
        (
            http(&format!("302 Found\r\nLocation: http://{metadata}/latest"), ""),
            "redirect (302), which is not followed",
        ),
        (http("200 OK", &"x".repeat(100 * 1024 * 1024)), "more than 1048576 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec(), "was not answered"),
        (http("200 OK", sample), "s old"),
    ] {
        let (address, _) = server(move || answer.clone());
        let question =
            question(gate(at(address), "1", 1.0)).within(Duration::from_secs(4)).allowing("127.0.0.0/8");
        is(&question.ask(), Verdict::Unknown, said);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[test]
fn loopback_and_metadata_are_not_asked_whatever_names_them() {
    let (address, asked) = server(|| http("200 OK", ""));
    let port = address.port();
    for (host, said) in [
        (format!("127.0.0.1:{port}"), "a loopback address"),
        (format!("localhost:{port}"), "a loopback address"),
        (format!("2130706433:{port}"), "a loopback address"),
        (format!("[::ffff:127.0.0.1]:{port}"), "a loopback address"),
        ("169.254.169.254".to_owned(), "a link-local address, where clouds keep their metadata"),
    ] {
        let source = PrometheusSource::Url(format!("http://{host}"));
        is(&question(gate(source, "1", 1.0)).ask(), Verdict::Unknown, said);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}
