//! The house-price API as a workload that rolls out in colours: its files, and what is looked at in the tests of rollouts.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::{Daemon, FaultProxy, Load, World, check, eventually, shop};

pub const APP: &str = "house-price";
/// The readiness gate of releases that are [`Scene::called`].
const CALLED: &str = "tidegate.test/called";

/// A release: what its container is told.
#[derive(Clone, Copy)]
pub struct Release {
    pub version: &'static str,
    /// Added to each prediction: another one than 0 is a wrong model.
    pub offset: &'static str,
    /// Further environment variables of the container, as `NAME: value` in flow style.
    pub further: &'static str,
    pub replicas: u32,
}

impl Release {
    pub const fn new(version: &'static str) -> Self {
        Self { version, offset: "0", further: "", replicas: 2 }
    }

    pub const fn wrong(version: &'static str) -> Self {
        Self { offset: "5", ..Self::new(version) }
    }
}

/// When gates look at the prediction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    BeforeSwitch,
    WhileBaking,
}

/// A world with the shop's image, and the policy of these tests.
pub struct Scene {
    pub world: World,
    image: &'static str,
}

impl Scene {
    pub fn new(name: &str) -> Self {
        let world = World::new(name);
        let image = shop::image(&world.kube);
        Self { world, image }
    }

    /// The environment's own file.
    pub fn environment(&self) -> String {
        self.world.environment("  policies: [blue-green]\n")
    }

    /// A policy with short times. `bake`: how long gates watch at least.
    pub fn policy(judged: Judged, bake: &str) -> String {
        let prediction =
            "{status: 200, json: [{pointer: /prediction, equals: 20.35, tolerance: {abs: 0.01}}]}";
        let (before, baking) = match judged {
            Judged::BeforeSwitch => (prediction, "{status: 200}"),
            Judged::WhileBaking => ("{status: 200}", prediction),
        };
        format!(
            "apiVersion: tidegate.dev/v1\nkind: RolloutPolicy\nmetadata: {{name: blue-green}}\nspec:\n  \
             match: {{selector: {{matchLabels: {{app: {APP}}}}}}}\n  traffic: {{mode: service}}\n  gates:\n    beforeSwitch:\n      \
             - name: smoke\n        every: 1s\n        http: {{method: POST, path: /predict, body: {{rooms: 6.5}}, expect: {before}, \
             requests: 4, everyPod: true}}\n    whileBaking:\n      - name: watch\n        every: 1s\n        \
             http: {{method: POST, path: /predict, body: {{rooms: 6.5}}, expect: {baking}}}\n  \
             bake: {{duration: {bake}, max: 60s}}\n  drain: 1s\n  keepFailed: 2s\n  deadlines: {{warm: 10m, gates: 10m}}\n"
        )
    }

    /// A policy whose bake lasts longer than any test, and that calls a colour unwell at once.
    pub fn policy_of_long_bake(judged: Judged) -> String {
        Self::policy(judged, "30m")
            .replace("max: 60s}", "max: 1h}")
            .replace("gates: 10m}", "gates: 10m, grace: 1s}")
    }

    /// The same policy for a daemon behind a fault proxy, which carries no streams.
    pub fn direct(policy: &str) -> String {
        policy.replace("  match:", "  reach: direct\n  match:")
    }

