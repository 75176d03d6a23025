//! What a source offers: revisions, heads and what is known of a commit. Values only.

use std::fmt;

use jiff::Timestamp;
use tidegate_core::ids::{CommitId, Digest, short};
use tidegate_core::problem::Problem;
use tidegate_core::tree::FileTree;

/// One state of the files: a commit, or a folder as it is right now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// A commit of the repository.
    Commit(CommitId),
    /// The uncommitted files of a followed folder, by the digest of their content.
    Folder(Digest),
}

impl Revision {
    /// The commit, when it is one.
    pub fn commit(&self) -> Option<&CommitId> {
        match self {
            Self::Commit(commit) => Some(commit),
            Self::Folder(_) => None,
        }
    }

    /// The full id: forty digits of a commit, `uncommitted-<digest>` of a folder.
    pub fn id(&self) -> String {
        match self {
            Self::Commit(commit) => commit.to_string(),
            Self::Folder(digest) => format!("uncommitted-{digest}"),
        }
    }
}

impl fmt::Display for Revision {
    /// Short, as people quote it: `1a2b3c4`, `uncommitted-1a2b3c4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(commit) => f.write_str(commit.short()),
            Self::Folder(digest) => {
                write!(f, "uncommitted-{}", short(digest.as_str()))
            }
        }
    }
}

/// The newest commit of a branch that may be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The commit.
    pub commit: CommitId,
    /// The branch it was found on; `HEAD` when the remote's HEAD names none.
    pub branch: String,
}

/// What one question to the remote brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollResult {
    /// The last good commit after this poll.
    pub head: Head,
    /// How the branch moved.
    pub moved: Moved,
}

/// How a branch moved since the last good commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// It did not.
    Unchanged,
    /// To a descendant (or for the first time): the head is the new tip.
    Forward {
        /// The last good commit before; nothing the first time.
        from: Option<CommitId>,
    },
    /// To something that is no descendant. The head stays until someone accepts the rewind.
    Rewound {
        /// The last good commit, which stays.
        from: CommitId,
        /// The tip of the branch, which is not applied.
        to: CommitId,
    },
}

/// What is known of a commit. Texts come from the repository: control characters are already gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its id.
    pub id: CommitId,
    /// First line of the message.
    pub subject: String,
    /// Who wrote it.
    pub author: Person,
    /// When it was written.
    pub author_time: Timestamp,
    /// When it became a commit.
    pub committer_time: Timestamp,
    /// Its parents, the first one first.
    pub parents: Vec<CommitId>,
}

/// A name and an address, as the commit claims them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Name.
    pub name: String,
    /// E-mail address.
    pub email: String,
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <{}>", self.name, self.email)
    }
}

/// Files of one revision. Paths are relative to the sub-path; `prefix` in front of them gives the path in the repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The files.
    pub tree: FileTree,
    /// Empty, or the sub-path with a `/` at its end.
    pub prefix: String,
}

/// Files of one revision, and the entries that are not among them because they cannot be read.
///
/// What reads a path at or above such an entry is broken, not smaller: it must not be applied, and nothing of it pruned.
/// Everything else is whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partial {
    /// What could be read.
    pub snapshot: Snapshot,
    /// Symlinks, submodules, oversized files, odd names; each with its place (from the root of the repository).
    pub problems: Vec<Problem>,
}

impl Partial {
    /// The files if nothing is missing among them, else all problems.
    pub fn whole(self) -> Result<Snapshot, Vec<Problem>> {
        if self.problems.is_empty() { Ok(self.snapshot) } else { Err(self.problems) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_printed_short_and_identified_in_full() {
        let commit: CommitId = "0123456789abcdef0123456789abcdef01234567".parse().expect("an id");
        assert_eq!(Revision::Commit(commit.clone()).to_string(), "0123456");
        assert_eq!(Revision::Commit(commit.clone()).id(), commit.to_string());
        let folder = Revision::Folder(Digest::of(b"x"));
        assert_eq!(folder.to_string(), "uncommitted-2d71164");
    }
}
