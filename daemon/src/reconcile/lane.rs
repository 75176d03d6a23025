//! The lane of one environment: when passes run. A broken, slow or unreachable environment holds up only its own lane.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tidegate_core::gate::AddressRange;
use tidegate_core::ids::{Digest, EnvironmentName};
use tidegate_core::inventory::Inventory;
use tidegate_core::schema::Catalogue;
use tidegate_core::status::State;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::ledger::{LedgerSettings, Log};
use super::memory::Memory;
use super::rollouts::Rollouts;
use super::unreadable::Unreadable;
use crate::cluster::connect::Access;
use crate::cluster::parent::apply_set_of;
use crate::clusters::Clusters;
use crate::source::SourceHandle;
use crate::telemetry::Metrics;
use crate::world::{DesiredSet, Target};
use tidegate_core::inventory::Marks;

/// Wakes that come this close together make one pass.
const COALESCE: Duration = Duration::from_millis(20);
/// The same while a commit is applied and on its way to health: controllers write their status a few times.
const COALESCE_SETTLING: Duration = Duration::from_millis(100);
/// At most, however large the environment is.
const COALESCE_CAP: Duration = Duration::from_millis(500);
/// So much longer for each object: a pass looks at all of them, and an environment of thousands whose controllers write their
/// status one after another must not spend its time looking.
const COALESCE_OBJECT: Duration = Duration::from_micros(50);

/// What git asks of an environment now.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// Its folder is there.
    Present(Arc<Target>),
    /// Its folder is gone from git, without `decommission: true`. Never read as "delete everything".
    Missing,
}

impl Wanted {
    /// True when both ask for the same, whatever their revisions.
    pub fn asks_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Missing, Self::Missing) => true,
            (Self::Present(this), Self::Present(other)) => {
                this.inputs == other.inputs && this.environment.is_ok() && other.environment.is_ok()
            }
            (Self::Missing, Self::Present(_)) | (Self::Present(_), Self::Missing) => false,
        }
    }
}

/// What all lanes share.
pub struct Shared {
    /// Target clusters.
    pub clusters: Clusters,
    /// The repository.
    pub source: SourceHandle,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Schemas.
    pub catalogue: Arc<Catalogue>,
    /// What is needed to write the deploy log; none: there is none.
    pub ledger: Option<LedgerSettings>,
    /// This replica.
    pub replica: String,
    /// The key of digests of Secret values; new with each start, so that digests cannot be looked up.
    pub key: Vec<u8>,
    /// Where each environment stands, for those that depend on it.
    pub board: Board,
    /// Environments whose file could never be read.
    pub unreadable: Unreadable,
    /// Addresses that gates may ask although they are refused to others.
    pub gate_addresses: Arc<[AddressRange]>,
}

/// Where environments stand.
#[derive(Default)]
pub struct Board {
    standing: RwLock<BTreeMap<EnvironmentName, Standing>>,
    changed: Notify,
    wakers: RwLock<BTreeMap<EnvironmentName, Arc<Notify>>>,
    expected: RwLock<BTreeSet<EnvironmentName>>,
}

/// Where one environment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The inputs that are enforced.
    pub inputs: Option<Digest>,
    /// The inputs that are held, and others enforced in their place.
    pub held: Option<Digest>,
    /// Applied and healthy.
    pub live: bool,
    /// In one word.
    pub state: State,
    /// Nothing will change by itself: live, failed, suspended or waiting for people.
    pub settled: bool,
    /// The newest inputs that git asks for.
    pub wanted: Option<Digest>,
    /// The newest revision that was looked at.
    pub revision: Option<String>,
}

impl Standing {
    /// True when what stands is about the newest inputs: enforced, or looked at and refused, or rolled back from.
    pub fn is_current(&self) -> bool {
        let is_held = self.held.is_some() && self.held == self.wanted;
        self.inputs == self.wanted || is_held || self.state == State::Failed
    }
}

impl Board {
    /// These environments are worked on.
    pub fn expect(&self, names: BTreeSet<EnvironmentName>) {
        *self.expected.write().unwrap_or_else(std::sync::PoisonError::into_inner) = names;
    }

    /// True when each of them stands at its newest inputs, and will not change by itself.
    pub fn is_settled(&self) -> bool {
        let standing = self.standing.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let expected = self.expected.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        standing.values().all(|standing| standing.settled && standing.is_current())
            && expected.iter().all(|name| standing.contains_key(name))
    }

