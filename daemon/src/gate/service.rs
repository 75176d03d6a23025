//! What a Service that a policy names stands for. Its endpoints are made by whoever may write into its namespace: none is
//! asked whose address the guard refuses.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::Api;
use kube::api::ListParams;
use tidegate_core::gate::{Guard, Miss};
use tidegate_core::policy::Reach;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::door::Door;
use super::{Asking, own, pods};
use crate::cluster::call::repeated;

/// More slices of a Service than this are not read; each has at most 1,000 endpoints, 100 usually.
const SLICES_CAP: u32 = 20;
/// Longest wait for the addresses of a name.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(5);

/// Ways to its endpoints; the reason when there is none, as a sentence.
pub async fn doors(asking: &Asking<'_>, namespace: &str, name: &str, port: u16) -> Result<Vec<Door>, String> {
    let service = pods::service(asking, namespace, name).await?;
    let spec = service.spec.as_ref();
    if spec.and_then(|spec| spec.type_.as_deref()) == Some("ExternalName") {
        let host = spec.and_then(|spec| spec.external_name.as_deref()).unwrap_or_default();
        let addresses = resolve(asking, host, port).await?;
        return Ok(addresses
            .into_iter()
            .map(|address| Door::address(format!("{host}, {address}"), address))
            .collect());
    }
    of_endpoints(asking, &service, (namespace, name), port).await
}

/// The addresses of a name, resolved once, that may be asked.
pub async fn resolve(asking: &Asking<'_>, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let host = host.trim_end_matches('.');
    let found = match timeout(LOOKUP_DEADLINE, lookup_host((host, port))).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(error)) => return Err(format!("the name {host} has no address: {error}")),
        Err(_) => {
            return Err(format!("the name {host} has no address within {} s", LOOKUP_DEADLINE.as_secs()));
        }
    };
    if found.is_empty() {
        return Err(format!("the name {host} has no address"));
    }
    permitted(asking, host, found).await
}

/// Those that the guard lets through; its refusal where it lets none.
async fn permitted(
    asking: &Asking<'_>,
    whose: &str,
    found: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, String> {
    let api_server = own::addresses(asking.client).await?;
    let guard = Guard { allowed: asking.allowed_addresses, api_server: &api_server };
    let refused = found.iter().find_map(|address| Some((address.ip(), guard.refusal(address.ip())?)));
    let permitted: Vec<SocketAddr> =
        found.into_iter().filter(|address| guard.refusal(address.ip()).is_none()).collect();
    match refused {
        Some((address, why)) if permitted.is_empty() => {
            Err(format!("{whose} {}", Miss::Forbidden { address, why }))
        }
        Some(_) | None => Ok(permitted),
    }
}

/// A ready endpoint.
struct Ready {
    address: IpAddr,
    port: u16,
    pod: Option<(String, String)>,
}

async fn of_endpoints(
    asking: &Asking<'_>,
    service: &Service,
    (namespace, name): (&str, &str),
    port: u16,
) -> Result<Vec<Door>, String> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let port_name = ports
        .into_iter()
        .find(|candidate| u16::try_from(candidate.port) == Ok(port))
        .map(|port| port.name.clone().unwrap_or_default())
        .ok_or_else(|| format!("Service {namespace}/{name} has no port {port}"))?;
    let api: Api<EndpointSlice> = Api::namespaced(asking.client.clone(), namespace);
    let params =
        ListParams::default().labels(&format!("kubernetes.io/service-name={name}")).limit(SLICES_CAP);
    let slices = repeated(|| api.list(&params))
        .await
        .map_err(|error| format!("the endpoints of Service {namespace}/{name} cannot be read: {error}"))?;
    let ready: Vec<Ready> = slices.items.iter().flat_map(|slice| ready_of(slice, &port_name)).collect();
    if ready.is_empty() {
        return Err(format!("Service {namespace}/{name} has no ready endpoint for port {port}"));
    }
    let found = ready.iter().map(|ready| (ready.address, ready.port).into()).collect();
    let permitted: BTreeSet<SocketAddr> =
        permitted(asking, &format!("Service {namespace}/{name}"), found).await?.into_iter().collect();
    let asked = ready.into_iter().filter(|ready| permitted.contains(&(ready.address, ready.port).into()));
    Ok(asked
        .map(|Ready { address, port, pod }| match (asking.reach, pod) {
            (Reach::ApiServer, Some((namespace, pod))) => Door::pod(&pod, asking.client, &namespace, port),
            // What is no pod has no stream through the API server.
            (Reach::ApiServer, None) | (Reach::Direct, _) => {
                Door::address(SocketAddr::from((address, port)).to_string(), (address, port).into())
            }
        })
        .collect())
}

/// The ready endpoints of a slice, for the port of this name.
fn ready_of(slice: &EndpointSlice, port_name: &str) -> Vec<Ready> {
    let ports = slice.ports.iter().flatten();
    let named = ports.into_iter().find(|port| port.name.as_deref().unwrap_or_default() == port_name);
    let Some(port) = named.and_then(|port| u16::try_from(port.port?).ok()) else { return Vec::new() };
    let namespace = slice.metadata.namespace.clone().unwrap_or_default();
    let ready = slice.endpoints.iter().filter(|endpoint| {
        endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
    });
    ready
        .filter_map(|endpoint| {
            let address = endpoint.addresses.first()?.parse().ok()?;
            let pod = pod_of(endpoint).map(|pod| (namespace.clone(), pod));
            Some(Ready { address, port, pod })
        })
        .collect()
}

fn pod_of(endpoint: &Endpoint) -> Option<String> {
    let target = endpoint.target_ref.as_ref()?;
    (target.kind.as_deref() == Some("Pod")).then(|| target.name.clone())?
}
