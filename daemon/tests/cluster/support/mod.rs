//! What every test uses: a repository, a daemon, the cluster, and waiting with a limit.

mod api;
mod audit;
mod daemon;
mod faults;
mod kube;
mod load;
mod proxy;
mod repo;
pub mod shop;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use api::{Api, client, runtime};
pub use audit::{Audited, Mark, Request};
pub use daemon::{Daemon, Output, tidegate};
pub use faults::{Call, Fault, FaultProxy, Hold, status_of};
pub use kube::Kube;
pub use load::{Answers, Load};
pub use proxy::Proxy;
pub use repo::Repo;

/// Longest wait for anything that takes seconds when all is well.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until `check` answers something; panics with the last complaint when time is over.
pub fn eventually<T>(what: &str, check: impl Fn() -> Result<T, String>) -> T {
    within(PATIENCE, what, check)
}

/// The same with another limit.
pub fn within<T>(limit: Duration, what: &str, check: impl Fn() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match check() {
            Ok(value) => return value,
            Err(complaint) if start.elapsed() > limit => panic!("{what}: not within {limit:?}: {complaint}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// `Ok` when it holds, else the complaint.
pub fn check(holds: bool, complaint: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(complaint.into()) }
}

/// The names of all worlds of this run so far.
static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Everything of a world begins with its name, and is cleaned away by it: two that share a beginning would clean each
/// other away, once in some runs.
fn take_name(name: &str) {
    let below = |one: &str, other: &str| one.strip_prefix(other).is_some_and(|rest| rest.starts_with('-'));
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    for taken in names.iter() {
        let apart = taken != name && !below(taken, name) && !below(name, taken);
        assert!(apart, "the names of two tests' worlds overlap: {taken} and {name}");
    }
    names.push(name.to_owned());
}

/// One test's world: its repository and cluster, with a name of its own.
pub struct World {
    pub name: String,
    pub repo: Repo,
    pub kube: Kube,
}

impl World {
    /// A new world; `name` is unique among tests and becomes the environment's and the namespace's name.
    pub fn new(name: &str) -> Self {
        take_name(name);
        let kube = Kube::connect();
        kube.clean(name);
        Self { name: name.to_owned(), repo: Repo::new(), kube }
    }

    /// An `environment.yaml` with the usual settings and further lines of `spec` (indented by two).
    pub fn environment(&self, further: &str) -> String {
        environment(&self.name, &self.name, further)
    }

    /// Writes the environment's file and manifests (names relative to its folder) and commits them.
    pub fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            self.repo.write(&format!("environments/{}/{path}", self.name), text);
        }
        self.repo.commit(message)
    }

    /// Starts a daemon on the repository.
    pub fn daemon(&self) -> Daemon {
        self.daemon_with(&[])
    }

    /// Starts a daemon with further flags.
    pub fn daemon_with(&self, flags: &[&str]) -> Daemon {
        Daemon::start(&self.repo.url(), &self.kube.kubeconfig(), flags)
    }

    /// Starts a daemon as a user of its own, whose requests are counted.
    pub fn audited_daemon(&self) -> (Daemon, Audited) {
        let audited = Audited::new(&self.kube, &self.name);
        let daemon = Daemon::start(&self.repo.url(), audited.kubeconfig(), &[]);
        (daemon, audited)
    }

    /// Runs a command against the cluster, as a person would.
    pub fn tidegate(&self, arguments: &[&str]) -> Output {
        tidegate(&self.kube.kubeconfig(), arguments)
    }

    /// The recorded status of the environment.
    pub fn status(&self) -> serde_json::Value {
        self.status_of(&self.name)
    }

    /// The recorded status of an environment.
    pub fn status_of(&self, environment: &str) -> serde_json::Value {
        let parent = self.kube.get("configmap", "tidegate-system", &format!("tidegate-{environment}"));
        let text = parent.as_ref().and_then(|parent| parent.pointer("/data/status.json")?.as_str());
        text.map_or(serde_json::Value::Null, |text| serde_json::from_str(text).unwrap())
    }

    /// Waits until the environment is in this state at this commit.
    pub fn wait_for(&self, state: &str, commit: &str) -> serde_json::Value {
        self.wait_for_environment(&self.name, state, commit)
    }

    /// Waits until an environment is in this state at this commit.
    pub fn wait_for_environment(&self, environment: &str, state: &str, commit: &str) -> serde_json::Value {
        eventually(&format!("{environment} {state} at {commit}"), || {
            let status = self.status_of(environment);
            let at = status["seen"]["id"].as_str().unwrap_or_default();
            check(status["state"] == state && at == commit, format!("{status:#}"))?;
            Ok(status)
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.kube.leave(&self.name);
        }
    }
}

/// An `environment.yaml`.
pub fn environment(name: &str, namespace: &str, further: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n  cluster: {{kubeconfig: {{}}}}\n  \
         namespaces: [{namespace}]\n  createNamespaces: true\n  prune: {{enabled: true, allow: [Namespace]}}\n{further}"
    )
}

/// A ConfigMap with one value.
pub fn config_map(name: &str, key: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{{key}: \"{value}\"}}\n")
}

/// A Deployment of pause containers.
pub fn deployment(name: &str, replicas: u32, extra_env: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  replicas: {replicas}\n  selector: {{matchLabels: {{app: {name}}}}}\n  \
         template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      terminationGracePeriodSeconds: 0\n      containers:\n      \
         - name: main\n        image: docker.io/local/pause:1\n        imagePullPolicy: IfNotPresent\n        env:\n        - {{name: MODE, value: plain}}\n{extra_env}"
    )
}
