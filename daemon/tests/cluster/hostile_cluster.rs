//! A cluster that is against us, for real: webhooks that refuse, change and hang, a namespace on its way out, rights that
//! are missing, kubeconfigs that run programs or trust anybody.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::scene::{bare_environment, field_is, place, problem, record, throughout};
use crate::support::{World, check, config_map, eventually};
use crate::tls_front::TlsFront;

/// A webhook of one namespace's ConfigMaps, on this machine; its configuration goes with it.
struct Webhook<'a> {
    world: &'a World,
    _front: TlsFront,
}

/// What a webhook does with what it is asked about.
#[derive(Clone, Copy)]
pub enum Does {
    Rejects,
    Mutates,
    Hangs,
}

impl<'a> Webhook<'a> {
    fn start(world: &'a World, does: Does) -> Self {
        let front = answering(does);
        let authority = STANDARD.encode(std::fs::read(front.authority()).unwrap());
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": { "name": world.name },
            "webhooks": [{
                "name": "hook.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "failurePolicy": "Fail", "timeoutSeconds": 1,
                "clientConfig": { "url": front.url("hook"), "caBundle": authority },
                "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": world.name } },
                "rules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                    "resources": ["configmaps"],
                }],
            }],
        });
        world.kube.must(&["create", "namespace", &world.name]);
        world.kube.apply("default", &configuration.to_string());
        let hook = Self { world, _front: front };
        eventually("the webhook is in force", || {
            let name = &world.name;
            let arguments = ["create", "configmap", "try", "-n", name, "--dry-run=server", "-o", "json"];
            let said = world.kube.run(&arguments).unwrap_or_else(|error| error);
            check(said.contains("hook.example.com") || said.contains("\"hooked\""), said)
        });
        hook
    }
}

impl Drop for Webhook<'_> {
    fn drop(&mut self) {
        let _ = self.world.kube.run(&["delete", "mutatingwebhookconfiguration", &self.world.name]);
    }
}

/// Answers reviews on this machine, by TLS, until the test is over.
pub fn answering(does: Does) -> TlsFront {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let front = TlsFront::start(&format!("http://{}", listener.local_addr().unwrap()));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || review(&stream.unwrap(), does));
        }
    });
    front
}

/// Answers one AdmissionReview.
fn review(stream: &TcpStream, does: Does) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut response = json!({ "uid": review["request"]["uid"], "allowed": true });
    match does {
        Does::Rejects => {
            response["allowed"] = json!(false);
            response["status"] = json!({ "code": 403, "message": "not on a Saturday" });
        }
        Does::Mutates => {
            let patch = json!([
                { "op": "add", "path": "/data", "value": { "k": "hooked", "more": "hooked" } },
            ]);
            response["patchType"] = json!("JSONPatch");
            response["patch"] = json!(STANDARD.encode(patch.to_string()));
        }
        Does::Hangs => std::thread::sleep(Duration::from_secs(3)),
    }
    let answer =
        json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response })
            .to_string();
    let head = format!(
        "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        answer.len()
    );
    let _ = (&mut &*stream).write_all((head + &answer).as_bytes());
}

fn one(world: &World) -> String {
    world.commit(
        "one",
        &[("environment.yaml", &world.environment("")), ("c.yaml", &config_map("c", "k", "git"))],
    )
}

#[test]
fn a_webhook_that_rejects_is_quoted_at_the_objects_line() {
    let world = World::new("hoc-rejects");
    let hook = Webhook::start(&world, Does::Rejects);
    let commit = one(&world);
    let _daemon = world.daemon();
    let status = world.wait_for("failed", &commit);
    let refused = problem(&status, "E0401");
    assert!(refused["message"].as_str().unwrap().contains("not on a Saturday"), "{refused:#}");
    assert!(place(&refused).starts_with("environments/hoc-rejects/c.yaml:1:"), "{refused:#}");
    drop(hook);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(world.tidegate(&["sync", "hoc-rejects"]).code, 0);
    world.wait_for("live", &commit);
}

