//! Git over https. One client per source, so that a poll reuses its connection.
//!
//! The token goes out with the first request (no extra round trip), and redirects are followed within the same
//! scheme, host and port only, so it never reaches another place.

use std::any::Any;
use std::io::{self, BufRead, Cursor, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gix::protocol::transport::client::blocking_io::http::{
    self, GetResponse, PostBodyDataKind, PostResponse,
};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};

use super::guard::Guard;
use crate::source::error::{SourceError, chain, clean};
use crate::source::identity::Basic;
use tokio_util::bytes::Bytes;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// Redirects within the same origin.
const REDIRECTS_MAX: usize = 5;
/// The largest request that is sent: negotiation lists commits that we have.
const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The client of one source.
pub(super) fn client() -> reqwest::Result<reqwest::Client> {
    let same_place = reqwest::redirect::Policy::custom(|attempt| {
        let stays = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
        if stays && attempt.previous().len() <= REDIRECTS_MAX { attempt.follow() } else { attempt.stop() }
    });
    reqwest::Client::builder().connect_timeout(CONNECT).redirect(same_place).referer(false).build()
}

/// The requests of one operation.
pub(super) struct Http {
    line: Line,
    authorization: Option<HeaderValue>,
    redirected_base: Option<String>,
}

/// What a request needs to be sent and an answer to be read.
#[derive(Clone)]
struct Line {
    client: reqwest::Client,
    runtime: tokio::runtime::Handle,
    guard: Arc<Guard>,
}

impl Http {
    pub fn new(
        client: reqwest::Client,
        runtime: tokio::runtime::Handle,
        guard: Arc<Guard>,
        basic: Option<Basic>,
    ) -> Self {
        let authorization = basic.and_then(|basic| {
            // Base64 is always a valid header value.
            let mut value = HeaderValue::try_from(basic.header().expose()).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        Self { line: Line { client, runtime, guard }, authorization, redirected_base: None }
    }

    fn request(
        &self,
        request: reqwest::RequestBuilder,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> reqwest::RequestBuilder {
        let mut request = request;
        for line in headers {
            let Some((name, value)) = line.as_ref().split_once(':') else { continue };
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value.trim())) {
                request = request.header(name, value);
            }
        }
        match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        }
    }
}

impl Line {
    /// Runs a future until it is done, its time is over or the daemon goes down.
    fn wait<T>(&self, work: impl Future<Output = reqwest::Result<T>>) -> io::Result<T> {
        let guard = &self.guard;
        self.runtime.block_on(async {
            tokio::select! {
                () = guard.stop.cancelled() => Err(guard.stopped()),
                () = tokio::time::sleep(guard.remaining()) => Err(guard.expire()),
                done = work => done.map_err(|error| guard.fail(SourceError::Unreachable {
                    url: guard.url.clone(),
                    reason: chain(&error.without_url()),
                })),
            }
        })
    }

    /// Sends a request and judges the head of the answer.
    fn send(&self, request: reqwest::RequestBuilder, with_token: bool) -> io::Result<reqwest::Response> {
        let response = self.wait(request.send())?;
        let (url, status) = (self.guard.url.clone(), response.status());
        if status == StatusCode::OK {
            return self.expect_git(response);
        }
        let error = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                SourceError::Unauthorized { url, status: status.as_u16(), with_token }
            }
            status if status.is_redirection() => SourceError::Redirected { url, to: target(&response) },
            status => SourceError::Status { url, status: status.as_u16() },
        };
        Err(self.guard.fail(error))
    }

    /// Smart HTTP says so in its content type; everything else is a page.
    fn expect_git(&self, response: reqwest::Response) -> io::Result<reqwest::Response> {
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        match content_type {
            Some(text) if text.starts_with("application/x-git-upload-pack-") => Ok(response),
            other => Err(self.guard.fail(SourceError::NotGit {
                url: self.guard.url.clone(),
                content_type: clean(other.unwrap_or("no content type")),
            })),
        }
    }
}

/// The origin that an answer points to: no path, no query, which could carry secrets.
fn target(response: &reqwest::Response) -> String {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match response.url().join(location) {
        Ok(url) if !location.is_empty() => clean(&url.origin().ascii_serialization()),
        _ => "nowhere".to_owned(),
    }
}

