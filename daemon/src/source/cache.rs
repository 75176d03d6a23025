//! The mirror's folder: made, locked, swept after a crash, rebuilt when damaged.
//!
//! Whoever writes holds the lock file beside the folder; the operating system releases it when a process is killed, so
//! lock and temporary files that are found while holding it are left-overs, and are removed.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tidegate_core::ids::Digest;
use tokio_util::sync::CancellationToken;

use super::config::SourceConfig;
use super::error::{SourceError, chain, clean};
use crate::programs::find;

/// How long another process may hold the mirror.
const LOCK_DEADLINE: Duration = Duration::from_secs(30);
/// How often the lock is tried.
const LOCK_STEP: Duration = Duration::from_millis(20);
/// Folders inside `refs/` that are searched for left-over locks.
const SWEEP_DEPTH: usize = 32;
/// How long one repack may take.
const REPACK_DEADLINE: Duration = Duration::from_mins(10);

/// Where the mirror is.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    object_bytes: u64,
}

/// Held while the mirror is written.
#[derive(Debug)]
pub(super) struct Locked {
    _file: File,
}

impl Cache {
    pub fn new(config: &SourceConfig) -> Self {
        let digest = config.url.digest();
        let name = format!("{}.git", digest.as_str().get(..32).unwrap_or_else(|| digest.as_str()));
        Self { folder: config.cache_dir.join(name), object_bytes: config.limits.object_bytes }
    }

