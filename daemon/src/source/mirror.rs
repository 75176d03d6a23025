//! The bare mirror of one repository: opened, polled, moved forward, never moved back without a word.

use std::collections::BTreeMap;

use tidegate_core::ids::CommitId;
use tidegate_core::problem::Problem;
use tokio_util::sync::CancellationToken;

use super::config::SourceConfig;
use super::error::SourceError;
use super::revision::{CommitInfo, Head, PollResult, Snapshot};

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

/// The bare mirror of one repository. All methods block; [`super::Source`] calls them off the async threads.
#[derive(Debug)]
pub struct Mirror {
    config: SourceConfig,
}

impl Mirror {
    /// A mirror that is opened (and, if need be, made or rebuilt) at its first use. `stop` ends whatever it waits for.
    pub fn new(config: SourceConfig, _stop: CancellationToken) -> Self {
        Self { config }
    }

    /// What it was configured with.
    pub fn config(&self) -> &SourceConfig {
        &self.config
    }

    fn url(&self) -> String {
        self.config.url.to_string()
    }

    /// Asks for the tip with one `ls-refs`, fetches when it is new, and applies the rewind rule.
    pub fn poll(&self) -> Result<PollResult, SourceError> {
        Err(SourceError::Empty { url: self.url() })
    }

    /// The last good commit that the cache knows of.
    pub fn last_good(&self) -> Result<Option<Head>, SourceError> {
        Ok(None)
    }

    /// Makes the refused tip the last good commit.
    pub fn accept_rewind(&self, to: &CommitId) -> Result<Head, SourceError> {
        Err(SourceError::NotTheTip { to: to.clone(), tip: "none yet".to_owned() })
    }

    /// The error that stands for a refused tip.
    pub fn rewound(&self, from: &CommitId, to: &CommitId) -> SourceError {
        let branch = self.config.branch.clone().unwrap_or_else(|| "HEAD".to_owned());
        SourceError::Rewound { url: self.url(), branch, from: from.clone(), to: to.clone() }
    }

    /// The files at or below these paths; all problems at once.
    pub fn read(&self, commit: &CommitId, _paths: &[String]) -> Result<Snapshot, Vec<Problem>> {
        Err(vec![SourceError::NoSuchCommit { revision: commit.to_string() }.problem()])
    }

    /// The ids of these paths.
    pub fn tree_ids(&self, commit: &CommitId, _paths: &[String]) -> Result<TreeIds, Problem> {
        Err(SourceError::NoSuchCommit { revision: commit.to_string() }.problem())
    }

    /// The folders directly below a path.
    pub fn folders(&self, commit: &CommitId, _path: &str) -> Result<Listing, Problem> {
        Err(SourceError::NoSuchCommit { revision: commit.to_string() }.problem())
    }

    /// Author, times, subject and parents.
    pub fn commit_info(&self, commit: &CommitId) -> Result<CommitInfo, SourceError> {
        Err(SourceError::NoSuchCommit { revision: commit.to_string() })
    }

    /// The commits between two, oldest first.
    pub fn skipped(&self, _from: &CommitId, to: &CommitId) -> Result<Vec<CommitId>, SourceError> {
        Err(SourceError::NoSuchCommit { revision: to.to_string() })
    }

    /// The commit that a text names.
    pub fn resolve(&self, text: &str) -> Result<CommitId, SourceError> {
        Err(SourceError::NoSuchCommit { revision: text.to_owned() })
    }
}
