//! The commands as people and scripts use them: what they print, where, and how they exit.

use std::process::{Command, Stdio};

use crate::scene::{
    Killed, bare_environment, binary, kubeconfig_to, marked_config_map, problems, record, short,
    tidegate_with,
};
use crate::support::{Output, World, check, config_map, deployment, eventually};

/// A command on the files of the work tree.
fn on_files(world: &World, arguments: &[&str]) -> Output {
    let repo = world.repo.work().display().to_string();
    let mut all = vec!["--repo", repo.as_str()];
    all.extend(arguments);
    world.tidegate(&all)
}

fn good(world: &World) -> String {
    world.commit(
        "good",
        &[
            ("environment.yaml", &world.environment("")),
            ("c.yaml", &config_map("c", "k", "one")),
            ("web.yaml", &deployment("web", 1, "")),
        ],
    )
}

#[test]
fn validate_is_offline_and_names_every_error_with_its_place() {
    let world = World::new("saf-validate");
    good(&world);
    // No cluster is asked: there is none behind this kubeconfig.
    let nowhere = [("KUBECONFIG", "/nonexistent")];
    let repo = world.repo.work().display().to_string();
    let fine = tidegate_with(&world, &nowhere, &["validate", &repo]);
    assert!(
        fine.code == 0 && fine.stdout.contains("saf-validate: 3 objects"),
        "{}{}",
        fine.stdout,
        fine.stderr
    );
    let web = deployment("web", 1, "").replace("replicas: 1", "replica: 1");
    world.repo.write("environments/saf-validate/web.yaml", &web);
    world.repo.write(
        "environments/saf-validate/odd.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [}\n",
    );
    let bad = tidegate_with(&world, &nowhere, &["validate", &repo]);
    assert_eq!(bad.code, 2, "{}{}", bad.stdout, bad.stderr);
    for wanted in
        ["error[E0301]", "web.yaml:5:", "    5 |   replica: 1", "error[E0101]", "odd.yaml:3:", "2 errors"]
    {
        assert!(bad.stdout.contains(wanted), "{wanted}: {}", bad.stdout);
    }
    let json = tidegate_with(&world, &nowhere, &["validate", &repo, "-o", "json"]);
    assert_eq!(json.code, 2);
    let data = json.json();
    assert_eq!(data["schema"], "tidegate.validate/v1");
    assert_eq!(data["environments"][0]["valid"], false);
    assert_eq!(data["environments"][0]["problems"].as_array().unwrap().len(), 2, "{data:#}");
    let committed = tidegate_with(&world, &nowhere, &["validate", &repo, "--ref", "HEAD"]);
    assert_eq!(committed.code, 0, "the commit is fine: {}{}", committed.stdout, committed.stderr);
    let other = tidegate_with(&world, &nowhere, &["validate", &repo, "--env", "nope"]);
    assert!(other.code == 2 && other.stderr.contains("saf-validate"), "{}", other.stderr);
}

