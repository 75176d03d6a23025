//! What a pod asks of its node, as Kubernetes counts it from a manifest. Not here: what others put into pods when they are made
//! (a LimitRange, a webhook), and what the cluster has.

use std::fmt;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

use super::read::{items, text};
use crate::diff::quantity_in_nanos;

/// The pods' specification in a Deployment.
const POD: &str = "/spec/template/spec";

/// CPU and memory; each none where the manifest does not say it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// In thousandths of a core.
    cpu_millis: Option<u64>,
    /// In bytes.
    memory_bytes: Option<u64>,
}

/// A resource, and how many nano-units are one of what it is counted in here.
#[derive(Clone, Copy)]
struct Resource {
    name: &'static str,
    nanos: i128,
}

const CPU: Resource = Resource { name: "cpu", nanos: 1_000_000 };
const MEMORY: Resource = Resource { name: "memory", nanos: 1_000_000_000 };

impl Requests {
    /// Of one pod of a Deployment.
    pub fn of_pod(deployment: &Value) -> Self {
        let pod = deployment.pointer(POD).unwrap_or(&Value::Null);
        Self { cpu_millis: of_resource(pod, CPU), memory_bytes: of_resource(pod, MEMORY) }
    }

    /// Of so many of such pods.
    #[must_use]
    pub fn times(self, pods: u32) -> Self {
        let times = |one: u64| one.saturating_mul(u64::from(pods));
        Self { cpu_millis: self.cpu_millis.map(times), memory_bytes: self.memory_bytes.map(times) }
    }

    /// True when the manifest says nothing.
    pub const fn is_unsaid(&self) -> bool {
        let Self { cpu_millis, memory_bytes } = self;
        cpu_millis.is_none() && memory_bytes.is_none()
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu_millis, memory_bytes } = self;
        let cpu = cpu_millis.map(|millis| format!("{} CPU", cores(millis)));
        let memory = memory_bytes.map(|bytes| format!("{} memory", binary(bytes)));
        f.write_str(&cpu.into_iter().chain(memory).collect::<Vec<_>>().join(", "))
    }
}

impl Serialize for Requests {
    /// As manifests write them: `{"cpu": "250m", "memory": "128Mi"}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { cpu_millis, memory_bytes } = self;
        let mut map = serializer.serialize_map(None)?;
        if let Some(millis) = cpu_millis {
            map.serialize_entry(CPU.name, &cores(*millis))?;
        }
        if let Some(bytes) = memory_bytes {
            map.serialize_entry(MEMORY.name, &binary(*bytes))?;
        }
        map.end()
    }
}

/// What the whole pod asks for. What is said for the pod counts before what its containers say, and its limit where nobody says
/// anything else.
///
/// Source of the rule: `PodRequests` in `k8s.io/component-helpers/resource`, and the API server's defaults.
fn of_resource(pod: &Value, resource: Resource) -> Option<u64> {
    let own = |of: &str| amount(pod, &format!("/resources/{of}"), resource);
    let whole = own("requests").or_else(|| of_containers(pod, resource)).or_else(|| own("limits"))?;
    Some(whole.saturating_add(amount(pod, "/overhead", resource).unwrap_or_default()))
}

/// Containers run side by side, with those that begin before them and stay (`restartPolicy: Always`); others that begin before
/// them run one after the other, each beside those that stay by then.
fn of_containers(pod: &Value, resource: Resource) -> Option<u64> {
    let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (one, other) => one.or(other),
    };
    let (mut staying, mut beginning) = (None, None);
    for container in items(pod, "/initContainers") {
        let asked = of_container(container, resource);
        if text(container, "/restartPolicy") == Some("Always") {
            staying = sum(staying, asked);
            beginning = beginning.max(staying);
        } else {
            beginning = beginning.max(sum(staying, asked));
        }
    }
    let all = items(pod, "/containers").map(|container| of_container(container, resource));
    all.fold(staying, sum).max(beginning)
}

/// A limit is the request where there is no other.
fn of_container(container: &Value, resource: Resource) -> Option<u64> {
    let own = |of: &str| amount(container, &format!("/resources/{of}"), resource);
    own("requests").or_else(|| own("limits"))
}

