//! The verb fetch, as a lane sees it: which set of objects is enforced.
//!
//! The newest one that is free of errors. When the newest commit is broken, the last good one stays enforced: kept in
//! memory, and after a restart loaded again from the commit that the parent object names as begun, else as applied.

use std::sync::Arc;
use std::time::Instant;

use tidegate_core::desired::{self, Environment, KnownFiles};
use tidegate_core::ids::CommitId;
use tidegate_core::problem::Problem;
use tidegate_core::standing::RETRY_REJECTED;

use super::lane::{Lane, Wanted};
use crate::cluster::call::CallError;
use crate::cluster::connect::Access;
use crate::cluster::handle::Cluster;
use crate::source::{Partial, Revision};
use crate::world::{DesiredSet, Scopes, Target, World, folders};

/// So many commits are looked through for the last readable file of an environment.
const PAST_CAP: u32 = 50;

/// How the cluster of an environment is reached.
pub fn access_of(environment: &Environment) -> Access {
    match &environment.cluster.value {
        desired::Cluster::InCluster => Access::InCluster,
        desired::Cluster::Kubeconfig { path, context } => {
            Access::Kubeconfig { path: path.clone(), context: context.clone() }
        }
        desired::Cluster::KubeconfigSecret { secret, context } => Access::KubeconfigSecret {
            namespace: secret.namespace.clone(),
            name: secret.name.clone(),
            key: secret.key.clone(),
            context: context.clone(),
        },
    }
}

/// Why it is not known what a commit asks of an environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoTarget {
    /// There is no such commit.
    #[error("it is not in the repository any more")]
    NoCommit,
    /// It does not name the environment.
    #[error("it does not name the environment")]
    NoEnvironment,
    /// There is, or may be, and the daemon could not read it.
    #[error("it could not be read: {0}")]
    Unread(String),
}

impl From<Problem> for NoTarget {
    fn from(problem: Problem) -> Self {
        Self::Unread(problem.message)
    }
}

impl Lane {
    /// The cluster of the environment: as git says now, else as it was known last.
    pub(super) fn access(&mut self, wanted: &Wanted) -> Option<Access> {
        let asked = match wanted {
            Wanted::Present(target) => {
                target.environment.as_ref().ok().map(|environment| access_of(environment))
            }
            Wanted::Missing => None,
        };
        if let Some(access) = asked {
            if self.known_access.as_ref().is_some_and(|known| *known != access) {
                // Another cluster: nothing that was read from the old one holds.
                self.memory.leave_cluster();
            }
            self.known_access = Some(access);
        }
        self.known_access.clone()
    }

    /// Loads the newest inputs unless they were loaded (or rejected) before.
    pub(super) async fn fetch(&mut self, cluster: &Cluster, wanted: &Wanted) -> Result<(), CallError> {
        let Wanted::Present(target) = wanted else { return Ok(()) };
        let known = self.memory.good.as_ref().is_some_and(|good| good.inputs == target.inputs);
        let same = self.memory.rejected.as_ref().is_some_and(|(inputs, _)| *inputs == target.inputs);
        // The cluster's own kinds and schemas may have changed since (a definition that another environment brings).
        let rejected = same && self.memory.rejected_at.is_some_and(|at| at.elapsed() < RETRY_REJECTED);
        if known {
            self.memory.rejected = None;
        } else if !rejected {
            match self.load(cluster, target).await? {
                Ok(set) => self.take(set),
                Err(problems) => self.reject(target.inputs.clone(), &target.revision, problems),
            }
        }
        if self.memory.good.is_none() {
            self.load_last_good(cluster).await?;
        }
        Ok(())
    }

    /// Renders and validates by the cluster's own kinds and schemas. The outer error is the cluster's.
    pub(super) async fn load(
        &self,
        cluster: &Cluster,
        target: &Target,
    ) -> Result<Result<DesiredSet, Vec<Problem>>, CallError> {
        // Parsing and validating take their time: `block_in_place` lets the other lanes and the Leases go on meanwhile.
        let rendered = tokio::task::block_in_place(|| {
            let scopes = Scopes { cluster: Some(&cluster.kinds), catalogue: &self.shared.catalogue };
            target.render(&scopes)
        });
        let loaded = match rendered {
            Ok(loaded) => loaded,
            Err(problems) => return Ok(Err(problems)),
        };
        let gvks = loaded.objects.iter().map(|object| object.reference.gvk.clone()).collect();
        let catalogue = cluster.schemas.for_kinds(&gvks).await?;
        Ok(tokio::task::block_in_place(|| target.check(loaded, &catalogue)))
    }

