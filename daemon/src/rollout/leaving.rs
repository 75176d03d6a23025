//! What has left git of a workload, or is no longer a part of it: the Services that its rollout moves and that git does not ask
//! for, and why something stays. A Service says itself whose it is, with every write of the rollout's: git may no longer name it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use tidegate_core::inventory::{PART_OF, PRUNE, PRUNE_DISABLED};
use tidegate_core::rollout::POINTER_RECORD;
use tidegate_core::workload::Colours;
use tidegate_core::workload::names::APP;

use super::calls::{Calls, Kind, Live, ROLLOUT};
use super::carry::Carrier;
use super::lane::{Task, Want};
use super::names::Names;
use super::observe::Seen;
use super::point::hand_on;
use super::record_of;
use super::upkeep::Kept;
use crate::cluster::call::CallError;

/// What a workload's lane has to know of git to part with what git does not ask for.
#[derive(Debug, Clone, Default)]
pub struct Leaving {
    /// What has left git may be deleted.
    pub may_delete: bool,
    /// Others come first: of a workload that git has, nothing goes meanwhile.
    pub is_held: bool,
    /// Services that git has in its namespace: one that it goes by may be another one's now.
    pub services: Arc<BTreeSet<String>>,
}

impl Task {
    /// Another Service leads in the cluster than in git: nothing new is begun, and why is said. Without colours any of them will
    /// do.
    pub(super) fn lead_by(&mut self, leads: &str, asked: &str) -> Option<String> {
        let Want::Rolled(workload) = &self.want else { return None };
        if workload.mode == Colours::Plain {
            return None;
        }
        let why = format!(
            "git says that Service {asked} moves its traffic, and Service {leads} does: let {leads} lead again (`traffic.service` of \
             the policy names it, and further Services say `tidegate.dev/role: follow`); a lead that is to go over to {asked} does so \
             while the workload has no colours: `traffic: {{mode: none}}` first, then the other Service"
        );
        self.held = Some(format!("Service {leads} leads, and git says {asked}"));
        self.leaving.is_held = true;
        Some(why)
    }
}

/// Why something that has left git stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stays {
    /// `tidegate.dev/prune: disabled` stands on this object.
    Kept(String),
    /// This Service, which sends it traffic, is still in git.
    Service(String),
    /// Pruning is off, or beyond its budget.
    Prune,
}

impl Stays {
    /// What to do.
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Kept(_) => {
                "take the annotation off, or take it into git again; `status` shows what it runs"
            }
            Self::Service(_) => {
                "take the Service out of git too, and both colours go with it; or put the Deployment back, and it goes on from \
                 what serves. Until then the Service stays as it is in the cluster, whatever git says of it. One that is to lead \
                 to other pods comes to them by `traffic: {mode: none}`, which takes the colours away, before the Deployment goes"
            }
            Self::Prune => "allow `spec.prune`, or take it into git again; `status` shows what it runs",
        }
    }
}

impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(object) => write!(f, "`{PRUNE}: {PRUNE_DISABLED}` stands on {object}"),
            Self::Service(name) => write!(f, "Service {name}, which sends it traffic, is still in git"),
            Self::Prune => f.write_str("the environment's `spec.prune` does not let it go"),
        }
    }
}

/// The workload whose rollout moves this Service; none for one that is git's alone. A copy that somebody makes of it, in the
/// cluster or in git, has the label and the record too, and not from us.
pub fn holder(service: &Live) -> Option<String> {
    let led = record_of(service).map(|record| record.app).filter(|app| !app.is_empty());
    let named = led.or_else(|| service.label(APP).map(str::to_owned));
    named.filter(|_| is_marked_by_us(service))
}

fn is_marked_by_us(service: &Live) -> bool {
    let entries = service.value.pointer("/metadata/managedFields").and_then(Value::as_array);
    entries.into_iter().flatten().any(|entry| {
        let holds = |part: &str, key: &str| {
            let fields = entry.pointer(&format!("/fieldsV1/f:metadata/{part}")).and_then(Value::as_object);
            fields.is_some_and(|fields| fields.contains_key(&format!("f:{key}")))
        };
        let is_ours = entry.get("manager").and_then(Value::as_str) == Some(ROLLOUT);
        is_ours && (holds("f:labels", APP) || holds("f:annotations", POINTER_RECORD))
    })
}

