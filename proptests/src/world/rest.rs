//! What must hold when the world has come to rest: git stopped moving, and nothing goes wrong any more.
#![allow(
    clippy::indexing_slicing,
    reason = "test material: an object without metadata is a bug and may say so"
)]

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;
use tidegate_core::drift::Flips;
use tidegate_core::ids::{CommitId, EnvironmentName};
use tidegate_core::object::{Gvk, ObjectId};
use tidegate_core::observed::{LiveObject, Observed, Ownership};
use tidegate_core::plan::{PlanInput, PlanSettings, plan};
use tidegate_core::rollback::GoodCommit;
use tidegate_core::status::State;
use tidegate_core::summarize::{detail_of, summarize};

use super::content::{Desired, Shape, Target};
use super::fields::covers;
use super::replica::gvk_of;
use super::request::Parent;
use super::server::World;
use super::truth::is_well;

/// What an environment must come to.
#[derive(Debug, Clone)]
pub enum End {
    /// This set is live.
    Live(CommitId, Rc<Target>),
    /// This set is live again, in place of a commit that is held.
    RolledBack(CommitId, Rc<Target>),
    /// Nothing is live yet: it must go back to this commit.
    GoesBack(GoodCommit),
    /// Nothing changes any more, whatever stands.
    Frozen,
    /// Nothing is left of it.
    Gone,
}

impl World {
    /// What an environment must come to: a function of git and of what people allowed, not of what happened.
    pub fn end_of(&self, environment: &EnvironmentName) -> End {
        let parent = self.parents.get(environment);
        let Some(tip) = self.git.tip() else { return End::Frozen };
        if parent.is_some_and(|parent| parent.suspended) {
            return End::Frozen;
        }
        let seen = parent.and_then(|parent| parent.seen.clone());
        if self.truth.goods.iter().chain(&seen).any(|from| !self.may_go(from, tip)) {
            return End::Frozen;
        }
        // The permission to rewind stands on the parent, and went with it when the environment was taken down (SHORTCOMINGS).
        let refused = self.truth.goods.iter().any(|from| !self.git.is_ancestor(from, tip));
        if parent.is_none() && refused {
            return End::Frozen;
        }
        let Some(target) = self.git.target(tip, environment) else { return End::Frozen };
        match (target.spec.shape, seen) {
            // What broke by itself before it was ever live is held as well.
            (Shape::Good, _)
                if target.is_sick() || parent.and_then(Parent::holds) == Some(&target.inputs) =>
            {
                self.end_of_sick(tip, &target, parent)
            }
            (Shape::Good, _) => End::Live(tip.clone(), target),
            (Shape::Decommission, _) => End::Gone,
            (Shape::Suspended, _) => End::Frozen,
            (Shape::Broken | Shape::Unreadable, seen) => self.end_of_broken(environment, tip, seen),
        }
    }

    /// A commit that never becomes healthy goes back, where it was begun and something was good before it.
    fn end_of_sick(&self, tip: &CommitId, target: &Target, parent: Option<&Parent>) -> End {
        let Some(parent) = parent else { return End::Frozen };
        let set_of = |good: &GoodCommit| {
            let commit: CommitId = good.commit.parse().ok()?;
            let set = self.git.target(&commit, &parent.environment)?;
            (set.desired().is_some() && self.git.is_ancestor(&commit, tip)).then_some((commit, set))
        };
        if let Some(held) = parent.held.as_ref().filter(|held| held.inputs == target.inputs) {
            return set_of(&held.to).map_or(End::Frozen, |(commit, set)| End::RolledBack(commit, set));
        }
        let begun = parent.seen_inputs.as_ref() == Some(&target.inputs);
        let good = parent.good.as_ref().filter(|good| begun && good.inputs != target.inputs);
        let Some(good) = good.filter(|good| set_of(good).is_some()) else { return End::Frozen };
        let Some(desired) = target.desired() else { return End::Frozen };
        let is_applied = desired.objects.iter().any(|object| {
            let live = self.objects.get(&object.reference.id());
            live.is_some_and(|live| covers(live, object.value()) && !is_well(live))
        });
        let claimed = desired.ids().any(|id| self.is_claimed_by_others(&id));
        if is_applied && !claimed { End::GoesBack(good.clone()) } else { End::Frozen }
    }

    /// Forward, or where a person allowed it after that commit.
    fn may_go(&self, from: &CommitId, to: &CommitId) -> bool {
        let allows = |by: &CommitId| self.git.is_ancestor(by, to) && !self.git.is_ancestor(by, from);
        self.git.is_ancestor(from, to) || self.truth.permitted.iter().any(allows)
    }

