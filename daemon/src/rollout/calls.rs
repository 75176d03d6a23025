//! Requests about the objects of a rollout. Every write names its field manager and what must hold of the live object; no
//! decision is made here.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client};
use serde_json::{Value, json};
use tidegate_core::drift::migrate_kubectl;
use tidegate_core::ledger::{Capped, ObjectOperation, Operation};
use tidegate_core::object::{Gvk, ObjectRef};
use tidegate_core::workload::names::APP;

use super::guard::Guard;
use super::journal::Journal;
use crate::cluster::call::{CallError, is_about_object, repeated};

/// Owns what git asks for.
pub const BODY: &str = tidegate_core::drift::FIELD_MANAGER;
/// Owns records and the pointer's selector and ports.
pub const ROLLOUT: &str = "tidegate-rollout";
/// Owns the colour of a Deployment that is taken over. Apart from [`ROLLOUT`]: an apply of the record alone would take the colour
/// away.
pub const COLOUR: &str = "tidegate-colour";
/// Owns `spec.replicas`, by `/scale` alone.
pub const SCALE: &str = "tidegate-scale";
/// More pods or endpoint slices of one workload than this are not read.
const LIST_CAP: u32 = 5_000;

/// Kinds of objects that belong to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of a slot, or without a colour.
    Deployment,
    /// The pointer, or a follower.
    Service,
    /// A HorizontalPodAutoscaler.
    Autoscaler,
    /// A PodDisruptionBudget.
    Budget,
    /// A rendered configuration.
    ConfigMap,
    /// A rendered configuration, or a kept render.
    Secret,
}

impl Kind {
    fn resource(self) -> ApiResource {
        match self {
            Self::Deployment => ApiResource::erase::<Deployment>(&()),
            Self::Service => ApiResource::erase::<Service>(&()),
            Self::Autoscaler => ApiResource::erase::<HorizontalPodAutoscaler>(&()),
            Self::Budget => ApiResource::erase::<PodDisruptionBudget>(&()),
            Self::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
            Self::Secret => ApiResource::erase::<Secret>(&()),
        }
    }

    /// From the `kind` of a manifest.
    pub fn of(value: &Value) -> Option<Self> {
        Some(match value.get("kind")?.as_str()? {
            "Deployment" => Self::Deployment,
            "Service" => Self::Service,
            "HorizontalPodAutoscaler" => Self::Autoscaler,
            "PodDisruptionBudget" => Self::Budget,
            "ConfigMap" => Self::ConfigMap,
            "Secret" => Self::Secret,
            _ => return None,
        })
    }
}

/// An object as it was read, or as a write answered it.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// All of it.
    pub value: Value,
}

impl Live {
    /// A text at a pointer; empty where there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// A count at a pointer; 0 where there is none.
    pub fn number(&self, pointer: &str) -> u32 {
        let number = self.value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// The guard of a write that rests on this read.
    pub fn guard(&self) -> Guard {
        Guard::Exactly {
            uid: self.text("/metadata/uid").to_owned(),
            version: self.text("/metadata/resourceVersion").to_owned(),
        }
    }

    /// The guard of what controllers write to at any time, and nothing of a decision rests on.
    pub fn same(&self) -> Guard {
        let text = |pointer: &str| self.text(pointer).to_owned();
        Guard::Same { uid: text("/metadata/uid"), read: text("/metadata/resourceVersion") }
    }

    /// An annotation.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.value.get("metadata")?.get("annotations")?.get(name)?.as_str()
    }

    /// A label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.value.get("metadata")?.get("labels")?.get(name)?.as_str()
    }
}

/// Requests about one namespace.
#[derive(Clone)]
pub struct Calls {
    client: Client,
    /// The namespace.
    pub namespace: String,
    journal: Option<Arc<Journal>>,
}

