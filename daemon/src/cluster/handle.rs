//! The handle of one cluster, and the task that keeps it: connected, its Lease renewed, its parents watched.
//!
//! Lanes of several environments share one handle. A cluster that is out of reach delays only its own lanes: they read
//! [`Cluster::state`] and wait for it to change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tidegate_core::ids::EnvironmentName;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::absent::Absent;
use super::call::CallError;
use super::kinds::Kinds;
use super::lease::{DEAD_AFTER, Identity, Membership, RENEW_EVERY};
use super::parent::{PARENT_LABEL, Parent, Parents, SYSTEM_NAMESPACE, parse};
use super::schemas::Schemas;
use super::shards::{ListedShards, StoredShards};
use super::store::Store;
use super::watch::Watches;
use super::write::Writer;

/// Longest pause between attempts to reach a cluster.
const RECONNECT_CAP: Duration = Duration::from_secs(30);
/// Longest wait for the first list of the parents; after it each lane reads its own.
const PARENTS_DEADLINE: Duration = Duration::from_secs(5);
/// Longest wait for the list of all shards; after it each lane lists its own.
const SHARDS_DEADLINE: Duration = Duration::from_secs(10);
/// So long the list is kept for lanes that have not begun.
const SHARDS_AGE: Duration = Duration::from_mins(1);

/// Whether a cluster can be worked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterState {
    /// Not asked yet.
    Connecting,
    /// Our Lease stands and the kinds are known.
    Ready,
    /// Out of reach, or it does not let us in; with the reason.
    Unreachable(String),
}

/// One target cluster.
pub struct Cluster {
    /// For requests that have no module of their own.
    pub client: Client,
    /// Served kinds.
    pub kinds: Kinds,
    /// Kinds that are gone.
    pub absent: Absent,
    /// Schemas.
    pub schemas: Schemas,
    /// Live objects.
    pub store: Arc<Store>,
    /// Running watches.
    pub watches: Watches,
    /// Writes.
    pub writer: Writer,
    /// Parents and shards.
    pub parents: Parents,
    state: watch::Sender<ClusterState>,
    membership: Mutex<Owners>,
    seen_parents: RwLock<BTreeMap<EnvironmentName, Parent>>,
    listed_parents: watch::Sender<bool>,
    listed_shards: Mutex<Option<(Instant, ListedShards)>>,
    wakers: RwLock<BTreeMap<EnvironmentName, Arc<Notify>>>,
}

/// The last word of the membership on who owns what.
#[derive(Default)]
struct Owners(Option<super::lease::View>);

impl Cluster {
    /// A handle; [`Cluster::keep`] makes it live.
    pub fn new(client: Client) -> Arc<Self> {
        let store = Arc::new(Store::default());
        let kinds = Kinds::new(client.clone());
        Arc::new(Self {
            absent: Absent::new(client.clone(), kinds.clone()),
            schemas: Schemas::new(client.clone()),
            watches: Watches::new(client.clone(), store.clone(), kinds.clone()),
            writer: Writer::new(client.clone()),
            parents: Parents::new(client.clone()),
            state: watch::Sender::new(ClusterState::Connecting),
            membership: Mutex::default(),
            seen_parents: RwLock::default(),
            listed_parents: watch::Sender::new(false),
            listed_shards: Mutex::default(),
            wakers: RwLock::default(),
            kinds,
            store,
            client,
        })
    }

    /// Whether the cluster can be worked with now.
    pub fn state(&self) -> ClusterState {
        self.state.borrow().clone()
    }

    /// Says when the state changes.
    pub fn states(&self) -> watch::Receiver<ClusterState> {
        self.state.subscribe()
    }

    /// True when this replica is the one that works on the environment.
    pub fn owns(&self, environment: &EnvironmentName) -> bool {
        let membership = self.membership.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        membership.0.as_ref().is_some_and(|view| view.owns(environment))
    }