    /// The set before the broken one is enforced, if that was begun. (One that was not, because it was suspended, say, is
    /// enforced only until the replica is restarted.)
    fn end_of_broken(&self, environment: &EnvironmentName, tip: &CommitId, seen: Option<CommitId>) -> End {
        let broken = |target: &Target| matches!(target.spec.shape, Shape::Broken | Shape::Unreadable);
        let before = self.git.history(tip).into_iter().map(|id| self.git.target(&id, environment));
        let before = before.flatten().find(|target| !broken(target));
        // A replica that has an older set in memory, and saw the branch again only when its tip was broken, leaves what another
        // one has begun as it stands (SHORTCOMINGS).
        let known = self.truth.works_for.get(environment);
        let held = self.parents.get(environment).and_then(Parent::holds);
        let begun = seen.and_then(|seen| Some((self.git.target(&seen, environment)?, seen)));
        match (before, begun) {
            (Some(before), Some((begun, seen)))
                if before.inputs == begun.inputs
                    && begun.spec.shape == Shape::Good
                    && !begun.is_sick()
                    && held != Some(&begun.inputs)
                    && known.is_none_or(|known| *known == begun.inputs) =>
            {
                End::Live(seen, begun)
            }
            (_, _) => End::Frozen,
        }
    }

    /// 1, 12 and 15. What is not yet as it must be at the end; none when everything is. Whoever worked on it, and whatever
    /// happened on the way, the end is the same.
    pub fn ensure_liveness(&self, environment: &EnvironmentName) -> Option<String> {
        match self.end_of(environment) {
            End::Frozen => None,
            End::Gone => self.ensure_gone(environment),
            End::GoesBack(good) => Some(format!("it is not healthy, and does not go back to {good}")),
            End::Live(commit, target) => self.ensure(environment, &commit, &target, State::Live),
            End::RolledBack(commit, target) => self.ensure(environment, &commit, &target, State::RolledBack),
        }
    }

    fn ensure(
        &self,
        environment: &EnvironmentName,
        commit: &CommitId,
        target: &Target,
        state: State,
    ) -> Option<String> {
        let desired = target.desired()?;
        let rolled_back = state == State::RolledBack;
        self.ensure_objects(desired)
            .or_else(|| self.ensure_no_orphans(environment, desired, rolled_back))
            .or_else(|| self.ensure_record(environment, commit, target, state))
    }

    /// How many objects are left that a replica made which had been overtaken, and that no inventory names.
    pub fn strays(&self) -> usize {
        let named: Vec<ObjectId> =
            super::environments().iter().flat_map(|name| self.inventory(name).entries.into_keys()).collect();
        let is_stray =
            |live: &Value| self.truth.strays.contains(live["metadata"]["uid"].as_str().unwrap_or_default());
        self.objects.iter().filter(|(id, live)| is_stray(live) && !named.contains(id)).count()
    }

    fn ensure_gone(&self, environment: &EnvironmentName) -> Option<String> {
        let left = self.ours(environment).into_iter().find(|id| id.kind != "PersistentVolumeClaim");
        let parent = self.parents.contains_key(environment).then(|| "the parent is still there".to_owned());
        left.map(|id| format!("{id} is still there")).or(parent)
    }

    /// An object that somebody else claims is not taken over, and what it holds up waits.
    fn is_claimed_by_others(&self, id: &ObjectId) -> bool {
        self.objects.get(id).is_some_and(|live| {
            matches!(compact(live).ownership, Ownership::Other { .. })
                && !self.truth.owned.contains_key(live["metadata"]["uid"].as_str().unwrap_or_default())
        })
    }

    fn ensure_objects(&self, desired: &Desired) -> Option<String> {
        if desired.ids().any(|id| self.is_claimed_by_others(&id)) {
            return None;
        }
        desired.objects.iter().find_map(|object| {
            let id = object.reference.id();
            let Some(live) = self.objects.get(&id) else { return Some(format!("{id} does not exist")) };
            if !covers(live, object.value()) && !self.truth.unseen.contains(&id) {
                return Some(format!("{id} is not as git asks"));
            }
            let ours = matches!(&compact(live).ownership, Ownership::ApplySet { id, .. } if *id == desired.settings.apply_set);
            if !ours {
                return Some(format!("{id} does not carry our marks"));
            }
            compact(live).managed.wants_migration().then(|| format!("{id} has fields of kubectl"))
        })
    }

