//! Running short programs to their end. Not for what keeps running: that is `process`.

use std::env;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Where Debian keeps the programs of root; a user's PATH often lacks them, also under sudo.
const ROOT_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// PATH with the folders of root's programs behind it.
pub fn search_path() -> String {
    let mut path = env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned());
    for folder in ROOT_FOLDERS {
        if !path.split(':').any(|present| present == folder) {
            path.push(':');
            path.push_str(folder);
        }
    }
    path
}

/// The full path of `program`, if it is installed.
pub fn find(program: &str) -> Option<PathBuf> {
    search_path().split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
}

/// A command with the wider PATH, without input.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", search_path()).stdin(Stdio::null());
    command
}

/// The same, killed when the caller is: for what takes longer, or writes into the state of a cluster.
pub fn mortal_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = command("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// Runs `words` to the end; its output, or an error with what it said.
pub fn run(words: &[&str]) -> Result<String> {
    let (program, arguments) = words.split_first().context("an empty command")?;
    finish(command(program).args(arguments), None)
}

/// Runs a command with `input` on its standard input.
pub fn run_with_input(command: &mut Command, input: &str) -> Result<String> {
    finish(command, Some(input))
}

fn finish(command: &mut Command, input: Option<&str>) -> Result<String> {
    let shown = format!("{} {}", command.get_program().display(), shown_arguments(command));
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {shown}"))?;
    if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
        pipe.write_all(input.as_bytes()).with_context(|| format!("failed to write to {shown}"))?;
    }
    let output = child.wait_with_output().with_context(|| format!("failed to run {shown}"))?;
    if !output.status.success() {
        bail!("{shown}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn shown_arguments(command: &Command) -> String {
    command.get_args().map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
