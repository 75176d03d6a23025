//! A repository to push to, made with the `git` program and no configuration of this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A bare repository and the work tree it is pushed from.
pub struct GitRepo {
    root: tempfile::TempDir,
}

impl GitRepo {
    /// An empty repository with branch `main`.
    pub fn empty() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let repo = Self { root };
        run(repo.root.path(), &["init", "-q", "--bare", "-b", "main", "origin.git"]);
        run(repo.root.path(), &["init", "-q", "-b", "main", "work"]);
        repo.git(&["remote", "add", "origin", repo.origin().to_str().expect("a path")]);
        repo
    }

    /// A repository with one commit.
    pub fn with_one_commit() -> Self {
        let repo = Self::empty();
        repo.commit("environments/dev/environment.yaml", "kind: Environment\n");
        repo
    }

    /// The bare repository.
    pub fn origin(&self) -> PathBuf {
        self.root.path().join("origin.git")
    }

    /// The folder that holds the bare repository.
    pub fn parent(&self) -> &Path {
        self.root.path()
    }

    /// The work tree.
    pub fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// Runs git in the work tree.
    pub fn git(&self, arguments: &[&str]) -> String {
        run(&self.work(), arguments)
    }

    /// Writes a file, commits and pushes; gives the commit's id.
    pub fn commit(&self, path: &str, text: impl AsRef<[u8]>) -> String {
        self.write(path, text);
        self.commit_all(&format!("change {path}"))
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let place = self.work().join(path);
        std::fs::create_dir_all(place.parent().expect("a parent")).expect("made");
        std::fs::write(place, text).expect("written");
    }

    /// Commits everything and pushes; gives the commit's id.
    pub fn commit_all(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["push", "-q", "-f", "origin", "HEAD:main"]);
        self.git(&["rev-parse", "HEAD"])
    }
}

/// Runs git without any configuration of this machine.
pub fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "Ada Example")
        .env("GIT_AUTHOR_EMAIL", "ada@example.org")
        .env("GIT_COMMITTER_NAME", "Ada Example")
        .env("GIT_COMMITTER_EMAIL", "ada@example.org")
        .env("GIT_AUTHOR_DATE", "2026-11-20T10:00:00Z")
        .env("GIT_COMMITTER_DATE", "2026-11-20T11:00:00Z")
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
