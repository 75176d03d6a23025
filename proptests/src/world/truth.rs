//! What must hold in every world, whatever happens in it (`reliability.md` of the design: 1 to 3, 7 to 9, 12, 15), and
//! what the world remembers to tell. An invariant is asked about a request before it is carried out, or about the world
//! when it has come to rest.
#![allow(
    clippy::indexing_slicing,
    reason = "test material: an object without metadata is a bug and may say so"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tidegate_core::drift::FIELD_MANAGER;
use tidegate_core::health::{HealthState, assess};
use tidegate_core::ids::{CommitId, Digest, EnvironmentName};
use tidegate_core::inventory::{self, Inventory};
use tidegate_core::object::ObjectId;
use tidegate_core::plan::{Plan, PlanInput, plan};
use tidegate_core::schedule::{ReplicaId, owner};
use tidegate_core::status::State;

use super::content::{Desired, Shape};
use super::fields::covers;
use super::request::{Answer, Parent, ParentChange, Reply, Request, Why};
use super::server::{News, World};

/// More edits of one object than this may be a fight, which is backed off from.
const EDITS_BEFORE_A_FIGHT: usize = 5;
/// Every so many plans are made twice.
const PLANS_MADE_TWICE: u64 = 5;
/// How long replicas may disagree about who lives.
const LEASES_SETTLE: SignedDuration = SignedDuration::from_secs(25);

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: &'static str,
    /// What happened.
    pub what: String,
}

/// What the invariants remember.
#[derive(Debug, Default)]
pub struct Truth {
    /// The first violation.
    pub violation: Option<Violation>,
    /// Every uid that a replica has written, and for which environment.
    pub owned: BTreeMap<String, EnvironmentName>,
    /// How often hands have changed an object.
    pub edits: BTreeMap<ObjectId, usize>,
    /// Who lives, by name; replicas find out by Leases.
    pub alive: Vec<ReplicaId>,
    /// The last good commits of the replicas that live.
    pub goods: Vec<CommitId>,
    /// Where people allowed the branch to be rewound to.
    pub permitted: Vec<CommitId>,
    /// Since when nothing goes wrong.
    pub calm_since: Option<Timestamp>,
    /// Writes of replicas other than Leases.
    pub writes: u64,
    /// Requests that were carried out.
    pub requests: u64,
    /// Plans that were made.
    pub plans: u64,
    /// Commits that were rolled back from.
    pub rollbacks: u64,
    /// Writes of a pass that another replica had overtaken; they are repaired.
    pub overtaken: u64,
    /// Objects that such a write made, and objects of others that were taken over, until an inventory has their uid. After a
    /// kill before that they are nobody's (SHORTCOMINGS): left alone, never deleted.
    pub strays: BTreeSet<String>,
    /// Objects that a replica which had been overtaken wrote in the very second in which another one had: the second's grain
    /// hides it from everybody (SHORTCOMINGS), until the object is written again.
    pub unseen: BTreeSet<ObjectId>,
    /// Objects that hands made.
    pub foreign: BTreeSet<String>,
    /// The inputs of the set that the replica which worked on an environment last has in memory, if it has one.
    pub works_for: BTreeMap<EnvironmentName, Digest>,
    /// When inputs were claimed first.
    pub claims: BTreeMap<(EnvironmentName, Digest), Timestamp>,
    deletes: BTreeMap<(EnvironmentName, CommitId), usize>,
}

impl Truth {
    /// How many objects each commit has deleted.
    pub fn deletes(&self) -> &BTreeMap<(EnvironmentName, CommitId), usize> {
        &self.deletes
    }
}

impl World {
    /// Remembers a violation, unless there is one.
    pub fn violate(&mut self, invariant: &'static str, what: String) {
        self.note(|| format!("VIOLATION of {invariant}: {what}"));
        self.truth.violation.get_or_insert(Violation { invariant, what });
    }

    /// Remembers a violation, if this is one.
    pub(super) fn require(&mut self, invariant: &'static str, broken: Option<String>) {
        if let Some(what) = broken {
            self.violate(invariant, what);
        }
    }

    /// A replica begins to work on an environment.
    pub fn begin_pass(&mut self, replica: usize, environment: &EnvironmentName) {
        let broken = self.invariant_12_one_at_a_time(replica, environment);
        self.require("12", broken);
    }

    /// A plan was made.
    pub fn check_plan(&mut self, input: &PlanInput<'_>, made: &Plan, desired: &Desired, commit: &CommitId) {
        self.truth.plans += 1;
        if self.truth.plans.is_multiple_of(PLANS_MADE_TWICE) {
            let broken = invariant_7_same_inputs_same_plan(input, made);
            self.require("7", broken);
        }
        let target = self.git.target(commit, &desired.settings.environment);
        let same = target
            .is_some_and(|target| target.desired().is_some_and(|other| other.plan_id == desired.plan_id));
        self.require("7", (!same).then(|| format!("{commit} has another plan id than before")));
    }

