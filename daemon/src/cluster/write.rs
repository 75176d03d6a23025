//! Writes of single objects: server-side apply, its dry-run, delete, and the migration of kubectl's field managers.
//!
//! Every write carries the precondition that its plan saw. No decision is made here.

use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::{Value, json};
use tidegate_core::drift::{FIELD_MANAGER, migrate_kubectl};
use tidegate_core::object::{ObjectId, Scope};

use super::call::{CallError, is_about_object, once, repeated};
use super::kinds::ServedKind;

/// Writes to one cluster.
#[derive(Clone)]
pub struct Writer {
    client: Client,
}

impl Writer {
    /// Writes with this client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Applies (or only asks what applying would give).
    pub async fn apply(
        &self,
        kind: &ServedKind,
        id: &ObjectId,
        body: &Value,
        mode: Mode,
    ) -> Result<Value, CallError> {
        let api = self.api(kind, id);
        let mut params = PatchParams::apply(FIELD_MANAGER).force().validation_strict();
        params.dry_run = match mode {
            Mode::DryRun => true,
            Mode::Write => false,
        };
        let patch = Patch::Apply(body);
        let answer = repeated(|| api.patch(&id.name, &params, &patch)).await?;
        serde_json::to_value(answer).map_err(|error| CallError::Server(error.to_string()))
    }

    /// Deletes the object with this uid. Dependents go in the background.
    pub async fn delete(&self, kind: &ServedKind, id: &ObjectId, uid: &str) -> Result<Deleted, CallError> {
        let api = self.api(kind, id);
        let params = DeleteParams::background()
            .preconditions(Preconditions { uid: Some(uid.to_owned()), resource_version: None });
        match repeated(|| api.delete(&id.name, &params)).await {
            // An object in the answer may be the last one or one on its way; a bare status is certain.
            Ok(answer) => Ok(if answer.is_left() { Deleted::Accepted } else { Deleted::Gone }),
            Err(CallError::NotFound(status)) if is_about_object(&status) => Ok(Deleted::WasGone),
            Err(error) => Err(error),
        }
    }

    /// The whole live object; none when it does not exist. A kind that is not served is an error, not an absence.
    pub async fn read(&self, kind: &ServedKind, id: &ObjectId) -> Result<Option<Value>, CallError> {
        let api = self.api(kind, id);
        match repeated(|| api.get(&id.name)).await {
            Ok(object) => {
                serde_json::to_value(object).map(Some).map_err(|error| CallError::Server(error.to_string()))
            }
            Err(CallError::NotFound(status)) if is_about_object(&status) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The metadata of a live object, as `{metadata: …}`.
    pub async fn read_metadata(&self, kind: &ServedKind, id: &ObjectId) -> Result<Option<Value>, CallError> {
        let api = self.api(kind, id);
        match repeated(|| api.get_metadata(&id.name)).await {
            Ok(object) => {
                serde_json::to_value(object).map(Some).map_err(|error| CallError::Server(error.to_string()))
            }
            Err(CallError::NotFound(status)) if is_about_object(&status) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hands the fields of kubectl's managers to us, so that the next apply removes what git does not ask for; not
    /// those that the object leaves to others.
    /// Answers the object as it is then, when anything was handed over.
    pub async fn migrate(
        &self,
        kind: &ServedKind,
        id: &ObjectId,
        live: &Value,
        ignored: &[String],
    ) -> Result<Option<Value>, CallError> {
        let metadata = live.get("metadata").unwrap_or(&Value::Null);
        let managed = metadata.get("managedFields").unwrap_or(&Value::Null);
        let Some(migrated) = migrate_kubectl(managed, ignored) else { return Ok(None) };
        let version = metadata.get("resourceVersion").cloned().unwrap_or(Value::Null);
        // The resourceVersion makes a write in between a conflict (a `test` operation would make it a refusal).
        let operations = json!([
            { "op": "replace", "path": "/metadata/managedFields", "value": migrated },
            { "op": "replace", "path": "/metadata/resourceVersion", "value": version },
        ]);
        let patch: json_patch::Patch =
            serde_json::from_value(operations).map_err(|error| CallError::Server(error.to_string()))?;
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let api = self.api(kind, id);
        let answer = once(api.patch(&id.name, &params, &Patch::Json::<()>(patch))).await?;
        serde_json::to_value(answer).map(Some).map_err(|error| CallError::Server(error.to_string()))
    }

    fn api(&self, kind: &ServedKind, id: &ObjectId) -> Api<DynamicObject> {
        match (kind.scope, &id.namespace) {
            (Scope::Namespaced, Some(namespace)) => {
                Api::namespaced_with(self.client.clone(), namespace, &kind.resource)
            }
            (Scope::Namespaced, None) | (Scope::Cluster, _) => {
                Api::all_with(self.client.clone(), &kind.resource)
            }
        }
    }
}

/// What came of a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// The API server took it, and does not say that the object is gone: a finalizer or a grace period may hold it.
    Accepted,
    /// It is gone.
    Gone,
    /// It was gone before.
    WasGone,
}

/// Whether an apply is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Carried out.
    Write,
    /// Only answered.
    DryRun,
}
