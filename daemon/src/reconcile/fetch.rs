//! The verb fetch, as a lane sees it: which set of objects is enforced.
//!
//! The newest one that is free of errors. When the newest commit is broken, the last good one stays enforced: kept in
//! memory, and after a restart loaded again from the commit that the parent object names as applied.

use std::sync::Arc;

use tidegate_core::desired::{self, Environment};
use tidegate_core::problem::Problem;

use super::lane::{Lane, Wanted};
use crate::cluster::call::CallError;
use crate::cluster::connect::Access;
use crate::cluster::handle::Cluster;
use crate::source::{Partial, Revision};
use crate::world::{DesiredSet, ENVIRONMENTS, Scopes, Target, World};

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

impl Lane {
    /// The cluster of the environment: as git says now, else as it was known last.
    pub(super) fn access(&mut self, wanted: &Wanted) -> Option<Access> {
        let asked = match wanted {
            Wanted::Present(target) => target.environment.as_ref().ok().map(access_of),
            Wanted::Missing => None,
        };
        if let Some(access) = asked {
            if self.known_access.as_ref().is_some_and(|known| *known != access) {
                // Another cluster: nothing that was read from the old one holds.
                self.memory.forget_cluster();
            }
            self.known_access = Some(access);
        }
        self.known_access.clone()
    }

    /// Loads the newest inputs unless they were loaded (or rejected) before.
    pub(super) async fn fetch(&mut self, cluster: &Cluster, wanted: &Wanted) -> Result<(), CallError> {
        let Wanted::Present(target) = wanted else { return Ok(()) };
        let known = self.memory.good.as_ref().is_some_and(|good| good.inputs == target.inputs);
        let rejected = self.memory.rejected.as_ref().is_some_and(|(inputs, _)| *inputs == target.inputs);
        if known {
            self.memory.rejected = None;
        } else if !rejected {
            match self.load(cluster, target).await? {
                Ok(set) => self.take(set),
                Err(problems) => self.reject(target.inputs.clone(), &target.revision, problems),
            }
        }
        if self.memory.good.is_none() {
            self.load_last_applied(cluster).await?;
        }
        Ok(())
    }

    /// Renders and validates by the cluster's own kinds and schemas. The outer error is the cluster's.
    async fn load(
        &self,
        cluster: &Cluster,
        target: &Target,
    ) -> Result<Result<DesiredSet, Vec<Problem>>, CallError> {
        let rendered = {
            let scopes = Scopes { cluster: Some(&cluster.kinds), catalogue: &self.shared.catalogue };
            target.render(&scopes)
        };
        let loaded = match rendered {
            Ok(loaded) => loaded,
            Err(problems) => return Ok(Err(problems)),
        };
        let gvks = loaded.objects.iter().map(|object| object.reference.gvk.clone()).collect();
        let catalogue = cluster.schemas.for_kinds(&gvks).await?;
        Ok(target.check(loaded, &catalogue))
    }

    fn take(&mut self, set: DesiredSet) {
        tracing::info!(
            environment = %self.name, revision = %set.revision, objects = set.objects.len(),
            subject = set.info.as_ref().map_or("", |info| info.subject.as_str()), "new desired state"
        );
        self.memory.rejected = None;
        self.memory.failed.clear();
        self.memory.further.clear();
        self.memory.was_healthy.clear();
        self.memory.good = Some(Arc::new(set));
    }

    fn reject(&mut self, inputs: tidegate_core::ids::Digest, revision: &Revision, problems: Vec<Problem>) {
        for problem in problems.iter().filter(|problem| problem.is_error()).take(20) {
            tracing::error!(environment = %self.name, revision = %revision, "{problem}");
        }
        self.memory.rejected = Some((inputs, problems));
    }

    /// After a restart with a broken newest commit: the set that was applied last.
    async fn load_last_applied(&mut self, cluster: &Cluster) -> Result<(), CallError> {
        let applied = self.memory.parent.as_ref().and_then(|parent| parent.applied.clone());
        let Some(Ok(commit)) = applied.map(|text| text.parse()) else { return Ok(()) };
        let revision = Revision::Commit(commit);
        let Ok(snapshot) = read_world(&self.shared.source, &revision).await else { return Ok(()) };
        let info = match &revision {
            Revision::Commit(commit) => self.shared.source.commit_info(commit).await.ok(),
            Revision::Folder(_) => None,
        };
        let world = World::new(revision, info, snapshot);
        let Some(target) = world.environments.get(self.name.as_str()) else { return Ok(()) };
        if let Ok(set) = self.load(cluster, target).await? {
            tracing::info!(environment = %self.name, revision = %set.revision, "the last applied commit stays enforced");
            self.memory.good = Some(Arc::new(set));
        }
        Ok(())
    }
}

/// Reads everything that environments are made from at one revision. What cannot be read (a symlink, a huge file) breaks
/// only the environments that read it.
pub async fn read_world(
    source: &crate::source::SourceHandle,
    revision: &Revision,
) -> Result<Partial, Vec<Problem>> {
    let partial = source.read_partly(revision, vec![ENVIRONMENTS.to_owned()]).await?;
    let mut paths = World::further_paths(&partial.snapshot.tree);
    if paths.is_empty() {
        return Ok(partial);
    }
    paths.insert(0, ENVIRONMENTS.to_owned());
    source.read_partly(revision, paths).await
}
