//! `policies/*.yaml` read into policies: every error of a file at once, each with its place.
//!
//! Not here: which environment uses which ([`super::folder`]).

mod gates;
mod guardrail;
mod health_rule;
mod http;
mod job;
mod prometheus;
mod rollout;
mod values;
mod window;

use std::sync::Arc;

use super::Policy;
use crate::desired::fields::{Fields, Section, Spot};
use crate::location::Location;
use crate::problem::{Code, Problem};
use crate::schema::suggest;
use crate::yaml::{Budget, parse};

/// The version of every policy.
const API_VERSION: &str = "tidegate.dev/v1";
/// The kinds that are read.
pub const KINDS: &[&str] = &["RolloutPolicy", "ChangeWindow", "Guardrail", "HealthRule"];
/// Kinds that the formats know and this version does not.
const LATER: &[&str] = &["Trust"];

/// One file of `policies/`.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyFile {
    /// Its documents that have a name.
    pub documents: Vec<PolicyDocument>,
    /// What is wrong with it, in order.
    pub problems: Vec<Problem>,
}

/// A document with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyDocument {
    /// `metadata.name`.
    pub name: String,
    /// Where the name stands.
    pub location: Location,
    /// What it says; none when the file has errors that keep it from being understood.
    pub policy: Option<Policy>,
}

/// What is known of a document before its spec is read.
struct About {
    /// Its name.
    name: String,
    /// Where it begins.
    location: Location,
}

/// Reads a file.
pub fn file(file: &Arc<str>, bytes: &[u8]) -> PolicyFile {
    let (parsed, problems) = parse(file, bytes, &Budget::DEFAULT);
    let mut fields = Fields::new(file.clone());
    fields.problems = problems;
    let documents = parsed.iter().filter_map(|parsed| document(&mut fields, &Spot::root(&parsed.root)));
    let documents = documents.collect();
    let mut problems = fields.problems;
    problems.sort_by(|left, right| left.location.cmp(&right.location));
    PolicyFile { documents, problems }
}

fn document(fields: &mut Fields, root: &Spot<'_>) -> Option<PolicyDocument> {
    let top = fields.section(root, &["apiVersion", "kind", "metadata", "spec"])?;
    if let Some(spot) = fields.required(&top, "apiVersion")
        && spot.node.as_str() != Some(API_VERSION)
    {
        fields.wrong(&spot, &format!("`{API_VERSION}`"));
    }
    let kind = fields.required(&top, "kind").and_then(|spot| kind(fields, &spot));
    let (name, location) = name(fields, &top)?;
    let spec = fields.required(&top, "spec");
    let about = About { name: name.clone(), location: fields.location(root) };
    let policy = match (kind, spec) {
        (Some("RolloutPolicy"), Some(spec)) => {
            rollout::policy(fields, &spec, about).map(|policy| Policy::Rollout(Arc::new(policy)))
        }
        (Some("ChangeWindow"), Some(spec)) => {
            window::window(fields, &spec, about).map(|window| Policy::Window(Arc::new(window)))
        }
        (Some("Guardrail"), Some(spec)) => {
            guardrail::guardrail(fields, &spec, about).map(|guardrail| Policy::Guardrail(Arc::new(guardrail)))
        }
        (Some("HealthRule"), Some(spec)) => {
            health_rule::health_rule(fields, &spec, about).map(|rule| Policy::HealthRule(Arc::new(rule)))
        }
        (Some(_) | None, _) => None,
    };
    Some(PolicyDocument { name, location, policy })
}

fn kind<'n>(fields: &mut Fields, spot: &Spot<'n>) -> Option<&'n str> {
    let kind = fields.text(spot)?;
    if KINDS.contains(&kind.as_str()) {
        return spot.node.as_str();
    }
    if LATER.contains(&kind.as_str()) {
        values::later(fields, spot, &format!("the kind {kind}"));
        return None;
    }
    let problem =
        Problem::error(Code::ConfigField, format!("`{kind}` is no kind of policy; only policies stand here"));
    let help = match suggest::nearest(&kind, KINDS.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known kinds: {}", KINDS.join(", ")),
    };
    fields.report(spot, problem.help(help));
    None
}

fn name(fields: &mut Fields, top: &Section<'_>) -> Option<(String, Location)> {
    let metadata = fields.required(top, "metadata")?;
    let metadata = fields.section(&metadata, &["name", "labels", "annotations"])?;
    let spot = fields.required(&metadata, "name")?;
    let name = values::object_name(fields, &spot)?;
    Some((name, fields.location(&spot)))
}
