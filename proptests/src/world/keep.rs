//! What a lane keeps in the cluster: the parent and the inventory, read once, written with the version that was read, as
//! `parent.rs` and `inventory.rs` of `daemon/src/reconcile/` do.

use tidegate_core::drift::{AllowList, is_settled};
use tidegate_core::ids::CommitId;
use tidegate_core::inventory::{self, Inventory};
use tidegate_core::plan::{Action, Plan};
use tidegate_core::rollback::Held;

use super::bugs::Bug;
use super::claim::newest;
use super::lane::{Good, Lane, Memory, Wanted};
use super::request::{Answer, CallError, Parent, ParentChange, Request, StoredShard};

/// `PARENT_ATTEMPTS` of the daemon.
const PARENT_ATTEMPTS: u32 = 5;
/// The one shard of an inventory as small as these.
const SHARD: &str = "inventory-1-0";

impl Lane {
    pub(super) async fn read_state(&mut self, wanted: &Wanted) -> Result<(), CallError> {
        let (seen, listed) = {
            let local = self.local.borrow();
            (local.parents.get(&self.name).cloned(), local.store.synced)
        };
        let untroubled = self.memory.failures == 0;
        match (&self.memory.parent, seen) {
            (Some(known), Some(seen)) if seen.uid == known.uid => {
                if seen.version > known.version {
                    // Another replica's record may stand there now: what was written is not what is to be read.
                    self.memory.written.clone_from(&seen.status);
                    if marks(&seen) != marks(known) {
                        // What was still to be said here is older than what another replica has said.
                        self.memory.inventory = None;
                        self.memory.unsaid = ParentChange::default();
                    }
                    self.memory.parent = Some(seen);
                }
            }
            (None, Some(seen)) if untroubled => {
                self.memory.parent = Some(seen);
                self.memory.inventory = None;
            }
            (None, None) if untroubled && self.may_create(wanted) && listed => {}
            (_, _) => {
                self.memory.unsaid = ParentChange::default();
                self.memory.parent = self.read_parent().await?;
                self.memory.inventory = None;
            }
        }
        self.ensure_inventory().await
    }

    fn may_create(&self, wanted: &Wanted) -> bool {
        match wanted {
            Wanted::Present(_, target) => {
                let Memory { good, rejected, .. } = &self.memory;
                let taken_down = good.as_ref().is_some_and(|good| good.desired().settings.decommission);
                let rejected = rejected.as_ref().is_some_and(|(inputs, _)| *inputs == target.inputs);
                let says = target.environment.as_ref();
                says.is_some_and(|environment| !environment.decommission) && !(taken_down && rejected)
            }
            Wanted::Missing(_) => false,
        }
    }

    /// Makes the parent of an environment that is to be deployed, with the claim of what is enforced.
    pub(super) async fn ensure_parent(
        &mut self,
        wanted: &Wanted,
        good: Option<&Good>,
    ) -> Result<(), CallError> {
        let taken_down = good.is_some_and(|good| good.desired().settings.decommission);
        if self.memory.parent.is_some() || taken_down || !self.may_create(wanted) {
            return Ok(());
        }
        let claimed = good.filter(|_| !self.has(Bug::CommitNotClaimed));
        let seen = claimed.map(|good| (newest(wanted, good).clone(), good.target.inputs.clone()));
        let here = seen.as_ref().map(|(seen, _)| seen.clone());
        let request = Request::CreateParent { environment: self.name.clone(), seen };
        match self.line.call(request).await {
            Ok(Answer::Parent(Some(parent))) => {
                self.local.borrow_mut().note_made(&parent);
                self.memory.parent = Some(*parent);
                self.memory.inventory = Some((Inventory::default(), None));
                self.memory.written = None;
                self.memory.claimed_here = here;
                Ok(())
            }
            Ok(_) => Err(CallError::Server),
            Err(error) => {
                if error == CallError::Conflict {
                    // Another replica was first: what it says is looked at from the beginning.
                    self.memory.forget_cluster();
                }
                Err(error)
            }
        }
    }

    pub(super) async fn ensure_inventory(&mut self) -> Result<(), CallError> {
        if let (Some(parent), None) = (self.memory.parent.clone(), &self.memory.inventory) {
            self.memory.inventory = Some(self.read_inventory(&parent).await?);
            self.memory.written.clone_from(&parent.status);
        }
        Ok(())
    }

    pub(super) async fn read_parent(&self) -> Result<Option<Parent>, CallError> {
        match self.repeated(|| Request::ReadParent(self.name.clone())).await? {
            Answer::Parent(parent) => Ok(parent.map(|parent| *parent)),
            _ => Err(CallError::Server),
        }
    }

