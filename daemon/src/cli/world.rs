//! How commands read a repository: the files of a folder as they are, or a commit of a repository.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_core::desired::KnownFiles;
use tidegate_core::problem::Problem;
use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure};
use super::options::{Given, Global};
use super::problems;
use crate::reconcile::read_world;
use crate::source::{
    FolderConfig, Origin, PlainHttp, Revision, Source, SourceConfig, SourceHandle, SourceUrl,
};
use crate::world::World;

/// So many folders upwards are looked at; more than any repository has.
const LEVELS: usize = 20;

/// Reads what an engineer means: `path`, else what the flag `--repo` names, else the files of the folder that we are in or
/// below if it has environments, else what `TIDEGATE_REPO` names.
///
/// A folder with files is read as it is, uncommitted changes included; with `reference`, and for bare repositories and
/// URLs, a commit is read. What the files of a folder stand for is said on stderr.
pub async fn read(global: &Global, path: Option<&Path>, reference: Option<&str>) -> Result<World, Failure> {
    let place = place(global, path);
    let opened = Opened::new(global, &place, reference).await?;
    if let Some(folder) = &opened.folder {
        global.say(&format!("reading the files of {}{}", folder.display(), instead_of(global, path)));
    }
    opened.world(global, reference).await
}

/// Reads the repository that a daemon follows: what `--repo` or `TIDEGATE_REPO` names.
pub async fn read_followed(global: &Global, reference: Option<&str>) -> Result<World, Failure> {
    Opened::followed(global, reference).await?.world(global, reference).await
}

/// The repository or folder that a command means; see [`read`].
pub fn place(global: &Global, path: Option<&Path>) -> String {
    let here = || ".".to_owned();
    match (path, &global.repo, global.repo_given) {
        (Some(path), _, _) => path.display().to_string(),
        (None, None, _) => here(),
        // The variable is there for the daemon's sake; whoever stands among environments means these.
        (None, Some(_), Given::Variable) if root(Path::new(".")).is_some() => here(),
        (None, Some(repo), Given::Variable | Given::Flag | Given::Nowhere) => repo.clone(),
    }
}

fn instead_of(global: &Global, path: Option<&Path>) -> String {
    match (path, &global.repo, global.repo_given) {
        (None, Some(repo), Given::Variable)
            if Path::new(repo).canonicalize().ok() != root(Path::new(".")) =>
        {
            " (TIDEGATE_REPO names another repository; --repo \"$TIDEGATE_REPO\" reads that)".to_owned()
        }
        (_, _, Given::Variable | Given::Flag | Given::Nowhere) => String::new(),
    }
}

