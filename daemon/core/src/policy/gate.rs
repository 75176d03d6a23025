//! The gates of a RolloutPolicy: what is asked of whom, and what the answer has to be. Not here: the asking.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::location::Location;

/// One gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Its name, once in a policy.
    pub name: String,
    /// Where it begins.
    pub location: Location,
    /// One asking takes no longer: it is unknown then. Default: 30 s; a Job: 10 minutes; load: its duration and 30 s.
    pub timeout: Duration,
    /// The pause before it is asked again. Default: 10 s.
    pub every: Duration,
    /// What is asked.
    pub kind: GateKind,
    /// The first bits of the digest of its text without places: evidence for another one does not count.
    pub config: u64,
}

/// What a gate asks.
#[derive(Debug, Clone, PartialEq)]
pub enum GateKind {
    /// HTTP requests to the colour's pods.
    Http(HttpGate),
    /// A port accepts.
    Tcp(TcpGate),
    /// A Kubernetes Job ends well.
    Job(JobGate),
    /// A Prometheus query stays within bounds.
    Prometheus(PrometheusGate),
    /// So many ready endpoints for so long, without a gap.
    LbHealth(LbHealthGate),
    /// A small load on the colour's pods.
    Load(LoadGate),
    /// The workload can be drained without a lost request: read from its manifest.
    DrainSafe,
    /// Change windows are open; not asked, but looked up whenever traffic might move. Only before the switch.
    Window(Vec<String>),
}

/// A port of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// By number.
    Number(u16),
    /// By its name in the container's `ports`.
    Name(String),
}

/// A request over HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpRequest {
    /// `GET`, `POST`, ... Default: `GET`, with a body `POST`.
    pub method: String,
    /// Begins with `/`. Default: `/`.
    pub path: String,
    /// Further headers. `Content-Type` of a body is `application/json` where it is not given.
    pub headers: BTreeMap<String, String>,
    /// Sent as JSON; a text as it is.
    pub body: Option<Value>,
    /// Where; default: the target port of the first port of the workload's Service.
    pub port: Option<Port>,
}

/// HTTP requests, and what their answers have to be.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpGate {
    /// What is sent.
    pub request: HttpRequest,
    /// What has to come back, every time.
    pub expect: HttpAnswer,
    /// How often, in total, one after another. Default: 1; at most 1,000.
    pub requests: u32,
    /// Each ready pod is asked (once at least), not just any.
    pub every_pod: bool,
}

/// What an answer has to be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HttpAnswer {
    /// One of these. Default: 200.
    pub status: Vec<u16>,
    /// What the body says, as JSON.
    pub json: Vec<Json>,
    /// 95 of 100 answers are faster, counted over all requests.
    pub p95: Option<Duration>,
}

/// One expectation on a JSON body.
#[derive(Debug, Clone, PartialEq)]
pub struct Json {
    /// An RFC 6901 pointer.
    pub pointer: String,
    /// What is there.
    pub check: JsonCheck,
    /// Where it stands in git.
    pub location: Location,
}

/// What a place in a JSON body has to hold.
#[derive(Debug, Clone, PartialEq)]
pub enum JsonCheck {
    /// This value; a number within the tolerance. NaN and infinity are never within it.
    Equals(Expectation),
    /// Nothing.
    Absent,
    /// A value of this type.
    Type(ScalarType),
}

/// A value that is expected.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// The value.
    pub value: Value,
    /// How far a number may be off; none: not at all.
    pub tolerance: Option<Tolerance>,
}

/// How far a number may be off: by either, where both are given.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tolerance {
    /// By so much.
    pub absolute: Option<f64>,
    /// By this share of the expected value.
    pub relative: Option<f64>,
}

/// The types of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScalarType {
    /// `"..."`.
    String,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// `[...]`.
    Array,
    /// `{...}`.
    Object,
    /// `null`.
    Null,
}

/// A port that has to accept connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpGate {
    /// Whose. Default: the colour's pods.
    pub target: TcpTarget,
}

/// Whose port it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TcpTarget {
    /// Every ready pod of the colour.
    Pods {
        /// Default: as for [`HttpRequest::port`].
        port: Option<Port>,
    },
    /// Something that a Service of the workload's namespace stands for: a middle tier, or a database behind an ExternalName.
    Service {
        /// Its name.
        name: String,
        /// The Service's port.
        port: u16,
    },
}

/// A Job that has to succeed. It gets `TARGET_URL`, `LIVE_URL` and `REVISION` in its environment.
#[derive(Debug, Clone, PartialEq)]
pub struct JobGate {
    /// `spec.template` of the Job.
    pub template: Value,
    /// How often a pod may fail. Default: 0.
    pub backoff_limit: u32,
}

/// Where a Prometheus is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrometheusSource {
    /// At this URL.
    Url(String),
    /// Behind a Service of the cluster.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
    },
}

/// A query with exactly one sample, and its bounds. Without a sample, with NaN, or with a stale one it is unknown.
/// `${slot}`, `${pods}` (a regular expression of the colour's pod names), `${namespace}`, `${app}` and `${revision}` are filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct PrometheusGate {
    /// Where.
    pub source: PrometheusSource,
    /// An instant query.
    pub query: String,
    /// Not below.
    pub min: Option<f64>,
    /// Not above.
    pub max: Option<f64>,
    /// Where `max` or `min` stands, for the report of a failure.
    pub bound: Location,
    /// A sample may be as old as this. Default: 1 minute.
    pub max_age: Duration,
    /// Too little traffic says nothing: unknown.
    pub traffic: Option<Traffic>,
}

/// How much traffic there has to be for a query to say something.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// Counts requests.
    pub query: String,
    /// At least so many.
    pub min: f64,
}

/// Ready endpoints for a time, without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LbHealthGate {
    /// At least so many; default: as many as the colour has to have.
    pub endpoints: Option<u32>,
    /// For so long. Default: 10 s.
    pub duration: Duration,
}

/// A small closed-loop load.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadGate {
    /// What is sent.
    pub request: HttpRequest,
    /// Statuses that are no errors. Default: 200 to 399.
    pub status: Vec<u16>,
    /// Requests a second, over all pods. At most 1,000.
    pub rate: u32,
    /// For how long. At most 10 minutes.
    pub duration: Duration,
    /// The share of failed requests that is borne, 0 to 1. Default: 0.
    pub max_errors: f64,
    /// 95 of 100 answers are faster.
    pub p95: Option<Duration>,
}
