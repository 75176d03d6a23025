//! What must hold of rollbacks, asked at the write that it is about (6 of `reliability.md`, for environments): a commit that
//! is held is not applied, an environment goes back only to what was live, only after its deadline, and only because of what
//! the change is to blame for; a hold ends with the claim of something else.

use std::collections::BTreeMap;

use tidegate_core::ids::{CommitId, Digest, EnvironmentName};
use tidegate_core::object::ObjectId;
use tidegate_core::rollback::{Before, GoodCommit, Held};

use super::content::Target;
use super::request::{Parent, ParentChange, Why};
use super::server::World;
use super::truth::is_well;

/// The first violation of these.
type Broken = Option<String>;

impl World {
    /// A parent is about to be written.
    pub(super) fn check_marks(&mut self, known: &Parent, change: &ParentChange, why: &Why) {
        let environment = &known.environment;
        let mut broken: Vec<Broken> = vec![invariant_6_a_hold_ends_with_its_claim(known, change)];
        if let Some(Some(held)) = &change.held {
            self.truth.rollbacks += 1;
            broken.push(self.invariant_6_it_goes_back_to_what_was_live(known, held));
            broken.push(self.invariant_6_it_goes_back_at_the_deadline(environment, held));
            broken.push(self.invariant_6_the_change_is_to_blame(known, held, why));
        }
        if let Some(Some((good, cursor))) = &change.good {
            broken.push(self.invariant_6_good_was_live(environment, good, *cursor));
        }
        if let Some(Some(before)) = &change.before {
            broken.push(self.invariant_6_what_was_healthy_was_seen_so(environment, before, why));
        }
        for what in broken {
            self.require("6", what);
        }
        if let Some((_, inputs)) = &change.seen {
            let claim = (environment.clone(), inputs.clone());
            self.truth.claims.entry(claim).or_insert(self.now);
        }
    }

    /// What is held is not applied, until git asks for something else.
    pub(super) fn invariant_6_held_is_not_applied(&self, why: &Why) -> Broken {
        let held = self.parents.get(&why.environment)?.held.as_ref()?;
        let applies = held.inputs == why.inputs && !self.is_overtaken(why);
        applies.then(|| format!("{} is held, and applied", why.commit.short()))
    }

    /// The set of a commit, by the name that a parent has for it.
    fn target_of(&self, environment: &EnvironmentName, good: &GoodCommit) -> Option<std::rc::Rc<Target>> {
        let commit: CommitId = good.commit.parse().ok()?;
        self.git.target(&commit, environment).filter(|target| target.inputs == good.inputs)
    }

    fn invariant_6_it_goes_back_to_what_was_live(&self, known: &Parent, held: &Held) -> Broken {
        let Held { commit, inputs, to, since: _, because: _ } = held;
        if known.good.as_ref() != Some(to) || to.inputs == *inputs {
            return Some(format!("{} goes back to {to}, which was not live before it", commit.id));
        }
        if known.seen_inputs.as_ref() != Some(inputs) || known.held.is_some() {
            return Some(format!("{} is held, and is not what is enforced", commit.id));
        }
        let to: CommitId = to.commit.parse().ok()?;
        let asks =
            |id: &&CommitId| self.git.target(id, &known.environment).is_some_and(|it| it.inputs == *inputs);
        let after = self.git.order().iter().filter(asks).any(|id| self.git.is_ancestor(&to, id));
        (!after).then(|| format!("{} goes back to {to}, which is not in its history", commit.id))
    }

    fn invariant_6_it_goes_back_at_the_deadline(&self, environment: &EnvironmentName, held: &Held) -> Broken {
        let claimed = self.truth.claims.get(&(environment.clone(), held.inputs.clone()))?;
        let commit: CommitId = held.commit.id.parse().ok()?;
        let target = self.git.target(&commit, environment)?;
        let deadline = target.desired()?.environment.deadlines.healthy;
        let waited = self.now.duration_since(*claimed).unsigned_abs();
        (waited < deadline).then(|| format!("{} goes back after {waited:?} of {deadline:?}", held.commit.id))
    }

    /// Each of the objects was not healthy when it was looked at; the commit changed it, or it was healthy before.
    fn invariant_6_the_change_is_to_blame(&self, known: &Parent, held: &Held, why: &Why) -> Broken {
        let commit: CommitId = held.commit.id.parse().ok()?;
        let bad = self.git.target(&commit, &known.environment)?;
        let good = self.target_of(&known.environment, &held.to)?;
        let (bad, good) = (digests(&bad), digests(&good));
        if held.because.items.is_empty() {
            return Some(format!("{} goes back because of nothing", held.commit.id));
        }
        held.because.items.iter().map(|status| &status.object).find_map(|id| {
            if self.states_since(id, why.cursor).all(is_well) {
                return Some(format!("{} goes back because of {id}, which is healthy", held.commit.id));
            }
            let sick = known
                .before
                .as_ref()
                .is_none_or(|before| before.good != held.to.inputs || before.sick.items.contains(id));
            let innocent = bad.get(id) == good.get(id) && sick;
            innocent
                .then(|| format!("{} goes back because of {id}, which was sick before it", commit.short()))
        })
    }

    fn invariant_6_good_was_live(
        &self,
        environment: &EnvironmentName,
        good: &GoodCommit,
        cursor: u64,
    ) -> Broken {
        let Some(target) = self.target_of(environment, good) else {
            return Some(format!("{good} is called good, and asks for something else"));
        };
        let commit: CommitId = good.commit.parse().ok()?;
        if target.desired().is_none_or(|desired| desired.settings.decommission) {
            return Some(format!("{good} is called good, and asks for no objects"));
        }
        let broken = self.invariant_15_applied_is_true(environment, &commit, cursor, true);
        broken.map(|what| format!("{good} is called good, but {what}"))
    }

    /// What is not noted as sick when a good commit is left was seen healthy.
    fn invariant_6_what_was_healthy_was_seen_so(
        &self,
        environment: &EnvironmentName,
        before: &Before,
        why: &Why,
    ) -> Broken {
        let owned = self.inventory(environment).entries.into_keys();
        let mut called_healthy =
            owned.filter(|id| !before.sick.items.contains(id) && !self.is_overtaken(why));
        let wrong = called_healthy
            .find(|id| self.objects.contains_key(id) && !self.states_since(id, why.cursor).any(is_well))?;
        Some(format!("{wrong} is called healthy as the good commit is left, and was not"))
    }
}

/// A hold ends with the claim of something else, and with nothing else.
fn invariant_6_a_hold_ends_with_its_claim(known: &Parent, change: &ParentChange) -> Broken {
    let claimed = change.seen.as_ref().map(|(_, inputs)| inputs);
    let held = known.holds()?;
    match (&change.held, claimed) {
        (Some(None), Some(claimed)) if claimed != held => None,
        (Some(None), _) => Some(format!("{held} is let go, and nothing else is claimed")),
        (_, Some(claimed)) if claimed != held => Some(format!("{claimed} is claimed, and {held} stays held")),
        (_, _) => None,
    }
}

fn digests(target: &Target) -> BTreeMap<ObjectId, Digest> {
    let objects = target.desired().map(|desired| desired.objects.as_slice()).unwrap_or_default();
    objects.iter().map(|object| (object.reference.id(), object.digest())).collect()
}
