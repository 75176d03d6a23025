//! What dry-runs have shown, and how long it holds: until somebody else's write could have changed the answer.
//!
//! A controller's write (mostly of the status) changes the resourceVersion and nothing that was asked about, and during a rollout there are many
//! in a second. Who manages which fields changes with every write that counts, so that is what evidence is tied to here;
//! the plan is given it under the resourceVersion that it sees.

use std::collections::BTreeMap;

use super::{AllowList, ManagedSummary};
use crate::object::ObjectId;
use crate::observed::{DryRun, LiveObject, Observed};

/// The dry-runs that are remembered.
#[derive(Debug, Default)]
pub struct Evidence {
    found: BTreeMap<ObjectId, Found>,
}

#[derive(Debug)]
struct Found {
    dry_run: DryRun,
    uid: String,
    managed: ManagedSummary,
}

impl Evidence {
    /// Takes in what a dry-run showed of the object as it was read for it.
    pub fn insert(&mut self, id: ObjectId, dry_run: DryRun, live: &LiveObject) {
        let found =
            Found { dry_run, uid: live.uid.clone(), managed: live.managed.unexpected(&AllowList::default()) };
        self.found.insert(id, found);
    }

    /// The object was written, or is gone.
    pub fn remove(&mut self, id: &ObjectId) {
        self.found.remove(id);
    }

    /// Nothing holds any more.
    pub fn clear(&mut self) {
        self.found.clear();
    }

    /// Dry-runs that failed are tried again.
    pub fn forget_failures(&mut self) {
        self.found.retain(|_, found| found.dry_run.error.is_none());
    }

    /// Gives an observation the evidence that holds for what it saw.
    pub fn attach(&self, observed: &mut Observed) {
        let allow = AllowList::default();
        for (id, found) in &self.found {
            let Some(live) = observed.objects.get(id) else { continue };
            if live.uid != found.uid || live.managed.unexpected(&allow) != found.managed {
                continue;
            }
            let mut dry_run = found.dry_run.clone();
            dry_run.resource_version.clone_from(&live.resource_version);
            observed.dry_runs.insert(id.clone(), dry_run);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ids::Digest;
    use crate::object::Gvk;
    use crate::summarize::{Detail, summarize};

    fn id() -> ObjectId {
        ObjectId {
            group: "apps".into(),
            kind: "Deployment".into(),
            namespace: Some("shop".into()),
            name: "web".into(),
        }
    }

    fn live(uid: &str, version: &str, managers: &[(&str, &str)]) -> LiveObject {
        let managed: Vec<Value> = managers
            .iter()
            .map(|(manager, subresource)| {
                json!({"manager": manager, "operation": "Update", "subresource": subresource,
                    "time": "2026-11-21T12:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}})
            })
            .collect();
        let object = json!({"metadata": {"uid": uid, "resourceVersion": version, "managedFields": managed}});
        summarize(&Gvk::from_api_version("apps/v1", "Deployment"), Detail::Metadata, &object)
    }

    fn holds_for(now: LiveObject) -> Option<String> {
        let seen = live("u", "5", &[("kubectl", "")]);
        let dry_run = DryRun {
            resource_version: "5".into(),
            desired: Digest::of(b"desired"),
            changes: Vec::new(),
            by: Vec::new(),
            migrate: false,
            error: None,
        };
        let mut evidence = Evidence::default();
        evidence.insert(id(), dry_run, &seen);
        let mut observed =
            Observed { objects: BTreeMap::from([(id(), std::sync::Arc::new(now))]), ..Observed::default() };
        evidence.attach(&mut observed);
        observed.dry_runs.remove(&id()).map(|run| run.resource_version)
    }

    #[test]
    fn evidence_outlives_writes_of_the_status_and_of_controllers_and_no_others() {
        assert_eq!(holds_for(live("u", "5", &[("kubectl", "")])).as_deref(), Some("5"));
        let status = [("kubectl", ""), ("anybody", "status"), ("kube-controller-manager", "")];
        assert_eq!(holds_for(live("u", "7", &status)).as_deref(), Some("7"));
        assert_eq!(holds_for(live("u", "7", &[("kubectl", ""), ("other", "")])), None);
        assert_eq!(holds_for(live("another", "7", &[("kubectl", "")])), None);
    }
}
