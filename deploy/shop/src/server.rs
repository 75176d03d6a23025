//! What the three roles share: probes, the version header, played faults, and an end that drops no request.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::behaviour::{Behaviour, Lie};

/// How long requests in flight may take after SIGTERM; less than the grace period of the pods.
const DRAIN_DEADLINE: Duration = Duration::from_secs(8);

/// What a lying release answers with when it is to be large.
static HUGE: [u8; 100 * 1024 * 1024] = [0; 100 * 1024 * 1024];
/// Where clouds keep what is nobody else's business.
const METADATA: &str = "http://169.254.169.254/latest/meta-data/iam/security-credentials/";

type Check = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Whether the role can do its work right now, and if not, why.
#[derive(Clone)]
pub struct Ready(Arc<dyn Fn() -> Check + Send + Sync>);

impl Ready {
    /// A role that needs nothing but itself.
    pub fn always() -> Self {
        Self::when(|| async { Ok(()) })
    }

    /// A role that asks what it depends on, at each probe.
    pub fn when<F, C>(check: F) -> Self
    where
        F: Fn() -> C + Send + Sync + 'static,
        C: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(check())))
    }
}

/// A 200 answer with a JSON body.
pub fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

struct Shared {
    behaviour: Behaviour,
    ready: Ready,
    ending: AtomicBool,
    requests: AtomicU64,
    /// By status; probes are not counted.
    answered: Mutex<BTreeMap<u16, u64>>,
}

impl Shared {
    fn new(behaviour: Behaviour, ready: Ready) -> Arc<Self> {
        let (ending, requests) = (AtomicBool::new(false), AtomicU64::new(0));
        Arc::new(Self { behaviour, ready, ending, requests, answered: Mutex::default() })
    }
}

/// Serves the role's routes and the probes until SIGTERM (or SIGINT), then finishes what is in flight.
pub async fn serve(routes: Router, ready: Ready, behaviour: Behaviour) -> anyhow::Result<()> {
    let port = behaviour.port;
    let shared = Shared::new(behaviour, ready);
    let listener = TcpListener::bind(("0.0.0.0", port))
        .await
        .with_context(|| format!("failed to listen on port {port}"))?;
    // The real one, for who asked for port 0.
    let port = listener.local_addr().context("failed to read the port")?.port();
    println!("version {} listens on port {port}", shared.behaviour.version);
    let ended = Arc::new(tokio::sync::Notify::new());
    let stop = stop_signal(shared.clone(), ended.clone())?;
    let served = axum::serve(listener, application(routes, shared.clone())).with_graceful_shutdown(stop);
    tokio::select! {
        result = async { served.await } => result.context("failed to serve"),
        () = drain_deadline(&ended) => Ok(()),
        error = crash(shared.behaviour.crash_after) => Err(error),
    }
}

fn application(routes: Router, shared: Arc<Shared>) -> Router {
    let probes = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route(
            "/version",
            get(async |State(shared): State<Arc<Shared>>| format!("{}\n", shared.behaviour.version)),
        )
        .with_state(shared.clone());
    routes
        .layer(from_fn_with_state(shared.clone(), play_faults))
        .layer(from_fn_with_state(shared.clone(), count))
        .merge(probes)
        .layer(from_fn_with_state(shared, tell_version))
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let why_not = if shared.ending.load(Ordering::Relaxed) {
        Some("is ending".to_owned())
    } else if shared.behaviour.not_ready {
        Some("NOT_READY is set".to_owned())
    } else {
        (shared.ready.0)().await.err()
    };
    match why_not {
        None => "ready\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response(),
    }
}

/// What Prometheus reads.
async fn metrics(State(shared): State<Arc<Shared>>) -> String {
    let mut text =
        "# HELP shop_requests_total Answered requests.\n# TYPE shop_requests_total counter\n".to_owned();
    for (status, count) in shared.answered.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "shop_requests_total{{code=\"{status}\"}} {count}");
    }
    text
}

async fn count(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let mut answered = shared.answered.lock().unwrap_or_else(PoisonError::into_inner);
    let of_status = answered.entry(response.status().as_u16()).or_default();
    *of_status = of_status.saturating_add(1);
    drop(answered);
    response
}

