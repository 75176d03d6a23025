//! What Tidegate keeps of an environment in its target cluster: the parent object (an ApplySet parent, KEP-3659) with
//! the status record and people's requests, and the compressed shards of the inventory.
//!
//! All of it stands in Tidegate's own namespace, so that people who may write ConfigMaps beside the applications cannot
//! forge deletes. Every write carries the resourceVersion that was read.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tidegate_core::ids::{CommitId, EnvironmentName};
use tidegate_core::inventory::{self, Inventory};
use tidegate_core::rollback::{Before, GoodCommit, Held};
use tidegate_core::status::EnvironmentStatus;

use super::call::{CallError, once, repeated};

/// Where Tidegate keeps its own objects in every target cluster.
pub const SYSTEM_NAMESPACE: &str = "tidegate-system";
/// On the parent: the environment's name. Watches select by it.
pub const PARENT_LABEL: &str = "tidegate.dev/parent-of";
/// The newest revision that any replica began to apply; never moves backwards without a recorded rewind.
pub const SEEN: &str = "tidegate.dev/seen";
/// Digest of the inputs that [`SEEN`] asks for; written with it.
pub const SEEN_INPUTS: &str = "tidegate.dev/seen-inputs";
/// The newest revision that was applied whole.
pub const APPLIED: &str = "tidegate.dev/applied";
/// How many shards the inventory has; none while there is no inventory.
pub const SHARDS: &str = "tidegate.dev/inventory-shards";
/// A short digest of the repository whose daemon works on the environment.
pub const SOURCE: &str = "tidegate.dev/source";
/// A person's suspension, as JSON.
pub const SUSPEND: &str = "tidegate.dev/suspend";
/// Who lifted the last suspension and why, as JSON.
pub const RESUMED: &str = "tidegate.dev/resumed";
/// When a person last asked for a reconcile, as a timestamp.
pub const SYNC: &str = "tidegate.dev/sync";
/// A person's permission to go to a commit that is no descendant, as JSON.
pub const REWIND: &str = "tidegate.dev/rewind";

/// The last commit at which the environment was live, as JSON.
pub const GOOD: &str = "tidegate.dev/good";
/// What was sick when [`GOOD`] was left, as JSON; written with the claim that leaves it.
pub const SICK_BEFORE: &str = "tidegate.dev/sick-before";
/// Workloads that have, or had, colours in the cluster, as `namespace/name`, comma-separated; written before the first one gets
/// them.
pub const WORKLOADS: &str = "tidegate.dev/workloads";

/// The commit that is held because the environment was rolled back from it, as JSON; the claim of another one removes it.
pub const HELD: &str = "tidegate.dev/held";

const STATUS_KEY: &str = "status.json";
pub(super) const MANAGER: &str = "tidegate-state";
/// More environments than this in one cluster are not listed by commands.
const PARENTS_CAP: u32 = 5_000;

/// A suspension by `tidegate suspend`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Why.
    pub reason: String,
    /// Who asked, as they named themselves.
    pub by: String,
    /// Since when.
    pub since: jiff::Timestamp,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<jiff::Timestamp>,
}

/// A suspension that was lifted by `tidegate resume`; the last one stays on the parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumption {
    /// Why.
    pub reason: String,
    /// Who asked, as [`Suspension::by`].
    pub by: String,
    /// When.
    pub at: jiff::Timestamp,
    /// What was lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Suspension>,
}

/// A rewind by `tidegate sync --rewind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewind {
    /// The commit to go to.
    pub commit: CommitId,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub by: String,
    /// When.
    pub at: jiff::Timestamp,
}

