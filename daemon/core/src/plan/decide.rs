//! The plan itself: one decision per object, then order.

use super::{Plan, PlanInput};

/// What is to be done, in which order, and why nothing else is.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let _ = input;
    Plan::default()
}
