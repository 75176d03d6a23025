//! What the shell saw of the cluster, in compact form: metadata, field managers, health. Not the reading itself,
//! and never the data of an object (a Secret's values do not pass through here).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diff::FieldChange;
use crate::drift::{ForeignEntry, ManagedSummary};
use crate::health::Health;
use crate::ids::Digest;
use crate::inventory::{ENVIRONMENT, PART_OF};
use crate::object::ObjectId;

/// One live object, as small as it can be: 40,000 of them are held in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveObject {
    /// The API version that it was read in, e.g. `apps/v1`.
    pub api_version: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// The finalizers that hold a deletion.
    pub finalizers: Vec<String>,
    /// Whose it is, by its labels and annotations.
    pub ownership: Ownership,
    /// `tidegate.dev/prune: disabled` stands on it.
    pub prune_disabled: bool,
    /// Who manages which fields.
    pub managed: ManagedSummary,
    /// Its health; `None` for objects whose kind is watched by metadata only.
    pub health: Option<Health>,
    /// The object as JSON, without who manages what, where only a condition or a HealthRule says how it is (see
    /// [`crate::health::kept`]).
    pub kept: Option<Box<str>>,
    /// No pod can say why it is not healthy (see [`crate::health::is_podless`]).
    pub podless: bool,
}

/// Whose an object is, by the marks it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// No mark of any tool.
    Unmarked,
    /// Our ApplySet label with this id (see [`crate::inventory::apply_set_id`]).
    ApplySet {
        /// The value of `applyset.kubernetes.io/part-of`.
        id: String,
        /// The value of `tidegate.dev/environment`, if any.
        environment: Option<String>,
    },
    /// Another tool's marks.
    Other {
        /// `Helm`, `Argo CD`, `Flux` or `kubectl applyset`.
        tool: &'static str,
        /// Which mark said so, e.g. `app.kubernetes.io/managed-by=Helm`.
        mark: String,
    },
}

/// Everything seen of one environment in one pass.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Live objects of the desired set and of the inventory. An id that is absent here and not in `unread` does not exist.
    pub objects: BTreeMap<ObjectId, Arc<LiveObject>>,
    /// What could not be read, with the reason. Never an empty set: what is here is not pruned, not created, not judged.
    pub unread: BTreeMap<ObjectId, String>,
    /// Results of dry-runs that an earlier plan asked for, each valid only for the resourceVersion it names.
    pub dry_runs: BTreeMap<ObjectId, DryRun>,
}

/// The answer of the API server to "what would applying this change?".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DryRun {
    /// The resourceVersion of the live object that was compared; evidence for another one does not exist.
    pub resource_version: String,
    /// [`crate::object::DesiredObject::digest`] of what was compared; evidence for another text in git does not exist.
    pub desired: Digest,
    /// Fields that the apply would change, live value to desired value. Empty: in sync.
    pub changes: Vec<FieldChange>,
    /// Who holds these fields (see [`crate::drift::blame`]).
    #[serde(default)]
    pub by: Vec<ForeignEntry>,
    /// Field managers of kubectl whose entries are to be migrated to us first (what they added is then removed).
    pub migrate: bool,
    /// Why the dry-run failed; a failed dry-run is never "in sync".
    pub error: Option<String>,
}

/// Whose an object is, from its labels and annotations. Our own and every other ApplySet's label comes first: a manifest in
/// git may well carry the marks of the tool that once rendered it.
pub fn ownership(labels: &BTreeMap<String, String>, annotations: &BTreeMap<String, String>) -> Ownership {
    if let Some(id) = labels.get(PART_OF) {
        return Ownership::ApplySet { id: id.clone(), environment: labels.get(ENVIRONMENT).cloned() };
    }
    let mark = MARKS.iter().find_map(|mark| {
        let values = if mark.label { labels } else { annotations };
        let value =
            values.get(mark.key).filter(|value| mark.value.is_none_or(|wanted| wanted == value.as_str()))?;
        Some(Ownership::Other { tool: mark.tool, mark: format!("{}={value}", mark.key) })
    });
    mark.unwrap_or(Ownership::Unmarked)
}

/// One label or annotation by which another tool claims an object.
struct Mark {
    tool: &'static str,
    label: bool,
    key: &'static str,
    value: Option<&'static str>,
}

/// What the tools of this field put on what they manage (their documentation, 2026).
const MARKS: [Mark; 6] = [
    Mark { tool: "Helm", label: false, key: "meta.helm.sh/release-name", value: None },
    Mark { tool: "Helm", label: true, key: "app.kubernetes.io/managed-by", value: Some("Helm") },
    Mark { tool: "Argo CD", label: false, key: "argocd.argoproj.io/tracking-id", value: None },
    Mark { tool: "Argo CD", label: true, key: "argocd.argoproj.io/instance", value: None },
    Mark { tool: "Flux", label: true, key: "kustomize.toolkit.fluxcd.io/name", value: None },
    Mark { tool: "Flux", label: true, key: "helm.toolkit.fluxcd.io/name", value: None },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn whose(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Ownership {
        let map =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ownership(&map(labels), &map(annotations))
    }

    fn other(tool: &'static str, mark: &str) -> Ownership {
        Ownership::Other { tool, mark: mark.to_owned() }
    }

    #[test]
    fn each_tool_is_known_by_its_marks() {
        assert_eq!(whose(&[("app", "web")], &[("note", "x")]), Ownership::Unmarked);
        assert_eq!(
            whose(&[], &[("meta.helm.sh/release-name", "r")]),
            other("Helm", "meta.helm.sh/release-name=r")
        );
        let managed_by = "app.kubernetes.io/managed-by";
        assert_eq!(whose(&[(managed_by, "Helm")], &[]), other("Helm", "app.kubernetes.io/managed-by=Helm"));
        assert_eq!(whose(&[(managed_by, "somebody")], &[]), Ownership::Unmarked);
        let argo = "argocd.argoproj.io/tracking-id";
        assert_eq!(whose(&[], &[(argo, "a")]), other("Argo CD", "argocd.argoproj.io/tracking-id=a"));
        let flux = "kustomize.toolkit.fluxcd.io/name";
        assert_eq!(whose(&[(flux, "a")], &[]), other("Flux", "kustomize.toolkit.fluxcd.io/name=a"));
    }

    #[test]
    fn an_apply_set_says_more_than_the_marks_that_a_manifest_carries() {
        let labels =
            [(PART_OF, "applyset-x-v1"), (ENVIRONMENT, "dev"), ("app.kubernetes.io/managed-by", "Helm")];
        let expected = Ownership::ApplySet { id: "applyset-x-v1".into(), environment: Some("dev".into()) };
        assert_eq!(whose(&labels, &[]), expected);
    }
}
