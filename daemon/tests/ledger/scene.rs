//! A repository with a log, and keys made by ssh-keygen.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey};
use ssh_key::public::Ed25519PublicKey;
use ssh_key::{LineEnding, PrivateKey};
use tempfile::TempDir;
use tidegate::ledger::{Checked, Inscribed, Pen, SigningKey, Store, check};
use tidegate_core::ledger::{Bad, Branch, ClusterName, Fingerprint, Outcome, RecordId, Result as How, Trust};

/// A key of a folder.
pub struct Key {
    pub signing: SigningKey,
    /// Its public half, as a file has it.
    pub public: String,
    pub file: PathBuf,
}

pub struct Scene {
    pub folder: TempDir,
    pub store: Store,
    pub key: Key,
    pub branch: Branch,
}

impl Scene {
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let bare = folder.path().join("log.git");
        succeed(git(folder.path(), &["init", "--quiet", "--bare", "log.git"]));
        let key = make_key(folder.path(), "daemon");
        let store = Store::open(&bare).expect("a repository");
        Self { store, key, branch: "deploylog/prod-eks/prod/0".parse().expect("a branch"), folder }
    }

    /// One whose key, and with it every id of a commit, is the same each time.
    pub fn with_known_key() -> Self {
        let mut scene = Self::new();
        let file = scene.folder.path().join("known");
        let seed = [7; 32];
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("a key");
        let public = pair.public_key().as_ref().try_into().expect("its length");
        let key = PrivateKey::from(Ed25519Keypair {
            public: Ed25519PublicKey(public),
            private: Ed25519PrivateKey::from_bytes(&seed),
        });
        std::fs::write(&file, key.to_openssh(LineEnding::LF).expect("a text").as_bytes()).expect("a file");
        let public = key.public_key().to_openssh().expect("a text");
        std::fs::write(file.with_extension("pub"), public).expect("a file");
        scene.key = read_key(file);
        scene
    }

    /// One with a log of these outcomes.
    pub fn of(outcomes: &[Outcome]) -> (Self, Vec<Inscribed>) {
        let scene = Self::new();
        let written = scene.write(outcomes);
        (scene, written)
    }

    pub fn bare(&self) -> PathBuf {
        self.folder.path().join("log.git")
    }

    pub fn cluster() -> ClusterName {
        ClusterName { name: "prod-eks".to_owned(), uid: Some("u-1".to_owned()), arn: None }
    }

    pub fn pen(&self) -> Pen {
        Pen::take(&self.store, self.branch.clone(), Self::cluster()).expect("the end of the log")
    }

    pub fn write(&self, outcomes: &[Outcome]) -> Vec<Inscribed> {
        let mut pen = self.pen();
        outcomes.iter().map(|outcome| self.append(&mut pen, outcome)).collect()
    }

    /// The same for a cluster of another name.
    pub fn write_in(&self, cluster: &str, outcomes: &[Outcome]) {
        let cluster = ClusterName { name: cluster.to_owned(), ..Self::cluster() };
        let mut pen = Pen::take(&self.store, self.branch.clone(), cluster).expect("the end of the log");
        for outcome in outcomes {
            self.append(&mut pen, outcome);
        }
    }

    /// Writes one record; ids differ as long as what is told does.
    pub fn append(&self, pen: &mut Pen, outcome: &Outcome) -> Inscribed {
        let text = serde_json::to_string(outcome).expect("JSON");
        let digest = tidegate_core::ids::Digest::of(format!("{text}{:?}", pen.tip()).as_bytes());
        let random = digest.as_str().as_bytes()[..10].try_into().expect("ten bytes");
        let id = RecordId::new(outcome.times.finished, random);
        pen.append(&self.store, &self.key.signing, id, outcome.clone()).expect("a record")
    }

    pub fn trust(&self) -> Trust {
        Trust::Keys(BTreeSet::from([self.key.signing.fingerprint()]))
    }

    pub fn check(&self) -> Result<Checked, Box<Bad>> {
        self.check_with(self.trust(), &[])
    }

    pub fn check_with(&self, trust: Trust, known: &[gix::ObjectId]) -> Result<Checked, Box<Bad>> {
        let logs = self.store.logs().expect("branches");
        let [log] = logs.as_slice() else { panic!("{logs:?}") };
        check(&self.store, log, trust, known).expect("a repository that can be read")
    }

    /// Moves the branch, as somebody with the rights to do so.
    pub fn point(&self, commit: gix::ObjectId) {
        let name = format!("refs/heads/{}", self.branch);
        succeed(git(&self.bare(), &["update-ref", &name, &commit.to_string()]));
    }
}

/// One generated log, the same each time, after which something runs.
pub fn generated(count: usize) -> Vec<Outcome> {
    let mut runner = TestRunner::deterministic();
    let mut draw =
        || tidegate_proptests::ledger::outcomes(count).new_tree(&mut runner).expect("outcomes").current();
    let starts = |outcome: &Outcome| {
        outcome.result == How::Succeeded && outcome.apps.iter().any(|change| change.to.is_some())
    };
    (0..1_000).map(|_| draw()).find(|outcomes| outcomes.iter().any(starts)).expect("one of many")
}

pub fn make_key(folder: &Path, name: &str) -> Key {
    let file = folder.join(name);
    let path = file.to_str().expect("a path");
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path]).output();
    succeed(made.expect("ssh-keygen runs"));
    read_key(file)
}

fn read_key(file: PathBuf) -> Key {
    let private = std::fs::read_to_string(&file).expect("a key");
    let public = std::fs::read_to_string(file.with_extension("pub")).expect("a key");
    Key { signing: SigningKey::read(&private).expect("a key"), public: public.trim().to_owned(), file }
}

pub fn fingerprints(keys: &[&Key]) -> BTreeSet<Fingerprint> {
    keys.iter().map(|key| key.signing.fingerprint()).collect()
}

/// Runs git without anybody's settings.
pub fn git(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("a PATH"));
    command.env("HOME", folder).env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    command.output().expect("git runs")
}

/// What it printed; panics with its complaint where it failed.
pub fn succeed(output: Output) -> String {
    let Output { status, stdout, stderr } = output;
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("UTF-8")
}
