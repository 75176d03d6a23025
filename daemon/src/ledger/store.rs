//! A repository with logs, a clone of one most of the time: which logs there are, and the commits of one in their order.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use gix::ObjectId;
use gix::objs::{CommitRefIter, Kind};
use tidegate_core::ledger::{Branch, Joint, PREFIX, Record, Told, read as read_message};

use super::commit::MAX_COMMIT_BYTES;

/// No log has more records.
const MAX_RECORDS: usize = 10_000_000;
/// No tree of a log is larger: some 30,000 workloads.
const MAX_TREE_BYTES: u64 = 8_388_608;
/// No repository has more branches of logs.
const MAX_BRANCHES: usize = 100_000;

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
    /// Opens a repository, a bare one too.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let options = gix::open::Options::isolated();
        let repository = gix::open_opts(path, options).map_err(|source| StoreError::Open {
            path: path.display().to_string(),
            source: Box::new(source),
        })?;
        Ok(Self { repository })
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
    fn branches(&self, prefix: &str) -> Result<Vec<(Branch, ObjectId)>, StoreError> {
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
        let tips = log.tips.get(&log.branch.epoch).map(Vec::as_slice).unwrap_or_default();
        // Where several say which is the newest commit, one that holds the others is it; else the first, and the others are beside.
        let mut commits = Vec::new();
        for tip in tips {
            let walked = self.walk(*tip, &HashSet::new())?;
            if commits.first().is_none_or(|newest| walked.iter().any(|(id, _)| id == newest)) {
                commits = walked.iter().map(|(id, _)| *id).collect();
            }
        }
        let newest = commits.first().copied();
        let mut commits = newest.map_or(Ok(Vec::new()), |newest| self.walk(newest, &HashSet::new()))?;
        commits.reverse();
        if let Some((_, joint)) = commits.first_mut() {
            *joint = Joint::Child;
        }
        let ours: HashSet<ObjectId> = commits.iter().map(|(id, _)| *id).collect();
        let mut beside = Vec::new();
        for (epoch, tips) in &log.tips {
            for tip in tips.iter().filter(|tip| !ours.contains(*tip)) {
                let walked = self.walk(*tip, &ours)?.into_iter().map(|(id, _)| id).collect();
                beside.push((Branch { epoch: *epoch, ..log.branch.clone() }, walked));
            }
        }
        Ok(Segment { commits, beside })
    }

    /// From a commit back to the first one, or to one of these; the newest first.
    fn walk(&self, tip: ObjectId, ends: &HashSet<ObjectId>) -> Result<Vec<(ObjectId, Joint)>, StoreError> {
        let mut commits = Vec::new();
        let mut next = Some(tip);
        while let Some(id) = next.filter(|id| !ends.contains(id)) {
            if commits.len() >= MAX_RECORDS {
                return Err(StoreError::Limit(format!("there are more than {MAX_RECORDS} records")));
            }
            let raw = self.object(id, Kind::Commit)?;
            let parent = CommitRefIter::from_bytes(&raw, id.kind()).parent_ids().next();
            let joint = if parent.is_some() { Joint::Child } else { Joint::Epoch };
            next = parent.or_else(|| before(&raw, id.kind()));
            commits.push((id, joint));
        }
        Ok(commits)
    }

    /// What stands in a commit, and its committer's time in seconds. Believed, not checked.
    pub fn told(&self, id: ObjectId) -> Result<(Told, i64), StoreError> {
        let what = || format!("read the record of the commit {id}");
        let raw = self.object(id, Kind::Commit)?;
        let commit = || CommitRefIter::from_bytes(&raw, id.kind());
        let message = commit().message().map_err(failed(what()))?;
        let message = std::str::from_utf8(message).map_err(failed(what()))?;
        let told = read_message(message).map_err(failed(what()))?;
        let committer = commit().committer().map_err(failed(what()))?;
        Ok((told, committer.seconds()))
    }

    /// The records of a log, the oldest first. Believed, not checked.
    pub fn records(&self, log: &Log) -> Result<Vec<Record>, StoreError> {
        let commits = self.segment(log)?.commits;
        commits.into_iter().map(|(id, _)| Ok(self.told(id)?.0.record)).collect()
    }

    /// The bytes of an object.
    pub fn object(&self, id: ObjectId, kind: Kind) -> Result<Vec<u8>, StoreError> {
        let is_shallow = self.repository.is_shallow().unwrap_or(false);
        let hint = if is_shallow { "; the clone is shallow: `git fetch --unshallow`" } else { "" };
        let missing = || StoreError::Missing { kind, id: id.to_string(), hint };
        let header = self.repository.find_header(id).map_err(|_| missing())?;
        if header.kind() != kind || header.size() > limit(kind) {
            return Err(missing());
        }
        let mut object = self.repository.find_object(id).map_err(|_| missing())?;
        Ok(std::mem::take(&mut object.data))
    }
}

/// No object of this kind is larger. A tree has a line for each workload.
fn limit(kind: Kind) -> u64 {
    match kind {
        Kind::Tree => MAX_TREE_BYTES,
        Kind::Commit | Kind::Blob | Kind::Tag => MAX_COMMIT_BYTES as u64,
    }
}

/// The commit that a log goes on from, where it has no parent: its record says so.
fn before(raw: &[u8], hash: gix::hash::Kind) -> Option<ObjectId> {
    let message = CommitRefIter::from_bytes(raw, hash).message().ok()?;
    let told = read_message(std::str::from_utf8(message).ok()?).ok()?;
    ObjectId::from_hex(told.record.follows?.tip.as_bytes()).ok()
}
