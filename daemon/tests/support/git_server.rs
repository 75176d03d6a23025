//! A git server over http on loopback: `git http-backend` behind a small front that can also misbehave.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use tokio::io::AsyncWriteExt as _;

/// What the server does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Git, as it should be.
    Serve,
    /// A login page, with status 200.
    Html,
    /// This status and nothing else.
    Status(u16),
    /// Nothing, for ever.
    Hang,
    /// The right kind of answer, without end.
    Endless,
    /// Git, but the pack stops coming after this many bytes.
    StallPack(usize),
    /// Git, but some bytes of the pack are wrong.
    CorruptPack,
    /// Git, but what stood at the first path is at the second one now.
    Renamed(&'static str, &'static str),
    /// Somewhere else, with this status.
    Redirect(u16, String),
}

/// What the server saw of a request.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Method and path with its query.
    pub line: String,
    /// Whether credentials came with it.
    pub authorization: Option<String>,
}

#[derive(Clone)]
struct Front {
    root: PathBuf,
    token: Option<String>,
    behaviour: Arc<Mutex<Behaviour>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A running server; it ends with the runtime of the test.
pub struct GitServer {
    address: SocketAddr,
    front: Front,
}

impl GitServer {
    /// Serves the repositories in a folder, to those who know the token.
    pub async fn start(root: &Path, token: Option<&str>) -> Self {
        let front = Front {
            root: root.to_owned(),
            token: token.map(ToOwned::to_owned),
            behaviour: Arc::new(Mutex::new(Behaviour::Serve)),
            seen: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = axum::Router::new().fallback(answer).with_state(front.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, front }
    }

    /// The URL of a repository.
    pub fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}", self.address)
    }

    /// Changes what the server does.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.front.behaviour.lock().expect("not poisoned") = behaviour;
    }

    /// What it saw since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.front.seen.lock().expect("not poisoned"))
    }
}

async fn answer(State(front): State<Front>, request: Request) -> Response {
    let authorization = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .map(ToOwned::to_owned);
    let line = format!("{} {}", request.method(), request.uri());
    front.seen.lock().expect("not poisoned").push(Seen { line, authorization: authorization.clone() });
    let behaviour = front.behaviour.lock().expect("not poisoned").clone();
    if let Some(token) = &front.token {
        let password = authorization
            .as_deref()
            .and_then(|value| value.strip_prefix("Basic "))
            .and_then(|pair| base64::engine::general_purpose::STANDARD.decode(pair).ok())
            .and_then(|pair| String::from_utf8(pair).ok())
            .and_then(|pair| pair.split_once(':').map(|(_, password)| password.to_owned()));
        if password.as_ref() != Some(token) && behaviour == Behaviour::Serve {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")];
            return (StatusCode::UNAUTHORIZED, challenge, "no").into_response();
        }
    }
    match behaviour {
        Behaviour::Serve => backend(&front, request, Mangle::Nothing).await,
        Behaviour::StallPack(after) => backend(&front, request, Mangle::StallAfter(after)).await,
        Behaviour::CorruptPack => backend(&front, request, Mangle::Corrupt).await,
        Behaviour::Html => axum::response::Html("<h1>Please sign in</h1>").into_response(),
        Behaviour::Status(status) => StatusCode::from_u16(status).expect("a status").into_response(),
        Behaviour::Hang => {
            tokio::time::sleep(Duration::from_mins(10)).await;
            StatusCode::OK.into_response()
        }
        Behaviour::Endless => endless(),
        Behaviour::Renamed(from, to) => match request.uri().to_string().strip_prefix(from) {
            Some(rest) => {
                (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, format!("{to}{rest}"))]).into_response()
            }
            None => backend(&front, request, Mangle::Nothing).await,
        },
        Behaviour::Redirect(status, to) => {
            let target = format!("{to}{}", request.uri());
            (StatusCode::from_u16(status).expect("a status"), [(header::LOCATION, target)]).into_response()
        }
    }
}

/// Packet lines that are well formed and never end.
fn endless() -> Response {
    let line = format!("{:04x}{}\n", 4 + 1 + 995, "x".repeat(995));
    let chunk = Bytes::from(line.repeat(64));
    let first = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from("000eversion 2\n"))]);
    let body = futures::StreamExt::chain(first, futures::stream::repeat_with(move || Ok(chunk.clone())));
    let kind = [(header::CONTENT_TYPE, "application/x-git-upload-pack-advertisement")];
    (kind, Body::from_stream(body)).into_response()
}

/// What happens to the answer to a POST that carries a pack.
#[derive(Clone, Copy)]
enum Mangle {
    Nothing,
    StallAfter(usize),
    Corrupt,
}

/// Runs `git http-backend` for one request, as a web server would.
async fn backend(front: &Front, request: Request, mangle: Mangle) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 * 1024 * 1024).await.expect("a body");
    let text = |headers: &HeaderMap, name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &front.root)
        .env("GIT_PROJECT_ROOT", &front.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", text(&parts.headers, "content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("GIT_PROTOCOL", text(&parts.headers, "git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("git http-backend runs");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(&body).await.expect("written");
    drop(input);
    let output = child.wait_with_output().await.expect("its output").stdout;
    let split = output.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let (head, rest) = (String::from_utf8_lossy(&output[..split]).into_owned(), &output[split + 4..]);
    let mut response = Response::builder();
    for line in head.lines() {
        let (name, value) = line.split_once(':').expect("a header");
        response = if name.eq_ignore_ascii_case("status") {
            response.status(value.trim().split(' ').next().expect("a status"))
        } else {
            response.header(name, value.trim())
        };
    }
    let is_pack = rest.windows(4).any(|window| window == b"PACK");
    let body = match mangle {
        Mangle::StallAfter(after) if is_pack => {
            let first = Bytes::copy_from_slice(&rest[..after.min(rest.len())]);
            let never = futures::stream::pending::<Result<Bytes, std::io::Error>>();
            Body::from_stream(futures::StreamExt::chain(futures::stream::iter([Ok(first)]), never))
        }
        Mangle::Corrupt if is_pack => {
            let mut bytes = rest.to_vec();
            let middle = bytes.len() / 2;
            bytes[middle..middle + 8].iter_mut().for_each(|byte| *byte ^= 0xff);
            Body::from(bytes)
        }
        Mangle::Nothing | Mangle::StallAfter(_) | Mangle::Corrupt => Body::from(rest.to_vec()),
    };
    response.body(body).expect("a response")
}