/// The Services of a namespace that rollouts of this owner move, by workload.
pub async fn held_services(
    calls: &Calls,
    apply_set: &str,
) -> Result<BTreeMap<String, BTreeSet<String>>, CallError> {
    let mut held: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for live in calls.list(Kind::Service, "").await? {
        if let Some(app) = holder(&live).filter(|_| live.label(PART_OF) == Some(apply_set)) {
            held.entry(app).or_default().insert(live.name().to_owned());
        }
    }
    Ok(held)
}

/// The Services that the rollout of a workload moves, the pointer among them.
pub async fn services_of(calls: &Calls, apply_set: &str, app: &str) -> Result<Vec<Live>, CallError> {
    let mut services = calls.list(Kind::Service, &format!("{APP}={app}")).await?;
    services.retain(|live| {
        live.label(PART_OF) == Some(apply_set) && holder(live).is_some_and(|holder| holder == app)
    });
    Ok(services)
}

/// Why a workload that has left git stays; none for one that goes.
pub fn why_it_stays(leaving: &Leaving, names: &Names, seen: &Seen) -> Option<Stays> {
    if names.is_kept {
        return Some(Stays::Kept("it".to_owned()));
    }
    if leaving.services.contains(&names.service) {
        return Some(Stays::Service(names.service.clone()));
    }
    let gone = |live: &&Live| !leaving.services.contains(live.name());
    let mut services = seen.service.iter().chain(seen.followers.values().flatten()).filter(gone);
    if let Some(kept) = services.find(|live| is_kept(live)) {
        return Some(Stays::Kept(format!("Service {}", kept.name())));
    }
    (!leaving.may_delete).then_some(Stays::Prune)
}

pub(super) fn is_kept(live: &Live) -> bool {
    live.annotation(PRUNE) == Some(PRUNE_DISABLED)
}

impl Carrier<'_> {
    /// Services that followed and are no longer asked to, of a workload that git has: one that git has otherwise is the ordinary
    /// engine's again, one that has left git goes. One that stays goes on to follow.
    pub async fn part(&self, kept: &mut Kept) -> Result<(), CallError> {
        let Leaving { may_delete, is_held, services } = self.leaving;
        for name in &self.seen.former {
            let Some(live) = self.seen.followers.get(name).and_then(Option::as_ref) else { continue };
            let is_in_git = services.contains(name);
            let stays = if is_in_git {
                None
            } else if is_kept(live) {
                Some(Stays::Kept("it".to_owned()))
            } else {
                (!may_delete).then_some(Stays::Prune)
            };
            if let Some(stays) = stays {
                kept.stay.insert(name.clone(), stays);
            } else if !is_held {
                if is_in_git {
                    hand_on(self.calls, live).await?;
                } else {
                    self.calls.delete(Kind::Service, live, &live.guard()).await?;
                }
                kept.wrote = true;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(holder: &str) -> Live {
        let fields = json!({"f:metadata": {"f:labels": {"f:tidegate.dev/app": {}}}});
        let labels = json!({"tidegate.dev/app": "api"});
        let managed = json!([{"manager": holder, "operation": "Apply", "fieldsV1": fields}]);
        Live { value: json!({"metadata": {"name": "metrics", "labels": labels, "managedFields": managed}}) }
    }

    #[test]
    fn a_service_is_a_rollouts_by_a_label_that_the_rollout_holds_and_a_copy_is_nobodys() {
        assert_eq!(holder(&service(ROLLOUT)), Some("api".to_owned()));
        assert_eq!(holder(&service("kubectl-client-side-apply")), None);
        assert_eq!(holder(&service(super::super::calls::BODY)), None, "it was handed to the ordinary engine");
    }
}
