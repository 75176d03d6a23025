//! The verb observe: what the cluster holds of the desired set and of the inventory.
//!
//! Watches answer for almost everything. What no watch has seen is read directly, because an absence that only a watch
//! reports is never acted on; what cannot be read is named as unread, never taken for absent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::Api;
use kube::api::ListParams;
use kube::core::{DynamicObject, PartialObjectMeta};
use tidegate_core::inventory::Inventory;
use tidegate_core::object::{DesiredObject, Gvk, ObjectId, Scope};
use tidegate_core::observed::{LiveObject, Observed};

use crate::cluster::call::{CallError, repeated};
use crate::cluster::handle::Cluster;
use crate::cluster::kinds::ServedKind;
use tidegate_core::summarize::{Detail, detail_of, id_of, summarize};

/// Reads that run side by side.
const READS: usize = 16;
/// From so many unseen objects of one kind and namespace on, one list is cheaper than single reads.
const LIST_FROM: usize = 8;
/// Longest wait for the first list of a new watch; afterwards objects are read directly.
const SYNC_DEADLINE: Duration = Duration::from_secs(10);
/// Lists are read in pages of this size.
const PAGE: u32 = 500;
/// More pages than this (half a million objects of one kind and namespace) are not read.
const PAGES_CAP: u32 = 1_000;

/// What the cluster holds. Fails only when the cluster as a whole is out of reach.
pub async fn observe(
    cluster: &Cluster,
    desired: &[Arc<DesiredObject>],
    inventory: &Inventory,
) -> Result<Observed, CallError> {
    let mut observed = Observed::default();
    let wanted = wanted(desired, inventory);
    let mut kinds: BTreeMap<Gvk, ServedKind> = BTreeMap::new();
    let mut readable: BTreeMap<ObjectId, Gvk> = BTreeMap::new();
    for (id, gvk) in wanted {
        if !kinds.contains_key(&gvk) {
            let Some(kind) = cluster.kinds.resolve(&gvk).await? else {
                observed.unread.insert(id, not_served(&gvk));
                continue;
            };
            cluster.watches.ensure(&gvk, &kind);
            kinds.insert(gvk.clone(), kind);
        }
        readable.insert(id, gvk);
    }
    wait_for_sync(cluster, kinds.keys().collect()).await;
    // Without a watch that has listed its kind, the store only holds what our own writes were answered.
    let synced: BTreeSet<&Gvk> =
        kinds.keys().filter(|gvk| cluster.store.is_synced(&gvk.group, &gvk.kind)).collect();
    let watched = readable.iter().filter(|(_, gvk)| synced.contains(gvk)).map(|(id, _)| id);
    observed.objects = cluster.store.get(watched);
    let unseen: Vec<(ObjectId, Gvk)> =
        readable.into_iter().filter(|(id, _)| !observed.objects.contains_key(id)).collect();
    read_unseen(cluster, &kinds, unseen, &mut observed).await?;
    Ok(observed)
}

/// The reason for objects whose kind the cluster does not serve (yet).
fn not_served(gvk: &Gvk) -> String {
    format!("the cluster serves no {} in {}", gvk.kind, gvk.api_version())
}

fn wanted(desired: &[Arc<DesiredObject>], inventory: &Inventory) -> BTreeMap<ObjectId, Gvk> {
    let mut wanted: BTreeMap<ObjectId, Gvk> = inventory
        .entries
        .iter()
        .map(|(id, entry)| (id.clone(), Gvk::from_api_version(&entry.api_version, &id.kind)))
        .collect();
    for object in desired {
        wanted.insert(object.reference.id(), object.reference.gvk.clone());
    }
    wanted
}

async fn wait_for_sync(cluster: &Cluster, kinds: BTreeSet<&Gvk>) {
    let unsynced = || {
        kinds.iter().any(|gvk| {
            !cluster.store.is_synced(&gvk.group, &gvk.kind) && cluster.watches.is_young(gvk, SYNC_DEADLINE)
        })
    };
    let wait = async {
        while unsynced() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // Past the deadline objects are read directly: slower, and as true.
    let _ = tokio::time::timeout(SYNC_DEADLINE, wait).await;
}

async fn read_unseen(
    cluster: &Cluster,
    kinds: &BTreeMap<Gvk, ServedKind>,
    unseen: Vec<(ObjectId, Gvk)>,
    observed: &mut Observed,
) -> Result<(), CallError> {
    let mut groups: BTreeMap<(Gvk, Option<String>), Vec<ObjectId>> = BTreeMap::new();
    for (id, gvk) in unseen {
        groups.entry((gvk, id.namespace.clone())).or_default().push(id);
    }
    let mut singles = Vec::new();
    for ((gvk, namespace), ids) in groups {
        let Some(kind) = kinds.get(&gvk) else { continue };
        if ids.len() < LIST_FROM {
            singles.extend(ids.into_iter().map(|id| (id, gvk.clone(), kind.clone())));
            continue;
        }
        match list(cluster, &gvk, kind, namespace.as_deref()).await {
            Ok(mut listed) => {
                for id in ids {
                    if let Some(live) = listed.remove(&id) {
                        observed.objects.insert(id, live);
                    }
                }
            }
            Err(error @ CallError::Unreachable(_)) => return Err(error),
            Err(error) => observed.unread.extend(ids.into_iter().map(|id| (id, error.to_string()))),
        }
    }
    let mut reads = futures::stream::iter(singles)
        .map(|(id, gvk, kind)| async move {
            let detail = detail_of(&gvk);
            let answer = match detail {
                Detail::Metadata => cluster.writer.read_metadata(&kind, &id).await,
                Detail::Whole => cluster.writer.read(&kind, &id).await,
            };
            (id, answer.map(|object| object.map(|object| summarize(&gvk, detail, &object))))
        })
        .buffer_unordered(READS);
    while let Some((id, answer)) = reads.next().await {
        match answer {
            Ok(Some(live)) => drop(observed.objects.insert(id, live)),
            Ok(None) => {}
            Err(error @ CallError::Unreachable(_)) => return Err(error),
            Err(error) => drop(observed.unread.insert(id, error.to_string())),
        }
    }
    Ok(())
}

async fn list(
    cluster: &Cluster,
    gvk: &Gvk,
    kind: &ServedKind,
    namespace: Option<&str>,
) -> Result<BTreeMap<ObjectId, LiveObject>, CallError> {
    let api: Api<DynamicObject> = match (kind.scope, namespace) {
        (Scope::Namespaced, Some(namespace)) => {
            Api::namespaced_with(cluster.client.clone(), namespace, &kind.resource)
        }
        (Scope::Namespaced, None) | (Scope::Cluster, _) => {
            Api::all_with(cluster.client.clone(), &kind.resource)
        }
    };
    let mut found = BTreeMap::new();
    let mut params = ListParams::default().limit(PAGE);
    for _ in 0..PAGES_CAP {
        let page = repeated(|| api.list_metadata(&params)).await?;
        for object in &page.items {
            let object: &PartialObjectMeta<DynamicObject> = object;
            let value = serde_json::to_value(object).map_err(|error| CallError::Server(error.to_string()))?;
            if let Some(id) = id_of(gvk, kind.scope, &value) {
                found.insert(id, summarize(gvk, Detail::Metadata, &value));
            }
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
    Err(CallError::Server(format!("a list of {} does not end", gvk.kind)))
}