    /// What we made and git does not ask for is gone, unless it may not be deleted.
    fn ensure_no_orphans(
        &self,
        environment: &EnvironmentName,
        desired: &Desired,
        rolled_back: bool,
    ) -> Option<String> {
        let wanted: Vec<ObjectId> = desired.ids().collect();
        let mut left = self.ours(environment);
        left.retain(|id| !wanted.contains(id) && id.kind != "PersistentVolumeClaim");
        let inventory = self.inventory(environment);
        if let Some(orphan) = left.iter().find(|id| !inventory.entries.contains_key(*id)) {
            return Some(format!("{orphan} left git, and no inventory names it any more"));
        }
        let unwell = desired
            .objects
            .iter()
            .any(|it| self.objects.get(&it.reference.id()).is_none_or(|live| !is_well(live)));
        let most = desired.settings.prune.max as usize;
        let claimed = desired.ids().any(|id| self.is_claimed_by_others(&id));
        if left.len() > most || wanted.is_empty() || unwell || claimed {
            return None;
        }
        // What a held commit took over from others stays.
        let adopted = |id: &&ObjectId| inventory.entries.get(*id).is_some_and(|entry| entry.adopted);
        left.iter()
            .find(|id| !(rolled_back && adopted(id)))
            .map(|id| format!("{id} left git and is still there"))
    }

    /// 15. The parent, the status and the inventory say what stands, and from which commit.
    fn ensure_record(
        &self,
        environment: &EnvironmentName,
        commit: &CommitId,
        target: &Target,
        state: State,
    ) -> Option<String> {
        let desired = target.desired()?;
        let Some(parent) = self.parents.get(environment) else {
            return Some("there is no parent".to_owned());
        };
        if state == State::Live && parent.held.is_some() {
            return Some("a commit is held that git does not ask for".to_owned());
        }
        if state == State::Live && parent.seen_inputs.as_ref() != Some(&target.inputs) {
            return Some(format!("seen is not what {} asks for", commit.short()));
        }
        let inventory = self.inventory(environment);
        if desired.ids().any(|id| self.is_claimed_by_others(&id)) {
            return None;
        }
        for object in &desired.objects {
            let id = object.reference.id();
            let (Some(entry), Some(live)) = (inventory.entries.get(&id), self.objects.get(&id)) else {
                return Some(format!("{id} is in no inventory"));
            };
            if entry.applied != Some(object.digest())
                || entry.uid.as_deref() != live["metadata"]["uid"].as_str()
            {
                return Some(format!("the inventory does not say what stands of {id}"));
            }
            if target.files.get(&object.location().file).is_none() {
                return Some(format!("{id} comes from no file"));
            }
        }
        let Some(status) = &parent.status else { return Some("there is no status".to_owned()) };
        let healthy =
            desired.objects.iter().all(|it| self.objects.get(&it.reference.id()).is_some_and(is_well));
        let broken_tip = state == State::Live && self.git.tip() != Some(commit);
        if healthy && !broken_tip && self.over_budget(environment, desired).is_none() && status.state != state
        {
            return Some(format!("the status says {}", status.state.as_str()));
        }
        let said = status.plan_id.as_ref() == Some(&desired.plan_id);
        (healthy && !said).then(|| "the status names another plan".to_owned())
    }

    fn over_budget(&self, environment: &EnvironmentName, desired: &Desired) -> Option<usize> {
        let wanted: Vec<ObjectId> = desired.ids().collect();
        let entries = self.inventory(environment).entries;
        let left =
            entries.keys().filter(|id| !wanted.contains(id) && id.kind != "PersistentVolumeClaim").count();
        (left > 0 && (left > desired.settings.prune.max as usize || wanted.is_empty())).then_some(left)
    }

    /// 2. The plan after convergence is empty: nothing to write, to ask about or to forget.
    pub fn invariant_2_second_plan_is_empty(&self, environment: &EnvironmentName) -> Option<String> {
        let (target, rolled_back) = match self.end_of(environment) {
            End::Live(_, target) => (target, None),
            End::RolledBack(_, target) => (target, Some("held".to_owned())),
            End::GoesBack(_) | End::Frozen | End::Gone => return None,
        };
        let desired = target.desired()?;
        let settings = PlanSettings { rolled_back_from: rolled_back, ..desired.settings.clone() };
        let inventory = self.inventory(environment);
        let ids = desired.ids().chain(inventory.entries.keys().cloned());
        let objects =
            ids.filter_map(|id| Some((id.clone(), Arc::new(compact(self.objects.get(&id)?))))).collect();
        let observed = Observed { objects, ..Observed::default() };
        let plan = plan(&PlanInput {
            settings: &settings,
            desired: Some(&desired.objects),
            observed: &observed,
            inventory: &inventory,
            failed: &BTreeMap::new(),
            flips: &Flips::default(),
            now: self.now,
        });
        // A write in the second of our own apply is asked about until that second is settled in the inventory.
        let settled = |id: &ObjectId| inventory.entries.get(id).is_none_or(|entry| entry.settled);
        let asks = plan.inspect.iter().any(settled);
        let idle = plan.stages.is_empty() && plan.forget.is_empty() && plan.accept.is_empty() && !asks;
        (!idle).then(|| format!("the second plan is {}: {plan:?}", plan.summary()))
    }
}

fn compact(live: &Value) -> LiveObject {
    let gvk: Gvk = gvk_of(live);
    summarize(&gvk, detail_of(&gvk), live)
}
