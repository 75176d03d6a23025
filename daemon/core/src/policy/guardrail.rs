//! `kind: Guardrail`: rules on rendered objects, in the shape of Kubernetes' ValidatingAdmissionPolicy.
//!
//! They hold before anything is sent: an object that breaks one of them keeps its whole commit from being applied.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::rollout::LabelSelector;
use crate::cel::{Expression, Facts};
use crate::location::Location;
use crate::object::DesiredObject;
use crate::problem::{Code, Problem, Severity};

/// Objects times rules of one environment; further ones are not looked at, and the commit is refused.
const MAX_CHECKS: usize = 1_000_000;
/// Broken rules of one environment that are named.
const MAX_PROBLEMS: usize = 1000;

/// Rules on some objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Guardrail {
    /// `metadata.name`.
    pub name: String,
    /// Where it begins.
    pub location: Location,
    /// Which objects.
    pub matches: ObjectMatch,
    /// What a broken rule does.
    pub action: Action,
    /// The rules; all must hold.
    pub validations: Vec<Validation>,
}

/// Which objects a guardrail is for: all of it must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMatch {
    /// Kinds; `*` is any.
    pub kinds: BTreeSet<String>,
    /// API groups, the core group as an empty text. Default: any.
    pub groups: BTreeSet<String>,
    /// By their labels. Default: any.
    pub selector: Option<LabelSelector>,
}

/// What a broken rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The commit is not applied. The default.
    Deny,
    /// It is said, and applied all the same.
    Warn,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// Has to be true of `object`.
    pub expression: Expression,
    /// What is said where it is not. Default: the expression itself.
    pub message: Option<String>,
    /// The same, made of the object; where it cannot be made, `message` is said.
    pub message_expression: Option<Expression>,
    /// Where it stands.
    pub location: Location,
}

/// The broken rules of these objects, each at its object with the place of the rule.
pub fn check(guardrails: &[Arc<Guardrail>], objects: &[Arc<DesiredObject>]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut checks = 0;
    for object in objects {
        let mut facts = None;
        for guardrail in guardrails.iter().filter(|guardrail| guardrail.matches.fits(object)) {
            checks += guardrail.validations.len();
            if checks > MAX_CHECKS {
                let message = format!("more than {MAX_CHECKS} checks of guardrails are not made");
                problems.push(Problem::error(Code::Guardrail, message).at(guardrail.location.clone()));
                return problems;
            }
            let facts = facts.get_or_insert_with(|| Facts::of(object.value()));
            problems.extend(guardrail.broken(object, facts));
            if problems.len() >= MAX_PROBLEMS {
                problems.truncate(MAX_PROBLEMS);
                return problems;
            }
        }
    }
    problems
}

impl ObjectMatch {
    fn fits(&self, object: &DesiredObject) -> bool {
        let Self { kinds, groups, selector } = self;
        let gvk = &object.reference.gvk;
        let labels = || {
            let labels = object.value().pointer("/metadata/labels").and_then(serde_json::Value::as_object);
            let texts = labels.into_iter().flatten();
            texts.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
        };
        (kinds.contains("*") || kinds.contains(&gvk.kind))
            && (groups.is_empty() || groups.contains(&gvk.group))
            && selector.as_ref().is_none_or(|selector| selector.selects(&labels()))
    }
}

impl Guardrail {
    fn broken<'a>(
        &'a self,
        object: &'a DesiredObject,
        facts: &'a Facts,
    ) -> impl Iterator<Item = Problem> + 'a {
        self.validations.iter().filter_map(move |validation| {
            let (message, help) = validation.broken(facts)?;
            let severity = match self.action {
                Action::Deny => Severity::Error,
                Action::Warn => Severity::Warning,
            };
            let problem = Problem::error(Code::Guardrail, format!("{message} (guardrail `{}`)", self.name));
            let problem = problem.at(object.location()).object(&object.reference);
            let problem = problem.related("the rule", validation.location.clone());
            let problem = match help {
                Some(help) => problem.help(help),
                None => problem,
            };
            Some(Problem { severity, ..problem })
        })
    }
}

impl Validation {
    /// What is said of an object, and what to do about it, where the rule does not hold.
    fn broken(&self, facts: &Facts) -> Option<(String, Option<&'static str>)> {
        let Self { expression, message, message_expression, location: _ } = self;
        match expression.holds(facts) {
            Ok(true) => None,
            Ok(false) => {
                let made = message_expression.as_ref().and_then(|made| made.message(facts).ok());
                let said = made.or_else(|| message.clone());
                Some((said.unwrap_or_else(|| format!("`{}` is not true", expression.text())), None))
            }
            // As the API server does: a rule that cannot be evaluated is a broken one.
            Err(reason) => {
                let help = "write the rule so that it is true or false of every object that it matches";
                Some((format!("`{}` cannot be checked: {reason}", expression.text()), Some(help)))
            }
        }
    }
}
