//! The seam by which a log gets to its remote: what is asked of one, and what it can answer. One remote is there, the [`git`]
//! program; whoever writes records knows this page only.
//!
//! Invariants
//! - A branch moves from exactly the commit that it was known at, and only to a descendant of it: nothing is forced over.
//! - A push that was taken counts as taken, whether or not its answer came back.
//! - No text carries credentials. What the other side says is cut, and has no control characters.

pub mod git;
mod program;
mod words;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gix::ObjectId;
use tidegate_core::ledger::Branch;

use super::name::LogName;
use super::store::StoreError;
use crate::source::config::Credentials;
use crate::source::url::SourceUrl;

pub(super) use program::tend;

/// Where branches of remotes are kept in the local repository.
pub const TRACKED: &str = "refs/remotes/origin/";

/// The tips of a log's branches, by epoch.
pub type Tips = BTreeMap<u32, ObjectId>;

/// A place that logs are pushed to.
pub trait Remote: Send + Sync {
    /// Brings the branches of one log below [`TRACKED`] of the repository in this folder, and says where they stand. Those that the
    /// remote has no longer are gone there too. A remote without any is none that failed.
    fn fetch(&self, folder: &Path, log: &LogName) -> impl Future<Output = Result<Tips, RemoteError>> + Send;

    /// Moves one branch of the remote, with all commits that it lacks. Dropped before its end, the push may have been taken: the
    /// next one finds out.
    fn push(&self, folder: &Path, push: &Push) -> impl Future<Output = Result<Answer, RemoteError>> + Send;
}

/// One branch to be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Which.
    pub branch: Branch,
    /// To where.
    pub tip: ObjectId,
    /// Where the remote has to have it; none: it must not be there.
    pub expected: Option<ObjectId>,
}

/// What a remote that was reached made of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The branch is at the tip, by this push or by an earlier one whose answer was lost.
    Pushed,
    /// The branch is not where it was expected: somebody wrote on it, moved it back or took it away. Nothing was changed.
    Moved {
        /// What stands there; none: nothing does.
        found: Option<ObjectId>,
    },
    /// The branch is where it was expected, and the remote does not move it: a hook, a protected branch, a full disk.
    Refused {
        /// Its own words.
        reason: String,
    },
}

/// Why a remote gave no answer. All but `NotAbove` may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// No connection, or it broke, or it took too long.
    #[error("failed to reach {url}: {reason}")]
    Unreachable {
        /// The repository.
        url: String,
        /// What git said.
        reason: String,
    },
    /// The token or key is not accepted, or may not do this.
    #[error("{url} does not accept the credentials: {reason}")]
    Denied {
        /// The repository.
        url: String,
        /// What git said.
        reason: String,
    },
    /// The `git` program does not run.
    #[error("failed to run `git`: {reason}")]
    Program {
        /// What the operating system said.
        reason: String,
    },
    /// A file of this machine cannot be read.
    #[error("failed to read {what}: {reason}")]
    Local {
        /// What was to be read.
        what: String,
        /// What the operating system said.
        reason: String,
    },
    /// Commits that are to be pushed cannot be read here.
    #[error("failed to read what is to be pushed")]
    Damaged(#[source] StoreError),
    /// The tip does not hold what the branch has: a push of it would take records away.
    #[error("failed to push {tip} to {branch}: it is no descendant of {expected}")]
    NotAbove {
        /// The branch.
        branch: Branch,
        /// What was to be pushed.
        tip: ObjectId,
        /// What is there.
        expected: ObjectId,
    },
}

impl RemoteError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "check the host, the network and the URL; records wait until it is back"
            }
            Self::Denied { .. } => {
                "the token or key of the log's repository is wrong, has expired or may not write there (hosts also say `not found` then); records wait until it may"
            }
            Self::Program { .. } => {
                "install git (2.33 or newer) and see that it is in the daemon's PATH; records wait until it is there"
            }
            Self::Local { .. } => "check that it exists and that the daemon's user may read it",
            Self::Damaged(_) => {
                "the local copy of the log is made again from the remote; records that were not pushed are written again"
            }
            Self::NotAbove { .. } => "take the log from its remote again before writing on",
        }
    }
}

/// What a remote is reached with.
#[derive(Debug, Clone)]
pub struct RemoteConfig {
    /// The repository.
    pub url: SourceUrl,
    /// How it knows us.
    pub credentials: Credentials,
    /// What is too long or too much.
    pub limits: RemoteLimits,
}

impl RemoteConfig {
    /// A remote with the usual limits.
    pub fn new(url: SourceUrl, credentials: Credentials) -> Self {
        Self { url, credentials, limits: RemoteLimits::default() }
    }
}

/// What is too long or too much.
#[derive(Debug, Clone, Copy)]
pub struct RemoteLimits {
    /// One question for the tip of a branch.
    pub ask_deadline: Duration,
    /// One push.
    pub push_deadline: Duration,
    /// One fetch.
    pub fetch_deadline: Duration,
    /// Bytes of packs that a fetch may bring.
    pub fetch_bytes: u64,
    /// Bytes that git may print.
    pub output_bytes: u64,
}

impl Default for RemoteLimits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            ask_deadline: Duration::from_secs(30),
            push_deadline: Duration::from_mins(2),
            fetch_deadline: Duration::from_mins(10),
            fetch_bytes: 4096 * MIB,
            output_bytes: 4 * MIB,
        }
    }
}
