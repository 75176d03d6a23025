//! Becoming root: once, by sudo. What needs no root stays with the caller.

use std::env;
use std::io::{IsTerminal, stdin};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::command::find;
use crate::parts::cache_folder;
use crate::prerequisites::{install_command, is_root, missing_packages};

/// How this process can get the rights of root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Already,
    /// sudo may ask for a password, as there is a terminal to ask at.
    Asking,
    /// sudo asks this user for nothing.
    Silently,
}

impl Way {
    fn find() -> Result<Self> {
        ensure!(
            cfg!(target_os = "linux"),
            "a local cluster needs Linux: its nodes are namespaces of the kernel"
        );
        if is_root() {
            return Ok(Self::Already);
        }
        if find("sudo").is_none() {
            bail!("{}", needs_root("run this as root"));
        }
        if stdin().is_terminal() {
            return Ok(Self::Asking);
        }
        let silent = command_of_sudo(Self::Silently).arg("true").stderr(Stdio::null()).status();
        if silent.is_ok_and(|status| status.success()) {
            return Ok(Self::Silently);
        }
        bail!("{}", needs_root("run this with sudo, or at a terminal, where sudo can ask"))
    }
}

/// One line: what is needed, what to do, and what else is missing.
fn needs_root(advice: &str) -> String {
    let missing = missing_packages();
    let packages = if missing.is_empty() {
        String::new()
    } else {
        format!("; missing Debian packages: {}; as root: {}", missing.join(" "), install_command(&missing))
    };
    format!("a local cluster needs root, for namespaces and a bridge: {advice}{packages}")
}

/// One clear line when this is not root on Linux.
///
/// # Errors
/// When it is not.
pub fn require_root() -> Result<()> {
    match Way::find()? {
        Way::Already => Ok(()),
        Way::Asking | Way::Silently => bail!("{}", needs_root("run this with sudo")),
    }
}

/// Fails with one line where this process can never become root, before anything is built for nothing.
///
/// # Errors
/// When there is no sudo, or nobody whom it could ask for a password that it needs.
pub fn require_way_to_root() -> Result<()> {
    Way::find().map(drop)
}

/// Starts this command again by sudo, which asks once at most, unless this is root already.
///
/// # Errors
/// As [`require_way_to_root`], and when sudo does not start.
pub fn become_root() -> Result<()> {
    let way = Way::find()?;
    if way == Way::Already {
        return Ok(());
    }
    let cache = format!("TIDEGATE_CACHE={}", cache_folder()?.display());
    let path = format!("PATH={}", env::var("PATH").unwrap_or_default());
    let program = env::current_exe().context("failed to find this program")?;
    // Only returns when sudo cannot be started.
    let error =
        command_of_sudo(way).args(["env", &cache, &path]).arg(program).args(env::args_os().skip(1)).exec();
    Err(error).context("a local cluster needs root, and sudo does not start")
}

fn command_of_sudo(way: Way) -> Command {
    let mut sudo = Command::new("sudo");
    if way == Way::Silently {
        sudo.arg("--non-interactive");
    }
    sudo
}
