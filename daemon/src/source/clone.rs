//! A clone as somebody works with it, a bare repository included: read where it is, never written.
//!
//! Not a mirror: nothing is fetched, and what is not in the clone is an error that says how to get it. No program of
//! git runs, and neither the user's nor the machine's configuration is read, so that a commit reads the same everywhere.

use std::path::{Path, PathBuf};

use gix::ObjectId;
use tidegate_core::ids::CommitId;
use tidegate_core::problem::{Code, Problem};

use super::config::Limits;
use super::error::clean;
use super::kept::Kept;
use super::mirror::commit_id;
use super::revision::Partial;
use super::snapshot::{Place, read_files};

/// The longest text that names a commit.
const REVISION_BYTES_MAX: usize = 256;

/// Branches that are taken for the default one when nothing says which it is.
const USUAL: [&str; 4] =
    ["refs/remotes/origin/main", "refs/remotes/origin/master", "refs/heads/main", "refs/heads/master"];

/// A clone on this machine.
pub struct LocalClone {
    repository: gix::Repository,
    limits: Limits,
}

/// A commit and what it was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What it was called, e.g. `origin/main` or `HEAD`.
    pub name: String,
    /// The commit.
    pub commit: CommitId,
}

/// How two commits stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// They are the same.
    Same,
    /// The second one contains the first.
    Forward,
    /// The first one contains the second.
    Backward,
    /// Each has something that the other lacks.
    Diverged,
}