    /// A request is about to be carried out.
    pub fn check_before(&mut self, request: &Request) {
        self.truth.requests += 1;
        match request {
            Request::Apply { id, dry_run: false, why, body: _ } => {
                self.note_second(id, why);
                let broken = self.invariant_intent_first(id, why);
                self.require("3", broken);
                let broken = self.invariant_8_applies_are_claimed(id, why);
                self.require("8", broken);
                let broken = self.invariant_6_held_is_not_applied(why);
                self.require("6", broken);
                let broken = self.invariant_suspended_is_left_alone(why);
                self.require("3", broken);
            }
            Request::Delete { id, uid, why } => {
                let broken = self.invariant_3_deletes(id, uid.as_deref(), why);
                self.require("3", broken);
                let broken = self.invariant_suspended_is_left_alone(why);
                self.require("3", broken);
            }
            Request::CreateParent { environment, seen: Some((_, inputs)) } => {
                let claim = (environment.clone(), inputs.clone());
                self.truth.claims.entry(claim).or_insert(self.now);
            }
            Request::UpdateParent { known, change, why } => {
                let current = self.parents.get(&known.environment);
                if current.is_some_and(|parent| (parent.version, &parent.uid) == (known.version, &known.uid))
                {
                    self.check_parent(known, change, why);
                }
            }
            Request::DeleteParent { known, why } => {
                let current = self.parents.get(&known.environment);
                if current.is_none_or(|parent| (parent.version, &parent.uid) != (known.version, &known.uid)) {
                    return;
                }
                let broken = self.invariant_3_nothing_is_left_behind(known, why);
                self.require("3", broken);
            }
            Request::Apply { .. }
            | Request::Get(_)
            | Request::Migrate { .. }
            | Request::ReadParent(_)
            | Request::CreateParent { .. }
            | Request::ReadShards(_)
            | Request::WriteShard { .. }
            | Request::Renew(_)
            | Request::Leases
            | Request::Poll
            | Request::Sleep { .. } => {}
        }
    }

    fn check_parent(&mut self, known: &Parent, change: &ParentChange, why: &Why) {
        self.check_marks(known, change, why);
        if let Some((to, _)) = &change.seen {
            let broken = self.invariant_8_monotonic(known, to);
            self.require("8", broken);
        }
        if change.seen.is_some() || change.held.is_some() {
            self.truth.deletes.retain(|(environment, _), _| *environment != known.environment);
        }
        if let Some((applied, cursor)) = &change.applied {
            let broken = self.invariant_15_applied_is_true(&known.environment, applied, *cursor, false);
            self.require("15", broken);
        }
        let well = |state| matches!(state, State::Live | State::RolledBack);
        if change.status.as_ref().is_some_and(|status| well(status.state)) {
            let broken = self.invariant_15_applied_is_true(&known.environment, &why.commit, why.cursor, true);
            self.require("15", broken.map(|what| format!("the status says live, but {what}")));
        }
    }

    /// A request was carried out.
    pub fn check_after(&mut self, request: &Request, reply: &Reply) {
        let Ok(answer) = reply else { return };
        if request.is_write() && !matches!(request, Request::Renew(_)) {
            self.truth.writes += 1;
        }
        if let (Request::Apply { dry_run: false, why, .. }, Answer::Written(object)) = (request, answer) {
            let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
            let overtaken = self.is_passed(why);
            let adopted = self.truth.foreign.contains(&uid);
            if self.truth.owned.insert(uid.clone(), why.environment.clone()).is_none()
                && (overtaken || adopted)
            {
                self.truth.strays.insert(uid);
            }
        }
        if let Request::WriteShard { environment, why, .. } = request
            && !self.is_overtaken(why)
        {
            let entries = self.inventory(environment).entries;
            for uid in entries.values().filter_map(|entry| entry.uid.as_ref()) {
                self.truth.strays.remove(uid);
            }
        }
    }

    /// The inventory as it stands in the cluster.
    pub fn inventory(&self, environment: &EnvironmentName) -> Inventory {
        let shards = self.shards.get(environment);
        let bytes: Vec<&[u8]> =
            shards.into_iter().flatten().map(|(_, shard)| shard.bytes.as_slice()).collect();
        inventory::decode(&bytes).unwrap_or_default()
    }
}