    /// Who is alive in this cluster, as far as it is known.
    pub fn view(&self) -> Option<super::lease::View> {
        self.membership.lock().unwrap_or_else(std::sync::PoisonError::into_inner).0.clone()
    }

    /// Every environment that the watch of the parents has seen, and whose it is. Asked every few seconds: no record is copied.
    pub fn environments(&self) -> Vec<(EnvironmentName, Option<String>)> {
        let seen = self.seen_parents.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.iter().map(|(name, parent)| (name.clone(), parent.source.clone())).collect()
    }

    /// Wakes `notify` when a live object or the parent of the environment changes, or its owner may have changed.
    pub fn register(&self, environment: &EnvironmentName, notify: Arc<Notify>) {
        self.store.register(environment, notify.clone());
        self.wakers
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(environment.clone(), notify);
    }

    /// The parent as the watch last saw it.
    pub fn seen_parent(&self, environment: &EnvironmentName) -> Option<Parent> {
        self.seen_parents.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(environment).cloned()
    }

    /// True once the watch of the parents has listed all of them: one that it does not know is most likely absent.
    pub fn has_listed_parents(&self) -> bool {
        *self.listed_parents.borrow()
    }

    /// The shards of an environment, if all of them were listed just now, no later than its parent was written.
    pub fn listed_shards(&self, parent: &Parent) -> Option<StoredShards> {
        let mut listed = self.listed_shards.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        listed.as_mut().and_then(|(_, listed)| listed.take(parent))
    }

    /// One list instead of one by every lane. Without it they list for themselves.
    async fn list_shards(&self) {
        let listed = if self.seen_parents.read().unwrap_or_else(std::sync::PoisonError::into_inner).len() < 2
        {
            None
        } else {
            let read = tokio::time::timeout(SHARDS_DEADLINE, self.parents.list_shards()).await;
            read.ok().and_then(Result::ok).map(|listed| (Instant::now(), listed))
        };
        *self.listed_shards.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = listed;
    }

    /// What no lane has taken belongs to other replicas.
    fn drop_old_shards(&self) {
        let mut listed = self.listed_shards.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if listed.as_ref().is_some_and(|(at, _)| at.elapsed() > SHARDS_AGE) {
            *listed = None;
        }
    }

    /// Takes in a parent that we have just made, before the watch shows it.
    pub fn note_made(&self, parent: &Parent) {
        let mut seen = self.seen_parents.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.entry(parent.environment.clone()).or_insert_with(|| parent.clone());
    }

    /// Takes in that we have deleted a parent, before the watch shows it.
    pub fn note_deleted(&self, parent: &Parent) {
        let mut seen = self.seen_parents.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if seen.get(&parent.environment).is_some_and(|known| known.uid == parent.uid) {
            seen.remove(&parent.environment);
        }
    }

