//! Which images the workloads run that a deploy was about, for its record. Those in colours are told by their rollouts.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::Value;
use tidegate_core::ledger::{Outcome, app_name};

use super::lane::Lane;
use crate::cluster::call::repeated;
use crate::cluster::handle::Cluster;
use crate::ledger::note_digests;
use crate::world::DesiredSet;

/// Pods of so many workloads are looked at for one record.
const WORKLOADS: usize = 20;
/// So many pods of each: one that runs the image is enough.
const PODS: u32 = 20;
/// The log never holds a pass up: what is not known by then is left out.
const PATIENCE: Duration = Duration::from_secs(5);

impl Lane {
    /// The digests of what runs now. What cannot be read is left out: a record without them is better than none.
    pub(super) async fn note_images(&self, cluster: &Cluster, desired: &DesiredSet, outcome: &mut Outcome) {
        let noted = tokio::time::timeout(PATIENCE, Self::look_at_images(cluster, desired, outcome)).await;
        if let Err(error) = noted.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            tracing::debug!(environment = %self.name, %error, "not all images that run are told by their digests");
        }
    }

    async fn look_at_images(
        cluster: &Cluster,
        desired: &DesiredSet,
        outcome: &mut Outcome,
    ) -> Result<(), String> {
        let mut looked_at = 0;
        for change in &mut outcome.apps {
            let Some(running) = &mut change.to else { continue };
            if looked_at >= WORKLOADS || running.images.values().all(|image| image.digest.is_some()) {
                continue;
            }
            let of_app = |name: Option<_>| name.as_ref() == Some(&change.app);
            let object = desired.ordinary.iter().find(|object| of_app(app_name(&object.reference)));
            let Some((object, labels)) = object.and_then(|object| Some((object, selector(object.value())?)))
            else {
                continue;
            };
            looked_at += 1;
            let namespace = object.reference.namespace.as_deref().unwrap_or_default();
            let api: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
            let params = ListParams::default().labels(&labels).limit(PODS);
            let pods = repeated(|| api.list(&params)).await;
            note_digests(&mut running.images, &pods.map_err(|error| error.to_string())?.items);
        }
        Ok(())
    }
}

/// The labels by which a workload's pods are found; none where it names none, or by more than labels.
fn selector(workload: &Value) -> Option<String> {
    let is_more = workload.pointer("/spec/selector/matchExpressions").is_some();
    let labels = workload.pointer("/spec/selector/matchLabels").filter(|_| !is_more)?.as_object()?;
    let pairs = labels.iter().map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    let pairs: Option<Vec<String>> = pairs.collect();
    pairs.filter(|pairs| !pairs.is_empty()).map(|pairs| pairs.join(","))
}
