//! A daemon that writes a log: its cache, its key, its remote. And the repository that it pushes to, with others who may write there.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gix::ObjectId;
use tempfile::TempDir;
use tidegate::ledger::{
    Adopted, Answer, Checked, GitRemote, Local, LocalError, LogName, Pen, RemoteConfig, RemoteError, Store,
    check,
};
use tidegate::source::{Credentials, SourceUrl};
use tidegate_core::ids::Digest;
use tidegate_core::ledger::{Branch, Fingerprint, Outcome, RecordId, Trust};

use crate::scene::{Key, Scene, git, make_key, succeed};

/// A bare repository that is pushed to.
pub struct Bare {
    folder: TempDir,
}

impl Bare {
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        succeed(git(folder.path(), &["init", "--quiet", "--bare", "origin.git"]));
        let bare = Self { folder };
        bare.git(&["config", "http.receivepack", "true"]);
        bare
    }

    pub fn parent(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("origin.git")
    }

    pub fn url(&self) -> String {
        self.path().display().to_string()
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        succeed(git(&self.path(), arguments)).trim().to_owned()
    }

    /// Where a branch is.
    pub fn tip(&self, branch: &Branch) -> Option<ObjectId> {
        let listed = self.git(&["for-each-ref", "--format=%(objectname)", &format!("refs/heads/{branch}")]);
        ObjectId::from_hex(listed.as_bytes()).ok()
    }

    /// Somebody with the rights to do so moves a branch, or takes it away.
    pub fn point(&self, branch: &Branch, to: Option<ObjectId>) {
        let name = format!("refs/heads/{branch}");
        match to {
            Some(to) => self.git(&["update-ref", &name, &to.to_string()]),
            None => self.git(&["update-ref", "-d", &name]),
        };
    }

    /// Somebody's commit on top of a branch, or the first of one.
    pub fn theirs(&self, branch: &Branch) -> ObjectId {
        let parent = self.tip(branch).map(|tip| tip.to_string());
        let empty = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        self.git(&["hash-object", "-t", "tree", "-w", "/dev/null"]);
        let mut arguments =
            vec!["-c", "user.name=x", "-c", "user.email=x@example", "commit-tree", "-m", "theirs"];
        if let Some(parent) = &parent {
            arguments.extend(["-p", parent]);
        }
        arguments.push(empty);
        let id = ObjectId::from_hex(self.git(&arguments).as_bytes()).expect("an id");
        self.point(branch, Some(id));
        id
    }

    /// What runs at a push, as a shell's script; none: nothing does.
    pub fn hook(&self, name: &str, script: Option<&str>) {
        let file = self.path().join("hooks").join(name);
        let _ = std::fs::remove_file(&file);
        if let Some(script) = script {
            program(&file, script);
        }
    }

    /// The log of an environment as an auditor finds it.
    pub fn check(&self, log: &LogName, keys: BTreeSet<Fingerprint>) -> Checked {
        let store = Store::open(&self.path()).expect("a repository");
        let logs = store.logs().expect("branches");
        let found = logs.iter().find(|found| log.has(&found.branch)).expect("the log");
        check(&store, found, Trust::Keys(keys), &[]).expect("readable").expect("whole")
    }
}

/// Writes a program for the shell.
pub fn program(file: &Path, script: &str) {
    std::fs::write(file, format!("#!/bin/sh\n{script}\n")).expect("written");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).expect("a file of ours");
}

/// A daemon at its work.
pub struct Desk {
    pub cache: TempDir,
    pub key: Key,
    pub remote: GitRemote,
    pub url: SourceUrl,
    pub log: LogName,
}

impl Desk {
    /// One that pushes to a URL.
    pub fn new(url: &str) -> Self {
        Self::with(url, |_| {})
    }

