//! The two sides of every environment, as the shell has read and rendered them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::{Note, settings};
use crate::desired::Environment;
use crate::location::Location;
use crate::object::{DesiredObject, ObjectId};
use crate::problem::Problem;
use crate::tree::FileTree;
use crate::workload::{Colours, Workload};
use crate::yaml::Spans;

/// One environment at two commits.
#[derive(Debug, Clone)]
pub struct Compared {
    /// Its folder's name.
    pub name: String,
    /// As it was, or the newest state before that which could be applied.
    pub base: Side,
    /// As it will be.
    pub head: Side,
    /// What is wrong with base.
    pub base_problems: Vec<Problem>,
    /// What the shell has to say about it.
    pub notes: Vec<Note>,
}

/// One environment at one commit.
#[derive(Debug, Clone)]
pub enum Side {
    /// There is no such environment.
    Absent,
    /// It has errors: none of it is applied.
    Broken(Vec<Problem>),
    /// It is whole.
    Complete(Arc<Complete>),
}

impl Side {
    /// The environment, when it is whole.
    pub fn complete(&self) -> Option<&Complete> {
        match self {
            Self::Complete(complete) => Some(complete),
            Self::Absent | Self::Broken(_) => None,
        }
    }
}

/// An environment that is whole.
#[derive(Debug, Clone)]
pub struct Complete {
    /// Its settings.
    pub environment: Arc<Environment>,
    /// Its objects as they are sent.
    pub objects: Vec<Arc<DesiredObject>>,
    /// What of them rolls out in colours.
    pub workloads: Vec<Arc<Workload>>,
    /// Fields that are left to others, by object.
    pub ignored: BTreeMap<ObjectId, Vec<String>>,
    /// What is odd in it.
    pub warnings: Vec<Problem>,
    /// `environment.yaml` as it is written.
    pub file: SettingsFile,
    /// The names of substituted values that stand in Secrets.
    pub secret_names: BTreeSet<String>,
    /// What stands in front of every path for people: empty, or the sub-path with a `/`.
    pub prefix: String,
}

/// The `spec` of `environment.yaml` as it is written, with its places.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingsFile {
    /// The whole document.
    pub value: Value,
    /// Its places.
    pub spans: Spans,
}

impl Complete {
    /// From what was rendered of these files.
    pub fn new(
        files: &FileTree,
        environment: Arc<Environment>,
        objects: Vec<Arc<DesiredObject>>,
        ignored: BTreeMap<ObjectId, Vec<String>>,
    ) -> Self {
        let file = settings::file(files, &environment);
        let secret_names = settings::names_in_secrets(files, &environment);
        Self {
            environment,
            objects,
            workloads: Vec::new(),
            ignored,
            warnings: Vec::new(),
            file,
            secret_names,
            prefix: String::new(),
        }
    }

    /// The objects that it asks for: none while it is taken down.
    pub(super) fn wanted(&self) -> &[Arc<DesiredObject>] {
        if self.environment.decommission { &[] } else { &self.objects }
    }

    /// The objects that a rollout writes, in other words than git's.
    pub fn coloured(&self) -> BTreeSet<ObjectId> {
        let coloured = self.workloads.iter().filter(|workload| workload.mode == Colours::Coloured);
        coloured.flat_map(|workload| workload.ids()).collect()
    }

    /// A place as people find it.
    pub(super) fn place(&self, location: Location) -> Location {
        if self.prefix.is_empty() {
            return location;
        }
        Location { file: Arc::from(format!("{}{}", self.prefix, location.file)), position: location.position }
    }
}
