//! Whether a commit may be applied to an environment: never one that goes back behind what any replica has seen, unless a
//! person allowed that. Asked before the first write of a commit.
//!
//! History is git's, and asking it may take time: [`Said::asks`] names the commits whose place in it decides, and the caller
//! says which of them the new commit contains.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::ids::{CommitId, Digest};

/// How the files of a followed folder are named instead of a commit.
const FOLDER: &str = "uncommitted-";
/// A rewind that nothing came of for this long is no standing permission: the next claim removes it.
const STANDS: SignedDuration = SignedDuration::from_hours(1);

/// What the parent of an environment says of the commits that were applied to it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said<'a> {
    /// The newest revision that any replica began to apply.
    pub seen: Option<&'a str>,
    /// The digest of its inputs.
    pub seen_inputs: Option<&'a str>,
    /// The newest revision that was applied whole.
    pub applied: Option<&'a str>,
    /// The newest revision that the status record names.
    pub recorded: Option<&'a str>,
    /// A person's permission to go to a commit that is no descendant, and when it was given.
    pub rewind: Option<(&'a CommitId, Timestamp)>,
}

/// What a claim of a revision comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The parent names it already: nothing is written.
    Stands,
    /// It is written on the parent before the first change.
    Write {
        /// A person's permission is used up by it.
        uses_rewind: bool,
    },
    /// It would go back behind what was seen: nothing is changed.
    Behind,
}

impl Said<'_> {
    /// True when the mark of what was seen stands there, or should, and names neither a commit nor a followed folder's files.
    pub fn is_lost(&self) -> bool {
        match self.seen {
            Some(seen) => !seen.starts_with(FOLDER) && seen.parse::<CommitId>().is_err(),
            None => self.applied.is_some(),
        }
    }

    /// The commits that the environment may not go back behind: the one that was seen; where somebody wrote something else
    /// into the annotation, those that the other marks name.
    pub fn last_seen(&self) -> Vec<CommitId> {
        if !self.is_lost() {
            return self.seen.iter().filter_map(|seen| seen.parse().ok()).collect();
        }
        let recorded = self.recorded.filter(|_| self.seen.is_some());
        self.applied.into_iter().chain(recorded).filter_map(|id| id.parse().ok()).collect()
    }

    /// True when nothing needs to be written before this revision is applied. Not by the status record: that is also written
    /// by a replica that is behind, or that has begun nothing yet.
    pub fn stands(&self, revision: &str, inputs: &Digest) -> bool {
        let same_inputs = self.seen.is_some() && self.seen_inputs == Some(inputs.as_str());
        // A rewind to it is written down whatever the inputs: later commits descend from it, not from what was seen before.
        let rewound = self.rewind.is_some_and(|(commit, _)| commit.as_str() == revision);
        !rewound && !self.is_lost() && (self.seen == Some(revision) || same_inputs)
    }

    /// The commits of which it must be known whether the revision contains them.
    pub fn asks(&self) -> BTreeSet<CommitId> {
        self.last_seen().into_iter().chain(self.rewind.map(|(commit, _)| commit.clone())).collect()
    }

    /// What comes of claiming a revision (`to`: its commit; none for the files of a folder). `contained`: those of
    /// [`Said::asks`] that it contains. One that the mirror does not know was seen by another replica (this one is behind) or
    /// was force-pushed away: it is not contained.
    pub fn claim(
        &self,
        to: Option<&CommitId>,
        revision: &str,
        inputs: &Digest,
        contained: &BTreeSet<CommitId>,
        now: Timestamp,
    ) -> Claim {
        if self.stands(revision, inputs) {
            return Claim::Stands;
        }
        let Some(to) = to else { return Claim::Write { uses_rewind: self.rewind.is_some() } };
        // What descends from it is allowed with it: a commit that leaves this environment as it is claims nothing.
        let allowed = self.rewind.is_some_and(|(commit, _)| commit == to || contained.contains(commit));
        if !allowed && !self.last_seen().iter().all(|from| contained.contains(from)) {
            return Claim::Behind;
        }
        // One that a person has just recorded outlives a claim that was on its way elsewhere.
        let is_old = self.rewind.is_some_and(|(_, at)| now.duration_since(at) > STANDS);
        Claim::Write { uses_rewind: allowed || is_old }
    }
}
