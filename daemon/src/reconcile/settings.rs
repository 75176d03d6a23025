//! What plans depend on of an environment's own file.

use tidegate_core::desired::Environment;
use tidegate_core::ids::EnvironmentName;
use tidegate_core::plan::PlanSettings;

use crate::cluster::parent::apply_set_of;

/// The settings that plans depend on.
pub fn settings(name: &EnvironmentName, environment: &Environment) -> PlanSettings {
    PlanSettings::of(environment, apply_set_of(name))
}
