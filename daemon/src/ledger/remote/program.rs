//! One run of the `git` program: its environment, its settings, its limits. Not what it is asked.
//!
//! Nothing of the user's or the machine's settings of git is read, nobody is asked for anything, no hook of this machine runs, and
//! git may speak the one protocol of the URL only.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::words;
use super::{RemoteConfig, RemoteError};
use crate::ledger::store::failed;
use crate::programs::find;
use crate::programs::run::{Bounds, Cut, Ended, run};
use crate::source::error::{SourceError, clean};
use crate::source::secret::Secret;

/// What is kept of git's complaints.
const COMPLAINT_BYTES: u64 = 16 * 1024;
/// How long the repacking of a log may take.
const TEND_DEADLINE: Duration = Duration::from_mins(10);
/// What git sees of the daemon's environment: programs, temporary files, and the ways out of the network.
const ENVIRONMENT: [&str; 9] = [
    "PATH",
    "TMPDIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];
/// What ssh sees besides: its own settings and keys are up to the user, as for the source.
const SSH_ENVIRONMENT: [&str; 3] = ["HOME", "USER", "SSH_AUTH_SOCK"];
/// The authorities that the daemon is told to trust, as curl is told of them.
const AUTHORITIES: [(&str, &str); 2] =
    [("SSL_CERT_FILE", "GIT_SSL_CAINFO"), ("SSL_CERT_DIR", "GIT_SSL_CAPATH")];

/// Settings that hold whatever else is set.
const SETTINGS: [&str; 8] = [
    "core.hooksPath=/dev/null",
    "credential.helper=",
    "core.askPass=",
    // A redirect would take the token along, to whatever host it names.
    "http.followRedirects=false",
    // Packs are made in `tend`, never beside a fetch, where nobody waits for them.
    "gc.auto=0",
    "maintenance.auto=false",
    // Always a pack, never loose objects: its growth is what bounds a fetch.
    "fetch.unpackLimit=1",
    "submodule.recurse=false",
];

/// What a run said.
pub struct Said {
    /// Whether it ended well.
    pub is_success: bool,
    /// What it printed.
    pub output: String,
    /// What it complained of.
    pub complaints: String,
    /// What must not be shown of either.
    pub secrets: Vec<Secret>,
}

impl Said {
    /// A text of it, fit to be shown.
    pub fn shown(&self, text: &str) -> String {
        words::shown(text, &self.secrets)
    }
}

/// How git is run in one repository for one remote.
pub struct Git<'a> {
    pub config: &'a RemoteConfig,
    /// The program; none where it is looked up.
    pub program: Option<&'a Path>,
    /// The repository of this machine.
    pub folder: &'a Path,
}

impl Git<'_> {
    /// Runs it to its end.
    pub async fn run(&self, arguments: Vec<OsString>, deadline: Duration) -> Result<Said, RemoteError> {
        let (mut command, secrets) = self.command(deadline)?;
        command.args(arguments);
        let bounds = Bounds {
            deadline,
            output_bytes: self.config.limits.output_bytes,
            complaint_bytes: COMPLAINT_BYTES,
        };
        match run(&mut command, bounds).await {
            Ok(Ended { status, output, complaints }) => Ok(Said {
                is_success: status.success(),
                output: String::from_utf8_lossy(&output).into_owned(),
                complaints: String::from_utf8_lossy(&complaints).into_owned(),
                secrets,
            }),
            Err(Cut::Io(reason)) => Err(RemoteError::Program { reason }),
            Err(Cut::Hangs) => {
                Err(self.unreachable(format!("no answer within {} s", deadline.as_secs_f32())))
            }
            Err(Cut::Babbles) => {
                let most = self.config.limits.output_bytes;
                Err(self.unreachable(format!("git printed more than {most} bytes about it")))
            }
        }
    }

    /// No answer came that could be used.
    pub fn unreachable(&self, reason: String) -> RemoteError {
        RemoteError::Unreachable { url: self.config.url.to_string(), reason }
    }

    /// The error of a run that failed without a word about a ref.
    pub fn failure(&self, said: &Said) -> RemoteError {
        let url = self.config.url.to_string();
        let reason = said.shown(&words::complaint(&said.complaints));
        let reason = if reason.is_empty() { "git failed without a word".to_owned() } else { reason };
        // Ours, not the remote's: git names the folder that it was given.
        if said.complaints.contains(&format!("not a git repository: '{}'", self.folder.display())) {
            return RemoteError::Damaged(failed("use the local repository with git")(reason));
        }
        if words::is_denied(&said.complaints) {
            return RemoteError::Denied { url, reason };
        }
        RemoteError::Unreachable { url, reason }
    }

    /// The program, and what must not be shown of what it says.
    fn command(&self, deadline: Duration) -> Result<(Command, Vec<Secret>), RemoteError> {
        let url = &self.config.url;
        let mut command = hermetic(self.program, self.folder)?;
        command.env("GIT_ALLOW_PROTOCOL", url.protocol());
        for (ours, gits) in AUTHORITIES {
            if let Some(value) = std::env::var_os(ours) {
                command.env(gits, value);
            }
        }
        if url.protocol() == "ssh" {
            for name in SSH_ENVIRONMENT {
                pass(&mut command, name);
            }
            command.env("GIT_SSH_VARIANT", "ssh").env("GIT_SSH_COMMAND", self.ssh(deadline));
        }
        let mut secrets = Vec::new();
        if let Some(basic) = self.config.credentials.basic(url).map_err(local)? {
            let header = basic.header();
            // In the environment, because everybody on the machine reads arguments.
            command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "http.extraHeader");
            command.env("GIT_CONFIG_VALUE_0", format!("Authorization: {}", header.expose()));
            let encoded = header.expose().strip_prefix("Basic ").unwrap_or_default().to_owned();
            secrets.extend([Secret::new(encoded), basic.password]);
        }
        Ok((command, secrets))
    }

    /// What git calls for ssh. A shell reads it: every word is quoted.
    fn ssh(&self, deadline: Duration) -> OsString {
        let mut line = OsString::from("ssh");
        for option in self.config.credentials.ssh.options(deadline) {
            line.push(" ");
            line.push(quoted(&option));
        }
        line
    }
}

