//! Git through a program: `ssh` for remote hosts, `git upload-pack` for repositories of this machine.
//!
//! Each runs in its own process group with a cleared environment, and the group is killed at the deadline.

use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::git::ConnectMode;
use gix::protocol::transport::client::git::blocking_io::Connection;

use super::Line;
use super::guard::{Guard, Watchdog};
use crate::programs::find;
use crate::source::config::SshSettings;
use crate::source::error::{SourceError, clean};

/// What is kept of a program's messages.
const MESSAGE_BYTES_MAX: u64 = 8 * 1024;
/// How long a program may take to leave after its input ended, in steps.
const LEAVE_STEPS: u32 = 50;
/// One of these steps.
const LEAVE_STEP: Duration = Duration::from_millis(10);
/// The environment that programs see.
const ENVIRONMENT: [&str; 6] = ["PATH", "HOME", "USER", "LANG", "SSH_AUTH_SOCK", "TMPDIR"];

/// Who is called through ssh.
pub(super) struct SshAddress<'a> {
    pub user: Option<&'a str>,
    pub host: &'a str,
    pub port: Option<u16>,
    pub path: &'a str,
}

/// `git upload-pack` in a folder.
pub(super) fn local(path: &Path, guard: &Arc<Guard>) -> Result<Line, SourceError> {
    if !path.is_dir() {
        let reason = "there is no such folder".to_owned();
        return Err(SourceError::Unreachable { url: guard.url.clone(), reason });
    }
    let mut command = program("git")?;
    command.arg("upload-pack").arg("--").arg(path);
    connection("git", command, guard)
}

/// `git-upload-pack` at the other end of `ssh`.
pub(super) fn ssh(
    address: &SshAddress<'_>,
    settings: &SshSettings,
    guard: &Arc<Guard>,
) -> Result<Line, SourceError> {
    let SshAddress { user, host, port, path } = address;
    let mut command = program("ssh")?;
    command.args(settings.options(guard.remaining()));
    if let Some(port) = port {
        command.arg("-p").arg(port.to_string());
    }
    if let Some(user) = user {
        command.arg("-l").arg(user);
    }
    // The remote shell reads this line, so the path is quoted as git quotes it.
    command
        .arg("--")
        .arg(host)
        .arg(format!("git-upload-pack '{}'", path.replace('\'', "'\\''").replace('!', "'\\!'")));
    connection("ssh", command, guard)
}

fn program(program: &'static str) -> Result<Command, SourceError> {
    let file = find(program).ok_or_else(|| {
        let reason = "there is no such program in PATH".to_owned();
        SourceError::Program { program, reason }
    })?;
    Ok(Command::new(file))
}

fn connection(program: &'static str, mut command: Command, guard: &Arc<Guard>) -> Result<Line, SourceError> {
    command.env_clear().env("GIT_PROTOCOL", "version=2").env("LC_ALL", "C");
    for name in ENVIRONMENT {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let failed = |error: io::Error| SourceError::Program { program, reason: error.to_string() };
    let mut child = command.spawn().map_err(failed)?;
    let (input, output, messages) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let process =
        Process { child: Arc::new(Mutex::new(Running(child))), messages: Arc::default(), listener: None };
    let (Some(input), Some(output), Some(messages)) = (input, output, messages) else {
        return Err(SourceError::Program { program, reason: "it has no standard streams".to_owned() });
    };
    let process = process.listening(messages);
    let running = Arc::clone(&process.child);
    let watchdog = guard.watchdog(move || running.lock().unwrap_or_else(PoisonError::into_inner).kill());
    let reader = Reader { output, process, guard: Arc::clone(guard), _watchdog: watchdog };
    let none = None::<(String, Option<u16>)>;
    let line: Connection<Reader, ChildStdin> =
        Connection::new(reader, input, Protocol::V2, "", none, ConnectMode::Process, false);
    Ok(Box::new(line.custom_url(Some(guard.url.clone().into()))))
}

/// A child that is killed, with its group, when it is dropped.
#[derive(Debug)]
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        // A child that was waited for has no group any more; its number may belong to someone else.
        if let Ok(None) = self.0.try_wait()
            && let Some(group) = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for _ in 0..LEAVE_STEPS {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LEAVE_STEP);
        }
        self.kill();
        let _ = self.0.wait();
    }
}

/// The program and what it said.
#[derive(Debug)]
struct Process {
    child: Arc<Mutex<Running>>,
    messages: Arc<Mutex<Vec<u8>>>,
    listener: Option<std::thread::JoinHandle<()>>,
}

impl Process {
    /// Reads the program's messages beside it: the first of them are kept, the rest must not block it.
    fn listening(mut self, mut messages: impl Read + Send + 'static) -> Self {
        let kept = Arc::clone(&self.messages);
        self.listener = Some(std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = messages.by_ref().take(MESSAGE_BYTES_MAX).read_to_end(&mut text);
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = text;
            let _ = io::copy(&mut messages, &mut io::sink());
        }));
        self
    }

    /// What it said, once it is gone.
    fn last_words(&mut self) -> String {
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        let text = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        clean(&String::from_utf8_lossy(&text))
    }
}

/// What the program sends, counted.
struct Reader {
    output: ChildStdout,
    process: Process,
    guard: Arc<Guard>,
    _watchdog: Watchdog,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.output.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            return self.ended();
        }
        self.guard.spend(read)?;
        Ok(read)
    }
}

impl Reader {
    /// The protocol never ends by itself: a program that leaves has something to say.
    fn ended(&mut self) -> io::Result<usize> {
        let said = self.process.last_words();
        if said.is_empty() {
            return Ok(0);
        }
        Err(self.guard.fail(SourceError::Unreachable { url: self.guard.url.clone(), reason: said }))
    }
}
