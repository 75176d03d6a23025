//! Services and Ingresses.

use serde_json::Value;

use super::Health;
use super::read::{items, sentence, text};

/// A Service of type LoadBalancer has an address; the others are what they say.
pub(super) fn service(live: &Value) -> Health {
    if text(live, "/spec/type") != Some("LoadBalancer") {
        return Health::healthy("it exists");
    }
    match address(live) {
        Some(address) => Health::healthy(format!("its load balancer is {address}")),
        None => Health::progressing("its load balancer has no address yet"),
    }
}

/// Healthy with or without an address, because many controllers never write one; the reason says which.
pub(super) fn ingress(live: &Value) -> Health {
    match address(live) {
        Some(address) => Health::healthy(format!("its load balancer is {address}")),
        None => Health::healthy("it exists, without an address of a load balancer"),
    }
}

fn address(live: &Value) -> Option<String> {
    let first = items(live, "/status/loadBalancer/ingress").first()?;
    let address = text(first, "/hostname").or_else(|| text(first, "/ip")).map(sentence);
    Some(address.unwrap_or_else(|| "ready".to_owned()))
}
