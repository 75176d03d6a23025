//! Which field of a list's items names them. The table is Kubernetes' own (merge keys and map keys of its OpenAPI),
//! with a few lists that are atomic there but read better by key; a changed order is reported separately, so that
//! nothing is lost by it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::number::integer;

/// Longer lists are compared by position.
const MAX_KEYED_ITEMS: usize = 2_000;

/// One part of a key.
struct Part {
    /// JSON pointer within the item.
    pointer: &'static str,
    /// What an absent value means, when it may be absent; not shown in the key.
    default: Option<&'static str>,
}

const fn part(pointer: &'static str) -> Part {
    Part { pointer, default: None }
}

const fn optional(pointer: &'static str, default: &'static str) -> Part {
    Part { pointer, default: Some(default) }
}

/// Keys that may name the items of a list, the best first.
type Candidates = &'static [&'static [Part]];

const NAME: Candidates = &[&[part("/name")]];
const PORT: Candidates = &[
    &[part("/containerPort"), optional("/protocol", "TCP")],
    &[part("/port"), optional("/protocol", "TCP")],
];
const MOUNT_PATH: Candidates = &[&[part("/mountPath")]];
const DEVICE_PATH: Candidates = &[&[part("/devicePath")]];
const OBJECT_NAME: Candidates = &[&[part("/metadata/name")]];
const IP: Candidates = &[&[part("/ip")]];
const TYPE: Candidates = &[&[part("/type")]];
const UID: Candidates = &[&[part("/uid")]];
const KEY: Candidates = &[&[part("/key")]];
const KEY_AND_EFFECT: Candidates = &[&[part("/key"), optional("/effect", "")]];
const TOPOLOGY: Candidates = &[&[part("/topologyKey"), optional("/whenUnsatisfiable", "DoNotSchedule")]];
const URL_PATH: Candidates = &[&[part("/path"), optional("/pathType", "Prefix")]];
const SUBJECT: Candidates = &[&[part("/kind"), part("/name"), optional("/namespace", "")]];

fn candidates(field: &str) -> Candidates {
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "secrets"
        | "containerStatuses"
        | "initContainerStatuses"
        | "schedulingGates"
        | "resourceClaims"
        | "sysctls"
        | "webhooks"
        | "versions"
        | "variables"
        | "matchConditions"
        | "listeners"
        | "backendRefs"
        | "options"
        | "httpHeaders" => NAME,
        "ports" => PORT,
        "volumeMounts" => MOUNT_PATH,
        "volumeDevices" => DEVICE_PATH,
        "volumeClaimTemplates" => OBJECT_NAME,
        "hostAliases" => IP,
        "conditions" => TYPE,
        "ownerReferences" => UID,
        "tolerations" | "taints" => KEY_AND_EFFECT,
        "topologySpreadConstraints" => TOPOLOGY,
        "matchExpressions" | "items" => KEY,
        "paths" => URL_PATH,
        "subjects" => SUBJECT,
        _ => &[],
    }
}

/// The keys of both lists, in the lists' order; unique within each.
pub(super) struct KeyedLists {
    pub(super) old: Vec<String>,
    pub(super) new: Vec<String>,
}

/// The keys of two lists of one field; none when there is no key that every item has and no two share.
pub(super) fn keyed(field: &str, old: &[Value], new: &[Value]) -> Option<KeyedLists> {
    if old.len().max(new.len()) > MAX_KEYED_ITEMS {
        return None;
    }
    candidates(field)
        .iter()
        .find_map(|parts| Some(KeyedLists { old: unique_keys(parts, old)?, new: unique_keys(parts, new)? }))
}

/// The position of every key.
pub(super) fn positions(keys: &[String]) -> BTreeMap<&str, usize> {
    keys.iter().enumerate().map(|(index, key)| (key.as_str(), index)).collect()
}

fn unique_keys(parts: &[Part], items: &[Value]) -> Option<Vec<String>> {
    let keys: Vec<String> = items.iter().map(|item| key_of(parts, item)).collect::<Option<_>>()?;
    (positions(&keys).len() == keys.len()).then_some(keys)
}

fn key_of(parts: &[Part], item: &Value) -> Option<String> {
    let mut key = String::new();
    for part in parts {
        let text = match (item.pointer(part.pointer), part.default) {
            (Some(Value::String(text)), _) => text.clone(),
            (Some(Value::Number(number)), _) => integer(number).unwrap_or_else(|| number.to_string()),
            (None, Some(default)) => default.to_owned(),
            _ => return None,
        };
        if part.default != Some(text.as_str()) {
            if !key.is_empty() {
                key.push('/');
            }
            key.push_str(&text);
        }
    }
    Some(key)
}
