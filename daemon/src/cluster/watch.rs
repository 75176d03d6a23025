//! Watches that keep the [`Store`] current: one per kind and cluster, whatever the number of environments.
//!
//! Kinds whose mere existence is healthy are watched by metadata only; kinds with a health rule as whole objects, of
//! which the compact form is kept. Only objects that carry our environment label are watched.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde::Serialize;
use serde_json::Value;
use tidegate_core::inventory::ENVIRONMENT;
use tidegate_core::object::{Gvk, ObjectId};
use tidegate_core::observed::LiveObject;
use tidegate_core::schedule::Backoff;
use tidegate_core::summarize::{Detail, detail_of, id_of, summarize};
use tokio::task::AbortHandle;

use super::kinds::ServedKind;
use super::store::Store;

/// Objects of a watch's first list are read in pages of this size.
const PAGE: u32 = 500;

/// A watch that is not allowed is tried again with growing pauses: rights may come.
const REFUSED: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_mins(1) };

/// The running watches of one cluster.
pub struct Watches {
    client: Client,
    store: Arc<Store>,
    running: Mutex<BTreeMap<(String, String), Running>>,
}

struct Running {
    task: AbortHandle,
    since: Instant,
}

impl Watches {
    /// None runs yet.
    pub fn new(client: Client, store: Arc<Store>) -> Self {
        Self { client, store, running: Mutex::default() }
    }

    /// Starts the watch of a kind unless it runs already.
    pub fn ensure(&self, gvk: &Gvk, kind: &ServedKind) {
        if !kind.watchable {
            return;
        }
        let key = (gvk.group.clone(), gvk.kind.clone());
        let mut running = self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if running.get(&key).is_some_and(|running| !running.task.is_finished()) {
            return;
        }
        let task = tokio::spawn(run(self.client.clone(), self.store.clone(), gvk.clone(), kind.clone()));
        running.insert(key, Running { task: task.abort_handle(), since: Instant::now() });
    }

    /// True while the watch of this kind runs for less than `age`: its first list may still be on its way. One that is older
    /// and has not delivered it (a right that is missing, say) is not waited for.
    pub fn is_young(&self, gvk: &Gvk, age: Duration) -> bool {
        let running = self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let key = (gvk.group.clone(), gvk.kind.clone());
        running.get(&key).is_some_and(|running| running.since.elapsed() < age)
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        for running in running.values() {
            running.task.abort();
        }
    }
}

async fn run(client: Client, store: Arc<Store>, gvk: Gvk, kind: ServedKind) {
    let config = watcher::Config::default().labels(ENVIRONMENT).page_size(PAGE);
    match detail_of(&gvk) {
        Detail::Whole => {
            let api: Api<DynamicObject> = Api::all_with(client, &kind.resource);
            follow(watcher(api, config).default_backoff().boxed(), &store, &gvk, &kind, Detail::Whole).await;
        }
        Detail::Metadata => {
            let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client, &kind.resource);
            follow(watcher(api, config).default_backoff().boxed(), &store, &gvk, &kind, Detail::Metadata)
                .await;
        }
    }
    store.unsync(&gvk);
}

type Events<K> = BoxStream<'static, Result<watcher::Event<K>, watcher::Error>>;

async fn follow<K: Serialize>(
    mut events: Events<K>,
    store: &Store,
    gvk: &Gvk,
    kind: &ServedKind,
    detail: Detail,
) {
    let compact = |object: &K| -> Option<(ObjectId, LiveObject)> {
        let value = serde_json::to_value(object).unwrap_or(Value::Null);
        Some((id_of(gvk, kind.scope, &value)?, summarize(gvk, detail, &value)))
    };
    let mut listed = HashMap::new();
    let mut refusals = 0;
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(object)) => listed.extend(compact(&object)),
            Ok(watcher::Event::InitDone) => store.replace(gvk, std::mem::take(&mut listed)),
            Ok(watcher::Event::Apply(object)) => {
                // Not after a list: where listing is allowed and watching is not, the two would take turns.
                refusals = 0;
                if let Some((id, live)) = compact(&object) {
                    store.observe(id, live);
                }
            }
            Ok(watcher::Event::Delete(object)) => {
                if let Some((id, live)) = compact(&object) {
                    store.end(&id, &live);
                }
            }
            Err(error) => {
                tracing::debug!(kind = %gvk.kind, error = %super::call::chain(&error), "watch interrupted");
                if is_refusal(&error) {
                    if refusals == 0 {
                        tracing::warn!(
                            kind = %gvk.kind, error = %super::call::chain(&error),
                            "the kind may not be watched: its objects are read one by one, and drift is found late"
                        );
                    }
                    store.unsync(gvk);
                    // The stream's own pauses begin anew with every attempt.
                    refusals += 1;
                    tokio::time::sleep(REFUSED.delay(refusals, crate::run::jitter())).await;
                }
            }
        }
    }
}

/// True when the identity lacks the right to list or watch the kind in the whole cluster.
fn is_refusal(error: &watcher::Error) -> bool {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status,
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => return false,
    };
    status.code == 403
}
