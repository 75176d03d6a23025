//! The kinds that are known, each with its scope, its plural and its schema. Not the checking of objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::node::{Library, NodeId};
use super::{bundle, definition, document};
use crate::desired::KindScopes;
use crate::object::{Gvk, Scope};

/// What is known of the kinds of one cluster, or of Kubernetes 1.35. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    kinds: BTreeMap<Gvk, Arc<KindInfo>>,
    metadata: Option<Schema>,
}

/// What is known of one kind in one version.
#[derive(Debug, Clone)]
pub struct KindInfo {
    /// Whether its objects live in namespaces.
    pub scope: Scope,
    /// The name of its resource in paths, e.g. `deployments`.
    pub plural: String,
    /// Its fields; none when only the kind is known (its objects are then unchecked).
    pub schema: Option<Schema>,
    /// What the definition says about the deprecation of this version; empty when it only says that it is deprecated.
    pub deprecation: Option<String>,
}

/// The fields of a kind, or of the metadata that all kinds share.
#[derive(Debug, Clone)]
pub struct Schema {
    pub(super) library: Arc<Library>,
    pub(super) root: NodeId,
}

impl Catalogue {
    /// The kinds that Kubernetes 1.35 serves by default, from the bundle in this crate. Read once, then shared.
    pub fn kubernetes_1_35() -> &'static Arc<Self> {
        bundle::kubernetes_1_35()
    }

    /// The kinds of a cluster, from its OpenAPI v3 documents (each the parsed body of `/openapi/v3/apis/<group>/<version>`
    /// or `/openapi/v3/api/v1`). What a document says badly is left out; its objects are then unchecked or unknown.
    pub fn from_cluster(openapi_v3_documents: &[Value]) -> Self {
        document::read(openapi_v3_documents)
    }

    /// This catalogue and the kinds of CustomResourceDefinitions (parsed `apiextensions.k8s.io/v1` objects), which
    /// replace every version of the same kind that was known before.
    #[must_use]
    pub fn with_definitions(&self, crds: &[&Value]) -> Self {
        let mut whole = self.clone();
        for crd in crds {
            let Some(defined) = definition::read(crd) else { continue };
            whole.kinds.retain(|gvk, _| gvk.group != defined.group || gvk.kind != defined.kind);
            for (version, info) in defined.versions {
                let gvk = Gvk { group: defined.group.clone(), version, kind: defined.kind.clone() };
                whole.insert(gvk, info);
            }
        }
        whole
    }

    /// Adds the OpenAPI v3 documents of further groups, so that the shell need not hold all of them at once.
    /// Kinds of the documents replace those of the same group, version and name.
    #[must_use]
    pub fn with_documents(&self, openapi_v3_documents: &[Value]) -> Self {
        let mut whole = self.clone();
        let Self { kinds, metadata } = document::read(openapi_v3_documents);
        whole.kinds.extend(kinds);
        whole.metadata = metadata.or(whole.metadata);
        whole
    }

    /// What is known of a kind.
    pub fn kind(&self, gvk: &Gvk) -> Option<&KindInfo> {
        self.kinds.get(gvk).map(Arc::as_ref)
    }

    /// Every kind, in order of group, version and name.
    pub fn kinds(&self) -> impl Iterator<Item = (&Gvk, &KindInfo)> {
        self.kinds.iter().map(|(gvk, info)| (gvk, info.as_ref()))
    }

    /// The `metadata` that all kinds share.
    pub(super) fn metadata(&self) -> Option<&Schema> {
        self.metadata.as_ref()
    }

    pub(super) fn insert(&mut self, gvk: Gvk, info: KindInfo) {
        self.kinds.insert(gvk, Arc::new(info));
    }

    pub(super) fn set_metadata(&mut self, metadata: Schema) {
        self.metadata = Some(metadata);
    }
}

impl KindScopes for Catalogue {
    fn scope(&self, gvk: &Gvk) -> Option<Scope> {
        self.kind(gvk).map(|info| info.scope)
    }
}
