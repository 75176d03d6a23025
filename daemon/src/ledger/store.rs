//! A repository with logs, a clone of one most of the time: which logs there are, and the commits of one in their order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gix::ObjectId;
use gix::objs::{CommitRefIter, Kind};
use tidegate_core::ledger::{Branch, Joint, PREFIX, read as read_message};

use super::commit::MAX_COMMIT_BYTES;

/// No log has more records.
const MAX_RECORDS: usize = 10_000_000;
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

/// The log of one environment in one cluster: its branches, by epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The branch of its newest epoch.
    pub branch: Branch,
    /// The tips of all its branches.
    pub tips: BTreeMap<u32, ObjectId>,
}

/// The commits of a log from its first to its last, and what stands beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segment {
    /// Each with how it stands to the one before.
    pub commits: Vec<(ObjectId, Joint)>,
    /// Commits on branches of former epochs that are none of the log: somebody else's. With the branch.
    pub foreign: Vec<(Branch, ObjectId)>,
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

    /// All logs, by cluster and environment: those of a remote where there are any, else the repository's own.
    pub fn logs(&self) -> Result<Vec<Log>, StoreError> {
        let mut own = BTreeMap::new();
        let mut remote = BTreeMap::new();
        let what = "list the branches";
        let platform = self.repository.references().map_err(failed(what))?;
        for (number, reference) in platform.all().map_err(failed(what))?.enumerate() {
            if number >= MAX_BRANCHES {
                return Err(StoreError::Limit(format!("there are more than {MAX_BRANCHES} refs")));
            }
            let reference = reference.map_err(failed(what))?;
            let Some(id) = reference.try_id().map(gix::Id::detach) else { continue };
            let name = reference.name().as_bstr().to_string();
            let (found, short) = match (name.strip_prefix("refs/heads/"), name.strip_prefix("refs/remotes/"))
            {
                (Some(short), _) => (&mut own, Some(short)),
                (None, Some(short)) => (&mut remote, short.split_once('/').map(|(_, short)| short)),
                (None, None) => continue,
            };
            let branch = short
                .filter(|short| short.starts_with(PREFIX))
                .and_then(|short| short.parse::<Branch>().ok());
            if let Some(branch) = branch {
                found.insert(branch, id);
            }
        }
        // A branch that is checked out in a clone stays where it was when others are fetched.
        own.extend(remote);
        let mut logs: Vec<Log> = Vec::new();
        for (branch, id) in own {
            match logs.last_mut().filter(|log| log.branch.is_beside(&branch)) {
                Some(log) => {
                    log.tips.insert(branch.epoch, id);
                    log.branch = branch;
                }
                None => logs.push(Log { tips: BTreeMap::from([(branch.epoch, id)]), branch }),
            }
        }
        Ok(logs)
    }

    /// The commits of a log in their order, back over all its epochs. Nothing of them is believed but how they hang together.
    pub fn segment(&self, log: &Log) -> Result<Segment, StoreError> {
        let mut commits = Vec::new();
        let mut next = log.tips.get(&log.branch.epoch).copied();
        while let Some(id) = next {
            if commits.len() >= MAX_RECORDS {
                return Err(StoreError::Limit(format!("there are more than {MAX_RECORDS} records")));
            }
            let raw = self.object(id, Kind::Commit)?;
            let parent = CommitRefIter::from_bytes(&raw, id.kind()).parent_ids().next();
            let joint = if parent.is_some() { Joint::Child } else { Joint::Epoch };
            next = parent.or_else(|| before(&raw));
            commits.push((id, joint));
        }
        commits.reverse();
        if let Some((_, joint)) = commits.first_mut() {
            *joint = Joint::Child;
        }
        let ours: BTreeSet<ObjectId> = commits.iter().map(|(id, _)| *id).collect();
        let foreign = log
            .tips
            .iter()
            .filter(|(_, tip)| !ours.contains(*tip))
            .map(|(epoch, tip)| (Branch { epoch: *epoch, ..log.branch.clone() }, *tip))
            .collect();
        Ok(Segment { commits, foreign })
    }

    /// The bytes of an object.
    pub fn object(&self, id: ObjectId, kind: Kind) -> Result<Vec<u8>, StoreError> {
        let is_shallow = self.repository.is_shallow().unwrap_or(false);
        let hint = if is_shallow { "; the clone is shallow: `git fetch --unshallow`" } else { "" };
        let missing = || StoreError::Missing { kind, id: id.to_string(), hint };
        let header = self.repository.find_header(id).map_err(|_| missing())?;
        if header.kind() != kind || header.size() > MAX_COMMIT_BYTES as u64 {
            return Err(missing());
        }
        let mut object = self.repository.find_object(id).map_err(|_| missing())?;
        Ok(std::mem::take(&mut object.data))
    }
}

/// The commit that a log goes on from, where it has no parent: its record says so.
fn before(raw: &[u8]) -> Option<ObjectId> {
    let message = CommitRefIter::from_bytes(raw, gix::hash::Kind::Sha1).message().ok()?;
    let told = read_message(std::str::from_utf8(message).ok()?).ok()?;
    ObjectId::from_hex(told.record.follows?.tip.as_bytes()).ok()
}
