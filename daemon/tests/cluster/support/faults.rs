//! A fault proxy in front of the real API server. Every request of a daemon goes through a script, which may let it pass,
//! lose it or its answer, answer in the API server's place, cut or slow down the answer, or kill the daemon.
//!
//! The daemon speaks plain HTTP to it, on loopback.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::api::{client, runtime};

/// More than any request of a daemon has.
const REQUEST_CAP: usize = 4 * 1024 * 1024;

/// What happens to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// The connection is closed, the API server never sees the request.
    LostRequest,
    /// The API server carries it out, and the connection is closed without an answer.
    LostReply,
    /// The API server is not asked; this is the answer, as API servers write it.
    Status(u16),
    /// The API server is not asked; this is the answer, headers and all.
    Answer { code: u16, headers: String, body: String },
    /// The API server is asked for pages of so many objects.
    Pages(u32),
    /// The answer ends in its middle.
    Half,
    /// The answer comes in pieces of so many bytes, with pauses.
    Slow { bytes: usize, pause: Duration },
    /// The connection is closed so long after the first byte of the answer.
    Cut(Duration),
    /// Nothing more comes so long after the first byte of the answer, and the connection stays open.
    Silence(Duration),
    /// The daemon is killed before the API server sees the request.
    KillBefore,
    /// The daemon is killed once the API server has carried the request out; it never sees the answer.
    KillAfter,
    /// The daemon is killed as soon as it has been given the answer.
    KillAnswered,
    /// The daemon is killed, and the API server sees the request once this is let go: its successor is at work by then.
    KillLate(Hold),
    /// The API server sees the request once this is let go.
    KeptBack(Hold),
}

/// Keeps a request back until it is let go.
#[derive(Debug, Clone)]
pub struct Hold(Arc<tokio::sync::watch::Sender<Held>>);

/// Where a request is that is kept back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    Waits,
    Goes,
    Landed,
}

impl Hold {
    pub fn new() -> Self {
        Self(Arc::new(tokio::sync::watch::Sender::new(Held::Waits)))
    }

    pub fn let_go(&self) {
        self.becomes(Held::Goes);
    }

    /// The API server has answered it.
    pub fn has_landed(&self) -> bool {
        *self.0.borrow() == Held::Landed
    }

    fn becomes(&self, next: Held) {
        self.0.send_if_modified(|held| {
            let goes_on = *held < next;
            *held = next.max(*held);
            goes_on
        });
    }

    async fn ends(&self) {
        let _ = self.0.subscribe().wait_for(|held| *held != Held::Waits).await;
    }
}

impl PartialEq for Hold {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Hold {}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub query: String,
    pub body: String,
    pub at: Instant,
    /// What happened to it.
    pub fault: Fault,
    /// What the API server answered; none until then.
    pub status: Option<u16>,
}

impl Call {
    pub fn is_watch(&self) -> bool {
        self.query.contains("watch=")
    }

    pub fn is_write(&self) -> bool {
        self.method != "GET" && !self.query.contains("dryRun=All")
    }
}

type Script = Box<dyn FnMut(&Call) -> Fault + Send>;

pub struct FaultProxy {
    shared: Arc<Shared>,
    folder: TempDir,
    _end: DropGuard,
}

struct Shared {
    upstream: Client,
    script: Mutex<Script>,
    calls: Mutex<Vec<Call>>,
    /// The daemon's process.
    victim: tokio::sync::watch::Sender<Option<u32>>,
}

impl FaultProxy {
    /// In front of the API server of this kubeconfig; lets everything pass.
    pub fn start(kubeconfig: &std::path::Path) -> Self {
        let shared = Arc::new(Shared {
            upstream: client(kubeconfig),
            script: Mutex::new(Box::new(|_| Fault::Pass)),
            calls: Mutex::default(),
            victim: tokio::sync::watch::Sender::new(None),
        });
        let end = CancellationToken::new();
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        crate::scene::kubeconfig_to(folder.path(), listener.local_addr().unwrap().port());
        runtime().spawn(accept(listener, shared.clone(), end.clone()));
        Self { shared, folder, _end: end.drop_guard() }
    }

