//! What git asks of each workload: its task, in its turn among the waves, and whether what has left git may be deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidegate_core::desired::{Cluster, PruneBudget};
use tidegate_core::health::HealthState;
use tidegate_core::object::{DesiredObject, ObjectId};
use tidegate_core::policy::Reach;
use tidegate_core::problem::{Code, Problem};
use tidegate_core::standing::health_of;
use tidegate_core::workload::Workload;

use super::lane::Lane;
use super::rollouts::key_of;
use crate::ledger::{Asked, Clerk};
use crate::rollout::lane::{Around, Task, Want};
use crate::rollout::leaving::Leaving;
use crate::world::DesiredSet;

/// A workload that goes takes so many objects with it: two Deployments and a Service.
const OBJECTS_OF_ONE: u32 = 3;

fn task(
    desired: &DesiredSet,
    around: &Arc<Around>,
    (want, leaving): (Want, Leaving),
    held: Option<String>,
) -> Task {
    let asked = match &want {
        Want::Rolled(workload) => workload.policy.reach,
        Want::Gone => None,
    };
    let leaving = Leaving { is_held: held.is_some(), ..leaving };
    let is_inside = desired.environment.cluster.value == Cluster::InCluster;
    let reach = asked.unwrap_or(if is_inside { Reach::Direct } else { Reach::ApiServer });
    let (policies, around) = (desired.policies.clone(), around.clone());
    Task { want, commit: desired.revision.id(), held, policies, reach, leaving, around }
}

/// What a workload's lane has to know of its environment to tell people of a failure.
fn around(desired: &DesiredSet, log: Option<(Clerk, Asked)>) -> Around {
    let is_secret = |object: &&Arc<DesiredObject>| {
        let gvk = &object.reference.gvk;
        gvk.kind == "Secret" && gvk.group.is_empty()
    };
    Around {
        prefix: desired.prefix.clone(),
        secrets: desired.objects.iter().filter(is_secret).cloned().collect(),
        log,
    }
}

impl Lane {
    /// What git asks of each workload, of those that have left it too.
    pub(super) fn tasks(
        &mut self,
        desired: &Arc<DesiredSet>,
        known: &BTreeSet<String>,
        unmatched: &BTreeSet<String>,
    ) -> BTreeMap<String, Task> {
        let log = self.clerk().map(|clerk| (clerk, self.who_asks(desired)));
        let around = Arc::new(around(desired, log));
        let asked: BTreeMap<String, &Arc<Workload>> = if desired.environment.decommission {
            BTreeMap::new()
        } else {
            desired.workloads.iter().map(|workload| (key_of(workload), workload)).collect()
        };
        let gone: Vec<&String> =
            known.iter().filter(|name| !asked.contains_key(*name) && !unmatched.contains(*name)).collect();
        let services = ServicesInGit::of(desired);
        let may_delete = self.may_delete(desired, gone.len(), &services);
        let leaving = |name: &str| {
            let services = services.beside(name);
            Leaving { may_delete, is_held: false, services }
        };
        let mut tasks = BTreeMap::new();
        let unfinished = self.unfinished_ordinary(desired);
        for (name, workload) in asked {
            let held = self.held(desired, workload, unfinished);
            let want = (Want::Rolled(workload.clone()), leaving(&name));
            tasks.insert(name, task(desired, &around, want, held));
        }
        for name in gone {
            tasks.insert(name.clone(), task(desired, &around, (Want::Gone, leaving(name)), None));
        }
        tasks
    }

