//! What is said where no record can be made as usual: a pass failed, the cluster is out of reach, another daemon works on
//! the environment, or not even its cluster is known.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidegate_core::ids::EnvironmentName;
use tidegate_core::problem::{Code, Problem};
use tidegate_core::standing::{Wait, next};
use tidegate_core::status::{EnvironmentStatus, Listed, State, UnreadableEnvironment};

use super::lane::{Lane, Standing, Wanted};
use super::record::{commit_info, wanted_inputs, wanted_revision};
use super::{Next, SAFETY_INTERVAL};
use crate::cluster::call::CallError;
use crate::cluster::handle::Cluster;
use crate::cluster::parent::ParentChange;
use crate::telemetry::EnvironmentLabel;
use crate::world::Target;

/// After so many failures in a row people are told, whatever they are: one conflict is a race, many are a fault.
const FAILURES_TOLD: u32 = 3;

impl Lane {
    /// A pass failed: the cluster answered with something that ends it.
    pub(super) fn after_failure(&mut self, error: &CallError) -> Next {
        let next = self.back_off();
        match error {
            CallError::Conflict(_) if self.memory.failures < FAILURES_TOLD => {
                tracing::debug!(environment = %self.name, %error, "somebody else wrote");
            }
            CallError::Conflict(_)
            | CallError::NotFound(_)
            | CallError::Refused(_)
            | CallError::Forbidden(_)
            | CallError::Unauthorized(_)
            | CallError::Busy { .. }
            | CallError::Damaged(_)
            | CallError::Server(_)
            | CallError::Unreachable(_) => {
                tracing::warn!(environment = %self.name, %error, "the pass ended early");
                self.memory.forget_cluster();
                // Nothing can be recorded; the metrics, the environments that wait for it and `--once` must know all the same.
                let wanted = self.target.borrow().clone();
                self.stand(&wanted, State::Unreachable, false);
            }
        }
        next
    }

    /// Passes that fail again and again end in no record: an older one, live perhaps, must not stand there as the truth.
    pub(super) async fn record_failure(&mut self, cluster: &Cluster, error: &CallError) {
        if self.memory.failures < FAILURES_TOLD {
            return;
        }
        let wanted = self.target.borrow().clone();
        let (state, code) = lasting(error);
        self.stand(&wanted, state, false);
        let label = EnvironmentLabel { environment: self.name.to_string() };
        self.shared.metrics.live.get_or_create(&label).set(0);
        self.shared.metrics.problems.get_or_create(&label).set(1);
        // Where the record itself cannot be read or written, the log and the metrics have to do.
        let Ok(Some(parent)) = cluster.parents.read(&self.name).await else { return };
        let Some(before) = &parent.status else { return };
        let reason = error.to_string();
        if before.state == state && before.reason == reason {
            return;
        }
        let now = Timestamp::now();
        let mut status = EnvironmentStatus {
            state,
            suspended: None,
            problems: Listed::all(vec![Problem::error(code, reason.clone())]),
            reason,
            since: if before.state == state { before.since } else { now },
            next: Some("tried again by itself, with growing pauses".to_owned()),
            updated: now,
            ..before.clone()
        };
        status.shrink();
        let change = ParentChange { annotations: BTreeMap::new(), status: Some(status) };
        if let Err(error) = cluster.parents.update(&parent, &change).await {
            tracing::debug!(environment = %self.name, %error, "the failure is not recorded");
        }
    }

    /// The cluster does not answer: nothing can be recorded there.
    pub(super) async fn report_unreachable(&mut self, reason: &str, wanted: &Wanted) -> Next {
        self.look_behind(wanted).await;
        if self.memory.failures == 0 {
            tracing::warn!(environment = %self.name, reason, "the cluster is out of reach");
        }
        self.memory.forget_cluster();
        self.stand(wanted, State::Unreachable, false);
        self.back_off()
    }

    /// Another repository's daemon works on an environment of this name: hands off, and nothing is recorded over its record.
    pub(super) fn report_contested(&mut self, wanted: &Wanted) -> Next {
        if !self.memory.contested {
            tracing::error!(
                environment = %self.name,
                "error[{}]: a running daemon that follows another repository has an environment of this name in this cluster; \
                 help: rename one of them, or stop that daemon", Code::Ownership
            );
        }
        self.memory.contested = true;
        self.memory.leave_cluster();
        self.stand(wanted, State::Failed, true);
        Next(next(&[Wait::Health]))
    }

    /// The environment's file is broken from the start, so that not even its cluster is known.
    pub(super) fn report_without_cluster(&mut self, wanted: &Wanted) -> Next {
        let target = match wanted {
            Wanted::Present(target) => target,
            // Gone from git, and nowhere in a cluster.
            Wanted::Missing => {
                self.shared.unreadable.remove(&self.name);
                self.shared.board.remove(&self.name);
                return Next(SAFETY_INTERVAL);
            }
        };
        for problem in self.source_problems(wanted) {
            if self.memory.rejected.is_none() {
                tracing::error!(environment = %self.name, "{problem}");
            }
        }
        let problems = self.source_problems(wanted);
        self.shared.unreadable.put(unreadable(&self.name, target));
        self.memory.rejected = Some((target.inputs.clone(), problems));
        self.stand(wanted, State::Failed, true);
        Next(SAFETY_INTERVAL)
    }

    /// An environment whose file cannot be read and that has no record of its own, because it was broken before it was ever
    /// deployed (its cluster is known from an older commit), or was taken down since, is named in that of the repository.
    pub(super) fn name_unreadable(&self, cluster: &Cluster, wanted: &Wanted) {
        let recorded = self.memory.parent.is_some() || cluster.seen_parent(&self.name).is_some();
        match wanted {
            Wanted::Present(target) if target.environment.is_err() && !recorded => {
                self.shared.unreadable.put(unreadable(&self.name, target));
            }
            Wanted::Present(_) | Wanted::Missing => self.shared.unreadable.remove(&self.name),
        }
    }

    /// Another replica works on this environment: what it records is taken over for those that depend on it.
    pub(super) fn follow_others(&mut self, cluster: &Cluster, wanted: &Wanted) {
        let Some(status) = cluster.seen_parent(&self.name).and_then(|parent| parent.status) else { return };
        let standing = Standing {
            live: status.state == State::Live,
            state: status.state,
            settled: status.state.is_settled(),
            inputs: status.inputs,
            held: status.held.map(|held| held.inputs),
            wanted: wanted_inputs(wanted),
            revision: wanted_revision(wanted),
        };
        self.shared.board.put(&self.name, &standing);
    }
}

fn unreadable(name: &EnvironmentName, target: &Target) -> UnreadableEnvironment {
    UnreadableEnvironment {
        environment: name.clone(),
        seen: commit_info(&target.revision, target.info.as_deref()),
        problems: Listed::all(target.environment.as_ref().err().cloned().unwrap_or_default()),
    }
}

/// What a failure that goes on is called: somebody has to mend something, or the API server has to recover.
fn lasting(error: &CallError) -> (State, Code) {
    match error {
        CallError::Conflict(_)
        | CallError::NotFound(_)
        | CallError::Refused(_)
        | CallError::Forbidden(_)
        | CallError::Damaged(_) => (State::Failed, Code::Rejected),
        CallError::Unauthorized(_)
        | CallError::Busy { .. }
        | CallError::Server(_)
        | CallError::Unreachable(_) => (State::Unreachable, Code::ClusterUnreachable),
    }
}