    /// Where an environment stands.
    pub fn get(&self, name: &EnvironmentName) -> Option<Standing> {
        self.standing.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(name).cloned()
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<EnvironmentName, Standing> {
        self.standing.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Says where an environment stands; wakes the others when that is new.
    pub fn put(&self, name: &EnvironmentName, standing: &Standing) {
        let before = self
            .standing
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(name.clone(), standing.clone());
        if before.as_ref() == Some(standing) {
            return;
        }
        self.changed.notify_waiters();
        for (other, waker) in self.wakers.read().unwrap_or_else(std::sync::PoisonError::into_inner).iter() {
            if other != name {
                waker.notify_one();
            }
        }
    }

    /// Forgets an environment that is taken down; nobody waits for it any more.
    pub fn remove(&self, name: &EnvironmentName) {
        self.expected.write().unwrap_or_else(std::sync::PoisonError::into_inner).remove(name);
        self.standing.write().unwrap_or_else(std::sync::PoisonError::into_inner).remove(name);
    }

    /// Wakes a lane when another environment's standing changes; only lanes with `dependsOn` ask for it.
    pub fn register(&self, name: &EnvironmentName, waker: Arc<Notify>) {
        self.wakers.write().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name.clone(), waker);
    }

    /// Returns when any standing changes.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// One environment.
pub struct Lane {
    pub(super) name: EnvironmentName,
    pub(super) shared: Arc<Shared>,
    pub(super) target: watch::Receiver<Wanted>,
    pub(super) wake: Arc<Notify>,
    pub(super) memory: Memory,
    pub(super) log: Log,
    pub(super) known_access: Option<Access>,
    pub(super) rollouts: Rollouts,
}

impl Lane {
    /// A lane that has not run yet.
    pub fn new(name: EnvironmentName, shared: Arc<Shared>, target: watch::Receiver<Wanted>) -> Self {
        let wake: Arc<Notify> = Arc::default();
        let rollouts = Rollouts::new(wake.clone());
        Self {
            name,
            shared,
            target,
            wake,
            memory: Memory::default(),
            log: Log::default(),
            known_access: None,
            rollouts,
        }
    }

    /// The cluster that the environment was found in, for one that git does not name.
    #[must_use]
    pub fn known_at(self, access: Access) -> Self {
        Self { known_access: Some(access), ..self }
    }

    /// Passes until `shutdown`: on every new commit, on every wake, and when the last pass said so.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            // Of its own: it takes some 30 KiB while it runs, and an idle environment is to hold none of it.
            let pass = Box::pin(self.pass());
            let next = tokio::select! {
                () = shutdown.cancelled() => return,
                next = pass => next,
            };
            let wake = self.wake.clone();
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = self.target.changed() => if changed.is_err() { return },
                () = wake.notified() => {}
                () = tokio::time::sleep(next.0) => {}
            }
            tokio::time::sleep(coalesced(&self.memory)).await;
        }
    }

    pub(super) fn wanted(&mut self) -> Wanted {
        self.target.borrow_and_update().clone()
    }

    pub(super) fn marks(&self) -> Marks {
        Marks { apply_set: apply_set_of(&self.name), environment: self.name.to_string() }
    }

    pub(super) fn inventory(&self) -> Inventory {
        self.memory.inventory.as_ref().map(|(inventory, _)| inventory.clone()).unwrap_or_default()
    }

    pub(super) fn is_superseded(&self, desired: &DesiredSet) -> bool {
        superseded(&self.target, desired)
    }
}

/// How long wakes are collected, by what is waited for and how much a pass looks at.
fn coalesced(memory: &Memory) -> Duration {
    let Memory { progress, inventory, .. } = memory;
    let objects = inventory.as_ref().map_or(0, |(inventory, _)| inventory.entries.len());
    let settles = progress.applied.is_some() && progress.live.is_none();
    let least = if settles { COALESCE_SETTLING } else { COALESCE };
    let looking = COALESCE_OBJECT.saturating_mul(u32::try_from(objects).unwrap_or(u32::MAX));
    (least + looking.min(COALESCE_CAP)).min(COALESCE_CAP)
}

/// True when git asks for other inputs than those that are enforced, and they have not been looked at yet.
pub fn superseded(target: &watch::Receiver<Wanted>, desired: &DesiredSet) -> bool {
    let others = match &*target.borrow() {
        Wanted::Present(target) => target.inputs != desired.inputs,
        Wanted::Missing => true,
    };
    others && target.has_changed().unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use tidegate_core::object::{Gvk, ObjectRef};
    use tidegate_core::standing::Progress;

    use super::*;
    use crate::cluster::shards::StoredShards;

    #[test]
    fn wakes_are_collected_the_longer_the_more_a_pass_looks_at() {
        let with = |objects: u32| {
            let mut inventory = Inventory::default();
            for number in 0..objects {
                inventory.record_pending(&ObjectRef {
                    gvk: Gvk { group: String::new(), version: "v1".to_owned(), kind: "ConfigMap".to_owned() },
                    namespace: Some("n".to_owned()),
                    name: format!("c{number}"),
                });
            }
            let inventory = Some((inventory, StoredShards::default()));
            coalesced(&Memory { inventory, ..Memory::default() })
        };
        assert_eq!(with(0), COALESCE);
        assert_eq!(with(1_000), COALESCE + Duration::from_millis(50));
        assert_eq!(with(40_000), COALESCE_CAP);
    }

    #[test]
    fn wakes_are_collected_longer_while_controllers_write_the_status_of_a_commit() {
        let now = Some(jiff::Timestamp::UNIX_EPOCH);
        let with = |applied, live| {
            let progress = Progress { applied, live, ..Progress::default() };
            coalesced(&Memory { progress, ..Memory::default() })
        };
        assert_eq!(with(None, None), COALESCE, "an earlier wave is waited for");
        assert_eq!(with(now, None), COALESCE_SETTLING);
        assert_eq!(with(now, now), COALESCE, "drift is repaired at once");
    }
}
