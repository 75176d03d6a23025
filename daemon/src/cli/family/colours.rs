//! The objects of an environment's workloads that roll out in colours: no inventory has them. Not here: how a rollout stands.

use std::collections::BTreeSet;

use serde_json::Value;
use tidegate_core::inventory::ENVIRONMENT;
use tidegate_core::object::ObjectId;
use tidegate_core::rollout::SLOT_RECORD;
use tidegate_core::workload::names::APP;

use super::super::target::TargetCluster;
use super::forest::id_of;
use crate::cluster::call::CallError;
use crate::cluster::parent::Parent;
use crate::rollout::calls::{Calls, Kind, Live};
use crate::rollout::record_of;

/// The namespaces of the workloads.
pub fn namespaces(parent: &Parent) -> BTreeSet<String> {
    let namespaces = parent.workloads.iter().filter_map(|workload| workload.split_once('/'));
    namespaces.map(|(namespace, _)| namespace.to_owned()).collect()
}

/// Their Deployments, and the Services that send them traffic.
pub async fn objects(
    cluster: &TargetCluster,
    parent: &Parent,
) -> Result<Vec<(ObjectId, Option<Value>)>, CallError> {
    let mut found = Vec::new();
    for namespace in namespaces(parent) {
        let calls = Calls::new(cluster.client.clone(), namespace.clone());
        let ours = format!("{ENVIRONMENT}={}", parent.environment);
        let is_known = |app: &str| parent.workloads.contains(&format!("{namespace}/{app}"));
        let is_slot = |live: &Live| {
            // One that was taken over carries the record without the label.
            live.annotation(SLOT_RECORD).is_some() && is_known(live.label(APP).unwrap_or(live.name()))
        };
        let is_pointer = |live: &Live| record_of(live).is_some_and(|record| is_known(&record.app));
        let mut all = calls.list(Kind::Deployment, APP).await?;
        for app in parent.workloads.iter().filter_map(|workload| workload.split_once('/')) {
            let is_here = app.0 == namespace && !all.iter().any(|live| live.name() == app.1);
            all.extend(if is_here { calls.read(Kind::Deployment, app.1).await? } else { None });
        }
        all.retain(is_slot);
        let services = calls.list(Kind::Service, &ours).await?;
        all.extend(services.into_iter().filter(is_pointer));
        found.extend(all.into_iter().map(|live| (id_of(&live.value), Some(live.value))));
    }
    Ok(found)
}