async fn play_faults(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let n = shared.requests.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    if !shared.behaviour.delay.is_zero() {
        tokio::time::sleep(shared.behaviour.delay).await;
    }
    if shared.behaviour.fails(n) {
        return (StatusCode::INTERNAL_SERVER_ERROR, "FAIL_RATE asks for this failure\n").into_response();
    }
    match shared.behaviour.lie {
        None => next.run(request).await,
        Some(Lie::Nonsense) => "<html>\u{0}price: ask again\n".into_response(),
        Some(Lie::Metadata) => (StatusCode::FOUND, [(header::LOCATION, METADATA)]).into_response(),
        Some(Lie::Huge) => Bytes::from_static(&HUGE).into_response(),
    }
}

async fn tell_version(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    // A version that cannot stand in a header is told in the body of /version only.
    if let Ok(version) = HeaderValue::from_str(&shared.behaviour.version) {
        response.headers_mut().insert("x-version", version);
    }
    response
}

/// Waits for SIGTERM or SIGINT; from then on the role says that it is not ready.
fn stop_signal(
    shared: Arc<Shared>,
    ended: Arc<tokio::sync::Notify>,
) -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to handle SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {},
            _ = interrupt.recv() => {},
        }
        shared.ending.store(true, Ordering::Relaxed);
        println!("ends: finishes the requests in flight");
        ended.notify_one();
    })
}

async fn drain_deadline(ended: &tokio::sync::Notify) {
    ended.notified().await;
    tokio::time::sleep(DRAIN_DEADLINE).await;
}

async fn crash(after: Option<Duration>) -> anyhow::Error {
    match after {
        Some(after) => tokio::time::sleep(after).await,
        None => std::future::pending().await,
    }
    anyhow::anyhow!("crashes because CRASH_AFTER asks for it")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt as _;

    use super::*;
    use crate::behaviour::Variables;

    fn shared(pairs: [(&str, &str); 1], ready: Ready) -> Arc<Shared> {
        let behaviour = Behaviour::from_variables(&Variables::from(pairs)).unwrap();
        Shared::new(behaviour, ready)
    }

    async fn status(shared: &Arc<Shared>, path: &str) -> u16 {
        let routes = Router::new().route("/work", get(async || "done"));
        let request = Request::get(path).body(Body::empty()).unwrap();
        application(routes, shared.clone()).oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn readiness_tells_the_truth_about_what_the_role_needs() {
        let broken = Ready::when(|| async { Err("no database".to_owned()) });
        assert_eq!(status(&shared([("VERSION", "1")], broken), "/readyz").await, 503);
        assert_eq!(status(&shared([("VERSION", "1")], Ready::always()), "/readyz").await, 200);
        assert_eq!(status(&shared([("NOT_READY", "true")], Ready::always()), "/readyz").await, 503);
    }

    #[tokio::test]
    async fn an_ending_process_is_not_ready_but_still_answers() {
        let shared = shared([("VERSION", "1")], Ready::always());
        shared.ending.store(true, Ordering::Relaxed);
        assert_eq!(status(&shared, "/readyz").await, 503);
        assert_eq!(status(&shared, "/work").await, 200);
    }

    #[tokio::test]
    async fn played_failures_spare_the_probes() {
        let shared = shared([("FAIL_RATE", "1")], Ready::always());
        assert_eq!(status(&shared, "/work").await, 500);
        assert_eq!(status(&shared, "/healthz").await, 200);
        assert_eq!(status(&shared, "/readyz").await, 200);
    }

    #[tokio::test]
    async fn played_lies_spare_the_probes_too() {
        for (lie, told) in [("nonsense", 200), ("metadata", 302), ("huge", 200)] {
            let shared = shared([("LIE", lie)], Ready::always());
            assert_eq!(status(&shared, "/work").await, told, "{lie}");
            assert_eq!(status(&shared, "/readyz").await, 200);
        }
    }

    #[tokio::test]
    async fn answers_are_counted_by_their_status_and_probes_are_not() {
        let shared = shared([("FAIL_RATE", "0.5")], Ready::always());
        for path in ["/work", "/work", "/work", "/healthz", "/readyz"] {
            status(&shared, path).await;
        }
        let text = metrics(State(shared)).await;
        let counted: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(counted, ["shop_requests_total{code=\"200\"} 2", "shop_requests_total{code=\"500\"} 1"]);
    }

    #[tokio::test]
    async fn every_answer_carries_the_version() {
        let shared = shared([("VERSION", "1.2.3")], Ready::always());
        for path in ["/version", "/nowhere"] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = application(Router::new(), shared.clone()).oneshot(request).await.unwrap();
            assert_eq!(response.headers()["x-version"], "1.2.3");
        }
    }
}
