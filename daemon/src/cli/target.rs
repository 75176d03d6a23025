//! Which clusters a command asks: that of `--kubeconfig` and `--context`, or with `--repo` those of its environments.
//!
//! One that does not answer keeps nobody from hearing about the others: it is named, with its environments and the
//! reason, and the command's exit code tells of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::Client;
use serde::Serialize;
use tidegate_core::schema::suggest;

use super::exit::{Exit, Failure};
use super::options::Global;
use crate::cluster::call::CallError;
use crate::cluster::connect::{Access, connect};
use crate::cluster::parent::{Parent, Parents};
use crate::reconcile::access_of;

/// One cluster to ask.
pub struct TargetCluster {
    /// How it is reached, in words.
    pub name: String,
    /// The environments that git puts there; none where no repository was read.
    pub environments: Vec<String>,
    /// The client.
    pub client: Client,
    /// What Tidegate keeps there.
    pub parents: Parents,
}

impl TargetCluster {
    /// True where git puts the environment here.
    pub fn holds(&self, environment: &str) -> bool {
        self.environments.iter().any(|name| name == environment)
    }
}

/// A cluster that was asked and gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Away {
    /// How it would be reached, in words.
    pub cluster: String,
    /// The environments that git puts there, as far as that is known.
    pub environments: Vec<String>,
    /// Why there is no answer.
    pub reason: String,
    /// How a command exits because of it.
    #[serde(skip)]
    pub exit: Exit,
}

/// The clusters to ask, and those that cannot even be asked (an unreadable kubeconfig, for one).
pub struct Targets {
    /// To ask.
    pub clusters: Vec<TargetCluster>,
    /// Not to be asked.
    pub away: Vec<Away>,
}

/// What the clusters answered.
pub struct Answers<'a, T> {
    /// Of those that did.
    pub found: Vec<(&'a TargetCluster, T)>,
    /// Those that did not.
    pub away: Vec<Away>,
}

impl TargetCluster {
    /// This cluster, which did not answer.
    pub fn away(&self, error: &CallError) -> Away {
        Away {
            cluster: self.name.clone(),
            environments: self.environments.clone(),
            reason: error.to_string(),
            exit: exit_of(error),
        }
    }
}

impl Targets {
    /// Asks all clusters at once, so that a slow one delays no answer but its own.
    pub async fn ask<T>(
        &self,
        question: impl AsyncFn(&TargetCluster) -> Result<T, CallError>,
    ) -> Answers<'_, T> {
        let question = &question;
        let ask = |cluster| async move { (cluster, question(cluster).await) };
        let mut answers = Answers { found: Vec::new(), away: self.away.clone() };
        for (cluster, answer) in futures::future::join_all(self.clusters.iter().map(ask)).await {
            match answer {
                Ok(found) => answers.found.push((cluster, found)),
                Err(error) => answers.away.push(cluster.away(&error)),
            }
        }
        answers
    }
}

impl Away {
    /// What people read about it.
    pub fn text(&self) -> String {
        let Self { cluster, environments, reason, exit: _ } = self;
        let mut text = format!("{cluster}: {reason}");
        if !environments.is_empty() {
            text.push_str(&format!("\n  not known because of that: {}", environments.join(", ")));
        }
        text
    }
}

/// Names the clusters that did not answer on stderr; also with `--quiet`, because it is an error.
pub fn say_away(global: &Global, away: &[Away]) {
    for away in away {
        global.complain(&away.text());
    }
}

/// How a command ends that would have ended with `exit` if every cluster had answered.
pub fn exit_with(away: &[Away], exit: Exit) -> Exit {
    away.first().map_or(exit, |away| away.exit)
}

