//! The colour's pods: those of exactly the revision that is asked about.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodCondition, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Api;
use kube::api::ListParams;
use tidegate_core::policy::{Port, Reach};
use tidegate_core::workload::names::{APP, REVISION, SLOT};

use super::Asking;
use super::door::Door;
use crate::cluster::call::{CallError, repeated};

/// More pods of a colour than this are not looked at.
const PODS_CAP: u32 = 1_000;

/// All pods of the colour and the revision.
pub async fn all(asking: &Asking<'_>) -> Result<Vec<Pod>, CallError> {
    let Asking { client, namespace, app, slot, revision, .. } = asking;
    let api: Api<Pod> = Api::namespaced((*client).clone(), namespace);
    let selector = format!("{APP}={app},{SLOT}={slot},{REVISION}={revision}");
    let params = ListParams::default().labels(&selector).limit(PODS_CAP);
    Ok(repeated(|| api.list(&params)).await?.items)
}

/// Those that are ready and not terminating; the reason when there are none, as a sentence.
pub async fn ready(asking: &Asking<'_>) -> Result<Vec<Pod>, String> {
    let pods = all(asking).await.map_err(|error| format!("the pods cannot be listed: {error}"))?;
    let total = pods.len();
    let ready: Vec<Pod> = pods.into_iter().filter(is_ready).collect();
    if ready.is_empty() {
        return Err(format!("no pod of {} {} is ready ({total} exist)", asking.app, asking.slot));
    }
    Ok(ready)
}

/// A connection to each ready pod, on this port.
pub async fn doors(asking: &Asking<'_>, port: Option<&Port>) -> Result<Vec<Door>, String> {
    let port = match port {
        Some(port) => port.clone(),
        None => target_port(asking).await?,
    };
    ready(asking).await?.iter().map(|pod| door(asking, pod, &port)).collect()
}

/// A connection to one pod.
pub fn door(asking: &Asking<'_>, pod: &Pod, port: &Port) -> Result<Door, String> {
    let name = name(pod);
    let number = number(pod, port).ok_or_else(|| match port {
        Port::Name(port) => format!("pod {name} has no port named `{port}`"),
        Port::Number(port) => format!("{port} is no port"),
    })?;
    match asking.reach {
        Reach::Direct => {
            let address = address(pod).ok_or_else(|| format!("pod {name} has no address"))?;
            Ok(Door::address(name, (address, number).into()))
        }
        Reach::ApiServer => Ok(Door::pod(name, asking.client, asking.namespace, number)),
    }
}

/// The target port of the first port of the workload's Service.
pub async fn target_port(asking: &Asking<'_>) -> Result<Port, String> {
    let name = asking.service;
    let service = service(asking, asking.namespace, name).await?;
    let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
    let first = ports.first().ok_or_else(|| format!("Service {name} has no port"))?;
    let named = first.target_port.clone().unwrap_or(IntOrString::Int(first.port));
    port_of(named).ok_or_else(|| format!("Service {name} has no port that pods can have"))
}

/// A Service of any namespace.
pub async fn service(asking: &Asking<'_>, namespace: &str, name: &str) -> Result<Service, String> {
    let api: Api<Service> = Api::namespaced(asking.client.clone(), namespace);
    repeated(|| api.get(name))
        .await
        .map_err(|error| format!("Service {namespace}/{name} cannot be read: {error}"))
}

fn port_of(named: IntOrString) -> Option<Port> {
    match named {
        IntOrString::Int(number) => u16::try_from(number).ok().map(Port::Number),
        IntOrString::String(name) => Some(Port::Name(name)),
    }
}

/// The number of a pod's port.
pub fn number(pod: &Pod, port: &Port) -> Option<u16> {
    let wanted = match port {
        Port::Number(number) => return Some(*number),
        Port::Name(name) => name,
    };
    let spec = pod.spec.as_ref()?;
    // Containers that are started first and stay have ports too.
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let mut ports = containers.flat_map(|Container { ports, .. }| ports.iter().flatten());
    let named = ports.find(|port| port.name.as_ref() == Some(wanted))?;
    u16::try_from(named.container_port).ok()
}

/// Its name.
pub fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// Its uid.
pub fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// Its address.
pub fn address(pod: &Pod) -> Option<IpAddr> {
    pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()
}

/// When it was made.
pub fn created(pod: &Pod) -> Option<Timestamp> {
    pod.metadata.creation_timestamp.as_ref().map(|time| time.0)
}

/// Its condition `Ready`.
pub fn readiness(pod: &Pod) -> Option<&PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == "Ready")
}

/// Ready, and not terminating.
pub fn is_ready(pod: &Pod) -> bool {
    !is_going(pod) && readiness(pod).is_some_and(|ready| ready.status == "True")
}

/// Terminating, evicted, or preempted: what it answers says nothing about its revision.
pub fn is_going(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_some() || matches!(phase, Some("Failed" | "Succeeded"))
}

/// Which of these pods are gone, or being taken away.
pub async fn gone(asking: &Asking<'_>, names: &[String]) -> Result<Vec<String>, CallError> {
    let pods = all(asking).await?;
    let staying: BTreeSet<&str> = pods.iter().filter(|pod| !is_going(pod)).map(name).collect();
    Ok(names.iter().filter(|name| !staying.contains(name.as_str())).cloned().collect())
}
