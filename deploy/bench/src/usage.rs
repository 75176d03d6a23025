//! What processes use, read from `/proc`: CPU seconds, memory, and the load of the machine.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};

/// Linux counts CPU time for user space in hundredths of a second on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// The process ids of a control plane.
#[derive(Debug, Clone, Copy)]
pub struct ControlPlane {
    pub api_server: u32,
    pub etcd: u32,
    pub controllers: u32,
}

impl ControlPlane {
    /// Those of the cluster with this name, found by the folder that their command lines name.
    pub fn of(cluster: &str) -> Result<Self> {
        let folder = format!("/local-cluster/{cluster}/");
        let find = |program: &str| {
            processes()
                .into_iter()
                .find(|(_, words)| {
                    words.split('\0').next().is_some_and(|first| first.ends_with(&format!("/{program}")))
                        && words.contains(&folder)
                })
                .map(|(id, _)| id)
                .with_context(|| format!("there is no {program} of cluster {cluster}"))
        };
        Ok(Self {
            api_server: find("kube-apiserver")?,
            etcd: find("etcd")?,
            controllers: find("kube-controller-manager")?,
        })
    }
}

fn processes() -> Vec<(u32, String)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let words = fs::read(entry.path().join("cmdline")).ok()?;
            Some((id, String::from_utf8_lossy(&words).into_owned()))
        })
        .collect()
}

/// CPU seconds that a process has used so far; 0 when it is gone.
pub fn cpu_seconds(process: u32) -> f64 {
    let Ok(text) = fs::read_to_string(format!("/proc/{process}/stat")) else { return 0.0 };
    // The name in parentheses may hold spaces; user and system time are the 12th and 13th word after it.
    let after = text.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum::<f64>()
        / TICKS_PER_SECOND
}

/// MiB of resident memory: now, and at most so far.
pub fn memory_mib(process: u32) -> (f64, f64) {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let kib =
            line.and_then(|line| line.split_whitespace().nth(1)).and_then(|word| word.parse::<f64>().ok());
        kib.unwrap_or(0.0) / 1024.0
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// The load average of the last minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// A moment, and what had been used until then.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    client: u32,
    plane: ControlPlane,
    at: Instant,
    used: [f64; 3],
}

/// What was used between two moments.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    pub wall_seconds: f64,
    /// CPU seconds of the daemon or the raw client.
    pub client: f64,
    /// CPU seconds of the API server.
    pub api_server: f64,
    /// CPU seconds of etcd and the controllers.
    pub others: f64,
    pub load: f64,
}

impl Meter {
    /// From now on.
    pub fn start(client: u32, plane: ControlPlane) -> Self {
        Self { client, plane, at: Instant::now(), used: Self::read(client, plane) }
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.at
    }

    /// What was used since; the clock stops at `until`.
    pub fn stop(&self, until: Instant) -> Used {
        let now = Self::read(self.client, self.plane);
        let [client, api_server, others] = [0, 1, 2].map(|index: usize| {
            let value = |all: &[f64; 3]| all.get(index).copied().unwrap_or(0.0);
            value(&now) - value(&self.used)
        });
        let wall_seconds = until.saturating_duration_since(self.at).as_secs_f64();
        Used { wall_seconds, client, api_server, others, load: load() }
    }

    fn read(client: u32, plane: ControlPlane) -> [f64; 3] {
        let others = cpu_seconds(plane.etcd) + cpu_seconds(plane.controllers);
        [cpu_seconds(client), cpu_seconds(plane.api_server), others]
    }
}
