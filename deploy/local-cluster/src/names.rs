//! Names that CoreDNS answers besides those of the cluster, in a hosts file that it reads again when it changes.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::files::{self, Access};
use crate::state::State;

/// The hosts file of one cluster.
#[derive(Debug)]
pub struct Names {
    path: PathBuf,
}

impl Names {
    pub fn new(state: &State) -> Self {
        Self { path: state.path("names.hosts") }
    }

    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Adds names, or changes their addresses; the others stay.
    pub fn ensure(&self, wanted: &[(String, IpAddr)]) -> Result<()> {
        let mut names = parse(&fs::read_to_string(&self.path).unwrap_or_default());
        for (name, address) in wanted {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            ensure!(!name.is_empty() && name.bytes().all(is_plain), "{name:?} is not a DNS name");
            names.insert(name.to_ascii_lowercase(), *address);
        }
        let lines: Vec<String> = names.iter().map(|(name, address)| format!("{address} {name}\n")).collect();
        files::write(&self.path, lines.concat(), Access::Public)
    }
}

fn parse(hosts: &str) -> BTreeMap<String, IpAddr> {
    let entry = |line: &str| {
        let (address, name) = line.split_once(' ')?;
        Some((name.to_owned(), address.parse().ok()?))
    };
    hosts.lines().filter_map(entry).collect()
}
