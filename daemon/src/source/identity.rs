//! How the other side knows us, in the form that requests and programs take: one place for those who read the desired state and
//! those who push the deploy log.

use std::ffi::OsString;
use std::time::Duration;

use base64::Engine as _;

use super::config::{Credentials, SshSettings, Token};
use super::error::SourceError;
use super::secret::Secret;
use super::url::{Place, SourceUrl};

/// User and password of Basic authentication.
#[derive(Debug, Clone)]
pub(crate) struct Basic {
    pub user: String,
    pub password: Secret,
}

impl Basic {
    /// The header's value: whoever reads it knows the password.
    pub fn header(&self) -> Secret {
        let pair = format!("{}:{}", self.user, self.password.expose());
        Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
    }
}

impl Credentials {
    /// User and password for a URL of http; none for others, and where there are none. The token wins over what stands in the URL,
    /// whose user is kept.
    pub(crate) fn basic(&self, url: &SourceUrl) -> Result<Option<Basic>, SourceError> {
        let in_url = match url.place() {
            Place::Http { credentials, .. } => credentials.as_ref(),
            Place::Ssh { .. } | Place::Local(_) => return Ok(None),
        };
        let token = match &self.token {
            None => None,
            Some(Token::Text(secret)) => Some(secret.clone()),
            Some(Token::File(path)) => Some(Secret::from_file(path).map_err(|error| SourceError::Local {
                what: format!("the token in {}", path.display()),
                reason: error.to_string(),
            })?),
        };
        let user = in_url.map(|(user, _)| user.clone()).filter(|user| !user.is_empty());
        let password = token.or_else(|| in_url.map(|(_, password)| password.clone()));
        Ok(password.map(|password| Basic {
            // GitHub wants this name for its apps' tokens, and the other hosts take any.
            user: user.unwrap_or_else(|| "x-access-token".to_owned()),
            password,
        }))
    }
}

impl SshSettings {
    /// The options that `ssh` is run with: it asks nobody, trusts no unknown host, and forwards nothing.
    pub(crate) fn options(&self, connect: Duration) -> Vec<OsString> {
        let connect = format!("ConnectTimeout={}", connect.as_secs().clamp(1, 30));
        let mut options: Vec<OsString> = Vec::new();
        for option in [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "ClearAllForwardings=yes",
            "PermitLocalCommand=no",
            "SendEnv=GIT_PROTOCOL",
            "ServerAliveInterval=15",
            &connect,
        ] {
            options.extend(["-o".into(), option.into()]);
        }
        if let Some(key) = &self.key_file {
            options.extend(["-o".into(), "IdentitiesOnly=yes".into(), "-i".into(), key.into()]);
        }
        if let Some(known) = &self.known_hosts {
            let quoted = known.display().to_string().replace('%', "%%");
            options.extend(["-o".into(), format!("UserKnownHostsFile=\"{quoted}\"").into()]);
            options.extend(["-o".into(), "GlobalKnownHostsFile=/dev/null".into()]);
        }
        options
    }
}
