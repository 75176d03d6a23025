//! HTTP/1.1 over one connection, with a cap on all that comes and a deadline for each answer. Redirects are answers.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tidegate_core::gate::Miss;
use tidegate_core::gate::http::Answer;
use tidegate_core::gate::text;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::door::{Door, Forward, Opened};
use super::request::Prepared;
use crate::cluster::call::chain;

/// Longest body that is read.
pub const BODY_CAP: usize = 1024 * 1024;
/// Longest head of an answer: status line and headers.
const HEAD_CAP: usize = 64 * 1024;
/// Most headers of an answer.
const HEADERS_CAP: usize = 256;

/// A connection that requests go over, one after another.
pub struct Session {
    sender: http1::SendRequest<Full<Bytes>>,
    forward: Option<Forward>,
    /// Ended with the session.
    _connection: AbortOnDropHandle<()>,
}

/// One request over a fresh connection.
pub async fn once(door: &Door, prepared: &Prepared) -> Result<Answer, Miss> {
    let mut session = Session::open(door).await?;
    match session.ask(prepared).await {
        Ok(answer) => Ok(answer),
        Err(miss) => Err(session.explain(miss).await),
    }
}

impl Session {
    /// Connects. Nothing is sent yet.
    pub async fn open(door: &Door) -> Result<Self, Miss> {
        let Opened { io, forward } = door.open().await?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_CAP)
            .max_headers(HEADERS_CAP)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|error| miss_of(&error))?;
        // Its error is the answer's too.
        let task = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, forward, _connection: AbortOnDropHandle::new(task) })
    }

    /// Sends a request and reads its whole answer.
    pub async fn ask(&mut self, prepared: &Prepared) -> Result<Answer, Miss> {
        let begun = Instant::now();
        let exchange = async {
            self.sender.ready().await.map_err(|error| miss_of(&error))?;
            let response =
                self.sender.send_request(prepared.build()).await.map_err(|error| miss_of(&error))?;
            let status = response.status().as_u16();
            let body = read(response.into_body()).await?;
            Ok(Answer { status, body, elapsed: begun.elapsed() })
        };
        timeout(prepared.deadline, exchange).await.unwrap_or(Err(Miss::Silent(prepared.deadline)))
    }

    /// Whether another request may go over it.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// The miss, with what else is known about the end of the connection.
    pub async fn explain(self, miss: Miss) -> Miss {
        match self.forward {
            Some(forward) => forward.explain(miss).await,
            None => miss,
        }
    }
}

async fn read(mut body: Incoming) -> Result<Vec<u8>, Miss> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| miss_of(&error))?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > BODY_CAP {
            return Err(Miss::TooLarge(BODY_CAP));
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes)
}

fn miss_of(error: &hyper::Error) -> Miss {
    if error.is_parse() { Miss::Garbled(text::quote(&chain(error))) } else { Miss::Cut }
}