    fn take(&mut self, set: DesiredSet) {
        tracing::info!(
            environment = %self.name, revision = %set.revision, objects = set.objects.len(),
            subject = set.info.as_ref().map_or("", |info| info.subject.as_str()), "new desired state"
        );
        self.memory.rejected = None;
        self.memory.failed.clear();
        self.memory.further.clear();
        self.memory.conflicts.clear();
        self.memory.unwell.clear();
        self.memory.good = Some(Arc::new(set));
    }

    fn reject(&mut self, inputs: tidegate_core::ids::Digest, revision: &Revision, problems: Vec<Problem>) {
        let said =
            self.memory.rejected.as_ref().is_some_and(|known| known.0 == inputs && known.1 == problems);
        for problem in problems.iter().filter(|problem| problem.is_error() && !said).take(20) {
            tracing::error!(environment = %self.name, revision = %revision, "{problem}");
        }
        self.memory.rejected = Some((inputs, problems));
        self.memory.rejected_at = Some(Instant::now());
    }

    /// After a restart with a broken newest commit: the set that was begun last (only sets free of errors are begun), else
    /// the one that was applied last.
    async fn load_last_good(&mut self, cluster: &Cluster) -> Result<(), CallError> {
        let Some(parent) = &self.memory.parent else { return Ok(()) };
        for text in [parent.seen.clone(), parent.applied.clone()].into_iter().flatten() {
            if let Some(set) = self.set_at(cluster, &text).await? {
                tracing::info!(environment = %self.name, revision = %set.revision, "the last good commit stays enforced");
                self.memory.good = Some(set);
                return Ok(());
            }
        }
        Ok(())
    }

    /// The set of an older commit; none when there is no such commit or it is broken.
    pub(super) async fn set_at(
        &self,
        cluster: &Cluster,
        commit: &str,
    ) -> Result<Option<Arc<DesiredSet>>, CallError> {
        let Ok(commit) = commit.parse() else { return Ok(None) };
        let Ok(target) = self.target_at(commit).await else { return Ok(None) };
        Ok(self.load(cluster, &target).await?.ok().map(Arc::new))
    }

    /// What a commit asks of the environment.
    pub(super) async fn target_at(&self, commit: CommitId) -> Result<Arc<Target>, NoTarget> {
        let info = self.shared.source.find_commit_info(&commit).await?.ok_or(NoTarget::NoCommit)?;
        let revision = Revision::Commit(commit);
        let mut known = KnownFiles::default();
        let snapshot = read_world(&self.shared.source, &revision, &mut known).await;
        let snapshot = snapshot.map_err(|problems| match problems.into_iter().next() {
            Some(problem) => NoTarget::from(problem),
            None => NoTarget::Unread("its files cannot be read".to_owned()),
        })?;
        let environments = World::again(revision, Some(Arc::new(info)), snapshot, &mut known).environments;
        environments.get(self.name.as_str()).cloned().ok_or(NoTarget::NoEnvironment)
    }

    /// The environment's file is broken and its cluster not known (a restart): the newest older commit with a file that
    /// can be read says where it is. Looked for once for each new state of the files.
    pub(super) async fn access_of_the_past(&mut self, wanted: &Wanted) -> Option<Access> {
        let Wanted::Present(target) = wanted else { return None };
        if self.memory.rejected.as_ref().is_some_and(|(inputs, _)| *inputs == target.inputs) {
            return None;
        }
        let mut info = target.info.clone();
        for _ in 0..PAST_CAP {
            let parent = info.as_ref()?.parents.first()?.clone();
            if let Ok(older) = self.target_at(parent.clone()).await
                && let Ok(environment) = &older.environment
            {
                self.known_access = Some(access_of(environment));
                return self.known_access.clone();
            }
            info = self.shared.source.commit_info(&parent).await.ok().map(Arc::new);
        }
        None
    }
}

/// Reads everything that environments are made from at one revision. What cannot be read (a symlink, a huge file) breaks
/// only the environments that read it. `known`: what other revisions have in common with it is not parsed again.
pub async fn read_world(
    source: &crate::source::SourceHandle,
    revision: &Revision,
    known: &mut KnownFiles,
) -> Result<Partial, Vec<Problem>> {
    let partial = source.read_partly(revision, folders()).await?;
    let further = World::further_paths(&partial.snapshot.tree, known);
    if further.is_empty() {
        return Ok(partial);
    }
    source.read_partly(revision, folders().into_iter().chain(further).collect()).await
}
