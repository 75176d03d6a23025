//! The verb observe: what the cluster holds of the desired set and of the inventory.
//!
//! Watches answer for almost everything. What no watch has seen is read directly, because a watch may be late, or see less
//! than there is: an absence that only a watch reports is never acted on but in one way, by a create on condition that
//! nothing is there. What cannot be read is named as unread, never taken for absent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::Api;
use kube::api::ListParams;
use kube::core::{DynamicObject, ObjectList};
use serde::Serialize;
use tidegate_core::inventory::Inventory;
use tidegate_core::object::{DesiredObject, Gvk, ObjectId, Scope};
use tidegate_core::observed::{LiveObject, Observed};

use crate::cluster::absent::Absence;
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

/// How an object is looked for.
struct Sought {
    /// The version that git or the inventory names.
    gvk: Gvk,
    /// Git asks for it, in exactly this version; what only the inventory names is read in any.
    desired: bool,
}

/// A kind that is looked for: as it is served, and the namespaces that its objects are in.
struct Target {
    kind: ServedKind,
    namespaces: BTreeSet<String>,
}

/// What is made of an object that no watch shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unseen {
    /// It is read: what is seen is said, or compared.
    Read,
    /// It is read, unless git asks for it, its kind is watched and nothing of ours ever was there: then it will be created,
    /// and the create meets a conflict if anything is there.
    Create,
}

/// What the cluster holds. Fails only when the cluster as a whole is out of reach. `conflicts`: objects whose last write met
/// something else than was seen; they are read.
pub async fn observe(
    cluster: &Cluster,
    desired: &[Arc<DesiredObject>],
    inventory: &Inventory,
    unseen: Unseen,
    conflicts: &BTreeMap<ObjectId, u32>,
) -> Result<Observed, CallError> {
    let mut observed = Observed::default();
    let mut targets: BTreeMap<Gvk, Target> = BTreeMap::new();
    let mut readable: BTreeMap<ObjectId, Gvk> = BTreeMap::new();
    let mut missing: BTreeMap<Gvk, Absence> = BTreeMap::new();
    let mut new: BTreeSet<ObjectId> = BTreeSet::new();
    for (id, sought) in wanted(desired, inventory) {
        let served = if sought.desired {
            cluster.kinds.resolve(&sought.gvk).await?.map(|kind| (sought.gvk.clone(), kind))
        } else {
            cluster.kinds.resolve_any(&sought.gvk).await?
        };
        let Some((gvk, kind)) = served else {
            if sought.desired {
                observed.unread.insert(id, sought.gvk.unserved());
                continue;
            }
            if !missing.contains_key(&sought.gvk) {
                let absence = cluster.absent.confirm(&sought.gvk).await?;
                missing.insert(sought.gvk.clone(), absence);
            }
            match missing.get(&sought.gvk) {
                // Neither seen nor unread: it does not exist.
                Some(Absence::Gone) => {
                    tracing::info!(object = %id, "its kind is gone from the cluster, and it with it: forgotten");
                }
                Some(Absence::Doubtful(why)) => {
                    observed.unread.insert(id, format!("{}: {why}", sought.gvk.unserved()));
                }
                None => drop(observed.unread.insert(id, sought.gvk.unserved())),
            }
            continue;
        };
        let target =
            targets.entry(gvk.clone()).or_insert_with(|| Target { kind, namespaces: BTreeSet::new() });
        if let (Scope::Namespaced, Some(namespace)) = (target.kind.scope, &id.namespace) {
            target.namespaces.insert(namespace.clone());
        }
        if sought.desired && unseen == Unseen::Create && was_never_made(&id, inventory, conflicts) {
            new.insert(id.clone());
        }
        readable.insert(id, gvk);
    }
    wait_for_sync(cluster, &targets).await;
    // Without a watch that has listed its kind, the store only holds what our own writes were answered.
    let watched = watched(cluster, &targets);
    let is_watched =
        |id: &ObjectId, gvk: &Gvk| watched.get(gvk).is_some_and(|all| all.contains(&id.namespace.as_deref()));
    let seen = readable.iter().filter(|(id, gvk)| is_watched(id, gvk));
    observed.objects = cluster.store.get(seen.map(|(id, _)| id));
    // What git no longer asks for is forgotten by what is read now, not by a watch that may be behind.
    let asked: BTreeSet<ObjectId> = desired.iter().map(|object| object.reference.id()).collect();
    observed.objects.retain(|id, live| asked.contains(id) || !inventory.doubts(id, live));
    let is_created = |id: &ObjectId, gvk: &Gvk| new.contains(id) && is_watched(id, gvk);
    let unseen: Vec<(ObjectId, Gvk)> = readable
        .into_iter()
        .filter(|(id, gvk)| !observed.objects.contains_key(id) && !is_created(id, gvk))
        .collect();
    read_unseen(cluster, &targets, unseen, &mut observed).await?;
    Ok(observed)
}