    pub fn with(url: &str, change: impl FnOnce(&mut RemoteConfig)) -> Self {
        let cache = TempDir::new().expect("a folder");
        let key = make_key(cache.path(), "daemon");
        let url: SourceUrl = url.parse().expect("a URL");
        let mut config = RemoteConfig::new(url.clone(), Credentials::default());
        // What a busy machine keeps; tests of silence set shorter ones.
        config.limits.ask_deadline = Duration::from_mins(2);
        change(&mut config);
        Self { cache, key, remote: GitRemote::new(config), url, log: log("prod") }
    }

    /// The same daemon with an empty disk, or another one with the same key.
    pub fn elsewhere(&self) -> Self {
        let cache = TempDir::new().expect("a folder");
        let private = std::fs::read_to_string(&self.key.file).expect("a key");
        let signing = tidegate::ledger::SigningKey::read(&private).expect("a key");
        let key = Key { signing, public: self.key.public.clone(), file: self.key.file.clone() };
        Self { cache, key, remote: self.remote.clone(), url: self.url.clone(), log: self.log.clone() }
    }

    pub fn keys(&self) -> BTreeSet<Fingerprint> {
        BTreeSet::from([self.key.signing.fingerprint()])
    }

    pub fn branch(&self, epoch: u32) -> Branch {
        self.log.branch(epoch)
    }

    pub fn open(&self) -> Local {
        Local::open(self.cache.path(), &self.url, self.log.clone()).expect("the folder is free")
    }

    pub async fn adopt(&self, local: &mut Local) -> Adopted {
        local.adopt(&self.remote, &self.keys(), None).await.expect("the remote answers")
    }

    /// Opens, takes the log from the remote, and takes the pen.
    pub async fn begin(&self) -> (Local, Pen) {
        let mut local = self.open();
        let adopted = self.adopt(&mut local).await;
        let pen = local.pen(&adopted, Scene::cluster()).expect("the end of the log");
        (local, pen)
    }

    pub fn append(&self, local: &Local, pen: &mut Pen, outcomes: &[Outcome]) -> Vec<ObjectId> {
        let store = local.store().expect("a repository");
        let one = |outcome: &Outcome| {
            let text = format!("{}{:?}", serde_json::to_string(outcome).expect("JSON"), pen.tip());
            let digest = Digest::of(text.as_bytes());
            let random = digest.as_str().as_bytes()[..10].try_into().expect("ten bytes");
            let id = RecordId::new(outcome.times.finished, random);
            assert!(!pen.holds(&id));
            let written = pen.append(&store, &self.key.signing, id, outcome.clone()).expect("a record");
            assert!(pen.holds(&id));
            written.commit
        };
        outcomes.iter().map(one).collect()
    }

    /// Pushes what the pen wrote.
    pub async fn push(&self, local: &mut Local, pen: &Pen) -> Result<Answer, RemoteError> {
        match local.push(&self.remote, pen.branch()).await {
            Ok(answer) => Ok(answer),
            Err(LocalError::Remote(error)) => Err(error),
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Begins, writes records and pushes them.
    pub async fn written(&self, outcomes: &[Outcome]) -> (Local, Pen, Vec<ObjectId>) {
        let (mut local, mut pen) = self.begin().await;
        let commits = self.append(&local, &mut pen, outcomes);
        assert_eq!(self.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
        (local, pen, commits)
    }
}

pub fn log(environment: &str) -> LogName {
    let environment = environment.parse().expect("a name");
    LogName { cluster: "prod-eks".parse().expect("a name"), environment }
}

/// Waits until a file is there, and gives what it says.
pub async fn appears(file: &Path) -> String {
    for _ in 0..1_200 {
        match std::fs::read_to_string(file) {
            Ok(text) if !text.is_empty() => return text,
            Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("there is no {}", file.display());
}

/// Waits until a process is gone.
pub async fn ends(pid: &str) {
    let is_running = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
    };
    for _ in 0..200 {
        if !is_running() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the process {pid} runs on");
}