fn amount(value: &Value, pointer: &str, resource: Resource) -> Option<u64> {
    let nanos = match value.pointer(pointer)?.get(resource.name)? {
        Value::String(text) => quantity_in_nanos(text)?,
        Value::Number(number) => quantity_in_nanos(&number.to_string())?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    // Less than one counts as one.
    u64::try_from(nanos.checked_add(resource.nanos - 1)?.div_euclid(resource.nanos)).ok()
}

fn cores(millis: u64) -> String {
    if millis.is_multiple_of(1000) { (millis / 1000).to_string() } else { format!("{millis}m") }
}

/// In the largest unit of which it is a whole number, from the binary ones first: these are what memory is counted in.
fn binary(bytes: u64) -> String {
    const UNITS: [(&str, u64); 6] = [
        ("Gi", 1 << 30),
        ("Mi", 1 << 20),
        ("Ki", 1 << 10),
        ("G", 1_000_000_000),
        ("M", 1_000_000),
        ("k", 1_000),
    ];
    let whole = UNITS.into_iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    whole.map_or_else(|| bytes.to_string(), |(name, unit)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What such a pod asks for, so many times.
    fn said(pod: &Value, pods: u32) -> String {
        Requests::of_pod(&json!({ "spec": { "template": { "spec": pod } } })).times(pods).to_string()
    }

    fn asking(cpu: &str, memory: &str) -> Value {
        json!({ "resources": { "requests": { "cpu": cpu, "memory": memory } } })
    }

    #[test]
    fn the_requests_of_all_containers_are_added_up_for_all_pods() {
        let pod = json!({ "containers": [asking("200m", "96Mi"), asking("50m", "32Mi")] });
        assert_eq!(said(&pod, 3), "750m CPU, 384Mi memory");
        assert_eq!(said(&pod, 4), "1 CPU, 512Mi memory");
        assert_eq!(said(&pod, 8), "2 CPU, 1Gi memory");
    }

    #[test]
    fn what_a_manifest_does_not_say_is_not_told() {
        assert_eq!(said(&json!({ "containers": [{}] }), 3), "");
        let of_memory = json!({ "containers": [{ "resources": { "requests": { "memory": "1G" } } }, {}] });
        assert_eq!(said(&of_memory, 3), "3G memory");
        let damaged = json!({ "containers": [asking("much", "-1Mi")] });
        assert_eq!(said(&damaged, 1), "");
    }

    #[test]
    fn a_limit_is_the_request_where_there_is_no_other() {
        let limits = json!({ "cpu": 1, "memory": "64Mi" });
        let limited = json!({ "resources": { "limits": limits, "requests": { "cpu": "100m" } } });
        assert_eq!(said(&json!({ "containers": [limited] }), 1), "100m CPU, 64Mi memory");
    }

    #[test]
    fn what_begins_before_counts_where_it_is_more_and_what_stays_counts_beside() {
        let (small, large) = (asking("100m", "64Mi"), asking("1", "32Mi"));
        let pod = json!({ "containers": [small], "initContainers": [large] });
        assert_eq!(said(&pod, 1), "1 CPU, 64Mi memory");
        let mut stays = asking("10m", "16Mi");
        stays["restartPolicy"] = json!("Always");
        let pod = json!({ "containers": [small], "initContainers": [stays, large] });
        assert_eq!(said(&pod, 1), "1010m CPU, 80Mi memory");
    }

    #[test]
    fn what_is_said_for_the_pod_counts_before_its_containers_and_its_overhead_comes_on_top() {
        let whole = asking("2", "1Gi")["resources"].clone();
        let overhead = json!({ "cpu": "500m" });
        let pod = json!({ "containers": [asking("100m", "64Mi")], "resources": whole, "overhead": overhead });
        assert_eq!(said(&pod, 1), "2500m CPU, 1Gi memory");
    }

    #[test]
    fn amounts_are_written_in_the_largest_unit_that_fits() {
        let bytes = [0, 1500, 1537, 2048, 3_000_000, 3 << 30];
        assert_eq!(bytes.map(binary), ["0", "1500", "1537", "2Ki", "3M", "3Gi"]);
        assert_eq!([0, 1, 1000, 1001].map(cores), ["0", "1m", "1", "1001m"]);
    }
}
