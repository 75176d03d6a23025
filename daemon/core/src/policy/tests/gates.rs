//! Gates as they stand in files.

use std::time::Duration;

use super::{found, gate, only_gate, only_kind, policy, rollout};
use crate::policy::{
    Expectation, GateKind, HttpGate, JobGate, JsonCheck, LbHealthGate, LoadGate, Port, PrometheusGate,
    PrometheusSource, ScalarType, TcpGate, TcpTarget, Tolerance, Traffic,
};

const SECOND: Duration = Duration::from_secs(1);

fn http(text: &str) -> HttpGate {
    match only_kind(text) {
        GateKind::Http(gate) => gate,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_http_gate_is_read_with_its_expectations() {
    let gate = http(
        "name: smoke
http:
  method: PUT
  path: /predict?a=%20
  headers: {X-Test: 'a b'}
  body: {rooms: 6.5}
  port: metrics
  expect:
    status: [200, 201]
    p95: 250ms
    json:
      - {pointer: /prediction, equals: 20.35, tolerance: {abs: 0.01, rel: 0.1}}
      - {pointer: /error, absent: true}
      - {pointer: /a~1b, type: string}
      - {pointer: /none, type: null}
      - {pointer: /null, equals: null}
  requests: 20
  everyPod: true",
    );
    let HttpGate { request, expect, requests, every_pod } = gate;
    assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/predict?a=%20"));
    assert_eq!(request.headers.get("X-Test").map(String::as_str), Some("a b"));
    assert_eq!(request.body, Some(serde_json::json!({ "rooms": 6.5 })));
    assert_eq!(request.port, Some(Port::Name("metrics".to_owned())));
    assert_eq!((expect.status, expect.p95), (vec![200, 201], Some(Duration::from_millis(250))));
    let checks: Vec<_> = expect.json.iter().map(|json| (json.pointer.as_str(), json.check.clone())).collect();
    let tolerance = Tolerance { absolute: Some(0.01), relative: Some(0.1) };
    let equals = |value, tolerance| JsonCheck::Equals(Expectation { value, tolerance });
    let expected = [
        ("/prediction", equals(serde_json::json!(20.35), Some(tolerance))),
        ("/error", JsonCheck::Absent),
        ("/a~1b", JsonCheck::Type(ScalarType::String)),
        ("/none", JsonCheck::Type(ScalarType::Null)),
        ("/null", equals(serde_json::Value::Null, None)),
    ];
    assert_eq!(checks, expected);
    assert_eq!(expect.json[0].location.position.line, 19, "a failure names the line of the rule");
    assert_eq!((requests, every_pod), (20, true));
}

#[test]
fn an_http_gate_has_the_defaults_that_the_types_name() {
    let gate = http("name: a\nhttp:");
    assert_eq!((gate.request.method.as_str(), gate.request.path.as_str()), ("GET", "/"));
    assert_eq!((gate.expect.status, gate.requests, gate.every_pod), (vec![200], 1, false));
    assert_eq!(http("name: a\nhttp: {body: text}").request.method, "POST");
    let gate = only_gate("name: a\nhttp: {}");
    assert_eq!((gate.timeout, gate.every), (SECOND * 30, SECOND * 10));
    assert_eq!((gate.location.position.line, gate.location.position.column), (8, 7));
}

#[test]
fn the_other_gates_are_read() {
    let pods = |port| GateKind::Tcp(TcpGate { target: TcpTarget::Pods { port } });
    assert_eq!(only_kind("name: a\ntcp: {port: 5432}"), pods(Some(Port::Number(5432))));
    assert_eq!(only_kind("name: a\ntcp:"), pods(None));
    let service = TcpTarget::Service { name: "database".to_owned(), port: 5432 };
    let tcp = only_kind("name: a\ntcp: {service: database, port: 5432}");
    assert_eq!(tcp, GateKind::Tcp(TcpGate { target: service }));
    let health = |endpoints, duration| GateKind::LbHealth(LbHealthGate { endpoints, duration });
    assert_eq!(only_kind("name: a\nlbHealth: {}"), health(None, SECOND * 10));
    assert_eq!(only_kind("name: a\nlbHealth: {endpoints: 3, duration: 1m}"), health(Some(3), SECOND * 60));
    assert_eq!(only_kind("name: a\ndrainSafe: {}"), GateKind::DrainSafe);
    let load =
        only_gate("name: a\nload: {path: /x, rate: 50, duration: 2m, maxErrors: 0.01, p95: 1s, status: 204}");
    let GateKind::Load(LoadGate { request, status, rate, duration, max_errors, p95 }) = load.kind else {
        panic!("{load:?}")
    };
    assert_eq!((request.path.as_str(), status, rate), ("/x", vec![204], 50));
    assert_eq!((duration, max_errors, p95), (SECOND * 120, 0.01, Some(SECOND)));
    assert_eq!(load.timeout, SECOND * 150, "a load has its duration and 30 s");
    let job =
        only_gate("name: a\njob: {backoffLimit: 2, template: {spec: {containers: [{name: a, image: b}]}}}");
    let template = serde_json::json!({ "spec": { "containers": [{ "name": "a", "image": "b" }] } });
    assert_eq!(job.kind, GateKind::Job(JobGate { template, backoff_limit: 2 }));
    assert_eq!(job.timeout, SECOND * 600);
    assert_eq!(only_gate("name: a\ntcp:\ntimeout: 5s\nevery: 1m").timeout, SECOND * 5);
    assert_eq!(only_gate("name: a\ntcp:\ntimeout: 5s\nevery: 1m").every, SECOND * 60);
}

#[test]
fn a_prometheus_gate_is_read() {
    let gate = only_kind(
        "name: errors
prometheus:
  service: {namespace: monitoring, name: prometheus, port: 9090}
  query: 'sum(rate(x{slot=\"${slot}\",pod=~\"${pods}\",code=~\"5..$\"}[1m]))'
  max: 0.01
  maxAge: 2m
  minRequests: 1000
  requestsQuery: sum(x{ns=\"${namespace}\",app=\"${app}\",r=\"${revision}\"})",
    );
    let GateKind::Prometheus(PrometheusGate { source, query, min, max, bound, max_age, traffic }) = gate
    else {
        panic!("{gate:?}")
    };
    let service = PrometheusSource::Service {
        namespace: "monitoring".to_owned(),
        name: "prometheus".to_owned(),
        port: 9090,
    };
    assert_eq!((source, min, max, max_age), (service, None, Some(0.01), SECOND * 120));
    assert!(query.contains("${slot}") && query.contains("5..$"), "{query}");
    assert_eq!((bound.position.line, bound.position.column), (12, 14));
    let query = "sum(x{ns=\"${namespace}\",app=\"${app}\",r=\"${revision}\"})".to_owned();
    assert_eq!(traffic, Some(Traffic { query, min: 1000.0 }));
}

#[test]
fn every_mistake_of_a_gate_is_named_at_its_place() {
    let cases = [
        ("name: a", "8:7: the gate asks nothing"),
        ("tcp:", "8:7: spec.gates.beforeSwitch[0].name is missing"),
        (
            "name: A\ntcp:",
            "8:13: spec.gates.beforeSwitch[0].name must be a name: at most 63 of a-z, 0-9 and `-`",
        ),
        ("name: a\ntcp:\nhttp:", "9:10: http and tcp exclude each other"),
        ("name: a\nhtpt: {}", "9:7: unknown field spec.gates.beforeSwitch[0].htpt"),
        ("name: a\nmodel: {}", "9:7: the gate model is not supported by this version"),
        (
            "name: a\nload: {rate: 1, duration: 1m}\ntimeout: 1m",
            "10:16: timeout is not longer than the gate's own duration: it could never pass",
        ),
        (
            "name: a\ntcp:\ntimeout: 2h",
            "10:16: spec.gates.beforeSwitch[0].timeout must be a duration like 30s, 5m or 1h30m, from 1s to 1h",
        ),
        (
            "name: a\nload: {rate: 1001, duration: 1m}",
            "9:20: spec.gates.beforeSwitch[0].load.rate must be a whole number from 1 to 1000",
        ),
        (
            "name: a\nload: {rate: 1, duration: 11m}",
            "9:33: spec.gates.beforeSwitch[0].load.duration must be a duration like 30s, 5m or 1h30m, from 1s to 10m",
        ),
        (
            "name: a\nload: {rate: 1, duration: 1m, maxErrors: 2}",
            "9:48: spec.gates.beforeSwitch[0].load.maxErrors must be a number from 0 to 1",
        ),
        (
            "name: a\nlbHealth: {endpoints: 0}",
            "9:29: spec.gates.beforeSwitch[0].lbHealth.endpoints must be a whole number from 1 to 10000",
        ),
        (
            "name: a\ntcp: {port: 0}",
            "9:19: spec.gates.beforeSwitch[0].tcp.port must be a port: a number from 1 to 65535, or its name in the container",
        ),
        ("name: a\ntcp: {service: db}", "9:7: spec.gates.beforeSwitch[0].tcp.port is missing"),
        (
            "name: a\ntcp: {service: db, port: sql}",
            "9:32: spec.gates.beforeSwitch[0].tcp.port must be a whole number from 1 to 65535",
        ),
        ("name: a\ndrainSafe: {a: 1}", "9:19: unknown field spec.gates.beforeSwitch[0].drainSafe.a"),
        ("name: a\nwindow: []", "9:7: spec.gates.beforeSwitch[0].window must be a sequence of 1 to 32 items"),
    ];
    for (text, expected) in cases {
        assert_eq!(found(&gate(text)), [expected], "{text}");
    }
}

#[test]
fn every_mistake_of_a_request_or_an_expectation_is_named_at_its_place() {
    let json = |text: &str| format!("name: a\nhttp: {{expect: {{json: [{text}]}}}}");
    let http = |text: &str| format!("name: a\nhttp: {text}");
    let cases = [
        (
            json("{pointer: /a, equals: x, tolerance: {abs: 1}}"),
            "9:55: a tolerance has a meaning beside `equals` with a number only",
        ),
        (
            json("{pointer: /a, equals: 1, tolerance: {}}"),
            "9:55: a tolerance needs a number: abs (by so much), rel (by this share), or both",
        ),
        (
            json("{pointer: /a, equals: 1, tolerance: 0.01}"),
            "9:66: a tolerance needs a number: abs (by so much), rel (by this share), or both",
        ),
        (
            json("{pointer: /a, equals: 1, tolerance: {abs: -1}}"),
            "9:72: spec.gates.beforeSwitch[0].http.expect.json[0].tolerance.abs must be a number from 0 to 1000000000000",
        ),
        (json("{pointer: /a}"), "9:30: nothing is expected: write equals, absent or type"),
        (json("{pointer: /a, equals: 1, absent: true}"), "9:63: equals and absent exclude each other"),
        (
            json("{pointer: /a, absent: false}"),
            "9:52: spec.gates.beforeSwitch[0].http.expect.json[0].absent must be true",
        ),
        (
            json("{pointer: a, equals: 1}"),
            "9:40: spec.gates.beforeSwitch[0].http.expect.json[0].pointer must be a JSON pointer like /prediction or /items/0",
        ),
        (
            json("{pointer: /a, type: text}"),
            "9:50: spec.gates.beforeSwitch[0].http.expect.json[0].type must be string or number or boolean or array or object or null",
        ),
        (
            http("{expect: {p95: 2m}}"),
            "9:28: spec.gates.beforeSwitch[0].http.expect.p95 must be a time like 250ms or 2s, from 1ms to 60s",
        ),
        (
            http("{expect: {status: [200, 99]}}"),
            "9:37: spec.gates.beforeSwitch[0].http.expect.status[1] must be a whole number from 100 to 599",
        ),
        (
            http("{requests: 0}"),
            "9:24: spec.gates.beforeSwitch[0].http.requests must be a whole number from 1 to 1000",
        ),
        (
            http("{path: predict}"),
            "9:20: spec.gates.beforeSwitch[0].http.path must be a path like /predict?rooms=6, with other characters as %XX",
        ),
        (
            http("{path: '/a b'}"),
            "9:20: spec.gates.beforeSwitch[0].http.path must be a path like /predict?rooms=6, with other characters as %XX",
        ),
        (
            http("{headers: {Content-Length: '1'}}"),
            "9:40: the header Content-Length is set by whoever sends the request",
        ),
        (
            http("{headers: {a: \"b\\r\\nc: d\"}}"),
            "9:27: spec.gates.beforeSwitch[0].http.headers.a must be printable ASCII",
        ),
        (http("{headers: {a: b, A: c}}"), "9:33: the header A stands twice"),
        (
            http("{method: TRACE}"),
            "9:22: spec.gates.beforeSwitch[0].http.method must be GET or HEAD or POST or PUT or PATCH or DELETE or OPTIONS",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(found(&gate(&text)), [expected], "{text}");
    }
}

#[test]
fn every_mistake_of_a_query_is_named_at_its_place() {
    let with = |text: &str| format!("name: a\nprometheus: {{{text}}}");
    let at = "url: 'http://p'";
    let cases = [
        (with(&format!("{at}, query: x")), "9:7: nothing says which values are good: write max, min or both"),
        (with(&format!("{at}, query: x, min: 2, max: 1")), "9:52: min is above max: no value would be good"),
        (
            with(&format!("{at}, query: x, max: '1'")),
            "9:52: spec.gates.beforeSwitch[0].prometheus.max must be a number",
        ),
        (with("query: x, max: 1"), "9:7: nothing says where Prometheus is: write url or service"),
        (with(&format!("{at}, query: '${{slots}}', max: 1")), "9:44: nothing is known of ${slots}"),
        (with(&format!("{at}, query: '${{slot', max: 1")), "9:44: `${` has no `}`"),
        (
            with(&format!("{at}, query: x, max: 1, minRequests: 5")),
            "9:68: minRequests needs requestsQuery, which counts the requests",
        ),
        (
            with(&format!("{at}, query: x, max: 1, requestsQuery: x")),
            "9:70: requestsQuery needs minRequests, which says how many are enough",
        ),
        (
            with("url: 'http://a:b@p', query: x, max: 1"),
            "9:25: the URL holds a user or password, which do not belong into git",
        ),
        (
            with("url: p, query: x, max: 1"),
            "9:25: spec.gates.beforeSwitch[0].prometheus.url must be a URL like http://prometheus.monitoring:9090, without a query",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(found(&gate(&text)), [expected], "{text}");
    }
}

#[test]
fn a_job_is_held_against_its_schema() {
    let with = |spec: &str| gate(&format!("name: a\njob: {{template: {{spec: {spec}}}}}"));
    let cases = [
        ("{containers: []}", "9:13: spec.gates.beforeSwitch[0].job.template has no container"),
        (
            "{restartPolicy: Always, containers: [{name: a, image: b}]}",
            "9:13: spec.gates.beforeSwitch[0].job.template.spec.restartPolicy of a Job is Never or OnFailure",
        ),
        (
            "{containers: [{name: a, imge: b}]}",
            "9:54: unknown field spec.template.spec.containers[0].imge; did you mean image?",
        ),
    ];
    for (spec, expected) in cases {
        let found = found(&with(spec));
        assert_eq!(found.first().map(String::as_str), Some(expected), "{found:?}");
    }
}

#[test]
fn gates_have_their_names_for_themselves() {
    let text = policy("gates:\n  beforeSwitch: [{name: a, tcp: {}}]\n  whileBaking: [{name: a, tcp: {}}]");
    assert_eq!(found(&text), ["8:26: two gates are called `a`"]);
    let good = policy("gates:\n  beforeSwitch: [{name: a, tcp: {}}]\n  whileBaking: [{name: b, tcp: {}}]");
    assert_eq!((rollout(&good).before_switch.len(), rollout(&good).while_baking.len()), (1, 1));
}

#[test]
fn windows_and_lints_have_a_meaning_before_the_switch_only() {
    for (kind, message) in [
        ("drainSafe: {}", "7:29: drainSafe has a meaning before the switch only"),
        ("window: [p]", "7:29: window has a meaning before the switch only"),
    ] {
        let text = policy(&format!("gates:\n  whileBaking: [{{name: a, {kind}}}]"));
        assert_eq!(found(&text), [message]);
    }
}

#[test]
fn evidence_is_for_what_a_gate_asks_and_not_for_how_it_is_written() {
    let config = |text: &str| only_gate(text).config;
    let first = config("name: a\nhttp: {path: /x, requests: 3}");
    assert_eq!(first, config("# why\nname: a\nhttp:\n  requests: 3 # so often\n  path: \"/x\""));
    assert_ne!(first, config("name: a\nhttp: {path: /x, requests: 4}"));
    assert_ne!(first, config("name: a\nhttp: {path: /x, requests: 3}\ntimeout: 1m"));
}