    /// The mirror's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits for the lock, within reason.
    pub fn lock(&self, stop: &CancellationToken) -> Result<Locked, SourceError> {
        if let Some(parent) = self.folder.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)
                .map_err(|error| self.error(&error))?;
        }
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.beside("lock"))
            .map_err(|error| self.error(&error))?;
        let deadline = Instant::now() + LOCK_DEADLINE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Locked { _file: file }),
                Err(TryLockError::Error(error)) => return Err(self.error(&error)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline && !stop.is_cancelled() => {
                    std::thread::sleep(LOCK_STEP);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(self.failed("another process has been writing it for too long"));
                }
            }
        }
    }

    /// Opens the mirror, or makes it when there is none. What a killed process left is removed first.
    pub fn open_or_make(&self, _locked: &Locked) -> Result<gix::Repository, SourceError> {
        for leftover in ["new", "old"] {
            remove(&self.beside(leftover)).map_err(|error| self.error(&error))?;
        }
        if self.folder.exists() {
            sweep(&self.folder);
            return self.open();
        }
        let fresh = self.beside("new");
        fs::DirBuilder::new().mode(0o700).create(&fresh).map_err(|error| self.error(&error))?;
        let create = gix::create::Options::default();
        gix::ThreadSafeRepository::init_opts(&fresh, gix::create::Kind::Bare, create, self.options())
            .map_err(|error| self.failed(&error.to_string()))?;
        fs::rename(&fresh, &self.folder).map_err(|error| self.error(&error))?;
        self.open()
    }

    /// Opens the mirror as it is.
    pub fn open(&self) -> Result<gix::Repository, SourceError> {
        let opened = self.options().open(&self.folder).map_err(|error| self.failed(&error.to_string()))?;
        Ok(opened.to_thread_local())
    }

    /// Removes the mirror; the next `open_or_make` makes an empty one. The commits that the refs below a folder name
    /// stay [`remembered`](Self::remembered).
    pub fn discard(&self, _locked: &Locked, below: &str) -> Result<(), SourceError> {
        self.remember(below).map_err(|error| self.error(&error))?;
        let old = self.beside("old");
        remove(&old).map_err(|error| self.error(&error))?;
        // Renamed first, so that a crash leaves no half of a mirror.
        if self.folder.exists() {
            fs::rename(&self.folder, &old).map_err(|error| self.error(&error))?;
        }
        remove(&old).map_err(|error| self.error(&error))
    }

    /// Writes down, beside the mirror, the commits that the loose refs below a folder name: in the new mirror a ref
    /// cannot name a commit that is not there yet. Read without gix, which may be unable to open the repository.
    fn remember(&self, below: &str) -> std::io::Result<()> {
        for path in files_below(&self.folder.join(below)) {
            let Ok(name) = path.strip_prefix(&self.folder) else { continue };
            let Ok(text) = fs::read_to_string(&path) else { continue };
            if gix::ObjectId::from_hex(text.trim().as_bytes()).is_ok() {
                fs::write(self.memory(&name.to_string_lossy()), text)?;
            }
        }
        Ok(())
    }

    /// The commit that a ref named before the mirror was rebuilt.
    pub fn remembered(&self, name: &str) -> Option<gix::ObjectId> {
        let text = fs::read_to_string(self.memory(name)).ok()?;
        gix::ObjectId::from_hex(text.trim().as_bytes()).ok()
    }

    /// The ref names a commit again.
    pub fn forget(&self, name: &str) {
        // There is nothing to forget as a rule; what stays is overruled by the ref.
        let _ = fs::remove_file(self.memory(name));
    }

    fn memory(&self, name: &str) -> PathBuf {
        let digest = Digest::of(name.as_bytes());
        self.beside(&format!("good-{}", digest.as_str().get(..16).unwrap_or_default()))
    }

    /// How many packs the mirror has.
    pub fn packs(&self) -> usize {
        let Ok(entries) = fs::read_dir(self.folder.join("objects/pack")) else { return 0 };
        entries.flatten().filter(|entry| entry.path().extension().is_some_and(|name| name == "pack")).count()
    }

    /// Makes one pack of many with the `git` program; without it, or in trouble, the packs stay as they are.
    pub fn repack(&self, _locked: &Locked, stop: &CancellationToken) {
        let Some(git) = find("git") else { return };
        let mut command = std::process::Command::new(git);
        command.arg("--git-dir").arg(&self.folder).args(["repack", "-a", "-d", "-q"]).env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", &self.folder);
        let quiet = std::process::Stdio::null;
        let Ok(mut child) = command.stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn() else { return };
        let deadline = Instant::now() + REPACK_DEADLINE;
        loop {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return,
                Ok(Some(status)) => {
                    tracing::warn!(%status, folder = %self.folder.display(), "source: the mirror was not repacked");
                    return;
                }
                Ok(None) if Instant::now() < deadline && !stop.is_cancelled() => {
                    std::thread::sleep(LOCK_STEP);
                }
                Ok(None) | Err(_) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return;
                }
            }
        }
    }

    /// An error about this cache.
    pub fn failed(&self, reason: &str) -> SourceError {
        SourceError::Cache { folder: self.folder.display().to_string(), reason: clean(reason) }
    }

    fn error(&self, error: &(dyn std::error::Error + 'static)) -> SourceError {
        self.failed(&chain(error))
    }

    /// No configuration of the user or the machine is read, and no object may be larger than the limit.
    fn options(&self) -> gix::open::Options {
        gix::open::Options::isolated()
            .open_path_as_is(true)
            .with(gix::sec::Trust::Full)
            .config_overrides([format!("gitoxide.objects.allocLimit={}", self.object_bytes)])
    }

    fn beside(&self, what: &str) -> PathBuf {
        self.folder.with_extension(what)
    }
}

/// Removes the lock files of refs and the half-written packs of a process that was killed. For whoever has the folder alone.
pub(crate) fn sweep(folder: &Path) {
    let _ = fs::remove_file(folder.join("packed-refs.lock"));
    let _ = fs::remove_file(folder.join("HEAD.lock"));
    for path in files_below(&folder.join("refs")) {
        if path.extension().is_some_and(|extension| extension == "lock") {
            let _ = fs::remove_file(path);
        }
    }
    let Ok(entries) = fs::read_dir(folder.join("objects/pack")) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let kept = path.extension().is_some_and(|extension| extension == "pack" || extension == "idx");
        if !kept || entry.file_name().as_encoded_bytes().starts_with(b".") {
            let _ = fs::remove_file(path);
        }
    }
}

/// The files below a folder of refs, as far as they can be listed.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < SWEEP_DEPTH => folders.push((entry.path(), depth + 1)),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                Ok(_) | Err(_) => {}
            }
        }
    }
    files
}

/// Removes a folder that may not be there.
pub(crate) fn remove(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
