//! A Secret's value reaches its Secret and no other place.

use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;

use crate::scene::{Killed, binary, tidegate_with};
use crate::support::{World, check, eventually};

const CANARY: &str = "canary-5f1dd9e2c7";
/// Where `kubectl apply` leaves a copy of the object.
const COPY: &str = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";

fn secret(value: &str, odd: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{password: \"{value}\"}}\n{odd}"
    )
}

/// The canary as it is, in base64 (at each of three offsets) and in hexadecimal.
fn forms() -> Vec<String> {
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let inner = |text: &str, cut: usize| encode(text).get(cut..encode(text).len() - 4).unwrap().to_owned();
    let hex: Vec<String> = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    vec![
        CANARY.to_owned(),
        inner(CANARY, 0),
        inner(&format!("x{CANARY}"), 4),
        inner(&format!("xx{CANARY}"), 4),
        hex.concat(),
    ]
}

fn assert_clean(what: &str, text: &str) {
    for form in forms() {
        let line = text.lines().find(|line| line.contains(&form));
        assert!(line.is_none(), "{what} holds `{form}`: {line:?}");
    }
}

/// A daemon that writes everything to this file.
fn daemon_at_trace(world: &World, folder: &Path, log: &Path) -> Killed {
    let child = binary(world, &[("TIDEGATE_LOG", "trace")])
        .args(["run", "--listen", "none", "--repo", &world.repo.url(), "--branch", "main", "--cache-dir"])
        .arg(folder.join("cache"))
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(log).unwrap())
        .spawn()
        .unwrap();
    Killed(child)
}

#[test]
fn no_output_log_or_record_holds_a_secrets_value() {
    let world = World::new("saf-canary");
    let first = world.commit(
        "secret",
        &[("environment.yaml", &world.environment("")), ("s.yaml", &secret(&format!("{CANARY}-one"), ""))],
    );
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let child = daemon_at_trace(&world, folder.path(), &log);
    world.wait_for("live", &first);
    let repo = world.repo.work().display().to_string();
    let clean = |what: &str, arguments: &[&str]| {
        for format in ["text", "json", "yaml"] {
            let mut all = vec!["--repo", &repo, "-o", format];
            all.extend(arguments);
            let output = tidegate_with(&world, &[], &all);
            assert_clean(what, &output.stdout);
            assert_clean(what, &output.stderr);
        }
    };
    // Changed by hand, with another value of the canary, while the daemon repairs it; then a diff without the daemon.
    let wrong = format!(r#"{{"stringData":{{"password":"{CANARY}-hand"}}}}"#);
    world.kube.must(&["patch", "secret", "s", "-n", "saf-canary", "--type=merge", "-p", &wrong]);
    eventually("the repair is recorded", || {
        check(!world.status()["drift"][0].is_null(), format!("{:#}", world.status()))
    });
    clean("status", &["status", "saf-canary"]);
    // `kubectl apply` leaves a copy of the whole object in an annotation, which the repair takes away.
    let has_copy = || {
        let live = world.kube.get("secret", "saf-canary", "s").unwrap_or_default();
        check(live.pointer(COPY).is_none(), "the copy is still there")
    };
    world.kube.apply("saf-canary", &secret(&format!("{CANARY}-applied"), ""));
    eventually("the copy is removed", has_copy);
    clean("events", &["events", "saf-canary"]);
    let bad = secret(
        &format!("{CANARY}-two"),
        "type: 5\nnonsense: true\ndata: {broken: \"canary-5f1dd9e2c7-not-base64!\"}\n",
    );
    let second = world.commit("broken secret", &[("s.yaml", &bad)]);
    world.wait_for("failed", &second);
    clean("validate", &["validate"]);
    let refused =
        secret(&format!("{CANARY}-three"), "type: kubernetes.io/dockerconfigjson\ndata: {bad key: eA==}\n");
    let third = world.commit("refused secret", &[("s.yaml", &refused)]);
    world.wait_for("failed", &third);
    drop(child);
    let good = secret(&format!("{CANARY}-four"), "metadata: {name: s, labels: {team: shop}}\n");
    let good = good.replacen("metadata: {name: s}\n", "", 1);
    world.repo.write("environments/saf-canary/s.yaml", &good);
    // No daemon takes this copy away.
    world.kube.apply("saf-canary", &secret(&format!("{CANARY}-unrepaired"), ""));
    let live = world.kube.get("secret", "saf-canary", "s").unwrap();
    assert!(live.pointer(COPY).is_some_and(|copy| copy.as_str().unwrap().contains(CANARY)), "{live:#}");
    clean("tree", &["tree", "saf-canary"]);
    clean("render", &["render", "saf-canary"]);
    clean("diff", &["diff", "saf-canary"]);
    clean("status", &["status", "saf-canary"]);
    world.repo.git(&["commit", "--quiet", "--all", "-m", "four"]);
    for live in [&[][..], &["--live"]] {
        clean("plan", &[&["plan", "saf-canary", "--base", "HEAD~1", "--head", "HEAD"], live].concat());
    }
    let diff = tidegate_with(&world, &[], &["--repo", &repo, "diff", "saf-canary"]);
    assert!(diff.stdout.contains("password"), "the key is named: {}{}", diff.stdout, diff.stderr);
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.len() > 10_000, "the log is written at trace");
    assert_clean("the log at trace", &log);
    let parent = world.kube.get("configmap", "tidegate-system", "tidegate-saf-canary").unwrap();
    assert_clean("the parent", &format!("{parent:#}"));
}
