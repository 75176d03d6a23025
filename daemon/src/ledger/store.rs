//! A repository with logs, a clone of one most of the time: which logs there are, and the commits of one in their order.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use gix::ObjectId;
use gix::objs::{CommitRefIter, Kind};
use gix::odb::pack::cache::lru::MemoryCappedHashmap;
use tidegate_core::ledger::{Branch, Joint, PREFIX, Record, Told, read as read_message};

use super::back::Back;
use super::commit::MAX_COMMIT_BYTES;

/// No tree of a log is larger: some 30,000 workloads.
const MAX_TREE_BYTES: u64 = 8_388_608;
/// No repository has more branches of logs.
const MAX_BRANCHES: usize = 100_000;
/// No text that names a commit is longer.
const MAX_NAME_BYTES: usize = 256;
/// Objects of a pack are differences to others, many of them one upon another; what was put together once is kept up to so many bytes.
const PACK_CACHE_BYTES: usize = 100_663_296;

/// Why a repository cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is none.
    #[error("failed to open the repository {path}")]
    Open {
        /// Where.
        path: String,
        /// Why.
        #[source]
        source: Box<gix::Error>,
    },
    /// Something of it cannot be read or written.
    #[error("failed to {what}")]
    Git {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An object is not there, or is something else.
    #[error("the {kind} {id} is missing from the repository{hint}")]
    Missing {
        /// What it should be.
        kind: Kind,
        /// Its id.
        id: String,
        /// What to do.
        hint: &'static str,
    },
    /// An object is there, and cannot be read.
    #[error("the {kind} {id} cannot be read ({why})")]
    Unreadable {
        /// What it should be.
        kind: Kind,
        /// Its id.
        id: String,
        /// Why.
        why: String,
    },
    /// There is more than anything is written of.
    #[error("{0}")]
    Limit(String),
}

/// What went wrong in git.
pub fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    what: impl Into<String>,
) -> impl FnOnce(E) -> StoreError {
    let what = what.into();
    |source| StoreError::Git { what, source: source.into() }
}

/// A repository.
pub struct Store {
    repository: gix::Repository,
}

/// The log of one environment in one cluster: its branches, by epoch, wherever they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The branch of its newest epoch.
    pub branch: Branch,
    /// The tips of all its branches, by epoch: those of remotes, then the repository's own.
    pub tips: BTreeMap<u32, Vec<ObjectId>>,
}

/// The commits of a log from its first to its last, and what stands beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segment {
    /// Each with how it stands to the one before.
    pub commits: Vec<(ObjectId, Joint)>,
    /// Commits on branches of the log that are none of it, each with its branch, the newest first.
    pub beside: Vec<(Branch, Vec<ObjectId>)>,
}

