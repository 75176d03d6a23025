//! The daemon's own HTTP endpoints: `/healthz`, `/readyz`, `/metrics`. Read-only; the status pages come later.
//!
//! Nobody can hold them: a request's head must arrive within seconds, connections have an end, and when there are too many
//! the oldest is cut for the newest, so that whoever keeps hundreds open keeps no probe out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::telemetry::Metrics;

/// Connections that are open at a time; beyond, the oldest is cut.
const CONNECTIONS_CAP: usize = 100;
/// Longest wait for the head of a request, idle time between two requests included.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Longest life of a connection: whoever reads an answer byte by byte is cut.
const CONNECTION_DEADLINE: Duration = Duration::from_mins(2);
/// Largest head of a request in bytes (the least that the server can be told).
const HEAD_CAP: usize = 8 * 1024;
/// Largest announced body of a request in bytes; none is ever read.
const BODY_CAP: u64 = 1024;
/// After a failure to accept (too many open files, for one), so long nothing is accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// After the signal to end, answers under way get so long.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the endpoints show.
#[derive(Clone)]
pub struct Web {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Set once the source was read for the first time.
    pub ready: Arc<AtomicBool>,
}

/// Serves until `shutdown`; answers the address that is really bound (port 0 picks one).
pub async fn serve(
    address: SocketAddr,
    web: Web,
    shutdown: CancellationToken,
) -> std::io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .layer(from_fn(refuse_bodies))
        .with_state(web);
    Ok((bound, tokio::spawn(accept(listener, router, shutdown))))
}

async fn accept(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    // Oldest first.
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        open.retain(|connection| !connection.is_finished());
        while open.len() >= CONNECTIONS_CAP
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        let task = tokio::spawn(converse(stream, router.clone(), shutdown.clone()));
        open.push_back(task.abort_handle());
    }
}

/// One connection to its end.
async fn converse(stream: TcpStream, router: Router, shutdown: CancellationToken) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE).max_buf_size(HEAD_CAP);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = tokio::time::sleep(CONNECTION_DEADLINE) => return,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection ended early");
    }
}

/// No endpoint reads a body.
async fn refuse_bodies(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let length = headers.get(header::CONTENT_LENGTH).map(|value| value.to_str().ok()?.parse::<u64>().ok());
    let too_long = length.is_some_and(|length| length.is_none_or(|length| length > BODY_CAP));
    if too_long || headers.contains_key(header::TRANSFER_ENCODING) {
        return (StatusCode::PAYLOAD_TOO_LARGE, [(header::CONNECTION, "close")], "no body is read here\n")
            .into_response();
    }
    next.run(request).await
}

async fn ready(State(web): State<Web>) -> impl IntoResponse {
    if web.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the source was not read yet\n")
    }
}

async fn metrics(State(web): State<Web>) -> impl IntoResponse {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], web.metrics.encode())
}

#[cfg(test)]
mod tests;
