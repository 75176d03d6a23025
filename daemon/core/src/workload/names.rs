//! Labels and annotations of rollouts, and the names of what a slot is made of.

use crate::ids::Digest;
use crate::rollout::Slot;

/// Label of a slot's objects and pods: the workload's name in git.
pub const APP: &str = "tidegate.dev/app";
/// Label of a slot's objects and pods, and the key of the pointer's selector: `blue` or `green`.
pub const SLOT: &str = "tidegate.dev/slot";
/// Label of a slot's Deployment and pods: what they run.
pub const REVISION: &str = "tidegate.dev/revision";
/// Label of a copy of a ConfigMap or Secret: the first of its digest, as in its name.
pub const CONFIG: &str = "tidegate.dev/config";
/// The value of [`CONFIG`] (an annotation or a label) on a ConfigMap or Secret in git that is not copied: its changes reach
/// running pods.
pub const CONFIG_LIVE: &str = "live";
/// Annotation (or label) of a further Service that selects a workload's pods: [`ROLE_BOTH`] or [`ROLE_FOLLOW`].
pub const ROLE: &str = "tidegate.dev/role";
/// The value of [`ROLE`] of a Service that selects the pods of both slots, for metrics.
pub const ROLE_BOTH: &str = "both";
/// The value of [`ROLE`] of a Service that selects what the pointer selects.
pub const ROLE_FOLLOW: &str = "follow";
/// Annotation of a workload: its revision is another one whenever this text is.
pub const RESTART: &str = "tidegate.dev/rollout-restart";
/// Annotation of a workload: a number; another one tries a rejected revision again.
pub const RETRY: &str = "tidegate.dev/retry";

/// The most characters of a label's value, and of the name of a slot's Deployment, which becomes part of its pods' names.
pub const MOST_LABEL: usize = 63;
/// The most characters of an object's name.
pub const MOST_NAME: usize = 253;
/// So many hexadecimal digits of a digest stand in the name of a copied ConfigMap or Secret.
pub const CONFIG_DIGITS: usize = 16;

/// The name of a slot's Deployment, autoscaler or budget.
pub fn slot_name(name: &str, slot: Slot) -> String {
    format!("{name}-{slot}")
}

/// The name of a copy of a ConfigMap or Secret with these contents.
pub fn config_name(name: &str, contents: &Digest) -> String {
    format!("{name}-{}", short(contents))
}

/// The first digits of a digest, as they stand in names.
pub fn short(contents: &Digest) -> &str {
    contents.as_str().get(..CONFIG_DIGITS).unwrap_or(contents.as_str())
}

/// What annotations of ours begin with.
const OURS: &str = "tidegate.dev/";
/// Annotations of ours that people write in git. All others are records, which nobody else may write.
const IN_GIT: [&str; 7] =
    [RESTART, RETRY, ROLE, CONFIG, crate::desired::WAVE, crate::ignore::IGNORE, crate::inventory::PRUNE];

/// Whether an annotation in git would be taken for a record of ours.
pub fn is_record(annotation: &str) -> bool {
    annotation.starts_with(OURS) && !IN_GIT.contains(&annotation)
}

/// Whether a label is one of those that tell slots apart.
pub fn is_ours(label: &str) -> bool {
    [APP, SLOT, REVISION].contains(&label)
}
