//! Kubernetes objects: how they are named, and one rendered object with its places in git.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::Digest;
use crate::location::Location;
use crate::yaml::Spans;

/// Group, version and kind of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Gvk {
    /// API group; empty for the core group.
    pub group: String,
    /// Version, e.g. `v1`.
    pub version: String,
    /// Kind, e.g. `Deployment`.
    pub kind: String,
}

impl Gvk {
    /// From `apiVersion` and `kind` as they stand in a manifest.
    pub fn from_api_version(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() }
    }

    /// `apiVersion` as it stands in a manifest.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The words for a cluster that does not serve this.
    pub fn unserved(&self) -> String {
        format!("the cluster serves no {} in {}", self.kind, self.api_version())
    }
}

/// Whether objects of a kind live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In the cluster.
    Cluster,
}

/// An object by name. Two references to one object in different API versions differ here and agree in [`ObjectRef::id`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Group, version and kind.
    #[serde(flatten)]
    pub gvk: Gvk,
    /// Namespace; none for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl ObjectRef {
    /// The identity that survives a change of API version.
    pub fn id(&self) -> ObjectId {
        ObjectId {
            group: self.gvk.group.clone(),
            kind: self.gvk.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl fmt::Display for ObjectRef {
    /// `Deployment shop/web`, or `ClusterRole reader`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gvk, namespace, name } = self;
        match namespace {
            Some(namespace) => write!(f, "{} {namespace}/{name}", gvk.kind),
            None => write!(f, "{} {name}", gvk.kind),
        }
    }
}

/// The identity of an object within a cluster: group, kind, namespace and name, whatever the version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace; none for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group: _, kind, namespace, name } = self;
        match namespace {
            Some(namespace) => write!(f, "{kind} {namespace}/{name}"),
            None => write!(f, "{kind} {name}"),
        }
    }
}

/// One object as it will be sent, with the places in git that ask for each of its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredObject {
    /// Its name, with the namespace filled in.
    pub reference: ObjectRef,
    /// Which place in git asks for which field.
    pub spans: Spans,
    /// `tidegate.dev/wave`, 0 when it has none.
    pub wave: i32,
    value: Value,
    /// Of the value, which never changes: plans ask for it again and again, and it is most of what an idle plan would cost.
    digest: Digest,
}

impl DesiredObject {
    /// An object that is sent as this value: the manifest after substitution and patches, keys sorted.
    pub fn new(reference: ObjectRef, value: Value, spans: Spans, wave: i32) -> Self {
        let digest = Digest::of(value.to_string().as_bytes());
        Self { reference, spans, wave, value, digest }
    }

    /// What is sent.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The same object with another value.
    #[must_use]
    pub fn with_value(self, value: Value) -> Self {
        Self::new(self.reference, value, self.spans, self.wave)
    }

    /// Where the object begins in git.
    pub fn location(&self) -> Location {
        self.spans.root()
    }

    /// The digest of what is sent; equal digests mean that nothing changed in git for this object.
    pub fn digest(&self) -> Digest {
        self.digest.clone()
    }
}
