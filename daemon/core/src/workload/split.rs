//! The objects of an environment: those that roll out in colours, and the ordinary ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::build::build;
use super::drain_safe::{DrainSafety, drain_safe};
use super::matching::candidates;
use super::model::{Colours, Workload};
use super::neighbours::Neighbours;
use super::read::place;
use crate::object::{DesiredObject, ObjectId};
use crate::policy::{GateKind, RolloutPolicy};
use crate::problem::{Code, Problem};
use crate::rollout::Verdict;

/// What rolls out, and what does not. Where `problems` holds an error nothing of it is to be carried out.
#[derive(Debug, Clone, Default)]
pub struct Split {
    /// What the ordinary engine applies, in the order in which it came. Copied configuration stays here under its plain name
    /// too: others, and a Deployment without colours, may refer to it.
    pub ordinary: Vec<Arc<DesiredObject>>,
    /// What rolls out, in the order in which its Deployments came.
    pub workloads: Vec<Arc<Workload>>,
    /// Why something cannot roll out, and policies that match nothing.
    pub problems: Vec<Problem>,
}

/// What a gate `drainSafe` would turn down once the pods of the other colour run: it reads the manifest alone, so that it is known
/// before the commit is merged.
fn undrained(workload: &Workload) -> Option<Problem> {
    let mut gates = workload.policy.before_switch.iter();
    let gate = gates.find(|gate| gate.kind == GateKind::DrainSafe)?;
    let DrainSafety { verdict, summary } = drain_safe(&workload.object.to_value());
    if workload.mode == Colours::Plain || verdict != Verdict::Fail {
        return None;
    }
    let message = format!("its gate `{}` will turn it down: {summary}", gate.name);
    let containers = place(&workload.object, "/spec/template/spec/containers");
    let problem = Problem::warning(Code::RolloutUnproven, message).at(containers).object(&workload.reference);
    Some(problem.related("the gate", gate.location.clone()).help(
        "do so, within a grace period that is longer than the pause; where the program itself goes on answering for some seconds \
         after SIGTERM, the policy can do without this gate",
    ))
}

/// Takes from the objects of an environment what the policies that it names are for.
pub fn split(objects: &[Arc<DesiredObject>], policies: &[Arc<RolloutPolicy>]) -> Split {
    let mut problems = Vec::new();
    let candidates = candidates(objects, policies, &mut problems);
    let mut neighbours: BTreeMap<Option<String>, Neighbours> = BTreeMap::new();
    let mut workloads = Vec::new();
    for candidate in candidates {
        let namespace = &candidate.object.reference.namespace;
        let neighbours = neighbours
            .entry(namespace.clone())
            .or_insert_with(|| Neighbours::of(objects, namespace.as_deref()));
        match build(&candidate, neighbours) {
            Ok(Some(workload)) => {
                problems.extend(undrained(&workload));
                workloads.push(Arc::new(workload));
            }
            Ok(None) => {}
            Err(found) => problems.extend(found),
        }
    }
    let handled: BTreeSet<ObjectId> = workloads.iter().flat_map(|workload| workload.ids()).collect();
    let ordinary = if handled.is_empty() {
        objects.to_vec()
    } else {
        objects.iter().filter(|object| !handled.contains(&object.reference.id())).cloned().collect()
    };
    problems.sort_by(|one, other| (&one.location, one.code).cmp(&(&other.location, other.code)));
    problems.dedup();
    Split { ordinary, workloads, problems }
}
