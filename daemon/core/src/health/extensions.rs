//! What other objects live in or are served by: CustomResourceDefinitions, APIServices, Namespaces, Nodes.

use serde_json::Value;

use super::Health;
use super::read::{condition, false_condition, is_set, sentence, text};

/// Its names are accepted and it is served.
pub(super) fn definition(live: &Value) -> Health {
    if let Some(names) = false_condition(live, "NamesAccepted") {
        return Health::degraded(format!("its names are not accepted: {}", names.says()));
    }
    match condition(live, "Established") {
        Some(established) if established.is_true() => Health::healthy("it is established"),
        Some(established) if established.is_false() && established.reason != "Installing" => {
            Health::degraded(format!("it is not established: {}", established.says()))
        }
        Some(_) | None => Health::progressing("it is being installed"),
    }
}

/// Its server answers. An unavailable one is waited for: it often comes in the same commit.
pub(super) fn api_service(live: &Value) -> Health {
    match condition(live, "Available") {
        Some(available) if available.is_true() => Health::healthy("it is available"),
        Some(available) => Health::progressing(format!("it is not available: {}", available.says())),
        None => Health::progressing("its controller has not seen it yet"),
    }
}

/// It is active.
pub(super) fn namespace(live: &Value) -> Health {
    match text(live, "/status/phase") {
        Some("Active") => Health::healthy("it is active"),
        Some(phase) => Health::progressing(format!("its phase is {}", sentence(phase))),
        None => Health::progressing("its phase is not known yet"),
    }
}

/// Its kubelet says that it is ready.
pub(super) fn node(live: &Value) -> Health {
    match condition(live, "Ready") {
        Some(ready) if ready.is_true() && is_set(live, "/spec/unschedulable") => {
            Health::suspended("it is ready and takes no new pods")
        }
        Some(ready) if ready.is_true() => Health::healthy("it is ready"),
        Some(ready) => Health::degraded(format!("it is not ready: {}", ready.says())),
        None => Health::progressing("its kubelet has not reported yet"),
    }
}
