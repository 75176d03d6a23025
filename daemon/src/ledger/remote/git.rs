//! A remote that the `git` program fetches from and pushes to: https, ssh, or a folder of this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gix::ObjectId;
use gix::objs::{CommitRefIter, Kind, TreeRefIter};
use tidegate_core::ledger::Branch;

use super::program::{Git, Said};
use super::words::{self, Told};
use super::{Answer, Push, Remote, RemoteConfig, RemoteError, TRACKED, Tips};
use crate::ledger::name::LogName;
use crate::ledger::store::{Store, StoreError};

/// How often the pack that is coming in is measured.
const MEASURE_STEP: Duration = Duration::from_millis(250);
/// No push has more commits: more records than any log.
const MAX_COMMITS: usize = 10_000_000;
/// Folders inside folders of a log's tree, at most (`state/NAMESPACE/`).
const MAX_DEPTH: usize = 4;

/// A remote reached with the `git` program.
#[derive(Debug, Clone)]
pub struct GitRemote {
    config: RemoteConfig,
    program: Option<PathBuf>,
}

impl GitRemote {
    /// Reached with the `git` that is in `PATH` when it is needed.
    pub fn new(config: RemoteConfig) -> Self {
        Self { config, program: None }
    }

    /// Reached with this program.
    #[must_use]
    pub fn with_program(self, program: PathBuf) -> Self {
        Self { program: Some(program), ..self }
    }

    fn git<'a>(&'a self, folder: &'a Path) -> Git<'a> {
        Git { config: &self.config, program: self.program.as_deref(), folder }
    }

    /// Where the remote has a branch.
    async fn ask(&self, folder: &Path, branch: &Branch) -> Result<Option<ObjectId>, RemoteError> {
        let (git, name) = (self.git(folder), head(branch));
        let mut arguments = words(&["ls-remote", "--"]);
        arguments.extend([self.config.url.for_git(), name.clone().into()]);
        let said = git.run(arguments, self.config.limits.ask_deadline).await?;
        if said.is_success { Ok(words::tip(&said.output, &name)) } else { Err(git.failure(&said)) }
    }

    /// What a push that did not move the branch comes to. Only the remote knows: the branch may have been moved by somebody else, by
    /// an earlier push of ours, or not at all, and git's words for these differ between servers.
    async fn judge(&self, folder: &Path, push: &Push, said: &Said) -> Result<Answer, RemoteError> {
        let told = words::told(&said.output, &head(&push.branch));
        let failure = || self.git(folder).failure(said);
        if told.is_none() && words::is_denied(&said.complaints) {
            return Err(failure());
        }
        let found = self.ask(folder, &push.branch).await.map_err(|error| match &told {
            // Why the push failed says more than why the question after it did.
            None => failure(),
            Some(_) => error,
        })?;
        if found == Some(push.tip) {
            return Ok(Answer::Pushed);
        }
        if found != push.expected {
            return Ok(Answer::Moved { found });
        }
        // It stands where it was expected. Commits that are damaged here look like trouble there: all of them are read then, which is
        // not worth while for a hook's word.
        let is_unpacking =
            |told: &Told| matches!(told, Told::Rejected(summary) if summary.contains("unpack"));
        if told.as_ref().is_none_or(is_unpacking) {
            check_readable(folder.to_owned(), push.clone()).await?;
        }
        match told {
            Some(Told::Rejected(summary)) => {
                let words = words::of_remote(&said.complaints);
                let reason = if words.is_empty() { summary } else { format!("{summary}: {words}") };
                Ok(Answer::Refused { reason: said.shown(&reason) })
            }
            Some(Told::Moved) | None => Err(failure()),
        }
    }
}

impl Remote for GitRemote {
    async fn fetch(&self, folder: &Path, log: &LogName) -> Result<Tips, RemoteError> {
        let limits = &self.config.limits;
        let git = self.git(folder);
        let mut arguments = words(&[
            "fetch",
            "--quiet",
            "--no-tags",
            // What the remote has no longer must not be taken for what it has.
            "--prune",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--",
        ]);
        // With `+`: what stands there now is what is asked, rewound or not. Own branches are elsewhere.
        arguments.extend([self.config.url.for_git(), format!("+refs/heads/{log}/*:{TRACKED}{log}/*").into()]);
        let said = tokio::select! {
            said = git.run(arguments, limits.fetch_deadline) => said?,
            () = outgrown(folder, limits.fetch_bytes) => {
                return Err(git.unreachable(format!("it sent more than {} bytes", limits.fetch_bytes)));
            }
        };
        if !said.is_success {
            return Err(git.failure(&said));
        }
        let (folder, log) = (folder.to_owned(), log.clone());
        blocking(move || tracked(&folder, &log)).await?.map_err(RemoteError::Damaged)
    }

