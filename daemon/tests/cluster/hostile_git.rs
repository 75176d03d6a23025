//! What anybody can put into git, against the running daemon: it is named at its place, what ran before stays, and every
//! other environment goes on.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::scene::{bare_environment, field_is, record, throughout};
use crate::support::{Daemon, World, check, config_map, eventually, within};

/// What is written into an environment's folder, and how the record speaks of it.
struct Poison {
    name: &'static str,
    file: &'static str,
    bytes: Vec<u8>,
    code: &'static str,
    /// What stands in the message, the help or the further places.
    said: &'static str,
}

fn poison(name: &'static str, code: &'static str, said: &'static str, text: &str) -> Poison {
    Poison { name, file: "bad.yaml", bytes: text.as_bytes().to_vec(), code, said }
}

fn alias_bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..10 {
        let list = vec![format!("*a{}", n - 1); 9].join(", ");
        writeln!(text, "a{n}: &a{n} [{list}]").unwrap();
    }
    text
}

fn config_map_with(metadata: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{{metadata}}}\n")
}

fn poisons() -> Vec<Poison> {
    let item = config_map_with("name: inner").replace('\n', "\n    ");
    let list =
        format!("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - {item}\n");
    let mut all = vec![
        poison("broken", "E0101", "", "a: [1,\nb: }\n"),
        poison("tabs", "E0101", "tab", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: x\n"),
        poison("twice", "E0102", "related", "kind: ConfigMap\napiVersion: v1\nkind: Secret\n"),
        poison("deep", "E0103", "", &"[".repeat(100_000)),
        poison("bomb", "E0103", "", &alias_bomb()),
        poison("again", "E0111", "c.yaml", &config_map("c-again", "k", "other")),
        poison("lists", "E0110", "", &list),
        poison("kind", "E0304", "ConfigMap", "apiVersion: v1\nkind: ConfigMop\nmetadata: {name: x}\n"),
        poison(
            "version",
            "E0304",
            "apps/v1",
            "apiVersion: apps/v1beta9\nkind: Deployment\nmetadata: {name: x}\n",
        ),
        poison("foreign", "E0305", "kube-system", &config_map_with("name: x, namespace: kube-system")),
        poison("generate", "E0112", "generateName", &config_map_with("generateName: x-")),
        poison(
            "scope",
            "E0306",
            "clusterScoped",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: elsewhere}\n",
        ),
        poison("undefined", "E0204", "NOWHERE", &config_map_with("name: \"${NOWHERE}\"")),
    ];
    all.push(Poison { bytes: b"a: \xff\xfe\n".to_vec(), ..poison("latin", "E0104", "UTF-8", "") });
    let big = format!("{}# {}\n", config_map_with("name: x"), "x".repeat(5 * 1024 * 1024));
    all.push(Poison { bytes: big.into_bytes(), ..poison("large", "E0208", "not read", "") });
    all
}

#[test]
fn every_poison_is_named_with_its_place_keeps_what_ran_before_and_holds_up_no_other_environment() {
    let world = World::new("hox");
    world.kube.must(&["create", "namespace", "hox"]);
    let poisons = poisons();
    for Poison { name, .. } in &poisons {
        let environment = bare_environment(&format!("hox-{name}"), "hox", "  prune: {enabled: true}\n");
        world.repo.write(&format!("environments/hox-{name}/environment.yaml"), &environment);
        let text = config_map(&format!("c-{name}"), "k", "one");
        world.repo.write(&format!("environments/hox-{name}/c.yaml"), &text);
    }
    let first = one(&world, "one");
    let mut daemon = world.daemon();
    for Poison { name, .. } in &poisons {
        world.wait_for_environment(&format!("hox-{name}"), "live", &first);
    }
    for Poison { name, file, bytes, .. } in &poisons {
        std::fs::write(world.repo.work().join(format!("environments/hox-{name}/{file}")), bytes).unwrap();
    }
    let second = one(&world, "two");
    world.wait_for("live", &second);
    for Poison { name, file, code, said, .. } in &poisons {
        let name = format!("hox-{name}");
        let status = record(&world, &name, &format!("{name} is refused with {code}"), |status| {
            status["state"] == "failed" && status["problems"]["items"].to_string().contains(code)
        });
        let problems = status["problems"]["items"].as_array().unwrap();
        let told = problems.iter().any(|problem| {
            let text = problem.to_string();
            problem["code"] == *code
                && text.contains(&format!("environments/{name}/{file}"))
                && text.contains(said)
        });
        assert!(told, "{code} and `{said}`: {:#}", status["problems"]);
        assert_eq!(status["applied"]["id"], first.as_str());
    }
    let maps = world.kube.must(&["get", "configmap", "-n", "hox", "-o", "name"]);
    assert_eq!(maps.matches("/c-").count(), poisons.len(), "{maps}");
    assert!(daemon.is_running());
}

