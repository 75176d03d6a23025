//! The plan that reviewers read: what changes between two desired states, before anything of it is merged.
//!
//! Made from git alone: no cluster, no clock, no host. It is not the plan that a lane executes ([`crate::plan`]), which
//! also knows what stands in the cluster; what a cluster adds to a review is in [`live`], and never mixed with the rest.
//!
//! Invariants
//! - Equal states have no changes. Every change of a field of an object is listed, old value and new, with its place.
//! - What is deleted, kept though it left git, or replaced comes first, in full; whatever is cut says how much.
//! - [`Review::plan_id`] depends on the two rendered states and nothing else: not on paths of files, the order of files
//!   and keys, time, host or locale.
//! - No value of a Secret stands in it, and no digest of one.
//!
//! | file | what it holds |
//! |---|---|
//! | `input` | the two sides of an environment |
//! | `compare` | from two sides to the changes of one environment |
//! | `across` | what concerns several environments: objects that move, objects that two of them define |
//! | `objects`, `immutable`, `conceal` | one object: its fields, which of them cannot change, what is not shown |
//! | `leftovers` | what becomes of objects that left git |
//! | `settings` | changes of `environment.yaml` itself |
//! | `rollouts` | what becomes of the workloads that roll out in colours |
//! | `identity`, `summary` | the id, the counts, the one line |
//! | `lines`, `text_diff`, `visible` | a change as lines for people |
//! | `markdown` | a comment on a pull request |
//! | `live` | what a cluster says about it |

mod across;
mod compare;
mod conceal;
mod identity;
mod immutable;
mod input;
mod leftovers;
pub mod lines;
pub mod live;
pub mod markdown;
mod objects;
mod rollouts;
mod settings;
mod summary;
#[cfg(test)]
mod tests;
mod text_diff;
pub mod visible;

use serde::Serialize;
use serde_json::Value;

use crate::ids::Digest;
use crate::location::Location;
use crate::object::ObjectRef;
use crate::problem::Problem;

pub use compare::review;
pub use conceal::CONCEALED;
pub use immutable::replaces;
pub use input::{Compared, Complete, SettingsFile, Side};
pub use rollouts::{GateReview, RolloutChange, RolloutReview, RolloutWay};
pub(crate) use settings::names_in_secrets;
pub use summary::Counts;

/// What changes between two desired states of a repository.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    /// The digest of both states of the environments below.
    pub plan_id: Digest,
    /// The environments, by name.
    pub environments: Vec<EnvironmentReview>,
}

/// What changes in one environment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentReview {
    /// Its name, which is that of its folder.
    pub name: String,
    /// How it stands.
    pub standing: Standing,
    /// The digest of its two states; none when one of them is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<Digest>,
    /// The digest of the objects that head renders (see [`crate::plan::plan_id`]): what a deploy of it is recorded under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rendered: Option<Digest>,
    /// How many changes of each sort.
    pub counts: Counts,
    /// The changes of objects: deletes, replaces, what is kept, creates, updates; of each sort by object.
    pub changes: Vec<ObjectChange>,
    /// What becomes of workloads that roll out in colours, by Deployment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rollouts: Vec<RolloutReview>,
    /// Changes of `environment.yaml`.
    pub settings: Vec<FieldEdit>,
    /// What else is worth knowing.
    pub notes: Vec<Note>,
    /// What is wrong with head, and what will go wrong with it as far as git can tell.
    pub problems: Vec<Problem>,
    /// What is wrong with base.
    pub base_problems: Vec<Problem>,
}

/// How an environment stands between two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// Nothing changes in it.
    Unchanged,
    /// Something changes in it.
    Changed,
    /// It is new.
    Added,
    /// It left git.
    Removed,
    /// Head has errors in it: nothing of head is applied, and what would change is not known.
    Broken,
    /// Head is whole, base is not, and no state before it is known: what changes cannot be told.
    Unknown,
}

/// What happens to one object.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectChange {
    /// The object, as head names it (as base does, when it left git).
    pub object: ObjectRef,
    /// What happens.
    #[serde(flatten)]
    pub action: Action,
    /// Where it stands: in head, or in base when it left git.
    pub location: Location,
    /// The fields that change; of a create, none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldEdit>,
    /// What is created, without the values of a Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
    /// The environment that it moves to or comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<Moved>,
}

/// What happens to an object. The order is the one in which changes are listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub enum Action {
    /// It left git, and is deleted.
    Delete,
    /// A field changes that cannot.
    Replace {
        /// What comes of it.
        way: Way,
    },
    /// It left git and stays in the cluster.
    Keep {
        /// Why.
        why: String,
    },
    /// It is new.
    Create,
    /// Fields of it change.
    Update,
}

/// What comes of a change of a field that cannot change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Way {
    /// The object is deleted and created anew: its kind holds no state.
    Recreated,
    /// The API server refuses it, and the object stays as it is.
    Refused,
}

/// An object that leaves one environment for another of the same cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    /// Whether it goes or comes.
    pub direction: Direction,
    /// The other environment.
    pub environment: String,
    /// The environment that it comes to takes it over (`adopt`).
    pub adopted: bool,
}

/// Where an object moves, seen from one environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// It goes to the other environment.
    To,
    /// It comes from the other environment.
    From,
}

/// A field that changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldEdit {
    /// Dotted path as people read it.
    pub path: String,
    /// The value before; none when the field is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// The value after; none when the field goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
    /// The place in head that asks for it; of a field that goes, where it stood in base.
    pub location: Location,
    /// The values are those of a Secret, and not shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// The API server does not let it change.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub immutable: bool,
    /// The environment leaves it to others: the live value stays.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub left_to_others: bool,
}

/// Something that is worth knowing of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What.
    pub text: String,
    /// The place that asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

impl Note {
    /// A note without a place.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), location: None }
    }

    /// A note with its place.
    pub fn at(text: impl Into<String>, location: Location) -> Self {
        Self { text: text.into(), location: Some(location) }
    }
}

impl EnvironmentReview {
    /// True when anything changes, or is wrong with head.
    pub fn has_news(&self) -> bool {
        self.has_changes() || self.problems.iter().any(Problem::is_error)
    }

    /// True when an object or a setting changes, or it cannot be known whether.
    pub fn has_changes(&self) -> bool {
        match self.standing {
            Standing::Unchanged => false,
            Standing::Changed
            | Standing::Added
            | Standing::Removed
            | Standing::Broken
            | Standing::Unknown => true,
        }
    }
}
