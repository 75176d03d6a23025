//! What the machine must have: Linux, root, and programs of Debian packages. Rust and Go are checked by
//! `deploy/prerequisites.sh`, before there is anything to run this with.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::command::{command, find};

/// A program, or a CNI plugin by its full path, and the Debian package that has it.
const NEEDED: [(&str, &str); 14] = [
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("/usr/lib/cni/host-local", "containernetworking-plugins"),
    ("/usr/lib/cni/portmap", "containernetworking-plugins"),
    ("iptables", "iptables"),
    ("ip", "iproute2"),
    ("conntrack", "conntrack"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("setsid", "util-linux"),
    ("setpriv", "util-linux"),
    ("mount", "mount"),
];

/// The Debian packages that are missing for a cluster.
pub fn missing_packages() -> Vec<&'static str> {
    let mut missing: Vec<&str> =
        NEEDED.iter().filter(|(program, _)| find(program).is_none()).map(|(_, package)| *package).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

/// The command that installs them.
pub fn install_command(packages: &[&str]) -> String {
    format!("apt-get install --yes --no-install-recommends {}", packages.join(" "))
}

/// One clear line when packages are missing.
pub fn require_programs() -> Result<()> {
    let missing = missing_packages();
    ensure!(
        missing.is_empty(),
        "a local cluster needs these Debian packages: {}; as root: {}",
        missing.join(" "),
        install_command(&missing)
    );
    Ok(())
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Installs what is missing with apt-get, as root or by sudo.
pub fn install() -> Result<()> {
    let missing = missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    ensure!(find("apt-get").is_some(), "this is not Debian; install by hand: {}", missing.join(" "));
    run_apt(&["update", "--quiet"])?;
    let mut words = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    words.extend(&missing);
    run_apt(&words)?;
    require_programs()
}

fn run_apt(words: &[&str]) -> Result<()> {
    let mut apt: Command = if is_root() { command("apt-get") } else { command("sudo") };
    if !is_root() {
        apt.arg("apt-get");
    }
    // A restart of services that the packages bring would be none of our business; questions have nobody to answer.
    apt.env("DEBIAN_FRONTEND", "noninteractive").args(words);
    let status = apt.stdin(std::process::Stdio::inherit()).status().context("failed to start apt-get")?;
    if !status.success() {
        bail!("apt-get {}: {status}", words.join(" "));
    }
    Ok(())
}