impl http::Http for Http {
    type Headers = Head;
    type ResponseBody = Body;
    type PostBody = Upload;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Head, Body>> {
        let request = self.request(self.line.client.get(url), headers);
        let response =
            self.line.send(request, self.authorization.is_some()).map_err(gix::Error::from_error)?;
        // A redirect within the origin moves the base for the requests that follow.
        let tail = url.strip_prefix(base_url).unwrap_or_default();
        self.redirected_base = response.url().as_str().strip_suffix(tail).map(ToOwned::to_owned);
        let exchange = Exchange::answered(self.line.clone(), response);
        Ok(GetResponse { headers: Head::new(exchange.clone()), body: Body::new(exchange) })
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Head, Body, Upload>> {
        let request = self.request(self.line.client.post(url), headers);
        let exchange = Exchange::prepared(self.line.clone(), request, self.authorization.is_some());
        Ok(PostResponse {
            post_body: Upload(exchange.clone()),
            headers: Head::new(exchange.clone()),
            body: Body::new(exchange),
        })
    }

    fn configure(&mut self, _config: &dyn Any) -> gix::Result {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.redirected_base.clone()
    }
}

/// One request and its answer: written first, then its head read, then its body.
#[derive(Clone)]
struct Exchange(Arc<Mutex<State>>);

struct State {
    line: Line,
    request: Option<(reqwest::RequestBuilder, bool)>,
    upload: Vec<u8>,
    response: Option<reqwest::Response>,
    head: Vec<u8>,
}

impl Exchange {
    fn prepared(line: Line, request: reqwest::RequestBuilder, with_token: bool) -> Self {
        Self(Arc::new(Mutex::new(State {
            line,
            request: Some((request, with_token)),
            upload: Vec::new(),
            response: None,
            head: Vec::new(),
        })))
    }

    fn answered(line: Line, response: reqwest::Response) -> Self {
        let head = head_of(&response);
        Self(Arc::new(Mutex::new(State {
            line,
            request: None,
            upload: Vec::new(),
            response: Some(response),
            head,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Sends the request when it was not sent yet: the body is whole once someone reads.
    fn send(&mut self) -> io::Result<()> {
        if let Some((request, with_token)) = self.request.take() {
            let response = self.line.send(request.body(std::mem::take(&mut self.upload)), with_token)?;
            self.head = head_of(&response);
            self.response = Some(response);
        }
        Ok(())
    }

    /// The next piece of the body; empty at its end.
    fn chunk(&mut self) -> io::Result<Bytes> {
        self.send()?;
        let Some(response) = &mut self.response else { return Ok(Bytes::new()) };
        let chunk = self.line.wait(response.chunk())?;
        let Some(chunk) = chunk else {
            self.response = None;
            return Ok(Bytes::new());
        };
        self.line.guard.spend(chunk.len())?;
        Ok(chunk)
    }
}

/// The head as the lines that gix reads.
fn head_of(response: &reqwest::Response) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in response.headers() {
        lines.extend_from_slice(name.as_str().as_bytes());
        lines.push(b':');
        lines.extend_from_slice(value.as_bytes());
        lines.push(b'\n');
    }
    lines
}

/// What the request sends.
pub(super) struct Upload(Exchange);

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state();
        if state.upload.len() + bytes.len() > REQUEST_BYTES_MAX {
            return Err(io::Error::other("the request grows too large"));
        }
        state.upload.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The head of the answer, read line by line.
pub(super) struct Head {
    exchange: Exchange,
    lines: Option<Cursor<Vec<u8>>>,
}

impl Head {
    fn new(exchange: Exchange) -> Self {
        Self { exchange, lines: None }
    }

    fn lines(&mut self) -> io::Result<&mut Cursor<Vec<u8>>> {
        if self.lines.is_none() {
            let mut state = self.exchange.state();
            state.send()?;
            self.lines = Some(Cursor::new(std::mem::take(&mut state.head)));
        }
        Ok(self.lines.get_or_insert_default())
    }
}

impl Read for Head {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.lines()?.read(buffer)
    }
}

impl BufRead for Head {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.lines()?.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Some(lines) = &mut self.lines {
            lines.consume(amount);
        }
    }
}

/// The body of the answer.
pub(super) struct Body {
    exchange: Exchange,
    chunk: Bytes,
}

impl Body {
    fn new(exchange: Exchange) -> Self {
        Self { exchange, chunk: Bytes::new() }
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.chunk.is_empty() {
            self.chunk = self.exchange.state().chunk()?;
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, amount: usize) {
        let amount = amount.min(self.chunk.len());
        let _ = self.chunk.split_to(amount);
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}