    /// Deletes of whole workloads stay within the budget of prunes.
    fn may_delete(&mut self, desired: &DesiredSet, gone: usize, services: &ServicesInGit) -> bool {
        self.rollouts.over_budget = None;
        let environment = &desired.environment;
        if environment.decommission {
            return true;
        }
        if !environment.prune.enabled {
            return false;
        }
        let PruneBudget { max, percent } = environment.prune.budget;
        let followers = self.rollouts.held.left(desired, |name| (*services.beside(name)).clone());
        let followers = u32::try_from(followers).unwrap_or(u32::MAX);
        let gone = u32::try_from(gone).unwrap_or(u32::MAX).saturating_mul(OBJECTS_OF_ONE);
        let gone = gone.saturating_add(followers);
        let owned = self.memory.inventory.as_ref().map_or(0, |(inventory, _)| inventory.entries.len());
        let rolled = desired.workloads.len().saturating_mul(OBJECTS_OF_ONE as usize);
        let all = u32::try_from(owned.saturating_add(rolled)).unwrap_or(u32::MAX).saturating_add(gone);
        let allowed =
            max.min((u64::from(all) * u64::from(percent)).div_ceil(100).try_into().unwrap_or(u32::MAX));
        if gone <= allowed.max(OBJECTS_OF_ONE) {
            return true;
        }
        let message = format!(
            "workloads that left git, and Services that followed, are {gone} objects, and the prune budget allows {allowed}; nothing of them is deleted"
        );
        self.rollouts.over_budget = Some(Problem::error(Code::PruneBudget, message).help(
            "raise spec.prune.budget in the commit that deletes them, or delete them in several commits",
        ));
        false
    }

    /// The lowest wave in which something that does not roll out is not applied and well.
    fn unfinished_ordinary(&self, desired: &DesiredSet) -> Option<i32> {
        let Some((observed, plan)) = &self.memory.last else { return Some(i32::MIN) };
        let waits: BTreeSet<&ObjectId> = plan
            .waiting
            .iter()
            .filter(|waiting| waiting.reason.holds_commit())
            .map(|waiting| &waiting.object)
            .collect();
        let is_unfinished = |object: &&Arc<DesiredObject>| {
            let id = object.reference.id();
            let health = health_of(&object.reference.gvk, &id, observed);
            let is_unwell = matches!(health.state, HealthState::Progressing | HealthState::Degraded);
            is_unwell || waits.contains(&id) || self.memory.failed.contains_key(&id)
        };
        desired.ordinary.iter().filter(is_unfinished).map(|object| object.wave).min()
    }

    /// What comes first.
    fn held(&self, desired: &DesiredSet, workload: &Workload, unfinished: Option<i32>) -> Option<String> {
        if let Some(wave) = unfinished.filter(|wave| *wave < workload.wave) {
            return Some(format!("wave {wave} is not applied and healthy yet"));
        }
        let earlier = desired.workloads.iter().filter(|other| other.wave < workload.wave);
        let mut waited_for = earlier.filter(|other| !self.is_finished(desired, other));
        waited_for.next().map(|other| format!("{} of wave {} is not live yet", key_of(other), other.wave))
    }
}

/// The tasks of workloads that are known while nothing may be begun.
pub(super) fn held_tasks(
    desired: &Arc<DesiredSet>,
    known: &BTreeSet<String>,
    log: Option<(Clerk, Asked)>,
    why: &str,
) -> BTreeMap<String, Task> {
    let workloads = desired.workloads.iter().filter(|workload| known.contains(&key_of(workload)));
    let around = Arc::new(around(desired, log));
    let services = ServicesInGit::of(desired);
    let held = |workload: &Arc<Workload>| {
        let name = key_of(workload);
        let leaving = Leaving { services: services.beside(&name), ..Leaving::default() };
        let want = (Want::Rolled(workload.clone()), leaving);
        (name, task(desired, &around, want, Some(why.to_owned())))
    };
    workloads.map(held).collect()
}

fn is_service(object: &DesiredObject) -> bool {
    object.reference.gvk.kind == "Service" && object.reference.gvk.group.is_empty()
}

/// The Services that git has, by namespace; none of an environment that is taken down.
struct ServicesInGit(BTreeMap<String, Arc<BTreeSet<String>>>);

impl ServicesInGit {
    fn of(desired: &DesiredSet) -> Self {
        let objects = if desired.environment.decommission { &[][..] } else { &desired.objects[..] };
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for object in objects.iter().filter(|object| is_service(object)) {
            let namespace = object.reference.namespace.clone().unwrap_or_default();
            found.entry(namespace).or_default().insert(object.reference.name.clone());
        }
        Self(found.into_iter().map(|(namespace, names)| (namespace, Arc::new(names))).collect())
    }

    /// Those in the namespace of a workload.
    fn beside(&self, workload: &str) -> Arc<BTreeSet<String>> {
        let namespace = workload.split_once('/').map_or("", |(namespace, _)| namespace);
        self.0.get(namespace).cloned().unwrap_or_default()
    }
}
