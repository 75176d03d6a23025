//! The `spec` of a HealthRule.

use super::{About, values};
use crate::desired::fields::{Fields, Section, Spot};
use crate::health::is_custom;
use crate::object::Gvk;
use crate::policy::health_rule::HealthRule;

/// Reads a spec.
pub fn health_rule(fields: &mut Fields, spot: &Spot<'_>, about: About) -> Option<HealthRule> {
    let known = ["group", "kind", "degraded", "healthy", "progressing", "messageExpression"];
    let spec = fields.section(spot, &known)?;
    let group = fields.required(&spec, "group");
    let name = group.as_ref().and_then(|spot| values::object_name(fields, spot));
    let kind = fields.required(&spec, "kind").and_then(|spot| values::text(fields, &spot, 63));
    let healthy = fields.required(&spec, "healthy").and_then(|spot| values::expression(fields, &spot));
    let mut further = |name| optional(fields, &spec, name);
    let (degraded, progressing) = (further("degraded"), further("progressing"));
    let message = further("messageExpression");
    let (name, kind) = (name?, kind?);
    let gvk = Gvk { group: name.clone(), version: "v1".to_owned(), kind: kind.clone() };
    if let Some(spot) = group.filter(|_| !is_custom(&gvk)) {
        let message = format!("{name} is a group of Kubernetes itself, whose kinds have rules of their own");
        values::refuse(fields, &spot, message);
    }
    Some(HealthRule {
        name: about.name,
        location: about.location,
        group: name,
        kind,
        degraded,
        healthy: healthy?,
        progressing,
        message,
    })
}

fn optional(fields: &mut Fields, spec: &Section<'_>, name: &str) -> Option<crate::cel::Expression> {
    spec.get(name).and_then(|spot| values::expression(fields, &spot))
}
