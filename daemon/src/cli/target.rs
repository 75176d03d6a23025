//! Which clusters a command asks: that of `--kubeconfig` and `--context`, or with `--repo` those of its environments.

use std::collections::BTreeSet;

use kube::Client;

use super::exit::{Exit, Failure};
use super::options::Global;
use crate::cluster::call::CallError;
use crate::cluster::connect::{Access, connect};
use crate::cluster::parent::{Parent, Parents};
use crate::reconcile::access_of;

/// One cluster to ask.
pub struct TargetCluster {
    /// How it is reached, in words.
    pub name: String,
    /// The client.
    pub client: Client,
    /// What Tidegate keeps there.
    pub parents: Parents,
}

/// The clusters that the flags name.
pub async fn clusters(global: &Global) -> Result<Vec<TargetCluster>, Failure> {
    let mut accesses = Vec::new();
    if global.repo.is_some() {
        let world = super::world::read(global, None, None).await?;
        for target in world.environments.values() {
            if let Ok(environment) = &target.environment {
                accesses.push(access_of(environment));
            }
        }
    }
    if accesses.is_empty() {
        accesses.push(Access::Kubeconfig { path: None, context: global.context.clone() });
    }
    accesses.sort();
    accesses.dedup();
    let mut clusters = Vec::new();
    for access in accesses {
        let client = connect(&access, global.kubeconfig.as_deref()).await.map_err(|error| {
            Failure::new(Exit::OutOfReach, format!("{error}\n  help: --kubeconfig FILE names another"))
        })?;
        clusters.push(TargetCluster {
            name: access.to_string(),
            parents: Parents::new(client.clone()),
            client,
        });
    }
    Ok(clusters)
}

/// The parent of one environment, and the cluster that it is in.
pub async fn parent(global: &Global, environment: &str) -> Result<(TargetCluster, Parent), Failure> {
    let name = environment.parse().map_err(|error| Failure::new(Exit::Usage, format!("{error}")))?;
    let mut known = BTreeSet::new();
    for cluster in clusters(global).await? {
        if let Some(parent) =
            cluster.parents.read(&name).await.map_err(|error| unreachable(&cluster.name, &error))?
        {
            return Ok((cluster, parent));
        }
        let listed = cluster.parents.list().await.map_err(|error| unreachable(&cluster.name, &error))?;
        known.extend(listed.into_iter().map(|parent| parent.environment.to_string()));
    }
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let names =
        if names.is_empty() { "none yet; is the daemon running?".to_owned() } else { names.join(", ") };
    Err(Failure::new(
        Exit::Invalid,
        format!("there is no environment `{environment}` in this cluster\n  environments: {names}"),
    ))
}

/// The failure of a cluster that does not answer.
pub fn unreachable(cluster: &str, error: &CallError) -> Failure {
    let exit = match error {
        CallError::Forbidden(_) | CallError::Unauthorized(_) => Exit::Refused,
        CallError::NotFound(_)
        | CallError::Conflict(_)
        | CallError::Refused(_)
        | CallError::Busy { .. }
        | CallError::Server(_)
        | CallError::Unreachable(_) => Exit::OutOfReach,
    };
    Failure::new(exit, format!("{cluster}: {error}"))
}
