//! What one watch covers: a kind, in one namespace or in the whole cluster.

use tidegate_core::object::{Gvk, ObjectId};

/// A kind in one namespace or in the whole cluster, whatever the version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coverage {
    /// API group; empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The namespace; none for the whole cluster.
    pub namespace: Option<String>,
}

impl Coverage {
    /// The kind in the whole cluster.
    pub fn everywhere(gvk: &Gvk) -> Self {
        Self { group: gvk.group.clone(), kind: gvk.kind.clone(), namespace: None }
    }

    /// The kind in one namespace.
    pub fn within(gvk: &Gvk, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..Self::everywhere(gvk) }
    }

    /// True when an object of this id would be seen.
    pub fn holds(&self, id: &ObjectId) -> bool {
        let Self { group, kind, namespace } = self;
        id.group == *group
            && id.kind == *kind
            && (namespace.is_none() || id.namespace.as_ref() == namespace.as_ref())
    }

    /// True when both are about the same kind.
    pub fn is_of_kind(&self, gvk: &Gvk) -> bool {
        self.group == gvk.group && self.kind == gvk.kind
    }
}

impl std::fmt::Display for Coverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { group, kind, namespace } = self;
        f.write_str(kind)?;
        if !group.is_empty() {
            write!(f, ".{group}")?;
        }
        match namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => f.write_str(" in the whole cluster"),
        }
    }
}