/// The namespaces of these kinds that a watch has listed, none for those that live in the cluster. Asked once for all objects.
fn watched<'a>(
    cluster: &Cluster,
    targets: &'a BTreeMap<Gvk, Target>,
) -> BTreeMap<&'a Gvk, BTreeSet<Option<&'a str>>> {
    let namespaces = |target: &'a Target| target.namespaces.iter().map(|name| Some(name.as_str()));
    targets
        .iter()
        .map(|(gvk, target)| {
            let all = namespaces(target).chain([None]);
            (gvk, all.filter(|namespace| cluster.watches.is_synced(gvk, *namespace)).collect())
        })
        .collect()
}

/// Nothing of ours was there before, as far as the inventory knows, and no create has met anything.
fn was_never_made(id: &ObjectId, inventory: &Inventory, conflicts: &BTreeMap<ObjectId, u32>) -> bool {
    let entry = inventory.entries.get(id);
    let met = conflicts.get(id).is_some_and(|conflicts| *conflicts > 0);
    entry.is_none_or(|entry| entry.uid.is_none() && entry.applied.is_none()) && !met
}

fn wanted(desired: &[Arc<DesiredObject>], inventory: &Inventory) -> BTreeMap<ObjectId, Sought> {
    let mut wanted: BTreeMap<ObjectId, Sought> = inventory
        .entries
        .iter()
        .map(|(id, entry)| {
            let gvk = Gvk::from_api_version(&entry.api_version, &id.kind);
            (id.clone(), Sought { gvk, desired: false })
        })
        .collect();
    for object in desired {
        let gvk = object.reference.gvk.clone();
        wanted.insert(object.reference.id(), Sought { gvk, desired: true });
    }
    wanted
}