/// The parent object as it was last read or written.
#[derive(Debug, Clone, PartialEq)]
pub struct Parent {
    /// The environment.
    pub environment: EnvironmentName,
    /// The object's uid.
    pub uid: String,
    /// The object's resourceVersion.
    pub resource_version: String,
    /// [`SEEN`].
    pub seen: Option<String>,
    /// [`SEEN_INPUTS`].
    pub seen_inputs: Option<String>,
    /// [`APPLIED`].
    pub applied: Option<String>,
    /// [`SHARDS`].
    pub shards: Option<u32>,
    /// [`SOURCE`].
    pub source: Option<String>,
    /// What KEP-3659 wants said of the members: their kinds and namespaces.
    pub members: BTreeMap<String, String>,
    /// [`SUSPEND`].
    pub suspension: Option<Suspension>,
    /// [`RESUMED`].
    pub resumed: Option<Resumption>,
    /// [`SYNC`].
    pub sync: Option<String>,
    /// [`REWIND`].
    pub rewind: Option<Rewind>,
    /// [`GOOD`].
    pub good: Option<GoodCommit>,
    /// [`SICK_BEFORE`].
    pub before: Option<Box<Before>>,
    /// [`WORKLOADS`].
    pub workloads: BTreeSet<String>,
    /// [`HELD`].
    pub held: Option<Box<Held>>,
    /// The status record; none when there is none yet or it cannot be read.
    pub status: Option<EnvironmentStatus>,
}

/// What to change on a parent; none leaves a field alone.
#[derive(Debug, Clone, Default)]
pub struct ParentChange {
    /// Annotations to set (some) or remove (none).
    pub annotations: BTreeMap<String, Option<String>>,
    /// The status record.
    pub status: Option<EnvironmentStatus>,
}

/// Reads and writes of parents and shards in one cluster.
#[derive(Clone)]
pub struct Parents {
    client: Client,
    pub(super) api: Api<ConfigMap>,
}

impl Parents {
    /// In this cluster.
    pub fn new(client: Client) -> Self {
        let api = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
        Self { client, api }
    }