    async fn push(&self, folder: &Path, push: &Push) -> Result<Answer, RemoteError> {
        check_above(folder.to_owned(), push.clone()).await?;
        let name = head(&push.branch);
        let mut arguments = words(&[
            "push",
            "--porcelain",
            "--no-progress",
            // No hook of this machine has a say.
            "--no-verify",
            "--no-signed",
            "--no-follow-tags",
            "--recurse-submodules=no",
        ]);
        // Without the lease, a branch that was moved back or taken away would be put where it was, and nobody told. The lease alone
        // would let go of whatever is not below the tip: hence the check above. Not `--atomic`: there is one ref, and servers that
        // cannot do it refuse.
        let expected = push.expected.map(|id| id.to_string()).unwrap_or_default();
        arguments.push(format!("--force-with-lease={name}:{expected}").into());
        arguments.push("--".into());
        arguments.extend([self.config.url.for_git(), format!("{}:{name}", push.tip).into()]);
        let said = self.git(folder).run(arguments, self.config.limits.push_deadline).await?;
        match words::told(&said.output, &name) {
            // Also where it was there already: an earlier answer was lost.
            Some(Told::Moved) if said.is_success => Ok(Answer::Pushed),
            Some(_) | None => self.judge(folder, push, &said).await,
        }
    }
}

fn head(branch: &Branch) -> String {
    format!("refs/heads/{branch}")
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// Runs what reads the disk beside the tasks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RemoteError> {
    let failed = |error: tokio::task::JoinError| RemoteError::Local {
        what: "the local repository".to_owned(),
        reason: error.to_string(),
    };
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

/// The branches of a log as they were fetched.
fn tracked(folder: &Path, log: &LogName) -> Result<Tips, StoreError> {
    // There is one remote only; names of remotes stand in front of the branches'.
    let branches = Store::open(folder)?.branches("refs/remotes/")?;
    Ok(branches
        .into_iter()
        .filter(|(branch, _)| log.has(branch))
        .map(|(branch, id)| (branch.epoch, id))
        .collect())
}

/// Returns when the packs that are coming in have grown beyond a number of bytes.
async fn outgrown(folder: &Path, most: u64) {
    let packs = folder.join("objects/pack");
    loop {
        tokio::time::sleep(MEASURE_STEP).await;
        let Ok(entries) = std::fs::read_dir(&packs) else { continue };
        let coming =
            entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"tmp_"));
        let bytes: u64 = coming.filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).sum();
        if bytes > most {
            return;
        }
    }
}

/// The tip holds the commit that the branch is expected at.
async fn check_above(folder: PathBuf, push: Push) -> Result<(), RemoteError> {
    let Push { branch, tip, expected } = push;
    let Some(expected) = expected.filter(|expected| *expected != tip) else { return Ok(()) };
    let commits =
        blocking(move || Store::open(&folder).and_then(|store| above(&store, tip, Some(expected)))).await?;
    match commits.map_err(RemoteError::Damaged)? {
        Some(_) => Ok(()),
        None => Err(RemoteError::NotAbove { branch, tip, expected }),
    }
}

/// All that is to be pushed can be read.
async fn check_readable(folder: PathBuf, push: Push) -> Result<(), RemoteError> {
    let Push { tip, expected, .. } = push;
    let read = move || {
        let store = Store::open(&folder)?;
        for commit in above(&store, tip, expected)?.unwrap_or_default() {
            let raw = store.object(commit, Kind::Commit)?;
            if let Ok(tree) = CommitRefIter::from_bytes(&raw, commit.kind()).tree_id() {
                check_tree(&store, tree, MAX_DEPTH)?;
            }
        }
        Ok(())
    };
    blocking(read).await?.map_err(RemoteError::Damaged)
}

fn check_tree(store: &Store, tree: ObjectId, depth: usize) -> Result<(), StoreError> {
    let raw = store.object(tree, Kind::Tree)?;
    for entry in TreeRefIter::from_bytes(&raw, tree.kind()).filter_map(Result::ok) {
        if !entry.mode.is_tree() {
            store.object(entry.oid.to_owned(), Kind::Blob)?;
        } else if depth > 0 {
            check_tree(store, entry.oid.to_owned(), depth - 1)?;
        }
    }
    Ok(())
}

/// The commits from a tip down to another one, which is not among them, or to the first; none where the other is not below the tip.
fn above(store: &Store, tip: ObjectId, below: Option<ObjectId>) -> Result<Option<Vec<ObjectId>>, StoreError> {
    let mut commits = Vec::new();
    let mut next = Some(tip);
    while let Some(id) = next.filter(|id| Some(*id) != below) {
        if commits.len() >= MAX_COMMITS {
            return Err(StoreError::Limit(format!("there are more than {MAX_COMMITS} commits to push")));
        }
        let raw = store.object(id, Kind::Commit)?;
        next = CommitRefIter::from_bytes(&raw, id.kind()).parent_ids().next();
        commits.push(id);
    }
    Ok((next == below).then_some(commits))
}
