//! The bare mirror of one repository: opened, polled, moved forward, never moved back without a word.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gix::ObjectId;
use gix::protocol::handshake::Ref;
use gix::refs::transaction::PreviousValue;
use gix::remote::Direction;
use tidegate_core::ids::CommitId;
use tidegate_core::problem::Problem;
use tokio_util::sync::CancellationToken;

use super::cache::{Cache, Locked};
use super::carrier::{Carrier, Guard};
use super::config::SourceConfig;
use super::error::{SourceError, chain, clean};
use super::kept::Kept;
use super::revision::{Head, Moved, PollResult};

/// Stands in gix's books for the remote; the carrier knows the real place.
const PLACE: &str = "https://source.invalid/";

/// The last good commits of the branches stand below it.
const GOOD: &str = "refs/tidegate/good";

/// The ids of paths; none for a path that does not exist. Same ids, same files.
pub type TreeIds = BTreeMap<String, Option<String>>;

/// The folders below a path, and what stands there that cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Names of the folders, in order.
    pub folders: Vec<String>,
    /// Symlinks, submodules, names that are not text.
    pub problems: Vec<Problem>,
}

/// The bare mirror of one repository. All methods block, and must be called from a blocking thread of a tokio runtime;
/// [`super::Source`] does so.
#[derive(Debug)]
pub struct Mirror {
    config: SourceConfig,
    stop: CancellationToken,
    cache: Cache,
    carrier: OnceLock<Carrier>,
    /// What the remote's HEAD named at the last poll.
    branch: Mutex<Option<String>>,
    /// An object could not be read: the next poll rebuilds the mirror.
    damaged: AtomicBool,
    kept: Kept,
}

impl Mirror {
    /// A mirror that is opened (and, if need be, made or rebuilt) at its first use. `stop` ends whatever it waits for.
    pub fn new(config: SourceConfig, stop: CancellationToken) -> Self {
        Self {
            cache: Cache::new(&config),
            config,
            stop,
            carrier: OnceLock::new(),
            branch: Mutex::new(None),
            damaged: AtomicBool::new(false),
            kept: Kept::default(),
        }
    }

    /// What it was configured with.
    pub fn config(&self) -> &SourceConfig {
        &self.config
    }

    /// What the last readings found.
    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Asks for the tip with one `ls-refs`, fetches when it is new, and applies the rewind rule.
    pub fn poll(&self) -> Result<PollResult, SourceError> {
        let locked = self.cache.lock(&self.stop)?;
        if self.damaged.swap(false, Ordering::Relaxed) {
            self.rebuild(&locked)?;
        }
        let repository = match self.cache.open_or_make(&locked) {
            Ok(repository) if self.is_sound(&repository) => repository,
            Ok(_) | Err(_) => self.rebuild(&locked)?,
        };
        let (branch, tip) = match self.advance(&repository, &locked) {
            Ok(found) => found,
            // Either the remote sends nonsense, or we cannot read what we have: only the latter is helped by a new mirror.
            Err(SourceError::Malformed { .. }) if !self.is_sound(&self.cache.open()?) => {
                let repository = self.rebuild(&locked)?;
                self.advance(&repository, &locked)?
            }
            Err(error) => return Err(error),
        };
        *self.branch.lock().unwrap_or_else(PoisonError::into_inner) = Some(branch);
        self.judge(&self.cache.open()?, tip)
    }

    /// The last good commit that the cache knows of.
    pub fn last_good(&self) -> Result<Option<Head>, SourceError> {
        let repository = self.repository()?;
        match self.find_ref(&repository, &self.good_ref())? {
            Some(id) if repository.has_object(id) => Ok(Some(self.head(&commit_id(id)?))),
            Some(_) | None => Ok(None),
        }
    }

    /// Makes the refused tip the last good commit.
    pub fn accept_rewind(&self, to: &CommitId) -> Result<Head, SourceError> {
        let locked = self.cache.lock(&self.stop)?;
        let repository = self.cache.open_or_make(&locked)?;
        let tip = self.find_ref(&repository, &self.tip_ref())?;
        match tip {
            Some(tip) if commit_id(tip)? == *to => {
                self.set_good(&repository, tip)?;
                Ok(self.head(to))
            }
            Some(tip) => Err(SourceError::NotTheTip { to: to.clone(), tip: tip.to_string() }),
            None => Err(SourceError::NotTheTip { to: to.clone(), tip: "nothing was fetched yet".to_owned() }),
        }
    }