    pub(super) async fn read_inventory(
        &self,
        parent: &Parent,
    ) -> Result<(Inventory, Option<StoredShard>), CallError> {
        let answer = self.repeated(|| Request::ReadShards(self.name.clone())).await?;
        let Answer::Shards(mut shards) = answer else { return Err(CallError::Server) };
        let stored = shards.remove(SHARD);
        let bytes: Vec<&[u8]> = stored.iter().map(|shard| shard.bytes.as_slice()).collect();
        let read = inventory::decode(&bytes);
        let inventory = match parent.shards {
            // A kill came between the shard and the parent that was to point to it.
            None => read.unwrap_or_default(),
            Some(_) => read.map_err(|_| CallError::Server)?,
        };
        Ok((inventory, stored))
    }

    /// Writes the shard when it changed. A conflict means that another replica works on the environment.
    pub(super) async fn write_inventory(&mut self) -> Result<(), CallError> {
        let Some(parent) = self.memory.parent.clone() else { return Ok(()) };
        let Some((inventory, stored)) = &self.memory.inventory else { return Ok(()) };
        if inventory.entries.is_empty() && parent.shards.is_none() && stored.is_none() {
            return Ok(());
        }
        let bytes =
            inventory::encode(inventory).into_iter().next().map(|shard| shard.bytes).unwrap_or_default();
        if stored.as_ref().is_none_or(|stored| stored.bytes != bytes) {
            let version = stored.as_ref().map(|stored| stored.version);
            let (environment, name) = (self.name.clone(), SHARD.to_owned());
            let request =
                Request::WriteShard { environment, name, version, bytes: bytes.clone(), why: self.why() };
            match self.line.call(request).await {
                Ok(Answer::Version(version)) => {
                    if let Some((_, stored)) = &mut self.memory.inventory {
                        *stored = Some(StoredShard { version, bytes });
                    }
                }
                other => return self.lose_inventory(other.err().unwrap_or(CallError::Server)),
            }
        }
        // The first shard is found without being pointed to, so that it is said with the next record.
        self.memory.unsaid.shards = (parent.shards != Some(1)).then_some(1);
        Ok(())
    }

    fn lose_inventory(&mut self, error: CallError) -> Result<(), CallError> {
        self.memory.forget_cluster();
        Err(error)
    }

    pub(super) async fn write_parent(&mut self, change: ParentChange) -> Result<(), CallError> {
        for attempt in 1..=PARENT_ATTEMPTS {
            let Some(parent) = self.memory.parent.clone() else { return Ok(()) };
            match self.update_parent(&parent, &change).await {
                Ok(written) => {
                    self.memory.parent = Some(written);
                    return Ok(());
                }
                Err(CallError::Conflict) => {
                    let now = self.read_parent().await?;
                    let of_others = |now: &Parent| {
                        marks(now) != marks(&parent) || (change.rewound && now.rewind != parent.rewind)
                    };
                    let foreign = now.as_ref().is_none_or(of_others);
                    self.memory.parent = now;
                    if foreign || attempt == PARENT_ATTEMPTS {
                        self.memory.forget_cluster();
                        return Err(CallError::Conflict);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn update_parent(&self, parent: &Parent, change: &ParentChange) -> Result<Parent, CallError> {
        let (known, change) = (Box::new(parent.clone()), Box::new(change.clone()));
        match self.line.call(Request::UpdateParent { known, change, why: self.why() }).await? {
            Answer::Parent(Some(parent)) => Ok(*parent),
            _ => Err(CallError::Server),
        }
    }

    pub(super) fn accept(&mut self, plan: &Plan) {
        let now = self.now();
        let Some((observed, _)) = &self.memory.last else { return };
        let Some((inventory, _)) = &mut self.memory.inventory else { return };
        for id in &plan.accept {
            if let Some(live) = observed.objects.get(id) {
                let settled = is_settled(&live.managed, now);
                inventory.record_accepted(id, &live.managed, &AllowList::default(), settled);
            }
        }
        for id in &plan.forget {
            inventory.forget(id);
        }
        for waiting in plan.waiting.iter().filter(|it| it.reason.is_somebody_elses()) {
            inventory.forget_intent(&waiting.object);
        }
    }

    pub(super) fn note_pending(&mut self, plan: &Plan) {
        let bugs = (self.has(Bug::MigrationNotNoted), self.has(Bug::ForgottenBeforeDeleted));
        let Some((inventory, _)) = &mut self.memory.inventory else { return };
        for action in plan.stages.iter().flat_map(|stage| &stage.actions) {
            match action {
                Action::Apply(apply) if apply.migrate && bugs.0 => {}
                Action::Apply(apply) => drop(inventory.record_intent(apply)),
                Action::Delete(delete) if bugs.1 => drop(inventory.forget(&delete.object.id())),
                Action::Delete(_) => {}
            }
        }
    }
}

/// What replicas write about the work itself.
fn marks(parent: &Parent) -> (Option<&CommitId>, Option<&CommitId>, Option<u32>, Option<&Held>) {
    (parent.seen.as_ref(), parent.applied.as_ref(), parent.shards, parent.held.as_deref())
}
