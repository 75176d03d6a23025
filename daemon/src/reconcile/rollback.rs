//! Back to the last good commit: an environment that does not become healthy in time.
//!
//! The decision is [`tidegate_core::rollback::decide`]. Here is what it needs and what comes of it: the good commit is noted
//! with the record that says live, what is sick is noted with the claim that leaves it, and [`Held`] is written before the
//! first write of a rollback. From then on the good set is enforced in place of the held one, by the same passes as ever,
//! until git asks for something else; the claim of that removes the hold. What git asks for stays claimed meanwhile, so
//! that `seen` never moves backwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tidegate_core::health::HealthState;
use tidegate_core::ids::CommitId;
use tidegate_core::location::Location;
use tidegate_core::object::{Gvk, ObjectId};
use tidegate_core::rollback::{
    Before, Decision, Enforced, GoodCommit, Held, LastGood, Leave, MAX_BECAUSE, RollbackInput, Stay,
    Unhealthy, decide, leave,
};
use tidegate_core::standing::{RETRY_REJECTED, health_of};
use tidegate_core::status::{ObjectStatus, State};

use super::lane::{Lane, Wanted};
use super::record::commit_info;
use super::standings::Standings;
use super::{Next, Unseen, observe};
use crate::cluster::call::CallError;
use crate::cluster::handle::Cluster;
use crate::cluster::parent::{GOOD, HELD, Parent, ParentChange, SICK_BEFORE, json_of};
use crate::telemetry::EnvironmentLabel;
use crate::world::DesiredSet;

/// The set of the last good commit, or why it cannot be had.
pub struct Past {
    good: GoodCommit,
    set: Result<Arc<DesiredSet>, String>,
    read_at: Instant,
}

impl Lane {
    /// The hold that stands: git still asks for what the environment was rolled back from.
    pub(super) fn hold(&self) -> Option<&Held> {
        let held = self.memory.parent.as_ref()?.held.as_deref()?;
        held.stands(self.memory.good.as_ref().map(|asked| &asked.inputs))
    }

    /// The hold as the record says it: until another commit is claimed, however long that waits (a suspension, others that
    /// come first, a replica that is behind), this is what the environment was rolled back from.
    pub(super) fn recorded_hold(&self) -> Option<Box<Held>> {
        self.memory.parent.as_ref()?.held.clone()
    }

    /// The set that is worked for: what git asks for, or the last good one in place of a held one; none when that cannot be read.
    pub(super) fn worked_for(&self) -> Option<Arc<DesiredSet>> {
        let Some(held) = self.hold() else { return self.memory.good.clone() };
        self.past(&held.to)?.set.as_ref().ok().cloned()
    }

    /// What git asks for, where `enforced` may stand in place of it.
    pub(super) fn asked(&self, enforced: &Arc<DesiredSet>) -> Arc<DesiredSet> {
        let held = self.hold().and(self.memory.good.as_ref());
        held.unwrap_or(enforced).clone()
    }

    fn past(&self, good: &GoodCommit) -> Option<&Past> {
        self.memory.past.as_ref().filter(|past| past.good == *good)
    }

    /// Reads the set that is enforced in place of a held one, unless it is known.
    pub(super) async fn fetch_past(&mut self, cluster: &Cluster) -> Result<(), CallError> {
        let Some(held) = self.hold().cloned() else { return Ok(()) };
        self.read_past(cluster, &held.to).await
    }

    async fn read_past(&mut self, cluster: &Cluster, good: &GoodCommit) -> Result<(), CallError> {
        let known = self.past(good);
        if known.is_some_and(|past| past.set.is_ok() || past.read_at.elapsed() < RETRY_REJECTED) {
            return Ok(());
        }
        let set = self.set_of(cluster, good).await?;
        match &set {
            Ok(_) => {
                tracing::debug!(environment = %self.name, commit = %good, "the last good commit is read");
            }
            Err(why) => {
                tracing::error!(environment = %self.name, commit = %good, %why, "the last good commit cannot be read");
            }
        }
        self.memory.past = Some(Past { good: good.clone(), set, read_at: Instant::now() });
        Ok(())
    }

    async fn set_of(
        &self,
        cluster: &Cluster,
        good: &GoodCommit,
    ) -> Result<Result<Arc<DesiredSet>, String>, CallError> {
        let Ok(commit) = good.commit.parse::<CommitId>() else {
            return Ok(Err("the past of a followed folder is not kept".to_owned()));
        };
        let target = match self.target_at(commit).await {
            Ok(target) => target,
            Err(why) => return Ok(Err(why.to_string())),
        };
        if target.inputs != good.inputs {
            return Ok(Err("it asks for something else than it did".to_owned()));
        }
        Ok(self.load(cluster, &target).await?.map(Arc::new).map_err(|problems| {
            let first = problems.iter().find(|problem| problem.is_error()).map(ToString::to_string);
            format!("it is no longer valid: {}", first.unwrap_or_default())
        }))
    }

