//! The local repository of one log: made, locked, made again when damaged, and kept small. Records are appended here, and pushed from
//! here.
//!
//! One bare repository for each log, so that no environment waits for another, and damage to one is damage to one. It is a cache:
//! what was pushed comes back from the remote, and what was not is still in the queue of the cluster. So whoever writes
//! - opens ([`Local::open`]), which no second daemon can do meanwhile,
//! - takes the log from the remote ([`Local::adopt`]), which says whether it is still ours ([`Adopted`]),
//! - takes a pen ([`Local::pen`]), appends what it does not hold already ([`super::Pen::holds`]), and pushes ([`Local::push`]);
//! - keeps outcomes until the answer is [`Answer::Pushed`]; on [`Answer::Moved`] adopts again, and on what cannot be read
//!   ([`RemoteError::Damaged`], or a pen that cannot be taken) calls [`Local::rebuild`] and adopts again;
//! - tends the repository now and then ([`Local::tend`]).

mod adopt;

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::refs::transaction::PreviousValue;
use tidegate_core::ids::Digest;
use tidegate_core::ledger::{Branch, ClusterName, Fingerprint};

pub use adopt::Adopted;
use adopt::{Mark, decide};

use super::name::LogName;
use super::pen::Pen;
use super::remote::{Answer, Push, Remote, RemoteError, tend};
use super::store::{Store, StoreError, failed};
use crate::source::cache::{remove, sweep};
use crate::source::error::chain;
use crate::source::url::SourceUrl;

/// Where own branches are.
const HEADS: &str = "refs/heads/";
/// What is said in the reflog, which is off.
const REFLOG: &str = "tidegate: taken from the remote";
/// Loose objects that are packed at last: some 800 records.
pub const LOOSE: usize = 4_000;
/// Packs that are made fewer at last.
const PACKS: usize = 30;
/// The longest note of what was pushed.
const NOTE_BYTES: u64 = 1024;

/// Why the local repository cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Another process writes there.
    #[error("another daemon writes the log in {folder}")]
    Held {
        /// Which.
        folder: String,
    },
    /// The disk.
    #[error("failed to use the local log in {folder}: {reason}")]
    Disk {
        /// Which.
        folder: String,
        /// What the operating system or gix said.
        reason: String,
    },
    /// It cannot be read or written.
    #[error("failed to use the local log")]
    Store(#[from] StoreError),
    /// The remote gave no answer.
    #[error("failed to use the log's remote")]
    Remote(#[from] RemoteError),
}

/// The local repository of one log, for the one who writes it.
#[derive(Debug)]
pub struct Local {
    folder: PathBuf,
    log: LogName,
    /// What the remote was last known to have: the next push expects it there.
    mark: Option<Mark>,
    lock: File,
}

/// The lock is let go of by name: a program that another thread is just starting holds a copy of the file for a moment.
impl Drop for Local {
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            tracing::debug!(%error, "failed to unlock the local log");
        }
    }
}

impl Local {
    /// Opens the repository of a log below the daemon's cache folder, or makes it. Blocks.
    pub fn open(cache: &Path, url: &SourceUrl, log: LogName) -> Result<Self, LocalError> {
        let digest = Digest::of(format!("{url}\n{log}").as_bytes());
        let name = digest.as_str().get(..32).unwrap_or_else(|| digest.as_str());
        let folder = cache.join("deploylog").join(format!("{name}.git"));
        let disk = |error: &(dyn std::error::Error + 'static)| broken(&folder, chain(error));
        let parent = folder.parent().unwrap_or(cache);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|error| disk(&error))?;
        let lock = File::options().create(true).truncate(false).write(true).open(beside(&folder, "lock"));
        let lock = lock.map_err(|error| disk(&error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LocalError::Held { folder: folder.display().to_string() });
            }
            Err(TryLockError::Error(error)) => return Err(disk(&error)),
        }
        let mark = read_note(&beside(&folder, "pushed"), &log);
        let mut local = Self { folder, log, mark, lock };
        local.clean_up()?;
        if !local.folder.exists() {
            local.make()?;
        } else if !local.is_sound() {
            tracing::warn!(folder = %local.folder.display(), "ledger: the local log is damaged; it is made again from the remote");
            local.rebuild()?;
        }
        Ok(local)
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Which log it is of.
    pub fn log(&self) -> &LogName {
        &self.log
    }

