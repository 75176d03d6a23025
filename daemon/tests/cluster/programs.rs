//! Kubeconfigs whose credentials come from a program (`exec`), on the real API server: refused unless the operator allows
//! it; asked again when they expire and when they are refused; and programs that are against us.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::scene::{bare_environment, field_is, throughout};
use crate::support::{Daemon, World, check, config_map, eventually, tidegate, within};

/// A folder with a program for credentials, and what it needs.
struct Program {
    folder: TempDir,
}

impl Program {
    /// A program that counts its runs, and then does this.
    fn new(script: &str) -> Self {
        let program = Self { folder: tempfile::tempdir().unwrap() };
        program.becomes(script);
        program
    }

    fn becomes(&self, script: &str) {
        // Moved over the old one: a program that is just being run cannot be written to.
        let next = self.file("next");
        std::fs::write(&next, format!("#!/bin/sh\necho ran >> {}\n{script}\n", self.file("runs").display()))
            .unwrap();
        std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(&next, self.path()).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.file("login")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn runs(&self) -> usize {
        std::fs::read_to_string(self.file("runs")).unwrap_or_default().lines().count()
    }

    /// The kubeconfig of the test cluster with this program in place of its credentials.
    fn kubeconfig(&self, world: &World) -> PathBuf {
        let mut config = admin(world);
        config["users"][0]["user"] = json!({ "exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "IfAvailable",
            "command": self.path(), "env": [{ "name": "SAYS", "value": "credentials" }],
        } });
        let path = self.file("kubeconfig");
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// It prints this answer from now on.
    fn prints(&self, status: &Value) {
        let answer = json!({
            "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status,
        });
        let file = self.file("answer");
        std::fs::write(&file, answer.to_string()).unwrap();
        // The program is only itself where the kubeconfig's variable reaches it and the daemon's do not.
        self.becomes(&format!("test \"$SAYS$KUBECONFIG\" = credentials && cat {}", file.display()));
    }
}

fn admin(world: &World) -> Value {
    let text = world.kube.must(&["config", "view", "--raw", "-o", "json"]);
    serde_json::from_str(&text).unwrap()
}

/// The administrator's certificate and key, as a program prints them.
fn certificate(world: &World) -> Value {
    let config = admin(world);
    let data = |key: &str| {
        let text = config["users"][0]["user"][key].as_str().unwrap();
        Value::from(String::from_utf8(STANDARD.decode(text).unwrap()).unwrap())
    };
    json!({
        "clientCertificateData": data("client-certificate-data"), "clientKeyData": data("client-key-data"),
    })
}

fn one(world: &World) -> String {
    world.commit(
        "one",
        &[("environment.yaml", &world.environment("")), ("c.yaml", &config_map("c", "k", "git"))],
    )
}

fn daemon(world: &World, kubeconfig: &Path, allowed: &Path) -> Daemon {
    Daemon::start(&world.repo.url(), kubeconfig, &["--allow-exec", &allowed.display().to_string()])
}

#[test]
fn a_program_for_credentials_is_refused_unless_the_operator_allows_it_and_then_used_until_they_expire() {
    let world = World::new("prg-allowed");
    let commit = one(&world);
    let program = Program::new("exit 1");
    let path = program.path().display().to_string();
    let kubeconfig = program.kubeconfig(&world);
    let mut status = certificate(&world);
    program.prints(&status);
    let refused = format!(
        "runs the program `{path}` for credentials (`exec`), which is refused: allow it by --allow-exec {path}"
    );
    let forbidden = Daemon::start(&world.repo.url(), &kubeconfig, &["--allow-exec", "login"]);
    eventually("it is refused", || check(forbidden.log().contains(&refused), forbidden.log()));
    let output = tidegate(&kubeconfig, &["status"]);
    assert!(output.code == 5 && output.stderr.contains(&refused), "{} {}", output.code, output.stderr);
    assert_eq!(program.runs(), 0, "it is not run");
    drop(forbidden);

    let output = tidegate(&kubeconfig, &["status", "--allow-exec", &path]);
    assert_eq!((output.code, program.runs()), (0, 1), "{}", output.stderr);
    // Soon over: it is asked again and again, and not more often than that.
    let soon = jiff::Timestamp::now() + Duration::from_secs(30);
    status["expirationTimestamp"] = Value::from(soon.to_string());
    program.prints(&status);
    let daemon = daemon(&world, &kubeconfig, &program.path());
    world.wait_for("live", &commit);
    let before = program.runs();
    eventually("it is asked again", || check(program.runs() >= before + 2, program.runs().to_string()));
    assert!(program.runs() < 20, "{} runs", program.runs());
    let key = status["clientKeyData"].as_str().unwrap().lines().nth(1).unwrap();
    assert!(!daemon.log().contains(key), "the key is in no log");
}

#[test]
fn a_token_that_the_api_server_refuses_is_asked_for_anew() {
    let world = World::new("prg-token");
    world.kube.must(&["create", "namespace", &world.name]);
    world.kube.must(&["create", "serviceaccount", "login", "-n", &world.name]);
    let account = format!("--serviceaccount={}:login", world.name);
    world.kube.must(&["create", "clusterrolebinding", &world.name, "--clusterrole=cluster-admin", &account]);
    let commit = one(&world);
    let program = Program::new("exit 1");
    program.prints(&json!({ "token": "hunter2" }));
    let daemon = daemon(&world, &program.kubeconfig(&world), &program.path());
    eventually("it is not let in", || check(daemon.log().contains("not authenticated"), daemon.log()));
    let token = world.kube.must(&["create", "token", "login", "-n", &world.name]);
    program.prints(&json!({ "token": token.trim() }));
    world.wait_for("live", &commit);
    for secret in ["hunter2", token.trim()] {
        assert!(!daemon.log().contains(secret), "a token is in the log");
    }
    // What has no end is not asked for again.
    let runs = program.runs();
    throughout(Duration::from_secs(6), "it is left alone", || program.runs() == runs);
    world.kube.must(&["delete", "clusterrolebinding", &world.name]);
}

#[test]
fn programs_that_hang_fail_babble_or_print_garbage_are_named_and_no_other_environment_is_held_up() {
    let world = World::new("prg-hostile");
    let version = "client.authentication.k8s.io/v1";
    let cases = [
        ("hang", "sleep 600".to_owned(), "it did not end within 15 s"),
        (
            "fail",
            "echo 'the session is over' >&2; exit 3".to_owned(),
            "(exit status: 3): the session is over",
        ),
        ("babble", "exec yes hunter2".to_owned(), "it printed more than 64 KiB"),
        ("garbage", "echo hunter2".to_owned(), "what it printed is not JSON"),
        (
            "empty",
            format!("echo '{{\"apiVersion\":\"{version}\",\"kind\":\"ExecCredential\",\"status\":{{}}}}'"),
            "its status has neither a token nor a certificate",
        ),
    ];
    let programs: Vec<Program> = cases.iter().map(|(_, script, _)| Program::new(script)).collect();
    let mut flags = Vec::new();
    for ((case, _, _), program) in cases.iter().zip(&programs) {
        let name = format!("prg-hostile-{case}");
        let kubeconfig = program.kubeconfig(&world).display().to_string();
        let environment = bare_environment(&name, &name, "")
            .replace("kubeconfig: {}", &format!("kubeconfig: {{path: {kubeconfig}}}"));
        world.repo.write(&format!("environments/{name}/environment.yaml"), &environment);
        world.repo.write(&format!("environments/{name}/c.yaml"), &config_map("c", "k", "v"));
        flags.extend(["--allow-exec".to_owned(), program.path().display().to_string()]);
    }
    let commit = one(&world);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let daemon = world.daemon_with(&flags);
    world.wait_for("live", &commit);
    field_is(&world, "configmap", &world.name, "c", "/data/k", "git");
    for ((case, _, said), program) in cases.iter().zip(&programs) {
        let named = format!("no credentials from `{}`", program.path().display());
        within(Duration::from_mins(1), &format!("{case} is said"), || {
            let log = daemon.log();
            let told = log.lines().any(|line| {
                line.contains(&format!("environment=prg-hostile-{case}"))
                    && line.contains(&named)
                    && line.contains(said)
            });
            check(told, log)
        });
    }
    assert!(!daemon.log().contains("hunter2"));
}
