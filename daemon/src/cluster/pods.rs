//! Why a workload is not ready: the first telling reason of its pods.

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::Value;
use tidegate_core::health::{PodTrouble, assess_pods};
use tidegate_core::object::ObjectId;

use super::call::{CallError, repeated};

/// More pods than this are not looked at.
const PODS_CAP: u32 = 50;

/// The trouble of the pods that `workload` (a whole live object) selects; none when it selects none or all are well.
pub async fn trouble(
    client: &Client,
    id: &ObjectId,
    workload: &Value,
) -> Result<Option<PodTrouble>, CallError> {
    let (Some(namespace), Some(selector)) = (&id.namespace, selector(id, workload)) else { return Ok(None) };
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = ListParams::default().labels(&selector).limit(PODS_CAP);
    let pods = repeated(|| api.list(&params)).await?;
    let pods: Vec<Value> = pods.items.iter().filter_map(|pod| serde_json::to_value(pod).ok()).collect();
    Ok(assess_pods(&pods))
}

/// The labels of a workload's pods; none when it selects none.
fn selector(id: &ObjectId, workload: &Value) -> Option<String> {
    if id.group == "batch" && id.kind == "Job" {
        // The selector of a Job is made by the API server.
        return Some(format!("batch.kubernetes.io/job-name={}", id.name));
    }
    let labels = workload.pointer("/spec/selector/matchLabels").and_then(Value::as_object)?;
    let labels: Vec<String> =
        labels.iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    (!labels.is_empty()).then(|| labels.join(","))
}

/// The trouble in one sentence: `pod web-1, container web: ImagePullBackOff: …`.
pub fn sentence(trouble: &PodTrouble) -> String {
    let PodTrouble { pod, container, reason, message, fatal: _ } = trouble;
    match container {
        Some(container) => format!("pod {pod}, container {container}: {reason}: {message}"),
        None => format!("pod {pod}: {reason}: {message}"),
    }
}