    /// The repository, opened anew: a handle that lives long knows a limited number of new packs.
    pub fn store(&self) -> Result<Store, StoreError> {
        Store::open(&self.folder)
    }

    /// Throws the repository away and makes an empty one. Records that were not pushed are gone from it; what was last pushed stays
    /// known. Blocks.
    pub fn rebuild(&mut self) -> Result<(), LocalError> {
        let old = beside(&self.folder, "old");
        let disk = |error: &std::io::Error| broken(&self.folder, error.to_string());
        remove(&old).map_err(|error| disk(&error))?;
        // Renamed first, so that a crash leaves no half of a repository.
        if self.folder.exists() {
            fs::rename(&self.folder, &old).map_err(|error| disk(&error))?;
        }
        remove(&old).map_err(|error| disk(&error))?;
        self.make()
    }

    /// Takes the log from the remote and says how the two stand. `keys`: those that our records are signed by, former ones too;
    /// `known`: the last commit that is known from elsewhere to have been pushed, for a disk that was lost.
    pub async fn adopt(
        &mut self,
        remote: &impl Remote,
        keys: &BTreeSet<Fingerprint>,
        known: Option<ObjectId>,
    ) -> Result<Adopted, LocalError> {
        let tips = match remote.fetch(&self.folder, &self.log).await {
            Ok(tips) => tips,
            Err(error) => {
                // A fetch that was ended leaves half a pack and locks.
                self.clean_up()?;
                return Err(error.into());
            }
        };
        let (folder, log, keys, mark) =
            (self.folder.clone(), self.log.clone(), keys.clone(), self.mark.clone());
        let decided = tokio::task::spawn_blocking(move || {
            let store = Store::open(&folder)?;
            let (adopted, moved) = decide(&store, &log, &tips, mark.as_ref(), known, &keys)?;
            if let Some((branch, to)) = moved {
                let name = format!("{HEADS}{branch}");
                let set = store.repository().reference(name, to, PreviousValue::Any, REFLOG);
                set.map_err(failed("take the branch from the remote"))?;
            }
            Ok::<_, StoreError>(adopted)
        });
        let decided = decided.await.map_err(|error| broken(&self.folder, error.to_string()))?;
        let adopted = decided?;
        if let Adopted::Ours { branch, remote: Some(at) } = &adopted {
            self.remember(branch, *at);
        }
        Ok(adopted)
    }

    /// The pen where the log goes on: on its branch, or on the next one that is free where somebody else wrote. Blocks: all records
    /// are read.
    pub fn pen(&self, adopted: &Adopted, cluster: ClusterName) -> Result<Pen, StoreError> {
        let store = self.store()?;
        match adopted {
            Adopted::Ours { branch, remote: _ } => Pen::take(&store, branch.clone(), cluster),
            Adopted::Foreign { branch, found, next, reason: _ } => {
                let mut pen = Pen::take(&store, branch.clone(), cluster)?;
                // `next` is a bounded number of epochs ahead.
                while pen.branch() != next && pen.branch().epoch < next.epoch {
                    pen.leave(*found)?;
                }
                Ok(pen)
            }
        }
    }

    /// Pushes what stands on a branch of ours. Done already where the remote is known to have it.
    pub async fn push(&mut self, remote: &impl Remote, branch: &Branch) -> Result<Answer, LocalError> {
        let own = self.store()?.branches(HEADS)?.into_iter().find(|(known, _)| known == branch);
        let expected = self.mark.as_ref().filter(|mark| mark.branch == *branch).map(|mark| mark.tip);
        let Some((_, tip)) = own.filter(|(_, tip)| Some(*tip) != expected) else { return Ok(Answer::Pushed) };
        let push = Push { branch: branch.clone(), tip, expected };
        let answer = remote.push(&self.folder, &push).await?;
        if answer == Answer::Pushed {
            self.remember(branch, tip);
        }
        Ok(answer)
    }

    /// Makes packs of loose objects, once there are more than this many ([`LOOSE`] as a rule), or of too many packs. True where it
    /// was time.
    pub async fn tend(&self, most_loose: usize) -> Result<bool, LocalError> {
        if self.loose(most_loose) <= most_loose && self.packs() <= PACKS {
            return Ok(false);
        }
        let tended = tend(&self.folder).await;
        if tended.is_err() {
            self.clean_up()?;
        }
        tended?;
        Ok(true)
    }

