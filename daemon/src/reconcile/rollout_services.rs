//! Which Services are the rollouts', whatever git says of them: that of a workload that has left git alone, and those that followed
//! and are ordinary ones in git. The ordinary engine leaves them alone until their rollout has let go: two that write one
//! selector would never end, and traffic would go to both colours between.
//!
//! They are read from the cluster before anything is applied: a daemon that begins anew knows no more than what stands there.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_core::ids::Digest;
use tidegate_core::object::DesiredObject;
use tidegate_core::workload::Workload;

use super::lane::Lane;
use super::rollouts::key_of;
use crate::cluster::call::CallError;
use crate::cluster::handle::Cluster;
use crate::rollout::board::key;
use crate::rollout::calls::Calls;
use crate::rollout::leaving::held_services;
use crate::world::DesiredSet;

/// The Services that rollouts move, as they were read last.
#[derive(Debug, Default)]
pub(super) struct HeldServices {
    /// For which inputs, and which workloads.
    read_for: Option<(Digest, BTreeSet<String>)>,
    /// By workload, `namespace/name`.
    by_workload: BTreeMap<String, BTreeSet<String>>,
    /// The same by namespace.
    by_namespace: BTreeMap<String, BTreeSet<String>>,
}

impl HeldServices {
    /// True for a Service that a rollout moves.
    pub(super) fn hold(&self, object: &DesiredObject) -> bool {
        let reference = &object.reference;
        let namespace = reference.namespace.as_deref().unwrap_or_default();
        let is_service = reference.gvk.kind == "Service" && reference.gvk.group.is_empty();
        let there = self.by_namespace.get(namespace).filter(|_| is_service);
        there.is_some_and(|services| services.contains(&reference.name))
    }

    /// How many followed a workload that git has, and have left git.
    pub(super) fn left(&self, desired: &DesiredSet, services: impl Fn(&str) -> BTreeSet<String>) -> usize {
        let left = |workload: &std::sync::Arc<Workload>| {
            let name = key_of(workload);
            let held = self.by_workload.get(&name)?;
            let known = services(&name);
            Some(held.iter().filter(|service| !known.contains(*service)).count())
        };
        desired.workloads.iter().filter_map(left).sum()
    }

    /// True when each is asked for by the workload that holds it: nothing is to be let go.
    fn is_quiet(&self, desired: &DesiredSet) -> bool {
        self.by_workload.iter().all(|(name, services)| {
            let workload = desired.workloads.iter().find(|workload| key_of(workload) == *name);
            workload.is_some_and(|workload| services.is_subset(&services_of(workload)))
        })
    }
}

fn services_of(workload: &Workload) -> BTreeSet<String> {
    let followers = workload.followers.iter().map(|follower| &follower.object);
    let all = std::iter::once(&workload.service).chain(followers);
    all.map(|object| object.reference.name.clone()).collect()
}

impl Lane {
    /// Reads them, where git or the workloads are others than last time, or something is still to be let go.
    pub(super) async fn read_held_services(
        &mut self,
        cluster: &Cluster,
        desired: &DesiredSet,
    ) -> Result<(), CallError> {
        let known = self.known_workloads();
        if known.is_empty() || desired.environment.decommission {
            self.rollouts.held = HeldServices::default();
            return Ok(());
        }
        let asked = Some((desired.inputs.clone(), known.clone()));
        if self.rollouts.held.read_for == asked && self.rollouts.held.is_quiet(desired) {
            return Ok(());
        }
        let namespaces: BTreeSet<&str> =
            known.iter().filter_map(|name| name.split_once('/')).map(|(namespace, _)| namespace).collect();
        let apply_set = self.marks().apply_set;
        let (mut by_workload, mut by_namespace) = (BTreeMap::new(), BTreeMap::new());
        for namespace in namespaces {
            let calls = Calls::new(cluster.client.clone(), namespace.to_owned());
            let held = held_services(&calls, &apply_set).await?;
            let of_known = held.into_iter().map(|(app, services)| (key(namespace, &app), services));
            let of_known: BTreeMap<_, _> = of_known.filter(|(name, _)| known.contains(name)).collect();
            by_namespace.insert(namespace.to_owned(), of_known.values().flatten().cloned().collect());
            by_workload.extend(of_known);
        }
        self.rollouts.held = HeldServices { read_for: asked, by_workload, by_namespace };
        Ok(())
    }
}