    /// For the daemon.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// What happens to requests from now on.
    pub fn script(&self, script: impl FnMut(&Call) -> Fault + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    /// Everything passes from now on.
    pub fn pass(&self) {
        self.script(|_| Fault::Pass);
    }

    /// The process that the faults kill.
    pub fn victim(&self, pid: u32) {
        self.shared.victim.send_replace(Some(pid));
    }

    /// All requests so far.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// The requests since the first so many.
    pub fn calls_since(&self, mark: usize) -> Vec<Call> {
        self.shared.calls.lock().unwrap().get(mark..).unwrap_or_default().to_vec()
    }

    /// How many requests there were.
    pub fn mark(&self) -> usize {
        self.shared.calls.lock().unwrap().len()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, end: CancellationToken) {
    loop {
        let stream = tokio::select! {
            () = end.cancelled() => return,
            accepted = listener.accept() => accepted.unwrap().0,
        };
        let (shared, end) = (shared.clone(), end.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = end.cancelled() => {}
                // A daemon that is killed closes its connections anyhow.
                _ = serve(stream, &shared) => {}
            }
        });
    }
}

/// Requests of one connection, one after the other, until one of them ends it.
async fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await? {
        if !exchange(&mut stream, shared, request).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// Head and body of a request; none at the end of the connection.
async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<Request<Vec<u8>>>> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
        assert!(buffer.len() < REQUEST_CAP, "a request without end");
    };
    let head = String::from_utf8(buffer[..head_end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let mut request = Request::builder().method(first.next().unwrap()).uri(first.next().unwrap());
    let mut length = 0;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "host" | "authorization" | "accept-encoding" | "connection" => {}
            name => request = request.header(name, value.trim()),
        }
    }
    assert!(length < REQUEST_CAP, "a request of {length} bytes");
    while buffer.len() < head_end + length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = buffer[head_end..head_end + length].to_vec();
    buffer.drain(..head_end + length);
    Ok(Some(request.body(body).unwrap()))
}

/// Answers one request; false ends the connection.
async fn exchange(
    stream: &mut TcpStream,
    shared: &Shared,
    request: Request<Vec<u8>>,
) -> std::io::Result<bool> {
    let mut call = Call {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(request.body()).into_owned(),
        at: Instant::now(),
        fault: Fault::Pass,
        status: None,
    };
    call.fault = (shared.script.lock().unwrap())(&call);
    let index = {
        let mut calls = shared.calls.lock().unwrap();
        calls.push(call.clone());
        calls.len() - 1
    };
    match &call.fault {
        Fault::LostRequest => Ok(false),
        Fault::KillBefore => {
            shared.kill().await;
            Ok(false)
        }
        Fault::Status(code) => {
            let body = status_of(*code);
            write_whole(stream, *code, "Content-Type: application/json\r\n", body.as_bytes()).await?;
            Ok(true)
        }
        Fault::Answer { code, headers, body } => {
            write_whole(stream, *code, headers, body.as_bytes()).await?;
            Ok(true)
        }
        Fault::Pages(size) => {
            let query = call.query.split('&').map(|part| match part.split_once('=') {
                Some(("limit", _)) => format!("limit={size}"),
                Some(_) | None => part.to_owned(),
            });
            let uri = format!("{}?{}", call.path, query.collect::<Vec<_>>().join("&"));
            let (mut parts, body) = request.into_parts();
            parts.uri = uri.parse().unwrap();
            forward(stream, shared, Request::from_parts(parts, body), (&call, index)).await
        }
        Fault::KillLate(hold) => {
            shared.kill().await;
            hold.ends().await;
            let forwarded = forward(stream, shared, request, (&call, index)).await;
            hold.becomes(Held::Landed);
            forwarded.map(|_| false)
        }
        Fault::KeptBack(hold) => {
            hold.ends().await;
            let forwarded = forward(stream, shared, request, (&call, index)).await;
            hold.becomes(Held::Landed);
            forwarded
        }
        Fault::Pass
        | Fault::LostReply
        | Fault::Half
        | Fault::Slow { .. }
        | Fault::Cut(_)
        | Fault::Silence(_)
        | Fault::KillAnswered
        | Fault::KillAfter => forward(stream, shared, request, (&call, index)).await,
    }
}

