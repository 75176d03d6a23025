//! Worlds in any state at all, also ones that no history leads to: what a plan must never do holds in each of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use tidegate_core::drift::{AllowList, Flips, ForeignEntry, ManagedSummary};
use tidegate_core::health::{Health, HealthState};
use tidegate_core::ids::Digest;
use tidegate_core::inventory::{Inventory, InventoryEntry};
use tidegate_core::object::{DesiredObject, ObjectId};
use tidegate_core::observed::{DryRun, LiveObject, Observed, Ownership};
use tidegate_core::plan::{Failure, Plan, PlanInput, PlanSettings, PruneSettings, plan};
use tidegate_core::problem::{Code, Problem};

use crate::objects::{TEXTS, desired, id, object, universe};

/// The ApplySet of the environment under test.
pub const SET: &str = "applyset-ours-v1";
/// The file of the environment under test.
pub const OWN_FILE: &str = "environments/dev/environment.yaml";

/// Everything that a plan depends on, owned.
#[derive(Debug, Clone)]
pub struct World {
    /// What the environment says about itself.
    pub settings: PlanSettings,
    /// The complete desired set, if one is known.
    pub desired: Option<Vec<Arc<DesiredObject>>>,
    /// What was seen.
    pub observed: Observed,
    /// What is owned.
    pub inventory: Inventory,
    /// What was refused.
    pub failed: BTreeMap<ObjectId, Failure>,
}

impl World {
    /// The plan of this world.
    pub fn plan(&self) -> Plan {
        plan(&PlanInput {
            settings: &self.settings,
            desired: self.desired.as_deref(),
            observed: &self.observed,
            inventory: &self.inventory,
            failed: &self.failed,
            flips: &Flips::default(),
            now: now(),
        })
    }
}

/// A fixed time: worlds have no clock.
pub fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

/// Settings of an environment that prunes, without limits.
pub fn open_settings() -> PlanSettings {
    PlanSettings {
        apply_set: SET.to_owned(),
        environment: "dev".parse().expect("a DNS label"),
        prune: PruneSettings { enabled: true, max: 1_000, percent: 100, allow: guarded_kinds() },
        adopt: Vec::new(),
        suspended: None,
        rolled_back_from: None,
        unfinished_wave: None,
        decommission: false,
        allow: AllowList::default(),
        file: OWN_FILE.into(),
    }
}

/// The kinds that are pruned only with permission.
pub fn guarded_kinds() -> Vec<String> {
    ["Namespace", "PersistentVolumeClaim", "CustomResourceDefinition"].map(str::to_owned).to_vec()
}

