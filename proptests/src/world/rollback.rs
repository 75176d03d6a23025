//! Back to the last good commit, as `rollback.rs` of `daemon/src/reconcile/` does it around the decisions of the core: the
//! hold that stands, the set that is worked for, what is noted as good, and what the claim of another set changes besides.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tidegate_core::health::HealthState;
use tidegate_core::ids::{CommitId, Digest};
use tidegate_core::inventory::Inventory;
use tidegate_core::object::{Gvk, ObjectId};
use tidegate_core::rollback::{
    Before, Decision, Enforced, GoodCommit, Held, LastGood, Leave, Patience, RollbackInput, Stay, Unhealthy,
    decide, leave,
};
use tidegate_core::standing::{RETRY_REJECTED, health_of};
use tidegate_core::status::ObjectStatus;

use super::bugs::Bug;
use super::claim::newest;
use super::lane::{Good, Lane, Wanted};
use super::record::info;
use super::request::{CallError, Parent, ParentChange};

/// The set of the last good commit, or why it cannot be had.
#[derive(Debug)]
pub struct Past {
    good: GoodCommit,
    set: Result<Good, String>,
    read_at: Timestamp,
}

impl Past {
    /// All of it as text.
    pub fn text(&self) -> String {
        let Self { good, set, read_at } = self;
        let set = set.as_ref().map(|set| (&set.commit, &set.target.inputs));
        format!("{good:?} {set:?} {read_at}")
    }
}

impl Lane {
    /// The hold that stands.
    pub(super) fn hold(&self) -> Option<&Held> {
        if self.has(Bug::HoldForgotten) {
            return None;
        }
        let held = self.memory.parent.as_ref()?.held.as_deref().or(self.memory.unwritten.as_deref())?;
        held.stands(self.memory.good.as_ref().map(|asked| &asked.target.inputs))
    }

    /// The hold as the record says it, until another commit is claimed.
    pub(super) fn recorded_hold(&self) -> Option<Box<Held>> {
        self.memory.parent.as_ref()?.held.clone()
    }

    /// The set that is worked for: what git asks for, or the last good one in place of a held one.
    pub(super) fn worked_for(&self) -> Option<Good> {
        let Some(held) = self.hold() else { return self.memory.good.clone() };
        self.past(&held.to)?.set.as_ref().ok().cloned()
    }

    /// What git asks for, where `enforced` may stand in place of it.
    pub(super) fn asked(&self, enforced: &Good) -> Good {
        let held = self.hold().and(self.memory.good.as_ref());
        held.unwrap_or(enforced).clone()
    }

    fn past(&self, good: &GoodCommit) -> Option<&Past> {
        self.memory.past.as_ref().filter(|past| past.good == *good)
    }

    /// Reads the set that is enforced in place of a held one, unless it is known.
    pub(super) fn fetch_past(&mut self) {
        if let Some(held) = self.hold().cloned() {
            self.read_past(&held.to);
        }
    }

    fn read_past(&mut self, good: &GoodCommit) {
        let now = self.now();
        let is_fresh = |past: &Past| now.duration_since(past.read_at).unsigned_abs() < RETRY_REJECTED;
        if self.past(good).is_some_and(|past| past.set.is_ok() || is_fresh(past)) {
            return;
        }
        let set = self.set_of(good);
        self.memory.past = Some(Past { good: good.clone(), set, read_at: now });
    }

    fn set_of(&self, good: &GoodCommit) -> Result<Good, String> {
        let commit: CommitId = good.commit.parse().map_err(|_| "it is no commit".to_owned())?;
        let here = self.local.borrow().mirror.has(&commit);
        let target = self.world.borrow().git.target(&commit, &self.name).filter(|_| here);
        let target = target.ok_or("it is not in the repository any more")?;
        if target.inputs != good.inputs {
            return Err("it asks for something else than it did".to_owned());
        }
        target.desired().ok_or("it is no longer valid")?;
        Ok(Good { commit, target })
    }

    /// True when the hold cannot be carried out, because the good commit cannot be read.
    pub(super) fn is_without_past(&self) -> bool {
        let past = self.hold().and_then(|held| self.past(&held.to));
        past.is_some_and(|past| past.set.is_err())
    }

    /// What is done about the objects that are not healthy.
    pub(super) fn decide(&mut self, wanted: &Wanted, desired: &Good, unhealthy: &[Unhealthy]) -> Decision {
        let decision = match self.decision(desired, unhealthy) {
            Decision::Load(good) => {
                self.read_past(&good);
                self.decision(desired, unhealthy)
            }
            decision @ (Decision::Stay(_) | Decision::RollBack { .. }) => decision,
        };
        let decision = match decision {
            Decision::RollBack { to, because: _ } if !self.is_in_history(wanted, &to) => {
                Decision::Stay(Stay::Lost(to, "it is not in the history of what git asks for".to_owned()))
            }
            decision @ (Decision::Stay(_) | Decision::Load(_) | Decision::RollBack { .. }) => decision,
        };
        if let Decision::Stay(Stay::Healthy | Stay::WasGood | Stay::InTime(_)) = decision
            && self.hold().is_none()
        {
            self.memory.past = None;
        }
        decision
    }

    fn is_in_history(&self, wanted: &Wanted, good: &GoodCommit) -> bool {
        let asked = self.memory.good.as_ref().map(|asked| newest(wanted, asked));
        let (Ok(good), Some(newest)) = (good.commit.parse::<CommitId>(), asked) else { return false };
        self.local.borrow().mirror.is_ancestor(&self.world.borrow().git, &good, newest)
    }

