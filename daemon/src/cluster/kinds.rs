//! Which kinds an API server serves, and under which path. Read by one aggregated discovery, kept until something is unknown.

use std::collections::BTreeMap;
use std::sync::RwLock;
use std::time::{Duration, Instant};

use kube::Client;
use kube::core::ApiResource;
use kube::discovery::{Discovery, Scope as KubeScope};
use tidegate_core::object::{Gvk, Scope};

use super::call::{CallError, once};

/// Discovery is asked at most this often when kinds are unknown.
const REFRESH_PAUSE: Duration = Duration::from_secs(2);

/// A kind as the API server serves it.
#[derive(Debug, Clone)]
pub struct ServedKind {
    /// Path parts for kube's dynamic client.
    pub resource: ApiResource,
    /// Whether it lives in namespaces.
    pub scope: Scope,
    /// True when it can be listed and watched.
    pub watchable: bool,
}

/// The kinds of one API server.
pub struct Kinds {
    client: Client,
    served: RwLock<Served>,
}

#[derive(Default)]
struct Served {
    kinds: BTreeMap<Gvk, ServedKind>,
    read_at: Option<Instant>,
}

impl Kinds {
    /// Nothing is read yet.
    pub fn new(client: Client) -> Self {
        Self { client, served: RwLock::default() }
    }

    /// The kind, from what was read so far.
    pub fn get(&self, gvk: &Gvk) -> Option<ServedKind> {
        self.served.read().unwrap_or_else(std::sync::PoisonError::into_inner).kinds.get(gvk).cloned()
    }

    /// The kind; asks the API server again when it is unknown and the last answer is old enough.
    pub async fn resolve(&self, gvk: &Gvk) -> Result<Option<ServedKind>, CallError> {
        if let Some(kind) = self.get(gvk) {
            return Ok(Some(kind));
        }
        if self.is_stale() {
            self.refresh().await?;
        }
        Ok(self.get(gvk))
    }

    /// Reads everything anew.
    pub async fn refresh(&self) -> Result<(), CallError> {
        let discovery = once(Discovery::new(self.client.clone()).run_aggregated()).await?;
        let mut kinds = BTreeMap::new();
        for group in discovery.groups() {
            for version in group.versions() {
                for (resource, capabilities) in group.versioned_resources(version) {
                    let gvk = Gvk {
                        group: resource.group.clone(),
                        version: resource.version.clone(),
                        kind: resource.kind.clone(),
                    };
                    let scope = match capabilities.scope {
                        KubeScope::Namespaced => Scope::Namespaced,
                        KubeScope::Cluster => Scope::Cluster,
                    };
                    let watchable =
                        capabilities.supports_operation("watch") && capabilities.supports_operation("list");
                    kinds.insert(gvk, ServedKind { resource, scope, watchable });
                }
            }
        }
        let mut served = self.served.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *served = Served { kinds, read_at: Some(Instant::now()) };
        Ok(())
    }

    fn is_stale(&self) -> bool {
        let served = self.served.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        served.read_at.is_none_or(|at| at.elapsed() > REFRESH_PAUSE)
    }
}

impl tidegate_core::desired::KindScopes for Kinds {
    fn scope(&self, gvk: &Gvk) -> Option<Scope> {
        self.get(gvk).map(|kind| kind.scope)
    }
}
