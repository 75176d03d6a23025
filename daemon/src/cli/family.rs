//! The live objects of an environment and everything that they own, down to pods: what `tree` and `events` show.
//!
//! Reads only. What cannot be read is an error, never a smaller tree.

mod colours;
mod forest;

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt};
use kube::api::ListParams;
use kube::core::{DynamicObject, TypeMeta};
use kube::{Api, ResourceExt};
use serde_json::Value;
use tidegate_core::health::exists_is_healthy;
use tidegate_core::object::{Gvk, ObjectId};

use super::exit::Failure;
use super::options::Global;
use super::owned::{Found, Owned, READS};
use super::target::{self, Away, TargetCluster};
use crate::cluster::call::{CallError, repeated};
use crate::cluster::kinds::Kinds;
use crate::cluster::parent::Parent;

pub use forest::{Member, first_failing, forest};

/// Objects of one page of a list.
const PAGE: u32 = 500;
/// Pages of one list; what comes after them is left out, and said to be.
const PAGES: usize = 20;

/// Kinds whose objects others own, as (apiVersion, kind).
const OWNED: [(&str, &str); 6] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "ReplicaSet"),
    ("batch/v1", "Job"),
    ("v1", "Pod"),
];

/// What was read of an environment.
pub struct Family {
    /// The objects of the inventory and the colours of workloads, with what they own.
    pub members: Vec<Member>,
    /// The namespaces that they live in.
    pub namespaces: BTreeSet<String>,
    /// The workloads that roll out in colours, as NAMESPACE/NAME.
    pub workloads: BTreeSet<String>,
    /// Whether there was more than is read.
    pub truncated: bool,
}

/// Whole objects of some kind and namespace.
pub struct Listed {
    /// The objects, with apiVersion and kind.
    pub objects: Vec<Value>,
    /// Whether there are more.
    pub truncated: bool,
}

/// What the clusters answered about environments.
pub struct Read<T> {
    /// By environment.
    pub found: Vec<(String, T)>,
    /// Clusters that did not answer.
    pub away: Vec<Away>,
}

/// The families of one environment or of all.
pub async fn of(global: &Global, name: Option<&str>) -> Result<Read<Family>, Failure> {
    with(global, name, async |_, _, family| Ok(family)).await
}

/// What `question` makes of the families of one environment or of all.
pub async fn with<T>(
    global: &Global,
    name: Option<&str>,
    question: impl AsyncFn(&TargetCluster, String, Family) -> Result<T, CallError>,
) -> Result<Read<T>, Failure> {
    let targets = target::clusters(global).await?;
    let answers = targets
        .ask(async |cluster| {
            let mut found = Vec::new();
            for parent in cluster.parents.list().await? {
                let environment = parent.environment.to_string();
                if name.is_none_or(|name| name == environment) {
                    let family = read(cluster, &parent).await?;
                    found.push((environment.clone(), question(cluster, environment, family).await?));
                }
            }
            Ok(found)
        })
        .await;
    let mut found: Vec<(String, T)> = answers.found.into_iter().flat_map(|(_, found)| found).collect();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    match name {
        Some(name) if found.is_empty() => Err(target::unknown(&targets, name, answers.away).await),
        Some(_) | None => Ok(Read { found, away: answers.away }),
    }
}

/// Reads the objects of an environment and their descendants.
async fn read(cluster: &TargetCluster, parent: &Parent) -> Result<Family, CallError> {
    let owned = Owned::of(cluster, parent).await?;
    let (kinds, coloured) = (&owned.kinds, colours::namespaces(parent));
    let namespaces: BTreeSet<String> = owned.namespaces().union(&coloured).cloned().collect();
    let own = |id: &ObjectId, gvk: &Gvk| (!exists_is_healthy(gvk)).then(|| id.namespace.clone()).flatten();
    let owning: BTreeSet<String> =
        owned.ids.iter().filter_map(|(id, gvk)| own(id, gvk)).chain(coloured).collect();
    let live = |found: Found| match found {
        Found::Live(live) => Some(live),
        Found::Unserved | Found::Absent => None,
    };
    let mut roots: Vec<(ObjectId, Option<Value>)> =
        owned.read().await?.into_iter().map(|(id, found)| (id, live(found))).collect();
    roots.extend(colours::objects(cluster, parent).await?);
    roots.sort_by(|(one, _), (other, _)| one.cmp(other));
    roots.dedup_by(|(one, _), (other, _)| one == other);
    let lists = owning.iter().flat_map(|namespace| OWNED.map(|kind| (namespace.clone(), kind)));
    let read = |(namespace, (api_version, kind)): (String, (&str, &str))| {
        let gvk = Gvk::from_api_version(api_version, kind);
        async move { list(cluster, kinds, &gvk, &namespace).await }
    };
    let lists: Vec<Listed> =
        futures::stream::iter(lists).map(read).buffer_unordered(READS).try_collect().await?;
    let truncated = lists.iter().any(|list| list.truncated);
    let owned = lists.into_iter().flat_map(|list| list.objects).collect();
    let workloads = parent.workloads.clone();
    Ok(Family { members: forest(roots, owned), namespaces, workloads, truncated })
}

/// The objects of a kind in a namespace, in pages; none when the cluster has no such kind.
pub async fn list(
    cluster: &TargetCluster,
    kinds: &Kinds,
    gvk: &Gvk,
    namespace: &str,
) -> Result<Listed, CallError> {
    let mut listed = Listed { objects: Vec::new(), truncated: false };
    let Some(kind) = kinds.get(gvk) else { return Ok(listed) };
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), namespace, &kind.resource);
    let mut params = ListParams::default().limit(PAGE);
    for _ in 0..PAGES {
        let page = repeated(|| api.list(&params)).await?;
        let next = page.metadata.continue_.clone().filter(|token| !token.is_empty());
        for mut object in page.items {
            object.managed_fields_mut().clear();
            // The items of a list do not say what they are.
            object.types = Some(TypeMeta { api_version: gvk.api_version(), kind: gvk.kind.clone() });
            let value = serde_json::to_value(object).map_err(|error| CallError::Server(error.to_string()))?;
            listed.objects.push(value);
        }
        match next {
            None => return Ok(listed),
            Some(token) => params = params.continue_token(&token),
        }
    }
    listed.truncated = true;
    Ok(listed)
}
