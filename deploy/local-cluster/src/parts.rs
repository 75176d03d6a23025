//! The programs of a cluster that Debian does not have, built from Go modules into a cache.
//!
//! Each part is a `go.mod` with `tool` lines and its `go.sum`, carried inside this crate. Its folder in the cache
//! is named by the digest of both and of the Go version, appears in one step when the build is whole, and is never
//! changed after. Not for images or Debian packages.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::command::{command, mortal_command, run_with_input};
use crate::files::{self, Access};
use crate::image::{self, Image};
use crate::progress::Step;
use crate::wait::Limit;

pub const KUBERNETES_VERSION: &str = "1.35.4";
/// The image that holds a pod's namespaces open.
pub const PAUSE_IMAGE: &str = "docker.io/local/pause:1";

/// A cold build of Kubernetes takes six minutes on two cores; a slow network and one core are reckoned in.
const BUILD_LIMIT: Limit = Limit::new("building a part", 3600, 200);
const SAID_EVERY: Duration = Duration::from_secs(10);

/// One Go module with the programs it gives.
struct Part {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// What to build: the module's tools, or the module itself.
    target: &'static str,
    /// The name that Go gives a program, where it is not the wanted one.
    rename: Option<(&'static str, &'static str)>,
}

macro_rules! go_files {
    ($part:literal, $($file:literal),+) => {
        &[$(($file, include_str!(concat!("../go/", $part, "/", $file)))),+]
    };
}

const PARTS: [Part; 5] = [
    Part { name: "pause", files: go_files!("pause", "go.mod", "main.go"), target: ".", rename: None },
    Part {
        name: "etcd",
        files: go_files!("etcd", "go.mod", "go.sum"),
        target: "tool",
        rename: Some(("server", "etcd")),
    },
    Part {
        name: "kubernetes",
        files: go_files!("kubernetes", "go.mod", "go.sum"),
        target: "tool",
        rename: None,
    },
    Part { name: "coredns", files: go_files!("coredns", "go.mod", "go.sum"), target: "tool", rename: None },
    Part {
        name: "metrics-server",
        files: go_files!("metrics-server", "go.mod", "go.sum"),
        target: "tool",
        rename: None,
    },
];

/// The built programs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Parts {
    etcd: PathBuf,
    kubernetes: PathBuf,
    coredns: PathBuf,
    metrics_server: PathBuf,
    pause: PathBuf,
}

impl Parts {
    /// Builds what is not in the cache yet; takes a second when all of it is.
    pub fn ensure() -> Result<Self> {
        let cache = cache_folder()?.join("parts");
        files::create_folder(&cache)?;
        let go = go_version(&cache)?;
        let [pause, etcd, kubernetes, coredns, metrics_server] = PARTS.each_ref().map(|part| {
            let place = PARTS.iter().position(|other| other.name == part.name).unwrap_or_default() + 1;
            part.ensure(&cache, &go, &format!("building {} ({place} of {})", part.name, PARTS.len()))
        });
        Ok(Self {
            pause: pause?,
            etcd: etcd?,
            kubernetes: kubernetes?,
            coredns: coredns?,
            metrics_server: metrics_server?,
        })
    }

    /// Whether they are still in the cache.
    pub fn exist(&self) -> bool {
        let Self { etcd, kubernetes, coredns, metrics_server, pause } = self;
        [etcd, kubernetes, coredns, metrics_server, pause].into_iter().all(|folder| folder.is_dir())
    }

    /// A program of Kubernetes itself: `kubectl`, `kubelet`, `kube-apiserver`, and so on.
    pub fn kubernetes(&self, program: &str) -> PathBuf {
        self.kubernetes.join(program)
    }

    /// The folder with the programs of Kubernetes.
    pub fn kubernetes_folder(&self) -> &Path {
        &self.kubernetes
    }

    pub fn etcd(&self) -> PathBuf {
        self.etcd.join("etcd")
    }

    pub fn coredns(&self) -> PathBuf {
        self.coredns.join("coredns")
    }

    pub fn metrics_server(&self) -> PathBuf {
        self.metrics_server.join("metrics-server")
    }

    /// The docker-archive of `PAUSE_IMAGE`.
    pub fn pause_archive(&self) -> PathBuf {
        self.pause.join("pause.tar")
    }
}

