//! The deploy log of a real cluster, pushed to a real repository: what happens is a record, once, whatever becomes of the daemon and
//! of the remote. Read by the commands from a clone, as an auditor does.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Daemon, World, check, config_map, deployment, eventually};

/// A repository for logs, and the key that signs them.
pub struct Logs {
    folder: TempDir,
}

impl Logs {
    pub fn new() -> Self {
        let logs = Self { folder: tempfile::tempdir().unwrap() };
        logs.run("git", &["init", "--quiet", "--bare", "log.git"]);
        logs.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "key"]);
        let public = std::fs::read_to_string(logs.path("key.pub")).unwrap();
        std::fs::write(logs.path("signers"), format!("deploylog@tidegate.invalid {public}")).unwrap();
        logs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path());
        for name in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"] {
            command.env(name, "somebody");
        }
        for name in ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] {
            command.env(name, "somebody@shop.example");
        }
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts a daemon that writes the log here.
    pub fn daemon(&self, world: &World, flags: &[&str]) -> Daemon {
        self.daemon_behind(world, &world.kube.kubeconfig(), flags)
    }

    /// The same behind a proxy.
    pub fn daemon_behind(&self, world: &World, kubeconfig: &Path, flags: &[&str]) -> Daemon {
        let (repo, key) =
            (self.path("log.git").display().to_string(), self.path("key").display().to_string());
        let mut all = vec!["--ledger-repo", &repo, "--ledger-key", &key];
        all.extend(flags);
        Daemon::start(&world.repo.url(), kubeconfig, &all)
    }

    /// From now on pushes are counted, and one kills whom [`Self::arm`] names: `pre-receive`, with its commits there; `post-receive`,
    /// with its branch moved; `refused`, and its branch stays.
    pub fn hooks(&self) {
        let (armed, pushes) =
            (self.path("armed").display().to_string(), self.path("pushes").display().to_string());
        for hook in ["pre-receive", "post-receive"] {
            let kill = format!("rm '{armed}'; kill -9 $pid");
            self.hook(
                hook,
                &format!(
                    "cat > /dev/null\necho {hook} >> '{pushes}'\n[ -f '{armed}' ] || exit 0\nread stage pid < '{armed}'\n\
                     if [ $stage = {hook} ]; then {kill}; fi\n\
                     if [ $stage = refused ] && [ {hook} = pre-receive ]; then {kill}; exit 1; fi\nexit 0"
                ),
            );
        }
    }

    fn hook(&self, name: &str, script: &str) {
        let file = self.path("log.git").join("hooks").join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// So many pushes have begun and landed, since [`Self::hooks`].
    pub fn pushes(&self) -> (usize, usize) {
        let text = std::fs::read_to_string(self.path("pushes")).unwrap_or_default();
        let count = |hook: &str| text.lines().filter(|line| *line == hook).count();
        (count("pre-receive"), count("post-receive"))
    }

    /// Refuses every push with these words, or takes them again.
    pub fn refuse(&self, words: Option<&str>) {
        let script = words.map_or("exit 0".to_owned(), |words| format!("echo '{words}' >&2\nexit 1"));
        self.hook("pre-receive", &script);
    }

    /// The full names of the remote's branches.
    pub fn branches(&self) -> Vec<String> {
        let told = self.run("git", &["--git-dir=log.git", "for-each-ref", "--format=%(refname)"]);
        told.lines().map(str::to_owned).collect()
    }

    /// The remote's branches with the commits that they stand at.
    pub fn tips(&self) -> Vec<String> {
        let told =
            self.run("git", &["--git-dir=log.git", "for-each-ref", "--format=%(refname) %(objectname)"]);
        told.lines().map(str::to_owned).collect()
    }

    /// Somebody forces a branch to a commit, or deletes it.
    pub fn force(&self, branch: &str, to: Option<&str>) {
        match to {
            Some(commit) => self.run("git", &["--git-dir=log.git", "update-ref", branch, commit]),
            None => self.run("git", &["--git-dir=log.git", "update-ref", "-d", branch]),
        };
    }

    /// Daemons sign with another key from now on.
    pub fn rekey(&mut self) {
        std::fs::remove_file(self.path("key")).unwrap();
        self.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "key"]);
    }

    /// The next push kills this process at this stage.
    pub fn arm(&self, stage: &str, pid: u32) {
        std::fs::write(self.path("armed"), format!("{stage} {pid}\n")).unwrap();
    }

    /// No push kills any more; true where none had come to it.
    pub fn disarm(&self) -> bool {
        std::fs::remove_file(self.path("armed")).is_ok()
    }

    /// The records of a world's environment, the oldest first, as `log` tells them from a fresh clone.
    pub fn records(&self, world: &World) -> Vec<Value> {
        self.records_of(world, &world.name)
    }

    /// The same of any environment.
    pub fn records_of(&self, world: &World, environment: &str) -> Vec<Value> {
        let clone = tempfile::tempdir_in(self.folder.path()).unwrap();
        let (from, to) = (self.path("log.git"), clone.path().join("clone"));
        self.run("git", &["clone", "--quiet", from.to_str().unwrap(), to.to_str().unwrap()]);
        let place = to.to_str().unwrap();
        let told = world.tidegate(&["--repo", place, "log", "--env", environment, "-o", "json"]);
        if told.code != 0 {
            return Vec::new();
        }
        let told = told.json()["records"].as_array().cloned().unwrap_or_default();
        let mut records: Vec<Value> = told.into_iter().map(|told| told["record"].clone()).collect();
        records.sort_by_key(|record| record["seq"].as_u64());
        records
    }

    /// Waits for so many records.
    pub fn wait_for(&self, world: &World, count: usize) -> Vec<Value> {
        eventually(&format!("{count} records are in git"), || {
            let records = self.records(world);
            check(records.len() >= count, format!("{records:#?}"))?;
            Ok(records)
        })
    }

    /// What `verify` says of a fresh clone, with the daemon's key.
    pub fn verify(&self, world: &World) -> (i32, String) {
        let clone = tempfile::tempdir_in(self.folder.path()).unwrap();
        let (from, to) = (self.path("log.git"), clone.path().join("clone"));
        self.run("git", &["clone", "--quiet", from.to_str().unwrap(), to.to_str().unwrap()]);
        let signers = self.path("signers");
        let told = world.tidegate(&[
            "--repo",
            to.to_str().unwrap(),
            "verify",
            "--allowed-signers",
            signers.to_str().unwrap(),
        ]);
        (told.code, format!("{}{}", told.stdout, told.stderr))
    }
}