/// 7. Same inputs, same plan, in whatever order they come.
fn invariant_7_same_inputs_same_plan(input: &PlanInput<'_>, made: &Plan) -> Option<String> {
    let mut reversed: Vec<Arc<_>> = input.desired?.to_vec();
    reversed.reverse();
    let again = plan(&PlanInput { desired: Some(&reversed), ..*input });
    (format!("{made:?}") != format!("{again:?}")).then(|| format!("{made:?}\nand then\n{again:?}"))
}

impl World {
    /// Another replica has claimed the environment since the pass of this write did, or rolled it back.
    pub(super) fn is_overtaken(&self, why: &Why) -> bool {
        let parent = self.parents.get(&why.environment);
        let seen = parent.and_then(|parent| parent.seen.as_ref());
        seen != why.claimed.as_ref() || parent.and_then(Parent::holds) != why.held.as_ref()
    }

    /// That, or another replica has written the inventory since this one read it: two that take the environment for theirs, and
    /// apply the same commit, until their Leases are seen.
    fn is_passed(&self, why: &Why) -> bool {
        let mut shards = self.shards.get(&why.environment).into_iter().flatten();
        self.is_overtaken(why) || shards.next().map(|(_, shard)| shard.version) != why.shard
    }

    fn note_second(&mut self, id: &ObjectId, why: &Why) {
        let second = self.second();
        let ours = |entry: &&Value| entry["manager"] == FIELD_MANAGER && entry["operation"] == "Apply";
        let managed = self.objects.get(id).and_then(|live| live["metadata"]["managedFields"].as_array());
        let same = managed.and_then(|all| all.iter().find(ours)).is_some_and(|own| own["time"] == second);
        if self.is_overtaken(why) && same {
            self.truth.unseen.insert(id.clone());
        } else {
            self.truth.unseen.remove(id);
        }
    }

    /// 3, and 14. The inventory names an object before its first write, so that a kill leaves nothing unknown.
    fn invariant_intent_first(&self, id: &ObjectId, why: &Why) -> Option<String> {
        let known = self.inventory(&why.environment).entries.contains_key(id);
        (!known && !self.is_passed(why))
            .then(|| format!("{id} is written and the inventory does not name it"))
    }

    /// 3. No delete unless the uid is ours, the set came from a complete commit, everything was read, and the budget holds.
    fn invariant_3_deletes(&mut self, id: &ObjectId, uid: Option<&str>, why: &Why) -> Option<String> {
        let live = self.objects.get(id)?;
        let live_uid = live["metadata"]["uid"].as_str().unwrap_or_default();
        if uid.is_some_and(|uid| uid != live_uid) || live["metadata"]["deletionTimestamp"].is_string() {
            return None;
        }
        // A create that was cut short has no uid yet: our label has to do (`plan/prune.rs`).
        let entry = self.inventory(&why.environment).entries.remove(id);
        let pending = entry.is_some_and(|entry| entry.is_pending())
            && live["metadata"]["labels"][inventory::ENVIRONMENT] == why.environment.as_str();
        if self.truth.owned.get(live_uid) != Some(&why.environment) && !pending {
            return Some(format!("{id} is deleted, and {live_uid} was made by somebody else"));
        }
        if why.partial {
            return Some(format!("{id} is deleted after a partial read"));
        }
        let target = self.git.target(&why.commit, &why.environment);
        let Some(desired) = target.as_ref().and_then(|target| target.desired()) else {
            return Some(format!("{id} is deleted for {}, which cannot be read", why.commit.short()));
        };
        if desired.ids().any(|wanted| wanted == *id) {
            return Some(format!("{id} is deleted, and {} asks for it", why.commit.short()));
        }
        if id.kind == "PersistentVolumeClaim" {
            return Some(format!("{id} is deleted, and nobody allowed that"));
        }
        if desired.settings.decommission {
            return None;
        }
        let deletes = self.truth.deletes.entry((why.environment.clone(), why.commit.clone())).or_default();
        *deletes += 1;
        let (deletes, most) = (*deletes, desired.settings.prune.max as usize);
        (deletes > most)
            .then(|| format!("{id} is delete {deletes} of {}, and {most} are allowed", why.commit.short()))
    }

    /// 3. A parent goes only when nothing is left of its environment but what may not be deleted.
    fn invariant_3_nothing_is_left_behind(&self, known: &Parent, why: &Why) -> Option<String> {
        let target = self.git.target(&why.commit, &known.environment);
        // A folder that goes before anything was applied leaves nothing to be kept.
        if target.is_some_and(|target| target.spec.shape != Shape::Decommission) {
            return Some("the parent is deleted, and git does not take the environment down".to_owned());
        }
        let left = self.ours(&known.environment).into_iter().find(|id| id.kind != "PersistentVolumeClaim");
        left.map(|id| format!("the parent is deleted, and {id} is left"))
    }

