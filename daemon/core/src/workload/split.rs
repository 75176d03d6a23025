//! The objects of an environment: those that roll out in colours, and the ordinary ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::build::build;
use super::matching::candidates;
use super::model::Workload;
use super::neighbours::Neighbours;
use crate::object::{DesiredObject, ObjectId};
use crate::policy::RolloutPolicy;
use crate::problem::Problem;

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
            Ok(workload) => workloads.extend(workload.map(Arc::new)),
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
