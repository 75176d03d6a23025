//! The API server's own addresses, as far as it names them: gates do not ask it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use kube::Client;

use crate::cluster::call::repeated;

/// Where a pod finds the API server.
const IN_CLUSTER: &str = "KUBERNETES_SERVICE_HOST";

/// What the API server says of itself, and where this process was told to find one.
pub async fn addresses(client: &Client) -> Result<BTreeSet<IpAddr>, String> {
    let versions = repeated(|| client.list_core_api_versions()).await.map_err(|error| {
        format!("the API server does not tell its own addresses, which are not asked: {error}")
    })?;
    let named = versions.server_address_by_client_cidrs;
    let told = named.iter().filter_map(|named| host_of(&named.server_address));
    let given = std::env::var(IN_CLUSTER).ok().and_then(|host| host.parse().ok());
    Ok(told.chain(given).collect())
}

/// The address before the port.
fn host_of(text: &str) -> Option<IpAddr> {
    text.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| text.parse()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_its_port_and_without() {
        assert_eq!(host_of("10.0.0.1:6443"), Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(host_of("[fd00::1]:443"), "fd00::1".parse().ok());
        assert_eq!(host_of("fd00::1"), "fd00::1".parse().ok());
        assert_eq!(host_of("kubernetes.example:443"), None);
    }
}
