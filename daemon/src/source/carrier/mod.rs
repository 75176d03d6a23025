//! The bytes on the wire: https, ssh and file, each guarded by a deadline and a cap on bytes.
//!
//! gix speaks git's protocol; what it speaks through is ours, because it can neither abort a hanging read nor cap an
//! endless answer, and would ask for the token's use at every poll with an extra request. Credentials go out here only.

mod guard;
mod http;
mod process;

use std::sync::Arc;

use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::blocking_io::Transport;
use gix::protocol::transport::client::blocking_io::http::Transport as HttpTransport;

pub(super) use guard::Guard;

use super::config::Credentials;
use super::error::SourceError;
use super::url::{Place, SourceUrl};

/// Something that git's protocol can be spoken through.
pub(super) type Line = Box<dyn Transport + Send>;

/// Makes connections to one repository; keeps the pool of https connections between polls.
#[derive(Debug)]
pub(super) struct Carrier {
    url: SourceUrl,
    credentials: Credentials,
    client: reqwest::Client,
    runtime: tokio::runtime::Handle,
}

impl Carrier {
    /// Must be called inside a tokio runtime.
    pub fn new(url: SourceUrl, credentials: Credentials) -> Result<Self, SourceError> {
        let client = http::client().map_err(|error| SourceError::Local {
            what: "the certificates of this machine".to_owned(),
            reason: super::error::chain(&error),
        })?;
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| SourceError::Local {
            what: "the runtime".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self { url, credentials, client, runtime })
    }

    /// A connection for one operation, which ends when the guard says so.
    pub fn connect(&self, guard: &Arc<Guard>) -> Result<Line, SourceError> {
        match self.url.place() {
            Place::Http { base, .. } => {
                let authorization = self.credentials.basic(&self.url)?;
                let exchange = http::Http::new(
                    self.client.clone(),
                    self.runtime.clone(),
                    Arc::clone(guard),
                    authorization,
                );
                let url = gix::url::parse(base.as_str()).map_err(|error| SourceError::Malformed {
                    url: self.url.to_string(),
                    reason: super::error::clean(&error.to_string()),
                })?;
                Ok(Box::new(HttpTransport::new_http(exchange, url, Protocol::V2, false)))
            }
            Place::Ssh { user, host, port, path } => {
                let address = process::SshAddress { user: user.as_deref(), host, port: *port, path };
                process::ssh(&address, &self.credentials.ssh, guard)
            }
            Place::Local(path) => process::local(path, guard),
        }
    }
}