/// Sees to the watches, and gives new ones time for their first list.
async fn wait_for_sync(cluster: &Cluster, targets: &BTreeMap<Gvk, Target>) {
    let is_coming = |gvk: &Gvk, target: &Target| {
        // Anew in each round: where the whole cluster may not be watched, its namespaces are.
        cluster.watches.ensure(gvk, &target.kind, &target.namespaces);
        let waits = |namespace: Option<&str>| {
            !cluster.watches.is_synced(gvk, namespace)
                && cluster.watches.is_young(gvk, namespace, SYNC_DEADLINE)
        };
        waits(None) && target.namespaces.is_empty()
            || target.namespaces.iter().any(|namespace| waits(Some(namespace)))
    };
    let wait = async {
        while targets.iter().filter(|(gvk, target)| is_coming(gvk, target)).count() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // Past the deadline objects are read directly: slower, and as true.
    let _ = tokio::time::timeout(SYNC_DEADLINE, wait).await;
}

async fn read_unseen(
    cluster: &Cluster,
    targets: &BTreeMap<Gvk, Target>,
    unseen: Vec<(ObjectId, Gvk)>,
    observed: &mut Observed,
) -> Result<(), CallError> {
    let mut groups: BTreeMap<(Gvk, Option<String>), Vec<ObjectId>> = BTreeMap::new();
    for (id, gvk) in unseen {
        groups.entry((gvk, id.namespace.clone())).or_default().push(id);
    }
    let mut singles = Vec::new();
    for ((gvk, namespace), ids) in groups {
        let Some(Target { kind, namespaces: _ }) = targets.get(&gvk) else { continue };
        if ids.len() < LIST_FROM {
            singles.extend(ids.into_iter().map(|id| (id, gvk.clone(), kind.clone())));
            continue;
        }
        match list(cluster, &gvk, kind, namespace.as_deref()).await {
            Ok(mut listed) => {
                for id in ids {
                    if let Some(live) = listed.remove(&id) {
                        observed.objects.insert(id, Arc::new(live));
                    }
                }
            }
            Err(error @ CallError::Unreachable(_)) => return Err(error),
            // Whoever may not list may be allowed to read.
            Err(CallError::Forbidden(_)) => {
                singles.extend(ids.into_iter().map(|id| (id, gvk.clone(), kind.clone())));
            }
            Err(error) => {
                let reason = unreadable(cluster, &gvk, &error).await;
                observed.unread.extend(ids.into_iter().map(|id| (id, reason.clone())));
            }
        }
    }
    let mut reads = futures::stream::iter(singles)
        .map(|(id, gvk, kind)| async move {
            let detail = detail_of(&gvk);
            let answer = match detail {
                Detail::Metadata => cluster.writer.read_metadata(&kind, &id).await,
                Detail::Whole => cluster.writer.read(&kind, &id).await,
            };
            let answer = answer.map(|object| object.map(|object| summarize(&gvk, detail, &object)));
            (id, gvk, answer)
        })
        .buffer_unordered(READS);
    while let Some((id, gvk, answer)) = reads.next().await {
        match answer {
            Ok(Some(live)) => drop(observed.objects.insert(id, Arc::new(live))),
            Ok(None) => {}
            Err(error @ CallError::Unreachable(_)) => return Err(error),
            Err(error) => drop(observed.unread.insert(id, unreadable(cluster, &gvk, &error).await)),
        }
    }
    Ok(())
}

/// Why a read failed. Not found, in answer to a list or in other words than about the object, is about the kind.
/// Busy may be what stands before an aggregated API that is down, whose kinds discovery goes on naming for a while.
async fn unreadable(cluster: &Cluster, gvk: &Gvk, error: &CallError) -> String {
    match error {
        CallError::NotFound(_) => {
            cluster.kinds.doubt();
            gvk.unserved()
        }
        CallError::Busy { .. } => match cluster.absent.service_that_is_down(gvk).await {
            Some(down) => format!("{error}: {down}"),
            None => error.to_string(),
        },
        CallError::Conflict(_)
        | CallError::Refused(_)
        | CallError::Forbidden(_)
        | CallError::Unauthorized(_)
        | CallError::Damaged(_)
        | CallError::Server(_)
        | CallError::Unreachable(_) => error.to_string(),
    }
}

/// Every object of a kind in a namespace, read as far as the kind's watch would read it.
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
    let detail = detail_of(gvk);
    let mut found = BTreeMap::new();
    let mut params = ListParams::default().limit(PAGE);
    for _ in 0..PAGES_CAP {
        let next = match detail {
            Detail::Whole => {
                take_page(repeated(|| api.list(&params)).await?, gvk, kind.scope, detail, &mut found)?
            }
            Detail::Metadata => take_page(
                repeated(|| api.list_metadata(&params)).await?,
                gvk,
                kind.scope,
                detail,
                &mut found,
            )?,
        };
        match next {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
    Err(CallError::Server(format!("a list of {} does not end", gvk.kind)))
}

/// Takes in one page; the token of the next one, if there is one.
fn take_page<K: Serialize + Clone>(
    page: ObjectList<K>,
    gvk: &Gvk,
    scope: Scope,
    detail: Detail,
    found: &mut BTreeMap<ObjectId, LiveObject>,
) -> Result<Option<String>, CallError> {
    for object in &page.items {
        let value = serde_json::to_value(object).map_err(|error| CallError::Server(error.to_string()))?;
        if let Some(id) = id_of(gvk, scope, &value) {
            found.insert(id, summarize(gvk, detail, &value));
        }
    }
    Ok(page.metadata.continue_.filter(|token| !token.is_empty()))
}
