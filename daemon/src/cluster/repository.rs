//! The record of one repository: environments that have none of their own, because their file could never be read.
//!
//! One ConfigMap for each repository and cluster, beside the parents. Its name has a dot, which no environment's has.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::{Api, Client};
use serde_json::json;
use tidegate_core::status::RepositoryStatus;

use super::call::{CallError, once, repeated};
use super::parent::SYSTEM_NAMESPACE;

/// On the record: the digest of the repository.
pub const REPOSITORY_LABEL: &str = "tidegate.dev/repository";

const KEY: &str = "repository.json";
const MANAGER: &str = "tidegate-state";
/// More repositories than this in one cluster are not listed by commands.
const REPOSITORIES_CAP: u32 = 1_000;

/// The records of all repositories in this cluster; those that cannot be read are left out.
pub async fn repositories(client: &Client) -> Result<Vec<RepositoryStatus>, CallError> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let params = ListParams::default().labels(REPOSITORY_LABEL).limit(REPOSITORIES_CAP);
    match repeated(|| api.list(&params)).await {
        Ok(list) => Ok(list.items.iter().filter_map(parse).collect()),
        Err(CallError::NotFound(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Makes the record say this, or removes it where there is nothing to say. Writes nothing that stands there already.
pub async fn record(
    client: &Client,
    source: &str,
    status: Option<&RepositoryStatus>,
) -> Result<(), CallError> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let name = format!("tidegate-repository.{source}");
    let known = repeated(|| api.get_opt(&name)).await?;
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    match (known, status) {
        (None, None) => Ok(()),
        (Some(known), None) => {
            let (uid, version) = identity(&known)?;
            let params = DeleteParams::default()
                .preconditions(Preconditions { uid: Some(uid), resource_version: Some(version) });
            match once(api.delete(&name, &params)).await {
                Ok(_) | Err(CallError::NotFound(_)) => Ok(()),
                Err(error) => Err(error),
            }
        }
        (Some(known), Some(status)) => {
            if parse(&known).is_some_and(|known| says_the_same(&known, status)) {
                return Ok(());
            }
            let mut object = object(&name, source, status)?;
            object.metadata.resource_version = Some(identity(&known)?.1);
            once(api.replace(&name, &params, &object)).await.map(drop)
        }
        (None, Some(status)) => {
            let object = object(&name, source, status)?;
            once(api.create(&params, &object)).await.map(drop)
        }
    }
}

/// Its uid and resourceVersion. An answer without them is no object: nothing is written on the strength of it.
fn identity(known: &ConfigMap) -> Result<(String, String), CallError> {
    let ObjectMeta { uid, resource_version, .. } = &known.metadata;
    uid.clone().zip(resource_version.clone()).ok_or_else(|| {
        CallError::Server(
            "the record of the repository was answered without uid and resourceVersion".to_owned(),
        )
    })
}

fn object(name: &str, source: &str, status: &RepositoryStatus) -> Result<ConfigMap, CallError> {
    let json = |error: serde_json::Error| CallError::Server(error.to_string());
    let text = serde_json::to_string(status).map_err(json)?;
    let mut object: ConfigMap = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "labels": { REPOSITORY_LABEL: source, "app.kubernetes.io/managed-by": "tidegate" },
        }
    }))
    .map_err(json)?;
    object.data = Some(BTreeMap::from([(KEY.to_owned(), text)]));
    Ok(object)
}

fn parse(object: &ConfigMap) -> Option<RepositoryStatus> {
    serde_json::from_str(object.data.as_ref()?.get(KEY)?).ok()
}

/// Everything but who wrote it and when.
fn says_the_same(before: &RepositoryStatus, now: &RepositoryStatus) -> bool {
    let RepositoryStatus { schema, source, replica: _, environments, updated: _ } = before;
    (schema, source, environments) == (&now.schema, &now.source, &now.environments)
}
