//! What is left of a workload that has left git, once its colours are gone: taken away, or the ordinary engine's again. Not here:
//! how the colours go, which decisions say ([`tidegate_core::rollout`]).

use std::time::Duration;

use tidegate_core::inventory::{Marks, PART_OF};
use tidegate_core::rollout::POINTER_RECORD;
use tidegate_core::workload::names::APP;

use super::calls::{Calls, Kind, Live};
use super::kept::Kept;
use super::leaving::{Leaving, is_kept, services_of};
use super::point::hand_on;
use crate::cluster::call::CallError;

/// So long pods go on after the Service that led to them, where nothing says their drain any more.
pub const DRAINS: Duration = Duration::from_secs(30);

/// Services that git has are git's again, whatever may be deleted; the rest goes where it may, the Services first. False where
/// the rest follows after [`DRAINS`].
pub async fn sweep(
    calls: &Calls,
    kept: &Kept,
    marks: &Marks,
    app: &str,
    leaving: &Leaving,
) -> Result<bool, CallError> {
    let is_ours = |live: &Live| live.label(PART_OF) == Some(marks.apply_set.as_str());
    // Beside the slots, one that was on its way back to having no colours: it is in no inventory yet.
    let mut deployments = calls.list(Kind::Deployment, &format!("{APP}={app}")).await?;
    deployments.retain(|live| live.name() != app);
    deployments.extend(calls.read(Kind::Deployment, app).await?);
    deployments.retain(is_ours);
    let may_delete = leaving.may_delete && !deployments.iter().any(is_kept);
    let mut is_left = false;
    // Where somebody has deleted both Deployments, its Services are all that is left.
    for live in services_of(calls, &marks.apply_set, app).await? {
        if leaving.services.contains(live.name()) {
            let live = hand_on(calls, &live).await?;
            if live.annotation(POINTER_RECORD).is_some() {
                calls.drop_annotation(Kind::Service, &live, POINTER_RECORD).await?;
            }
        } else if may_delete && !is_kept(&live) {
            calls.delete(Kind::Service, &live, &live.guard()).await?;
            is_left = !deployments.is_empty();
        }
    }
    if is_left {
        return Ok(false);
    }
    if !may_delete {
        return Ok(true);
    }
    for live in &deployments {
        calls.delete(Kind::Deployment, live, &live.guard()).await?;
    }
    for kind in [Kind::Autoscaler, Kind::Budget, Kind::ConfigMap, Kind::Secret] {
        for live in calls.list(kind, &format!("{APP}={app}")).await? {
            if is_ours(&live) {
                calls.delete(kind, &live, &live.same()).await?;
            }
        }
    }
    kept.collect(&[]).await?;
    Ok(true)
}
