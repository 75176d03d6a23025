//! What an environment owns in its cluster: the ApplySet parent and its shards, as values.
//!
//! Stored in Tidegate's namespace of the target cluster, so that people who may write ConfigMaps beside the apps cannot
//! forge deletes. An entry is written *before* its object is created (without a uid) and completed afterwards, so that a
//! kill between the two leaves nothing unknown.

mod labels;
mod marks;
mod shards;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::drift::{AllowList, ManagedSummary};
use crate::ids::Digest;
use crate::object::{ObjectId, ObjectRef};
use crate::observed::{LiveObject, Ownership};
use crate::plan::{Apply, ApplyReason};

pub use labels::{
    ADDITIONAL_NAMESPACES, APPLY_SET_ID, CONTAINS_GROUP_KINDS, ENVIRONMENT, PART_OF, PRUNE, PRUNE_DISABLED,
    TOOLING, TOOLING_VALUE, apply_set_id,
};
pub use marks::{Marks, NOWHERE, Precondition, marked};
pub use shards::{CorruptInventory, MAX_SHARDS, SHARD_LIMIT_BYTES, Shard, decode, encode, encode_at};

/// One object that an environment owns or is about to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InventoryEntry {
    /// The API version that it was last applied in.
    pub api_version: String,
    /// Its uid; none while a create (the first one, or again) is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Digest of what was last applied; none while the first create is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Digest>,
    /// Digest of our own managed-fields entry after that apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Digest>,
    /// Digest over the foreign entries that a dry-run has found harmless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<Digest>,
    /// The second of our own apply had passed when that was found, so that nothing can hide behind the same time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settled: bool,
    /// It existed before, made by somebody else, and was taken over: no rollback of ours deletes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
}

impl InventoryEntry {
    /// True while a create (the first one, or again) is under way: written before the object, completed after it.
    pub fn is_pending(&self) -> bool {
        self.uid.is_none()
    }
}

/// Everything that an environment owns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Entries by object.
    pub entries: BTreeMap<ObjectId, InventoryEntry>,
}

impl Inventory {
    /// True when what a watch shows of an object contradicts this: another uid, or no mark of ours. The watch may be behind the
    /// inventory, and whoever believed it would forget an object that is still ours.
    pub fn doubts(&self, id: &ObjectId, live: &LiveObject) -> bool {
        let Some(entry) = self.entries.get(id) else { return false };
        let is_other = entry.uid.as_ref().is_some_and(|uid| *uid != live.uid);
        is_other
            || match live.ownership {
                Ownership::ApplySet { .. } => false,
                Ownership::Unmarked | Ownership::Other { .. } => true,
            }
    }

    /// Notes that an object is about to be created. What is already known of it stays. True when that changed anything.
    pub fn record_pending(&mut self, reference: &ObjectRef) -> bool {
        let id = reference.id();
        if self.entries.contains_key(&id) {
            return false;
        }
        let entry = InventoryEntry {
            api_version: reference.gvk.api_version(),
            uid: None,
            applied: None,
            own: None,
            foreign: None,
            settled: false,
            adopted: false,
        };
        self.entries.insert(id, entry);
        true
    }

    /// Notes that an apply is about to be sent. An object that is created again has no uid until that is done: its new one
    /// is ours even if the daemon is killed before it reads the answer. True when that changed anything.
    pub fn record_intent(&mut self, apply: &Apply) -> bool {
        let reference = &apply.object.reference;
        let changed = self.record_sending(apply);
        match &apply.reason {
            ApplyReason::Adopt => {
                let entry = self.entries.get_mut(&reference.id());
                entry.is_some_and(|entry| !std::mem::replace(&mut entry.adopted, true)) || changed
            }
            ApplyReason::Create
            | ApplyReason::Recreate
            | ApplyReason::Changed
            | ApplyReason::Drift { .. }
            | ApplyReason::Resume => changed,
        }
    }

