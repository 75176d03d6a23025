//! What the tests of gates share: a namespace with two colours of the house-price API, asked with the rights of
//! `deploy/rbac` and no others. Nobody rolls anything out here: the pods are made by hand, with the labels of slots.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kube::Client;
use serde_json::{Value, json};
use tidegate::cluster::connect::{Access, Means, connect};
use tidegate::cluster::pace::Pace;
use tidegate::gate::{Asking, ask};
use tidegate_core::gate::AddressRange;
use tidegate_core::location::{Location, Position};
use tidegate_core::policy::{Gate, GateKind, HttpRequest, Reach};
use tidegate_core::rollout::{Attempt, Finding, Revision, Slot, Stage};
use tidegate_core::workload::names::{APP, REVISION, SLOT};

use crate::support::{Kube, check, eventually, runtime, shop};

/// The namespace.
pub const NAMESPACE: &str = "gates";
/// The workload, and its Service.
pub const HOUSE: &str = "house";

/// The namespace with its rights.
pub struct Scene {
    pub kube: Kube,
    pub client: Client,
    pub kubeconfig: tempfile::NamedTempFile,
}

/// The one of this run.
pub fn scene() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(|| {
        let kube = Kube::connect();
        kube.clean(NAMESPACE);
        kube.must(&["create", "namespace", NAMESPACE]);
        let rights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/rbac/environment.yaml");
        kube.must(&["apply", "-n", NAMESPACE, "-f", rights.to_str().unwrap()]);
        let kubeconfig = tempfile::NamedTempFile::new().unwrap();
        let mut config: Value =
            serde_json::from_str(&kube.must(&["config", "view", "--raw", "-o", "json"])).unwrap();
        config["users"][0]["user"]["as"] = json!("system:serviceaccount:tidegate-system:tidegate");
        std::fs::write(kubeconfig.path(), config.to_string()).unwrap();
        let client = runtime().block_on(client_of(kubeconfig.path()));
        shop::image(&kube);
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": HOUSE },
            "spec": {
                "selector": { "app": HOUSE, SLOT: "blue" },
                "ports": [{ "name": "web", "port": 80, "targetPort": "http" }],
            },
        });
        kube.apply(NAMESPACE, &service.to_string());
        Scene { kube, client, kubeconfig }
    })
}

/// A client as the daemon makes it.
pub async fn client_of(kubeconfig: &Path) -> Client {
    let access = Access::Kubeconfig { path: Some(kubeconfig.display().to_string()), context: None };
    connect(&access, &Means::default(), Arc::new(Pace::default())).await.unwrap()
}

/// A pod of a colour, not waited for.
pub fn pod(name: &str, slot: Slot, revision: u128, env: &[(&str, &str)]) {
    let scene = scene();
    let env: Vec<Value> = env.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "labels": {
            "app": HOUSE, APP: HOUSE, SLOT: slot.to_string(), REVISION: Revision::new(revision).to_string(),
        } },
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "main", "image": shop::image(&scene.kube), "imagePullPolicy": "IfNotPresent",
                "args": ["house-price"], "env": env,
                "ports": [{ "name": "http", "containerPort": 8080 }],
                "readinessProbe": { "httpGet": { "path": "/readyz", "port": "http" }, "periodSeconds": 1 },
            }],
        },
    });
    scene.kube.apply(NAMESPACE, &pod.to_string());
}

/// Waits until these pods are ready.
pub fn await_ready(pods: &[&str]) {
    for name in pods {
        eventually(&format!("pod {name} is ready"), || {
            let status = scene().kube.field("pod", NAMESPACE, name, "/status");
            let ready = status["conditions"].as_array().into_iter().flatten();
            let is_ready = ready.into_iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
            check(is_ready, status.to_string())
        });
    }
}

/// Two good pods of blue at revision 1: the Service's.
pub fn blue() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        pod("blue-a", Slot::Blue, 1, &[]);
        pod("blue-b", Slot::Blue, 1, &[]);
        await_ready(&["blue-a", "blue-b"]);
    });
}

/// A question.
pub struct Question {
    pub gate: Gate,
    pub slot: Slot,
    pub revision: u128,
    pub reach: Reach,
    pub parity: u32,
    pub attempt: Attempt,
    pub allowed: Vec<AddressRange>,
}

impl Question {
    pub fn new(slot: Slot, revision: u128, kind: GateKind) -> Self {
        let location = Location { file: "policies/p.yaml".into(), position: Position { line: 7, column: 3 } };
        let (timeout, every) = (Duration::from_secs(30), Duration::from_secs(1));
        let gate = Gate { name: "smoke".to_owned(), location, timeout, every, kind, config: 1 };
        let (reach, attempt) = (Reach::Direct, Attempt::default());
        Self { gate, slot, revision, reach, parity: 2, attempt, allowed: Vec::new() }
    }

    pub fn by(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    pub fn within(mut self, timeout: Duration) -> Self {
        self.gate.timeout = timeout;
        self
    }

    pub fn allowing(mut self, range: &str) -> Self {
        self.allowed.push(range.parse().unwrap());
        self
    }

    /// Asks with this client.
    pub async fn ask_by(&self, client: &Client) -> Finding {
        let labels = BTreeMap::from([("team".to_owned(), "shop".to_owned())]);
        ask(&Asking {
            client,
            reach: self.reach,
            gate: &self.gate,
            namespace: NAMESPACE,
            app: HOUSE,
            slot: self.slot,
            revision: Revision::new(self.revision),
            attempt: self.attempt,
            stage: Stage::BeforeSwitch,
            parity: self.parity,
            service: HOUSE,
            labels: &labels,
            allowed_addresses: &self.allowed,
        })
        .await
    }

    /// Asks.
    pub fn ask(&self) -> Finding {
        runtime().block_on(self.ask_by(&scene().client))
    }
}

/// A request without a body.
pub fn get(path: &str) -> HttpRequest {
    let (method, path) = ("GET".to_owned(), path.to_owned());
    HttpRequest { method, path, headers: BTreeMap::new(), body: None, port: None }
}