    /// What the remote has by now. A note beside the repository outlives it; without one, a branch that was moved back while the
    /// daemon was down is not noticed here.
    fn remember(&mut self, branch: &Branch, tip: ObjectId) {
        let mark = Mark { branch: branch.clone(), tip };
        if self.mark.as_ref() != Some(&mark) {
            let file = beside(&self.folder, "pushed");
            if let Err(error) = write_note(&file, &mark) {
                tracing::warn!(%error, file = %file.display(), "ledger: what was pushed is not noted");
            }
            self.mark = Some(mark);
        }
    }

    /// Removes what a killed process left. Nobody else is in the folder.
    fn clean_up(&self) -> Result<(), LocalError> {
        for leftover in ["new", "old"] {
            remove(&beside(&self.folder, leftover))
                .map_err(|error| broken(&self.folder, error.to_string()))?;
        }
        sweep(&self.folder);
        Ok(())
    }

    fn make(&self) -> Result<(), LocalError> {
        let fresh = beside(&self.folder, "new");
        let disk = |error: &std::io::Error| broken(&self.folder, error.to_string());
        fs::DirBuilder::new().mode(0o700).create(&fresh).map_err(|error| disk(&error))?;
        let create = gix::create::Options::default();
        let options = gix::open::Options::isolated();
        gix::ThreadSafeRepository::init_opts(&fresh, gix::create::Kind::Bare, create, options)
            .map_err(|error| broken(&self.folder, error.to_string()))?;
        fs::rename(&fresh, &self.folder).map_err(|error| disk(&error))
    }

    /// True when the last commits of ours, and their trees, can be read. What lies below is found damaged by who reads it.
    fn is_sound(&self) -> bool {
        let readable = |store: &Store, id| {
            let commit = store.repository().find_commit(id);
            commit.is_ok_and(|commit| commit.tree().is_ok())
        };
        let sound = |store: &Store| {
            let branches = store.branches(HEADS).ok()?;
            Some(branches.iter().all(|(_, tip)| readable(store, *tip)))
        };
        // Git wants a HEAD that says something; gix does not mind an empty one.
        let head = fs::read_to_string(self.folder.join("HEAD")).unwrap_or_default();
        head.starts_with("ref: refs/") && self.store().is_ok_and(|store| sound(&store) == Some(true))
    }

    /// How many loose objects there are; not counted further than beyond `most`.
    fn loose(&self, most: usize) -> usize {
        let mut count = 0;
        for folder in 0..=u8::MAX {
            let entries = fs::read_dir(self.folder.join(format!("objects/{folder:02x}")));
            count += entries.map_or(0, Iterator::count);
            if count > most {
                break;
            }
        }
        count
    }

    fn packs(&self) -> usize {
        let entries = fs::read_dir(self.folder.join("objects/pack"));
        let is_pack = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|name| name == "pack");
        entries.map_or(0, |entries| entries.flatten().filter(is_pack).count())
    }
}

fn broken(folder: &Path, reason: String) -> LocalError {
    LocalError::Disk { folder: folder.display().to_string(), reason }
}

fn beside(folder: &Path, what: &str) -> PathBuf {
    folder.with_extension(what)
}

/// `BRANCH COMMIT`; none where there is no note, or none of this log.
fn read_note(file: &Path, log: &LogName) -> Option<Mark> {
    use std::io::Read as _;
    let mut text = String::new();
    File::open(file).ok()?.take(NOTE_BYTES).read_to_string(&mut text).ok()?;
    let (branch, tip) = text.trim().split_once(' ')?;
    let mark = Mark { branch: branch.parse().ok()?, tip: ObjectId::from_hex(tip.as_bytes()).ok()? };
    log.has(&mark.branch).then_some(mark)
}

/// Written beside and renamed: a note is whole or the one before.
fn write_note(file: &Path, mark: &Mark) -> std::io::Result<()> {
    let fresh = file.with_extension("pushed-new");
    let mut written = File::create(&fresh)?;
    writeln!(written, "{} {}", mark.branch, mark.tip)?;
    written.sync_all()?;
    fs::rename(&fresh, file)
}
