//! An environment that was moved to another cluster: what it left behind is said, and nothing is deleted by itself.
//!
//! Known are the clusters that this daemon talks to: the one of before the commit that moved it, and after a restart those
//! of the other environments. It is said in both records: in the new one as a warning, and in the old one, where the
//! objects are, in place of a record that would go on saying `live`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidegate_core::ids::EnvironmentName;
use tidegate_core::problem::{Code, Problem};
use tidegate_core::status::{EnvironmentStatus, Listed, State};

use super::lane::{Lane, Wanted};
use crate::cluster::handle::Cluster;
use crate::cluster::parent::{Parent, ParentChange, SYSTEM_NAMESPACE, apply_set_of, parent_name};
use crate::world::prefixed;

impl Lane {
    /// Looks for parents of this environment in other clusters than its own, and says there that it was moved.
    pub(super) async fn look_behind(&mut self, wanted: &Wanted) {
        let Wanted::Present(target) = wanted else { return };
        let Ok(environment) = &target.environment else { return };
        let mut problems = Vec::new();
        for (access, other) in self.shared.clusters.all().await {
            if self.known_access.as_ref() == Some(&access) {
                continue;
            }
            let Some(parent) = other.seen_parent(&self.name) else { continue };
            // One cluster may be reached by two names.
            let same = self.memory.parent.as_ref().is_some_and(|ours| ours.uid == parent.uid);
            let ours = other.view().is_some_and(|view| parent.source.as_deref() == Some(view.source()));
            if same || !ours {
                continue;
            }
            let problem = moved(&self.name, &access.to_string()).at(environment.cluster.location.clone());
            let problem = prefixed(vec![problem], &target.prefix);
            if other.owns(&self.name) {
                self.say_moved(&other, &parent, &problem).await;
            }
            problems.extend(problem);
        }
        for problem in problems.iter().filter(|problem| !self.memory.moved.contains(problem)) {
            tracing::warn!(environment = %self.name, "{problem}");
        }
        self.memory.moved = problems;
    }

    /// In the cluster that was left, unless it stands there already.
    async fn say_moved(&self, other: &Cluster, parent: &Parent, problems: &[Problem]) {
        let Some(before) = &parent.status else { return };
        let now = Timestamp::now();
        let to = self.known_access.as_ref().map(ToString::to_string).unwrap_or_default();
        let reason = format!("moved to {to}; its objects here stay and are no longer looked after");
        let mut status = EnvironmentStatus {
            state: State::Failed,
            since: if before.state == State::Failed { before.since } else { now },
            problems: Listed::all(problems.to_vec()),
            next: Some("a commit that points back, or somebody who takes them down".to_owned()),
            replica: self.shared.replica.clone(),
            reason,
            ..before.clone()
        };
        status.shrink();
        if status == *before {
            return;
        }
        status.updated = now;
        let change = ParentChange { annotations: BTreeMap::new(), status: Some(status) };
        if let Err(error) = other.parents.update(parent, &change).await {
            tracing::debug!(environment = %self.name, %error, "the cluster that was left is not told");
        }
    }
}

/// What is said of an environment whose objects stay in the cluster `from`.
pub fn moved(environment: &EnvironmentName, from: &str) -> Problem {
    let message = format!(
        "the environment was moved: what it owns in the cluster of before ({from}) stays and is no longer looked after"
    );
    let set = apply_set_of(environment);
    let parent = parent_name(environment);
    let help = format!(
        "to take them down, point `cluster` back, commit `decommission: true`, and move the environment once they are gone \
         (they carry the label applyset.kubernetes.io/part-of={set}); to keep them, delete ConfigMap {parent} in \
         {SYSTEM_NAMESPACE} of that cluster"
    );
    Problem::warning(Code::ClusterMoved, message).help(help)
}