impl Store {
    /// Opens a repository, a bare one too. Replaced objects (`git replace`) are none of the log.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let limits =
            [format!("gitoxide.objects.allocLimit={MAX_TREE_BYTES}"), "core.useReplaceRefs=false".to_owned()];
        // Nothing that a repository's settings name is run, whoever owns it.
        let options = gix::open::Options::isolated().with(gix::sec::Trust::Full).config_overrides(limits);
        let mut repository = gix::open_opts(path, options).map_err(|source| StoreError::Open {
            path: path.display().to_string(),
            source: Box::new(source),
        })?;
        repository.objects.set_pack_cache(|| Box::new(MemoryCappedHashmap::new(PACK_CACHE_BYTES)));
        Ok(Self { repository })
    }

    /// Opens the repository that a path is, or is in.
    pub fn discover(path: &Path) -> Result<Self, StoreError> {
        let what = || format!("find a git repository in {} or above it", path.display());
        let (found, _) = gix::discover::upwards(path).map_err(failed(what()))?;
        let (folder, _) = found.into_repository_and_work_tree_directories();
        Self::open(&folder)
    }

    /// The commit that a text names, if there is one: a branch, a tag, an id or the beginning of one.
    pub fn commit(&self, text: &str) -> Option<ObjectId> {
        let is_plain =
            !text.is_empty() && text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control);
        let id = is_plain.then(|| self.repository.rev_parse_single(text).ok()).flatten()?;
        id.object().ok()?.peel_to_commit().ok().map(|commit| commit.id)
    }

    /// True for a clone whose history was cut off when it was made.
    pub fn is_shallow(&self) -> bool {
        self.repository.is_shallow().unwrap_or(false)
    }

    /// The repository itself.
    pub fn repository(&self) -> &gix::Repository {
        &self.repository
    }

    /// All logs, by cluster and environment: of remotes, and the repository's own.
    pub fn logs(&self) -> Result<Vec<Log>, StoreError> {
        let mut tips: BTreeMap<Branch, Vec<ObjectId>> = BTreeMap::new();
        for (branch, id) in self.branches("refs/remotes/")?.into_iter().chain(self.branches("refs/heads/")?) {
            let known = tips.entry(branch).or_default();
            if !known.contains(&id) {
                known.push(id);
            }
        }
        let mut logs: Vec<Log> = Vec::new();
        for (branch, ids) in tips {
            match logs.last_mut().filter(|log| log.branch.is_beside(&branch)) {
                Some(log) => {
                    log.tips.insert(branch.epoch, ids);
                    log.branch = branch;
                }
                None => logs.push(Log { tips: BTreeMap::from([(branch.epoch, ids)]), branch }),
            }
        }
        Ok(logs)
    }

    /// The repository's own log of this branch alone, as a writer left it; none where there is no such branch.
    pub fn own(&self, branch: &Branch) -> Result<Option<Log>, StoreError> {
        let own = self.branches("refs/heads/")?.into_iter().find(|(known, _)| known == branch);
        Ok(own.map(|(branch, id)| Log { tips: BTreeMap::from([(branch.epoch, vec![id])]), branch }))
    }

    /// Branches of logs below a prefix; below that of remotes the remote's name comes first.
    pub(super) fn branches(&self, prefix: &str) -> Result<Vec<(Branch, ObjectId)>, StoreError> {
        let what = "list the branches";
        let marker = format!("{PREFIX}/");
        let platform = self.repository.references().map_err(failed(what))?;
        let mut branches = Vec::new();
        for (number, reference) in platform.prefixed(prefix).map_err(failed(what))?.enumerate() {
            if number >= MAX_BRANCHES {
                return Err(StoreError::Limit(format!("there are more than {MAX_BRANCHES} refs")));
            }
            let reference = reference.map_err(failed(what))?;
            let Some(id) = reference.try_id().map(gix::Id::detach) else { continue };
            let name = reference.name().as_bstr().to_string();
            let rest = name.strip_prefix(prefix).unwrap_or_default();
            // The name of a remote may have slashes.
            let place = if prefix == "refs/heads/" {
                Some(0)
            } else {
                rest.find(&format!("/{marker}")).map(|at| at + 1)
            };
            let branch =
                place.and_then(|place| rest.get(place..)).and_then(|name| name.parse::<Branch>().ok());
            branches.extend(branch.map(|branch| (branch, id)));
        }
        Ok(branches)
    }

    /// The commits of a log in their order, back over all its epochs. Nothing of them is believed but how they hang together.
    pub fn segment(&self, log: &Log) -> Result<Segment, StoreError> {
        let mut commits = Vec::new();
        for step in self.back(log)? {
            let step = step?;
            commits.push((step.id, step.joint));
        }
        commits.reverse();
        if let Some((_, joint)) = commits.first_mut() {
            *joint = Joint::Child;
        }
        let ours: HashSet<ObjectId> = commits.iter().map(|(id, _)| *id).collect();
        let mut beside = Vec::new();
        for (epoch, tips) in &log.tips {
            for tip in tips.iter().filter(|tip| !ours.contains(*tip)) {
                let mut walked = Vec::new();
                for step in Back::of(self, Some(*tip)) {
                    let step = step?;
                    if ours.contains(&step.id) {
                        break;
                    }
                    walked.push(step.id);
                }
                beside.push((Branch { epoch: *epoch, ..log.branch.clone() }, walked));
            }
        }
        Ok(Segment { commits, beside })
    }

    /// The commits of a log from its newest back, each when it is asked for.
    pub fn back(&self, log: &Log) -> Result<Back<'_>, StoreError> {
        Ok(Back::of(self, self.newest(log)?))
    }

    /// The same from one of its commits on.
    pub fn back_from(&self, commit: ObjectId) -> Back<'_> {
        Back::of(self, Some(commit))
    }

    /// The newest commit. Where several branches say which it is, one that holds the others is it; else the first, and the others are
    /// beside it.
    fn newest(&self, log: &Log) -> Result<Option<ObjectId>, StoreError> {
        let tips = log.tips.get(&log.branch.epoch).map(Vec::as_slice).unwrap_or_default();
        let mut newest = tips.first().copied();
        for tip in tips.iter().skip(1) {
            for step in Back::of(self, Some(*tip)) {
                if Some(step?.id) == newest {
                    newest = Some(*tip);
                    break;
                }
            }
        }
        Ok(newest)
    }

    /// What stands in a commit, and its committer's time in seconds. Believed, not checked.
    pub fn told(&self, id: ObjectId) -> Result<(Told, i64), StoreError> {
        told(id, &self.object(id, Kind::Commit)?)
    }

    /// The records of a log, the oldest first. Believed, not checked.
    pub fn records(&self, log: &Log) -> Result<Vec<Record>, StoreError> {
        let commits = self.segment(log)?.commits;
        commits.into_iter().map(|(id, _)| Ok(self.told(id)?.0.record)).collect()
    }

    /// The bytes of an object.
    pub fn object(&self, id: ObjectId, kind: Kind) -> Result<Vec<u8>, StoreError> {
        let unreadable = |why: String| StoreError::Unreadable { kind, id: id.to_string(), why };
        let found = self.repository.try_find_object(id).map_err(|error| unreadable(error.to_string()))?;
        let missing = || StoreError::Missing { kind, id: id.to_string(), hint: self.incomplete() };
        let mut object = found.ok_or_else(missing)?;
        if object.kind != kind {
            return Err(unreadable(format!("it is a {}", object.kind)));
        }
        if object.data.len() as u64 > limit(kind) {
            return Err(unreadable(format!(
                "it is larger than {} bytes, which no {kind} of a log is",
                limit(kind)
            )));
        }
        Ok(std::mem::take(&mut object.data))
    }

    /// Why an object may be missing from a clone, and what to do.
    fn incomplete(&self) -> &'static str {
        if self.is_shallow() {
            return "; the clone is shallow: `git fetch --unshallow`";
        }
        let is_partial = self.repository.config_snapshot().string("extensions.partialClone").is_some();
        if is_partial { "; the clone is partial: make one without `--filter`" } else { "" }
    }
}

/// What stands in these bytes of a commit, and its committer's time in seconds.
pub fn told(id: ObjectId, raw: &[u8]) -> Result<(Told, i64), StoreError> {
    let what = || format!("read the record of the commit {id}");
    let commit = || CommitRefIter::from_bytes(raw, id.kind());
    let message = commit().message().map_err(failed(what()))?;
    let message = std::str::from_utf8(message).map_err(failed(what()))?;
    let told = read_message(message).map_err(failed(what()))?;
    let committer = commit().committer().map_err(failed(what()))?;
    Ok((told, committer.seconds()))
}

/// No object of this kind is larger. A tree has a line for each workload.
fn limit(kind: Kind) -> u64 {
    match kind {
        Kind::Tree => MAX_TREE_BYTES,
        Kind::Commit | Kind::Blob | Kind::Tag => MAX_COMMIT_BYTES as u64,
    }
}
