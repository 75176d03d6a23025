//! Health of custom kinds by the HealthRules of an environment.
//!
//! Rules are an environment's, what watches saw is the cluster's: so the verdict is made of what was kept of an object, each
//! time that an environment looks at it.

use std::sync::Arc;

use serde_json::Value;

use super::{Health, generic, kinds};
use crate::cel::Facts;
use crate::object::Gvk;
use crate::observed::{LiveObject, Observed};
use crate::policy::HealthRule;

/// A larger object is not kept for rules.
pub const MAX_KEPT: usize = 64 * 1024;

/// Whether only a rule, or a condition, can say how objects of a kind are: kinds of somebody else.
pub fn is_custom(gvk: &Gvk) -> bool {
    kinds::rule_of(gvk) == kinds::Rule::Custom
}

/// What is kept of a custom object for rules: all but who manages what. None when it is too large.
pub fn kept(object: &Value) -> Option<Box<str>> {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    let text = object.to_string();
    (text.len() <= MAX_KEPT).then(|| text.into_boxed_str())
}

/// Judges what was seen by these rules, where one is for its kind.
pub fn judge(rules: &[Arc<HealthRule>], observed: &mut Observed) {
    if rules.is_empty() {
        return;
    }
    for (id, live) in &mut observed.objects {
        let rule = rules.iter().find(|rule| rule.group == id.group && rule.kind == id.kind);
        if let Some(health) = rule.map(|rule| by(rule, live))
            && live.health.as_ref() != Some(&health)
        {
            Arc::make_mut(live).health = Some(health);
        }
    }
}

fn by(rule: &HealthRule, live: &LiveObject) -> Health {
    let kept = live.kept.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let Some(object) = kept else {
        return Health::unknown(format!("it is too large for its health rule `{}`", rule.name));
    };
    generic::before_any_rule(&object).unwrap_or_else(|| rule.judge(&Facts::of(&object)))
}
