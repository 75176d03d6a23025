//! Word from the operating system that a local repository or a followed folder changed.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use super::handle::Origin;

/// Keeps a watch alive.
pub(super) struct Watcher {
    _watcher: RecommendedWatcher,
}

/// Watches what is local of an origin; nothing when it is remote, a reason when it cannot.
pub(super) fn watch(origin: &Origin, wake: &Arc<Notify>) -> Option<Result<Watcher, String>> {
    match origin {
        Origin::Git(config) => config.url.local_path().map(|path| watch_repository(path, wake)),
        Origin::Folder(config) => Some(watch_folder(&config.path, wake)),
    }
}

/// Branches move in `refs/`, `packed-refs` and `HEAD`; everything else of a repository is none of our business.
fn watch_repository(path: &Path, wake: &Arc<Notify>) -> Result<Watcher, String> {
    let repository =
        gix::open_opts(path, gix::open::Options::isolated()).map_err(|error| error.to_string())?;
    let git = canonical(repository.git_dir())?;
    let common = canonical(repository.common_dir())?;
    let places = [
        (common.join("refs"), RecursiveMode::Recursive),
        (common, RecursiveMode::NonRecursive),
        (git, RecursiveMode::NonRecursive),
    ];
    start(&places, wake, |path| {
        path.extension().is_none_or(|extension| extension != "lock")
            && path
                .components()
                .any(|part| ["refs", "packed-refs", "HEAD"].iter().any(|name| part.as_os_str() == *name))
    })
}

/// Everything below the folder but dot files: those are not read either.
fn watch_folder(path: &Path, wake: &Arc<Notify>) -> Result<Watcher, String> {
    let root = canonical(path)?;
    let places = [(root.clone(), RecursiveMode::Recursive)];
    start(&places, wake, move |path| {
        let inside = path.strip_prefix(&root).unwrap_or(path);
        !inside.components().any(|part| is_hidden(&part))
    })
}

fn is_hidden(part: &Component<'_>) -> bool {
    matches!(part, Component::Normal(name) if name.as_encoded_bytes().starts_with(b"."))
}

fn canonical(path: &Path) -> Result<PathBuf, String> {
    path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))
}

fn start(
    places: &[(PathBuf, RecursiveMode)],
    wake: &Arc<Notify>,
    matters: impl Fn(&Path) -> bool + Send + 'static,
) -> Result<Watcher, String> {
    let wake = Arc::clone(wake);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let rings = match event {
            Ok(event) if event.need_rescan() => true,
            // Reading the files must not wake us to read them again.
            Ok(event) => !event.kind.is_access() && event.paths.iter().any(|path| matters(path)),
            // Something was lost: better one poll too many.
            Err(_) => true,
        };
        if rings {
            wake.notify_one();
        }
    })
    .map_err(|error| error.to_string())?;
    for (path, mode) in places {
        watcher.watch(path, *mode).map_err(|error| error.to_string())?;
    }
    Ok(Watcher { _watcher: watcher })
}