/// Settings of any kind.
fn settings() -> impl Strategy<Value = PlanSettings> {
    let flags = (prop::bool::weighted(0.85), prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    let budget = prop_oneof![2 => (Just(1_000u32), Just(100u32)), 1 => (0..6u32, Just(100u32)), 1 => (Just(1_000u32), 0..40u32)];
    let allow = prop::sample::subsequence(guarded_kinds(), 0..=3);
    (flags, budget, allow).prop_map(|((enabled, suspended, decommission), (max, percent), allow)| {
        PlanSettings {
            prune: PruneSettings { enabled, max, percent, allow },
            suspended: suspended.then(|| "incident".to_owned()),
            decommission,
            ..open_settings()
        }
    })
}

/// What is seen and known of one object; numbers choose among variants.
#[derive(Debug, Clone)]
struct Cell {
    live: Option<Live>,
    entry: Option<Entry>,
    unread: bool,
    dry_run: Option<(bool, bool, bool)>,
    refused: bool,
}

#[derive(Debug, Clone)]
struct Live {
    uid: u8,
    ownership: u8,
    deleting: bool,
    prune_disabled: bool,
    own: u8,
    foreign: bool,
    health: u8,
}

#[derive(Debug, Clone)]
struct Entry {
    uid: Option<u8>,
    text: usize,
    own: u8,
}

fn cell() -> impl Strategy<Value = Cell> {
    let live = (
        0..10u8,
        0..12u8,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        0..4u8,
        any::<bool>(),
        0..8u8,
    )
        .prop_map(|(uid, ownership, deleting, prune_disabled, own, foreign, health)| Live {
            uid: u8::from(uid == 0),
            ownership,
            deleting,
            prune_disabled,
            own: u8::from(own == 0),
            foreign,
            health,
        });
    let entry = (prop::option::weighted(0.85, 0..10u8), 0..TEXTS, 0..4u8).prop_map(|(uid, text, own)| {
        Entry { uid: uid.map(|uid| u8::from(uid == 0)), text, own: u8::from(own == 0) }
    });
    let dry_run = prop::option::weighted(0.5, any::<(bool, bool, bool)>());
    let rare = (prop::bool::weighted(0.05), prop::bool::weighted(0.1));
    (prop::option::weighted(0.7, live), prop::option::weighted(0.7, entry), dry_run, rare)
        .prop_map(|(live, entry, dry_run, (unread, refused))| Cell { live, entry, unread, dry_run, refused })
}

/// A world in any state. In two of three everything could be read.
pub fn any_world() -> impl Strategy<Value = World> {
    let cells = prop::collection::vec(cell(), universe().count());
    let parts = (settings(), prop::option::weighted(0.95, desired(24)), cells, prop::bool::weighted(0.33));
    parts.prop_map(|(settings, desired, cells, partial)| {
        let mut world = World {
            settings,
            desired,
            observed: Observed::default(),
            inventory: Inventory::default(),
            failed: BTreeMap::new(),
        };
        for ((kind, name), cell) in universe().zip(cells) {
            fill(&mut world, (kind, name), &cell, partial);
        }
        world
    })
}

fn fill(world: &mut World, (kind, name): (usize, usize), cell: &Cell, partial: bool) {
    let id = id(kind, name);
    let uid = |n: u8| format!("{id}-{n}");
    let wanted = world.desired.iter().flatten().find(|object| object.reference.id() == id).cloned();
    if let Some(entry) = &cell.entry {
        let known = object(kind, name, entry.text, 0);
        world.inventory.entries.insert(
            id.clone(),
            InventoryEntry {
                api_version: known.reference.gvk.api_version(),
                uid: entry.uid.map(uid),
                applied: entry.uid.map(|_| known.digest()),
                own: entry.uid.map(|_| Digest::of(&[entry.own])),
                foreign: None,
                settled: false,
                adopted: false,
            },
        );
    }
    if cell.unread && partial {
        world.observed.unread.insert(id, "connection reset".to_owned());
        return;
    }
    if let Some(live) = &cell.live {
        world.observed.objects.insert(id.clone(), Arc::new(live_object(&uid(live.uid), live)));
    }
    if let (Some(wanted), Some((changes, migrate, error))) = (&wanted, cell.dry_run) {
        world.observed.dry_runs.insert(id.clone(), dry_run(wanted, changes, migrate, error));
    }
    if cell.refused {
        let failure = Failure {
            desired: wanted.map(|object| object.digest()),
            uid: cell.live.as_ref().map(|live| uid(live.uid)),
            problem: Problem::error(Code::Rejected, "no"),
            retry_at: None,
        };
        world.failed.insert(id, failure);
    }
}

fn live_object(uid: &str, live: &Live) -> LiveObject {
    let other = |environment: Option<&str>| Ownership::ApplySet {
        id: "applyset-other-v1".to_owned(),
        environment: environment.map(str::to_owned),
    };
    let ownership = match live.ownership {
        0 => Ownership::Unmarked,
        1 => Ownership::Other { tool: "Helm", mark: "app.kubernetes.io/managed-by=Helm".to_owned() },
        2 => other(Some("production")),
        3 => other(None),
        _ => Ownership::ApplySet { id: SET.to_owned(), environment: Some("dev".to_owned()) },
    };
    let foreign = ForeignEntry {
        manager: "somebody".to_owned(),
        apply: false,
        subresource: String::new(),
        time: None,
        fields: Digest::of(b"fields"),
        migrate: false,
    };
    LiveObject {
        api_version: "v1".to_owned(),
        uid: uid.to_owned(),
        resource_version: "7".to_owned(),
        deleting: live.deleting,
        finalizers: Vec::new(),
        ownership,
        prune_disabled: live.prune_disabled,
        managed: ManagedSummary {
            own: Some(Digest::of(&[live.own])),
            own_time: None,
            foreign: if live.foreign { vec![foreign] } else { Vec::new() },
        },
        health: health(live.health),
        kept: None,
        podless: false,
    }
}

fn health(variant: u8) -> Option<Health> {
    let state = match variant {
        0 => HealthState::Progressing,
        1 => HealthState::Degraded,
        2 => HealthState::Unknown,
        3 => HealthState::Suspended,
        4 => return None,
        _ => HealthState::Healthy,
    };
    Some(Health { state, reason: "as generated".to_owned() })
}

fn dry_run(object: &DesiredObject, changes: bool, migrate: bool, error: bool) -> DryRun {
    DryRun {
        resource_version: "7".to_owned(),
        desired: object.digest(),
        changes: if changes { vec![crate::simulation::hand_made_change()] } else { Vec::new() },
        by: Vec::new(),
        migrate,
        error: (error && changes && migrate).then(|| "the webhook timed out".to_owned()),
    }
}
