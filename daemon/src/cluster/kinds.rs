//! Which kinds an API server serves, and under which path. Read by one aggregated discovery, kept until something is unknown
//! or an answer says that it no longer holds.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
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

/// The kinds of one API server; clones share what was read.
#[derive(Clone)]
pub struct Kinds {
    client: Client,
    served: Arc<RwLock<Served>>,
    /// Held while discovery is read, so that many lanes ask once.
    reading: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Served {
    kinds: BTreeMap<Gvk, ServedKind>,
    /// The versions of each group and kind, the one that the API server prefers first.
    versions: BTreeMap<(String, String), Vec<String>>,
    read_at: Option<Instant>,
    doubted: bool,
}

impl Kinds {
    /// Nothing is read yet.
    pub fn new(client: Client) -> Self {
        Self { client, served: Arc::default(), reading: Arc::default() }
    }

    /// The kind, from what was read so far.
    pub fn get(&self, gvk: &Gvk) -> Option<ServedKind> {
        self.read().kinds.get(gvk).cloned()
    }

    /// The kind; asks the API server again when it is unknown or doubted and the last answer is old enough.
    pub async fn resolve(&self, gvk: &Gvk) -> Result<Option<ServedKind>, CallError> {
        if !self.read().doubted
            && let Some(kind) = self.get(gvk)
        {
            return Ok(Some(kind));
        }
        self.refresh_if_stale().await?;
        Ok(self.get(gvk))
    }

    /// The kind in this version where it is served, else in the version that the API server prefers: objects are the same in
    /// all versions, so whoever only reads, watches or deletes takes any.
    pub async fn resolve_any(&self, gvk: &Gvk) -> Result<Option<(Gvk, ServedKind)>, CallError> {
        if let Some(kind) = self.resolve(gvk).await? {
            return Ok(Some((gvk.clone(), kind)));
        }
        let served = self.read();
        let versions = served.versions.get(&(gvk.group.clone(), gvk.kind.clone()));
        let other = versions.into_iter().flatten().find_map(|version| {
            let gvk = Gvk { version: version.clone(), ..gvk.clone() };
            served.kinds.get(&gvk).map(|kind| (gvk.clone(), kind.clone()))
        });
        Ok(other)
    }

    /// The API server has answered that something is not served which was: the next one who asks has it read again.
    pub fn doubt(&self) {
        self.write().doubted = true;
    }

    /// Reads everything anew.
    pub async fn refresh(&self) -> Result<(), CallError> {
        let _reading = self.reading.lock().await;
        self.read_discovery().await
    }

    async fn refresh_if_stale(&self) -> Result<(), CallError> {
        if !self.is_stale() {
            return Ok(());
        }
        let _reading = self.reading.lock().await;
        // Another one may have read it meanwhile.
        if self.is_stale() { self.read_discovery().await } else { Ok(()) }
    }

    async fn read_discovery(&self) -> Result<(), CallError> {
        let discovery = once(Discovery::new(self.client.clone()).run_aggregated()).await?;
        let mut kinds = BTreeMap::new();
        let mut versions: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
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
                    let of_kind = versions.entry((gvk.group.clone(), gvk.kind.clone())).or_default();
                    of_kind.push(gvk.version.clone());
                    kinds.insert(gvk, ServedKind { resource, scope, watchable });
                }
            }
        }
        *self.write() = Served { kinds, versions, read_at: Some(Instant::now()), doubted: false };
        Ok(())
    }

    fn is_stale(&self) -> bool {
        self.read().read_at.is_none_or(|at| at.elapsed() > REFRESH_PAUSE)
    }

    fn read(&self) -> RwLockReadGuard<'_, Served> {
        self.served.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Served> {
        self.served.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl tidegate_core::desired::KindScopes for Kinds {
    fn scope(&self, gvk: &Gvk) -> Option<Scope> {
        self.get(gvk).map(|kind| kind.scope)
    }
}
