//! One environment as `environment.yaml` asks for it. Only types and their defaults; the reading is in `read`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::ids::EnvironmentName;
use crate::location::Location;
use crate::object::ObjectId;
use crate::problem::Problem;
use crate::render::Patch;

/// A value with the place in git that asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub location: Location,
}

/// One environment, complete and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// Its name, which is that of its folder.
    pub name: EnvironmentName,
    /// Its folder, e.g. `environments/production`.
    pub folder: String,
    /// Where its file begins.
    pub location: Location,
    /// The cluster that it describes.
    pub cluster: Placed<Cluster>,
    /// Namespaces that it may write to; never empty. The first is the default for objects that name none.
    pub namespaces: Vec<Placed<String>>,
    /// Whether the listed namespaces are made when they do not stand in git. Default: no.
    pub create_namespaces: bool,
    /// The ServiceAccount that is impersonated for every write. Default: none.
    pub service_account: Option<String>,
    /// Where its objects stand, as normalised paths. Default: the environment's own folder.
    pub sources: Vec<Placed<Source>>,
    /// Values of `${NAME}`, as they are written in git.
    pub substitute: BTreeMap<String, String>,
    /// Patches, in the order in which they are applied.
    pub patches: Vec<Patch>,
    /// The names of the policies that hold for it, each once. Default: none.
    pub policies: Vec<Placed<String>>,
    /// What may be deleted.
    pub prune: Prune,
    /// Fields that are left to others.
    pub ignore: Vec<IgnoreRule>,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// Set while nothing is to be written.
    pub suspend: Option<Suspend>,
    /// Environments that must be live at their commit first.
    pub depends_on: Vec<Placed<EnvironmentName>>,
    /// Cluster-scoped kinds that it may own. Default: none.
    pub cluster_scoped: BTreeSet<String>,
    /// What happens when it is not healthy in time.
    pub on_failure: OnFailure,
    /// Objects with another tool's marks that are taken over.
    pub adopt: BTreeSet<ObjectId>,
    /// Set in the commit that takes the environment down.
    pub decommission: bool,
    /// What is odd in the file but does not keep it from being used.
    pub warnings: Vec<Problem>,
}

/// How the cluster is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cluster {
    /// The cluster that the daemon itself runs in.
    InCluster,
    /// A kubeconfig file that the daemon can read.
    Kubeconfig {
        /// Path of the file, relative to the daemon's working directory; default: the daemon's own kubeconfig.
        path: Option<String>,
        /// The context; default: the file's current one.
        context: Option<String>,
    },
    /// A kubeconfig in a Secret of the cluster that the daemon runs in.
    KubeconfigSecret {
        /// Which Secret, and which key of it.
        secret: SecretKey,
        /// The context; default: the kubeconfig's current one.
        context: Option<String>,
    },
}

/// One key of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretKey {
    /// The Secret's namespace.
    pub namespace: String,
    /// The Secret's name.
    pub name: String,
    /// The key in its data. Default: `kubeconfig`.
    pub key: String,
}

/// Where objects stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Every manifest below a folder, or one file; the path is relative to the root of the repository.
    Manifests(String),
}

/// What may be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prune {
    /// Whether what left git is deleted. Default: yes.
    pub enabled: bool,
    /// How much at once.
    pub budget: PruneBudget,
    /// Kinds that are deleted only when they stand here: Namespace, PersistentVolumeClaim, CustomResourceDefinition.
    pub allow: BTreeSet<String>,
}

impl Default for Prune {
    fn default() -> Self {
        Self { enabled: true, budget: PruneBudget::default(), allow: BTreeSet::new() }
    }
}

/// How many objects may be deleted at once; beyond either the environment stops and asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneBudget {
    /// At most that many. Default: 10.
    pub max: u32,
    /// At most that part of the inventory, in percent. Default: 20.
    pub percent: u32,
}

impl Default for PruneBudget {
    fn default() -> Self {
        Self { max: 10, percent: 20 }
    }
}

/// Fields of some objects that others own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoreRule {
    /// The kind that it is about.
    pub kind: String,
    /// One object only. Default: every object of the kind.
    pub name: Option<String>,
    /// JSON pointers (RFC 6901) of the fields.
    pub pointers: Vec<String>,
    /// When it holds. Default: always.
    pub when: IgnoreWhen,
}

/// When an [`IgnoreRule`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IgnoreWhen {
    /// Always.
    Always,
    /// Where a HorizontalPodAutoscaler targets the object.
    Hpa,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From the first write of a commit to the last. Default: 5 minutes.
    pub apply: Duration,
    /// From the last write to healthy. Default: 10 minutes.
    pub healthy: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { apply: Duration::from_mins(5), healthy: Duration::from_mins(10) }
    }
}

/// Nothing is written while this stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspend {
    /// Why, for people.
    pub reason: String,
    /// When it ends by itself. Default: never.
    pub until: Option<Timestamp>,
    /// Where it stands.
    pub location: Location,
}

/// What happens when an environment is not healthy within its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// Back to the last good commit; the bad one is held until git moves. The default.
    #[default]
    Rollback,
    /// It stays as it is, and is reported.
    Stay,
}
