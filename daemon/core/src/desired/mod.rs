//! What an environment should look like: `environment.yaml` parsed, its sources read, its objects rendered.
//!
//! Everything here works on the bytes of one commit ([`FileTree`]); nothing asks a cluster. Problems come all at
//! once, each with its place in git.

mod environment;

use std::sync::Arc;

pub use environment::{
    Cluster, Deadlines, Environment, IgnoreRule, IgnoreWhen, OnFailure, Placed, Prune, PruneBudget,
    SecretKey, Source, Suspend,
};

use crate::object::{DesiredObject, Gvk, Scope};
use crate::problem::Problem;
use crate::tree::FileTree;

/// What knows the scopes of kinds: the bundled schemas, or those of a cluster.
pub trait KindScopes {
    /// The scope of a kind; none when the kind is unknown.
    fn scope(&self, gvk: &Gvk) -> Option<Scope>;
}

/// A folder below `environments/` that has an `environment.yaml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The folder, e.g. `environments/production`.
    pub folder: String,
    /// The folder's own name, also when it is not a valid name of an environment.
    pub name: String,
    /// The environment, or everything that is wrong with its file.
    pub environment: Result<Environment, Vec<Problem>>,
}

/// What the sources of an environment hold, rendered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Loaded {
    /// The objects, by wave and then by identity. When `problems` holds an error they are not to be applied.
    pub objects: Vec<Arc<DesiredObject>>,
    /// Errors and warnings, in order of their places.
    pub problems: Vec<Problem>,
}

/// The environments of a commit, in order of their folders.
pub fn discover(_tree: &FileTree) -> Vec<Found> {
    Vec::new()
}

/// The folders and files whose content is the input of an environment: its own and those of its sources, sorted, none within another.
pub fn read_paths(environment: &Environment) -> Vec<String> {
    vec![environment.folder.clone()]
}

/// Reads, renders and checks the objects of an environment.
pub fn load(_tree: &FileTree, _environment: &Environment, _catalogue: &dyn KindScopes) -> Loaded {
    Loaded::default()
}