    /// The error that stands for a refused tip.
    pub fn rewound(&self, from: &CommitId, to: &CommitId) -> SourceError {
        SourceError::Rewound { url: self.url(), branch: self.branch(), from: from.clone(), to: to.clone() }
    }

    /// The repository, for reading. Opened for each operation: that takes a millisecond, and a handle that lives
    /// longer has room for a limited number of new packs.
    pub(super) fn repository(&self) -> Result<gix::Repository, SourceError> {
        match self.cache.open() {
            Ok(repository) => Ok(repository),
            Err(_) => self.cache.open_or_make(&self.cache.lock(&self.stop)?),
        }
    }

    /// An object of our own mirror could not be read: says so and has the mirror rebuilt by the next poll.
    pub(super) fn unreadable(&self, reason: &str) -> SourceError {
        self.damaged.store(true, Ordering::Relaxed);
        self.cache.failed(reason)
    }

    /// The ref of the last good commit.
    pub(super) fn good_ref(&self) -> String {
        format!("{GOOD}/{}", self.branch_key())
    }

    fn tip_ref(&self) -> String {
        format!("refs/tidegate/tip/{}", self.branch_key())
    }

    /// Without a configured branch, the rewind rule holds across a change of the remote's default branch too.
    fn branch_key(&self) -> &str {
        self.config.branch.as_deref().unwrap_or("HEAD")
    }

    fn branch(&self) -> String {
        let found = self.branch.lock().unwrap_or_else(PoisonError::into_inner);
        found.clone().unwrap_or_else(|| self.branch_key().to_owned())
    }

    fn head(&self, commit: &CommitId) -> Head {
        Head { commit: commit.clone(), branch: self.branch() }
    }

    fn url(&self) -> String {
        self.config.url.to_string()
    }

    /// True when the commits that we stand on, and their trees, can be read.
    fn is_sound(&self, repository: &gix::Repository) -> bool {
        // Gone from the disk behind our back.
        self.cache.folder().join("HEAD").is_file()
            && [self.good_ref(), self.tip_ref()].iter().all(|name| match self.find_ref(repository, name) {
                Ok(None) => true,
                Ok(Some(id)) => repository.find_commit(id).is_ok_and(|commit| commit.tree().is_ok()),
                Err(_) => false,
            })
    }

    /// A new, empty mirror that remembers the last good commit, though not its files.
    fn rebuild(&self, locked: &Locked) -> Result<gix::Repository, SourceError> {
        tracing::warn!(folder = %self.cache.folder().display(), "source: the mirror is damaged; it is fetched again");
        self.cache.discard(locked, GOOD)?;
        self.cache.open_or_make(locked)
    }

    /// Asks for the tip and has its history here afterwards.
    fn advance(
        &self,
        repository: &gix::Repository,
        locked: &Locked,
    ) -> Result<(String, ObjectId), SourceError> {
        let limits = &self.config.limits;
        let guard = Guard::new(self.url(), limits.poll_deadline, limits.poll_bytes, self.stop.clone());
        let found = self.ask_and_fetch(repository, &guard);
        let (branch, tip, fetched) = found.map_err(|error| guard.failure().unwrap_or(error))?;
        if fetched && self.cache.packs() > limits.packs {
            self.cache.repack(locked, &self.stop);
        }
        Ok((branch, tip))
    }

    fn ask_and_fetch(
        &self,
        repository: &gix::Repository,
        guard: &Arc<Guard>,
    ) -> Result<(String, ObjectId, bool), SourceError> {
        let wanted = self
            .config
            .branch
            .as_ref()
            .map_or_else(|| "HEAD".to_owned(), |name| format!("refs/heads/{name}"));
        let line = self.carrier()?.connect(guard)?;
        // Resolving a pack is computation, which the deadline must reach too.
        let _watchdog = guard.watchdog(|| {});
        let remote = repository
            .remote_at_without_url_rewrite(PLACE)
            .and_then(|remote| {
                remote.with_refspecs([format!("+{wanted}:{}", self.tip_ref()).as_str()], Direction::Fetch)
            })
            .map_err(|error| self.malformed(&error))?
            .with_fetch_tags(gix::remote::fetch::Tags::None);
        let prepared = remote
            .to_connection_with_transport(line)
            .with_credentials(|_| Ok(None))
            .with_transport_options(Box::new(()))
            .prepare_fetch(gix::progress::Discard, gix::remote::ref_map::Options::default())
            .map_err(|error| self.malformed(&error))?;
        let (branch, tip) = self.tip_among(&prepared.ref_map().remote_refs, &wanted)?;
        let known = self.find_ref(repository, &self.tip_ref())? == Some(tip) && repository.has_object(tip);
        if !known {
            guard.extend(self.config.limits.fetch_deadline, self.config.limits.fetch_bytes);
            prepared
                .receive(gix::progress::Discard, &guard.interrupt)
                .map_err(|error| self.malformed(&error))?;
        }
        Ok((branch, tip, !known))
    }

