//! Back to the last good commit: what goes back and why, what stays, and what ends a hold.
//!
//! Deadlines are short where they are to be missed; what is to become live has a long one, so that a slow machine changes
//! nothing.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::scene::{
    bare_environment, parent_annotation, place, problem, problems, record, short, throughout,
};
use crate::support::{World, check, config_map, deployment, eventually};

const SHORT: &str = "  deadlines: {healthy: 3s}\n";
const LONG: &str = "  deadlines: {healthy: 5m}\n";
/// Nobody listens there.
const NONE: &str = "127.0.0.1:1/missing/image:7";
const IMAGE: &str = "/spec/template/spec/containers/0/image";
const QUOTA: &str =
    "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: limits}\nspec: {hard: {configmaps: \"50\"}}\n";

/// A Deployment whose image does not exist.
fn broken(name: &str) -> String {
    deployment(name, 1, "").replace("docker.io/local/pause:1", NONE)
}

/// A Deployment with a gate by hand: its pod is ready as long as a condition of it says so ([`go`]).
fn gated() -> String {
    let gate = "      readinessGates: [{conditionType: tests.example.com/go}]\n      containers:\n";
    deployment("web", 1, "").replace("      containers:\n", gate)
}

fn go(world: &World, status: &str) {
    let patch =
        format!(r#"{{"status":{{"conditions":[{{"type":"tests.example.com/go","status":"{status}"}}]}}}}"#);
    eventually("its pod takes the condition", || {
        let pods = world.kube.must(&["get", "pods", "-n", &world.name, "-l", "app=web", "-o", "name"]);
        let pod = pods.lines().next().ok_or("no pod yet")?;
        world.kube.must(&["patch", pod, "-n", &world.name, "--subresource=status", "-p", &patch]);
        Ok(())
    });
}

/// A world that is live with one Deployment, and its commit.
fn good(name: &str, further: &str) -> (World, String) {
    let world = World::new(name);
    let environment = world.environment(&format!("{LONG}{further}"));
    let files = [("environment.yaml", environment.as_str()), ("web.yaml", &deployment("web", 1, ""))];
    let commit = world.commit("one", &files);
    (world, commit)
}

/// Commits an image that does not exist, with a short deadline.
fn bad(world: &World, further: &str) -> String {
    let environment = world.environment(&format!("{SHORT}{further}"));
    world.commit("two", &[("environment.yaml", &environment), ("web.yaml", &broken("web"))])
}

fn image(world: &World) -> Value {
    world.kube.field("deployment", &world.name, "web", IMAGE)
}

fn is_rolled_back(world: &World) -> Value {
    record(world, &world.name, "it is rolled back", |status| status["state"] == "rolled-back")
}

/// Waits until it is degraded for good, with these words on what comes next.
fn stays(world: &World, commit: &str, words: &str) -> Value {
    let says = |status: &Value| status["next"].as_str().is_some_and(|next| next.contains(words));
    let status = record(world, &world.name, &format!("it stays, and says: {words}"), |status| {
        status["state"] == "degraded" && status["seen"]["id"] == commit && says(status)
    });
    assert!(status["held"].is_null() && problems(&status, "E0411").is_empty(), "{status:#}");
    assert_eq!(parent_annotation(world, &world.name, "tidegate.dev/held"), "");
    status
}

/// Everything is as the good commit asks, what was added is gone, what was removed is back, what was there before stays.
fn assert_as_before(world: &World, status: &Value) {
    assert_eq!(image(world), "docker.io/local/pause:1", "{status:#}");
    assert_eq!(world.kube.field("configmap", "back-whole", "c", "/data/k"), "before");
    assert!(world.kube.get("resourcequota", "back-whole", "limits").is_some());
    eventually("what was added is gone", || {
        check(world.kube.get("configmap", "back-whole", "added").is_none(), "it is there")
    });
    assert!(
        world.kube.get("configmap", "back-whole", "older").is_some(),
        "what was there before Tidegate is not deleted by a rollback"
    );
}

#[test]
fn a_commit_that_does_not_become_healthy_is_held_and_everything_is_as_before_it() {
    let (world, _) = good("back-whole", "");
    let first = world.commit("more", &[("c.yaml", &config_map("c", "k", "before")), ("quota.yaml", QUOTA)]);
    let daemon = world.daemon();
    world.wait_for("live", &first);
    world.repo.remove("environments/back-whole/quota.yaml");
    world.kube.apply("back-whole", &config_map("older", "k", "by hand"));
    let files = [
        ("c.yaml", config_map("c", "k", "after")),
        ("added.yaml", config_map("added", "k", "v")),
        ("older.yaml", config_map("older", "k", "git")),
    ];
    for (path, text) in &files {
        world.repo.write(&format!("environments/back-whole/{path}"), text);
    }
    let second = bad(&world, "");
    eventually("the quota is gone and the added object is there", || {
        let there = |kind: &str, name: &str| world.kube.get(kind, "back-whole", name).is_some();
        let older = world.kube.field("configmap", "back-whole", "older", "/data/k");
        check(!there("resourcequota", "limits") && there("configmap", "added") && older == "git", "not yet")
    });
    let status = is_rolled_back(&world);
    assert_as_before(&world, &status);
    // The record: which commit is held, why, where, and what is enforced.
    assert_eq!(
        (&status["seen"]["id"], &status["applied"]["id"]),
        (&second.as_str().into(), &first.as_str().into())
    );
    assert_eq!(status["held"]["commit"]["id"], second.as_str());
    assert_eq!(status["held"]["to"]["commit"], first.as_str());
    assert_eq!(status["held"]["because"]["items"][0]["object"]["name"], "web");
    let told = problem(&status, "E0411");
    assert_eq!(place(&told), "environments/back-whole/web.yaml:1:1");
    let (bad, good) = (short(&second), short(&first));
    let message = told["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("{bad} is held, {good} is enforced again: Deployment back-whole/web"))
    );
    assert_eq!(parent_annotation(&world, "back-whole", "tidegate.dev/seen"), second, "never backwards");
    assert_eq!(parent_annotation(&world, "back-whole", "tidegate.dev/applied"), first);
    crate::schema::assert_valid("record", &status);
    // Commands.
    let repo = world.repo.url();
    let wait = world.tidegate(&["wait", &second, "--repo", &repo, "--timeout", "30s"]);
    assert!(
        wait.code == 3 && wait.stdout.contains(&format!("{bad} is held")),
        "{}{}",
        wait.stdout,
        wait.stderr
    );
    assert!(wait.stdout.contains("web.yaml:1:1") && wait.stdout.contains(NONE), "{}", wait.stdout);
    assert_eq!(world.tidegate(&["wait", "back-whole", "--timeout", "30s"]).code, 3);
    let shown = world.tidegate(&["status", "back-whole"]);
    for words in ["rolled-back", &format!("held: {bad} \"two\" by Ada"), "E0411", NONE] {
        assert!(shown.stdout.contains(words), "{words}: {}", shown.stdout);
    }
    let diff = world.tidegate(&["diff", "back-whole", "--repo", &repo]);
    assert!(diff.stdout.contains(&format!("{bad} is held, {good} is enforced again")), "{}", diff.stdout);
    let diff = world.tidegate(&["diff", "back-whole", "--repo", &repo, "--ref", &first]);
    let kept = format!("ConfigMap back-whole/older is kept: it was there before {bad} took it over");
    assert!(diff.stdout.contains(&kept), "{}{}", diff.stdout, diff.stderr);
    let work = world.repo.work();
    let plan = ["plan", "--repo", work.to_str().unwrap(), "--base", "HEAD~1", "--head", "HEAD", "--live"];
    let plan = world.tidegate(&plan);
    assert!(plan.stdout.contains("warning[E0411]"), "{}{}", plan.stdout, plan.stderr);
    let metrics = daemon.http("/metrics");
    for line in ["rollbacks_total{environment=\"back-whole\"} 1", "held{environment=\"back-whole\"} 1"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(daemon.log().contains("rolled back: "));
}

/// Commits these files under a suspension: the commit that is held stays named until the next one may be begun.
fn commits_while_suspended(world: &World, files: &[(&str, String)], held: &str) -> String {
    let name = world.name.as_str();
    assert_eq!(world.tidegate(&["suspend", name, "--reason", "lunch"]).code, 0);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let commit = world.commit("mended", &files);
    let status = record(world, name, "the next commit waits", |status| {
        status["state"] == "suspended" && status["seen"]["id"] == commit.as_str()
    });
    assert_eq!(status["held"]["commit"]["id"], held, "{status:#}");
    assert!(problems(&status, "E0411").is_empty(), "it is not what git asks for any more: {status:#}");
    assert_eq!(world.tidegate(&["resume", name, "--reason", "back"]).code, 0);
    commit
}

#[test]
fn a_held_commit_stays_held_through_kills_syncs_and_commits_with_the_same_files_until_git_asks_for_something_else()
 {
    let (world, _) = good("back-held", "");
    let neighbour = "environments/back-held-b";
    let file = bare_environment(
        "back-held-b",
        "back-held-b",
        "  createNamespaces: true\n  dependsOn: [back-held]\n",
    );
    world.repo.write(&format!("{neighbour}/environment.yaml"), &file);
    world.repo.write(&format!("{neighbour}/c.yaml"), &config_map("c", "k", "one"));
    let first = world.repo.commit("a neighbour");
    let mut daemon = world.daemon();
    world.wait_for_environment("back-held-b", "live", &first);
    world.repo.write(&format!("{neighbour}/c.yaml"), &config_map("c", "k", "two"));
    let second = bad(&world, "");
    // Killed as soon as the hold is written down: whatever was done of the rollback by then, it goes on.
    eventually("the commit is held", || {
        check(!parent_annotation(&world, "back-held", "tidegate.dev/held").is_empty(), "not yet")
    });
    daemon.kill();
    daemon.restart();
    is_rolled_back(&world);
    assert_eq!(image(&world), "docker.io/local/pause:1");
    // Drift is repaired to what is enforced.
    world.kube.must(&["scale", "deployment", "web", "--replicas=2", "-n", "back-held"]);
    eventually("the drift is repaired", || {
        let replicas = world.kube.field("deployment", "back-held", "web", "/spec/replicas");
        check(replicas == 1, replicas.to_string())
    });
    // A commit with the same files, a sync, and a restart change nothing.
    world.repo.write("README.md", "more\n");
    let third = world.repo.commit("beside it");
    daemon.kill();
    daemon.restart();
    assert_eq!(world.tidegate(&["sync", "back-held"]).code, 0);
    let status = record(&world, "back-held", "the newest commit is seen", |status| {
        status["seen"]["id"] == third.as_str() && status["state"] == "rolled-back"
    });
    assert_eq!(status["held"]["commit"]["id"], second.as_str(), "{status:#}");
    assert_eq!(image(&world), "docker.io/local/pause:1");
    let repo = world.repo.url();
    assert_eq!(
        world.tidegate(&["wait", &third, "--repo", &repo, "--env", "back-held", "--timeout", "30s"]).code,
        3
    );
    assert_eq!(world.status_of("back-held-b")["state"], "waiting");
    assert_eq!(
        world.kube.field("configmap", "back-held-b", "c", "/data/k"),
        "one",
        "it depends on the other one"
    );
    // A broken commit asks for nothing: after a restart, too, it is not the held one that stays enforced.
    world.commit("broken", &[("c.yaml", "kind: [\n")]);
    daemon.kill();
    daemon.restart();
    let status = record(&world, "back-held", "it is broken", |status| status["state"] == "failed");
    assert!(
        status["reason"].as_str().unwrap().contains(&format!("{} stays applied", short(&first))),
        "{status:#}"
    );
    assert_eq!(
        (&status["held"]["commit"]["id"], image(&world)),
        (&second.as_str().into(), "docker.io/local/pause:1".into())
    );
    world.repo.remove("environments/back-held/c.yaml");
    // A commit that mends it is tried, and lifts the hold: not before it may be begun.
    let mended = deployment("web", 1, "        - {name: NEW, value: \"1\"}\n");
    let files = [("environment.yaml", world.environment(LONG)), ("web.yaml", mended)];
    let fourth = commits_while_suspended(&world, &files, &second);
    let status = world.wait_for("live", &fourth);
    assert!(status["held"].is_null() && status["problems"]["total"] == 0, "{status:#}");
    assert_eq!(parent_annotation(&world, "back-held", "tidegate.dev/held"), "");
    world.wait_for_environment("back-held-b", "live", &fourth);
}

#[test]
fn without_a_good_commit_or_with_on_failure_stay_it_stays_and_says_so() {
    let world = World::new("back-stay");
    let environment = world.environment(SHORT);
    let first = world.commit("one", &[("environment.yaml", &environment), ("web.yaml", &broken("web"))]);
    let _daemon = world.daemon();
    stays(&world, &first, "it was never live before");
    assert_eq!(image(&world), NONE);
    let environment = world.environment(LONG);
    let second =
        world.commit("two", &[("environment.yaml", &environment), ("web.yaml", &deployment("web", 1, ""))]);
    world.wait_for("live", &second);
    let third = bad(&world, "  onFailure: stay\n");
    stays(&world, &third, "`onFailure: stay`");
    assert_eq!(image(&world), NONE);
    // The next commit may be rolled back, to the last good one: not to one that was never good.
    let fourth = world.commit("four", &[("environment.yaml", &world.environment(SHORT))]);
    let status = is_rolled_back(&world);
    assert_eq!(status["held"]["commit"]["id"], fourth.as_str(), "{status:#}");
    assert_eq!(status["held"]["to"]["commit"], second.as_str(), "{status:#}");
    assert_eq!(image(&world), "docker.io/local/pause:1");
}

#[test]
fn what_was_sick_before_a_commit_that_does_not_touch_it_sends_nothing_back() {
    let world = World::new("back-sick");
    let files = [("environment.yaml", world.environment(SHORT)), ("web.yaml", gated())];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let first = world.commit("one", &files);
    let _daemon = world.daemon();
    go(&world, "True");
    world.wait_for("live", &first);
    go(&world, "False");
    // What breaks after a commit was live is no work of the commit.
    stays(&world, &first, "it was live at this commit");
    let second = world.commit("two", &[("c.yaml", &config_map("c", "k", "v"))]);
    stays(&world, &second, "was not healthy before either");
    assert!(world.kube.get("configmap", "back-sick", "c").is_some(), "the commit stays applied");
    go(&world, "True");
    world.wait_for("live", &second);
}

#[test]
fn what_became_healthy_under_a_broken_commit_is_not_sent_back_for_what_breaks_later() {
    let world = World::new("back-under");
    let environment = world.environment("  deadlines: {healthy: 20s}\n");
    let files = [("environment.yaml", environment.as_str()), ("c.yaml", &config_map("c", "k", "v"))];
    let first = world.commit("one", &files);
    let _daemon = world.daemon();
    world.wait_for("live", &first);
    let second = world.commit("two", &[("web.yaml", &gated())]);
    eventually("it is applied", || {
        check(world.kube.get("deployment", "back-under", "web").is_some(), "not yet")
    });
    let applied = Instant::now();
    world.commit("broken", &[("c.yaml", "kind: [\n")]);
    let stands = |progressing: u64| {
        record(&world, "back-under", "it is broken, and its objects are judged", |status| {
            let counts = &status["counts"];
            status["state"] == "failed" && counts["objects"] == 3 && counts["progressing"] == progressing
        })
    };
    go(&world, "True");
    stands(0);
    eventually("it is the last good one", || {
        let good = parent_annotation(&world, "back-under", "tidegate.dev/good");
        check(good.contains(&second), good)
    });
    // Long after the deadline of the commit something of it breaks: that has its own time.
    std::thread::sleep(Duration::from_secs(21).saturating_sub(applied.elapsed()));
    go(&world, "False");
    stands(1);
    throughout(Duration::from_secs(4), "nothing goes back", || {
        parent_annotation(&world, "back-under", "tidegate.dev/held").is_empty()
    });
}

#[test]
fn nothing_goes_back_to_a_commit_that_a_person_went_back_behind() {
    let (world, first) = good("back-behind", "");
    let _daemon = world.daemon();
    world.wait_for("live", &first);
    let second = world.commit("two", &[("c.yaml", &config_map("c", "k", "v"))]);
    world.wait_for("live", &second);
    // The branch loses the second commit, and gets another one that is bad.
    world.repo.git(&["reset", "--quiet", "--hard", &first]);
    let environment = world.environment(SHORT);
    let files = [
        ("environment.yaml", environment),
        ("web.yaml", broken("web")),
        ("c.yaml", config_map("c", "k", "w")),
    ];
    for (path, text) in &files {
        world.repo.write(&format!("environments/back-behind/{path}"), text);
    }
    world.repo.git(&["add", "--all"]);
    world.repo.git(&["commit", "--quiet", "-m", "three"]);
    world.repo.git(&["push", "--quiet", "--force", "origin", "main"]);
    let third = world.repo.head();
    record(&world, "back-behind", "the branch is said to have lost commits", |status| {
        !problems(status, "E0502").is_empty()
    });
    let rewind = ["sync", "back-behind", "--rewind", &third, "--reason", "it leaks"];
    let rewound = world.tidegate(&rewind);
    assert_eq!(rewound.code, 0, "{}{}", rewound.stdout, rewound.stderr);
    stays(&world, &third, "it was never live before");
    assert_eq!(image(&world), NONE);
}

#[test]
fn a_good_commit_that_is_gone_from_the_repository_is_named_and_nothing_goes_back() {
    let (world, first) = good("back-lost", "");
    let mut daemon = world.daemon();
    world.wait_for("live", &first);
    let noted = parent_annotation(&world, "back-lost", "tidegate.dev/good");
    daemon.kill();
    let lost = format!("tidegate.dev/good={}", noted.replace(&first, &"f".repeat(40)));
    world.kube.must(&[
        "annotate",
        "configmap",
        "tidegate-back-lost",
        "-n",
        "tidegate-system",
        "--overwrite",
        &lost,
    ]);
    daemon.restart();
    let second = bad(&world, "");
    stays(&world, &second, "cannot be rolled back to fffffff: it is not in the repository any more");
    assert_eq!(image(&world), NONE);
}

/// Changes `times` of the record, as if it had been written so.
fn rewrite_times(world: &World, change: impl FnOnce(&mut Value)) {
    let mut status = world.status_of(&world.name);
    change(&mut status["times"]);
    let patch = serde_json::json!({ "data": { "status.json": status.to_string() } }).to_string();
    let parent = format!("tidegate-{}", world.name);
    world.kube.must(&["patch", "configmap", &parent, "-n", "tidegate-system", "--type=merge", "-p", &patch]);
}

#[test]
fn a_deadline_that_went_on_while_no_daemon_ran_begins_anew_but_not_for_ever() {
    let (world, first) = good("back-away", "");
    let mut daemon = world.daemon();
    world.wait_for("live", &first);
    let second = world.commit("two", &[("web.yaml", &broken("web"))]);
    record(&world, "back-away", "it is applied, and not healthy", |status| {
        status["applied"]["id"] == second.as_str() && status["state"] == "progressing"
    });
    daemon.kill();
    let long_ago = (Timestamp::now() - SignedDuration::from_hours(1)).to_string();
    rewrite_times(&world, |times| times["applied"] = long_ago.as_str().into());
    let started = Timestamp::now();
    daemon.restart();
    let status = record(&world, "back-away", "the deadline began anew", |status| {
        status["times"]["anew"]["count"] == 1
    });
    assert_eq!((&status["state"], &status["held"]), (&"progressing".into(), &Value::Null), "{status:#}");
    let since: Timestamp = status["times"]["anew"]["since"].as_str().unwrap().parse().unwrap();
    assert!(since >= started, "{status:#}");
    crate::schema::assert_valid("record", &status);
    let shown = world.tidegate(&["status", "back-away"]).stdout;
    assert!(shown.contains("because nobody had looked (1 of 3 times)"), "{shown}");
    assert_eq!(image(&world), NONE);
    // Over and over again it does not.
    daemon.kill();
    rewrite_times(&world, |times| times["anew"] = serde_json::json!({ "since": long_ago, "count": 3 }));
    daemon.restart();
    let status = is_rolled_back(&world);
    assert_eq!(status["held"]["commit"]["id"], second.as_str(), "{status:#}");
}

#[test]
fn a_run_once_ends_with_the_rollback_behind_it() {
    let (world, _) = good("back-once", "");
    let folder = tempfile::tempdir().unwrap();
    let once = || {
        let kubeconfig = world.kube.kubeconfig().display().to_string();
        let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["run", "--once", "--listen", "none", "--branch", "main", "--timeout", "90s"])
            .args(["--repo", &world.repo.url(), "--kubeconfig", &kubeconfig])
            .arg("--cache-dir")
            .arg(folder.path().join("cache"))
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, log) = once();
    assert_eq!(code, Some(0), "{log}");
    bad(&world, "");
    for _ in 0..2 {
        let (code, log) = once();
        assert!(code == Some(3) && log.contains("back-once: rolled-back"), "{log}");
        assert_eq!(image(&world), "docker.io/local/pause:1", "{log}");
    }
}