    fn decision(&self, desired: &Good, unhealthy: &[Unhealthy]) -> Decision {
        let parent = self.memory.parent.as_ref();
        let noted = parent.and_then(|parent| parent.good.clone());
        let noted = if self.has(Bug::RolledBackToPrevious) { self.previous(desired) } else { noted };
        let good = match &noted {
            None => LastGood::Never,
            Some(good) => match self.past(good).map(|past| &past.set) {
                None => LastGood::Named(good),
                Some(Err(why)) => LastGood::Lost(good, why),
                Some(Ok(set)) => {
                    let desired = set.desired();
                    LastGood::Loaded(good, &desired.environment.cluster.value, &desired.objects)
                }
            },
        };
        let set = desired.desired();
        let enforced = Enforced {
            inputs: &desired.target.inputs,
            on_failure: set.environment.on_failure,
            decommission: set.settings.decommission,
            cluster: &set.environment.cluster.value,
            objects: &set.objects,
        };
        let nothing = noted.as_ref().map(|good| Before::new(good, &BTreeSet::new()));
        let before = parent.and_then(|parent| parent.before.as_deref());
        let before = if self.has(Bug::SickBlamed) { nothing.as_ref() } else { before };
        let mut unhealthy = unhealthy.to_vec();
        if self.has(Bug::DeadlineIgnored) {
            for object in &mut unhealthy {
                object.patience = Patience::Over;
            }
        }
        decide(&RollbackInput { enforced, held: self.hold(), good, before, unhealthy: &unhealthy })
    }

    /// The commit before this one in git, whatever came of it: what a planted bug goes back to.
    fn previous(&self, desired: &Good) -> Option<GoodCommit> {
        let world = self.world.borrow();
        let commit = world.git.get(&desired.commit)?.parent.clone()?;
        let inputs = world.git.target(&commit, &self.name)?.inputs.clone();
        Some(GoodCommit { commit: commit.to_string(), inputs })
    }

    /// Holds the commit: written down before anything else happens. The next pass enforces the good set.
    pub(super) async fn roll_back(
        &mut self,
        desired: &Good,
        to: GoodCommit,
        because: Vec<ObjectStatus>,
    ) -> Result<(), CallError> {
        let held = Held::new(info(&desired.commit), desired.target.inputs.clone(), to, because, self.now());
        let held = Box::new(held);
        if self.has(Bug::HoldWrittenLate) {
            self.memory.unwritten = Some(held);
        } else {
            let change = ParentChange { held: Some(Some(held)), ..ParentChange::default() };
            self.write_parent(change).await?;
        }
        self.memory.failed.clear();
        self.memory.unwell.clear();
        Ok(())
    }

    /// Notes a set that is applied whole and healthy as the good one, in the write of the record that says so.
    pub(super) fn note_good(&mut self, desired: &Good, is_well: bool) {
        let Some(parent) = &self.memory.parent else { return };
        let is_well = is_well || self.has(Bug::GoodUnproven);
        if !is_well || !self.is_applied(desired) || desired.desired().settings.decommission {
            return;
        }
        let inputs = &desired.target.inputs;
        if parent.good.as_ref().is_some_and(|good| good.inputs == *inputs) {
            self.memory.unsaid.good = None;
            return;
        }
        let good = GoodCommit { commit: desired.commit.to_string(), inputs: inputs.clone() };
        self.memory.unsaid.good = Some(Some((good, self.memory.cursor)));
    }

    /// True when what a set asks for is applied whole.
    pub(super) fn is_applied(&self, desired: &Good) -> bool {
        let progress = &self.memory.progress;
        progress.applied.is_some() && progress.inputs.as_ref() == Some(&desired.target.inputs)
    }

    /// What the claim of another set changes besides.
    pub(super) async fn leave(&mut self, parent: &Parent, asked: &Good) -> Result<ParentChange, CallError> {
        let mut change = ParentChange::default();
        let noted = self.memory.unsaid.good.clone().flatten();
        let good = noted.clone().map(|(good, _)| good).or_else(|| parent.good.clone());
        let seen_inputs = parent.seen_inputs.as_ref().map(Digest::as_str);
        let Leave { ends_hold, leaves_good } =
            leave(&asked.target.inputs, seen_inputs, good.as_ref(), parent.held.as_deref());
        if ends_hold && !self.has(Bug::HoldOutlives) {
            change.held = Some(None);
        }
        if noted.is_some() {
            change.good = Some(noted);
        }
        if let Some(good) = good.filter(|_| leaves_good) {
            change.before = Some(Some(Box::new(Before::new(&good, &self.sick().await?))));
        }
        Ok(change)
    }

    /// What the environment owns and is not known to be healthy.
    async fn sick(&mut self) -> Result<BTreeSet<ObjectId>, CallError> {
        let inventory: Inventory = self.inventory();
        // `observe` notes how much it could read, for the deletes of the plan that it is for.
        let partial = self.memory.partial;
        let observed = self.observe(&[], &inventory).await?;
        self.memory.partial = partial;
        let kinds: BTreeMap<&ObjectId, Gvk> = inventory
            .entries
            .iter()
            .map(|(id, entry)| (id, Gvk::from_api_version(&entry.api_version, &id.kind)))
            .collect();
        let is_sick = |(id, gvk): (&ObjectId, Gvk)| match health_of(&gvk, id, &observed).state {
            HealthState::Progressing | HealthState::Degraded => Some(id.clone()),
            HealthState::Healthy | HealthState::Suspended | HealthState::Unknown => None,
        };
        Ok(kinds.into_iter().filter_map(is_sick).collect())
    }
}
