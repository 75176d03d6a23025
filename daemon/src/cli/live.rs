//! The health of an environment's live objects, asked now: for when the daemon is down, and beside what it recorded.

use futures::StreamExt;
use tidegate_core::health::{Health, HealthState, assess, environment_health};
use tidegate_core::object::{Gvk, ObjectId};

use super::target::TargetCluster;
use crate::cluster::call::CallError;
use crate::cluster::kinds::Kinds;
use crate::cluster::parent::Parent;
use crate::cluster::write::Writer;

/// Reads that run side by side.
const READS: usize = 16;

/// The health of everything in the environment's inventory.
pub async fn health(cluster: &TargetCluster, parent: &Parent) -> Result<Health, CallError> {
    let (inventory, _) = cluster.parents.read_inventory(parent).await?;
    let kinds = Kinds::new(cluster.client.clone());
    kinds.refresh().await?;
    let writer = Writer::new(cluster.client.clone());
    let ids: Vec<(ObjectId, Gvk)> = inventory
        .entries
        .iter()
        .map(|(id, entry)| (id.clone(), Gvk::from_api_version(&entry.api_version, &id.kind)))
        .collect();
    let read = |(id, gvk): (ObjectId, Gvk)| {
        let (kinds, writer) = (&kinds, &writer);
        async move {
            // The object is the same in every version; the one that git names may be served no more.
            let Some((_, kind)) = kinds.resolve_any(&gvk).await? else {
                return Ok((id, unhealthy("the cluster no longer serves its kind")));
            };
            let live = writer.read(&kind, &id).await?;
            let health = live.map_or_else(|| unhealthy("it does not exist"), |live| assess(&live));
            Ok::<_, CallError>((id, health))
        }
    };
    let answers: Vec<_> = futures::stream::iter(ids).map(read).buffer_unordered(READS).collect().await;
    let healths: Vec<(ObjectId, Health)> = answers.into_iter().collect::<Result<_, _>>()?;
    Ok(environment_health(healths))
}

fn unhealthy(reason: &str) -> Health {
    Health { state: HealthState::Degraded, reason: reason.to_owned() }
}
