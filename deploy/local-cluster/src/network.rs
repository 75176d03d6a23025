//! Bridge, cables, network namespaces and routes of a cluster, by iproute2. The host's firewall rules and its own
//! routes are never touched; every name and address is the slice's own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::address::{MAX_NODES, Slice};
use crate::command::run;
use crate::files;

/// Behind every route that the host may have for these addresses.
const LAST_METRIC: &str = "4000000000";

/// The network of one cluster.
#[derive(Debug, Clone)]
pub struct Network {
    slice: Slice,
    /// Where the network namespaces of nodes are bound.
    folder: PathBuf,
}

impl Network {
    pub fn new(slice: Slice, state: &Path) -> Self {
        Self { slice, folder: state.join("namespaces") }
    }

    /// The file that holds the network namespace of a node.
    pub fn namespace(&self, node: u8) -> PathBuf {
        self.folder.join(format!("node-{node}"))
    }

    /// The bridge with the host's address; a blackhole keeps packets to absent nodes on this machine.
    pub fn ensure_host(&self) -> Result<()> {
        let bridge = self.slice.bridge();
        if !link_exists(&bridge) {
            run(&["ip", "link", "add", &bridge, "type", "bridge"])?;
        }
        run(&["ip", "address", "replace", &format!("{}/24", self.slice.host()), "dev", &bridge])?;
        run(&["ip", "link", "set", &bridge, "up"])?;
        run(&["ip", "route", "replace", "blackhole", &self.slice.whole(), "metric", LAST_METRIC])?;
        Ok(())
    }

    /// A fresh namespace for a node that does not run, with a cable to the bridge.
    pub fn create_node(&self, node: u8, of: u8) -> Result<()> {
        self.remove_node(node)?;
        files::create_folder(&self.folder)?;
        let namespace = self.namespace(node);
        let path = namespace.to_str().context("a namespace path that is not text")?;
        files::write(&namespace, "", files::Access::Public)?;
        run(&["unshare", &format!("--net={path}"), "true"])?;
        let (cable, bridge) = (self.slice.cable(node), self.slice.bridge());
        run(&["ip", "link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", path])?;
        run(&["ip", "link", "set", &cable, "master", &bridge, "up"])?;
        let address = format!("{}/24", self.slice.node(node));
        self.inside(node, &["link", "set", "lo", "up"])?;
        self.inside(node, &["address", "add", &address, "dev", "eth0"])?;
        self.inside(node, &["link", "set", "eth0", "up"])?;
        // Only so that there is a route: kube-proxy's rules turn the address into a pod's before a packet leaves.
        self.inside(node, &["route", "add", &self.slice.services(), "dev", "eth0"])?;
        self.connect(node, of)
    }

    /// Routes between this node, the host and the other nodes, in both directions.
    fn connect(&self, node: u8, of: u8) -> Result<()> {
        let pods = self.slice.pods_of(node);
        let via = self.slice.node(node).to_string();
        run(&["ip", "route", "replace", &pods, "via", &via])?;
        if node == 1 {
            run(&["ip", "route", "replace", &self.slice.services(), "via", &via])?;
        }
        for other in (1..=of).filter(|other| *other != node && self.is_bound(*other)) {
            self.inside(other, &["route", "replace", &pods, "via", &via])?;
            let other_via = self.slice.node(other).to_string();
            self.inside(node, &["route", "replace", &self.slice.pods_of(other), "via", &other_via])?;
        }
        Ok(())
    }

    fn inside(&self, node: u8, words: &[&str]) -> Result<String> {
        let namespace = format!("--net={}", self.namespace(node).display());
        let mut all = vec!["nsenter", &namespace, "ip"];
        all.extend(words);
        run(&all)
    }

    fn is_bound(&self, node: u8) -> bool {
        is_mount_point(&self.namespace(node))
    }

    fn remove_node(&self, node: u8) -> Result<()> {
        let namespace = self.namespace(node);
        let cable = self.slice.cable(node);
        if link_exists(&cable) {
            run(&["ip", "link", "delete", &cable])?;
        }
        if self.is_bound(node) {
            run(&["umount", namespace.to_str().context("a namespace path that is not text")?])?;
        }
        if namespace.exists() {
            fs::remove_file(&namespace)
                .with_context(|| format!("failed to remove {}", namespace.display()))?;
        }
        Ok(())
    }

    /// Takes everything away, whatever of it is there. Routes through the bridge go with it.
    pub fn remove(&self) -> Result<()> {
        for node in 1..=MAX_NODES {
            self.remove_node(node)?;
        }
        let bridge = self.slice.bridge();
        if link_exists(&bridge) {
            run(&["ip", "link", "delete", &bridge])?;
        }
        let whole = self.slice.whole();
        if !run(&["ip", "route", "show", "type", "blackhole", &whole])?.trim().is_empty() {
            run(&["ip", "route", "delete", "blackhole", &whole, "metric", LAST_METRIC])?;
        }
        Ok(())
    }
}

fn link_exists(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

/// The fifth field of a line in mountinfo is the mount point (proc(5)).
fn is_mount_point(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    path.to_str().is_some_and(|path| mounts.lines().any(|line| line.split(' ').nth(4) == Some(path)))
}
