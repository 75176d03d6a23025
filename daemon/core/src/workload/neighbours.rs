//! The objects of one namespace in git, parsed once for everything that is asked of them.

use std::sync::Arc;

use std::collections::BTreeMap;

use serde_json::Value;

use super::read::{items, text, texts};
use crate::object::DesiredObject;

/// An object with its value.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) object: Arc<DesiredObject>,
    pub(super) value: Value,
}

impl Known {
    pub(super) fn name(&self) -> &str {
        &self.object.reference.name
    }

    pub(super) fn is(&self, group: &str, kind: &str) -> bool {
        self.object.reference.gvk.kind == kind && self.object.reference.gvk.group == group
    }

    /// The labels of the pods that it keeps running.
    pub(super) fn pod_labels(&self) -> Option<BTreeMap<String, String>> {
        let gvk = &self.object.reference.gvk;
        match (gvk.group.as_str(), gvk.kind.as_str()) {
            ("", "Pod") => Some(texts(&self.value, "/metadata/labels")),
            ("", "ReplicationController")
            | ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => {
                Some(texts(&self.value, "/spec/template/metadata/labels"))
            }
            _ => None,
        }
    }

    /// Whether an Ingress leads to this Service.
    pub(super) fn leads_to(&self, service: &str) -> bool {
        let paths = || items(&self.value, "/spec/rules").flat_map(|rule| items(rule, "/http/paths"));
        self.is("networking.k8s.io", "Ingress")
            && (text(&self.value, "/spec/defaultBackend/service/name") == Some(service)
                || paths().any(|path| text(path, "/backend/service/name") == Some(service)))
    }
}

/// The objects of one namespace.
#[derive(Debug, Clone)]
pub(super) struct Neighbours {
    all: Vec<Known>,
}

impl Neighbours {
    /// Those of this namespace.
    pub(super) fn of(objects: &[Arc<DesiredObject>], namespace: Option<&str>) -> Self {
        let within = |object: &&Arc<DesiredObject>| object.reference.namespace.as_deref() == namespace;
        let known = |object: &Arc<DesiredObject>| Known { value: object.to_value(), object: object.clone() };
        Self { all: objects.iter().filter(within).map(known).collect() }
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Known> {
        self.all.iter()
    }

    /// Those of one kind.
    pub(super) fn kind<'a>(&'a self, group: &'a str, kind: &'a str) -> impl Iterator<Item = &'a Known> {
        self.all.iter().filter(move |known| known.is(group, kind))
    }

    /// One by its name.
    pub(super) fn find(&self, group: &str, kind: &str, name: &str) -> Option<&Known> {
        self.all.iter().find(|known| known.is(group, kind) && known.name() == name)
    }
}