/// Lets the API server carry the request out, and spoils its answer.
async fn forward(
    stream: &mut TcpStream,
    shared: &Shared,
    request: Request<Vec<u8>>,
    (call, index): (&Call, usize),
) -> std::io::Result<bool> {
    let (parts, body) = request.into_parts();
    let Ok(response) = shared.upstream.send(Request::from_parts(parts, body.into())).await else {
        return Ok(false);
    };
    let code = response.status().as_u16();
    shared.calls.lock().unwrap()[index].status = Some(code);
    let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    let head = kind.map(|kind| format!("Content-Type: {kind}\r\n")).unwrap_or_default();
    if call.fault == Fault::KillAfter {
        shared.kill().await;
        return Ok(false);
    }
    if call.is_watch() && code == 200 {
        return relay(stream, &head, response.into_body(), &call.fault).await.map(|()| false);
    }
    let Ok(body) = response.into_body().collect().await else { return Ok(false) };
    let body = body.to_bytes();
    match &call.fault {
        Fault::LostReply => Ok(false),
        Fault::Half => {
            write_head(stream, code, &head, body.len()).await?;
            stream.write_all(&body[..body.len() / 2]).await?;
            Ok(false)
        }
        Fault::Slow { bytes, pause } => {
            write_head(stream, code, &head, body.len()).await?;
            for piece in body.chunks(*bytes) {
                stream.write_all(piece).await?;
                tokio::time::sleep(*pause).await;
            }
            Ok(true)
        }
        Fault::KillAnswered => {
            write_whole(stream, code, &head, &body).await?;
            shared.kill().await;
            Ok(false)
        }
        Fault::Pass
        | Fault::Pages(_)
        | Fault::Cut(_)
        | Fault::Silence(_)
        | Fault::LostRequest
        | Fault::Status(_)
        | Fault::Answer { .. }
        | Fault::KillBefore
        | Fault::KillLate(_)
        | Fault::KeptBack(_)
        | Fault::KillAfter => {
            write_whole(stream, code, &head, &body).await?;
            Ok(true)
        }
    }
}

/// Passes a stream of watch events on, for as long as the fault allows.
async fn relay(
    stream: &mut TcpStream,
    head: &str,
    mut body: kube::client::Body,
    fault: &Fault,
) -> std::io::Result<()> {
    if *fault == Fault::LostReply {
        return Ok(());
    }
    stream
        .write_all(format!("HTTP/1.1 200 OK\r\n{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes())
        .await?;
    let (mut from, mut to) = stream.split();
    let limit =
        if let Fault::Cut(after) | Fault::Silence(after) = fault { *after } else { Duration::from_hours(1) };
    let events = async {
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            to.write_all(format!("{:x}\r\n", data.len()).as_bytes()).await?;
            to.write_all(&data).await?;
            to.write_all(b"\r\n").await?;
            if *fault == Fault::Half {
                return Ok(());
            }
        }
        to.write_all(b"0\r\n\r\n").await
    };
    let mut nothing = [0];
    tokio::select! {
        done = events => done,
        // The daemon hung up.
        _ = from.read(&mut nothing) => Ok(()),
        () = tokio::time::sleep(limit) => {
            if let Fault::Silence(_) = fault {
                // Until the daemon hangs up.
                let _ = from.read(&mut nothing).await;
            }
            Ok(())
        }
    }
}

async fn write_head(stream: &mut TcpStream, code: u16, headers: &str, length: usize) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {code} X\r\n{headers}Content-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await
}

async fn write_whole(stream: &mut TcpStream, code: u16, headers: &str, body: &[u8]) -> std::io::Result<()> {
    write_head(stream, code, headers, body.len()).await?;
    stream.write_all(body).await
}

/// What an API server says with this status.
pub fn status_of(code: u16) -> String {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("this {code} is a test's"), "reason": reason, "code": code,
    })
    .to_string()
}

impl Shared {
    async fn kill(&self) {
        let mut victim = self.victim.subscribe();
        let Ok(pid) = victim.wait_for(Option::is_some).await.map(|pid| pid.unwrap_or_default()) else {
            return;
        };
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        // The next start of the daemon has another process.
        self.victim.send_replace(None);
    }
}
