//! What an environment should look like: `environment.yaml` parsed, its sources read, its objects rendered.
//!
//! Everything here works on the bytes of one commit ([`crate::tree::FileTree`]); nothing asks a cluster. Problems come all at
//! once, each with its place in git.

mod discover;
mod environment;
pub(crate) mod fields;
mod files;
mod identity;
mod load;
pub(crate) mod names;
mod paths;
mod read;
mod read_cluster;
mod read_patches;
mod text_fields;
mod waves;

use std::sync::Arc;

pub use discover::{KnownFiles, discover, discover_again};
pub use environment::{
    Cluster, Deadlines, Environment, IgnoreRule, IgnoreWhen, OnFailure, Placed, Prune, PruneBudget,
    SecretKey, Source, Suspend,
};
pub(crate) use load::WAVE;
pub use load::load;

use crate::object::{DesiredObject, Gvk, Scope};
use crate::problem::Problem;

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
    pub environment: Result<Arc<Environment>, Vec<Problem>>,
}

/// What the sources of an environment hold, rendered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Loaded {
    /// The objects, by wave and then by identity. When `problems` holds an error they are not to be applied.
    pub objects: Vec<Arc<DesiredObject>>,
    /// Errors and warnings, in order of their places.
    pub problems: Vec<Problem>,
}

/// The folders and files whose content is the input of an environment: its own and those of its sources, sorted, none within another.
pub fn read_paths(environment: &Environment) -> Vec<String> {
    let sources =
        environment.sources.iter().map(|Placed { value: Source::Manifests(path), location: _ }| path.clone());
    let mut all: Vec<String> = sources.chain([environment.folder.clone()]).collect();
    all.sort();
    all.dedup();
    let inner = |path: &String| all.iter().any(|other| other != path && paths::is_within(path, other));
    all.iter().filter(|path| !inner(path)).cloned().collect()
}