impl Calls {
    /// Requests with this client.
    pub fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace, journal: None }
    }

    /// The same, whose writes the deploy log is told of.
    #[must_use]
    pub fn told(self, journal: Arc<Journal>) -> Self {
        Self { journal: Some(journal), ..self }
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The same about another namespace, of which the deploy log is not told.
    #[must_use]
    pub fn within(&self, namespace: &str) -> Self {
        Self::new(self.client.clone(), namespace.to_owned())
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind.resource())
    }

    /// The object as it is; none when it does not exist.
    pub async fn read(&self, kind: Kind, name: &str) -> Result<Option<Live>, CallError> {
        let api = self.api(kind);
        match repeated(|| api.get(name)).await {
            Ok(object) => live(&object).map(Some),
            Err(CallError::NotFound(status)) if is_about_object(&status) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Objects with these labels.
    pub async fn list(&self, kind: Kind, labels: &str) -> Result<Vec<Live>, CallError> {
        let api = self.api(kind);
        let params = ListParams::default().labels(labels).limit(LIST_CAP);
        let listed = repeated(|| api.list(&params)).await?;
        listed
            .items
            .iter()
            .map(|object| {
                let mut object = object.clone();
                object.types.get_or_insert_with(|| kube::core::TypeMeta {
                    api_version: kind.resource().api_version,
                    kind: kind.resource().kind,
                });
                live(&object)
            })
            .collect()
    }

    /// Pods with these labels.
    pub async fn pods(&self, labels: &str) -> Result<Vec<Pod>, CallError> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = ListParams::default().labels(labels).limit(LIST_CAP);
        Ok(repeated(|| api.list(&params)).await?.items)
    }

    /// The endpoints of a Service.
    pub async fn endpoints(&self, service: &str) -> Result<Vec<EndpointSlice>, CallError> {
        let api: Api<EndpointSlice> = Api::namespaced(self.client.clone(), &self.namespace);
        let labels = format!("kubernetes.io/service-name={service}");
        let params = ListParams::default().labels(&labels).limit(LIST_CAP);
        Ok(repeated(|| api.list(&params)).await?.items)
    }

    /// Server-side apply, guarded.
    pub async fn apply(
        &self,
        kind: Kind,
        manager: &str,
        mut body: Value,
        guard: &Guard,
    ) -> Result<Live, CallError> {
        guard.put(&mut body);
        let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let api = self.api(kind);
        let params = PatchParams::apply(manager).force();
        let patch = Patch::Apply(&body);
        let op = if *guard == Guard::Nowhere { Operation::Create } else { Operation::Change };
        let uid = guard.uid();
        let write = repeated(|| api.patch(&name, &params, &patch));
        let is_same = |after: &DynamicObject| guard.is_of(after.metadata.resource_version.as_deref());
        live(&self.written(kind, (&name, uid), op, write, is_same).await?)
    }

    /// Sends a write, between an intent and what came of it.
    async fn written<T>(
        &self,
        kind: Kind,
        (name, uid): (&str, Option<&str>),
        op: Operation,
        write: impl Future<Output = Result<T, CallError>>,
        is_same: impl Fn(&T) -> bool,
    ) -> Result<T, CallError> {
        let write = Box::pin(write);
        let Some(journal) = &self.journal else { return write.await };
        let resource = kind.resource();
        let object = ObjectRef {
            gvk: Gvk::from_api_version(&resource.api_version, &resource.kind),
            namespace: Some(self.namespace.clone()),
            name: name.to_owned(),
        };
        let told =
            ObjectOperation { object, uid: uid.map(str::to_owned), op, fields: Capped::default(), times: 1 };
        Box::pin(journal.before(&told)).await;
        let written = write.await;
        let came = match &written {
            // Nothing was written.
            Ok(after) if is_same(after) => None,
            Ok(_) => Some((op, None)),
            Err(CallError::Conflict(_) | CallError::NotFound(_) | CallError::Unauthorized(_)) => None,
            Err(CallError::Refused(status) | CallError::Forbidden(status)) => {
                Some((Operation::Refused, Some(status.message.clone())))
            }
            Err(
                error @ (CallError::Busy { .. }
                | CallError::Damaged(_)
                | CallError::Server(_)
                | CallError::Unreachable(_)),
            ) => Some((op, Some(format!("nobody knows whether it was done: {error}")))),
        };
        if let Some((op, said)) = came {
            journal
                .after(ObjectOperation { op, fields: Capped::all(said.into_iter().collect()), ..told })
                .await;
        }
        written
    }

    /// What an apply of the body would give.
    pub async fn dry_run(
        &self,
        kind: Kind,
        manager: &str,
        mut body: Value,
        read: &Live,
    ) -> Result<Value, CallError> {
        read.guard().put(&mut body);
        let api = self.api(kind);
        let mut params = PatchParams::apply(manager).force();
        params.dry_run = true;
        let patch = Patch::Apply(&body);
        live(&repeated(|| api.patch(read.name(), &params, &patch)).await?).map(|live| live.value)
    }

    /// Hands the fields of kubectl's managers to us, so that the next apply removes what is not asked for.
    pub async fn take_over(&self, kind: Kind, read: &Live) -> Result<Live, CallError> {
        let managed = read.value.pointer("/metadata/managedFields").unwrap_or(&Value::Null);
        match migrate_kubectl(managed, &[]) {
            Some(migrated) => self.own(kind, read, &migrated).await,
            None => Ok(read.clone()),
        }
    }

    /// Writes who holds which fields, guarded.
    pub async fn own(&self, kind: Kind, read: &Live, managed: &Value) -> Result<Live, CallError> {
        let change = json!({ "op": "replace", "path": "/metadata/managedFields", "value": managed });
        self.patch_json(kind, read, BODY, change).await
    }

    /// One change, guarded: what does not hold of a field that is replaced by itself is a conflict. (A `test` operation that does
    /// not hold is a refusal.)
    async fn patch_json(
        &self,
        kind: Kind,
        read: &Live,
        manager: &str,
        change: Value,
    ) -> Result<Live, CallError> {
        let own = |path: &str| json!({ "op": "replace", "path": path, "value": read.text(path) });
        let operations = json!([change, own("/metadata/uid"), own("/metadata/resourceVersion")]);
        let patch: json_patch::Patch =
            serde_json::from_value(operations).map_err(|error| CallError::Server(error.to_string()))?;
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        let (api, patch) = (self.api(kind), Patch::Json::<()>(patch));
        let written = repeated(|| api.patch(read.name(), &params, &patch));
        live(
            &self
                .written(
                    kind,
                    (read.name(), Some(read.text("/metadata/uid"))),
                    Operation::Change,
                    written,
                    |_| false,
                )
                .await?,
        )
    }

    /// The ReplicaSets of a workload's slots.
    pub async fn replica_sets(&self, app: &str) -> Result<Vec<Value>, CallError> {
        let api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = ListParams::default().labels(&format!("{APP}={app}")).limit(LIST_CAP);
        let listed = repeated(|| api.list(&params)).await?;
        let value = |set: &ReplicaSet| serde_json::to_value(set);
        listed
            .items
            .iter()
            .map(value)
            .collect::<Result<_, _>>()
            .map_err(|error| CallError::Server(error.to_string()))
    }

    /// Takes an annotation away, guarded. (An apply without it would take other fields of the same manager with it.)
    pub async fn drop_annotation(
        &self,
        kind: Kind,
        read: &Live,
        annotation: &str,
    ) -> Result<Live, CallError> {
        let path = format!("/metadata/annotations/{}", annotation.replace('~', "~0").replace('/', "~1"));
        self.patch_json(kind, read, ROLLOUT, json!({ "op": "remove", "path": path })).await
    }

    /// Sets the size of a Deployment, guarded; answers its new resourceVersion.
    pub async fn scale(&self, read: &Live, replicas: u32) -> Result<(), CallError> {
        let api = self.api(Kind::Deployment);
        let body = json!({
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {
                "name": read.name(),
                "namespace": self.namespace,
                "uid": read.text("/metadata/uid"),
                "resourceVersion": read.text("/metadata/resourceVersion"),
            },
            "spec": { "replicas": replicas },
        });
        let params = PostParams { field_manager: Some(SCALE.to_owned()), ..PostParams::default() };
        let written = repeated(|| api.replace_subresource::<Value>("scale", read.name(), &params, &body));
        self.written(
            Kind::Deployment,
            (read.name(), Some(read.text("/metadata/uid"))),
            Operation::Scale,
            written,
            |_| false,
        )
        .await
        .map(drop)
    }

    /// Deletes the very object that was read; its dependents go in the background. True when it was there.
    pub async fn delete(&self, kind: Kind, read: &Live, guard: &Guard) -> Result<bool, CallError> {
        let (uid, resource_version) = match guard {
            Guard::Exactly { uid, version } => (uid.clone(), Some(version.clone())),
            Guard::Same { uid, read: _ } => (uid.clone(), None),
            Guard::Nowhere => return Ok(false),
        };
        let params =
            DeleteParams::background().preconditions(Preconditions { uid: Some(uid), resource_version });
        let api = self.api(kind);
        let written = repeated(|| api.delete(read.name(), &params));
        match self
            .written(
                kind,
                (read.name(), Some(read.text("/metadata/uid"))),
                Operation::Delete,
                written,
                |_| false,
            )
            .await
        {
            Ok(_) => Ok(true),
            Err(CallError::NotFound(status)) if is_about_object(&status) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn live(object: &DynamicObject) -> Result<Live, CallError> {
    let value = serde_json::to_value(object).map_err(|error| CallError::Server(error.to_string()))?;
    Ok(Live { value })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::{Request, Response};
    use http_body_util::BodyExt as _;
    use kube::client::Body;
    use tidegate_core::inventory::NOWHERE;

    use super::*;

    /// What was sent: method, path with query, body.
    type Sent = Arc<Mutex<Vec<(String, String, Value)>>>;

    /// An API server that remembers what it is sent, and answers everything with the slot.
    fn server() -> (Calls, Sent) {
        let sent = Sent::default();
        let known = sent.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let known = known.clone();
            async move {
                let (parts, body) = request.into_parts();
                let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
                let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                known.lock().unwrap().push((parts.method.to_string(), parts.uri.to_string(), body));
                Ok::<_, tower::BoxError>(Response::new(Body::from(slot().value.to_string().into_bytes())))
            }
        });
        (Calls::new(Client::new(service, "shop"), "shop".to_owned()), sent)
    }

    fn slot() -> Live {
        let managed =
            json!([{ "manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {}} }]);
        let annotations = json!({ "tidegate.dev/rollout": "{}" });
        Live {
            value: json!({
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {
                    "name": "api-blue", "namespace": "shop", "uid": "u-1", "resourceVersion": "41",
                    "annotations": annotations, "managedFields": managed,
                },
            }),
        }
    }

    fn body() -> Value {
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "api-blue" } })
    }

    /// The only request that was sent.
    fn only(sent: &Sent) -> (String, String, Value) {
        let sent = sent.lock().unwrap();
        let [one] = sent.as_slice() else { panic!("one request: {sent:?}") };
        one.clone()
    }

    fn guards(body: &Value) -> (&Value, &Value) {
        (&body["metadata"]["uid"], &body["metadata"]["resourceVersion"])
    }

    #[tokio::test]
    async fn an_apply_names_the_very_version_that_was_read() {
        let (calls, sent) = server();
        calls.apply(Kind::Deployment, ROLLOUT, body(), &slot().guard()).await.unwrap();
        let (method, path, body) = only(&sent);
        assert_eq!(method, "PATCH");
        assert!(
            path.contains("/deployments/api-blue?") && path.contains("fieldManager=tidegate-rollout"),
            "{path}"
        );
        assert_eq!(guards(&body), (&json!("u-1"), &json!("41")));
    }

    #[tokio::test]
    async fn what_is_made_is_refused_where_anything_is() {
        let (calls, sent) = server();
        calls.apply(Kind::Deployment, BODY, body(), &Guard::Nowhere).await.unwrap();
        assert_eq!(guards(&only(&sent).2), (&Value::Null, &json!(NOWHERE)));
    }

    #[tokio::test]
    async fn what_controllers_write_to_is_guarded_by_its_uid_alone() {
        let (calls, sent) = server();
        calls.apply(Kind::Autoscaler, BODY, body(), &slot().same()).await.unwrap();
        assert_eq!(guards(&only(&sent).2), (&json!("u-1"), &Value::Null));
    }

    #[tokio::test]
    async fn a_size_goes_by_the_scale_subresource_and_names_the_very_version_that_was_read() {
        let (calls, sent) = server();
        calls.scale(&slot(), 3).await.unwrap();
        let (method, path, body) = only(&sent);
        assert_eq!(method, "PUT");
        assert!(
            path.contains("/deployments/api-blue/scale?") && path.contains("fieldManager=tidegate-scale"),
            "{path}"
        );
        assert_eq!(guards(&body), (&json!("u-1"), &json!("41")));
        assert_eq!(body["spec"], json!({ "replicas": 3 }));
    }

    #[tokio::test]
    async fn a_change_of_one_field_replaces_uid_and_version_by_those_that_were_read() {
        let replaced = [
            json!({ "op": "replace", "path": "/metadata/uid", "value": "u-1" }),
            json!({ "op": "replace", "path": "/metadata/resourceVersion", "value": "41" }),
        ];
        let (calls, sent) = server();
        calls.drop_annotation(Kind::Deployment, &slot(), "tidegate.dev/rollout").await.unwrap();
        let body = only(&sent).2;
        assert_eq!(body[0], json!({ "op": "remove", "path": "/metadata/annotations/tidegate.dev~1rollout" }));
        assert_eq!(body.as_array().unwrap()[1..], replaced);
        let (calls, sent) = server();
        calls.own(Kind::Deployment, &slot(), &json!([])).await.unwrap();
        let body = only(&sent).2;
        assert_eq!(body[0], json!({ "op": "replace", "path": "/metadata/managedFields", "value": [] }));
        assert_eq!(body.as_array().unwrap()[1..], replaced);
    }

    #[tokio::test]
    async fn a_delete_means_the_very_object_that_was_read() {
        let (calls, sent) = server();
        calls.delete(Kind::Deployment, &slot(), &slot().guard()).await.unwrap();
        let (method, _, body) = only(&sent);
        assert_eq!(method, "DELETE");
        assert_eq!(body["preconditions"], json!({ "uid": "u-1", "resourceVersion": "41" }));
        let (calls, sent) = server();
        calls.delete(Kind::Budget, &slot(), &slot().same()).await.unwrap();
        assert_eq!(only(&sent).2["preconditions"]["uid"], "u-1");
        let (calls, sent) = server();
        assert!(!calls.delete(Kind::Deployment, &slot(), &Guard::Nowhere).await.unwrap());
        assert!(sent.lock().unwrap().is_empty(), "nothing is deleted by its name alone");
    }
}