impl Part {
    fn ensure(&self, cache: &Path, go: &str, title: &str) -> Result<PathBuf> {
        let folder = cache.join(format!("{}-{}", self.name, self.digest(go)));
        if folder.is_dir() {
            return Ok(folder);
        }
        let lock = cache.join(format!("{}.lock", self.name));
        let lock = File::create(&lock).with_context(|| format!("failed to open {}", lock.display()))?;
        BUILD_LIMIT.wait(|| Ok(lock.try_lock().ok())).context("another build goes on")?;
        if folder.is_dir() {
            return Ok(folder);
        }
        self.build(&folder, title).with_context(|| format!("failed to build {}", self.name))?;
        Ok(folder)
    }

    fn digest(&self, go: &str) -> String {
        let mut hash = Sha256::new();
        for (name, content) in self.files {
            hash.update(format!("{name} {}\n{content}", content.len()));
        }
        hash.update(format!("{go} {}", link_flags()));
        image::hexadecimal(&hash.finalize()).chars().take(16).collect()
    }

    /// Builds in a draft folder beside the final one, which appears by one rename.
    fn build(&self, folder: &Path, title: &str) -> Result<()> {
        let draft = folder.with_extension("draft");
        if draft.exists() {
            fs::remove_dir_all(&draft).context("failed to clear an unfinished build")?;
        }
        let (source, out) = (draft.join("source"), draft.join("out"));
        files::create_folder(&source)?;
        files::create_folder(&out)?;
        for (name, content) in self.files {
            files::write(&source.join(name), content, Access::Public)?;
        }
        let mut step = Step::start(title);
        run_go(&source, &out, self.target, &mut step)?;
        if let Some((from, to)) = self.rename {
            fs::rename(out.join(from), out.join(to)).with_context(|| format!("failed to rename {from}"))?;
        }
        if self.name == "pause" {
            let image = Image::of_binary(PAUSE_IMAGE, out.join("pause"));
            image::pack(&image, &out.join("pause.tar"))?;
        }
        fs::rename(&out, folder).with_context(|| format!("failed to put {} in place", folder.display()))?;
        fs::remove_dir_all(&draft).context("failed to clear a finished build")?;
        step.done();
        Ok(())
    }
}

/// Runs `go build`, whose output is shown only when it fails.
fn run_go(source: &Path, out: &Path, target: &str, step: &mut Step) -> Result<()> {
    let log_path = out.with_extension("log");
    let log = File::create(&log_path).context("failed to create the log of a build")?;
    let mut child = mortal_command("go")
        .args(["build", "-trimpath", "-buildvcs=false", "-ldflags", &link_flags(), "-o"])
        .arg(format!("{}/", out.display()))
        .arg(target)
        .current_dir(source)
        // A go.work or flags of the caller must not change what is built; the static binaries need no libc.
        .envs([("CGO_ENABLED", "0"), ("GOWORK", "off"), ("GOFLAGS", "-mod=readonly")])
        .stdout(log.try_clone().context("failed to share a log")?)
        .stderr(Stdio::from(log))
        .spawn()
        .context("failed to start go")?;
    let status = BUILD_LIMIT.wait(|| {
        step.still(SAID_EVERY);
        Ok(child.try_wait()?)
    });
    if status.is_err() {
        // Past its limit: it must not go on behind our back.
        let _ = child.kill();
    }
    if status?.success() {
        return Ok(());
    }
    let said = fs::read_to_string(&log_path).unwrap_or_default();
    let last: Vec<&str> = said.lines().rev().take(20).collect();
    bail!("go build: {}", last.into_iter().rev().collect::<Vec<_>>().join("\n"))
}

/// Without these the API server calls itself v0.0.0-master, and clients refuse it.
fn link_flags() -> String {
    let mut flags = "-s -w".to_owned();
    let mut numbers = KUBERNETES_VERSION.split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        let set = format!(
            " -X {package}.gitVersion=v{KUBERNETES_VERSION} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
        );
        flags.push_str(&set);
    }
    flags
}

/// Asked in a folder without a go.mod, as the caller's may choose another toolchain.
fn go_version(folder: &Path) -> Result<String> {
    let mut go = command("go");
    go.args(["env", "GOVERSION"]).env("GOWORK", "off").current_dir(folder);
    let version = run_with_input(&mut go, "").context("Go 1.26 or later is needed")?;
    Ok(version.trim().to_owned())
}

/// `$TIDEGATE_CACHE`, `$XDG_CACHE_HOME/tidegate` or `~/.cache/tidegate`.
pub fn cache_folder() -> Result<PathBuf> {
    let from = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("TIDEGATE_CACHE")
        .or_else(|| Some(from("XDG_CACHE_HOME")?.join("tidegate")))
        .or_else(|| Some(from("HOME")?.join(".cache/tidegate")))
        .context("no folder for the cache: set TIDEGATE_CACHE")
}
