//! The git repository that the daemon follows. A commit is stored first and published apart, so that a clock can start at
//! the moment at which the branch moves and not with the work of `git` before it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// A bare repository beside the work tree that feeds it.
pub struct Repo {
    folder: TempDir,
}

/// A commit that is stored and not yet the branch's.
pub struct Staged(pub String);

impl Repo {
    /// A repository with one commit and no environment.
    pub fn new() -> Result<Self> {
        let repo = Self { folder: tempfile::tempdir()? };
        git(repo.folder.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "bare.git"])?;
        git(repo.folder.path(), &["clone", "--quiet", "bare.git", "work"])?;
        git(&repo.work(), &["checkout", "--quiet", "-b", "main"])?;
        let staged =
            repo.stage(&[("environments/README.md".to_owned(), "None yet.\n".to_owned())], "begin")?;
        repo.publish(&staged)?;
        Ok(repo)
    }

    /// What the daemon is told to follow.
    pub fn url(&self) -> String {
        self.bare().display().to_string()
    }

    /// Writes the files and stores a commit with them.
    pub fn stage(&self, files: &[(String, String)], subject: &str) -> Result<Staged> {
        for (path, text) in files {
            let path = self.work().join(path);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
        }
        git(&self.work(), &["add", "--all"])?;
        git(&self.work(), &["commit", "--quiet", "--allow-empty", "-m", subject])?;
        git(&self.work(), &["push", "--quiet", "--force", "origin", "HEAD:refs/heads/staged"])?;
        Ok(Staged(self.head()?))
    }

    /// The newest stored commit.
    pub fn head(&self) -> Result<String> {
        Ok(git(&self.work(), &["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// Moves the branch to a stored commit.
    pub fn publish(&self, staged: &Staged) -> Result<()> {
        git(&self.bare(), &["update-ref", "refs/heads/main", &staged.0]).map(drop)
    }

    fn bare(&self) -> PathBuf {
        self.folder.path().join("bare.git")
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    for (name, value) in [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_AUTHOR_NAME", "Bench"),
        ("GIT_AUTHOR_EMAIL", "bench@example.com"),
        ("GIT_COMMITTER_NAME", "Bench"),
        ("GIT_COMMITTER_EMAIL", "bench@example.com"),
    ] {
        command.env(name, value);
    }
    let output = command.current_dir(folder).args(arguments).output().context("failed to run git")?;
    ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
