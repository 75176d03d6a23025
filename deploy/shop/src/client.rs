//! A tiny HTTP client: one GET on a fresh connection, so that each request may reach another pod. No TLS, no redirects.

use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::body::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long a request may take, name lookup included.
const DEADLINE: Duration = Duration::from_secs(3);

/// The most bytes of an answer that are read.
const MAX_BODY: usize = 1 << 20;

/// Where a request goes: `http://host[:port][/path]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    path: String,
}

impl Address {
    /// Reads a URL; only plain http.
    pub fn parse(url: &str) -> anyhow::Result<Self> {
        let rest =
            url.strip_prefix("http://").with_context(|| format!("{url} does not begin with http://"))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().with_context(|| format!("{url} has no valid port"))?),
            None => (authority, 80),
        };
        if host.is_empty() {
            bail!("{url} names no host");
        }
        Ok(Self { host: host.to_owned(), port, path: format!("/{path}") })
    }

    /// The host as it was written, for a header.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Host and port to connect to.
    pub fn authority(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// The path, from `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The same host with another path (that begins with `/`).
    pub fn with_path(&self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self.clone() }
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header `x-version`, when there is one.
    pub version: Option<String>,
    /// The body as text.
    pub body: String,
}

/// Asks once, within three seconds.
pub async fn get(address: &Address) -> anyhow::Result<Answer> {
    tokio::time::timeout(DEADLINE, request(address)).await.context("no answer in time")?
}

async fn request(address: &Address) -> anyhow::Result<Answer> {
    let Address { host, port, path } = address;
    let stream = TcpStream::connect((host.as_str(), *port))
        .await
        .with_context(|| format!("failed to reach {host}:{port}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The connection ends with its one request; its errors show up there.
    let driver = tokio::spawn(connection);
    let request = hyper::Request::get(path)
        .header("host", format!("{host}:{port}"))
        .header("connection", "close")
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let version =
        response.headers().get("x-version").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    driver.abort();
    let bytes = body.map_err(|error| anyhow::anyhow!("failed to read the answer: {error}"))?.to_bytes();
    Ok(Answer { status, version, body: String::from_utf8_lossy(&bytes).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_default_to_port_80() {
        let address = Address::parse("http://api").unwrap();
        assert_eq!(address, Address { host: "api".to_owned(), port: 80, path: "/".to_owned() });
        assert_eq!(Address::parse("http://api:8080/items").unwrap().with_path("/readyz").path, "/readyz");
        for wrong in ["https://api", "http://", "http://api:http", "api"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }
}
