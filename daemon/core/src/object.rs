//! Kubernetes objects: how they are named, and one rendered object with its places in git.

use std::fmt;
use std::sync::{Arc, OnceLock};

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

    /// `Kind.group`, or `Kind` of the core group.
    pub fn kind_and_group(&self) -> String {
        if self.group.is_empty() { self.kind.clone() } else { format!("{}.{}", self.kind, self.group) }
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

    /// True when its identity is this one.
    pub fn is(&self, id: &ObjectId) -> bool {
        let ObjectId { group, kind, namespace, name } = id;
        self.name == *name
            && self.namespace == *namespace
            && self.gvk.kind == *kind
            && self.gvk.group == *group
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
#[derive(Debug, Clone)]
pub struct DesiredObject {
    /// Its name, with the namespace filled in.
    pub reference: ObjectRef,
    /// Which place in git asks for which field.
    pub spans: Spans,
    /// `tidegate.dev/wave`, 0 when it has none.
    pub wave: i32,
    /// The value, once somebody has asked for it.
    value: OnceLock<Value>,
    /// The value as text, a fraction of its size; none where text would not give the very same value again.
    text: Option<Box<str>>,
    /// Group and kind of what it defines, if it is a definition: plans ask for it again and again too.
    defines: Option<Box<(String, String)>>,
    /// Of the value, which never changes: plans ask for it again and again, and it is most of what an idle plan would cost.
    digest: Digest,
}

impl DesiredObject {
    /// An object that is sent as this value: the manifest after substitution and patches, keys sorted.
    pub fn new(reference: ObjectRef, value: Value, spans: Spans, wave: i32) -> Self {
        let text = value.to_string();
        let digest = Digest::of(text.as_bytes());
        let text = (!has_fraction(&value)).then(|| text.into_boxed_str());
        let mut spans = spans;
        spans.pack();
        let defines = defined(&reference.gvk, &value).map(Box::new);
        Self { reference, spans, wave, value: OnceLock::from(value), text, defines, digest }
    }

    /// What is sent. Kept from now on.
    pub fn value(&self) -> &Value {
        self.value.get_or_init(|| self.read())
    }

    /// What is sent, made anew for whoever is about to send it.
    pub fn to_value(&self) -> Value {
        self.value.get().cloned().unwrap_or_else(|| self.read())
    }

    fn read(&self) -> Value {
        self.text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// The same object for a long time in which nobody asks for its value.
    #[must_use]
    pub fn at_rest(self: Arc<Self>) -> Arc<Self> {
        if self.text.is_none() || self.value.get().is_none() {
            return self;
        }
        let Self { reference, spans, wave, value: _, text, defines, digest } = self.as_ref();
        let (reference, spans, digest) = (reference.clone(), spans.clone(), digest.clone());
        let (value, text, defines) = (OnceLock::new(), text.clone(), defines.clone());
        Arc::new(Self { reference, spans, wave: *wave, value, text, defines, digest })
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

    /// Group and kind of what it defines, if it is a CustomResourceDefinition.
    pub fn defines(&self) -> Option<&(String, String)> {
        self.defines.as_deref()
    }

    /// The digest of what is sent; equal digests mean that nothing changed in git for this object.
    pub fn digest(&self) -> Digest {
        self.digest.clone()
    }
}

/// Whatever form the value is kept in.
impl PartialEq for DesiredObject {
    fn eq(&self, other: &Self) -> bool {
        let Self { reference, spans, wave, value: _, text: _, defines: _, digest } = self;
        *reference == other.reference
            && *spans == other.spans
            && *wave == other.wave
            && *digest == other.digest
    }
}

fn defined(gvk: &Gvk, value: &Value) -> Option<(String, String)> {
    if gvk.group != "apiextensions.k8s.io" || gvk.kind != "CustomResourceDefinition" {
        return None;
    }
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    Some((text("/spec/group")?, text("/spec/names/kind")?))
}

/// Whether a number in it is no whole one: its text may be read as its neighbour.
fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_i64() && !number.is_u64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(fields) => fields.values().any(has_fraction),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::location::Position;

    #[test]
    fn an_object_at_rest_is_the_same_object() {
        let object = |value: Value| {
            let gvk = Gvk::from_api_version("v1", "ConfigMap");
            let reference = ObjectRef { gvk, namespace: None, name: "a".to_owned() };
            let spans = Spans::new(Arc::from("a.yaml"), Position::START);
            Arc::new(DesiredObject::new(reference, value, spans, 0))
        };
        for value in [json!({"a": [1, u64::MAX, -7, "x\n\u{1F600}", null, true], "b": {}}), json!({"a": 0.1})]
        {
            let before = object(value.clone());
            let after = before.clone().at_rest();
            assert_eq!(after, before);
            assert_eq!((after.to_value(), after.value()), (value.clone(), &value));
            assert_eq!(after.text.is_none(), value == json!({"a": 0.1}));
        }
    }
}
