//! What rolls out in the benchmarks of rollouts: the house-price API, plain or with a policy, and how it is looked at.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::Value;

use crate::board::resource;

/// The workload's name.
pub const APP: &str = "house-price";
const IMAGE: &str = "docker.io/local/shop:1.0.0";
/// Objects are looked at so often.
const EVERY: Duration = Duration::from_millis(5);

/// What a release's pods are told: their version, and what they add to each prediction (another one than 0 is a wrong model).
#[derive(Debug, Clone)]
pub struct Release {
    pub version: String,
    pub offset: &'static str,
}

/// Deployment and Service.
pub fn manifests(release: &Release) -> String {
    let Release { version, offset } = release;
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {APP}}}\nspec:\n  selector: {{app: {APP}}}\n  \
         ports: [{{name: http, port: 80, targetPort: http}}]\n---\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {APP}, labels: {{app: {APP}}}}}\nspec:\n  replicas: 2\n  \
         selector: {{matchLabels: {{app: {APP}}}}}\n  template:\n    metadata: {{labels: {{app: {APP}}}}}\n    spec:\n      \
         terminationGracePeriodSeconds: 5\n      containers:\n      - name: main\n        image: {IMAGE}\n        \
         imagePullPolicy: IfNotPresent\n        args: [house-price]\n        \
         env: [{{name: VERSION, value: \"{version}\"}}, {{name: PREDICTION_OFFSET, value: \"{offset}\"}}]\n        \
         ports: [{{name: http, containerPort: 8080}}]\n        readinessProbe: {{httpGet: {{path: /readyz, port: http}}, periodSeconds: 1}}\n        \
         lifecycle: {{preStop: {{sleep: {{seconds: 2}}}}}}\n        resources: {{requests: {{cpu: 5m, memory: 8Mi}}}}\n"
    )
}

/// One gate before the switch that takes any answer, one in the bake that takes only right ones.
pub fn policy() -> String {
    format!(
        "apiVersion: tidegate.dev/v1\nkind: RolloutPolicy\nmetadata: {{name: blue-green}}\nspec:\n  reach: direct\n  \
         match: {{selector: {{matchLabels: {{app: {APP}}}}}}}\n  traffic: {{mode: service}}\n  gates:\n    beforeSwitch:\n      \
         - {{name: smoke, every: 1s, http: {{method: POST, path: /predict, body: {{rooms: 6.5}}, everyPod: true, expect: {{status: 200}}}}}}\n    \
         whileBaking:\n      - {{name: watch, every: 1s, http: {{method: POST, path: /predict, body: {{rooms: 6.5}}, \
         expect: {{status: 200, json: [{{pointer: /prediction, equals: 20.35, tolerance: {{abs: 0.01}}}}]}}}}}}\n  \
         bake: {{duration: 2s, max: 60s}}\n  drain: 1s\n  keepFailed: 1s\n"
    )
}

/// The environment of this name, in a namespace of the same name.
pub fn environment(name: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n  cluster: {{kubeconfig: {{}}}}\n  \
         namespaces: [{name}]\n  policies: [blue-green]\n"
    )
}

/// The workload as it stands on the cluster.
pub struct Watched {
    services: Api<DynamicObject>,
    deployments: Api<DynamicObject>,
}

impl Watched {
    pub fn new(client: &Client, namespace: &str) -> Self {
        let all = |group, kind| Api::namespaced_with(client.clone(), namespace, &resource(group, "v1", kind));
        Self { services: all("", "Service"), deployments: all("apps", "Deployment") }
    }

    /// Looks at one object again and again; when it was seen to hold.
    async fn until(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        limit: Duration,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<(Instant, Value)> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Some(found) = api.get_opt(name).await? {
                let value = serde_json::to_value(&found)?;
                if holds(&value) {
                    return Ok((Instant::now(), value));
                }
            }
            tokio::time::sleep(EVERY).await;
        }
        bail!("{name} is not as it should be within {} s", limit.as_secs())
    }

    /// When the Service was seen to select this slot.
    pub async fn selects(&self, slot: &str, limit: Duration) -> Result<Instant> {
        let holds = |service: &Value| slot_of(service) == Some(slot);
        Ok(self.until(&self.services, APP, limit, holds).await?.0)
    }

    /// When a record on a slot was seen to hold.
    pub async fn slot(&self, slot: &str, limit: Duration, holds: impl Fn(&Value) -> bool) -> Result<Instant> {
        let holds = |found: &Value| holds(&record(found, "tidegate.dev/slot-record"));
        Ok(self.until(&self.deployments, &format!("{APP}-{slot}"), limit, holds).await?.0)
    }

    /// Waits until no bake is open and the other colour is put away.
    pub async fn is_at_rest(&self, other: &str, limit: Duration) -> Result<()> {
        let closed =
            |service: &Value| record(service, "tidegate.dev/rollout").pointer("/bake/closed").is_some();
        self.until(&self.services, APP, limit, closed).await?;
        // The Deployment that was taken over is deleted, the others stay at 0.
        for name in [APP.to_owned(), format!("{APP}-{other}")] {
            self.is_away(&name, limit).await?;
        }
        Ok(())
    }

    async fn is_away(&self, name: &str, limit: Duration) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < limit {
            let Some(found) = self.deployments.get_opt(name).await? else { return Ok(()) };
            let found = serde_json::to_value(&found)?;
            if number(&found, "/spec/replicas") == 0 && number(&found, "/status/replicas") == 0 {
                return Ok(());
            }
            tokio::time::sleep(EVERY).await;
        }
        bail!("{name} is not put away within {} s", limit.as_secs())
    }

    /// Waits until a plain Deployment has rolled out.
    pub async fn has_rolled(&self, version: &str, limit: Duration) -> Result<()> {
        let whole = |found: &Value| {
            let container = "/spec/template/spec/containers/0/env/0/value";
            found.pointer(container).and_then(Value::as_str) == Some(version)
                && number(found, "/status/observedGeneration") == number(found, "/metadata/generation")
                && ["replicas", "updatedReplicas", "readyReplicas"]
                    .iter()
                    .all(|count| number(found, &format!("/status/{count}")) == 2)
        };
        self.until(&self.deployments, APP, limit, whole).await?;
        Ok(())
    }

    /// The Service's address.
    pub async fn address(&self) -> Result<SocketAddr> {
        let service = self.services.get(APP).await?;
        let address = service.data.pointer("/spec/clusterIP").and_then(Value::as_str);
        let address = address.context("the Service has no address")?;
        Ok(format!("{address}:80").parse()?)
    }
}

fn slot_of(service: &Value) -> Option<&str> {
    service.pointer("/spec/selector/tidegate.dev~1slot")?.as_str()
}

/// A number at a pointer; 0 where there is none.
fn number(found: &Value, pointer: &str) -> u64 {
    found.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn record(found: &Value, annotation: &str) -> Value {
    let annotations = found.pointer("/metadata/annotations");
    let text = annotations.and_then(|all| all.get(annotation)).and_then(Value::as_str).unwrap_or("null");
    serde_json::from_str(text).unwrap_or_default()
}