/// The world's environment itself, with one ConfigMap.
fn one(world: &World, value: &str) -> String {
    let environment = bare_environment(&world.name, &world.name, "  createNamespaces: true\n");
    world.commit(value, &[("environment.yaml", &environment), ("c.yaml", &config_map("c", "k", value))])
}

#[test]
fn paths_that_lead_elsewhere_are_refused_and_a_missing_folder_deletes_nothing() {
    let world = World::new("hop");
    world.kube.must(&["create", "namespace", "hop"]);
    let names = ["link", "module", "dots", "absolute", "nowhere", "renamed"];
    let write = |name: &str, spec: &str| {
        let environment = bare_environment(&format!("hop-{name}"), "hop", spec);
        world.repo.write(&format!("environments/hop-{name}/environment.yaml"), &environment);
    };
    for name in names {
        write(name, "  prune: {enabled: true}\n");
        world
            .repo
            .write(&format!("environments/hop-{name}/c.yaml"), &config_map(&format!("c-{name}"), "k", "v"));
    }
    let first = one(&world, "one");
    let daemon = world.daemon();
    for name in names {
        world.wait_for_environment(&format!("hop-{name}"), "live", &first);
    }
    let folder = |name: &str| world.repo.work().join(format!("environments/hop-{name}"));
    std::os::unix::fs::symlink("/etc/passwd", folder("link").join("bad.yaml")).unwrap();
    write("dots", "  sources: [{manifests: ../../..}]\n");
    write("absolute", "  sources: [{manifests: /etc}]\n");
    write("nowhere", "  sources: [{manifests: shared/nowhere}]\n");
    let other = bare_environment("hop-other", "hop", "");
    world.repo.write("environments/hop-renamed/environment.yaml", &other);
    world.repo.git(&["add", "--all"]);
    let module = format!("160000,{first},environments/hop-module/vendored");
    world.repo.git(&["update-index", "--add", "--cacheinfo", &module]);
    // Not by `commit`, which would stage the missing submodule as removed.
    world.repo.git(&["commit", "--quiet", "-m", "two"]);
    world.repo.git(&["push", "--quiet", "origin", "main"]);
    let codes = [
        ("link", "E0208"),
        ("module", "E0208"),
        ("dots", "E0203"),
        ("absolute", "E0203"),
        ("nowhere", "E0203"),
        ("renamed", "E0202"),
    ];
    for (name, code) in codes {
        let name = format!("hop-{name}");
        let status = record(&world, &name, &format!("{name} is refused with {code}"), |status| {
            status["state"] == "failed" && status["problems"]["items"].to_string().contains(code)
        });
        assert_eq!(status["applied"]["id"], first.as_str(), "{status:#}");
    }
    // Whole folders go: nothing of them is deleted.
    for name in names {
        std::fs::remove_dir_all(folder(name)).unwrap();
    }
    world.repo.commit("three");
    record(&world, "hop-link", "it is said", |status| status["problems"].to_string().contains("E0504"));
    let count = || world.kube.must(&["get", "configmap", "-n", "hop", "-o", "name"]).matches("/c-").count();
    throughout(Duration::from_secs(2), "all stays", || count() == names.len());
    drop(daemon);
}