pub fn kinds(records: &[Value]) -> Vec<String> {
    let word = |record: &Value, key: &str| record[key].as_str().unwrap_or_default().to_owned();
    records.iter().map(|record| format!("{} {}", word(record, "kind"), word(record, "result"))).collect()
}

/// Entries of the queue in the cluster, by their stage.
pub fn queued(world: &World) -> Vec<Value> {
    let label = format!("tidegate.dev/record-of={}", world.name);
    let text = world.kube.must(&["get", "configmap", "-n", "tidegate-system", "-l", &label, "-o", "json"]);
    let list: Value = serde_json::from_str(&text).unwrap();
    let items = list["items"].as_array().cloned().unwrap_or_default();
    items
        .iter()
        .map(|item| serde_json::from_str(item["data"]["entry.json"].as_str().unwrap()).unwrap())
        .collect()
}

/// Takes away what an earlier run left in the queue.
pub fn clean(world: &World) {
    clean_of(world, &world.name);
}

/// The same of any environment.
pub fn clean_of(world: &World, environment: &str) {
    let label = format!("tidegate.dev/record-of={environment}");
    world.kube.must(&["delete", "configmap", "-n", "tidegate-system", "-l", &label]);
}

#[test]
fn deploys_repairs_and_deletions_are_a_record_each_and_the_log_can_be_verified() {
    let (world, logs) = (World::new("log-told"), Logs::new());
    clean(&world);
    let daemon = logs.daemon(&world, &["--ledger-coalesce", "2s"]);
    let first = world.commit(
        "the shop",
        &[
            ("environment.yaml", &world.environment("")),
            ("web.yaml", &deployment("web", 1, "")),
            ("prices.yaml", &config_map("prices", "rooms", "3")),
        ],
    );
    world.wait_for("live", &first);
    let records = logs.wait_for(&world, 1);
    let deploy = &records[0];
    assert_eq!(kinds(&records), ["deploy succeeded"], "{deploy:#}");
    assert_eq!(deploy["source"]["commit"], first.as_str());
    assert_eq!(deploy["source"]["subject"], "the shop");
    assert_eq!(deploy["apps"][0]["app"], format!("{}/web", world.name));
    assert_eq!(deploy["apps"][0]["to"]["images"]["main"]["name"], "docker.io/local/pause:1");
    let path = "jsonpath={.items[0].status.containerStatuses[0].imageID}";
    let runs = world.kube.must(&["get", "pods", "-n", &world.name, "-l", "app=web", "-o", path]);
    let digest = deploy["apps"][0]["to"]["images"]["main"]["digest"].as_str().unwrap_or_default();
    assert!(digest.starts_with("sha256:") && runs.ends_with(digest), "{runs}: {deploy:#}");
    assert_eq!(deploy["objects"]["total"], 3, "the namespace, too: {deploy:#}");
    assert!(deploy["change"]["author"].as_str().unwrap().contains('@'), "{deploy:#}");

    world.kube.must(&["patch", "configmap", "prices", "-n", &world.name, "-p", r#"{"data":{"rooms":"9"}}"#]);
    let records = logs.wait_for(&world, 2);
    let repair = &records[1];
    assert_eq!(kinds(&records)[1], "drift succeeded", "{repair:#}");
    assert_eq!(repair["repairs"]["items"][0]["manager"], "kubectl-patch", "{repair:#}");
    assert_eq!(repair["repairs"]["items"][0]["ref"]["name"], "prices", "{repair:#}");

    world.repo.remove(&format!("environments/{}/prices.yaml", world.name));
    let second = world.commit("no prices", &[("web.yaml", &deployment("web", 2, ""))]);
    world.wait_for("live", &second);
    let records = logs.wait_for(&world, 3);
    let last = &records[2];
    assert_eq!(kinds(&records)[2], "deploy succeeded", "{last:#}");
    let operations: Vec<&str> = last["objects"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["op"].as_str().unwrap())
        .collect();
    assert!(operations.contains(&"change") && operations.contains(&"delete"), "{last:#}");
    assert_eq!(last["apps"][0]["from"]["commit"], first.as_str(), "{last:#}");

    let (code, told) = logs.verify(&world);
    assert_eq!(code, 0, "{told}");
    eventually("nothing waits any more", || {
        let waiting = queued(&world);
        check(waiting.is_empty(), format!("{waiting:#?}"))
    });
    drop(daemon);
}

#[test]
fn deploys_go_on_while_the_remote_is_away_and_all_of_them_are_pushed_in_order_afterwards() {
    let (world, logs) = (World::new("log-away"), Logs::new());
    clean(&world);
    std::fs::rename(logs.path("log.git"), logs.path("away.git")).unwrap();
    let mut daemon = logs.daemon(&world, &[]);
    let environment = world.environment("");
    let mut commits = Vec::new();
    for number in 1..=3 {
        let prices = config_map("prices", "rooms", &number.to_string());
        let files = [("environment.yaml", environment.as_str()), ("prices.yaml", prices.as_str())];
        let commit = world.commit(&format!("price {number}"), &files);
        world.wait_for("live", &commit);
        commits.push(commit);
    }
    eventually("three records wait", || {
        let waiting = queued(&world);
        let over = waiting.iter().filter(|entry| entry["stage"]["is"] == "over").count();
        check(over == 3, format!("{waiting:#?}"))
    });
    // They outlive the daemon and its disk.
    daemon.kill();
    daemon.restart();
    std::fs::rename(logs.path("away.git"), logs.path("log.git")).unwrap();
    let records = logs.wait_for(&world, 3);
    let told: Vec<&str> = records.iter().map(|record| record["source"]["commit"].as_str().unwrap()).collect();
    assert_eq!(told, commits, "{records:#?}");
    assert_eq!(kinds(&records), ["deploy succeeded"; 3]);
    eventually("nothing waits any more", || {
        let waiting = queued(&world);
        check(waiting.is_empty(), format!("{waiting:#?}"))
    });
    let (code, told) = logs.verify(&world);
    assert_eq!(code, 0, "{told}");
}

#[test]
fn a_daemon_that_is_killed_in_the_middle_leaves_a_record_that_says_what_was_found() {
    let (world, logs) = (World::new("log-killed"), Logs::new());
    clean(&world);
    let mut daemon = logs.daemon(&world, &[]);
    // It never becomes ready: there is no such image.
    let web = deployment("web", 1, "").replace("docker.io/local/pause:1", "docker.io/local/nothing:1");
    let files = [("environment.yaml", world.environment("")), ("web.yaml", web)];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    world.commit("an image that is not there", &files);
    eventually("it is under way and applied", || {
        let entries = queued(&world);
        let begun = entries.iter().any(|entry| entry["stage"]["is"] == "underWay");
        check(begun && world.status()["state"] == "progressing", format!("{entries:#?}"))
    });
    daemon.kill();
    daemon.restart();
    let records = logs.wait_for(&world, 1);
    assert_eq!(kinds(&records), ["interrupted unknown"]);
    let reason = records[0]["reason"].as_str().unwrap();
    assert!(reason.contains("everything is as git asks"), "{reason}");
    let mended = world.commit("the image that is there", &[("web.yaml", &deployment("web", 1, ""))]);
    world.wait_for("live", &mended);
    let records = logs.wait_for(&world, 2);
    assert_eq!(kinds(&records), ["interrupted unknown", "deploy succeeded"]);
    let (code, told) = logs.verify(&world);
    assert_eq!(code, 0, "{told}");
}

#[test]
fn a_repair_is_told_as_one_though_the_daemon_is_killed_before_its_record_is_due() {
    let (world, logs) = (World::new("log-repaired"), Logs::new());
    clean(&world);
    let mut daemon = logs.daemon(&world, &[]);
    let prices = config_map("prices", "rooms", "3");
    let environment = world.environment("");
    let files = [("environment.yaml", environment.as_str()), ("prices.yaml", prices.as_str())];
    let commit = world.commit("prices", &files);
    world.wait_for("live", &commit);
    world.kube.must(&["patch", "configmap", "prices", "-n", &world.name, "-p", r#"{"data":{"rooms":"9"}}"#]);
    eventually("the repair is noted in the cluster", || {
        let entries = queued(&world);
        let noted =
            |entry: &Value| entry["stage"]["is"] == "underWay" && entry["outcome"]["repairs"]["total"] == 1;
        check(entries.iter().any(noted), format!("{entries:#?}"))
    });
    daemon.kill();
    daemon.restart();
    let records = logs.wait_for(&world, 2);
    assert_eq!(kinds(&records), ["deploy succeeded", "drift succeeded"], "{records:#?}");
    assert_eq!(records[1]["repairs"]["items"][0]["ref"]["name"], "prices");
}

#[test]
fn a_branch_that_somebody_else_wrote_on_is_left_as_it_is_and_the_log_goes_on() {
    let (world, logs) = (World::new("log-foreign"), Logs::new());
    clean(&world);
    let daemon = logs.daemon(&world, &[]);
    let environment = world.environment("");
    let deploy = |number: u32| {
        let prices = config_map("prices", "rooms", &number.to_string());
        let files = [("environment.yaml", environment.as_str()), ("prices.yaml", prices.as_str())];
        let commit = world.commit(&format!("price {number}"), &files);
        world.wait_for("live", &commit);
    };
    deploy(1);
    logs.wait_for(&world, 1);
    let branches = logs.run("git", &["--git-dir=log.git", "for-each-ref", "--format=%(refname)"]);
    let branch = branches.trim();
    assert!(branch.ends_with(&format!("/{}/0", world.name)), "{branches}");
    let tree = logs.run("git", &["--git-dir=log.git", "rev-parse", &format!("{branch}^{{tree}}")]);
    let foreign =
        logs.run("git", &["--git-dir=log.git", "commit-tree", tree.trim(), "-p", branch, "-m", "mine"]);
    logs.run("git", &["--git-dir=log.git", "update-ref", branch, foreign.trim()]);
    deploy(2);
    let next = format!("{}1", branch.strip_suffix('0').unwrap());
    eventually("the log goes on", || {
        let branches = logs.run("git", &["--git-dir=log.git", "for-each-ref", "--format=%(refname)"]);
        check(branches.lines().any(|branch| branch == next), branches)
    });
    let found = logs.run("git", &["--git-dir=log.git", "rev-parse", branch]);
    assert_eq!(found, foreign, "what somebody wrote is not forced over");
    let records = logs.wait_for(&world, 3);
    assert_eq!(kinds(&records), ["deploy succeeded", "deploy succeeded", "config succeeded"]);
    let alarm = records[2]["reason"].as_str().unwrap();
    assert!(alarm.contains("is not as it was left"), "{alarm}");
    assert!(daemon.log().contains("is not as it was left"), "{}", daemon.log());
    let shown = eventually("status tells of it", || {
        let status = world.status();
        check(status["problems"].to_string().contains("E0507"), format!("{status:#}"))?;
        Ok(status)
    });
    assert_eq!(shown["state"], "live", "it holds nothing up: {shown:#}");
    crate::schema::assert_valid("record", &shown);
}
