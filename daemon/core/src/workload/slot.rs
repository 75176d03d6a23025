//! The objects of a slot.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::configs;
use super::model::Workload;
use super::names::{APP, REVISION, SLOT, slot_name};
use super::read::{drop_records, map_at};
use super::selectors::{self, Own};
use crate::object::DesiredObject;
use crate::rollout::Slot;

/// How many pods more than its size a slot may have while its pods are replaced, where git asks for none.
const DEFAULT_SURGE: &str = "25%";

/// What a slot is made from, as it is kept while the slot lives: it is repaired from this, whatever git says by then.
///
/// Copies of Secrets are in it: whatever keeps it has to be kept as a Secret is.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotRender {
    /// The commit that it comes from.
    pub commit: String,
    /// The slot's Deployment without `spec.replicas`.
    pub deployment: Value,
    /// Copies of the configuration that its pods refer to.
    pub configs: Vec<Value>,
    /// `spec.ports` of the pointer's Service of that commit: they fit these pods.
    pub ports: Value,
    /// The same of its followers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub follower_ports: BTreeMap<String, Value>,
}

impl fmt::Debug for SlotRender {
    /// Without the contents of configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commit, deployment, configs, ports, follower_ports } = self;
        let names: Vec<&Value> =
            configs.iter().filter_map(|config| config.pointer("/metadata/name")).collect();
        f.debug_struct("SlotRender")
            .field("commit", commit)
            .field("deployment", deployment)
            .field("configs", &names)
            .field("ports", ports)
            .field("follower_ports", follower_ports)
            .finish()
    }
}

/// The objects of a slot that runs what git asks for.
pub(super) fn render(workload: &Workload, slot: Slot, commit: &str) -> SlotRender {
    let followers = workload.followers.iter().map(|follower| &follower.object);
    SlotRender {
        commit: commit.to_owned(),
        deployment: deployment(workload, slot),
        configs: configs::copies(&workload.configs, workload.app()),
        ports: ports(&workload.service),
        follower_ports: followers.map(|object| (object.reference.name.clone(), ports(object))).collect(),
    }
}

/// The pods' template of what is kept in all that is new: of one revision, it may have been rendered by another version of us.
pub(super) fn refresh(mut new: SlotRender, kept: &SlotRender) -> SlotRender {
    let kept_template = kept.deployment.pointer("/spec/template").cloned();
    if let (Some(template), Some(kept)) = (new.deployment.pointer_mut("/spec/template"), kept_template) {
        *template = kept;
    }
    new.configs.clone_from(&kept.configs);
    new
}

fn ports(service: &DesiredObject) -> Value {
    service.to_value().pointer("/spec/ports").cloned().unwrap_or(Value::Null)
}

fn deployment(workload: &Workload, slot: Slot) -> Value {
    let app = workload.app();
    let mut value = workload.object.to_value();
    drop_records(&mut value);
    if let Some(metadata) = value.get_mut("metadata") {
        label(metadata, workload, slot);
    }
    if let Some(metadata) = map_at(&mut value, "metadata") {
        metadata.insert("name".to_owned(), json!(slot_name(app, slot)));
    }
    if let Some(spec) = map_at(&mut value, "spec") {
        spec.remove("replicas");
        spec.insert("selector".to_owned(), json!({ "matchLabels": { APP: app, SLOT: slot } }));
        let strategy = strategy(spec.get("strategy"));
        spec.insert("strategy".to_owned(), strategy);
    }
    if let Some(template) = value.pointer_mut("/spec/template") {
        configs::rename(template, &workload.configs);
        let own = Own { labels: &workload.labels, namespace: workload.reference.namespace.as_deref() };
        selectors::narrow(template, &own, slot);
        if let Some(metadata) = template.get_mut("metadata") {
            label(metadata, workload, slot);
        }
    }
    value.sort_all_objects();
    value
}

fn label(metadata: &mut Value, workload: &Workload, slot: Slot) {
    let Some(labels) = map_at(metadata, "labels") else { return };
    labels.insert(APP.to_owned(), json!(workload.app()));
    labels.insert(SLOT.to_owned(), json!(slot));
    labels.insert(REVISION.to_owned(), json!(workload.revision));
}

/// A slot's template changes while it has traffic only when it is repaired, and no pod goes before its successor is ready
/// then. Whatever git says of it is about rollouts of the uncoloured Deployment.
fn strategy(git: Option<&Value>) -> Value {
    let surge = git.and_then(|strategy| strategy.pointer("/rollingUpdate/maxSurge"));
    let is_none = |surge: &&Value| surge.as_u64() == Some(0) || matches!(surge.as_str(), Some("0" | "0%"));
    let surge = surge.filter(|surge| !surge.is_null() && !is_none(surge)).cloned();
    let mut rolling = Map::new();
    rolling.insert("maxSurge".to_owned(), surge.unwrap_or_else(|| json!(DEFAULT_SURGE)));
    rolling.insert("maxUnavailable".to_owned(), json!(0));
    json!({ "type": "RollingUpdate", "rollingUpdate": rolling })
}
