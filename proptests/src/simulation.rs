//! A cluster small enough to run thousands of times: it executes plans on a map, lets hands change it, and becomes healthy
//! after a while. It checks every precondition, as the API server would.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_core::diff::FieldChange;
use tidegate_core::drift::{AllowList, ForeignEntry, ManagedSummary};
use tidegate_core::health::{Health, HealthState};
use tidegate_core::ids::Digest;
use tidegate_core::inventory::{Applied, Inventory};
use tidegate_core::object::{DesiredObject, ObjectId};
use tidegate_core::observed::{DryRun, LiveObject, Observed, Ownership};
use tidegate_core::plan::{Action, Apply, Delete, Plan};

use crate::worlds::{SET, World, open_settings};

/// A world with a history: every state of it was reached by plans and hands.
#[derive(Debug, Clone)]
pub struct Simulation {
    /// What plans are made from.
    pub world: World,
    /// Every delete that was made.
    pub deleted: Vec<ObjectId>,
    /// Requests that changed something.
    pub writes: usize,
    marks: BTreeMap<ObjectId, Marks>,
    clock: u64,
}

/// What hands did to one object, and how long it still takes to become healthy.
#[derive(Debug, Clone, Default)]
struct Marks {
    changed: bool,
    added: bool,
    ticks: u8,
}

/// What a hand does to one live object, chosen by its place.
#[derive(Debug, Clone, Copy)]
pub enum Hand {
    /// Changes a field of ours.
    Change,
    /// Adds fields with kubectl.
    Add,
    /// Deletes it.
    Delete,
    /// Takes our labels away.
    Unlabel,
    /// Deletes it and makes another of the same name.
    Replace,
}

/// The change that every hand makes.
pub fn hand_made_change() -> FieldChange {
    FieldChange {
        path: "metadata.labels.text".to_owned(),
        pointer: "/metadata/labels/text".to_owned(),
        old: Some("hand".into()),
        new: Some("git".into()),
    }
}

impl Simulation {
    /// An empty cluster, and this desired set.
    pub fn new(desired: Vec<Arc<DesiredObject>>) -> Self {
        let world = World {
            settings: open_settings(),
            desired: Some(desired),
            observed: Observed::default(),
            inventory: Inventory::default(),
            failed: BTreeMap::new(),
        };
        Self { world, deleted: Vec::new(), writes: 0, marks: BTreeMap::new(), clock: 0 }
    }

    /// Plans and executes until nothing is left to do and nothing is on its way; how many rounds that took, if it ended.
    pub fn converge(&mut self, most_rounds: usize) -> Option<usize> {
        for round in 0..most_rounds {
            let plan = self.world.plan();
            let waiting = self.marks.values().any(|marks| marks.ticks > 0);
            if plan.is_empty() && !waiting {
                return Some(round);
            }
            self.execute(&plan, usize::MAX);
            self.tick();
        }
        None
    }

    /// Executes at most so many actions of a plan: a daemon may be killed between any two.
    pub fn execute(&mut self, plan: &Plan, most_actions: usize) {
        for id in &plan.inspect {
            self.inspect(id);
        }
        for action in plan.actions().take(most_actions) {
            match action {
                Action::Apply(apply) => self.apply(apply),
                Action::Delete(delete) => self.delete(delete),
            }
        }
        let allow = AllowList::default();
        for id in &plan.accept {
            if let Some(live) = self.world.observed.objects.get(id) {
                self.world.inventory.record_accepted(id, &live.managed, &allow, true);
            }
        }
        for id in &plan.forget {
            self.world.inventory.forget(id);
        }
    }

    /// Writes the intent of the first apply and stops: a daemon killed before its request was answered, which went through or not.
    pub fn cut_short(&mut self, plan: &Plan, went_through: bool) {
        let Some(Action::Apply(apply)) = plan.actions().next() else { return };
        self.world.inventory.record_intent(apply);
        if went_through {
            let unread = self.world.inventory.clone();
            self.apply(apply);
            self.world.inventory = unread;
        }
    }