/// A repository that a command reads from, for as long as it needs it.
pub struct Opened {
    /// Where the commits or files come from.
    pub source: SourceHandle,
    /// The folder, where its files are read as they are.
    folder: Option<PathBuf>,
    place: String,
    stop: CancellationToken,
    // A mirror for this one command; removed with it.
    _cache: tempfile::TempDir,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Opened {
    /// The repository that a daemon follows.
    pub async fn followed(global: &Global, reference: Option<&str>) -> Result<Self, Failure> {
        Self::new(global, global.repo.as_deref().unwrap_or("."), reference).await
    }

    async fn new(global: &Global, place: &str, reference: Option<&str>) -> Result<Self, Failure> {
        let cache = tempfile::tempdir().map_err(|error| {
            Failure::new(Exit::Usage, format!("failed to make a folder for temporary files: {error}"))
        })?;
        let folder = root(Path::new(place));
        let (origin, folder) = match (folder, reference) {
            (Some(folder), None) => {
                (Origin::Folder(FolderConfig::new(folder.clone(), global.subpath.clone())), Some(folder))
            }
            (Some(folder), Some(_)) => {
                let repository_of_it = repository_around(&folder).unwrap_or(folder).display().to_string();
                (Origin::Git(repository(global, &repository_of_it, cache.path())?), None)
            }
            (None, _) => (Origin::Git(repository(global, place, cache.path())?), None),
        };
        let stop = CancellationToken::new();
        let source = Source::spawn(origin, stop.clone());
        let opened = Self { source, folder, place: place.to_owned(), stop, _cache: cache };
        opened.in_time(global, first_head(&opened.source)).await?;
        Ok(opened)
    }

    /// What it says at a commit; the newest one (or the files) when none is named.
    pub async fn world(&self, global: &Global, reference: Option<&str>) -> Result<World, Failure> {
        let read = async {
            let revision = match reference {
                Some(reference) => {
                    let commit = self.source.resolve(reference).await;
                    Revision::Commit(commit.map_err(|problem| no_such_commit(global, problem))?)
                }
                None => first_head(&self.source).await?,
            };
            self.world_at(global, revision).await
        };
        self.in_time(global, read).await
    }

    async fn world_at(&self, global: &Global, revision: Revision) -> Result<World, Failure> {
        let info = match revision.commit() {
            Some(commit) => self.source.commit_info(commit).await.ok().map(Arc::new),
            None => None,
        };
        let mut known = KnownFiles::default();
        let snapshot = read_world(&self.source, &revision, &mut known).await;
        let snapshot = snapshot.map_err(|all| several(global, &all))?;
        Ok(World::again(revision, info, snapshot, &mut known))
    }

    async fn in_time<T>(
        &self,
        global: &Global,
        read: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(global.timeout, read).await {
            Ok(read) => read,
            Err(_) => Err(Failure::new(Exit::TimedOut, format!("{} could not be read in time", self.place))),
        }
    }
}

/// Says which commit was looked at; the files of a folder need no saying.
pub fn say_revision(global: &Global, world: &World) {
    match &world.revision {
        Revision::Commit(_) => global.say(&format!("at commit {}", world.revision)),
        Revision::Folder(_) => {}
    }
}

/// The settings of a repository that is read by commits.
fn repository(global: &Global, place: &str, cache: &Path) -> Result<SourceConfig, Failure> {
    let url = SourceUrl::parse(place, PlainHttp::LoopbackOnly)
        .map_err(|error| Failure::new(Exit::Usage, format!("--repo: {error}")))?;
    let mut config = SourceConfig::new(url, cache);
    config.subpath.clone_from(&global.subpath);
    config.credentials = super::run::credentials().map_err(|text| Failure::new(Exit::Usage, text))?;
    Ok(config)
}

/// The folder with `environments/` that `path` is, is in, or is below.
pub fn root(path: &Path) -> Option<PathBuf> {
    around(path, |folder| folder.join(crate::world::ENVIRONMENTS).is_dir())
}

/// The work tree that `path` is, or is in.
fn repository_around(path: &Path) -> Option<PathBuf> {
    around(path, |folder| folder.join(".git").exists())
}

fn around(path: &Path, is_it: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    path.ancestors().take(LEVELS).find(|folder| is_it(folder)).map(Path::to_owned)
}

async fn first_head(source: &SourceHandle) -> Result<Revision, Failure> {
    let mut states = source.subscribe();
    loop {
        let state = states.borrow_and_update().clone();
        if let Some(head) = state.head {
            return Ok(head.revision);
        }
        if let Some(problem) = state.trouble {
            return Err(Failure::new(Exit::OutOfReach, problem.to_string()));
        }
        if states.changed().await.is_err() {
            return Err(Failure::new(Exit::OutOfReach, "the repository could not be read"));
        }
    }
}

/// The repository was read, so it is the name that is wrong.
fn no_such_commit(global: &Global, problem: Problem) -> Failure {
    let help = "give a commit that is on the branch; one that is missing is not pushed yet, or was pushed away by force";
    Failure::new(Exit::Invalid, problems::render(&problem.help(help), None, global.error_style()))
}

fn several(global: &Global, all: &[Problem]) -> Failure {
    let style = global.error_style();
    let text: String = all.iter().map(|problem| problems::render(problem, None, style)).collect();
    Failure::new(Exit::Invalid, text)
}
