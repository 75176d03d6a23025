//! `lbHealth`: so many pods of the colour stay ready for so long.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tidegate_core::gate::Judgement;
use tidegate_core::gate::endpoints::{Endpoints, PodLook};
use tidegate_core::policy::LbHealthGate;
use tokio::time::{Instant, sleep_until};

use super::{Asking, pods};

/// Pauses between two looks. What happens in between is seen by restarts and by times of readiness.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// So many looks, where the pauses allow it.
const LOOKS: u32 = 20;

pub async fn ask(asking: &Asking<'_>, gate: LbHealthGate, until: Instant) -> Judgement {
    let LbHealthGate { endpoints, duration } = gate;
    let wanted = endpoints.unwrap_or(asking.parity).max(1);
    let mut watched = Endpoints::new(wanted, duration, &asking.gate.location);
    let pause = (duration / LOOKS).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
    let begun = Instant::now();
    let end = begun + duration;
    let mut next = begun;
    while next <= until {
        sleep_until(next).await;
        let pods = match pods::all(asking).await {
            Ok(pods) => pods,
            Err(error) => return Judgement::unknown(format!("the pods cannot be listed: {error}")),
        };
        let now = Instant::now();
        let seen = pods.iter().map(|pod| (pods::uid(pod).to_owned(), look(pod))).collect();
        if let Some(judgement) = watched.look(now - begun, seen) {
            return judgement;
        }
        next = if now < end { (now + pause).min(end) } else { now + pause };
    }
    Judgement::unknown("its duration is longer than its time")
}

fn look(pod: &Pod) -> PodLook {
    let since = pods::readiness(pod).and_then(|ready| ready.last_transition_time.as_ref()).map(|time| time.0);
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let restarts = statuses.map(|status| u32::try_from(status.restart_count).unwrap_or(0)).sum();
    PodLook { name: pods::name(pod).to_owned(), ready: pods::is_ready(pod), since, restarts }
}