/// Git in a repository, without anybody's settings.
fn hermetic(program: Option<&Path>, folder: &Path) -> Result<Command, RemoteError> {
    let absent = || RemoteError::Program { reason: "there is no such program in PATH".to_owned() };
    let program: PathBuf = program.map(Path::to_owned).or_else(|| find("git")).ok_or_else(absent)?;
    let mut command = Command::new(program);
    command.env_clear().arg("--git-dir").arg(folder);
    for setting in SETTINGS {
        command.arg("-c").arg(setting);
    }
    for name in ENVIRONMENT {
        pass(&mut command, name);
    }
    // Git and curl look for settings and passwords (`.netrc`) in the home.
    command.env("HOME", folder);
    for (name, value) in [
        ("LC_ALL", "C"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
    ] {
        command.env(name, value);
    }
    Ok(command)
}

fn pass(command: &mut Command, name: &str) {
    if let Some(value) = std::env::var_os(name) {
        command.env(name, value);
    }
}

fn quoted(word: &std::ffi::OsStr) -> OsString {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let mut bytes = vec![b'\''];
    for byte in word.as_bytes() {
        match byte {
            b'\'' => bytes.extend(b"'\\''"),
            other => bytes.push(*other),
        }
    }
    bytes.push(b'\'');
    OsString::from_vec(bytes)
}

fn local(error: SourceError) -> RemoteError {
    match error {
        SourceError::Local { what, reason } => RemoteError::Local { what, reason },
        other => RemoteError::Local { what: "the credentials".to_owned(), reason: other.to_string() },
    }
}

/// Makes packs of what lies loose, and few of many: each is at least twice as large as all smaller ones, so that a log of any length
/// has a handful, and no record is rewritten more often than the log doubles. Nothing is dropped.
pub async fn tend(folder: &Path) -> Result<(), RemoteError> {
    let mut command = hermetic(None, folder)?;
    command.args(["repack", "-d", "-l", "-q", "--geometric=2"]);
    let bounds =
        Bounds { deadline: TEND_DEADLINE, output_bytes: COMPLAINT_BYTES, complaint_bytes: COMPLAINT_BYTES };
    let not_done = |reason: String| RemoteError::Program { reason };
    match run(&mut command, bounds).await {
        Ok(ended) if ended.status.success() => Ok(()),
        Ok(ended) => Err(not_done(clean(&String::from_utf8_lossy(&ended.complaints)))),
        Err(Cut::Io(reason)) => Err(not_done(reason)),
        Err(Cut::Hangs) => Err(not_done(format!("no end of repacking within {} s", TEND_DEADLINE.as_secs()))),
        Err(Cut::Babbles) => Err(not_done("it printed without end".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_the_shell_are_quoted() {
        assert_eq!(quoted("a b".as_ref()), "'a b'");
        assert_eq!(quoted("it's $(id)".as_ref()), "'it'\\''s $(id)'");
    }
}
