//! A fresh connection to a pod or an endpoint: by its address, or as a stream through the API server.
//!
//! Who refuses a connection is heard; whoever is only silent may as well be behind a network that lets nothing through.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::Portforwarder;
use kube::{Api, Client};
use tidegate_core::gate::Miss;
use tidegate_core::gate::text;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cluster::call::{CallError, chain, once};

/// Longest wait for a connection by address.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Longest wait for a stream through the API server: it asks the kubelet, which asks the container runtime.
const STREAM_DEADLINE: Duration = Duration::from_secs(10);
/// A stream through the API server stands before the pod is asked. A refusal comes within milliseconds; none within this time
/// counts as accepted.
const ACCEPTED_AFTER: Duration = Duration::from_secs(2);
/// How long the reason of a stream's end is waited for.
const REASON_DEADLINE: Duration = Duration::from_secs(2);

/// Bytes both ways.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Where a connection goes.
#[derive(Clone)]
pub struct Door {
    /// Whose it is, for people: a pod's name, or an address.
    pub whose: String,
    way: Way,
}

#[derive(Clone)]
enum Way {
    Address(SocketAddr),
    Pod { client: Client, namespace: String, name: String, port: u16 },
}

/// An open connection.
pub struct Opened {
    /// The bytes.
    pub io: Box<dyn Io>,
    /// What knows more than the bytes about their end.
    pub forward: Option<Forward>,
}

impl Door {
    /// To an address.
    pub fn address(whose: impl Into<String>, address: SocketAddr) -> Self {
        Self { whose: whose.into(), way: Way::Address(address) }
    }

    /// To a port of a pod, through the API server.
    pub fn pod(name: &str, client: &Client, namespace: &str, port: u16) -> Self {
        let (client, namespace) = (client.clone(), namespace.to_owned());
        Self { whose: name.to_owned(), way: Way::Pod { client, namespace, name: name.to_owned(), port } }
    }

    /// Connects.
    pub async fn open(&self) -> Result<Opened, Miss> {
        match &self.way {
            Way::Address(address) => connect(*address).await,
            Way::Pod { client, namespace, name, port } => {
                let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
                forward(&api, name, *port).await
            }
        }
    }

    /// Whether the port accepts a connection; nothing is sent.
    pub async fn accepts(&self) -> Result<(), Miss> {
        let Opened { mut io, forward } = self.open().await?;
        let Some(forward) = forward else { return Ok(()) };
        let mut first = [0];
        match timeout(ACCEPTED_AFTER, io.read(&mut first)).await {
            // It spoke, or it waits for us to.
            Ok(Ok(1..)) | Err(_) => Ok(()),
            Ok(Ok(0) | Err(_)) => match forward.explain(Miss::Cut).await {
                // It accepted, and hung up: that is for the gates that ask it something.
                Miss::Cut => Ok(()),
                miss => Err(miss),
            },
        }
    }
}

async fn connect(address: SocketAddr) -> Result<Opened, Miss> {
    match timeout(CONNECT_DEADLINE, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(Opened { io: Box::new(stream), forward: None }),
        Ok(Err(error)) => Err(match error.kind() {
            std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::ConnectionReset => Miss::Refused,
            _ => Miss::Unreachable(error.to_string()),
        }),
        Err(_) => {
            Err(Miss::Unreachable(format!("no connection within {}", text::duration(CONNECT_DEADLINE))))
        }
    }
}

async fn forward(api: &Api<Pod>, name: &str, port: u16) -> Result<Opened, Miss> {
    let ports = [port];
    let mut forwarder = match timeout(STREAM_DEADLINE, once(api.portforward(name, &ports))).await {
        Ok(Ok(forwarder)) => forwarder,
        Ok(Err(CallError::Forbidden(status))) => {
            let told = text::quote(&status.message);
            return Err(Miss::ApiServer(format!(
                "the rights to get and create pods/portforward are needed: {told}"
            )));
        }
        Ok(Err(error)) => return Err(Miss::ApiServer(text::quote(&error.to_string()))),
        Err(_) => {
            return Err(Miss::ApiServer(format!("no stream within {}", text::duration(STREAM_DEADLINE))));
        }
    };
    let (stream, error) = forwarder
        .take_stream(port)
        .zip(forwarder.take_error(port))
        .ok_or_else(|| Miss::ApiServer(format!("there is no stream for port {port}")))?;
    let forward = Forward { forwarder: Some(forwarder), error: Box::pin(error) };
    Ok(Opened { io: Box::new(stream), forward: Some(forward) })
}

/// The stream's task, and what the kubelet says about its end.
pub struct Forward {
    forwarder: Option<Portforwarder>,
    error: Pin<Box<dyn Future<Output = Option<String>> + Send + Sync>>,
}

impl Forward {
    /// Why the bytes ended, as far as the other side says so.
    pub async fn explain(mut self, miss: Miss) -> Miss {
        match miss {
            Miss::Cut => {}
            Miss::Refused
            | Miss::Silent(_)
            | Miss::Garbled(_)
            | Miss::TooLarge(_)
            | Miss::Unreachable(_)
            | Miss::ApiServer(_)
            | Miss::Forbidden { .. } => return miss,
        }
        match timeout(REASON_DEADLINE, &mut self.error).await {
            Ok(Some(said)) if said.contains("connection refused") => return Miss::Refused,
            Ok(Some(said)) if said.contains("connection reset") || said.contains("broken pipe") => {
                return Miss::Cut;
            }
            Ok(Some(said)) => return Miss::ApiServer(text::quote(&said)),
            Ok(None) | Err(_) => {}
        }
        let Some(forwarder) = self.forwarder.take() else { return miss };
        match timeout(REASON_DEADLINE, forwarder.join()).await {
            Ok(Err(error)) => Miss::ApiServer(text::quote(&chain(&error))),
            Ok(Ok(())) | Err(_) => miss,
        }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        if let Some(forwarder) = &self.forwarder {
            forwarder.abort();
        }
    }
}
