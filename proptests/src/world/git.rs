//! A repository of a few commits, and the mirror of it that each replica keeps on its disk.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use tidegate_core::ids::{CommitId, Digest, EnvironmentName};

use super::content::{Spec, Target, target};

/// One commit.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The commit before it.
    pub parent: Option<CommitId>,
    /// What each environment's folder holds; an environment that is not named has none.
    pub folders: BTreeMap<EnvironmentName, Spec>,
}

/// The repository, as its server has it.
#[derive(Debug, Clone, Default)]
pub struct Git {
    commits: BTreeMap<CommitId, Commit>,
    order: Vec<CommitId>,
    tip: Option<CommitId>,
}

impl Git {
    /// Adds a commit on top of `parent`, and moves the branch there.
    pub fn commit(&mut self, parent: Option<CommitId>, folders: BTreeMap<EnvironmentName, Spec>) -> CommitId {
        let text = format!("commit {}", self.order.len());
        let hex: String = Digest::of(text.as_bytes()).as_str().chars().take(40).collect();
        let id: CommitId = hex.parse().expect("forty hexadecimal digits are a commit");
        self.commits.insert(id.clone(), Commit { parent, folders });
        self.order.push(id.clone());
        self.tip = Some(id.clone());
        id
    }

    /// Moves the branch to a commit, whatever it was at.
    pub fn force(&mut self, to: CommitId) {
        self.tip = Some(to);
    }

    /// Where the branch is.
    pub fn tip(&self) -> Option<&CommitId> {
        self.tip.as_ref()
    }

    /// A commit.
    pub fn get(&self, id: &CommitId) -> Option<&Commit> {
        self.commits.get(id)
    }

    /// Every commit, oldest first.
    pub fn order(&self) -> &[CommitId] {
        &self.order
    }

    /// What a commit asks of an environment.
    pub fn target(&self, id: &CommitId, environment: &EnvironmentName) -> Option<Rc<Target>> {
        let spec = self.commits.get(id)?.folders.get(environment)?;
        Some(target(environment, spec))
    }

    /// The commit and everything before it, newest first.
    pub fn history(&self, id: &CommitId) -> Vec<CommitId> {
        let mut found = Vec::new();
        let mut next = Some(id.clone());
        while let Some(id) = next {
            next = self.commits.get(&id).and_then(|commit| commit.parent.clone());
            found.push(id);
        }
        found
    }

    /// True when the second commit is the first or contains it.
    pub fn is_ancestor(&self, ancestor: &CommitId, of: &CommitId) -> bool {
        self.history(of).contains(ancestor)
    }
}

/// What a replica has of the repository. Outlives the replica, unless its disk is lost.
#[derive(Debug, Clone, Default)]
pub struct Mirror {
    /// The last good commit.
    pub good: Option<CommitId>,
    /// A tip that is no descendant of it: from, to.
    pub rewound: Option<(CommitId, CommitId)>,
    known: BTreeSet<CommitId>,
}

impl Mirror {
    /// Takes in the tip of a poll by the rewind rule (`daemon/src/source/mirror.rs`, `judge`).
    pub fn take(&mut self, git: &Git, tip: &CommitId, accept: bool) {
        self.known.extend(git.history(tip));
        self.rewound = None;
        match &self.good {
            Some(good) if good != tip && !self.is_ancestor(git, good, tip) && !accept => {
                self.rewound = Some((good.clone(), tip.clone()));
            }
            Some(_) | None => self.good = Some(tip.clone()),
        }
    }

    /// Makes a refused tip the last good commit; false when it is not the one that is refused.
    pub fn accept(&mut self, to: &CommitId) -> bool {
        if self.rewound.as_ref().is_none_or(|(_, refused)| refused != to) {
            return false;
        }
        self.rewound = None;
        self.good = Some(to.clone());
        true
    }

    /// True when the second commit contains the first. A commit that is not here is nobody's ancestor.
    pub fn is_ancestor(&self, git: &Git, ancestor: &CommitId, of: &CommitId) -> bool {
        self.known.contains(ancestor) && self.known.contains(of) && git.is_ancestor(ancestor, of)
    }

    /// True when the commit's files can be read here.
    pub fn has(&self, commit: &CommitId) -> bool {
        self.known.contains(commit)
    }
}
