//! The health of an environment's live objects, asked now: for when the daemon is down, and beside what it recorded.

use tidegate_core::health::{Health, HealthState, assess, environment_health};
use tidegate_core::object::ObjectId;

use super::owned::{Found, Owned};
use super::target::TargetCluster;
use crate::cluster::call::CallError;
use crate::cluster::parent::Parent;

/// The health of everything in the environment's inventory.
pub async fn health(cluster: &TargetCluster, parent: &Parent) -> Result<Health, CallError> {
    let health = |found: Found| match found {
        Found::Unserved => unhealthy("the cluster no longer serves its kind"),
        Found::Absent => unhealthy("it does not exist"),
        Found::Live(live) => assess(&live),
    };
    let found = Owned::of(cluster, parent).await?.read().await?;
    let healths: Vec<(ObjectId, Health)> = found.into_iter().map(|(id, found)| (id, health(found))).collect();
    Ok(environment_health(healths))
}

fn unhealthy(reason: &str) -> Health {
    Health { state: HealthState::Degraded, reason: reason.to_owned() }
}