    /// The manifests of a release.
    pub fn manifests(&self, release: Release) -> String {
        let Release { version, offset, further, replicas } = release;
        let image = self.image;
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {APP}}}\ndata: {{PREDICTION_OFFSET: \"{offset}\"}}\n---\n\
             apiVersion: v1\nkind: Service\nmetadata: {{name: {APP}}}\nspec:\n  selector: {{app: {APP}}}\n  \
             ports: [{{name: http, port: 80, targetPort: http}}]\n---\n\
             apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {APP}, labels: {{app: {APP}}}}}\nspec:\n  replicas: {replicas}\n  \
             selector: {{matchLabels: {{app: {APP}}}}}\n  template:\n    metadata: {{labels: {{app: {APP}}}}}\n    spec:\n      \
             terminationGracePeriodSeconds: 5\n      containers:\n      - name: main\n        image: {image}\n        \
             imagePullPolicy: IfNotPresent\n        args: [house-price]\n        envFrom: [{{configMapRef: {{name: {APP}}}}}]\n        \
             env: [{{name: VERSION, value: \"{version}\"}}{further}]\n        ports: [{{name: http, containerPort: 8080}}]\n        \
             readinessProbe: {{httpGet: {{path: /readyz, port: http}}, periodSeconds: 1}}\n        \
             lifecycle: {{preStop: {{sleep: {{seconds: 2}}}}}}\n        resources: {{requests: {{cpu: 5m, memory: 8Mi}}}}\n"
        )
    }

    /// The manifests of a release whose pods are ready once a test calls them well ([`Self::call`]), and not before.
    pub fn called(&self, release: Release) -> String {
        let grace = "      terminationGracePeriodSeconds: 5\n";
        let gate = format!("{grace}      readinessGates: [{{conditionType: {CALLED}}}]\n");
        self.manifests(release).replace(grace, &gate)
    }

    /// Calls the pods that a slot has now ready, or unready. Pods that come later are not called.
    pub fn call(&self, slot: &str, is_ready: bool) {
        let status = if is_ready { "True" } else { "False" };
        let patch = json!({"status": {"conditions": [{"type": CALLED, "status": status}]}}).to_string();
        for pod in self.pods(slot) {
            self.kubectl(&["patch", "pod", &pod, "--subresource=status", "--type=strategic", "-p", &patch]);
        }
    }

    /// The names of a slot's pods that are not being deleted.
    pub fn pods(&self, slot: &str) -> Vec<String> {
        let selector = format!("tidegate.dev/slot={slot}");
        let list = self.kubectl(&["get", "pods", "-l", &selector, "-o", "json"]);
        let list: Value = serde_json::from_str(&list).unwrap();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
        items.iter().filter(stays).map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until a slot has so many pods, and calls them ready.
    pub fn call_ready(&self, slot: &str, pods: usize) {
        eventually(&format!("{slot} has its pods"), || {
            let there = self.pods(slot);
            check(there.len() == pods, format!("{there:?}"))
        });
        self.call(slot, true);
    }

    /// A load that has been answered often.
    pub fn answered(load: &Load) {
        let before = load.so_far().total();
        eventually("requests are answered", || {
            let answers = load.so_far();
            check(answers.total() > before + 100, format!("{answers:?}"))
        });
    }

    /// A release of which no request fails when its pods are taken away: they serve while they end, for longer than a
    /// test looks on. While a colour has no ready pod, traffic goes to all of its pods that end, also to those of an earlier time: one
    /// that is over in that moment takes requests with it (seen with 25 s, when a colour was deleted twice within 21 s).
    pub fn lasting(manifests: &str) -> String {
        manifests
            .replace("terminationGracePeriodSeconds: 5", "terminationGracePeriodSeconds: 150")
            .replace("sleep: {seconds: 2}", "sleep: {seconds: 120}")
    }

    /// A policy whose last gate before the switch cannot tell until [`Self::open_database`].
    pub fn policy_with_database(judged: Judged, bake: &str) -> String {
        let gate =
            "      - {name: database, every: 1s, tcp: {service: database, port: 80}}\n    whileBaking:\n";
        Self::policy(judged, bake).replace("    whileBaking:\n", gate)
    }

    /// What stands for a database answers from now on.
    pub fn open_database(&self) {
        self.apply(&format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: database}}\nspec:\n  selector: {{app: {APP}}}\n  \
             ports: [{{port: 80, targetPort: http}}]\n"
        ));
    }

    /// Waits until Events say this.
    pub fn event(&self, words: &str) {
        eventually(&format!("Events say: {words}"), || {
            let events = self.kubectl(&["get", "events.events.k8s.io", "-o", "json"]);
            check(events.contains(words), events)
        });
    }

    /// Waits until a slot has so many ready pods.
    pub fn ready(&self, slot: &str, pods: u64) {
        eventually(&format!("{slot} has {pods} ready pods"), || {
            let name = format!("{APP}-{slot}");
            let deployment = self.world.kube.get("deployment", &self.world.name, &name).unwrap_or_default();
            let (seen, status) = (&deployment["metadata"]["generation"], &deployment["status"]);
            // None is not told at all.
            let ready = status["readyReplicas"].as_u64().unwrap_or_default();
            let is_ready = ready == pods && status["observedGeneration"] == *seen;
            check(is_ready, status.to_string())
        });
    }

    /// Writes the policy; it is committed with what follows.
    pub fn set_policy(&self, policy: &str) {
        self.world.repo.write("policies/blue-green.yaml", policy);
    }

    /// Commits a policy by which the time of a colour that is not ready is over.
    pub fn give_up(&self) -> String {
        self.set_policy(&Self::policy(Judged::BeforeSwitch, "1s").replace("warm: 10m", "warm: 1s"));
        self.world.repo.commit("no longer")
    }

    /// What `status` prints, once it says all of this.
    pub fn said(&self, words: &[&str]) -> String {
        eventually(&format!("status says {words:?}"), || {
            let text = self.world.tidegate(&["status", &self.world.name]).stdout;
            check(words.iter().all(|words| text.contains(words)), text.clone())?;
            Ok(text)
        })
    }

    /// Commits a release with the policy.
    pub fn release(&self, release: Release) -> String {
        self.world.commit(&format!("version {}", release.version), &[("app.yaml", &self.manifests(release))])
    }

    /// The first commit: environment, policy, release.
    pub fn begin(&self, judged: Judged, bake: &str, release: Release) -> String {
        self.world.repo.write("policies/blue-green.yaml", &Self::policy(judged, bake));
        let files = [("environment.yaml", self.environment()), ("app.yaml", self.manifests(release))];
        self.world.commit(
            &format!("version {}", release.version),
            &files.each_ref().map(|(path, text)| (*path, text.as_str())),
        )
    }

    /// The Service's address.
    pub fn address(&self) -> SocketAddr {
        let address = self.field("service", APP, "/spec/clusterIP");
        format!("{}:80", address.as_str().unwrap()).parse().unwrap()
    }

    /// A daemon, the first release live, and a load on it.
    pub fn installed(name: &str, judged: Judged, bake: &str) -> (Self, Daemon, Load) {
        let scene = Self::new(name);
        let first = scene.begin(judged, bake, Release::new("1"));
        let daemon = scene.world.daemon();
        scene.world.wait_for("live", &first);
        let load = scene.load();
        (scene, daemon, load)
    }

    /// The same with a fault proxy before the API server, by a policy that [`Self::direct`] has made.
    pub fn behind_proxy(name: &str, policy: &str) -> (Self, FaultProxy, Daemon, Load) {
        let scene = Self::new(name);
        let proxy = FaultProxy::start(&scene.world.kube.kubeconfig());
        scene.set_policy(policy);
        let files =
            [("environment.yaml", scene.environment()), ("app.yaml", scene.manifests(Release::new("1")))];
        let first =
            scene.world.commit("version 1", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
        let daemon = Daemon::start(&scene.world.repo.url(), &proxy.kubeconfig(), &["--replica", name]);
        proxy.victim(daemon.pid());
        scene.world.wait_for("live", &first);
        let load = scene.load();
        (scene, proxy, daemon, load)
    }

    /// A load on the Service, once it answers at all: kube-proxy may be a moment behind the endpoints.
    pub fn load(&self) -> Load {
        let address = self.address();
        eventually("the Service answers", || {
            let connected = std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_secs(1));
            connected.map(drop).map_err(|error| error.to_string())
        });
        Load::on(address)
    }

    pub fn field(&self, kind: &str, name: &str, pointer: &str) -> Value {
        self.world.kube.field(kind, &self.world.name, name, pointer)
    }

    /// The record of the workload's pointer.
    pub fn pointer(&self) -> Value {
        let text = self.field("service", APP, "/metadata/annotations/tidegate.dev~1rollout");
        text.as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
    }

    /// The slot that the Service selects.
    pub fn selected(&self) -> String {
        self.field("service", APP, "/spec/selector/tidegate.dev~1slot")
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// `spec.replicas` of a slot; none where there is no such Deployment.
    pub fn replicas(&self, slot: &str) -> Option<u64> {
        self.field("deployment", &format!("{APP}-{slot}"), "/spec/replicas").as_u64()
    }

    /// Applies manifests as a person would.
    pub fn apply(&self, manifests: &str) {
        let arguments = ["-n", self.world.name.as_str(), "apply", "-f", "-"];
        self.world.kube.run_with(&arguments, manifests).unwrap();
    }

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let mut all = vec!["-n", self.world.name.as_str()];
        all.extend(arguments);
        self.world.kube.must(&all)
    }
}
