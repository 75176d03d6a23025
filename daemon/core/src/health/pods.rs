//! Pods by themselves.

use serde_json::Value;

use super::Health;
use super::read::{condition, sentence, text};
use super::trouble;

/// Ready or done. What keeps it from that is named, and decides between Degraded and Progressing.
pub(super) fn pod(live: &Value) -> Health {
    let phase = text(live, "/status/phase");
    if phase == Some("Succeeded") {
        return Health::healthy("it has completed");
    }
    let is_ready = condition(live, "Ready").is_some_and(|ready| ready.is_true());
    if phase == Some("Running") && is_ready {
        return Health::healthy("it is ready");
    }
    if let Some(finding) = trouble::find(live) {
        return finding.health();
    }
    match phase {
        None => Health::progressing("no kubelet has seen it yet"),
        Some("Pending") => Health::progressing("it is pending"),
        Some("Running") => Health::progressing("it is running and not ready yet"),
        Some(phase) => Health::progressing(format!("its phase is {}", sentence(phase))),
    }
}
