//! Whether an environment that does not become healthy goes back to its last good commit, as one pure function.
//!
//! [`decide`] sees what is enforced, what was good last, and which objects are unhealthy; it makes no request and keeps no
//! state. What it never does: roll back twice for one change, away from a commit that was live itself, or because of an
//! object that was sick before and that the change left as it was. The shell asks it after every settled pass, writes
//! [`Held`] on the parent before the first write of a rollback, and then enforces the good set by the same plan as ever.

mod kept;
mod leave;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::desired::{Cluster, OnFailure};
use crate::ids::Digest;
use crate::object::{DesiredObject, ObjectId};
use crate::status::ObjectStatus;

pub use kept::{Before, GoodCommit, Held, MAX_BECAUSE, MAX_SICK};
pub use leave::{Leave, leave};

/// Everything that the decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct RollbackInput<'a> {
    /// What is enforced.
    pub enforced: Enforced<'a>,
    /// Set while another set is enforced in place of a held one.
    pub held: Option<&'a Held>,
    /// The last good commit, as far as it is known.
    pub good: LastGood<'a>,
    /// What was sick when the last good commit was left.
    pub before: Option<&'a Before>,
    /// The objects that are applied as git asks, and not healthy.
    pub unhealthy: &'a [Unhealthy],
}

/// The set that is enforced.
#[derive(Debug, Clone, Copy)]
pub struct Enforced<'a> {
    /// The digest of what it is made from.
    pub inputs: &'a Digest,
    /// What it asks for when it does not become healthy.
    pub on_failure: OnFailure,
    /// It takes the environment down.
    pub decommission: bool,
    /// Where.
    pub cluster: &'a Cluster,
    /// Its objects.
    pub objects: &'a [Arc<DesiredObject>],
}

/// The last commit at which the environment was applied whole and healthy.
#[derive(Debug, Clone, Copy)]
pub enum LastGood<'a> {
    /// There was none.
    Never,
    /// Its name is known, its objects are not read yet.
    Named(&'a GoodCommit),
    /// It cannot be read, in words.
    Lost(&'a GoodCommit, &'a str),
    /// Its cluster and its objects.
    Loaded(&'a GoodCommit, &'a Cluster, &'a [Arc<DesiredObject>]),
}

/// An object that is applied as git asks, exists, and is not healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhealthy {
    /// How it stands, why, and where it stands in git.
    pub status: ObjectStatus,
    /// Whether it may still become healthy in time.
    pub patience: Patience,
}

/// Whether a deadline is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It is not.
    Left,
    /// It is.
    Over,
}

/// What is done about an environment that is not healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It stays as it is.
    Stay(Stay),
    /// All else says that it goes back: the objects of this commit are needed to tell which ones changed.
    Load(GoodCommit),
    /// It goes back.
    RollBack {
        /// To this commit.
        to: GoodCommit,
        /// Because these objects are not healthy; never empty.
        because: Vec<ObjectStatus>,
    },
}

/// Why an environment stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stay {
    /// Everything that is applied is healthy.
    Healthy,
    /// It was rolled back already: never twice for one change, and never back and forth.
    RolledBack,
    /// It is being taken down.
    Decommissioned,
    /// `onFailure: stay`.
    Asked,
    /// There is no good commit.
    NeverGood,
    /// What is enforced was live itself: what broke since is no work of the commit.
    WasGood,
    /// No deadline is over; then it may go back to this commit.
    InTime(GoodCommit),
    /// The good commit cannot be read, in words.
    Lost(GoodCommit, String),
    /// The good commit stands in another cluster.
    Moved(GoodCommit),
    /// What is unhealthy was so before, and did not change.
    Untouched(GoodCommit),
}

