//! The source on the real thing: `git http-backend`, `sshd` and files of this machine, all on loopback.
//!
//! One binary for all of them, because linking it is most of the work.

// Helpers of tests may panic as tests may; noise is made by cutting numbers short.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::result_large_err,
    clippy::cast_possible_truncation
)]

#[path = "support/git_repo.rs"]
mod git_repo;
#[path = "support/git_server.rs"]
mod git_server;
#[path = "support/ssh_server.rs"]
mod ssh_server;
#[path = "support/tls_front.rs"]
mod tls_front;

#[path = "source_git/again.rs"]
mod again;
#[path = "source_git/cache.rs"]
mod cache;
#[path = "source_git/carriers.rs"]
mod carriers;
#[path = "source_git/hostile.rs"]
mod hostile;
#[path = "source_git/moves.rs"]
mod moves;
#[path = "source_git/reading.rs"]
mod reading;
#[path = "source_git/running.rs"]
mod running;

use std::sync::Arc;
use std::time::Duration;

use tidegate::source::{Mirror, PollResult, SourceConfig, SourceError, SourceUrl};
use tidegate_core::ids::CommitId;
use tokio_util::sync::CancellationToken;

/// A configuration with its own cache, and deadlines that a busy machine keeps; tests of silence set shorter ones.
fn config(url: &str, cache: &tempfile::TempDir) -> SourceConfig {
    let url: SourceUrl = url.parse().expect("a URL");
    let mut config = SourceConfig::new(url, cache.path());
    config.limits.poll_deadline = Duration::from_mins(1);
    config.limits.fetch_deadline = Duration::from_mins(1);
    config
}

fn mirror(config: SourceConfig) -> Arc<Mirror> {
    Arc::new(Mirror::new(config, CancellationToken::new()))
}

/// A mirror of a repository of this machine.
fn local(repo: &git_repo::GitRepo, cache: &tempfile::TempDir) -> Arc<Mirror> {
    mirror(config(repo.origin().to_str().expect("a path"), cache))
}

/// Runs blocking work where the daemon runs it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

async fn poll(mirror: &Arc<Mirror>) -> Result<PollResult, SourceError> {
    let mirror = Arc::clone(mirror);
    blocking(move || mirror.poll()).await
}

async fn head(mirror: &Arc<Mirror>) -> String {
    poll(mirror).await.expect("polled").head.commit.to_string()
}

fn id(text: &str) -> CommitId {
    text.parse().expect("a commit's id")
}