    /// What is done about the objects that are not healthy. The last good commit is read only when it comes to that.
    pub(super) async fn decide(
        &mut self,
        cluster: &Cluster,
        desired: &DesiredSet,
        unhealthy: &[Unhealthy],
    ) -> Result<Decision, CallError> {
        let decision = match self.decision(desired, unhealthy) {
            Decision::Load(good) => {
                self.read_past(cluster, &good).await?;
                self.decision(desired, unhealthy)
            }
            decision @ (Decision::Stay(_) | Decision::RollBack { .. }) => decision,
        };
        let decision = match decision {
            // Somebody has gone back behind it on purpose: it may be what was to be got rid of.
            Decision::RollBack { to, because: _ } if !self.is_in_history(&to).await => {
                let why = "it is not in the history of what git asks for".to_owned();
                Decision::Stay(Stay::Lost(to, why))
            }
            decision @ (Decision::Stay(_) | Decision::Load(_) | Decision::RollBack { .. }) => decision,
        };
        if let Decision::Stay(Stay::Healthy | Stay::WasGood | Stay::InTime(_)) = decision
            && self.hold().is_none()
        {
            self.memory.past = None;
        }
        Ok(decision)
    }

    /// True when what git asks for came after the commit.
    async fn is_in_history(&self, good: &GoodCommit) -> bool {
        let newest = self.memory.good.as_ref().map(|asked| self.newest_revision(asked).id());
        let newest = newest.and_then(|newest| newest.parse::<CommitId>().ok());
        let (Ok(good), Some(newest)) = (good.commit.parse::<CommitId>(), newest) else { return false };
        self.shared.source.is_ancestor(&good, &newest).await == Ok(true)
    }

    fn decision(&self, desired: &DesiredSet, unhealthy: &[Unhealthy]) -> Decision {
        let parent = self.memory.parent.as_ref();
        let good = match parent.and_then(|parent| parent.good.as_ref()) {
            None => LastGood::Never,
            Some(good) => match self.past(good).map(|past| &past.set) {
                None => LastGood::Named(good),
                Some(Err(why)) => LastGood::Lost(good, why),
                Some(Ok(set)) => LastGood::Loaded(good, &set.environment.cluster.value, &set.objects),
            },
        };
        let environment = &desired.environment;
        let enforced = Enforced {
            inputs: &desired.inputs,
            on_failure: environment.on_failure,
            decommission: environment.decommission,
            cluster: &environment.cluster.value,
            objects: &desired.objects,
        };
        let before = parent.and_then(|parent| parent.before.as_deref());
        decide(&RollbackInput { enforced, held: self.hold(), good, before, unhealthy })
    }

    /// Holds the commit: written down before anything else happens, so that a kill at any moment goes on from there. The
    /// next pass enforces the good set.
    pub(super) async fn roll_back(
        &mut self,
        cluster: &Cluster,
        wanted: &Wanted,
        desired: &DesiredSet,
        to: GoodCommit,
        because: Vec<ObjectStatus>,
    ) -> Result<Next, CallError> {
        let commit = commit_info(&desired.revision, desired.info.as_deref());
        let because = placed(desired, because);
        let held = Held::new(commit, desired.inputs.clone(), to, because, Timestamp::now());
        let annotations = BTreeMap::from([(HELD.to_owned(), Some(json_of(&held)?))]);
        self.write_parent(cluster, ParentChange { annotations, status: None }).await?;
        let label = EnvironmentLabel { environment: self.name.to_string() };
        self.shared.metrics.rollbacks.get_or_create(&label).inc();
        tracing::error!(environment = %self.name, "rolled back: {}", held.problem());
        self.memory.failed.clear();
        self.memory.further.clear();
        self.memory.unwell.clear();
        self.memory.pods.clear();
        self.stand(wanted, State::Applying, false);
        Ok(Next(Duration::ZERO))
    }

    /// Notes a set that is applied whole and healthy as the good one, in the write of the record that says so. A newer commit
    /// that is broken, or a field that is fought over, takes nothing from that.
    pub(super) fn note_good(&mut self, desired: &DesiredSet, standings: &Standings) -> Result<(), CallError> {
        let Some(parent) = &self.memory.parent else { return Ok(()) };
        let is_good = standings.is_well && self.is_applied(desired) && !desired.environment.decommission;
        if !is_good {
            return Ok(());
        }
        if parent.good.as_ref().is_some_and(|good| good.inputs == desired.inputs) {
            self.memory.unsaid.remove(GOOD);
            return Ok(());
        }
        let good = GoodCommit { commit: desired.revision.id(), inputs: desired.inputs.clone() };
        self.memory.unsaid.insert(GOOD.to_owned(), Some(json_of(&good)?));
        Ok(())
    }

