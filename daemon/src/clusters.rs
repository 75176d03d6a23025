//! The target clusters that environments name, each connected once and kept by its own task.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::connect::{Access, ConnectError, Means, connect};
use crate::cluster::handle::Cluster;
use crate::cluster::lease::Identity;
use crate::cluster::pace::Pace;
use crate::telemetry::{ClusterLabel, Metrics};

/// All clusters in use.
pub struct Clusters {
    identity: Identity,
    means: Means,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
    keepers: TaskTracker,
    known: Mutex<BTreeMap<Access, Arc<Cluster>>>,
}

impl Clusters {
    /// None is connected yet. Their keepers run on `keepers` until `shutdown`.
    pub fn new(
        identity: Identity,
        means: Means,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
        keepers: TaskTracker,
    ) -> Self {
        Self { identity, means, metrics, shutdown, keepers, known: Mutex::default() }
    }

    /// Every cluster that is connected.
    pub async fn all(&self) -> Vec<(Access, Arc<Cluster>)> {
        self.known.lock().await.iter().map(|(access, cluster)| (access.clone(), cluster.clone())).collect()
    }

    /// The handle of a cluster; made on the first call. Does not wait for the cluster to answer.
    pub async fn get(&self, access: &Access) -> Result<Arc<Cluster>, ConnectError> {
        if let Some(cluster) = self.known.lock().await.get(access) {
            return Ok(cluster.clone());
        }
        // Not under the lock: a Secret that is slow to read must not hold up the other clusters.
        let label = ClusterLabel { cluster: access.to_string() };
        let shown = self.metrics.requests_borne.get_or_create(&label).clone();
        let client = connect(access, &self.means, Arc::new(Pace::shown_by(shown))).await?;
        let mut known = self.known.lock().await;
        if let Some(cluster) = known.get(access) {
            return Ok(cluster.clone());
        }
        let cluster = Cluster::new(client);
        self.keepers.spawn(cluster.clone().keep(self.identity.clone(), self.shutdown.clone()));
        known.insert(access.clone(), cluster.clone());
        Ok(cluster)
    }
}
