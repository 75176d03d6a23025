//! `metadata.managedFields` in short: our own entry and those of others. Not the fields themselves.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entry::Entry;
use super::fields::canonical;
use super::migrate::wants_migration;
use crate::ids::Digest;

/// The API server keeps ten entries of operation Update and one per applying manager; more are not read.
const MAX_ENTRIES: usize = 1_000;

/// What `metadata.managedFields` says, as far as drift needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManagedSummary {
    /// Digest of our own Apply entry, its time included; none when we have no entry.
    pub own: Option<Digest>,
    /// The time of our own entry (one-second grain).
    pub own_time: Option<Timestamp>,
    /// Entries of operation Update (or Apply by others) with spec or data fields.
    pub foreign: Vec<ForeignEntry>,
}

/// One entry of another field manager that holds more than status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignEntry {
    /// `manager`.
    pub manager: String,
    /// `operation` is Apply (server-side apply of somebody else); else Update.
    pub apply: bool,
    /// `subresource`, empty for the object itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// When it last changed.
    pub time: Option<Timestamp>,
    /// Digest of its field set.
    pub fields: Digest,
    /// It is kubectl's, and holds fields that are to be migrated to us (see [`super::migrate_kubectl`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub migrate: bool,
}

/// Field managers whose writes are expected: controllers of Kubernetes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowList {
    /// Names of managers.
    pub managers: BTreeSet<String>,
    /// Writes through the `scale` subresource by anybody (where an ignore rule leaves replicas to an autoscaler).
    pub scale: bool,
}

impl Default for AllowList {
    fn default() -> Self {
        let managers = ["kube-controller-manager", "kube-scheduler", "kubelet", "cloud-controller-manager"];
        Self { managers: managers.into_iter().map(str::to_owned).collect(), scale: false }
    }
}

impl AllowList {
    /// True for entries that say nothing about drift.
    pub fn covers(&self, entry: &ForeignEntry) -> bool {
        self.managers.contains(&entry.manager) || (self.scale && entry.subresource == "scale")
    }
}

impl ManagedSummary {
    /// Reads `metadata.managedFields`. Anything but a list of entries reads as "nobody manages anything", which is suspicious.
    pub fn parse(managed_fields: &Value) -> Self {
        let mut summary = Self::default();
        for entry in managed_fields.as_array().into_iter().flatten().take(MAX_ENTRIES) {
            let entry = Entry::read(entry);
            if entry.is_ours() {
                summary.own =
                    Some(Digest::of(format!("{}\n{}", entry.time_text, canonical(entry.fields)).as_bytes()));
                summary.own_time = entry.time();
            } else {
                summary.foreign.extend(ForeignEntry::of(&entry));
            }
        }
        summary
    }

    /// Digest over the foreign entries that the list does not cover, times left out; none when there are none.
    pub fn foreign_digest(&self, allow: &AllowList) -> Option<Digest> {
        let mut lines: Vec<String> = self
            .foreign
            .iter()
            .filter(|entry| !allow.covers(entry))
            .map(|entry| {
                let ForeignEntry { manager, apply, subresource, time: _, fields, migrate: _ } = entry;
                format!("{manager}\n{apply}\n{subresource}\n{fields}\n")
            })
            .collect();
        lines.sort_unstable();
        if lines.is_empty() { None } else { Some(Digest::of(lines.concat().as_bytes())) }
    }

    /// The summary without the entries that the list covers: what it takes to tell whether a write in between matters.
    #[must_use]
    pub fn unexpected(&self, allow: &AllowList) -> Self {
        let Self { own, own_time, foreign } = self;
        let foreign = foreign.iter().filter(|entry| !allow.covers(entry)).cloned().collect();
        Self { own: own.clone(), own_time: *own_time, foreign }
    }

    /// True when kubectl holds fields that are to be migrated to us.
    pub fn wants_migration(&self) -> bool {
        self.foreign.iter().any(|entry| entry.migrate)
    }
}

impl ForeignEntry {
    /// The entry as that of somebody else; none when it holds only status and bookkeeping.
    pub(super) fn of(entry: &Entry<'_>) -> Option<Self> {
        if entry.subresource == "status" {
            return None;
        }
        let held = held_fields(entry.fields);
        let fields = (!held.is_null()).then(|| Digest::of(canonical(&held).as_bytes()))?;
        Some(Self {
            manager: entry.manager.to_owned(),
            apply: entry.operation == "Apply",
            subresource: entry.subresource.to_owned(),
            time: entry.time(),
            fields,
            migrate: wants_migration(entry),
        })
    }
}

