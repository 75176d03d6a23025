//! The test cluster by `kubectl`, as a person would use it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use local_cluster::{Audit, Cluster, Options};
use serde_json::Value;

struct Shared {
    kubeconfig: PathBuf,
    kubectl: PathBuf,
}

static SHARED: OnceLock<Shared> = OnceLock::new();

pub struct Kube;

/// `test`, unless the runner says otherwise.
fn cluster_name() -> String {
    std::env::var("TIDEGATE_TEST_CLUSTER").unwrap_or_else(|_| "test".to_owned())
}

/// How often the end of a namespace is waited for, a minute each: at a load of 22 one has taken two.
const DELETIONS: u32 = 5;

impl Kube {
    /// The cluster that all tests share; started (or found running) by the first.
    pub fn connect() -> Self {
        SHARED.get_or_init(|| {
            let options = Options { audit: Audit::Metadata, ..Options::named(cluster_name()) };
            let cluster = Cluster::up(&options).expect("the test cluster starts");
            Shared { kubeconfig: cluster.kubeconfig(), kubectl: cluster.kubectl() }
        });
        Self
    }

    pub fn kubeconfig(&self) -> PathBuf {
        SHARED.get().unwrap().kubeconfig.clone()
    }

    pub fn cluster(&self) -> Cluster {
        Cluster::attach(&cluster_name()).unwrap()
    }

    /// Runs kubectl; its stdout, or its stderr when it failed.
    pub fn run(&self, arguments: &[&str]) -> Result<String, String> {
        self.run_with(arguments, "")
    }

    /// Runs kubectl with stdin.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        use std::io::Write as _;
        let shared = SHARED.get().unwrap();
        // What the daemon makes again at once, kubectl may wait for without end.
        let says = |flag: &str| arguments.iter().any(|argument| argument.starts_with(flag));
        let is_endless = arguments.contains(&"delete") && !says("--timeout") && !says("--wait");
        let mut child = Command::new(&shared.kubectl)
            .arg("--kubeconfig")
            .arg(&shared.kubeconfig)
            .arg("--request-timeout=20s")
            .args(arguments)
            .args(is_endless.then_some("--timeout=60s"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Starts kubectl in the background.
    pub fn spawn(&self, arguments: &[&str]) -> std::process::Child {
        let shared = SHARED.get().unwrap();
        Command::new(&shared.kubectl)
            .arg("--kubeconfig")
            .arg(&shared.kubeconfig)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Runs kubectl and expects success.
    pub fn must(&self, arguments: &[&str]) -> String {
        self.run(arguments).unwrap_or_else(|error| panic!("kubectl {arguments:?}: {error}"))
    }

    /// Applies YAML as a person would (client-side apply).
    pub fn apply(&self, namespace: &str, yaml: &str) {
        let arguments = ["apply", "-n", namespace, "-f", "-"];
        self.run_with(&arguments, yaml).unwrap_or_else(|error| panic!("kubectl apply: {error}\n{yaml}"));
    }

    /// One object, with its managed fields.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let arguments =
            ["get", kind, name, "-n", namespace, "-o", "json", "--show-managed-fields", "--ignore-not-found"];
        let text = self.run(&arguments).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// One field of an object by JSON pointer; null when the object or the field is missing.
    pub fn field(&self, kind: &str, namespace: &str, name: &str, pointer: &str) -> Value {
        self.get(kind, namespace, name)
            .and_then(|object| object.pointer(pointer).cloned())
            .unwrap_or(Value::Null)
    }

    /// Removes what a test of this name left behind: its environments (prefix), namespaces and parents. Returns when all is
    /// gone.
    pub fn clean(&self, name: &str) {
        self.remove(name, "--wait=true");
    }

    /// The same without waiting.
    pub fn leave(&self, name: &str) {
        self.remove(name, "--wait=false");
    }

    fn remove(&self, name: &str, wait: &str) {
        let parents =
            self.run(&["get", "configmap", "-n", "tidegate-system", "-o", "name"]).unwrap_or_default();
        for parent in parents.lines() {
            if parent == format!("configmap/tidegate-{name}")
                || parent.starts_with(&format!("configmap/tidegate-{name}-"))
            {
                let _ = self.run(&[
                    "delete",
                    parent,
                    "-n",
                    "tidegate-system",
                    "--ignore-not-found",
                    "--wait=false",
                ]);
            }
        }
        for _ in 0..DELETIONS {
            let namespaces = self.run(&["get", "namespace", "-o", "name"]).unwrap_or_default();
            let of_it = |namespace: &&str| {
                *namespace == format!("namespace/{name}")
                    || namespace.starts_with(&format!("namespace/{name}-"))
            };
            let namespaces: Vec<&str> = namespaces.lines().filter(of_it).collect();
            for namespace in &namespaces {
                let _ = self.run(&["delete", namespace, "--ignore-not-found", "--timeout=60s", wait]);
            }
            if namespaces.is_empty() || wait == "--wait=false" {
                return;
            }
        }
        panic!("the namespaces of {name} do not go");
    }
}
