//! The live objects of an environment's inventory, read side by side. Not what they own: see [`super::family`].

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt};
use serde_json::Value;
use tidegate_core::object::{Gvk, ObjectId};

use super::target::TargetCluster;
use crate::cluster::call::CallError;
use crate::cluster::kinds::Kinds;
use crate::cluster::parent::Parent;
use crate::cluster::write::Writer;

/// Reads that run side by side.
pub const READS: usize = 16;

/// What an inventory names, and how it is read.
pub struct Owned {
    /// The objects, each with the version that it was applied in.
    pub ids: Vec<(ObjectId, Gvk)>,
    /// What the cluster serves.
    pub kinds: Kinds,
    writer: Writer,
}

/// What became of an object of an inventory.
pub enum Found {
    /// The cluster serves its kind in no version.
    Unserved,
    /// It does not exist.
    Absent,
    /// As it is.
    Live(Value),
}

impl Owned {
    /// What the environment owns; none of it is read yet.
    pub async fn of(cluster: &TargetCluster, parent: &Parent) -> Result<Self, CallError> {
        let (inventory, _) = cluster.parents.read_inventory(parent).await?;
        let kinds = Kinds::new(cluster.client.clone());
        kinds.refresh().await?;
        let entries = inventory.entries.iter();
        let ids =
            entries.map(|(id, entry)| (id.clone(), Gvk::from_api_version(&entry.api_version, &id.kind)));
        Ok(Self { ids: ids.collect(), kinds, writer: Writer::new(cluster.client.clone()) })
    }

    /// The namespaces that its objects live in.
    pub fn namespaces(&self) -> BTreeSet<String> {
        self.ids.iter().filter_map(|(id, _)| id.namespace.clone()).collect()
    }

    /// Reads all of it; sorted.
    pub async fn read(&self) -> Result<Vec<(ObjectId, Found)>, CallError> {
        let asked: Vec<_> = self.ids.iter().map(|(id, gvk)| self.read_one(id, gvk)).collect();
        let mut found: Vec<(ObjectId, Found)> =
            futures::stream::iter(asked).buffer_unordered(READS).try_collect().await?;
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(found)
    }

    async fn read_one(&self, id: &ObjectId, gvk: &Gvk) -> Result<(ObjectId, Found), CallError> {
        // The object is the same in every version; the one that git names may be served no more.
        let found = match self.kinds.resolve_any(gvk).await? {
            None => Found::Unserved,
            Some((_, kind)) => self.writer.read(&kind, id).await?.map_or(Found::Absent, Found::Live),
        };
        Ok((id.clone(), found))
    }
}