#[test]
fn render_gives_the_same_bytes_every_time() {
    let world = World::new("saf-render");
    good(&world);
    let first = on_files(&world, &["render", "saf-render"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert!(first.stdout.contains("kind: Deployment") && first.stdout.contains("namespace: saf-render"));
    for _ in 0..3 {
        assert_eq!(on_files(&world, &["render", "saf-render"]).stdout, first.stdout);
    }
    let bare = world.repo.url();
    let committed = world.tidegate(&["--repo", &bare, "render", "saf-render", "--ref", "main"]);
    assert_eq!(committed.stdout, first.stdout, "a commit and the same files: {}", committed.stderr);
    let json = on_files(&world, &["render", "saf-render", "-o", "json"]).json();
    assert_eq!(json["schema"], "tidegate.render/v1");
    assert_eq!(json["objects"].as_array().unwrap().len(), 3);
    let unknown = on_files(&world, &["render", "nope"]);
    assert!(unknown.code == 2 && unknown.stdout.is_empty(), "{}", unknown.stdout);
}

#[test]
fn diff_shows_what_is_missing_changed_and_to_be_deleted() {
    let world = World::new("saf-diff");
    let commit = good(&world);
    let before = on_files(&world, &["diff", "saf-diff", "--exit-code"]);
    assert_eq!(before.code, 1, "{}{}", before.stdout, before.stderr);
    assert!(before.stdout.contains("3 missing, 0 changed, 0 to delete"), "{}", before.stdout);
    let mut daemon = world.daemon();
    world.wait_for("live", &commit);
    let none = on_files(&world, &["diff", "saf-diff", "--exit-code"]);
    assert!(none.code == 0 && none.stdout.contains("saf-diff: no changes"), "{}{}", none.stdout, none.stderr);
    daemon.kill();
    world.kube.must(&["set", "env", "deployment/web", "-n", "saf-diff", "MODE=odd"]);
    world.kube.must(&["scale", "deployment/web", "-n", "saf-diff", "--replicas=2"]);
    world.repo.remove("environments/saf-diff/c.yaml");
    world.repo.write("environments/saf-diff/new.yaml", &config_map("new", "k", "v"));
    let diff = on_files(&world, &["diff", "saf-diff"]);
    assert_eq!(diff.code, 0, "{}", diff.stderr);
    for wanted in [
        "+ ConfigMap saf-diff/new is missing  environments/saf-diff/new.yaml:1:1",
        "~ Deployment saf-diff/web",
        "spec.replicas: 2 -> 1  environments/saf-diff/web.yaml:5:13",
        "env[MODE].value: odd -> plain",
        "kubectl",
        "ConfigMap saf-diff/c left git",
        "1 missing, 1 changed, 1 to delete",
    ] {
        assert!(diff.stdout.contains(wanted), "{wanted}: {}", diff.stdout);
    }
    assert_eq!(on_files(&world, &["diff", "saf-diff", "--exit-code"]).code, 1);
    let json = on_files(&world, &["diff", "saf-diff", "-o", "json"]).json();
    assert_eq!(json["schema"], "tidegate.diff/v1");
    assert_eq!(json["environments"][0]["toDelete"].as_array().unwrap().len(), 1);
    let committed = on_files(&world, &["diff", "saf-diff", "--ref", "HEAD"]);
    assert!(committed.stdout.contains("0 missing, 1 changed, 0 to delete"), "{}", committed.stdout);
}

#[test]
fn status_shows_all_or_one_and_says_when_the_daemon_is_down() {
    let world = World::new("saf-status");
    let commit = good(&world);
    let mut daemon = world.daemon();
    world.wait_for("live", &commit);
    let all = world.tidegate(&["status"]);
    assert_eq!(all.code, 0, "{}", all.stderr);
    let line = all.stdout.lines().find(|line| line.starts_with("saf-status ")).expect("its line");
    assert!(line.contains("live") && line.contains(short(&commit)) && line.contains("good"), "{line}");
    let one = world.tidegate(&["status", "saf-status"]);
    for wanted in ["objects: 3 (3 healthy", "daemon: running", "live now:", "by Ada"] {
        assert!(one.stdout.contains(wanted), "{wanted}: {}", one.stdout);
    }
    assert!(!one.stdout.contains('\u{1b}'), "no colours off a terminal");
    for (format, wanted) in [
        ("json", "\"schema\": \"tidegate.status/v1\""),
        ("yaml", "schema: tidegate.status/v1"),
        ("jsonl", "\"schema\":\"tidegate.status/v1\""),
    ] {
        let output = world.tidegate(&["status", "saf-status", "-o", format]);
        assert!(output.stdout.contains(wanted), "{format}: {}", output.stdout);
    }
    let lines = world.tidegate(&["status", "saf-status", "-o", "jsonl"]).stdout;
    assert_eq!(lines.lines().count(), 1);
    crate::schema::assert_valid("record", &world.status());
    let unknown = world.tidegate(&["status", "saf-nope"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("saf-status"), "{}", unknown.stderr);
    daemon.terminate();
    let data = world.tidegate(&["--repo", &world.repo.url(), "status", "saf-status", "-o", "json"]).json();
    assert_eq!(data["environments"][0]["daemonRunning"], false, "{data:#}");
    assert_eq!(data["environments"][0]["liveHealth"]["state"], "Healthy", "{data:#}");
    let down = world.tidegate(&["--repo", &world.repo.url(), "status", "saf-status"]);
    assert!(down.stdout.contains("not running"), "{}", down.stdout);
}

#[test]
fn status_watch_prints_every_change() {
    let world = World::new("saf-watch");
    let commit = good(&world);
    let _daemon = world.daemon();
    world.wait_for("live", &commit);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let watch = binary(&world, &[])
        .args(["status", "saf-watch", "--watch", "-o", "jsonl"])
        .stdout(std::fs::File::create(&path).unwrap())
        .spawn()
        .unwrap();
    let _watch = Killed(watch);
    let lines = || std::fs::read_to_string(&path).unwrap();
    eventually("the first state is printed", || check(lines().contains(&commit), lines()));
    let next = world.commit("next", &[("c.yaml", &config_map("c", "k", "two"))]);
    eventually("the change is printed", || check(lines().contains(&next), lines()));
}

#[test]
fn wait_exits_by_how_it_ended() {
    let world = World::new("saf-wait");
    let commit = good(&world);
    let nobody = world.tidegate(&["--repo", &world.repo.url(), "wait", &commit, "--timeout", "1s"]);
    assert_eq!(nobody.code, 4, "nobody works on it: {}{}", nobody.stdout, nobody.stderr);
    let _daemon = world.daemon();
    let live = world.tidegate(&["--repo", &world.repo.url(), "wait", &commit, "--timeout", "60s"]);
    assert_eq!(live.code, 0, "{}{}", live.stdout, live.stderr);
    assert_eq!(world.tidegate(&["wait", "saf-wait", "--timeout", "5s"]).code, 0);
    let repo = world.repo.url();
    let wait = |commit: &str, time: &str| {
        world.tidegate(&["--repo", &repo, "wait", "saf-wait", "--commit", commit, "--timeout", time])
    };
    let broken = world.commit("broken", &[("bad.yaml", "a: [\n")]);
    let invalid = wait(&broken, "30s");
    assert_eq!(invalid.code, 2, "{}{}", invalid.stdout, invalid.stderr);
    for wanted in ["error[E0101]", "--> environments/saf-wait/bad.yaml:1:"] {
        assert!(invalid.stdout.contains(wanted), "{wanted}: {}", invalid.stdout);
    }
    world.repo.remove("environments/saf-wait/bad.yaml");
    let stuck = deployment("web", 1, "").replace(
        "      terminationGracePeriodSeconds: 0\n",
        "      terminationGracePeriodSeconds: 0\n      nodeSelector: {there: none}\n",
    );
    let stuck = world.commit("stuck", &[("web.yaml", &stuck)]);
    let late = wait(&stuck, "4s");
    assert_eq!(late.code, 4, "{}{}", late.stdout, late.stderr);
    assert!(late.stdout.contains("saf-wait: not live after 4 s: still progressing"), "{}", late.stdout);
    assert!(late.stdout.contains("environments/saf-wait/web.yaml:1:1"), "{}", late.stdout);
    let last = late.stderr.lines().last().unwrap_or_default();
    assert!(!last.is_empty() && !late.stdout.contains(last), "said once: {}{}", late.stdout, late.stderr);
    let image =
        deployment("web", 1, "").replace("local/pause:1", "local/no-such:1").replace("IfNotPresent", "Never");
    let broken_image = world.commit("sick", &[("web.yaml", &image)]);
    let failed = wait(&broken_image, "60s");
    assert_eq!(failed.code, 3, "{}{}", failed.stdout, failed.stderr);
    let sick = failed.stdout.lines().find(|text| text.contains("degraded Deployment saf-wait/web"));
    let sick_line = sick.unwrap_or_else(|| panic!("{}", failed.stdout));
    let place = "environments/saf-wait/web.yaml:1:1";
    assert!(sick_line.contains("ErrImageNeverPull") && sick_line.ends_with(place), "{sick_line}");
    let json = world.tidegate(&["wait", "saf-wait", "--timeout", "5s", "-o", "json"]);
    assert_eq!(json.json()["schema"], "tidegate.wait/v1");
    let no_repo = world.tidegate(&["wait", &broken_image, "--timeout", "5s"]);
    assert_eq!(no_repo.code, 64, "{}", no_repo.stderr);
}

#[test]
fn wait_says_how_the_commit_stands_to_what_the_daemon_has_seen() {
    let world = World::new("saf-whence");
    let first = good(&world);
    let mut daemon = world.daemon();
    world.wait_for("live", &first);
    let repo = world.repo.url();
    let wait = |commit: &str, time: &str| {
        world.tidegate(&["--repo", &repo, "wait", "saf-whence", "--commit", commit, "--timeout", time])
    };
    let value = |value: &str| world.commit(value, &[("c.yaml", &config_map("c", "k", value))]);
    // Nobody looks at git: the commit is not seen.
    daemon.terminate();
    let second = value("two");
    let unseen = wait(&second, "2s");
    assert_eq!(unseen.code, 4, "{}{}", unseen.stdout, unseen.stderr);
    let said = format!("{} is not seen yet; the daemon is at {}", short(&second), short(&first));
    assert!(unseen.stderr.contains(&said), "{said}: {}", unseen.stderr);
    assert!(unseen.stdout.contains("the commit is not seen yet"), "{}", unseen.stdout);
    // One that a newer commit overtook can never become live.
    let third = value("three");
    daemon.restart();
    world.wait_for("live", &third);
    let overtaken = wait(&second, "20s");
    assert_eq!(overtaken.code, 3, "{}{}", overtaken.stdout, overtaken.stderr);
    assert!(
        overtaken.stdout.contains(&format!("overtaken: the daemon is at {}", short(&third))),
        "{}",
        overtaken.stdout
    );
    // One that asks for the same as an older one is live.
    let empty = world.repo.commit("nothing of it");
    assert_eq!(wait(&empty, "20s").code, 0);
    // The branch goes back: its new tip is not taken, and the old one is no longer on it.
    world.repo.git(&["reset", "--quiet", "--hard", &first]);
    world.repo.write("environments/saf-whence/c.yaml", &config_map("c", "k", "other"));
    world.repo.git(&["add", "--all"]);
    world.repo.git(&["commit", "--quiet", "-m", "aside"]);
    world.repo.git(&["push", "--quiet", "--force", "origin", "main"]);
    let aside = world.repo.head();
    record(&world, "saf-whence", "the rewind is recorded", |status| !problems(status, "E0502").is_empty());
    let refused = wait(&aside, "20s");
    assert_eq!(refused.code, 6, "{}{}", refused.stdout, refused.stderr);
    assert!(
        refused.stdout.contains("is not taken") && refused.stdout.contains("--rewind"),
        "{}",
        refused.stdout
    );
    let gone = wait(&third, "5s");
    assert_eq!(gone.code, 2, "{}{}", gone.stdout, gone.stderr);
    assert!(gone.stderr.contains("pushed away by force"), "{}", gone.stderr);
}

#[test]
fn an_environment_that_is_taken_down_is_listed_with_what_is_kept() {
    let world = World::new("saf-ended");
    let prune = "  createNamespaces: true\n  prune: {enabled: true}\n";
    let kept = marked_config_map("keep", "  annotations: {tidegate.dev/prune: disabled}\n");
    let commit = world.commit(
        "good",
        &[
            ("environment.yaml", &bare_environment("saf-ended", "saf-ended", prune)),
            ("c.yaml", &config_map("c", "k", "one")),
            ("keep.yaml", &kept),
        ],
    );
    let _daemon = world.daemon();
    world.wait_for("live", &commit);
    let down = bare_environment("saf-ended", "saf-ended", &format!("{prune}  decommission: true\n"));
    world.repo.write("environments/saf-ended/environment.yaml", &down);
    let diff = on_files(&world, &["diff", "saf-ended", "--exit-code"]);
    assert_eq!(diff.code, 1, "{}{}", diff.stdout, diff.stderr);
    for wanted in [
        "- ConfigMap saf-ended/c is taken down",
        "= ConfigMap saf-ended/keep is kept: `tidegate.dev/prune: disabled` stands on it",
        "= Namespace saf-ended is kept: `prune.allow` in environment.yaml does not name Namespace",
        "saf-ended: decommission: 1 to delete, 2 kept",
    ] {
        assert!(diff.stdout.contains(wanted), "{wanted}: {}", diff.stdout);
    }
    let json = on_files(&world, &["diff", "saf-ended", "-o", "json"]).json();
    assert_eq!(json["environments"][0]["decommission"], true, "{json:#}");
    assert_eq!(json["environments"][0]["kept"].as_array().unwrap().len(), 2, "{json:#}");
    let validate = on_files(&world, &["validate"]);
    assert_eq!(validate.code, 0, "{}{}", validate.stdout, validate.stderr);
    assert!(validate.stdout.contains("will be deleted"), "{}", validate.stdout);
    assert_eq!(on_files(&world, &["validate", "-o", "json"]).json()["environments"][0]["decommission"], true);
}

#[test]
fn a_flag_beats_a_variable_and_the_files_at_hand_beat_the_daemons_repository() {
    let world = World::new("saf-given");
    good(&world);
    world.repo.write("environments/saf-given/odd.yaml", "a: [\n");
    let bare = world.repo.url();
    let here = world.repo.work().join("environments");
    let run = |arguments: &[&str], settings: &[(&str, &str)], folder: &std::path::Path| {
        let output = binary(&world, settings).args(arguments).current_dir(folder).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let set = [("TIDEGATE_REPO", bare.as_str())];
    let (code, out, err) = run(&["validate"], &set, &here);
    assert!(code == 2 && out.contains("odd.yaml:"), "the files are broken: {out}{err}");
    let work = world.repo.work().canonicalize().unwrap().display().to_string();
    assert!(err.contains(&format!("the files of {work}")) && err.contains("TIDEGATE_REPO"), "{err}");
    for command in [&["render", "saf-given"][..], &["diff", "saf-given"]] {
        let (code, out, err) = run(command, &set, &here);
        assert!(code == 2 && err.contains("odd.yaml:"), "{out}{err}");
    }
    let (code, out, err) = run(&["--repo", &bare, "validate"], &set, &here);
    assert!(code == 0 && err.contains("at commit"), "the flag names the commit: {out}{err}");
    let elsewhere = tempfile::tempdir().unwrap();
    let (code, out, err) = run(&["validate"], &set, elsewhere.path());
    assert!(code == 0 && err.contains("at commit"), "no environments here: {out}{err}");
    let (code, out, err) = run(&["validate", "--ref", "HEAD"], &set, &here);
    assert!(code == 0 && err.contains("at commit"), "a commit of the work tree: {out}{err}");
    // The daemon: a folder by a flag wins over the variable of the other commands; two of a kind do not go together.
    let run = |arguments: &[&str], settings: &[(&str, &str)]| {
        let cache = elsewhere.path().join("cache").display().to_string();
        let mut all =
            vec!["run", "--once", "--listen", "none", "--timeout", "30s", "--cache-dir", cache.as_str()];
        all.extend(arguments);
        run(&all, settings, &here)
    };
    let (code, _, err) = run(&["--follow", &work], &set);
    assert!(code == 2 && err.contains("odd.yaml:"), "the folder is followed: {err}");
    let (code, _, err) = run(&["--repo", &bare], &[("TIDEGATE_FOLLOW", work.as_str())]);
    assert_eq!(code, 0, "the repository is followed: {err}");
    assert_eq!(run(&["--follow", &work, "--repo", &bare], &[]).0, 64);
    assert_eq!(run(&[], &[("TIDEGATE_FOLLOW", work.as_str()), ("TIDEGATE_REPO", bare.as_str())]).0, 64);
}

#[test]
fn a_repository_without_environments_is_said_to_have_none() {
    let world = World::new("saf-none");
    world.repo.write("environments/README.md", "none yet");
    let commit = world.repo.commit("none yet");
    let repo = world.repo.work().display().to_string();
    let at = format!("at {}", short(&commit));
    let commands = [
        (&["--repo", &repo, "validate"][..], "in this folder"),
        (&["--repo", &repo, "diff"], "in this folder"),
        (&["--repo", &repo, "diff", "--ref", "HEAD"], at.as_str()),
    ];
    for (command, place) in commands {
        let output = world.tidegate(command);
        assert_eq!(output.code, 2, "{}", output.stderr);
        let words = format!("there are no environments {place}");
        assert!(output.stderr.contains(&words), "{words}: {}", output.stderr);
    }
}

#[test]
fn sync_looks_at_git_at_once() {
    let world = World::new("saf-sync");
    let first = good(&world);
    // A clone that the daemon follows by a slow poll only: pushes to it come through the file system.
    let _daemon = world.daemon_with(&["--poll-interval", "10m"]);
    world.wait_for("live", &first);
    let asked = world.tidegate(&["sync", "saf-sync", "-o", "json"]);
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    assert_eq!(asked.json()["environments"][0], "saf-sync");
    let unknown = world.tidegate(&["sync", "saf-nope"]);
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
}

#[test]
fn once_converges_and_exits_by_the_outcome() {
    let world = World::new("saf-once");
    let folder = tempfile::tempdir().unwrap();
    let run = |kubeconfig: &str, time: &str| {
        let cache = folder.path().join("cache");
        let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["run", "--once", "--listen", "none", "--branch", "main", "--timeout", time])
            .args(["--repo", &world.repo.url(), "--kubeconfig", kubeconfig])
            .arg("--cache-dir")
            .arg(cache)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let cluster = world.kube.kubeconfig().display().to_string();
    good(&world);
    let (code, log) = run(&cluster, "60s");
    assert!(code == 0 && log.contains("saf-once: live"), "{code}: {log}");
    assert_eq!(world.kube.field("configmap", "saf-once", "c", "/data/k"), "one");
    world.commit("broken", &[("bad.yaml", "a: [\n")]);
    let (code, log) = run(&cluster, "60s");
    assert!(code == 2 && log.contains("bad.yaml:"), "{code}: {log}");
    let away = kubeconfig_to(folder.path(), 1).display().to_string();
    let (code, log) = run(&away, "6s");
    assert_eq!(code, 5, "{log}");
}

#[test]
fn a_cluster_or_repository_out_of_reach_exits_with_five() {
    let world = World::new("saf-reach");
    good(&world);
    let folder = tempfile::tempdir().unwrap();
    let away = kubeconfig_to(folder.path(), 1).display().to_string();
    for arguments in
        [&["status"][..], &["wait", "saf-reach"], &["sync"], &["suspend", "saf-reach", "--reason", "x"]]
    {
        let mut all = vec!["--kubeconfig", away.as_str(), "--timeout", "20s"];
        all.extend(arguments);
        let output = world.tidegate(&all);
        assert_eq!(output.code, 5, "{arguments:?}: {}{}", output.stdout, output.stderr);
    }
    let repo = world.repo.work().display().to_string();
    let diff = world.tidegate(&["--kubeconfig", &away, "--repo", &repo, "diff", "saf-reach"]);
    assert_eq!(diff.code, 5, "{}", diff.stderr);
    let nowhere = folder.path().join("nothing.git").display().to_string();
    let output = world.tidegate(&["--repo", &nowhere, "--timeout", "10s", "validate", "--ref", "main"]);
    assert_eq!(output.code, 5, "{}", output.stderr);
}

#[test]
fn wrong_usage_exits_with_64_and_answers_go_to_stdout() {
    let world = World::new("saf-usage");
    for arguments in [
        &["--nope"][..],
        &["status", "--nope"],
        &["run"],
        &["render"],
        &["suspend", "Not_A_Name", "--reason", "x"],
        &["completion", "cobol"],
    ] {
        let output = world.tidegate(arguments);
        assert_eq!(output.code, 64, "{arguments:?}: {}{}", output.stdout, output.stderr);
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
    let help = world.tidegate(&["--help"]);
    assert!(help.code == 0 && help.stdout.contains("validate"), "{}", help.stderr);
    let version = world.tidegate(&["version"]);
    assert!(version.code == 0 && version.stdout.starts_with("tidegate "), "{}", version.stdout);
    assert_eq!(world.tidegate(&["version", "-o", "json"]).json()["schema"], "tidegate.version/v1");
    let script = world.tidegate(&["completion", "bash"]);
    assert_eq!(script.code, 0);
    let mut shell = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut shell.stdin.take().unwrap(), script.stdout.as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success(), "bash reads the script");
}

#[test]
fn colours_follow_the_settings_and_never_stand_alone() {
    let world = World::new("saf-colour");
    world
        .repo
        .write("environments/saf-colour/environment.yaml", &bare_environment("saf-colour", "saf-colour", ""));
    world.repo.write("environments/saf-colour/c.yaml", &config_map("c", "k", "v"));
    let repo = world.repo.work().display().to_string();
    let validate = |settings: &[(&str, &str)], flags: &[&str]| {
        let mut all = vec!["validate", repo.as_str()];
        all.extend(flags);
        tidegate_with(&world, settings, &all).stdout
    };
    let coloured = |text: &str| text.contains("\u{1b}[");
    assert!(!coloured(&validate(&[], &[])));
    assert!(coloured(&validate(&[("CLICOLOR_FORCE", "1")], &[])));
    assert!(!coloured(&validate(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], &[])));
    assert!(coloured(&validate(&[("NO_COLOR", "1")], &["--color", "always"])));
    assert!(!coloured(&validate(&[("CLICOLOR_FORCE", "1")], &["--color", "never"])));
    assert!(validate(&[("LC_ALL", "C")], &[]).is_ascii(), "a glyph only where the locale has it");
    assert!(!coloured(&validate(&[("CLICOLOR_FORCE", "1")], &["-o", "json"])));
}
