//! `http`: requests to the colour's pods, one after another, each over a fresh connection.

use tidegate_core::gate::Judgement;
use tidegate_core::gate::http::Tally;
use tidegate_core::policy::HttpGate;
use tokio::time::{Instant, timeout_at};

use super::Asking;
use super::door::Door;
use super::pods;
use super::request::Prepared;
use super::session::once;

/// Whatever a policy says, an asking sends no more than this.
const REQUESTS_CAP: usize = 1_000;

pub async fn ask(asking: &Asking<'_>, gate: &HttpGate, until: Instant) -> Judgement {
    let prepared = match Prepared::of_gate(asking, &gate.request) {
        Ok(prepared) => prepared,
        Err(why) => return Judgement::unknown(why),
    };
    let doors = match pods::doors(asking, gate.request.port.as_ref()).await {
        Ok(doors) => doors,
        Err(why) => return Judgement::unknown(why),
    };
    let planned = planned(gate, doors.len());
    let mut tally = Tally::new(&gate.expect, &asking.gate.location);
    request(&doors, &prepared, planned, until, &mut tally).await;
    let suspects = tally.suspects();
    if !suspects.is_empty() {
        match pods::gone(asking, &suspects).await {
            Ok(gone) => gone.iter().for_each(|pod| tally.forget(pod)),
            Err(error) => {
                return Judgement::unknown(format!(
                    "requests failed, and whether their pods are still there cannot be told: {error}"
                ));
            }
        }
    }
    tally.judge(u64::try_from(planned).unwrap_or(u64::MAX))
}

/// As many as the policy says, and one for each pod where each is to be asked.
fn planned(gate: &HttpGate, pods: usize) -> usize {
    let least = if gate.every_pod { pods } else { 1 };
    usize::try_from(gate.requests).unwrap_or(REQUESTS_CAP).min(REQUESTS_CAP).max(least)
}

/// Asks the pods in turn. A request that the end of the gate's time cuts short says nothing, and is not counted.
pub(super) async fn request(
    doors: &[Door],
    prepared: &Prepared,
    planned: usize,
    until: Instant,
    tally: &mut Tally<'_>,
) {
    for door in doors.iter().cycle().take(planned) {
        match timeout_at(until, once(door, prepared)).await {
            Ok(came) => tally.add(&door.whose, came),
            Err(_) => return,
        }
    }
}
