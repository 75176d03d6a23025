//! Shorthands of the tests: what a status record says, what stands in the cluster, objects for manifests.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Output, World, check, eventually};

/// The problems of a status record with this code.
pub fn problems(status: &Value, code: &str) -> Vec<Value> {
    let items = status["problems"]["items"].as_array().cloned().unwrap_or_default();
    items.into_iter().filter(|problem| problem["code"] == code).collect()
}

/// The only problem of a status record with this code.
pub fn problem(status: &Value, code: &str) -> Value {
    let found = problems(status, code);
    assert_eq!(found.len(), 1, "one {code}: {status:#}");
    found[0].clone()
}

/// `file:line:column` of a problem.
pub fn place(problem: &Value) -> String {
    let location = &problem["location"];
    format!("{}:{}:{}", location["file"].as_str().unwrap_or("?"), location["line"], location["column"])
}

/// What the record says about one object (`Kind namespace/name`) that is not healthy or waits.
pub fn reason_of(status: &Value, kind: &str, name: &str) -> String {
    let items = status["objects"]["items"].as_array().cloned().unwrap_or_default();
    let mut found = items
        .into_iter()
        .filter(|entry| entry["object"]["kind"] == kind && entry["object"]["name"] == name)
        .map(|entry| format!("{}: {}", entry["state"].as_str().unwrap(), entry["reason"].as_str().unwrap()));
    found.next().unwrap_or_default()
}

/// Waits until an environment's record satisfies `holds`.
pub fn record(world: &World, environment: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || {
        let status = world.status_of(environment);
        check(holds(&status), format!("{status:#}"))?;
        Ok(status)
    })
}

/// An annotation of the environment's parent object; empty when there is none.
pub fn parent_annotation(world: &World, environment: &str, key: &str) -> String {
    let name = format!("tidegate-{environment}");
    let pointer = format!("/metadata/annotations/{}", key.replace('/', "~1"));
    let value = world.kube.field("configmap", "tidegate-system", &name, &pointer);
    value.as_str().unwrap_or_default().to_owned()
}

/// The uids of everything that carries the environment's label, by `kind/name`; nothing that is being deleted.
pub fn uids(world: &World, kinds: &str, namespace: &str, environment: &str) -> BTreeMap<String, String> {
    let label = format!("tidegate.dev/environment={environment}");
    let text = world.kube.must(&["get", kinds, "-n", namespace, "-l", &label, "-o", "json"]);
    let list: Value = serde_json::from_str(&text).unwrap();
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    items
        .iter()
        .filter(|item| item["metadata"]["deletionTimestamp"].is_null())
        .map(|item| {
            let name = format!("{}/{}", text(&item["kind"]), text(&item["metadata"]["name"]));
            (name, text(&item["metadata"]["uid"]))
        })
        .collect()
}

/// Waits until an object is gone.
pub fn gone(world: &World, kind: &str, namespace: &str, name: &str) {
    eventually(&format!("{kind} {name} is gone"), || {
        check(world.kube.get(kind, namespace, name).is_none(), "it is there")
    });
}

/// Waits until a field has this value.
pub fn field_is(world: &World, kind: &str, namespace: &str, name: &str, pointer: &str, wanted: &str) {
    eventually(&format!("{kind} {name} {pointer} is {wanted}"), || {
        let value = world.kube.field(kind, namespace, name, pointer);
        check(value == wanted, format!("it is {value}"))
    });
}

/// Holds for the whole span, looked at four times a second.
pub fn throughout(span: Duration, what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while start.elapsed() < span {
        assert!(holds(), "{what}: no longer so after {:?}", start.elapsed());
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// The binary with nothing of this machine's settings but what is given.
pub fn binary(world: &World, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.env_clear();
    for name in ["PATH", "HOME"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("KUBECONFIG", world.kube.kubeconfig()).env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C.UTF-8").env("USER", "tester");
    command.envs(settings.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs a command with settings in its environment.
pub fn tidegate_with(world: &World, settings: &[(&str, &str)], arguments: &[&str]) -> Output {
    let output = binary(world, settings).args(arguments).output().unwrap();
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// An `environment.yaml` with exactly these lines of `spec` after its cluster and namespace (indented by two).
pub fn bare_environment(name: &str, namespaces: &str, further: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n  cluster: {{kubeconfig: {{}}}}\n  \
         namespaces: [{namespaces}]\n{further}"
    )
}

/// A ConfigMap with further lines of metadata (indented by two).
pub fn marked_config_map(name: &str, metadata: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n{metadata}data: {{k: v}}\n")
}

/// A Deployment that needs a ConfigMap.
pub fn needy_deployment(name: &str, config_map: &str) -> String {
    format!(
        "{}        envFrom:\n        - configMapRef: {{name: {config_map}}}\n",
        crate::support::deployment(name, 1, "")
    )
}

/// A ValidatingAdmissionPolicy for one namespace, applied by hand and waited for.
pub fn deny(world: &World, name: &str, operation: &str, expression: &str, message: &str) {
    let yaml = format!(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {{name: {name}}}\nspec:\n  \
         failurePolicy: Fail\n  matchConstraints:\n    resourceRules:\n    - {{apiGroups: [\"\"], apiVersions: [v1], operations: [{operation}], resources: [configmaps]}}\n  \
         validations:\n  - {{expression: \"{expression}\", message: \"{message}\"}}\n---\n\
         apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {{name: {name}}}\nspec:\n  \
         policyName: {name}\n  validationActions: [Deny]\n  matchResources: {{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}}}\n"
    );
    world.kube.apply("default", &yaml);
}

/// Takes [`deny`] back.
pub fn allow(world: &World, name: &str) {
    for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
        world.kube.must(&["delete", kind, name, "--ignore-not-found"]);
    }
}

/// A process that does not outlive its test, however that ends.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A kubeconfig for an API server on this port of this machine, where there is none.
pub fn kubeconfig_to(folder: &std::path::Path, port: u16) -> std::path::PathBuf {
    let path = folder.join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: away\ncontexts: [{{name: away, context: {{cluster: away, user: nobody}}}}]\n\
         clusters: [{{name: away, cluster: {{server: \"http://127.0.0.1:{port}\"}}}}]\nusers: [{{name: nobody, user: {{token: none}}}}]\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// A commit as people quote it.
pub fn short(commit: &str) -> &str {
    commit.get(..7).unwrap()
}
