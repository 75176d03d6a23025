//! PersistentVolumeClaims and PersistentVolumes.

use serde_json::Value;

use super::Health;
use super::read::{sentence, text};

/// Bound. A claim whose class waits for its first consumer stays pending until a pod uses it.
pub(super) fn claim(live: &Value) -> Health {
    match text(live, "/status/phase") {
        Some("Bound") => Health::healthy("it is bound"),
        Some("Lost") => Health::degraded("its volume is lost"),
        Some("Pending")
            if text(live, "/metadata/annotations/volume.kubernetes.io~1selected-node").is_some() =>
        {
            Health::progressing("its volume is being provisioned")
        }
        Some("Pending") => Health::progressing("it waits for a volume, or for the first pod that uses it"),
        Some(phase) => Health::progressing(format!("its phase is {}", sentence(phase))),
        None => Health::progressing("its controller has not seen it yet"),
    }
}

/// Anything but failed or pending: who uses it is not its own matter.
pub(super) fn volume(live: &Value) -> Health {
    match text(live, "/status/phase") {
        Some("Failed") => {
            let message = text(live, "/status/message").unwrap_or("its reclamation failed");
            Health::degraded(sentence(message))
        }
        Some("Available") => Health::healthy("it is available"),
        Some("Bound") => Health::healthy("it is bound"),
        Some("Released") => Health::healthy("it is released"),
        Some(phase) => Health::progressing(format!("its phase is {}", sentence(phase))),
        None => Health::progressing("its controller has not seen it yet"),
    }
}
