//! The queue of the deploy log as it is kept: one ConfigMap for each entry, in Tidegate's own namespace, found by the environment's
//! label. What the entries mean is the core's (`ledger`); git is `ledger/`.
//!
//! They have no owner: what is still to be pushed outlives the environment.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tidegate_core::ids::EnvironmentName;
use tidegate_core::ledger::{Entry, RecordId};

use super::call::{CallError, once, repeated};
use super::parent::{MANAGER, SYSTEM_NAMESPACE};

/// On an entry: the environment's name.
pub const ENTRY_LABEL: &str = "tidegate.dev/record-of";
const ENTRY_KEY: &str = "entry.json";
/// Entries are listed in pages of this size: each may have some 56 KiB.
const PAGE: u32 = 100;
/// More pages than this are not read: the queue holds far fewer.
const PAGES_CAP: u32 = 50;

/// The entries of one environment.
#[derive(Clone)]
pub struct Entries {
    api: Api<ConfigMap>,
    environment: EnvironmentName,
}

/// An entry as it stands in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// The entry.
    pub entry: Entry,
    /// The object's resourceVersion.
    pub version: String,
}

impl Entries {
    /// In this cluster.
    pub fn new(client: Client, environment: EnvironmentName) -> Self {
        Self { api: Api::namespaced(client, SYSTEM_NAMESPACE), environment }
    }

    /// All of them. One that cannot be read is left where it is, and said in the log: it must not keep the others from git.
    pub async fn list(&self) -> Result<Vec<StoredEntry>, CallError> {
        let mut params =
            ListParams::default().labels(&format!("{ENTRY_LABEL}={}", self.environment)).limit(PAGE);
        let mut found = Vec::new();
        for _ in 0..PAGES_CAP {
            let page = match repeated(|| self.api.list(&params)).await {
                Err(CallError::NotFound(_)) => return Ok(found),
                page => page?,
            };
            for object in &page.items {
                match parse(object) {
                    Ok(stored) => found.push(stored),
                    Err(error) => {
                        let name = object.metadata.name.as_deref().unwrap_or_default();
                        tracing::error!(
                            environment = %self.environment,
                            "ConfigMap {SYSTEM_NAMESPACE}/{name} is no entry of the deploy log: {error}; it is left as it is"
                        );
                    }
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(found),
            }
        }
        Err(CallError::Damaged(format!(
            "more than {} entries of the deploy log wait in {SYSTEM_NAMESPACE}; somebody else has made some of them",
            PAGE * PAGES_CAP
        )))
    }

    /// One of them; none where it is gone.
    pub async fn read(&self, id: RecordId) -> Result<Option<StoredEntry>, CallError> {
        let name = name(id);
        let object = repeated(|| self.api.get_opt(&name)).await?;
        object.map(|object| parse(&object).map_err(CallError::Damaged)).transpose()
    }

    /// Makes one; a conflict where it is there already.
    pub async fn create(&self, entry: &Entry) -> Result<String, CallError> {
        let object: ConfigMap = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": name(entry.id),
                "labels": {
                    ENTRY_LABEL: self.environment.as_str(),
                    "app.kubernetes.io/managed-by": "tidegate",
                },
            },
            "data": { ENTRY_KEY: text(entry)? },
        }))
        .map_err(|error| CallError::Server(error.to_string()))?;
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let made = once(self.api.create(&params, &object)).await?;
        Ok(made.metadata.resource_version.unwrap_or_default())
    }

    /// Changes one that is still as it was left: another daemon may have taken it over.
    pub async fn update(&self, entry: &Entry, version: &str) -> Result<String, CallError> {
        let body = json!({
            "metadata": { "resourceVersion": version },
            "data": { ENTRY_KEY: text(entry)? },
        });
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let written = once(self.api.patch(&name(entry.id), &params, &Patch::Merge(&body))).await?;
        Ok(written.metadata.resource_version.unwrap_or_default())
    }

    /// Deletes one, whether or not it is still there.
    pub async fn delete(&self, id: RecordId) -> Result<(), CallError> {
        let (name, params) = (name(id), DeleteParams::default());
        match repeated(|| self.api.delete(&name, &params)).await {
            Ok(_) | Err(CallError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Names of objects have small letters.
fn name(id: RecordId) -> String {
    format!("deploylog-{}", id.to_string().to_ascii_lowercase())
}

fn text(entry: &Entry) -> Result<String, CallError> {
    serde_json::to_string(entry).map_err(|error| CallError::Server(error.to_string()))
}

fn parse(object: &ConfigMap) -> Result<StoredEntry, String> {
    let text = object.data.as_ref().and_then(|data| data.get(ENTRY_KEY));
    let text = text.ok_or_else(|| format!("it has no {ENTRY_KEY}"))?;
    let entry: Entry = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if object.metadata.name.as_deref() != Some(name(entry.id).as_str()) {
        return Err(format!("it holds the entry {}, which is another one's", entry.id));
    }
    Ok(StoredEntry { entry, version: object.metadata.resource_version.clone().unwrap_or_default() })
}
