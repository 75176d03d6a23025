//! The health of a whole environment from that of its objects.

use std::collections::BTreeMap;

use super::{Health, HealthState};
use crate::object::ObjectId;

/// Objects named in the reason.
const MAX_NAMED: usize = 3;

/// The worst first: what failed, what may still fail, what nobody can tell, what is meant to stand still.
const WORST_FIRST: [HealthState; 5] = [
    HealthState::Degraded,
    HealthState::Progressing,
    HealthState::Unknown,
    HealthState::Suspended,
    HealthState::Healthy,
];

/// The health of a whole environment: the worst state of its objects (Degraded, Progressing, Unknown, Suspended,
/// Healthy), with the first objects in that state and the counts of the others in the reason.
pub fn environment_health(objects: impl IntoIterator<Item = (ObjectId, Health)>) -> Health {
    let mut by_state: BTreeMap<HealthState, BTreeMap<ObjectId, String>> = BTreeMap::new();
    for (id, Health { state, reason }) in objects {
        by_state.entry(state).or_default().insert(id, reason);
    }
    let worst =
        WORST_FIRST.into_iter().find_map(|state| by_state.get(&state).map(|objects| (state, objects)));
    let Some((worst, objects)) = worst else {
        return Health::healthy("it has no objects");
    };
    if worst == HealthState::Healthy {
        return Health::healthy(all_healthy(objects.len()));
    }
    let named: Vec<String> =
        objects.iter().take(MAX_NAMED).map(|(id, reason)| format!("{id}: {reason}")).collect();
    let counts: Vec<String> = WORST_FIRST
        .into_iter()
        .filter_map(|state| by_state.get(&state).map(|objects| format!("{} {}", objects.len(), word(state))))
        .collect();
    Health::new(worst, format!("{} ({})", named.join("; "), counts.join(", ")))
}

/// What is said when there is nothing else to say.
pub fn all_healthy(objects: usize) -> String {
    if objects == 1 {
        "its only object is healthy".to_owned()
    } else {
        format!("all {objects} objects are healthy")
    }
}

fn word(state: HealthState) -> &'static str {
    match state {
        HealthState::Healthy => "healthy",
        HealthState::Progressing => "progressing",
        HealthState::Degraded => "degraded",
        HealthState::Suspended => "suspended",
        HealthState::Unknown => "unknown",
    }
}
