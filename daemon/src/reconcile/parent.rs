//! The parent and the inventory as a lane reads them: once, and then kept current by its own writes and by the watch.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use tidegate_core::inventory::Inventory;
use tidegate_core::rollback::Held;

use super::claim::{claim_of, source_of};
use super::lane::{Lane, Wanted};
use super::memory::Memory;
use crate::cluster::call::CallError;
use crate::cluster::handle::Cluster;
use crate::cluster::parent::{Parent, ParentChange, REWIND, members_of};
use crate::cluster::shards::{StoredShards, inventory_in};
use crate::cluster::version;
use crate::world::DesiredSet;

/// How often a write of the parent is tried when others write it at the same time.
const PARENT_ATTEMPTS: u32 = 5;

impl Lane {
    /// Reads the parent and the inventory unless they are known; takes in what people wrote on the parent since.
    pub(super) async fn read_state(&mut self, cluster: &Cluster, wanted: &Wanted) -> Result<(), CallError> {
        match (&self.memory.parent, cluster.seen_parent(&self.name)) {
            (Some(known), Some(seen)) if seen.uid == known.uid => {
                if is_newer(&seen, known) {
                    // Another replica's record may stand there now: what was written last is not what people read.
                    self.memory.written.clone_from(&seen.status);
                    if marks(&seen) != marks(known) {
                        // Not ours: another replica has been at work, and may own more by now. What was still to be said
                        // here is older than what it has said.
                        self.memory.inventory = None;
                        self.memory.unsaid.clear();
                    }
                    self.memory.parent = Some(seen);
                }
            }
            // Where nothing has gone wrong, the watch is believed: a write on top of what is old meets a conflict, and one
            // that makes what is there meets one, too.
            (None, Some(seen)) if self.memory.failures == 0 => {
                self.memory.parent = Some(seen);
                self.memory.inventory = None;
            }
            (None, None)
                if self.memory.failures == 0 && self.may_create(wanted) && cluster.has_listed_parents() => {}
            (_, _) => {
                self.memory.set_aside();
                self.memory.parent = cluster.parents.read(&self.name).await?;
            }
        }
        self.rescue(cluster, wanted).await?;
        self.read_inventory(cluster).await
    }

    /// Makes the parent of an environment that is to be deployed, with the claim of what is enforced in the same request.
    pub(super) async fn ensure_parent(
        &mut self,
        cluster: &Cluster,
        wanted: &Wanted,
        desired: Option<&DesiredSet>,
    ) -> Result<(), CallError> {
        let taken_down = desired.is_some_and(|desired| desired.environment.decommission);
        if self.memory.parent.is_some() || taken_down || !self.may_create(wanted) {
            return Ok(());
        }
        let mut annotations: BTreeMap<String, String> = source_of(cluster).into_iter().collect();
        if let Some(desired) = desired {
            annotations.extend(claim_of(desired, &self.newest_revision(desired), cluster));
            let mut inventory = Inventory::default();
            for object in &desired.ordinary {
                inventory.record_pending(&object.reference);
            }
            annotations.extend(members_of(&inventory));
        }
        match cluster.parents.create(&self.name, &annotations).await {
            Ok(parent) => {
                cluster.note_made(&parent);
                self.memory.parent = Some(parent);
                self.memory.inventory = Some((Inventory::default(), StoredShards::default()));
                self.memory.written = None;
                self.memory.claimed = desired.map(|desired| self.newest_revision(desired).id());
                Ok(())
            }
            Err(error @ CallError::Conflict(_)) => {
                // Somebody else was first: a replica, or a daemon of another repository. What they say is looked at from the
                // beginning, as in any pass that finds a parent.
                self.memory.forget_cluster();
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn read_inventory(&mut self, cluster: &Cluster) -> Result<(), CallError> {
        if let (Some(parent), None) = (&self.memory.parent, &self.memory.inventory) {
            self.memory.inventory = Some(match cluster.listed_shards(parent) {
                Some(listed) => inventory_in(parent, listed)?,
                None => cluster.parents.read_inventory(parent).await?,
            });
            self.memory.written.clone_from(&parent.status);
        }
        self.memory.remembered = None;
        Ok(())
    }

    /// Changes the parent; when somebody wrote it in between, on top of what they wrote.
    pub(super) async fn write_parent(
        &mut self,
        cluster: &Cluster,
        change: ParentChange,
    ) -> Result<(), CallError> {
        for attempt in 1..=PARENT_ATTEMPTS {
            let Some(parent) = self.memory.parent.clone() else { return Ok(()) };
            match cluster.parents.update(&parent, &change).await {
                Ok(written) => {
                    self.memory.parent = Some(written);
                    return Ok(());
                }
                Err(error @ CallError::Conflict(_)) => {
                    let now = cluster.parents.read(&self.name).await?;
                    // A rewind that a person has recorded meanwhile is not used up by a claim that never saw it.
                    let of_others = |now: &Parent| {
                        marks(now) != marks(&parent)
                            || (change.annotations.contains_key(REWIND) && now.rewind != parent.rewind)
                    };
                    let foreign = now.as_ref().is_none_or(of_others);
                    self.memory.parent = now;
                    if foreign || attempt == PARENT_ATTEMPTS {
                        // Another replica works on the environment: everything is read anew.
                        self.memory.forget_cluster();
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A parent is made for an environment that is to be deployed: not for one that is gone or being taken down, nor for one
    /// that was taken down and whose newest commit is broken (it would be deleted again at once, for ever).
    pub(super) fn may_create(&self, wanted: &Wanted) -> bool {
        match wanted {
            Wanted::Present(target) => {
                let Memory { good, rejected, .. } = &self.memory;
                let rejected = rejected.as_ref().is_some_and(|(inputs, _)| *inputs == target.inputs);
                let was_taken_down = good.as_ref().is_some_and(|good| good.environment.decommission);
                target.environment.as_ref().is_ok_and(|environment| !environment.decommission)
                    && !(rejected && was_taken_down)
            }
            Wanted::Missing => false,
        }
    }
}

/// What replicas write about the work itself.
fn marks(parent: &Parent) -> (Option<&str>, Option<&str>, Option<u32>, Option<&Held>) {
    (parent.seen.as_deref(), parent.applied.as_deref(), parent.shards, parent.held.as_deref())
}

/// Where their versions are no numbers, what was seen counts.
fn is_newer(seen: &Parent, known: &Parent) -> bool {
    version::compare(&seen.resource_version, &known.resource_version).is_none_or(Ordering::is_gt)
}
