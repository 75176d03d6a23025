//! The addresses of a cluster: one slice of 198.18.0.0/15 (RFC 2544, never routed) for each index.
//! Pure arithmetic; nothing here touches the machine.
//!
//! A slice is a /18: the host's bridge and the nodes in its first /24, pods in its /20 at +16 (one /24 for each
//! node), services in its /19 at +32.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};

/// How many clusters run at once on one machine.
pub const MAX_CLUSTERS: u8 = 8;
/// How many nodes a cluster has at most.
pub const MAX_NODES: u8 = 8;

const FIRST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const SLICE_BITS: u32 = 14;

/// The addresses of the cluster with this index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    index: u8,
}

impl Slice {
    pub fn new(index: u8) -> Result<Self> {
        ensure!(index < MAX_CLUSTERS, "cluster index {index} is not in 0..{MAX_CLUSTERS}");
        Ok(Self { index })
    }

    fn at(self, network: u32, host: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(FIRST) + (u32::from(self.index) << SLICE_BITS) + (network << 8) + host)
    }

    /// The whole slice, kept on this machine by a blackhole route.
    pub fn whole(self) -> String {
        format!("{}/18", self.at(0, 0))
    }

    /// The host's address on the bridge: control plane, DNS, and whatever tests serve to pods.
    pub fn host(self) -> Ipv4Addr {
        self.at(0, 1)
    }

    /// Node `number`, counted from 1.
    pub fn node(self, number: u8) -> Ipv4Addr {
        self.at(0, 10 + u32::from(number))
    }

    /// The pods of node `number`.
    pub fn pods_of(self, number: u8) -> String {
        format!("{}/24", self.at(16 + u32::from(number), 0))
    }

    pub fn pods(self) -> String {
        format!("{}/20", self.at(16, 0))
    }

    pub fn services(self) -> String {
        format!("{}/19", self.at(32, 0))
    }

    /// The address of the Service `kubernetes`.
    pub fn api_service(self) -> Ipv4Addr {
        self.at(32, 1)
    }

    /// The bridge on the host.
    pub fn bridge(self) -> String {
        format!("tidegate{}", self.index)
    }

    /// The host's end of the cable to node `number`.
    pub fn cable(self, number: u8) -> String {
        format!("tidegate{}n{number}", self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_as_documented_and_do_not_overlap() {
        let first = Slice::new(0).unwrap();
        assert_eq!(first.host(), Ipv4Addr::new(198, 18, 0, 1));
        assert_eq!(first.node(1), Ipv4Addr::new(198, 18, 0, 11));
        assert_eq!(first.pods_of(1), "198.18.17.0/24");
        assert_eq!(first.services(), "198.18.32.0/19");
        let last = Slice::new(MAX_CLUSTERS - 1).unwrap();
        assert_eq!(last.whole(), "198.19.192.0/18");
        assert!(Slice::new(MAX_CLUSTERS).is_err());
    }
}