/// The field set without status and without metadata other than labels and annotations; null when nothing is left.
fn held_fields(fields: &Value) -> Value {
    let mut held = serde_json::Map::new();
    for (step, child) in fields.as_object().into_iter().flatten() {
        match step.as_str() {
            "." | "f:status" => {}
            "f:metadata" => {
                for kept in ["f:labels", "f:annotations"] {
                    if let Some(child) = child.get(kept) {
                        held.insert(format!("f:metadata.{kept}"), child.clone());
                    }
                }
            }
            _ => {
                held.insert(step.clone(), child.clone());
            }
        }
    }
    if held.is_empty() { Value::Null } else { Value::Object(held) }
}

#[cfg(test)]
mod tests {
    use std::borrow::Borrow;

    use serde_json::json;

    use super::*;

    fn entry(manager: &str, operation: &str, fields: impl Borrow<Value>) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "time": "2026-11-21T12:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": fields.borrow()})
    }

    #[test]
    fn our_entry_is_the_apply_of_our_manager() {
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        let summary = ManagedSummary::parse(&json!([
            entry("tidegate", "Apply", replicas.clone()),
            entry("tidegate", "Update", replicas)
        ]));
        assert!(summary.own.is_some());
        assert_eq!(summary.own_time, "2026-11-21T12:00:00Z".parse().ok());
        assert_eq!(
            summary.foreign.len(),
            1,
            "fields that an admission webhook set are not in our Apply entry"
        );
    }

    #[test]
    fn our_digest_changes_with_the_time_and_with_the_fields() {
        let ours = entry("tidegate", "Apply", json!({"f:spec": {"f:replicas": {}}}));
        let mut later = ours.clone();
        later["time"] = json!("2026-11-21T12:00:01Z");
        let own = |entry: &Value| ManagedSummary::parse(&json!([entry])).own.unwrap();
        assert_ne!(own(&ours), own(&later));
        assert_ne!(own(&ours), own(&entry("tidegate", "Apply", json!({"f:spec": {"f:paused": {}}}))));
        assert_eq!(own(&ours), own(&ours.clone()));
    }

    #[test]
    fn status_and_bookkeeping_are_nobodys_drift() {
        let mut status = entry(
            "a",
            "Update",
            json!({"f:status": {"f:phase": {}}, "f:metadata": {"f:annotations": {"f:x": {}}}}),
        );
        status["subresource"] = json!("status");
        let quiet = [
            status,
            entry("b", "Update", json!({"f:status": {"f:phase": {}}})),
            entry("c", "Update", json!({"f:metadata": {"f:ownerReferences": {}, "f:finalizers": {}}})),
            json!(null),
        ];
        assert_eq!(ManagedSummary::parse(&json!(quiet)).foreign, []);
        assert_eq!(ManagedSummary::parse(&json!("nonsense")), ManagedSummary::default());
    }

    #[test]
    fn labels_annotations_and_data_are() {
        for fields in [
            json!({"f:metadata": {"f:labels": {"f:x": {}}}}),
            json!({"f:metadata": {"f:annotations": {"f:x": {}}}}),
            json!({"f:data": {"f:x": {}}}),
            json!({"f:rules": {}}),
        ] {
            assert_eq!(ManagedSummary::parse(&json!([entry("x", "Update", fields)])).foreign.len(), 1);
        }
    }

    #[test]
    fn the_digest_over_others_leaves_out_times_and_expected_managers() {
        let allow = AllowList::default();
        let digest = |entries: Value| ManagedSummary::parse(&entries).foreign_digest(&allow);
        let spec = json!({"f:spec": {"f:replicas": {}}});
        let mut later = entry("x", "Update", spec.clone());
        later["time"] = json!("2026-11-21T13:00:00Z");
        let plain = digest(json!([entry("x", "Update", spec.clone())]));
        assert!(plain.is_some());
        assert_eq!(plain, digest(json!([later, entry("kube-controller-manager", "Update", spec.clone())])));
        assert_ne!(plain, digest(json!([entry("x", "Apply", spec.clone())])));
        assert_ne!(plain, digest(json!([entry("y", "Update", spec.clone())])));
        assert_eq!(digest(json!([entry("kubelet", "Update", spec)])), None);
    }

    #[test]
    fn scale_by_anybody_is_expected_only_where_that_is_said() {
        let mut scaled = entry("kubectl", "Update", json!({"f:spec": {"f:replicas": {}}}));
        scaled["subresource"] = json!("scale");
        let summary = ManagedSummary::parse(&json!([scaled]));
        assert!(summary.foreign_digest(&AllowList::default()).is_some());
        assert_eq!(summary.foreign_digest(&AllowList { scale: true, ..AllowList::default() }), None);
        assert!(!summary.wants_migration(), "kubectl scale holds what our apply takes back by force");
    }
}
