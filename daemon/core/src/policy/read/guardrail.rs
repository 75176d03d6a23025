//! The `spec` of a Guardrail.

use super::About;
use super::rollout::label_selector;
use super::values;
use crate::desired::fields::{Fields, Spot};
use crate::policy::guardrail::{Action, Guardrail, ObjectMatch, Validation};

/// Rules of one guardrail.
const MAX_VALIDATIONS: usize = 32;
/// Kinds, or groups, of one guardrail.
const MAX_KINDS: usize = 100;
const MAX_MESSAGE: usize = 1024;

/// Reads a spec.
pub fn guardrail(fields: &mut Fields, spot: &Spot<'_>, about: About) -> Option<Guardrail> {
    let spec = fields.section(spot, &["match", "action", "validations"])?;
    let matches = fields.required(&spec, "match").and_then(|spot| matches(fields, &spot));
    let action = match spec.get("action") {
        Some(spot) => fields.choice(&spot, &[("deny", Action::Deny), ("warn", Action::Warn)]),
        None => Some(Action::Deny),
    };
    let validations = fields.required(&spec, "validations");
    let validations = validations.and_then(|spot| values::some(fields, &spot, MAX_VALIDATIONS, validation));
    let About { name, location } = about;
    Some(Guardrail { name, location, matches: matches?, action: action?, validations: validations? })
}

fn matches(fields: &mut Fields, spot: &Spot<'_>) -> Option<ObjectMatch> {
    let section = fields.section(spot, &["kinds", "groups", "selector"])?;
    let kinds = fields.required(&section, "kinds");
    let kinds = kinds.and_then(|spot| values::some(fields, &spot, MAX_KINDS, Fields::text));
    let group = |fields: &mut Fields, spot: &Spot<'_>| match spot.node.as_str() {
        // The core group has no name.
        Some("") => Some(String::new()),
        Some(_) | None => values::object_name(fields, spot),
    };
    let groups = section.get("groups").map(|spot| values::some(fields, &spot, MAX_KINDS, group));
    let selector = section.get("selector").and_then(|spot| label_selector(fields, &spot));
    Some(ObjectMatch {
        kinds: kinds?.into_iter().collect(),
        groups: groups.unwrap_or_else(|| Some(Vec::new()))?.into_iter().collect(),
        selector,
    })
}

fn validation(fields: &mut Fields, spot: &Spot<'_>) -> Option<Validation> {
    let section = fields.section(spot, &["expression", "message", "messageExpression"])?;
    let expression = fields.required(&section, "expression");
    let expression = expression.and_then(|spot| values::expression(fields, &spot));
    let message = section.get("message").map(|spot| values::text(fields, &spot, MAX_MESSAGE));
    let made = section.get("messageExpression").map(|spot| values::expression(fields, &spot));
    Some(Validation {
        expression: expression?,
        message: message.map_or(Some(None), |message| message.map(Some))?,
        message_expression: made.map_or(Some(None), |made| made.map(Some))?,
        location: fields.location(spot),
    })
}
