//! The daemon's own HTTP endpoints: `/healthz`, `/readyz`, `/metrics`. Read-only; the status pages come later.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use crate::telemetry::Metrics;

/// What the endpoints show.
#[derive(Clone)]
pub struct Web {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Set once the source was read for the first time.
    pub ready: Arc<std::sync::atomic::AtomicBool>,
}

/// Serves until `shutdown`; answers the address that is really bound (port 0 picks one).
pub async fn serve(
    address: SocketAddr,
    web: Web,
    shutdown: CancellationToken,
) -> std::io::Result<(SocketAddr, tokio::task::JoinHandle<()>)> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(web);
    let server = tokio::spawn(async move {
        let ended = shutdown.clone();
        let serving =
            axum::serve(listener, router).with_graceful_shutdown(async move { ended.cancelled().await });
        if let Err(error) = serving.await {
            tracing::error!(%error, "the HTTP endpoint ended");
        }
    });
    Ok((bound, server))
}

async fn ready(State(web): State<Web>) -> impl IntoResponse {
    if web.ready.load(std::sync::atomic::Ordering::Relaxed) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the source was not read yet\n")
    }
}

async fn metrics(State(web): State<Web>) -> impl IntoResponse {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], web.metrics.encode())
}
