//! Policies as they stand in files.

mod cron;
mod folder;
mod gates;
mod guardrail;
mod health_rule;
mod rollout;
mod window;

use super::{Gate, GateKind, PolicyFolder, RolloutPolicy};
use crate::desired::Placed;
use crate::location::{Location, Position};
use crate::problem::Problem;

/// A RolloutPolicy `p` with these further lines of its spec, at column 3.
fn policy(spec: &str) -> String {
    let lines: String = spec.lines().flat_map(|line| ["  ", line, "\n"]).collect();
    format!(
        "apiVersion: tidegate.dev/v1\nkind: RolloutPolicy\nmetadata: {{name: p}}\nspec:\n  match: {{kinds: [Deployment]}}\n{lines}"
    )
}

/// One gate before the switch; it begins in line 8, its fields in column 7.
fn gate(text: &str) -> String {
    policy(&format!("gates:\n  beforeSwitch:\n  - {}", text.replace('\n', "\n    ")))
}

fn read(text: &str) -> PolicyFolder {
    PolicyFolder::read(&[("policies/p.yaml", text.as_bytes())].into_iter().collect())
}

/// `line:column: message`, of every problem.
fn found(text: &str) -> Vec<String> {
    let place = |problem: &Problem| {
        let Position { line, column } = problem.location.as_ref().expect("a place").position;
        format!("{line}:{column}: {}", problem.message)
    };
    read(text).problems().iter().map(place).collect()
}

fn named(name: &str) -> Placed<String> {
    Placed { value: name.to_owned(), location: Location::file("environments/dev/environment.yaml") }
}

/// The policy `p`; it has no problems.
fn rollout(text: &str) -> std::sync::Arc<RolloutPolicy> {
    let policies =
        read(text).select(&[named("p")]).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"));
    policies.rollouts.first().expect("a rollout policy").clone()
}

fn only_gate(text: &str) -> Gate {
    rollout(&gate(text)).before_switch.first().expect("a gate").clone()
}

fn only_kind(text: &str) -> GateKind {
    only_gate(text).kind
}
