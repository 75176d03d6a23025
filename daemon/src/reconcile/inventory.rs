//! The inventory while a lane works: noted before objects are created, corrected by what plans see, written in shards.

use jiff::Timestamp;
use tidegate_core::drift::{AllowList, is_settled};
use tidegate_core::plan::{Action, Plan};

use super::lane::Lane;
use crate::cluster::call::CallError;
use crate::cluster::handle::Cluster;
use crate::cluster::pace::after_others;
use crate::cluster::parent::SHARDS;
use crate::cluster::shards::ShardsWritten;

impl Lane {
    /// Notes objects that are about to be created, so that a kill between the two leaves nothing unknown.
    pub(super) fn note_pending(&mut self, plan: &Plan) {
        let Some((inventory, stored)) = &mut self.memory.inventory else { return };
        stored.outdate();
        for action in plan.stages.iter().flat_map(|stage| &stage.actions) {
            if let Action::Apply(apply) = action {
                inventory.record_intent(apply);
            }
        }
    }

    /// Notes what a plan found in sync, and drops what is gone or was somebody else's all along.
    pub(super) fn accept(&mut self, plan: &Plan) {
        let now = Timestamp::now();
        let Some((observed, _)) = &self.memory.last else { return };
        let Some((inventory, stored)) = &mut self.memory.inventory else { return };
        let others: Vec<_> = plan.waiting.iter().filter(|it| it.reason.is_somebody_elses()).collect();
        if !(plan.accept.is_empty() && plan.forget.is_empty() && others.is_empty()) {
            stored.outdate();
        }
        for id in &plan.accept {
            if let Some(live) = observed.objects.get(id) {
                let settled = is_settled(&live.managed, now);
                inventory.record_accepted(id, &live.managed, &AllowList::default(), settled);
            }
        }
        for id in &plan.forget {
            inventory.forget(id);
        }
        for waiting in others {
            inventory.forget_intent(&waiting.object);
        }
    }

    /// The inventory after the applies. What was made is found in the cluster after a kill as well, so that this may wait for
    /// the changes of others; what was taken over is nobody's before its uid is written, and does not wait.
    pub(super) async fn write_what_came(&mut self, cluster: &Cluster) -> Result<(), CallError> {
        let has_adopted = self
            .memory
            .inventory
            .as_ref()
            .is_some_and(|(inventory, _)| inventory.entries.values().any(|entry| entry.adopted));
        if has_adopted {
            return self.write_inventory(cluster).await;
        }
        Box::pin(after_others(self.write_inventory(cluster))).await
    }

    /// Writes the shards that changed. A conflict means that another replica works on the environment.
    pub(super) async fn write_inventory(&mut self, cluster: &Cluster) -> Result<(), CallError> {
        let (Some(parent), Some((inventory, stored))) = (&self.memory.parent, &mut self.memory.inventory)
        else {
            return Ok(());
        };
        // Shards that nothing points to (of a replica that was overtaken) are emptied like any other.
        if inventory.entries.is_empty() && parent.shards.is_none() && stored.is_empty() {
            return Ok(());
        }
        if stored.is_written(parent) {
            return Ok(());
        }
        let written = cluster.parents.write_inventory(parent, stored, inventory).await;
        // What was due of the shards may be outdated: their number can have changed since.
        self.memory.unsaid.remove(SHARDS);
        match written {
            Ok(ShardsWritten::AsBefore) => {}
            Ok(ShardsWritten::Said(updated)) => self.memory.parent = Some(*updated),
            Ok(ShardsWritten::ToSay(annotations)) => self.memory.unsaid.extend(annotations),
            Err(error) => {
                self.memory.forget_cluster();
                return Err(error);
            }
        }
        Ok(())
    }
}