    /// The branch and its tip among the refs that the remote names.
    fn tip_among(&self, refs: &[Ref], wanted: &str) -> Result<(String, ObjectId), SourceError> {
        let mut unborn = false;
        for reference in refs {
            match reference {
                Ref::Direct { full_ref_name, object } if *full_ref_name == wanted => {
                    return Ok((self.branch_key().to_owned(), *object));
                }
                Ref::Symbolic { full_ref_name, target, object, .. } if *full_ref_name == wanted => {
                    let target = target.to_string();
                    let branch = target.strip_prefix("refs/heads/").unwrap_or(&target);
                    return Ok((clean(branch), *object));
                }
                Ref::Unborn { full_ref_name, .. } if *full_ref_name == wanted => unborn = true,
                Ref::Direct { .. } | Ref::Symbolic { .. } | Ref::Unborn { .. } | Ref::Peeled { .. } => {}
            }
        }
        match &self.config.branch {
            Some(branch) if !unborn => {
                Err(SourceError::BranchMissing { url: self.url(), branch: branch.clone() })
            }
            Some(_) | None => Err(SourceError::Empty { url: self.url() }),
        }
    }

    /// The rewind rule.
    fn judge(&self, repository: &gix::Repository, tip: ObjectId) -> Result<PollResult, SourceError> {
        if repository.find_commit(tip).is_err() {
            let reason = "the tip of the branch is not a commit".to_owned();
            return Err(SourceError::Malformed { url: self.url(), reason });
        }
        let to = commit_id(tip)?;
        let good =
            self.find_ref(repository, &self.good_ref())?.or_else(|| self.cache.remembered(&self.good_ref()));
        let moved = match good {
            Some(good) if good != tip && !is_ancestor(repository, good, tip) => {
                let from = commit_id(good)?;
                return Ok(PollResult { head: self.head(&from), moved: Moved::Rewound { from, to } });
            }
            good => {
                self.set_good(repository, tip)?;
                match good {
                    Some(good) if good == tip => Moved::Unchanged,
                    good => Moved::Forward { from: good.map(commit_id).transpose()? },
                }
            }
        };
        Ok(PollResult { head: self.head(&to), moved })
    }

    fn carrier(&self) -> Result<&Carrier, SourceError> {
        if self.carrier.get().is_none() {
            let _ = self.carrier.set(Carrier::new(self.config.url.clone(), self.config.credentials.clone())?);
        }
        self.carrier.get().ok_or_else(|| SourceError::Stopped { url: self.url() })
    }

    fn find_ref(&self, repository: &gix::Repository, name: &str) -> Result<Option<ObjectId>, SourceError> {
        let found =
            repository.try_find_reference(name).map_err(|error| self.cache.failed(&error.to_string()))?;
        Ok(found.and_then(|reference| reference.try_id().map(gix::Id::detach)))
    }

    fn set_good(&self, repository: &gix::Repository, id: ObjectId) -> Result<(), SourceError> {
        let name = self.good_ref();
        if self.find_ref(repository, &name)? != Some(id) {
            let set = repository.reference(name.as_str(), id, PreviousValue::Any, "tidegate");
            set.map_err(|error| self.cache.failed(&chain(&error)))?;
        }
        self.cache.forget(&name);
        Ok(())
    }

    fn malformed(&self, error: &gix::Error) -> SourceError {
        let reason = chain(error);
        // gix has no kind for it; a test of ours notices when it changes its words.
        if reason.contains("too large to fit in memory") {
            return SourceError::ObjectTooLarge { url: self.url(), limit: self.config.limits.object_bytes };
        }
        SourceError::Malformed { url: self.url(), reason }
    }
}

/// True when the second commit contains the first. A commit that we do not have is nobody's ancestor.
pub(super) fn is_ancestor(repository: &gix::Repository, ancestor: ObjectId, of: ObjectId) -> bool {
    repository.merge_base(ancestor, of).is_ok_and(|base| base.is_some_and(|base| base.detach() == ancestor))
}

/// The id as the core names it.
pub(super) fn commit_id(id: ObjectId) -> Result<CommitId, SourceError> {
    let text = id.to_string();
    text.parse().map_err(|_| SourceError::NoSuchCommit { revision: text })
}
