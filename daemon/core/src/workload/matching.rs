//! Which policy is for which object.

use std::sync::Arc;

use super::read::{refuse, texts};
use crate::object::DesiredObject;
use crate::policy::{Match, RolloutPolicy};
use crate::problem::{Code, Problem};

/// The kind that rolls out in colours.
const DEPLOYMENT: &str = "Deployment";
/// Its group.
const APPS: &str = "apps";

/// A Deployment and its policy.
pub(super) struct Candidate {
    pub(super) object: Arc<DesiredObject>,
    pub(super) policy: Arc<RolloutPolicy>,
}

/// The Deployments that roll out. Policies that match nothing are warned of.
pub(super) fn candidates(
    objects: &[Arc<DesiredObject>],
    policies: &[Arc<RolloutPolicy>],
    problems: &mut Vec<Problem>,
) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut matched = vec![false; policies.len()];
    for object in objects {
        let mut wanted = Vec::new();
        for (policy, matched) in policies.iter().zip(&mut matched) {
            if is_for(&policy.matches, object) {
                *matched = true;
                wanted.push(policy);
            }
        }
        match wanted.as_slice() {
            [] => {}
            [policy] if is_deployment(object) => {
                found.push(Candidate { object: object.clone(), policy: (*policy).clone() });
            }
            [policy] => problems.push(wrong_kind(object, policy)),
            [first, others @ ..] => problems.push(ambiguous(object, first, others)),
        }
    }
    let unmatched = policies.iter().zip(matched).filter(|(_, matched)| !matched);
    problems.extend(unmatched.map(|(policy, _)| idle(policy)));
    found
}

fn is_deployment(object: &DesiredObject) -> bool {
    object.reference.gvk.kind == DEPLOYMENT && object.reference.gvk.group == APPS
}

fn is_for(wanted: &Match, object: &DesiredObject) -> bool {
    let Match { kinds, selector, names } = wanted;
    let reference = &object.reference;
    let is_kind = if kinds.is_empty() { is_deployment(object) } else { kinds.contains(&reference.gvk.kind) };
    is_kind
        && (names.is_empty() || names.contains(&reference.name))
        && selector
            .as_ref()
            .is_none_or(|selector| selector.selects(&texts(&object.to_value(), "/metadata/labels")))
}

fn wrong_kind(object: &DesiredObject, policy: &RolloutPolicy) -> Problem {
    let why = match object.reference.gvk.kind.as_str() {
        "StatefulSet" => "its pods have identities and volumes that cannot exist twice",
        "DaemonSet" => "it has one pod on each node, and no second set beside it",
        "Job" | "CronJob" => "it runs to its end, and no traffic leads to it",
        _ => "only Deployments of the group `apps` have pods that can run in two sets",
    };
    let kind = &object.reference.gvk.kind;
    refuse(Code::RolloutKind, object, "", format!("a {kind} does not roll out in colours: {why}"))
        .related(format!("the policy `{}` matches it", policy.name), policy.location.clone())
        .help(format!(
            "take `{kind}` out of `match.kinds` of the policy, or narrow its `selector` or `names`"
        ))
}

fn ambiguous(object: &DesiredObject, first: &RolloutPolicy, others: &[&Arc<RolloutPolicy>]) -> Problem {
    let names: Vec<String> = std::iter::once(first)
        .chain(others.iter().map(AsRef::as_ref))
        .map(|policy| format!("`{}`", policy.name))
        .collect();
    let message = format!("several rollout policies match it: {}", names.join(", "));
    let problem = refuse(Code::RolloutPolicies, object, "", message)
        .related(format!("`{}` matches it", first.name), first.location.clone())
        .help("narrow `match` of the policies until one of them is for it, or take the others out of `spec.policies`");
    others.iter().fold(problem, |problem, policy| {
        problem.related(format!("`{}` matches it too", policy.name), policy.location.clone())
    })
}

fn idle(policy: &RolloutPolicy) -> Problem {
    Problem::warning(
        Code::RolloutUnmatched,
        format!("the rollout policy `{}` matches nothing in this environment", policy.name),
    )
    .at(policy.location.clone())
    .help("correct its `match`, label the Deployment that it is for, or take it out of `spec.policies` of the environment")
}