/// Decides.
pub fn decide(input: &RollbackInput<'_>) -> Decision {
    let RollbackInput { enforced, held, good, before, unhealthy } = input;
    if unhealthy.is_empty() {
        return Decision::Stay(Stay::Healthy);
    }
    if held.is_some() {
        return Decision::Stay(Stay::RolledBack);
    }
    if enforced.decommission {
        return Decision::Stay(Stay::Decommissioned);
    }
    match enforced.on_failure {
        OnFailure::Stay => return Decision::Stay(Stay::Asked),
        OnFailure::Rollback => {}
    }
    let Some(commit) = good.commit() else { return Decision::Stay(Stay::NeverGood) };
    if commit.inputs == *enforced.inputs {
        return Decision::Stay(Stay::WasGood);
    }
    if unhealthy.iter().all(|object| object.patience == Patience::Left) {
        return Decision::Stay(Stay::InTime(commit.clone()));
    }
    match good {
        LastGood::Never => Decision::Stay(Stay::NeverGood),
        LastGood::Named(commit) => Decision::Load((*commit).clone()),
        LastGood::Lost(commit, why) => Decision::Stay(Stay::Lost((*commit).clone(), (*why).to_owned())),
        LastGood::Loaded(commit, cluster, _) if *cluster != enforced.cluster => {
            Decision::Stay(Stay::Moved((*commit).clone()))
        }
        LastGood::Loaded(commit, _, objects) => {
            weigh(&blamed(enforced.objects, objects, commit, *before, unhealthy), commit)
        }
    }
}

/// By the objects that the change is to blame for.
fn weigh(blamed: &[&Unhealthy], commit: &GoodCommit) -> Decision {
    let late = blamed.iter().filter(|object| object.patience == Patience::Over);
    let because: Vec<ObjectStatus> = late.map(|object| object.status.clone()).collect();
    match (because.is_empty(), blamed.is_empty()) {
        (false, _) => Decision::RollBack { to: commit.clone(), because },
        (true, false) => Decision::Stay(Stay::InTime(commit.clone())),
        (true, true) => Decision::Stay(Stay::Untouched(commit.clone())),
    }
}

/// The unhealthy objects that the change is to blame for: it changed them, or they were healthy before it.
fn blamed<'u>(
    enforced: &[Arc<DesiredObject>],
    good: &[Arc<DesiredObject>],
    commit: &GoodCommit,
    before: Option<&Before>,
    unhealthy: &'u [Unhealthy],
) -> Vec<&'u Unhealthy> {
    let digests = |objects: &[Arc<DesiredObject>]| -> BTreeMap<ObjectId, Digest> {
        objects.iter().map(|object| (object.reference.id(), object.digest())).collect()
    };
    let (now, then) = (digests(enforced), digests(good));
    let is_blamed = |id: &ObjectId| {
        let changed = now.get(id) != then.get(id);
        changed || before.is_some_and(|before| before.was_healthy(id, commit))
    };
    unhealthy.iter().filter(|object| is_blamed(&object.status.object)).collect()
}

impl LastGood<'_> {
    fn commit(&self) -> Option<&GoodCommit> {
        match self {
            Self::Never => None,
            Self::Named(commit) | Self::Lost(commit, _) | Self::Loaded(commit, _, _) => Some(commit),
        }
    }
}

impl fmt::Display for Stay {
    /// What wakes the environment next, without a full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mends = "a commit that mends it";
        match self {
            Self::Healthy => f.write_str("a change of the objects' status"),
            Self::RolledBack => f.write_str("a commit that changes what git asks for"),
            Self::Decommissioned => f.write_str("the objects are gone"),
            Self::Asked => write!(f, "{mends} (`onFailure: stay`: it is not rolled back)"),
            Self::NeverGood => {
                write!(f, "{mends}; it was never live before, so there is nothing to roll back to")
            }
            Self::WasGood => write!(
                f,
                "a change of the objects' status, or {mends}; it was live at this commit, so it is not rolled back"
            ),
            Self::InTime(good) => {
                write!(f, "a change of the objects' status, else back to {good} at the deadline")
            }
            Self::Lost(good, why) => write!(f, "{mends}; it cannot be rolled back to {good}: {why}"),
            Self::Moved(good) => {
                write!(f, "{mends}; it is not rolled back to {good}, which names another cluster")
            }
            Self::Untouched(good) => write!(
                f,
                "{mends}; it is not rolled back to {good}: what is unhealthy was not healthy before either, and is unchanged"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
