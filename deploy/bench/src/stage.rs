//! The cluster of the benchmarks: its own, with a controller manager that does not hide what is measured, a user for each
//! side, and the audit log in which their requests are counted.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use local_cluster::{Audit, Cluster, Options};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::usage::{ControlPlane, cpu_seconds};

/// With the default of 20 requests a second, the controllers are what is waited for.
const CONTROLLERS: [&str; 5] = [
    "--kube-api-qps=2000",
    "--kube-api-burst=4000",
    "--concurrent-deployment-syncs=20",
    "--concurrent-replicaset-syncs=20",
    "--concurrent-endpoint-syncs=20",
];
/// The log is read by offsets: it must not be rotated.
const AUDIT_LOG_MIB: &str = "--audit-log-maxsize=8000";
/// A fresh API server is slower.
const AFTER_START: Duration = Duration::from_secs(8);
/// Below this share of a core the control plane has nothing left to do of what came before.
const QUIET_SHARE: f64 = 0.15;
/// So long it is waited for that.
const QUIET_LIMIT: u32 = 60;

/// The running cluster.
pub struct Stage {
    pub name: String,
    pub plane: ControlPlane,
    audit: PathBuf,
    kubeconfig: PathBuf,
    folder: TempDir,
}

/// A place in the audit log.
#[derive(Debug, Clone, Copy)]
pub struct Mark(u64);

/// Requests by what they were.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    /// `verb resource` and how often.
    pub by_kind: BTreeMap<String, usize>,
    pub total: usize,
    pub dry_runs: usize,
}

impl Stage {
    /// Starts a fresh cluster of this name.
    pub fn up(name: &str) -> Result<Self> {
        local_cluster::down(name)?;
        let options = Options {
            audit: Audit::Metadata,
            api_server_arguments: vec![AUDIT_LOG_MIB.to_owned()],
            controller_manager_arguments: CONTROLLERS.map(str::to_owned).to_vec(),
            ..Options::named(name)
        };
        let cluster = Cluster::up(&options)?;
        std::thread::sleep(AFTER_START);
        Ok(Self {
            name: name.to_owned(),
            plane: ControlPlane::of(name)?,
            audit: cluster.audit_log().context("the cluster has an audit log")?,
            kubeconfig: cluster.kubeconfig(),
            folder: tempfile::tempdir()?,
        })
    }

    /// A kubeconfig of an administrator under a name of their own, so that their requests can be told from others'.
    pub fn kubeconfig_of(&self, user: &str) -> Result<PathBuf> {
        let mut config = Kubeconfig::read_from(&self.kubeconfig)?;
        for named in &mut config.auth_infos {
            let info = named.auth_info.get_or_insert_default();
            info.impersonate = Some(user.to_owned());
            info.impersonate_groups = Some(vec!["system:masters".to_owned()]);
        }
        let path = self.folder.path().join(format!("{user}.kubeconfig"));
        std::fs::write(&path, serde_json::to_string(&config)?)?;
        Ok(path)
    }

    /// A client of such a user.
    pub async fn client_of(&self, user: &str) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig_of(user)?)?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// Makes a namespace.
    pub async fn namespace(&self, client: &Client, name: &str) -> Result<()> {
        let api: Api<Namespace> = Api::all(client.clone());
        let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        api.patch(name, &PatchParams::apply("bench"), &Patch::Apply(&body)).await?;
        Ok(())
    }

    /// Returns when the control plane has worked off what came before.
    pub async fn settle(&self) {
        let used = || {
            let ControlPlane { api_server, etcd, controllers } = self.plane;
            cpu_seconds(api_server) + cpu_seconds(etcd) + cpu_seconds(controllers)
        };
        for _ in 0..QUIET_LIMIT {
            let before = used();
            tokio::time::sleep(Duration::from_secs(1)).await;
            if used() - before < QUIET_SHARE {
                return;
            }
        }
    }

    /// Now.
    pub fn mark(&self) -> Result<Mark> {
        Ok(Mark(std::fs::metadata(&self.audit)?.len()))
    }

    /// What a user has asked since.
    pub fn requests(&self, user: &str, since: Mark) -> Result<Requests> {
        let mut file = std::fs::File::open(&self.audit)?;
        file.seek(SeekFrom::Start(since.0))?;
        let mut requests = Requests::default();
        for line in BufReader::new(file).lines() {
            // The last line may be half written.
            if let Ok(event) = serde_json::from_str::<Value>(&line?) {
                requests.count(user, &event);
            }
        }
        Ok(requests)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = local_cluster::down(&self.name) {
            eprintln!("bench: failed to take the cluster {} down: {error:#}", self.name);
        }
    }
}

impl Requests {
    fn count(&mut self, user: &str, event: &Value) {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        if text("/impersonatedUser/username") != user || text("/stage") == "ResponseStarted" {
            return;
        }
        let dry_run = text("/requestURI").contains("dryRun=All");
        self.total += 1;
        self.dry_runs += usize::from(dry_run);
        let what = match text("/objectRef/resource") {
            "" => text("/requestURI").split('?').next().unwrap_or_default(),
            resource => resource,
        };
        let name = text("/objectRef/name");
        let namespace = text("/objectRef/namespace");
        // Tidegate's own objects apart from those of the apps.
        let own = match (namespace, what) {
            ("tidegate-system", "configmaps") if name.contains("-inventory-") => " (shard)",
            ("tidegate-system", "configmaps") => " (parent)",
            _ => "",
        };
        let dry = if dry_run { " (dry-run)" } else { "" };
        *self.by_kind.entry(format!("{} {what}{own}{dry}", text("/verb"))).or_default() += 1;
    }

    /// The most frequent first, in one line.
    pub fn listed(&self) -> String {
        let mut all: Vec<(&String, &usize)> = self.by_kind.iter().collect();
        all.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        all.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    }
}
