//! `kind: HealthRule`: when an object of a custom kind is healthy.
//!
//! What holds for every kind comes before it: deletion, a controller that has not seen the newest spec, the conditions
//! `Stalled` and `Reconciling`.

use crate::cel::{Expression, Facts, NoAnswer};
use crate::health::{Health, HealthState, sentence};
use crate::location::Location;

/// When objects of one kind are healthy.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthRule {
    /// `metadata.name`.
    pub name: String,
    /// Where it begins.
    pub location: Location,
    /// The API group; never one of Kubernetes itself.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// It failed, or will not get there by itself. Asked first. Default: never.
    pub degraded: Option<Expression>,
    /// It does what its spec says.
    pub healthy: Expression,
    /// It is on its way. Default: whenever it is neither degraded nor healthy; given and false, it is unknown.
    pub progressing: Option<Expression>,
    /// The reason, for people.
    pub message: Option<Expression>,
}

impl HealthRule {
    /// How an object is.
    pub fn judge(&self, facts: &Facts) -> Health {
        let Self { name, location: _, group: _, kind: _, degraded, healthy, progressing, message } = self;
        let state = || -> Result<HealthState, NoAnswer> {
            let holds = |expression: &Option<Expression>, otherwise| match expression {
                Some(expression) => holds(expression, facts),
                None => Ok(otherwise),
            };
            Ok(match () {
                () if holds(degraded, false)? => HealthState::Degraded,
                () if self::holds(healthy, facts)? => HealthState::Healthy,
                () if holds(progressing, true)? => HealthState::Progressing,
                () => HealthState::Unknown,
            })
        };
        let state = match state() {
            Ok(state) => state,
            Err(why) => {
                return Health::new(
                    HealthState::Unknown,
                    format!("its health rule `{name}` cannot be evaluated: {why}"),
                );
            }
        };
        let said =
            message.as_ref().and_then(|message| message.message(facts).ok()).map(|text| sentence(&text));
        let reason = said.filter(|said| !said.is_empty()).unwrap_or_else(|| {
            let what = match state {
                HealthState::Healthy => "it is healthy",
                HealthState::Progressing | HealthState::Suspended => "it is not healthy yet",
                HealthState::Degraded => "it is degraded",
                HealthState::Unknown => "it is neither healthy, degraded nor progressing",
            };
            format!("{what}, by the health rule `{name}`")
        });
        Health::new(state, reason)
    }
}

/// What is not there is not true: an object has no status before its controller has seen it.
fn holds(expression: &Expression, facts: &Facts) -> Result<bool, NoAnswer> {
    match expression.holds(facts) {
        Err(NoAnswer { is_absent: true, reason: _ }) => Ok(false),
        other => other,
    }
}
