//! How commands read a repository: the files of a folder as they are, or a commit of a repository.

use std::path::{Path, PathBuf};

use tidegate_core::problem::Problem;
use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure};
use super::options::Global;
use super::problems;
use crate::reconcile::read_world;
use crate::source::{FolderConfig, Origin, PlainHttp, Revision, Source, SourceConfig, SourceUrl};
use crate::world::World;

/// Reads the repository that `--repo` names (default: the folder that we are in or below).
///
/// A folder with files is read as it is, uncommitted changes included; with `reference`, and for bare repositories and
/// URLs, a commit is read.
pub async fn read(global: &Global, path: Option<&Path>, reference: Option<&str>) -> Result<World, Failure> {
    let place = match (path, &global.repo) {
        (Some(path), _) => path.display().to_string(),
        (None, Some(repo)) => repo.clone(),
        (None, None) => ".".to_owned(),
    };
    let folder = root(Path::new(&place));
    // A mirror for this one command; removed with it.
    let cache = tempfile::tempdir().map_err(|error| {
        Failure::new(Exit::Usage, format!("failed to make a folder for temporary files: {error}"))
    })?;
    let origin = match (folder, reference) {
        (Some(folder), None) => Origin::Folder(FolderConfig::new(folder, global.subpath.clone())),
        (_, _) => Origin::Git(repository(global, &place, cache.path())?),
    };
    let stop = CancellationToken::new();
    let source = Source::spawn(origin, stop.clone());
    let read = async {
        let head = first_head(&source).await?;
        let revision = match reference {
            Some(reference) => {
                let commit = source.resolve(reference).await.map_err(|problem| one(global, &problem))?;
                Revision::Commit(commit)
            }
            None => head,
        };
        let info = match revision.commit() {
            Some(commit) => source.commit_info(commit).await.ok(),
            None => None,
        };
        let snapshot = read_world(&source, &revision).await.map_err(|all| several(global, &all))?;
        Ok(World::new(revision, info, snapshot))
    };
    let world = match tokio::time::timeout(global.timeout, read).await {
        Ok(world) => world,
        Err(_) => Err(Failure::new(Exit::TimedOut, format!("{place} could not be read in time"))),
    };
    stop.cancel();
    world
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
fn root(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    let mut place = Some(path.as_path());
    // Twenty levels are more than any repository has.
    for _ in 0..20 {
        let folder = place?;
        if folder.join(crate::world::ENVIRONMENTS).is_dir() {
            return Some(folder.to_owned());
        }
        place = folder.parent();
    }
    None
}

async fn first_head(source: &crate::source::SourceHandle) -> Result<Revision, Failure> {
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

fn one(global: &Global, problem: &Problem) -> Failure {
    Failure::new(Exit::OutOfReach, problems::render(problem, None, global.error_style()))
}

fn several(global: &Global, all: &[Problem]) -> Failure {
    let style = global.error_style();
    let text: String = all.iter().map(|problem| problems::render(problem, None, style)).collect();
    Failure::new(Exit::Invalid, text)
}