    fn record_sending(&mut self, apply: &Apply) -> bool {
        let reference = &apply.object.reference;
        if apply.migrate
            && let Some(entry) = self.entries.get_mut(&reference.id())
        {
            // A migration gives us the fields of others before the apply sets their values. Killed between the two, our own
            // entry would look as the last apply left it: what is remembered of it must not match.
            return entry.own.take().is_some();
        }
        match &apply.reason {
            ApplyReason::Recreate => match self.entries.get_mut(&reference.id()) {
                Some(entry) => entry.uid.take().is_some(),
                None => self.record_pending(reference),
            },
            ApplyReason::Create
            | ApplyReason::Changed
            | ApplyReason::Drift { .. }
            | ApplyReason::Resume
            | ApplyReason::Adopt => self.record_pending(reference),
        }
    }

    /// Notes what came of an apply: `managed` is that of the API server's answer. The foreign entries in it are taken as
    /// harmless (a forced apply has just set every field of ours), unless some of them are still to be migrated.
    pub fn record_applied(&mut self, reference: &ObjectRef, applied: Applied, allow: &AllowList) {
        let Applied { uid, digest, managed } = applied;
        let foreign = if managed.wants_migration() { None } else { managed.foreign_digest(allow) };
        let adopted = self.entries.get(&reference.id()).is_some_and(|entry| entry.adopted);
        let entry = InventoryEntry {
            api_version: reference.gvk.api_version(),
            uid: Some(uid),
            applied: Some(digest),
            own: managed.own,
            foreign,
            settled: false,
            adopted,
        };
        self.entries.insert(reference.id(), entry);
    }

    /// Notes that a dry-run found the object in sync as it is (see [`crate::plan::Plan::accept`]). `settled`: at least
    /// [`crate::drift::SETTLE_SECONDS`] have passed since our own entry was written. True when that changed anything.
    pub fn record_accepted(
        &mut self,
        id: &ObjectId,
        managed: &ManagedSummary,
        allow: &AllowList,
        settled: bool,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(id) else { return false };
        let accepted = InventoryEntry {
            own: managed.own.clone(),
            foreign: managed.foreign_digest(allow),
            settled,
            ..entry.clone()
        };
        let changed = *entry != accepted;
        *entry = accepted;
        changed
    }

    /// Removes an entry: the object is deleted, or not ours any more. True when it was there.
    pub fn forget(&mut self, id: &ObjectId) -> bool {
        self.entries.remove(id).is_some()
    }

    /// Removes the entry of a create that met an object of somebody else. True when there was one.
    pub fn forget_intent(&mut self, id: &ObjectId) -> bool {
        let never_made = self.entries.get(id).is_some_and(|it| it.is_pending() && it.applied.is_none());
        never_made && self.forget(id)
    }

    /// Objects whose create was under way when the entry was written.
    pub fn pending(&self) -> impl Iterator<Item = &ObjectId> {
        self.entries.iter().filter(|(_, entry)| entry.is_pending()).map(|(id, _)| id)
    }

    /// What the parent says in [`CONTAINS_GROUP_KINDS`]: `Kind.group`, sorted.
    pub fn group_kinds(&self) -> BTreeSet<String> {
        self.entries
            .keys()
            .map(|id| if id.group.is_empty() { id.kind.clone() } else { format!("{}.{}", id.kind, id.group) })
            .collect()
    }

    /// What the parent says in [`ADDITIONAL_NAMESPACES`]: every namespace with a member, except the parent's own.
    pub fn additional_namespaces(&self, parent_namespace: &str) -> BTreeSet<String> {
        self.entries
            .keys()
            .filter_map(|id| id.namespace.as_deref())
            .filter(|namespace| *namespace != parent_namespace)
            .map(str::to_owned)
            .collect()
    }
}

/// What the API server answered to an apply, as far as the inventory keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// `metadata.uid`.
    pub uid: String,
    /// [`crate::object::DesiredObject::digest`] of what was sent.
    pub digest: Digest,
    /// `metadata.managedFields` of the answer.
    pub managed: ManagedSummary,
}

#[cfg(test)]
mod tests;