#[test]
fn a_webhook_that_mutates_is_no_difference_without_end() {
    let world = World::new("hoc-mutates");
    let _hook = Webhook::start(&world, Does::Mutates);
    let commit = one(&world);
    let (_daemon, audited) = world.audited_daemon();
    world.wait_for("live", &commit);
    field_is(&world, "configmap", "hoc-mutates", "c", "/data/k", "hooked");
    // The record of `live` may be written once more.
    std::thread::sleep(Duration::from_secs(2));
    let mark = audited.mark();
    std::thread::sleep(Duration::from_secs(4));
    let writes: Vec<String> =
        audited.since(&mark).iter().filter(|request| request.is_write()).map(ToString::to_string).collect();
    assert!(writes.is_empty(), "{writes:#?}");
    let status = world.status();
    assert!(status["state"] == "live" && status["drift"].as_array().unwrap().is_empty(), "{status:#}");
}

#[test]
fn a_webhook_that_hangs_is_said_and_the_object_comes_once_it_is_gone() {
    let world = World::new("hoc-hangs");
    let hook = Webhook::start(&world, Does::Hangs);
    let commit = one(&world);
    let _daemon = world.daemon();
    let status = record(&world, "hoc-hangs", "it is said", |status| {
        status["problems"]["items"].to_string().contains("hook.example.com")
    });
    assert_ne!(status["state"], "live", "{status:#}");
    drop(hook);
    world.wait_for("live", &commit);
}

#[test]
fn a_namespace_that_is_terminating_is_said_and_its_objects_come_once_it_is_made_anew() {
    let world = World::new("hoc-ending");
    world.kube.must(&["create", "namespace", "hoc-ending"]);
    let held = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.com/held]}\n";
    world.kube.apply("hoc-ending", held);
    world.kube.must(&["delete", "namespace", "hoc-ending", "--wait=false"]);
    let commit = one(&world);
    let daemon = world.daemon();
    let status = record(&world, "hoc-ending", "it is said", |status| {
        status.to_string().contains("terminat") || status.to_string().contains("being deleted")
    });
    assert_ne!(status["state"], "live", "{status:#}");
    let executions = || daemon.log().matches(" executing ").count();
    let before = executions();
    throughout(Duration::from_secs(3), "it does not spin", || executions() < before + 10);
    let release = r#"{"metadata":{"finalizers":null}}"#;
    world.kube.must(&["patch", "configmap", "held", "-n", "hoc-ending", "--type=merge", "-p", release]);
    world.wait_for("live", &commit);
    assert_eq!(world.kube.field("configmap", "hoc-ending", "c", "/data/k"), "git");
}

#[test]
fn kubeconfigs_that_run_programs_or_trust_anybody_are_refused_and_no_other_environment_is_held_up() {
    let world = World::new("hoc-config");
    let folder = tempfile::tempdir().unwrap();
    let ran = folder.path().join("ran");
    let exec = format!(
        "user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, command: touch, args: [{}]}}}}",
        ran.display()
    );
    let https = "https://127.0.0.1:1";
    let cases = [
        ("exec", exec.as_str(), format!("server: {https}"), "--allow-exec touch"),
        ("provider", "user: {auth-provider: {name: gcp}}", format!("server: {https}"), "`auth-provider`"),
        (
            "insecure",
            "user: {token: hunter2}",
            format!("server: {https}, insecure-skip-tls-verify: true"),
            "`insecure-skip-tls-verify`",
        ),
        ("plain", "user: {token: hunter2}", "server: http://198.51.100.1".to_owned(), "`http://`"),
    ];
    for (case, user, cluster, _) in &cases {
        let path = folder.path().join(case);
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{{cluster}}}}}]\nusers: [{{name: u, {user}}}]\n"
        );
        std::fs::write(&path, text).unwrap();
        let name = format!("hoc-config-{case}");
        let environment = bare_environment(&name, &name, "")
            .replace("kubeconfig: {}", &format!("kubeconfig: {{path: {}}}", path.display()));
        world.repo.write(&format!("environments/{name}/environment.yaml"), &environment);
        world.repo.write(&format!("environments/{name}/c.yaml"), &config_map("c", "k", "v"));
    }
    let commit = one(&world);
    let daemon = world.daemon();
    world.wait_for("live", &commit);
    for (case, _, _, said) in &cases {
        eventually(&format!("{case} is said"), || {
            let log = daemon.log();
            let told = log.lines().any(|line| {
                line.contains(&format!("environment=hoc-config-{case}"))
                    && line.contains(said)
                    && line.contains("refused")
            });
            check(told, log)
        });
    }
    assert!(!ran.exists(), "no program was run");
    assert!(!daemon.log().contains("hunter2"));
}