impl LocalClone {
    /// Opens the repository that a path is, or is in.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        let no_clone = || {
            Problem::error(Code::SourceUnreachable, format!("{} is in no git repository", path.display()))
                .help("go into a clone, or name one with --repo; of a URL, make a clone first (`git clone`)")
        };
        let (found, _) = gix::discover::upwards(path).map_err(|_| no_clone())?;
        let (git_dir, _) = found.into_repository_and_work_tree_directories();
        let limits = Limits::default();
        let overrides = [
            format!("gitoxide.objects.allocLimit={}", limits.object_bytes),
            "core.useReplaceRefs=false".to_owned(),
        ];
        let opened = gix::open::Options::isolated()
            .open_path_as_is(true)
            .with(gix::sec::Trust::Full)
            .config_overrides(overrides)
            .open(&git_dir)
            .map_err(|error| {
                let message = format!("failed to open {}: {}", git_dir.display(), clean(&error.to_string()));
                Problem::error(Code::SourceUnreachable, message).help("check it with `git fsck`")
            })?;
        Ok(Self { repository: opened.to_thread_local(), limits })
    }

    /// The folder with the files, unless it is bare.
    pub fn work_tree(&self) -> Option<PathBuf> {
        self.repository.workdir().map(Path::to_owned)
    }

    /// The commit that a text names: a branch, a tag, an id or the beginning of one, `HEAD~2`, `origin/main`.
    pub fn resolve(&self, text: &str) -> Result<Named, Problem> {
        let name = text.trim();
        let plain =
            !name.is_empty() && name.len() <= REVISION_BYTES_MAX && !name.chars().any(char::is_control);
        let found = if plain { self.repository.rev_parse_single(name).ok() } else { None };
        let commit = found.and_then(|id| id.object().ok()?.peel_to_commit().ok().map(|commit| commit.id));
        match commit {
            Some(id) => Ok(Named { name: name.to_owned(), commit: self.id(id)? }),
            None => Err(self.unknown(name)),
        }
    }

    /// What a change on top of the default branch would be compared with: the newest commit that both have.
    pub fn default_base(&self, head: &CommitId) -> Result<Named, Problem> {
        let Some(branch) = self.default_branch() else {
            return Err(Problem::error(
                Code::SourceUnreachable,
                "no default branch is known in this clone, so it is not clear what to compare with",
            )
            .help("name it with --base, e.g. `--base origin/main`"));
        };
        let base = self.merge_base(&branch.commit, head)?;
        let Some(commit) = base else {
            let message = format!("`{}` and {} have no commit in common", branch.name, head.short());
            return Err(self.hint_shallow(Problem::error(Code::SourceUnreachable, message)));
        };
        Ok(Named { commit, ..branch })
    }

    /// The branch that changes are merged to: the remote's HEAD, else the upstream of the branch that we are on when it
    /// has another name, else one of the usual names; in a bare repository its own HEAD.
    pub fn default_branch(&self) -> Option<Named> {
        let remote = self.repository.remote_default_name(gix::remote::Direction::Fetch);
        let remote_head = remote.map(|remote| format!("refs/remotes/{remote}/HEAD"));
        let own = self.repository.is_bare().then(|| "HEAD".to_owned());
        let usual = USUAL.into_iter().map(str::to_owned);
        let names = remote_head.into_iter().chain(self.upstream()).chain(own).chain(usual);
        names.into_iter().find_map(|name| self.branch(&name))
    }

    fn upstream(&self) -> Option<String> {
        let branch = self.repository.head_name().ok().flatten()?;
        let tracked = self
            .repository
            .branch_remote_tracking_ref_name(branch.as_ref(), gix::remote::Direction::Fetch)?
            .ok()?
            .to_string();
        // What was pushed of the branch itself is not what it is merged to.
        let own = branch.shorten().to_string();
        (!tracked.ends_with(&format!("/{own}"))).then_some(tracked)
    }

    fn branch(&self, name: &str) -> Option<Named> {
        let mut reference = self.repository.try_find_reference(name).ok().flatten()?;
        // `origin/HEAD` is called by what it means.
        let target = match reference.target() {
            gix::refs::TargetRef::Symbolic(target) => target.shorten().to_string(),
            gix::refs::TargetRef::Object(_) => reference.name().shorten().to_string(),
        };
        let id = reference.peel_to_id().ok()?.object().ok()?.peel_to_commit().ok()?.id;
        Some(Named { name: target, commit: self.id(id).ok()? })
    }

    /// The newest commit that two others have in common.
    pub fn merge_base(&self, one: &CommitId, other: &CommitId) -> Result<Option<CommitId>, Problem> {
        let (one, other) = (self.object(one)?, self.object(other)?);
        let base = self.repository.merge_base(one, other).map_err(|error| {
            let message = format!("the history could not be read: {}", clean(&error.to_string()));
            self.hint_shallow(Problem::error(Code::SourceUnreachable, message))
        })?;
        base.map(|base| self.id(base.detach())).transpose()
    }

    /// How two commits stand to each other; where the history ends too early to tell, diverged.
    pub fn relation(&self, from: &CommitId, to: &CommitId) -> Relation {
        if from == to {
            return Relation::Same;
        }
        match self.merge_base(from, to) {
            Ok(Some(base)) if base == *from => Relation::Forward,
            Ok(Some(base)) if base == *to => Relation::Backward,
            Ok(_) | Err(_) => Relation::Diverged,
        }
    }

    /// The first parent of a commit; none where the history begins, or was cut off.
    pub fn parent(&self, commit: &CommitId) -> Option<CommitId> {
        let found = self.repository.find_commit(self.object(commit).ok()?).ok()?;
        let parent = found.parent_ids().next()?.detach();
        self.repository.find_commit(parent).ok().and_then(|parent| self.id(parent.id).ok())
    }

    /// The files of a commit at or below these paths of a sub-path.
    pub fn read(&self, commit: &CommitId, subpath: &str, paths: &[String]) -> Result<Partial, Vec<Problem>> {
        let root = self
            .repository
            .find_commit(self.object(commit).map_err(|problem| vec![problem])?)
            .and_then(|commit| Ok(commit.tree_id()?.detach()))
            .map_err(|error| vec![unreadable(&clean(&error.to_string()))])?;
        let place = Place {
            repository: &self.repository,
            root,
            limits: &self.limits,
            unreadable: &unreadable,
            kept: &Kept::default(),
        };
        read_files(&place, subpath, paths)
    }

    fn unknown(&self, name: &str) -> Problem {
        if name.is_empty() {
            return Problem::error(Code::SourceUnreachable, "the name of a commit is empty")
                .help("the variable or command that should have named it gave nothing");
        }
        let message = format!("`{}` names no commit of this clone, or more than one", clean(name));
        let problem = Problem::error(Code::SourceUnreachable, message);
        if self.is_shallow() {
            return self.hint_shallow(problem);
        }
        problem
            .help("`git fetch` brings what the remote has; a short id needs enough digits to be the only one")
    }

    fn is_shallow(&self) -> bool {
        self.repository.is_shallow().unwrap_or(false)
    }

    fn hint_shallow(&self, problem: Problem) -> Problem {
        if !self.is_shallow() {
            return problem.help("name the commit to compare with: --base REF");
        }
        problem.help(
            "the clone is shallow: `git fetch --unshallow origin` brings the rest (in CI: a full checkout, `fetch-depth: 0` or `GIT_DEPTH: 0`)",
        )
    }

    fn object(&self, commit: &CommitId) -> Result<ObjectId, Problem> {
        ObjectId::from_hex(commit.as_str().as_bytes()).map_err(|_| self.unknown(commit.as_str()))
    }

    fn id(&self, id: ObjectId) -> Result<CommitId, Problem> {
        commit_id(id).map_err(|_| self.unknown(&id.to_string()))
    }
}

/// An object that the clone should have.
fn unreadable(reason: &str) -> Problem {
    Problem::error(Code::SourceUnreachable, format!("the clone lacks an object: {reason}"))
        .help("a partial clone does not have all files: `git fetch --refetch --no-filter` brings them; else look with `git fsck`")
}