    /// Live objects with our label that a replica wrote which nobody had overtaken.
    pub fn ours(&self, environment: &EnvironmentName) -> BTreeSet<ObjectId> {
        let label = |live: &Value| live["metadata"]["labels"][inventory::ENVIRONMENT] == environment.as_str();
        let wrote = |live: &Value| {
            let uid = live["metadata"]["uid"].as_str().unwrap_or_default();
            self.truth.owned.get(uid) == Some(environment) && !self.truth.strays.contains(uid)
        };
        self.objects.iter().filter(|(_, live)| label(live) && wrote(live)).map(|(id, _)| id.clone()).collect()
    }

    fn invariant_suspended_is_left_alone(&self, why: &Why) -> Option<String> {
        let target = self.git.target(&why.commit, &why.environment);
        let suspended = target.is_some_and(|target| target.spec.shape == Shape::Suspended);
        suspended.then(|| format!("{} is suspended and written to", why.environment))
    }

    /// 8. `seen` goes forward, or where a person allowed it.
    fn invariant_8_monotonic(&self, known: &Parent, to: &CommitId) -> Option<String> {
        let from = known.seen.as_ref()?;
        let allowed = known.rewind.as_ref().is_some_and(|rewind| self.git.is_ancestor(rewind, to));
        let forward = self.git.is_ancestor(from, to) || allowed;
        (!forward).then(|| format!("seen goes from {} to {}, no descendant", from.short(), to.short()))
    }

    /// 8, too. What is applied is what the parent says is being applied. (A replica that was stopped between its claim and
    /// its write may be overtaken by another one; its write is then repaired like any other drift.)
    fn invariant_8_applies_are_claimed(&mut self, id: &ObjectId, why: &Why) -> Option<String> {
        if self.is_overtaken(why) {
            self.truth.overtaken += 1;
            return None;
        }
        let parent = self.parents.get(&why.environment)?;
        let held = parent.held.as_ref().filter(|held| parent.seen_inputs.as_ref() == Some(&held.inputs));
        let enforced = held.map_or(parent.seen_inputs.as_ref(), |held| Some(&held.to.inputs));
        let claimed =
            enforced == Some(&why.inputs) || (held.is_some() && parent.holds() == Some(&why.inputs));
        (!claimed)
            .then(|| format!("{id} is written for {}, which the parent has not seen", why.commit.short()))
    }

    /// 12. When nothing goes wrong, one replica works on an environment.
    fn invariant_12_one_at_a_time(&self, replica: usize, environment: &EnvironmentName) -> Option<String> {
        let calm = self.truth.calm_since.is_some_and(|since| self.now.duration_since(since) > LEASES_SETTLE);
        let owner = owner(environment, &self.truth.alive)?;
        let mine = owner.0.starts_with(&format!("replica-{replica}-"));
        (calm && !mine).then(|| format!("replica {replica} works on {environment}, which is {owner}'s"))
    }

    /// 15 (without replay). What is said to be applied or live was so at some moment since the pass began to look.
    pub(super) fn invariant_15_applied_is_true(
        &self,
        environment: &EnvironmentName,
        commit: &CommitId,
        cursor: u64,
        healthy: bool,
    ) -> Option<String> {
        let target = self.git.target(commit, environment)?;
        let Some(desired) = target.desired() else { return Some(format!("{} is broken", commit.short())) };
        if desired.settings.decommission {
            return None;
        }
        for object in &desired.objects {
            let id = object.reference.id();
            let fought_over = self.truth.edits.get(&id).is_some_and(|edits| *edits > EDITS_BEFORE_A_FIGHT);
            if fought_over || self.truth.unseen.contains(&id) {
                continue;
            }
            let stood = |live: &Value| {
                covers(live, object.value())
                    && live["metadata"]["deletionTimestamp"].is_null()
                    && (!healthy || is_well(live))
            };
            if !self.states_since(&id, cursor).any(stood) {
                return Some(format!("{id} is not as {} asks, and was not", commit.short()));
            }
        }
        None
    }

    /// The states of an object from the one that was current at a version to the newest.
    pub(super) fn states_since(&self, id: &ObjectId, cursor: u64) -> impl Iterator<Item = &Value> {
        let mut found = Vec::new();
        for event in self.events.iter().rev() {
            let News::Object { id: of, object, gone } = &event.news else { continue };
            if of != id {
                continue;
            }
            if !gone {
                found.push(object);
            }
            if event.version <= cursor {
                break;
            }
        }
        found.into_iter()
    }
}

/// Not on its way and not failed.
pub fn is_well(live: &Value) -> bool {
    !matches!(assess(live).state, HealthState::Progressing | HealthState::Degraded)
}