    /// Keeps the handle live until `shutdown`, then gives the Lease up.
    pub async fn keep(self: Arc<Self>, me: Identity, shutdown: CancellationToken) {
        let parents = tokio::spawn(self.clone().watch_parents());
        let mut membership = Membership::new(self.client.clone(), me);
        let mut pause = Duration::from_secs(1);
        loop {
            let wait = match self.tick(&mut membership).await {
                Ok(()) => {
                    pause = Duration::from_secs(1);
                    RENEW_EVERY
                }
                Err(error) => {
                    self.set_state(&ClusterState::Unreachable(error.to_string()));
                    pause = (pause * 2).min(RECONNECT_CAP);
                    pause
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        parents.abort();
        if let Err(error) = membership.release().await {
            tracing::debug!(%error, "failed to release the Lease; others take over after {DEAD_AFTER:?}");
        }
    }

    async fn tick(&self, membership: &mut Membership) -> Result<(), CallError> {
        if self.state() != ClusterState::Ready {
            self.kinds.refresh().await?;
            self.parents.ensure_namespace().await?;
            // One list instead of a read by every lane. Without it they read for themselves.
            let mut listed = self.listed_parents.subscribe();
            let _ = tokio::time::timeout(PARENTS_DEADLINE, listed.wait_for(|listed| *listed)).await;
            self.list_shards().await;
        }
        self.drop_old_shards();
        membership.renew().await?;
        let changed = {
            let mut owners = self.membership.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let view = membership.view();
            let changed = owners.0.as_ref() != Some(&view);
            owners.0 = Some(view);
            changed
        };
        self.set_state(&ClusterState::Ready);
        if changed {
            self.wake_all();
        }
        Ok(())
    }

    fn set_state(&self, state: &ClusterState) {
        let changed = self.state.send_if_modified(|known| {
            let changed = known != state;
            known.clone_from(state);
            changed
        });
        if changed {
            self.wake_all();
        }
    }

    fn wake_all(&self) {
        for waker in self.wakers.read().unwrap_or_else(std::sync::PoisonError::into_inner).values() {
            waker.notify_one();
        }
    }

    async fn watch_parents(self: Arc<Self>) {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), SYSTEM_NAMESPACE);
        let config = watcher::Config::default().labels(PARENT_LABEL);
        let mut events = watcher(api, config).default_backoff().boxed();
        let mut listed = BTreeSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Apply(object)) => {
                    if let Some(parent) = parse(&object) {
                        self.note_parent(&parent);
                    }
                }
                Ok(watcher::Event::InitApply(object)) => {
                    if let Some(parent) = parse(&object) {
                        listed.insert(parent.environment.clone());
                        self.note_parent(&parent);
                    }
                }
                Ok(watcher::Event::Delete(object)) => {
                    if let Some(parent) = parse(&object) {
                        let mut seen =
                            self.seen_parents.write().unwrap_or_else(std::sync::PoisonError::into_inner);
                        seen.remove(&parent.environment);
                        drop(seen);
                        self.wake(&parent.environment);
                    }
                }
                Ok(watcher::Event::Init) => listed.clear(),
                Ok(watcher::Event::InitDone) => {
                    self.drop_unlisted(&listed);
                    self.listed_parents.send_replace(true);
                }
                Err(error) => {
                    tracing::debug!(error = %super::call::chain(&error), "watch of the parents interrupted");
                }
            }
        }
    }

    /// Parents that went while the watch was interrupted are in no list after it.
    fn drop_unlisted(&self, listed: &BTreeSet<EnvironmentName>) {
        let mut seen = self.seen_parents.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let gone: Vec<EnvironmentName> =
            seen.keys().filter(|name| !listed.contains(*name)).cloned().collect();
        seen.retain(|name, _| listed.contains(name));
        drop(seen);
        for name in gone {
            self.wake(&name);
        }
    }

    /// Takes in a parent that was seen or written; wakes its lane when somebody else changed it.
    fn note_parent(&self, parent: &Parent) {
        let environment = parent.environment.clone();
        let before = self
            .seen_parents
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(environment.clone(), parent.clone());
        let asks = |parent: &Parent| (parent.suspension.clone(), parent.sync.clone(), parent.rewind.clone());
        // What another replica records, ours follows for the environments that depend on it; and where the environment is
        // ours, it says how it really stands.
        let stands = |parent: &Parent| {
            parent.status.as_ref().map(|status| (status.state, status.inputs.clone(), status.seen.clone()))
        };
        let writer = parent.status.as_ref().map(|status| status.replica.as_str());
        let followed = self.view().is_none_or(|view| writer.is_some_and(|writer| !view.is_me(writer)));
        let news = before.is_none_or(|before| {
            asks(&before) != asks(parent) || (followed && stands(&before) != stands(parent))
        });
        if news {
            self.wake(&environment);
        }
    }

    fn wake(&self, environment: &EnvironmentName) {
        let wakers = self.wakers.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(waker) = wakers.get(environment) {
            waker.notify_one();
        }
    }
}
