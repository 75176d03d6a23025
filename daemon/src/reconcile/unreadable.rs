//! Environments whose file could never be read: their lanes know no cluster, so nothing is recorded there. They are named in
//! the record of the repository, in every cluster that the other environments name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tidegate_core::ids::EnvironmentName;
use tidegate_core::status::{Listed, REPOSITORY_SCHEMA, RepositoryStatus, UnreadableEnvironment};
use tokio_util::sync::CancellationToken;

use super::lane::Shared;
use crate::cluster::connect::Access;
use crate::cluster::handle::ClusterState;
use crate::cluster::repository::record;

/// How often it is looked whether the records are right (in memory; requests are made when they are not).
const INTERVAL: Duration = Duration::from_secs(2);
/// The replica that owns an environment of this name writes the record of the repository.
const WRITER: &str = "repository";

/// The environments without a cluster.
#[derive(Default)]
pub struct Unreadable {
    known: RwLock<BTreeMap<EnvironmentName, UnreadableEnvironment>>,
}

impl Unreadable {
    /// An environment is one of them.
    pub fn put(&self, environment: UnreadableEnvironment) {
        let mut known = self.known.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.insert(environment.environment.clone(), environment);
    }

    /// It is none of them any more.
    pub fn remove(&self, name: &EnvironmentName) {
        self.known.write().unwrap_or_else(std::sync::PoisonError::into_inner).remove(name);
    }

    fn all(&self) -> Vec<UnreadableEnvironment> {
        let known = self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.values().cloned().collect()
    }
}

/// Keeps the records of the repository right, until `shutdown`. Once they are, no request is made.
pub async fn keep_records(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut recorded: BTreeMap<Access, Vec<UnreadableEnvironment>> = BTreeMap::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => look(&shared, &mut recorded).await,
        }
    }
}

async fn look(shared: &Shared, recorded: &mut BTreeMap<Access, Vec<UnreadableEnvironment>>) {
    let Ok(writer) = WRITER.parse() else { return };
    let now = shared.unreadable.all();
    let mut ours = BTreeSet::new();
    for (access, cluster) in shared.clusters.all().await {
        let Some(view) = cluster.view() else { continue };
        if cluster.state() != ClusterState::Ready || !cluster.owns(&writer) {
            continue;
        }
        ours.insert(access.clone());
        if recorded.get(&access) == Some(&now) {
            continue;
        }
        let mut status = RepositoryStatus {
            schema: REPOSITORY_SCHEMA.to_owned(),
            source: view.source().to_owned(),
            replica: shared.replica.clone(),
            environments: Listed::all(now.clone()),
            updated: Timestamp::now(),
        };
        status.shrink();
        let status = Some(&status).filter(|_| !now.is_empty());
        match record(&cluster.client, view.source(), status).await {
            Ok(()) => drop(recorded.insert(access, now.clone())),
            Err(error) => tracing::debug!(%access, %error, "the record of the repository is not written"),
        }
    }
    // What another replica writes meanwhile is not known here.
    recorded.retain(|access, _| ours.contains(access));
}
