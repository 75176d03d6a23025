//! A client whose credentials come from a program: asked at the first request, again shortly before they expire, and when
//! the API server refuses them. Each credential has a client of its own, so that tokens and certificates are one code path.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use kube::client::Body;
use kube::{Client, Config};
use tokio::sync::Mutex;
use tower::{BoxError, Service};

use super::credential::{Credential, Pair};
use super::run::Program;
use crate::cluster::call::chain;

/// A credential is replaced so long before its end.
const EARLY: Duration = Duration::from_mins(1);
/// The program is run at most this often, whatever fails and whatever is refused.
const PAUSE: Duration = Duration::from_secs(5);

/// No credentials.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no credentials from `{program}`: {reason}")]
pub struct CredentialError {
    /// Which program.
    program: String,
    /// Why.
    reason: String,
}

/// The service of one cluster; clones share what they know.
#[derive(Clone)]
pub struct Keeper(Arc<Shared>);

struct Shared {
    /// How the cluster is reached.
    config: Config,
    program: Program,
    known: Mutex<Known>,
    /// The newest credentials, also while the program runs for newer ones.
    newest: RwLock<Option<Current>>,
}

/// What is known of the credentials.
#[derive(Default)]
struct Known {
    /// The newest ones.
    current: Option<Current>,
    /// When the program was run last.
    asked: Option<Instant>,
    /// How that failed.
    failure: Option<CredentialError>,
}

#[derive(Clone)]
struct Current {
    client: Client,
    /// Counts credentials, from 1.
    number: u64,
    expires: Option<Timestamp>,
}

impl Current {
    fn lasts(&self, at_least: Duration) -> bool {
        let Some(expires) = self.expires else { return true };
        Timestamp::now().checked_add(at_least).is_ok_and(|then| then < expires)
    }
}

impl Keeper {
    /// Runs nothing yet. `config` names no `exec` any more; what else it says of credentials holds where the program is silent.
    pub fn new(config: Config, program: Program) -> Self {
        Self(Arc::new(Shared { config, program, known: Mutex::default(), newest: RwLock::default() }))
    }

    /// A client with credentials that are neither about to expire nor those that were refused.
    async fn client(&self, refused: Option<u64>) -> Result<Current, CredentialError> {
        // Whoever comes meanwhile waits for this one run instead of starting another; who has credentials that hold, does not
        // wait for new ones either.
        let lasting =
            self.newest().filter(|current| refused != Some(current.number) && current.lasts(Duration::ZERO));
        let mut known = match (self.0.known.try_lock(), lasting) {
            (Ok(known), _) => known,
            (Err(_), Some(current)) => return Ok(current),
            (Err(_), None) => self.0.known.lock().await,
        };
        let usable = known.current.clone().filter(|current| refused != Some(current.number));
        if let Some(current) = usable.clone().filter(|current| current.lasts(EARLY)) {
            return Ok(current);
        }
        let is_early = known.asked.is_some_and(|asked| asked.elapsed() < PAUSE);
        if is_early {
            return match (usable.or_else(|| known.current.clone()), &known.failure) {
                // The API server has the last word on what may be out of date.
                (Some(current), None) => Ok(current),
                (Some(current), Some(_)) if current.lasts(Duration::ZERO) => Ok(current),
                (Some(_) | None, Some(failure)) => Err(failure.clone()),
                (None, None) => Err(self.failed("it was asked just now".to_owned())),
            };
        }
        // Before the run as well: a request that is given up in the middle of it must not let the next one start another.
        known.asked = Some(Instant::now());
        let answer = self.0.program.ask().await;
        known.asked = Some(Instant::now());
        let number = known.current.as_ref().map_or(0, |current| current.number).saturating_add(1);
        let made = match answer {
            Ok(credential) => self.connect(credential, number),
            Err(error) => Err(self.failed(error.to_string())),
        };
        match made {
            Ok(current) => {
                tracing::debug!(program = %self.0.program.command, number, "new credentials");
                known.failure = None;
                known.current = Some(current.clone());
                *self.0.newest.write().unwrap_or_else(PoisonError::into_inner) = Some(current.clone());
                Ok(current)
            }
            Err(failure) => {
                tracing::warn!("{failure}");
                known.failure = Some(failure.clone());
                usable.filter(|current| current.lasts(Duration::ZERO)).ok_or(failure)
            }
        }
    }

    fn newest(&self) -> Option<Current> {
        self.0.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn connect(&self, credential: Credential, number: u64) -> Result<Current, CredentialError> {
        let Credential { token, certificate, expires } = credential;
        let mut config = self.0.config.clone();
        if let Some(token) = token {
            config.auth_info.token = Some(token.expose().to_owned().into());
        }
        if let Some(Pair { certificate, key }) = certificate {
            config.auth_info.client_certificate_data = Some(STANDARD.encode(certificate.expose()));
            config.auth_info.client_key_data = Some(STANDARD.encode(key.expose()).into());
        }
        let client = Client::try_from(config).map_err(|error| self.failed(chain(&error)))?;
        Ok(Current { client, number, expires })
    }

    fn failed(&self, reason: String) -> CredentialError {
        CredentialError { program: self.0.program.command.clone(), reason }
    }

    async fn send(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let (parts, body) = request.into_parts();
        let again = body.try_clone().map(|body| Request::from_parts(parts.clone(), body));
        let current = self.client(None).await?;
        let answer = current.client.send(Request::from_parts(parts, body)).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // A request that was not let in changed nothing: it may be sent again.
        match (self.client(Some(current.number)).await?, again) {
            (next, Some(again)) if next.number != current.number => Ok(next.client.send(again).await?),
            (_, Some(_) | None) => Ok(answer),
        }
    }
}

impl Service<Request<Body>> for Keeper {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}