    /// What the claim of another set changes besides: a hold ends, and what is sick as the good commit is left is noted.
    pub(super) async fn leave(
        &self,
        cluster: &Cluster,
        parent: &Parent,
        asked: &DesiredSet,
    ) -> Result<BTreeMap<String, Option<String>>, CallError> {
        // One that is noted and not written yet is written by this claim.
        let noted = self.memory.unsaid.get(GOOD).cloned().flatten();
        let noted_good: Option<GoodCommit> =
            noted.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let good = noted_good.as_ref().or(parent.good.as_ref());
        let Leave { ends_hold, leaves_good } =
            leave(&asked.inputs, parent.seen_inputs.as_deref(), good, parent.held.as_deref());
        let mut annotations = BTreeMap::new();
        if let Some(held) = parent.held.as_ref().filter(|_| ends_hold) {
            tracing::info!(environment = %self.name, revision = %asked.revision, "no longer held: {}", held.outline());
            annotations.insert(HELD.to_owned(), None);
        }
        if let (Some(text), Some(_)) = (noted, &noted_good) {
            annotations.insert(GOOD.to_owned(), Some(text));
        }
        if let Some(good) = good.filter(|_| leaves_good) {
            let before = Before::new(good, &self.sick(cluster).await?);
            annotations.insert(SICK_BEFORE.to_owned(), Some(json_of(&before)?));
        }
        Ok(annotations)
    }

    /// What the environment owns and is not known to be healthy. Watches answer, so that this costs no request.
    async fn sick(&self, cluster: &Cluster) -> Result<BTreeSet<ObjectId>, CallError> {
        let inventory = self.inventory();
        let observed = observe(cluster, &[], &inventory, Unseen::Read, &BTreeMap::new()).await?;
        let is_sick = |(id, api_version): (&ObjectId, &str)| {
            let gvk = Gvk::from_api_version(api_version, &id.kind);
            match health_of(&gvk, id, &observed).state {
                HealthState::Progressing | HealthState::Degraded => Some(id.clone()),
                HealthState::Healthy | HealthState::Suspended | HealthState::Unknown => None,
            }
        };
        Ok(inventory
            .entries
            .iter()
            .map(|(id, entry)| (id, entry.api_version.as_str()))
            .filter_map(is_sick)
            .collect())
    }

    /// A hold whose good commit cannot be read: why nothing is changed, and what ends it.
    pub(super) fn without_past(&self) -> Option<(String, String)> {
        let held = self.hold()?;
        let why = self.past(&held.to)?.set.as_ref().err()?;
        let reason = format!("{}, but it cannot be had: {why}; nothing is changed", held.outline());
        Some((reason, Stay::RolledBack.to_string()))
    }

    /// How the environment stands while another set than git asks for is enforced; as it does, when there is no hold.
    pub(super) fn in_place_of_held(&self, state: State, reason: String) -> (State, String, Option<String>) {
        let Some(held) = self.hold() else {
            let next = (state == State::Progressing).then(|| Stay::Healthy.to_string());
            return (state, reason, next);
        };
        let next = Some(Stay::RolledBack.to_string());
        match state {
            State::Live | State::RolledBack => {
                (State::RolledBack, format!("{}: {}", held.outline(), held.cause()), next)
            }
            State::Applying
            | State::Progressing
            | State::Degraded
            | State::Failed
            | State::Suspended
            | State::Waiting
            | State::Unreachable => (state, format!("{}; {reason}", held.outline()), next),
        }
    }
}

impl Standings {
    /// Takes in why the environment stays as it is, as what comes next.
    pub(super) fn stay(&mut self, stay: &Stay) {
        let waits = match self.state {
            State::Progressing | State::Degraded => true,
            State::Live
            | State::Applying
            | State::RolledBack
            | State::Failed
            | State::Suspended
            | State::Waiting
            | State::Unreachable => false,
        };
        let (goes_on, says) = match stay {
            Stay::InTime(_) => (true, true),
            Stay::Healthy | Stay::RolledBack | Stay::Decommissioned => (false, false),
            Stay::Asked
            | Stay::NeverGood
            | Stay::WasGood
            | Stay::Lost(..)
            | Stay::Moved(_)
            | Stay::Untouched(_) => (false, self.state == State::Degraded),
        };
        self.settled &= !goes_on;
        if waits && says {
            self.next = Some(stay.to_string());
        }
    }
}

/// With their places in git, as many as are named.
fn placed(desired: &DesiredSet, mut because: Vec<ObjectStatus>) -> Vec<ObjectStatus> {
    for status in because.iter_mut().take(MAX_BECAUSE) {
        let object = desired.objects.iter().find(|object| object.reference.id() == status.object);
        status.location = object.map(|object| {
            let Location { file, position } = object.location();
            Location { file: format!("{}{file}", desired.prefix).into(), position }
        });
    }
    because
}
