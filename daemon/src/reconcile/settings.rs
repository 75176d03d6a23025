//! What plans depend on of an environment's own file.

use tidegate_core::desired::Environment;
use tidegate_core::drift::AllowList;
use tidegate_core::ids::EnvironmentName;
use tidegate_core::plan::{ObjectMatcher, PlanSettings, PruneSettings};

use crate::cluster::parent::apply_set_of;

/// The settings that plans depend on.
pub fn settings(name: &EnvironmentName, environment: &Environment) -> PlanSettings {
    PlanSettings {
        apply_set: apply_set_of(name),
        environment: name.clone(),
        prune: PruneSettings {
            enabled: environment.prune.enabled,
            max: environment.prune.budget.max,
            percent: environment.prune.budget.percent,
            allow: environment.prune.allow.iter().cloned().collect(),
        },
        adopt: environment.adopt.iter().cloned().map(ObjectMatcher::from).collect(),
        suspended: None,
        decommission: environment.decommission,
        allow: AllowList::default(),
    }
}
