//! What has drifted while nothing may be written: under a suspension the live objects are compared with what was applied
//! last, by the same plan and the same dry-runs as ever. Nothing is executed, and nothing is written but the record.

use std::sync::Arc;

use jiff::Timestamp;
use tidegate_core::diff::describe;
use tidegate_core::object::ObjectRef;
use tidegate_core::plan::{Action, ApplyReason};
use tidegate_core::status::DriftRecord;

use super::lane::{Lane, Wanted};
use super::{Unseen, settings};
use crate::cluster::call::CallError;
use crate::cluster::handle::Cluster;
use crate::world::DesiredSet;

/// Plans of one examination: the first asks for dry-runs, the second has their answers.
const ROUNDS: u32 = 3;

impl Lane {
    /// Compares what is live with what was applied last, while a suspension stands.
    pub(super) async fn examine(&mut self, cluster: &Arc<Cluster>, wanted: &Wanted) -> Result<(), CallError> {
        self.memory.examined = None;
        if self.suspension(wanted).is_none() {
            self.memory.applied = None;
            return Ok(());
        }
        let Some(applied) = self.applied(cluster).await? else { return Ok(()) };
        self.read_held_services(cluster, &applied).await?;
        let applied = self.without_rollouts(applied);
        let settings = settings(&self.name, &applied.environment);
        for _ in 0..ROUNDS {
            let plan = self.plan(cluster, &applied, &settings, Unseen::Read).await?;
            if plan.inspect.is_empty() {
                break;
            }
            self.inspect(cluster, &applied, &plan.inspect).await;
        }
        self.memory.inspected.clear();
        self.memory.examined = Some(applied);
        Ok(())
    }

    /// The set that was applied last, whole. Loaded once when git asks for another one by now.
    async fn applied(&mut self, cluster: &Cluster) -> Result<Option<Arc<DesiredSet>>, CallError> {
        let Some(parent) = &self.memory.parent else { return Ok(None) };
        let Some(id) = parent.applied.clone() else { return Ok(None) };
        let inputs = parent.status.as_ref().and_then(|status| status.applied_inputs.clone());
        let newest = self.memory.good.as_ref();
        if let Some(good) =
            newest.filter(|good| good.revision.id() == id || inputs.as_ref() == Some(&good.inputs))
        {
            return Ok(Some(good.clone()));
        }
        if let Some((known, set)) = &self.memory.applied
            && *known == id
        {
            return Ok(set.clone());
        }
        let set = self.set_at(cluster, &id).await?;
        self.memory.applied = Some((id, set.clone()));
        Ok(set)
    }

    /// Values are as git asks, and others hold or added fields that a repair would take back.
    fn held_by_others(&self, object: &ObjectRef) -> Vec<String> {
        let records = self.memory.foreign.get(&object.id()).into_iter().flatten();
        records.map(|record| format!("{} is held by {}", record.field.path, record.field.manager)).collect()
    }

    /// What a plan would repair and may not.
    pub(super) fn drifted(&self, now: Timestamp) -> Vec<DriftRecord> {
        let (Some(_), Some((_, plan))) = (&self.memory.examined, &self.memory.last) else {
            return Vec::new();
        };
        let before =
            self.memory.written.as_ref().map(|status| status.drifted.items.as_slice()).unwrap_or_default();
        let found = plan.actions().filter_map(|action| match action {
            Action::Apply(apply) => {
                let (changes, by) = match &apply.reason {
                    ApplyReason::Drift { changes, by } if changes.is_empty() => {
                        (self.held_by_others(&apply.object.reference), by.as_slice())
                    }
                    ApplyReason::Drift { changes, by } => {
                        (changes.iter().map(describe).collect(), by.as_slice())
                    }
                    ApplyReason::Recreate => (vec!["the object was deleted".to_owned()], &[][..]),
                    ApplyReason::Create | ApplyReason::Changed | ApplyReason::Resume | ApplyReason::Adopt => {
                        return None;
                    }
                };
                let managers: Vec<&str> = by.iter().map(|entry| entry.manager.as_str()).collect();
                let manager = (!managers.is_empty()).then(|| managers.join(", "));
                let object = apply.object.reference.clone();
                Some(DriftRecord { object, changes, manager, seen: now, repaired: None })
            }
            Action::Delete(_) => None,
        });
        // Seen when it was seen first: a record that only grows older is not written again.
        let seen =
            |object: &ObjectRef| before.iter().find(|known| known.object == *object).map(|known| known.seen);
        found.map(|found| DriftRecord { seen: seen(&found.object).unwrap_or(now), ..found }).collect()
    }
}
