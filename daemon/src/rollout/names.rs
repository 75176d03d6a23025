//! What the objects of one workload are called in the cluster.

use jiff::SignedDuration;
use tidegate_core::inventory::{PRUNE, PRUNE_DISABLED};
use tidegate_core::object::{Gvk, ObjectRef};
use tidegate_core::rollout::{SLOT_RECORD, SlotRecord, Timing};
use tidegate_core::workload::Workload;
use tidegate_core::workload::names::APP;

use super::calls::{Calls, Kind};
use crate::cluster::call::CallError;

/// Names within one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The Deployment in git.
    pub app: String,
    /// The pointer.
    pub service: String,
    /// Services that are to follow it. Others that do say so themselves.
    pub followers: Vec<String>,
    /// git's autoscaler.
    pub autoscaler: Option<String>,
    /// git's disruption budget.
    pub budget: Option<String>,
    /// The effective drain.
    pub drain: SignedDuration,
    /// `tidegate.dev/prune: disabled` stands on it: it stays when it leaves git.
    pub is_kept: bool,
}

impl Names {
    /// Those that git says.
    pub fn of(workload: &Workload) -> Self {
        let name = |object: &Option<std::sync::Arc<tidegate_core::object::DesiredObject>>| {
            object.as_ref().map(|object| object.reference.name.clone())
        };
        Self {
            app: workload.app().to_owned(),
            service: workload.service.reference.name.clone(),
            followers: workload
                .followers
                .iter()
                .map(|follower| follower.object.reference.name.clone())
                .collect(),
            autoscaler: name(&workload.autoscaler),
            budget: name(&workload.budget),
            drain: workload.timing.drain,
            is_kept: false,
        }
    }

    /// The same where another Service leads in the cluster: what git calls the pointer follows it.
    pub fn lead_by(&mut self, service: &str) {
        self.followers.retain(|follower| follower != service);
        self.followers.push(std::mem::replace(&mut self.service, service.to_owned()));
    }

    /// Those that stand on the slots of a workload that has left git; none when nothing of it is left.
    pub async fn of_slots(calls: &Calls, app: &str) -> Result<Option<Self>, CallError> {
        let mut slots = calls.list(Kind::Deployment, &format!("{APP}={app}")).await?;
        // One that was taken over carries the record without the label.
        slots.extend(calls.read(Kind::Deployment, app).await?);
        let is_kept = slots.iter().any(|live| live.annotation(PRUNE) == Some(PRUNE_DISABLED));
        let records =
            slots.iter().filter_map(|live| serde_json::from_str(live.annotation(SLOT_RECORD)?).ok());
        let newest: Option<SlotRecord> = records.max_by_key(|record: &SlotRecord| record.prepared_at);
        Ok(newest.map(|record| Self {
            app: app.to_owned(),
            service: record.service,
            followers: Vec::new(),
            autoscaler: None,
            budget: None,
            drain: SignedDuration::from_secs(record.drain),
            is_kept,
        }))
    }
}

/// The durations of a workload that has left git: only its drain counts.
pub fn timing_of_gone(drain: SignedDuration) -> Timing {
    let none = SignedDuration::ZERO;
    Timing {
        drain,
        bake: none,
        bake_max: none,
        standby: none,
        keep_failed: none,
        warm: none,
        grace: none,
        settle: none,
        floor_percent: 0,
    }
}

/// The Deployment of a workload by its name in git.
pub fn reference(namespace: &str, app: &str) -> ObjectRef {
    let gvk = Gvk::from_api_version("apps/v1", "Deployment");
    ObjectRef { gvk, namespace: Some(namespace.to_owned()), name: app.to_owned() }
}
