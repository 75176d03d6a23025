//! Configuration that pods refer to, copied under names that follow from its contents: a colour keeps what it was proven with.
//!
//! Copied is what git has, unless it is marked to reach running pods, filled by a controller, or a model release's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::names::{APP, CONFIG, CONFIG_LIVE, MOST_NAME, config_name, short};
use super::neighbours::{Known, Neighbours};
use super::read::{canonical, items_mut, refuse, says, text};
use crate::ids::Digest;
use crate::object::DesiredObject;
use crate::problem::{Code, Problem};
use crate::render::encode_string_data;

/// The type of Secrets that a controller of Kubernetes fills.
const TOKEN: &str = "kubernetes.io/service-account-token";

/// Kinds that hold configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ConfigKind {
    ConfigMap,
    Secret,
}

impl ConfigKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// One of them that is copied.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) object: Arc<DesiredObject>,
    /// Of its contents, and of whose copy it is.
    pub(super) contents: Digest,
}

/// By kind and name in git.
pub(super) type Configs = BTreeMap<(ConfigKind, String), Config>;

/// What the pods of a template refer to, as far as it is copied.
pub(super) fn copied(template: &Value, app: &str, neighbours: &Neighbours) -> Configs {
    let models: BTreeSet<&str> = neighbours
        .kind("tidegate.dev", "ModelRelease")
        .filter_map(|release| text(&release.value, "/spec/server/configMap"))
        .collect();
    let mut found = Configs::new();
    for (kind, name) in references(template) {
        let Some(known) = neighbours.find("", kind.as_str(), &name) else { continue };
        let is_model = kind == ConfigKind::ConfigMap && models.contains(name.as_str());
        if is_model || is_live(known) {
            continue;
        }
        let config = Config { object: known.object.clone(), contents: contents(kind, &known.object, app) };
        found.insert((kind, name), config);
    }
    found
}

fn is_live(known: &Known) -> bool {
    says(&known.value, CONFIG) == Some(CONFIG_LIVE) || text(&known.value, "/type") == Some(TOKEN)
}

/// The digest says whose copy it is too: a workload that puts its copies away must not take those of another.
fn contents(kind: ConfigKind, object: &Arc<DesiredObject>, app: &str) -> Digest {
    let value = encode_string_data(object).to_value();
    let field = |name: &str| value.get(name).cloned().unwrap_or(Value::Null);
    let all = json!({
        "app": app, "kind": kind.as_str(), "type": field("type"), "data": field("data"), "binaryData": field("binaryData"),
    });
    Digest::of(canonical(&all).as_bytes())
}

/// Copies whose names would be too long.
pub(super) fn too_long(configs: &Configs) -> Vec<Problem> {
    let long =
        configs.iter().filter(|((_, name), config)| config_name(name, &config.contents).len() > MOST_NAME);
    long.map(|(_, config)| {
        let message = format!("its name is too long: with the digest of its contents behind it it may have {MOST_NAME} characters");
        refuse(Code::RolloutName, &config.object, "/metadata/name", message).help(format!(
            "give it a shorter name, or the annotation `{CONFIG}: {CONFIG_LIVE}`, with which it is not copied"
        ))
    })
    .collect()
}

/// Gives the references of a template the names of the copies.
pub(super) fn rename(template: &mut Value, configs: &Configs) {
    each_reference(template, &mut |kind, name| {
        if let Some(config) = configs.get(&(kind, name.clone())) {
            *name = config_name(name, &config.contents);
        }
    });
}

/// The copies, immutable.
pub(super) fn copies(configs: &Configs, app: &str) -> Vec<Value> {
    configs.iter().map(|((kind, name), config)| copy(*kind, name, config, app)).collect()
}

fn copy(kind: ConfigKind, name: &str, config: &Config, app: &str) -> Value {
    let value = encode_string_data(&config.object).to_value();
    let mut labels =
        value.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
    labels.insert(APP.to_owned(), json!(app));
    labels.insert(CONFIG.to_owned(), json!(short(&config.contents)));
    let mut copy = json!({
        "apiVersion": "v1", "kind": kind.as_str(), "immutable": true,
        "metadata": {
            "name": config_name(name, &config.contents), "namespace": config.object.reference.namespace, "labels": labels,
        },
    });
    for field in ["type", "data", "binaryData"] {
        if let (Some(copy), Some(found)) = (copy.as_object_mut(), value.get(field)) {
            copy.insert(field.to_owned(), found.clone());
        }
    }
    copy
}

fn references(template: &Value) -> BTreeSet<(ConfigKind, String)> {
    let mut found = BTreeSet::new();
    each_reference(&mut template.clone(), &mut |kind, name| {
        found.insert((kind, name.clone()));
    });
    found
}

/// Every name of a ConfigMap or Secret that the containers and volumes of a template refer to.
pub(super) fn each_reference(template: &mut Value, visit: &mut dyn FnMut(ConfigKind, &mut String)) {
    let mut at = |value: Option<&mut Value>, kind: ConfigKind, key: &str| {
        if let Some(Value::String(name)) = value.and_then(|value| value.get_mut(key)) {
            visit(kind, name);
        }
    };
    for volume in items_mut(template, "/spec/volumes") {
        at(volume.get_mut("configMap"), ConfigKind::ConfigMap, "name");
        at(volume.get_mut("secret"), ConfigKind::Secret, "secretName");
        for source in items_mut(volume, "/projected/sources") {
            at(source.get_mut("configMap"), ConfigKind::ConfigMap, "name");
            at(source.get_mut("secret"), ConfigKind::Secret, "name");
        }
    }
    for list in ["/spec/initContainers", "/spec/containers"] {
        for container in items_mut(template, list) {
            for source in items_mut(container, "/envFrom") {
                at(source.get_mut("configMapRef"), ConfigKind::ConfigMap, "name");
                at(source.get_mut("secretRef"), ConfigKind::Secret, "name");
            }
            for variable in items_mut(container, "/env") {
                at(variable.pointer_mut("/valueFrom/configMapKeyRef"), ConfigKind::ConfigMap, "name");
                at(variable.pointer_mut("/valueFrom/secretKeyRef"), ConfigKind::Secret, "name");
            }
        }
    }
}