    /// Makes Tidegate's namespace unless it is there.
    pub async fn ensure_namespace(&self) -> Result<(), CallError> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        if repeated(|| api.get_opt(SYSTEM_NAMESPACE)).await?.is_some() {
            return Ok(());
        }
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": SYSTEM_NAMESPACE, "labels": { "app.kubernetes.io/managed-by": "tidegate" } }
        });
        let params = PatchParams::apply(MANAGER);
        let patch = Patch::Apply(&namespace);
        repeated(|| api.patch(SYSTEM_NAMESPACE, &params, &patch)).await.map(drop)
    }

    /// The parent of an environment. Something else under its name is an error, never an absence.
    pub async fn read(&self, environment: &EnvironmentName) -> Result<Option<Parent>, CallError> {
        let name = parent_name(environment);
        let Some(object) = repeated(|| self.api.get_opt(&name)).await? else { return Ok(None) };
        let ours = parse(&object).filter(|parent| parent.environment == *environment);
        ours.map(Some).ok_or_else(|| {
            CallError::Damaged(format!(
                "ConfigMap {SYSTEM_NAMESPACE}/{name} stands where the record of this environment belongs, without the \
                 label {PARENT_LABEL}={environment}; label it again if it is the record, else delete it"
            ))
        })
    }

    /// The parents of all environments in this cluster.
    pub async fn list(&self) -> Result<Vec<Parent>, CallError> {
        let params = ListParams::default().labels(PARENT_LABEL).limit(PARENTS_CAP);
        match repeated(|| self.api.list(&params)).await {
            Ok(list) => Ok(list.items.iter().filter_map(parse).collect()),
            Err(CallError::NotFound(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Makes a parent that is gone again, with the marks and the people's requests that it had. It names its shards before
    /// they are written ([`Self::write_again`]), so that nobody takes the inventory for empty meanwhile.
    pub async fn create_again(&self, lost: &Parent, inventory: &Inventory) -> Result<Parent, CallError> {
        let Parent {
            environment,
            seen,
            seen_inputs,
            applied,
            shards,
            source,
            suspension,
            resumed,
            rewind,
            good,
            before,
            held,
            workloads,
            ..
        } = lost;
        // Also where that was still to be said: with an inventory to lose, the new parent names its shards.
        let shards = shards.or_else(|| (!inventory.entries.is_empty()).then_some(1));
        let shards = shards.map(|shards| inventory::encode_at(inventory, shards).len().to_string());
        let suspension = suspension.as_ref().map(json_of).transpose()?;
        let resumed = resumed.as_ref().map(json_of).transpose()?;
        let rewind = rewind.as_ref().map(json_of).transpose()?;
        let good = good.as_ref().map(json_of).transpose()?;
        let before = before.as_ref().map(json_of).transpose()?;
        let held = held.as_ref().map(json_of).transpose()?;
        let marks = [
            (SEEN, seen.clone()),
            (SEEN_INPUTS, seen_inputs.clone()),
            (APPLIED, applied.clone()),
            (SHARDS, shards),
            (SOURCE, source.clone()),
            (SUSPEND, suspension),
            (RESUMED, resumed),
            (REWIND, rewind),
            (GOOD, good),
            (SICK_BEFORE, before),
            (HELD, held),
            (WORKLOADS, workloads_text(workloads)),
        ];
        let marks = marks.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        self.create(environment, &marks.chain(members_of(inventory)).collect()).await
    }

    /// Makes the parent with these annotations; a conflict means that it was there.
    pub async fn create(
        &self,
        environment: &EnvironmentName,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Parent, CallError> {
        let name = parent_name(environment);
        let id = inventory::apply_set_id(&name, SYSTEM_NAMESPACE, "ConfigMap", "");
        let mut object: ConfigMap = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "labels": {
                    inventory::APPLY_SET_ID: id,
                    PARENT_LABEL: environment.as_str(),
                    "app.kubernetes.io/managed-by": "tidegate",
                },
                "annotations": { inventory::TOOLING: inventory::TOOLING_VALUE },
            }
        }))
        .map_err(|error| CallError::Server(error.to_string()))?;
        let all = object.metadata.annotations.get_or_insert_default();
        all.extend(annotations.iter().map(|(key, value)| (key.clone(), value.clone())));
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let made = once(self.api.create(&params, &object)).await?;
        parse(&made).ok_or_else(|| CallError::Server("the parent that was made is not readable".to_owned()))
    }

    /// Changes the parent if it is still as it was read.
    pub async fn update(&self, parent: &Parent, change: &ParentChange) -> Result<Parent, CallError> {
        let mut body = json!({
            "metadata": { "uid": parent.uid, "resourceVersion": parent.resource_version }
        });
        if !change.annotations.is_empty() {
            let annotations: Map<String, Value> = change
                .annotations
                .iter()
                .map(|(key, value)| (key.clone(), value.as_ref().map_or(Value::Null, |text| json!(text))))
                .collect();
            if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.insert("annotations".to_owned(), Value::Object(annotations));
            }
        }
        if let Some(status) = &change.status {
            let text = serde_json::to_string(status).map_err(|error| CallError::Server(error.to_string()))?;
            if let Some(body) = body.as_object_mut() {
                body.insert("data".to_owned(), json!({ STATUS_KEY: text }));
            }
        }
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let name = parent_name(&parent.environment);
        let written = once(self.api.patch(&name, &params, &Patch::Merge(&body))).await?;
        parse(&written)
            .ok_or_else(|| CallError::Server("the parent that was written is not readable".to_owned()))
    }

    /// Deletes the parent and then its shards, once an environment is taken down. In this order: a parent without shards
    /// could not be read, while shards that a kill leaves behind go with their owner.
    pub async fn delete(&self, parent: &Parent) -> Result<(), CallError> {
        let params = DeleteParams::background().preconditions(Preconditions {
            uid: Some(parent.uid.clone()),
            resource_version: Some(parent.resource_version.clone()),
        });
        let name = parent_name(&parent.environment);
        match repeated(|| self.api.delete(&name, &params)).await {
            Ok(_) | Err(CallError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        self.delete_shards(parent).await
    }
}

/// The name of an environment's parent object.
pub fn parent_name(environment: &EnvironmentName) -> String {
    format!("tidegate-{environment}")
}

/// What stands in an annotation.
pub fn json_of(value: &impl Serialize) -> Result<String, CallError> {
    serde_json::to_string(value).map_err(|error| CallError::Server(error.to_string()))
}

/// The annotations by which tools find the members of an ApplySet (KEP-3659).
pub fn members_of(inventory: &Inventory) -> BTreeMap<String, String> {
    let join = |words: BTreeSet<String>| words.into_iter().collect::<Vec<_>>().join(",");
    BTreeMap::from([
        (inventory::CONTAINS_GROUP_KINDS.to_owned(), join(inventory.group_kinds())),
        (
            inventory::ADDITIONAL_NAMESPACES.to_owned(),
            join(inventory.additional_namespaces(SYSTEM_NAMESPACE)),
        ),
    ])
}

/// The id of an environment's ApplySet.
pub fn apply_set_of(environment: &EnvironmentName) -> String {
    inventory::apply_set_id(&parent_name(environment), SYSTEM_NAMESPACE, "ConfigMap", "")
}

/// A suspension that cannot be read still is one: whoever wrote it wanted the environment left alone.
fn suspension(text: &str) -> Suspension {
    serde_json::from_str(text).unwrap_or_else(|_| Suspension {
        reason: format!("the annotation {SUSPEND} is not what `tidegate suspend` writes"),
        by: "an annotation".to_owned(),
        since: jiff::Timestamp::UNIX_EPOCH,
        until: None,
    })
}

/// A hold that cannot be read: what it held must not be applied again, and nobody knows what that was.
fn unreadable_hold(text: &str) -> Option<Suspension> {
    serde_json::from_str::<Held>(text).is_err().then(|| Suspension {
        reason: format!("the annotation {HELD} is not what a rollback writes; remove it to go on"),
        by: "an annotation".to_owned(),
        since: jiff::Timestamp::UNIX_EPOCH,
        until: None,
    })
}

/// The parent in a ConfigMap; none when it is not one of ours.
pub fn parse(object: &ConfigMap) -> Option<Parent> {
    let metadata = &object.metadata;
    let environment = metadata.labels.as_ref()?.get(PARENT_LABEL)?.parse().ok()?;
    let annotation = |key: &str| metadata.annotations.as_ref().and_then(|all| all.get(key)).cloned();
    let status = object.data.as_ref().and_then(|data| data.get(STATUS_KEY));
    Some(Parent {
        environment,
        uid: metadata.uid.clone()?,
        resource_version: metadata.resource_version.clone()?,
        seen: annotation(SEEN),
        seen_inputs: annotation(SEEN_INPUTS),
        applied: annotation(APPLIED),
        shards: annotation(SHARDS).and_then(|text| text.parse().ok()),
        source: annotation(SOURCE),
        members: [inventory::CONTAINS_GROUP_KINDS, inventory::ADDITIONAL_NAMESPACES]
            .into_iter()
            .filter_map(|key| Some((key.to_owned(), annotation(key)?)))
            .collect(),
        suspension: annotation(SUSPEND)
            .map(|text| suspension(&text))
            .or_else(|| unreadable_hold(&annotation(HELD)?)),
        resumed: annotation(RESUMED).and_then(|text| serde_json::from_str(&text).ok()),
        sync: annotation(SYNC),
        rewind: annotation(REWIND).and_then(|text| serde_json::from_str(&text).ok()),
        good: annotation(GOOD).and_then(|text| serde_json::from_str(&text).ok()),
        before: annotation(SICK_BEFORE).and_then(|text| serde_json::from_str(&text).ok()),
        held: annotation(HELD).and_then(|text| serde_json::from_str(&text).ok()),
        workloads: annotation(WORKLOADS).map(|text| workloads_in(&text)).unwrap_or_default(),
        status: status.and_then(|text| serde_json::from_str(text).ok()),
    })
}

/// [`WORKLOADS`] as it is written; none for none of them.
pub fn workloads_text(workloads: &BTreeSet<String>) -> Option<String> {
    let names: Vec<&str> = workloads.iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| names.join(","))
}

fn workloads_in(text: &str) -> BTreeSet<String> {
    text.split(',').map(str::trim).filter(|name| name.contains('/')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspension_that_cannot_be_read_suspends_all_the_same() {
        let parent = |text: &str| {
            let object = serde_json::from_value(json!({
                "metadata": {
                    "name": "tidegate-dev", "uid": "u", "resourceVersion": "1",
                    "labels": { PARENT_LABEL: "dev" }, "annotations": { SUSPEND: text },
                }
            }));
            object.ok().and_then(|object| parse(&object))
        };
        for text in ["incident 4711", "", "{}", "null", r#"{"reason":"x","by":"y","since":"yesterday"}"#] {
            let suspension = parent(text).and_then(|parent| parent.suspension);
            assert!(suspension.is_some_and(|suspension| suspension.until.is_none()), "{text}");
        }
    }
}
