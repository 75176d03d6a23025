//! What the objects of one workload are called in the cluster.

use jiff::SignedDuration;
use tidegate_core::inventory::{PRUNE, PRUNE_DISABLED};
use tidegate_core::object::{Gvk, ObjectRef};
use tidegate_core::rollout::{SLOT_RECORD, SlotRecord, Timing};
use tidegate_core::workload::Workload;
use tidegate_core::workload::names::APP;

use super::calls::{Calls, Kind, Live};
use super::leaving::services_of;
use super::record_of;
use crate::cluster::call::CallError;

/// The drain of a workload whose slots no longer say theirs: that of a policy that says none.
const USUAL_DRAIN: SignedDuration = SignedDuration::from_secs(30);

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

    /// Those that stand on the slots of a workload that has left git; none when nothing of it is left. Where somebody took the
    /// slots or their records away, the Service says whose it is.
    pub async fn of_slots(calls: &Calls, apply_set: &str, app: &str) -> Result<Option<Self>, CallError> {
        let mut slots = calls.list(Kind::Deployment, &format!("{APP}={app}")).await?;
        // One that was taken over carries the record without the label.
        slots.extend(calls.read(Kind::Deployment, app).await?);
        let is_kept = slots.iter().any(|live| live.annotation(PRUNE) == Some(PRUNE_DISABLED));
        let records =
            slots.iter().filter_map(|live| serde_json::from_str(live.annotation(SLOT_RECORD)?).ok());
        let newest: Option<SlotRecord> = records.max_by_key(|record: &SlotRecord| record.prepared_at);
        let said = match newest {
            Some(record) => Some((record.service, SignedDuration::from_secs(record.drain))),
            None => pointer_of(calls, apply_set, app).await?.map(|service| (service, USUAL_DRAIN)),
        };
        Ok(said.map(|(service, drain)| Self {
            app: app.to_owned(),
            service,
            followers: Vec::new(),
            autoscaler: None,
            budget: None,
            drain,
            is_kept,
        }))
    }
}

/// The Service whose record sends traffic to a colour, which it knows how to make again. One that is on its way back to having no
/// colours sends it to none.
async fn pointer_of(calls: &Calls, apply_set: &str, app: &str) -> Result<Option<String>, CallError> {
    let services = services_of(calls, apply_set, app).await?;
    let leads = |live: &&Live| {
        record_of(live).is_some_and(|pointer| pointer.record.live.is_some() && !pointer.record.is_leaving)
    };
    Ok(services.iter().find(leads).map(|live| live.name().to_owned()))
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