/// The most memory that the daemon ever had, in MiB.
fn peak_mebibytes(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn a_file_of_a_gigabyte_is_refused_by_its_size_and_never_held_in_memory() {
    let world = World::new("hog-giga");
    one(&world, "one");
    let work = world.repo.work();
    let follow = work.display().to_string();
    let mut daemon = Daemon::start("", &world.kube.kubeconfig(), &["--follow", &follow]);
    record(&world, "hog-giga", "it is live", |status| status["state"] == "live");
    // All of it is zeros, which no disk has to hold.
    let file = std::fs::File::create(work.join("environments/hog-giga/big.yaml")).unwrap();
    file.set_len(1024 * 1024 * 1024).unwrap();
    record(&world, "hog-giga", "it is refused", |status| {
        status["state"] == "failed"
            && status["problems"].to_string().contains("environments/hog-giga/big.yaml")
    });
    let peak = peak_mebibytes(&daemon);
    assert!(peak < 400, "{peak} MiB");
    let wrong = r#"{"data":{"k":"wrong"}}"#;
    world.kube.must(&["patch", "configmap", "c", "-n", "hog-giga", "--type=merge", "-p", wrong]);
    field_is(&world, "configmap", "hog-giga", "c", "/data/k", "one");
    assert!(daemon.is_running());
}

#[test]
fn fifty_thousand_files_are_read_within_seconds() {
    let world = World::new("hog-many");
    let first = one(&world, "one");
    let daemon = world.daemon();
    world.wait_for("live", &first);
    world.repo.write("empty", "# nothing\n");
    let blob = world.repo.git(&["hash-object", "-w", "empty"]).trim().to_owned();
    let mut index = Command::new("git")
        .args(["update-index", "--add", "--index-info"])
        .current_dir(world.repo.work())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = String::new();
    for n in 0..50_000 {
        writeln!(lines, "100644 {blob}\tenvironments/hog-many/n{}/{n}.yaml", n / 1_000).unwrap();
    }
    index.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(index.wait().unwrap().success());
    world.repo.git(&["commit", "--quiet", "-m", "many"]);
    world.repo.git(&["push", "--quiet", "origin", "main"]);
    let second = world.repo.head();
    within(Duration::from_mins(1), "it is read", || {
        let status = world.status();
        check(status["seen"]["id"] == second.as_str() && status["state"] == "live", format!("{status:#}"))
    });
    let peak = peak_mebibytes(&daemon);
    assert!(peak < 400, "{peak} MiB");
}

#[test]
fn while_the_disk_of_the_cache_is_full_it_is_said_and_what_ran_before_is_kept_in_order() {
    let world = World::new("hog-disk");
    let first = one(&world, "one");
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().display().to_string();
    let mut daemon =
        Daemon::start_on_disk(&world.repo.url(), &world.kube.kubeconfig(), folder.path(), 512 * 1024);
    world.wait_for("live", &first);
    // Bytes that do not compress.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state * 48_271 % 2_147_483_647;
        state.to_le_bytes()[1]
    })
    .take(2 * 1024 * 1024)
    .collect();
    std::fs::write(world.repo.work().join("noise"), noise).unwrap();
    let second = one(&world, "two");
    eventually("it is said", || {
        let log = daemon.log();
        check(log.contains("No space left on device") || log.contains("os error 28"), log)
    });
    let wrong = r#"{"data":{"k":"wrong"}}"#;
    world.kube.must(&["patch", "configmap", "c", "-n", "hog-disk", "--type=merge", "-p", wrong]);
    field_is(&world, "configmap", "hog-disk", "c", "/data/k", "one");
    assert!(daemon.is_running());
    let more = ["-t", &daemon.pid().to_string(), "-m", "mount", "-o", "remount,size=64m", &cache];
    assert!(Command::new("nsenter").args(more).status().unwrap().success());
    world.wait_for("live", &second);
}

#[test]
fn an_empty_repository_is_said_and_its_first_commit_goes_live() {
    let world = World::new("hog-empty");
    let url = world.repo.url();
    let mut daemon = Daemon::start("", &world.kube.kubeconfig(), &["--repo", &url]);
    eventually("it is said", || check(daemon.log().contains("error["), daemon.log()));
    assert!(daemon.log().contains("has no commit yet"), "{}", daemon.log());
    assert!(daemon.is_running());
    let first = one(&world, "one");
    world.wait_for("live", &first);
}

#[test]
fn a_renamed_branch_is_followed_by_its_new_name_but_not_into_other_history() {
    let world = World::new("hog-renamed");
    let first = one(&world, "one");
    let url = world.repo.url();
    // The branch that the remote's HEAD names.
    let daemon = Daemon::start("", &world.kube.kubeconfig(), &["--repo", &url]);
    world.wait_for("live", &first);
    let uid = world.kube.field("configmap", "hog-renamed", "c", "/metadata/uid");
    let push = |branch: &str, value: &str| {
        world.repo.write("environments/hog-renamed/c.yaml", &config_map("c", "k", value));
        world.repo.git(&["add", "--all"]);
        world.repo.git(&["commit", "--quiet", "-m", value]);
        world.repo.git(&["push", "--quiet", "origin", &format!("HEAD:refs/heads/{branch}")]);
        world.repo.head()
    };
    world.repo.git(&["--git-dir", &url, "branch", "-m", "main", "trunk"]);
    let second = push("trunk", "two");
    world.wait_for("live", &second);
    field_is(&world, "configmap", "hog-renamed", "c", "/data/k", "two");

    world.repo.git(&["checkout", "--quiet", "--orphan", "other"]);
    push("other", "three");
    world.repo.git(&["--git-dir", &url, "symbolic-ref", "HEAD", "refs/heads/other"]);
    record(&world, "hog-renamed", "it is said", |status| {
        status["problems"]["items"].to_string().contains("E0502")
    });
    throughout(Duration::from_secs(2), "the last good commit stays", || {
        world.kube.field("configmap", "hog-renamed", "c", "/data/k") == "two"
    });
    assert_eq!(world.kube.field("configmap", "hog-renamed", "c", "/metadata/uid"), uid, "{}", daemon.log());
}
