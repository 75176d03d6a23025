//! What of a rollback is kept on the environment's parent object: the last good commit, what was sick when it was left,
//! and the commit that is held. Bounded, because an object of Kubernetes is.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::Digest;
use crate::object::ObjectId;
use crate::problem::{Code, Problem};
use crate::status::{CommitInfo, Listed, ObjectStatus};

/// So many of the objects that a commit is held for are named; the rest is counted.
pub const MAX_BECAUSE: usize = 10;
/// So many objects that were sick before a change are remembered. Beyond, none that it left as it was can be blamed on it.
pub const MAX_SICK: usize = 200;
/// Longer reasons are cut.
const MAX_REASON: usize = 500;

/// A commit at which the environment was live, and the inputs that it asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GoodCommit {
    /// Its id, as [`CommitInfo::id`].
    pub commit: String,
    /// The digest of what the environment is made from there.
    pub inputs: Digest,
}

impl fmt::Display for GoodCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&short(&self.commit))
    }
}

/// What was not healthy when the last good commit was left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Before {
    /// The inputs of that good commit.
    pub good: Digest,
    /// The objects, cut at [`MAX_SICK`].
    pub sick: Listed<ObjectId>,
}

impl Before {
    /// Of these objects, which are all that were sick.
    pub fn new(good: &GoodCommit, sick: &BTreeSet<ObjectId>) -> Self {
        let items = sick.iter().take(MAX_SICK).cloned().collect();
        Self { good: good.inputs.clone(), sick: Listed { total: sick.len(), items } }
    }

    /// True when the object is known to have been healthy as `good` was left.
    pub fn was_healthy(&self, id: &ObjectId, good: &GoodCommit) -> bool {
        let Self { good: left, sick } = self;
        *left == good.inputs && sick.total == sick.items.len() && !sick.items.contains(id)
    }
}

/// A commit that is held: the environment was rolled back from it, and it is not tried again until git asks for something
/// else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The commit.
    pub commit: CommitInfo,
    /// What is held: whatever commit asks for these inputs.
    pub inputs: Digest,
    /// What is enforced in its place.
    pub to: GoodCommit,
    /// Since when.
    pub since: Timestamp,
    /// The objects that did not become healthy in time, with their places in that commit.
    pub because: Listed<ObjectStatus>,
}

impl Held {
    /// Holds the commit because of these objects.
    pub fn new(
        commit: CommitInfo,
        inputs: Digest,
        to: GoodCommit,
        because: Vec<ObjectStatus>,
        since: Timestamp,
    ) -> Self {
        let mut because = Listed::all(because);
        because.items.truncate(MAX_BECAUSE);
        for object in &mut because.items {
            if let Some((place, _)) = object.reason.char_indices().nth(MAX_REASON) {
                object.reason.truncate(place);
                object.reason.push('…');
            }
        }
        Self { commit, inputs, to, since, because }
    }

    /// Which commit is held and what is enforced, in one clause.
    pub fn outline(&self) -> String {
        format!("{} is held, {} is enforced again", short(&self.commit.id), self.to)
    }

    /// Why, in one clause: the first object, and how many more.
    pub fn cause(&self) -> String {
        let Some(ObjectStatus { object, reason, .. }) = self.because.items.first() else {
            return "it did not become healthy in time".to_owned();
        };
        let more = match self.because.total.saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        format!("{object} was not healthy in time{more}: {reason}")
    }

    /// What people are told, with the places of the objects in the commit that is held.
    pub fn problem(&self) -> Problem {
        let Self { commit, because, .. } = self;
        let message = format!("{}: {}", self.outline(), self.cause());
        let help = format!(
            "`git revert {}`, or mend it; whatever else the environment's files ask for is tried, nothing else lifts the hold",
            short(&commit.id)
        );
        let mut problem = Problem::error(Code::RolledBack, message).help(help);
        for ObjectStatus { object, location, .. } in &because.items {
            let Some(location) = location.clone() else { continue };
            problem = match problem.location {
                None => problem.at(location),
                Some(_) => problem.related(format!("{object} was not healthy either"), location),
            };
        }
        problem
    }
}

/// A commit id as people quote it.
fn short(id: &str) -> String {
    id.chars().take(if id.starts_with("uncommitted-") { 19 } else { 7 }).collect()
}