    /// Lets a hand change one of the live objects.
    pub fn touch(&mut self, place: usize, hand: Hand) {
        let count = self.world.observed.objects.len();
        if count == 0 {
            return;
        }
        let Some(id) = self.world.observed.objects.keys().nth(place % count).cloned() else { return };
        let version = self.next();
        let Some(live) = self.world.observed.objects.get_mut(&id).map(Arc::make_mut) else { return };
        live.resource_version = format!("{version}");
        let marks = self.marks.entry(id.clone()).or_default();
        match hand {
            Hand::Change => {
                marks.changed = true;
                live.managed.own = Some(Digest::of(format!("taken {version}").as_bytes()));
            }
            Hand::Add => {
                marks.added = true;
                live.managed.foreign.push(kubectl());
            }
            Hand::Delete => {
                self.world.observed.objects.remove(&id);
                self.marks.remove(&id);
            }
            Hand::Unlabel => {
                marks.changed = true;
                live.ownership = Ownership::Unmarked;
                live.managed.own = Some(Digest::of(format!("taken {version}").as_bytes()));
            }
            Hand::Replace => {
                live.uid = format!("foreign-{version}");
                live.ownership = Ownership::Unmarked;
                live.managed = ManagedSummary::default();
                marks.changed = true;
            }
        }
    }

    fn inspect(&mut self, id: &ObjectId) {
        let wanted = self.world.desired.iter().flatten().find(|object| object.reference.id() == *id);
        let (Some(object), Some(live)) = (wanted, self.world.observed.objects.get(id)) else { return };
        let marks = self.marks.get(id).cloned().unwrap_or_default();
        let run = DryRun {
            resource_version: live.resource_version.clone(),
            desired: object.digest(),
            changes: if marks.changed { vec![hand_made_change()] } else { Vec::new() },
            by: Vec::new(),
            migrate: marks.added,
            error: None,
        };
        self.world.observed.dry_runs.insert(id.clone(), run);
    }

    fn apply(&mut self, apply: &Apply) {
        let id = apply.object.reference.id();
        let version = self.next();
        let live = self.world.observed.objects.get(&id);
        let conflict = apply.uid.as_ref() != live.map(|live| &live.uid)
            || apply
                .resource_version
                .as_ref()
                .is_some_and(|wanted| live.is_none_or(|live| live.resource_version != *wanted));
        assert!(!conflict, "{id} changed between observation and write, in a world where nobody else writes");
        let uid = live.map_or_else(|| format!("uid-{version}"), |live| live.uid.clone());
        let managed = ManagedSummary {
            own: Some(Digest::of(format!("own {version}").as_bytes())),
            own_time: None,
            foreign: live
                .map(|live| {
                    live.managed
                        .foreign
                        .iter()
                        .filter(|entry| !(apply.migrate && entry.migrate))
                        .cloned()
                        .collect()
                })
                .unwrap_or_default(),
        };
        let digest = apply.object.digest();
        let marks = self.marks.entry(id.clone()).or_default();
        let slow = matches!(id.kind.as_str(), "Deployment" | "CustomResourceDefinition");
        *marks =
            Marks { changed: false, added: marks.added && !apply.migrate, ticks: if slow { 2 } else { 0 } };
        let health = Some(health(marks.ticks));
        self.world.observed.objects.insert(
            id.clone(),
            Arc::new(LiveObject {
                api_version: apply.object.reference.gvk.api_version(),
                uid: uid.clone(),
                resource_version: format!("{version}"),
                deleting: false,
                finalizers: Vec::new(),
                ownership: Ownership::ApplySet { id: SET.to_owned(), environment: Some("dev".to_owned()) },
                prune_disabled: false,
                managed: managed.clone(),
                health,
                kept: None,
                podless: false,
            }),
        );
        let applied = Applied { uid, digest, managed };
        self.world.inventory.record_applied(&apply.object.reference, applied, &AllowList::default());
        self.writes += 1;
    }

    fn delete(&mut self, delete: &Delete) {
        let id = delete.object.id();
        let uid = self.world.observed.objects.get(&id).map(|live| live.uid.clone());
        assert_eq!(uid.as_ref(), Some(&delete.uid), "{id} is deleted under the uid that was seen");
        self.world.observed.objects.remove(&id);
        self.world.inventory.forget(&id);
        self.marks.remove(&id);
        self.deleted.push(id);
        self.writes += 1;
    }

    fn tick(&mut self) {
        for (id, marks) in &mut self.marks {
            marks.ticks = marks.ticks.saturating_sub(1);
            if let Some(live) = self.world.observed.objects.get_mut(id).map(Arc::make_mut) {
                live.health = Some(health(marks.ticks));
            }
        }
    }

    fn next(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

fn health(ticks: u8) -> Health {
    let state = if ticks > 0 { HealthState::Progressing } else { HealthState::Healthy };
    Health { state, reason: format!("{ticks} ticks left") }
}

fn kubectl() -> ForeignEntry {
    ForeignEntry {
        manager: "kubectl-patch".to_owned(),
        apply: false,
        subresource: String::new(),
        time: None,
        fields: Digest::of(b"sidecar"),
        migrate: true,
    }
}