/// The clusters that the flags name.
pub async fn clusters(global: &Global) -> Result<Targets, Failure> {
    let mut accesses: BTreeMap<Access, Vec<String>> = BTreeMap::new();
    if global.repo.is_some() {
        let world = super::world::read_followed(global, None).await?;
        for target in world.environments.values() {
            if let Ok(environment) = &target.environment {
                accesses.entry(access_of(environment)).or_default().push(target.name.clone());
            }
        }
    }
    if accesses.is_empty() {
        let context = global.context.clone();
        accesses.insert(Access::Kubeconfig { path: None, context }, Vec::new());
    }
    let mut targets = Targets { clusters: Vec::new(), away: Vec::new() };
    let means = global.means();
    for (access, environments) in accesses {
        let name = access.to_string();
        match connect(&access, &means, Arc::default()).await {
            Ok(client) => {
                let parents = Parents::new(client.clone());
                targets.clusters.push(TargetCluster { name, environments, client, parents });
            }
            Err(error) => {
                let reason = format!("{error}\n  help: --kubeconfig FILE names another");
                targets.away.push(Away { cluster: name, environments, reason, exit: Exit::OutOfReach });
            }
        }
    }
    Ok(targets)
}

/// The parent of one environment, and the cluster that it is in.
pub async fn parent(global: &Global, environment: &str) -> Result<(TargetCluster, Parent), Failure> {
    let name = environment.parse().map_err(|error| Failure::new(Exit::Usage, format!("{error}")))?;
    let mut targets = clusters(global).await?;
    let answers = targets.ask(async |cluster| cluster.parents.read(&name).await).await;
    let place = |asked: &TargetCluster| targets.clusters.iter().position(|it| std::ptr::eq(it, asked));
    let found = answers.found.into_iter().filter_map(|(cluster, parent)| Some((cluster, parent?)));
    // One that was moved has left a parent in the cluster of before.
    let found = found.min_by_key(|(cluster, _)| !cluster.holds(environment));
    let found = found.and_then(|(cluster, parent)| Some((place(cluster)?, parent)));
    let away = answers.away;
    match found {
        Some((place, parent)) => Ok((targets.clusters.swap_remove(place), parent)),
        None => Err(unknown(&targets, environment, away).await),
    }
}

/// The failure of an environment that no cluster knows, with the names that they do know.
pub async fn unknown(targets: &Targets, environment: &str, mut away: Vec<Away>) -> Failure {
    let answers = targets.ask(async |cluster| cluster.parents.list().await).await;
    let parents = answers.found.iter().flat_map(|(_, parents)| parents);
    let known: BTreeSet<&str> = parents.map(|parent| parent.environment.as_str()).collect();
    let names: Vec<&str> = known.into_iter().collect();
    if away.is_empty() {
        away = answers.away;
    }
    if !away.is_empty() && names.is_empty() {
        let text: Vec<String> = away.iter().map(Away::text).collect();
        return Failure::new(exit_with(&away, Exit::OutOfReach), text.join("\n"));
    }
    let near = suggest::nearest(environment, names.iter().copied());
    let near = near.map(|near| format!("\n  help: did you mean `{near}`?")).unwrap_or_default();
    let names =
        if names.is_empty() { "none yet; is the daemon running?".to_owned() } else { names.join(", ") };
    let mut text =
        format!("there is no environment `{environment}` in this cluster\n  environments: {names}{near}");
    if !away.is_empty() {
        text = format!("environment `{environment}` is in no cluster that answers\n  environments: {names}");
        for away in &away {
            text.push_str(&format!("\n{}", away.text()));
        }
    }
    Failure::new(exit_with(&away, Exit::Invalid), text)
}

/// The failure of a cluster that does not answer.
pub fn unreachable(cluster: &str, error: &CallError) -> Failure {
    Failure::new(exit_of(error), format!("{cluster}: {error}"))
}

fn exit_of(error: &CallError) -> Exit {
    match error {
        CallError::Forbidden(_) | CallError::Unauthorized(_) => Exit::Refused,
        CallError::NotFound(_)
        | CallError::Conflict(_)
        | CallError::Refused(_)
        | CallError::Damaged(_)
        | CallError::Busy { .. }
        | CallError::Server(_)
        | CallError::Unreachable(_) => Exit::OutOfReach,
    }
}
