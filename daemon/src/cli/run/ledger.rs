//! What the daemon is told about the deploy log: where it is pushed to, and the key that signs it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tidegate_core::ledger::Actor;

use super::super::exit::{Exit, Failure};
use super::super::options::duration;
use super::credentials;
use crate::ledger::{Desk, RemoteConfig, SigningKey, trusted};
use crate::reconcile::LedgerSettings;
use crate::source::{Credentials, Origin, PlainHttp, Secret, SourceUrl, SshSettings, Token};

/// The word for the repository that desired state comes from.
const SAME: &str = "same";
/// No key file is larger.
const KEY_BYTES: u64 = 65_536;

/// Where the deploy log goes.
#[derive(Debug, Clone, clap::Args)]
pub struct LedgerArgs {
    /// The repository that the deploy log is pushed to, one of its own; `same`: the one of --repo [default: no log is written]
    #[arg(
        id = "ledger_repo",
        long = "ledger-repo",
        env = "TIDEGATE_LEDGER_REPO",
        value_name = "PATH or URL"
    )]
    pub repo: Option<String>,
    /// The private key that signs records (ed25519, OpenSSH's format, without a passphrase)
    #[arg(
        id = "ledger_key",
        long = "ledger-key",
        env = "TIDEGATE_LEDGER_KEY",
        value_name = "FILE",
        requires = "ledger_repo"
    )]
    pub key: Option<PathBuf>,
    /// Repairs of so long are told in one record
    #[arg(id = "ledger_coalesce", long = "ledger-coalesce", env = "TIDEGATE_LEDGER_COALESCE", default_value = "10m", value_parser = duration, value_name = "DURATION")]
    pub coalesce: Duration,
    /// Public keys that signed the log before this one, a line each: what they signed is the daemon's own
    #[arg(
        id = "ledger_former_keys",
        long = "ledger-former-keys",
        env = "TIDEGATE_LEDGER_FORMER_KEYS",
        value_name = "FILE",
        requires = "ledger_repo"
    )]
    pub former_keys: Option<PathBuf>,
}

impl LedgerArgs {
    /// The settings; none where no log is asked for.
    pub fn settings(
        &self,
        origin: &Origin,
        cache: &Path,
        replica: &str,
    ) -> Result<Option<LedgerSettings>, Failure> {
        let Some(repo) = &self.repo else { return Ok(None) };
        let usage = |text: String| Failure::new(Exit::Usage, text);
        let source = match origin {
            Origin::Git(config) => Some(config),
            Origin::Folder(_) => None,
        };
        let is_same = repo == SAME;
        let url = match (is_same, source) {
            (true, Some(config)) => config.url.clone(),
            (true, None) => {
                return Err(usage(
                    "--ledger-repo same: with --follow there is no repository; name one".to_owned(),
                ));
            }
            (false, _) => SourceUrl::parse(repo, PlainHttp::LoopbackOnly)
                .map_err(|error| usage(format!("--ledger-repo: {error}")))?,
        };
        let Some(file) = &self.key else {
            return Err(usage(
                "--ledger-repo needs --ledger-key: records are signed (make a key with `ssh-keygen -t ed25519 -N '' -f ledger-key`)"
                    .to_owned(),
            ));
        };
        let key = SigningKey::read(&read(file, "--ledger-key")?)
            .map_err(|error| usage(format!("--ledger-key {}: {error}", file.display())))?;
        let mut keys = BTreeSet::from([key.fingerprint()]);
        if let Some(file) = &self.former_keys {
            let former = trusted(&read(file, "--ledger-former-keys")?);
            keys.extend(
                former.map_err(|error| usage(format!("--ledger-former-keys {}: {error}", file.display())))?,
            );
        }
        let is_known = is_same || source.is_some_and(|config| config.url.host() == url.host());
        let credentials = match own_credentials() {
            Some(own) => own,
            // A token goes to the host that it is for, and to no other.
            None if is_known => credentials().map_err(usage)?,
            None => Credentials::default(),
        };
        let repo = match origin {
            Origin::Git(config) => config.url.to_string(),
            Origin::Folder(config) => config.path.display().to_string(),
        };
        Ok(Some(LedgerSettings {
            actor: Actor {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                replica: replica.to_owned(),
                image: None,
            },
            repo,
            coalesce: self.coalesce,
            desk: Desk { cache: cache.to_owned(), url: url.clone(), key: Arc::new(key), keys },
            remote: RemoteConfig::new(url, credentials),
        }))
    }
}

/// Credentials for the log's repository alone, from the environment; none where nothing is set.
fn own_credentials() -> Option<Credentials> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let token = match (std::env::var("TIDEGATE_LEDGER_TOKEN"), set("TIDEGATE_LEDGER_TOKEN_FILE")) {
        (Ok(token), _) if !token.is_empty() => Some(Token::Text(Secret::new(token))),
        (_, Some(file)) => Some(Token::File(file)),
        (_, None) => None,
    };
    let key_file = set("TIDEGATE_LEDGER_SSH_KEY");
    if token.is_none() && key_file.is_none() {
        return None;
    }
    let ssh = SshSettings { key_file, known_hosts: set("TIDEGATE_SSH_KNOWN_HOSTS") };
    Some(Credentials { token, ssh })
}

fn read(file: &Path, option: &str) -> Result<String, Failure> {
    let failed = |why: String| Failure::new(Exit::Usage, format!("{option} {}: {why}", file.display()));
    let size = std::fs::metadata(file).map_err(|error| failed(error.to_string()))?.len();
    if size > KEY_BYTES {
        return Err(failed(format!("it has {size} bytes, which no key has")));
    }
    std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))
}
