//! What a lane remembers of its environment between passes. All of it can be lost: it is rebuilt from git and the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;
use tidegate_core::drift::{Evidence, Flips};
use tidegate_core::health::Health;
use tidegate_core::ids::Digest;
use tidegate_core::inventory::Inventory;
use tidegate_core::object::ObjectId;
use tidegate_core::observed::Observed;
use tidegate_core::plan::{Failure, Plan};
use tidegate_core::problem::Problem;
use tidegate_core::standing::Progress;
use tidegate_core::status::{DriftRecord, EnvironmentStatus, ForeignRecord};

use super::rescue::Remembered;
use super::rollback::Past;
use crate::cluster::parent::{Parent, Resumption};
use crate::cluster::shards::StoredShards;
use crate::world::DesiredSet;

/// What a lane remembers.
#[derive(Default)]
pub struct Memory {
    /// The newest set that was free of errors: this one is enforced.
    pub good: Option<Arc<DesiredSet>>,
    /// The set that the objects were compared with while the environment is suspended; none when they were not.
    pub examined: Option<Arc<DesiredSet>>,
    /// The set of the commit that was applied last, once it had to be loaded for that; none inside when it cannot be.
    pub applied: Option<(String, Option<Arc<DesiredSet>>)>,
    /// The set of the last good commit, while it is enforced in place of a held one or a rollback to it is considered.
    pub past: Option<Past>,
    /// What is wrong with newer inputs, by their digest.
    pub rejected: Option<(Digest, Vec<Problem>)>,
    /// When they were looked at last.
    pub rejected_at: Option<Instant>,
    /// The parent object.
    pub parent: Option<Parent>,
    /// The revision that this replica has claimed last.
    pub claimed: Option<String>,
    /// The inventory and its shards; none until read.
    pub inventory: Option<(Inventory, StoredShards)>,
    /// What was in the two when they were last known; while they are being read again.
    pub remembered: Option<Remembered>,
    /// What the API server refused.
    pub failed: BTreeMap<ObjectId, Failure>,
    /// Further problems of a refused object (the first stands in its [`Failure`]).
    pub further: BTreeMap<ObjectId, Vec<Problem>>,
    /// Conflicts in a row over an object.
    pub conflicts: BTreeMap<ObjectId, u32>,
    /// Dry-runs that are still evidence.
    pub evidence: Evidence,
    /// Objects that dry-runs of this pass have read and that are to be repaired.
    pub inspected: BTreeMap<ObjectId, Value>,
    /// When the first of the dry-runs that failed did so.
    pub dry_runs_failed_at: Option<Instant>,
    /// Fields of others that dry-runs have shown.
    pub foreign: BTreeMap<ObjectId, Vec<ForeignRecord>>,
    /// Repairs of late.
    pub flips: Flips,
    /// Repairs since the last record, newest last.
    pub repairs: Vec<DriftRecord>,
    /// What the last round saw and planned, for the record.
    pub last: Option<(Observed, Plan)>,
    /// When the inputs that are now enforced were first seen, and when they were applied whole.
    pub progress: Progress,
    /// What was left in other clusters, as a warning for each.
    pub moved: Vec<Problem>,
    /// The last record that was written.
    pub written: Option<EnvironmentStatus>,
    /// Annotations that are due on the parent with the next record: one write instead of several.
    pub unsaid: BTreeMap<String, Option<String>>,
    /// When it was written.
    pub written_at: Option<Instant>,
    /// Why workloads are not ready, by their pods.
    pub pods: BTreeMap<ObjectId, Health>,
    /// Since when objects are unwell at a stretch, at these inputs (for deadlines).
    pub unwell: BTreeMap<ObjectId, Timestamp>,
    /// Passes that failed in a row, for the back-off.
    pub failures: u32,
    /// Passes that ended with work left, in a row, for the back-off.
    pub unfinished: u32,
    /// Another replica has seen a newer commit than this one; its record is left as it is.
    pub behind: bool,
    /// A daemon of another repository works on an environment of this name; said once.
    pub contested: bool,
    /// The sync request that was served last.
    pub served_sync: Option<String>,
    /// The last resumption that stood on the parent.
    pub served_resume: Option<Resumption>,
}

impl Memory {
    /// Fields of managers that hold nothing any more are not reported; no dry-run is needed to see that.
    pub fn forget_absent_managers(&mut self, observed: &Observed) {
        self.foreign.retain(|id, records| {
            if let Some(live) = observed.objects.get(id) {
                let holds = |manager: &str| live.managed.foreign.iter().any(|entry| entry.manager == manager);
                records.retain(|record| holds(&record.field.manager));
            }
            !records.is_empty()
        });
    }

    /// Forgets everything that was read from the cluster, so that the next pass reads it again.
    pub fn forget_cluster(&mut self) {
        self.set_aside();
        self.progress.away = true;
        self.evidence.clear();
        self.last = None;
    }

    /// The same when the environment is no longer ours there: what was known of it is of no use.
    pub fn leave_cluster(&mut self) {
        self.forget_cluster();
        self.remembered = None;
    }

    /// The parent and the inventory are to be read again. They are remembered until then: the parent may turn out to be gone.
    pub fn set_aside(&mut self) {
        self.unsaid.clear();
        if let (Some(parent), Some((inventory, _))) = (self.parent.take(), self.inventory.take()) {
            self.remembered = Some(Remembered { parent, inventory, made: None });
        }
    }
}
