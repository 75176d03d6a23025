//! The loop that polls a source, and what the rest of the daemon holds of it.
//!
//! The loop takes no hint about what changed: a timer, a webhook, a file watcher all mean "ask now". All blocking work
//! runs on the blocking threads of the runtime.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tidegate_core::ids::CommitId;
use tidegate_core::problem::{Code, Problem};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::config::SourceConfig;
use super::error::SourceError;
use super::folder::{Folder, FolderConfig};
use super::history::Facts;
use super::mirror::{Listing, Mirror, TreeIds};
use super::revision::{CommitInfo, Head, Moved, Partial, Revision, Snapshot};
use super::wake::{Pace, Wake};

/// Where the desired state comes from.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one of it")]
pub enum Origin {
    /// A branch of a git repository.
    Git(SourceConfig),
    /// The uncommitted files of a folder (`--follow`).
    Folder(FolderConfig),
}

/// What is known of the source right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    /// The revision to apply; nothing until the first poll succeeds.
    pub head: Option<SourceHead>,
    /// Why there is nothing newer, when that is not because nothing moved.
    pub trouble: Option<Problem>,
    /// A rewind that waits for someone to accept it, as (last good commit, refused tip).
    pub rewound: Option<(CommitId, CommitId)>,
    /// When the source was asked last.
    pub last_poll: Option<Timestamp>,
    /// When it last gave a usable answer.
    pub last_success: Option<Timestamp>,
    /// What wakes the loop besides its timer.
    pub watching: Watching,
}

/// The revision to apply, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceHead {
    /// The commit or the content of the folder.
    pub revision: Revision,
    /// The branch, for commits.
    pub branch: Option<String>,
    /// The commit's author, times and subject.
    pub info: Option<Arc<CommitInfo>>,
}

/// What wakes the loop besides its timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watching {
    /// Only the timer: the repository is remote.
    Timer,
    /// The operating system tells of changes.
    Files,
    /// Only the timer, although the files are local, because of this.
    TimerBecause(String),
}

/// Starts the loop. A namespace only.
pub struct Source;

impl Source {
    /// Starts polling; it goes on until `shutdown`. Must be called inside a tokio runtime.
    pub fn spawn(origin: Origin, shutdown: CancellationToken) -> SourceHandle {
        let (wake, watching) = Wake::start(&origin);
        let (sender, receiver) = watch::channel(SourceState {
            head: None,
            trouble: None,
            rewound: None,
            last_poll: None,
            last_success: None,
            watching,
        });
        let shared = Arc::new(Shared { reader: Reader::of(origin, &shutdown), poll: wake.poll_now() });
        tokio::spawn(run(Arc::clone(&shared), sender, wake, shutdown));
        SourceHandle { shared, state: receiver }
    }
}

/// What the daemon holds of a running source. Cheap to clone.
#[derive(Clone)]
pub struct SourceHandle {
    shared: Arc<Shared>,
    state: watch::Receiver<SourceState>,
}

struct Shared {
    reader: Reader,
    poll: Arc<Notify>,
}

/// The blocking side.
#[derive(Clone)]
enum Reader {
    Git(Arc<Mirror>),
    Folder(Arc<Folder>),
}

impl Reader {
    fn of(origin: Origin, shutdown: &CancellationToken) -> Self {
        match origin {
            Origin::Git(config) => Self::Git(Arc::new(Mirror::new(config, shutdown.clone()))),
            Origin::Folder(config) => Self::Folder(Arc::new(Folder::new(config))),
        }
    }

    fn pace(&self) -> Pace {
        match self {
            Self::Git(mirror) => {
                Pace { interval: mirror.config().poll_interval, back_off: mirror.config().limits.back_off }
            }
            Self::Folder(folder) => {
                Pace { interval: folder.config().poll_interval, back_off: folder.config().poll_interval }
            }
        }
    }
}

impl SourceHandle {
    /// The state, and word of every change of it.
    pub fn subscribe(&self) -> watch::Receiver<SourceState> {
        self.state.clone()
    }

    /// Asks the source soon (a webhook, `tidegate sync`). Many calls become one poll.
    pub fn poll_now(&self) {
        self.shared.poll.notify_one();
    }

    /// Reads the files at or below these paths; all problems at once.
    pub async fn read(&self, revision: &Revision, paths: Vec<String>) -> Result<Snapshot, Vec<Problem>> {
        self.read_partly(revision, paths).await?.whole()
    }

    /// Reads the files at or below these paths, so that one environment with a symlink in it does not keep the others
    /// from being read. See [`Partial`] for what its problems mean.
    pub async fn read_partly(
        &self,
        revision: &Revision,
        paths: Vec<String>,
    ) -> Result<Partial, Vec<Problem>> {
        let read = match (self.shared.reader.clone(), revision.clone()) {
            (Reader::Git(mirror), Revision::Commit(commit)) => {
                blocking(move || mirror.read_partly(&commit, &paths)).await
            }
            (Reader::Folder(folder), Revision::Folder(digest)) => {
                blocking(move || folder.read_partly(&digest, &paths)).await
            }
            (_, revision) => Err(not_here(&revision)),
        };
        read.unwrap_or_else(|problem| Err(vec![problem]))
    }

    /// The ids of these paths: same ids, same files. A path that does not exist has none.
    pub async fn tree_ids(&self, revision: &Revision, paths: Vec<String>) -> Result<TreeIds, Problem> {
        match (self.shared.reader.clone(), revision.clone()) {
            (Reader::Git(mirror), Revision::Commit(commit)) => {
                blocking(move || mirror.tree_ids(&commit, &paths)).await?
            }
            (Reader::Folder(folder), Revision::Folder(digest)) => {
                blocking(move || folder.tree_ids(&digest, &paths)).await?
            }
            (_, revision) => Err(not_here(&revision)),
        }
    }

    /// The folders directly below a path (the environments), and what could not be one.
    pub async fn folders(&self, revision: &Revision, path: &str) -> Result<Listing, Problem> {
        let path = path.to_owned();
        match (self.shared.reader.clone(), revision.clone()) {
            (Reader::Git(mirror), Revision::Commit(commit)) => {
                blocking(move || mirror.folders(&commit, &path)).await?
            }
            (Reader::Folder(folder), Revision::Folder(digest)) => {
                blocking(move || folder.folders(&digest, &path)).await?
            }
            (_, revision) => Err(not_here(&revision)),
        }
    }

    /// Author, times, subject and parents of a commit.
    pub async fn commit_info(&self, commit: &CommitId) -> Result<CommitInfo, Problem> {
        let commit = commit.clone();
        self.git(move |mirror| mirror.commit_info(&commit)).await
    }

    /// What a commit says of itself: people, message, signature.
    pub async fn commit_facts(&self, commit: &CommitId) -> Result<Facts, Problem> {
        let commit = commit.clone();
        self.git(move |mirror| mirror.commit_facts(&commit)).await
    }

    /// The same of a commit that may not be there: none then, and an error only where it cannot be told.
    pub async fn find_commit_info(&self, commit: &CommitId) -> Result<Option<CommitInfo>, Problem> {
        let commit = commit.clone();
        self.git(move |mirror| mirror.find_commit_info(&commit)).await
    }

    /// The commits on the way from one to another, both left out, oldest first; at most a thousand.
    pub async fn skipped(&self, from: &CommitId, to: &CommitId) -> Result<Vec<CommitId>, Problem> {
        let (from, to) = (from.clone(), to.clone());
        self.git(move |mirror| mirror.skipped(&from, &to)).await
    }

    /// Whether the second commit contains the first. A commit that this mirror does not have is nobody's ancestor.
    pub async fn is_ancestor(&self, ancestor: &CommitId, of: &CommitId) -> Result<bool, Problem> {
        let (ancestor, of) = (ancestor.clone(), of.clone());
        self.git(move |mirror| mirror.contains(&ancestor, &of)).await
    }

    /// The commit that a text names: an id, the beginning of one, `HEAD`, `HEAD~2`.
    pub async fn resolve(&self, text: &str) -> Result<CommitId, Problem> {
        let text = text.to_owned();
        self.git(move |mirror| mirror.resolve(&text)).await
    }

    /// Makes a refused tip the last good commit, and polls at once.
    pub async fn accept_rewind(&self, to: &CommitId) -> Result<Head, Problem> {
        let to = to.clone();
        let head = self.git(move |mirror| mirror.accept_rewind(&to)).await?;
        self.poll_now();
        Ok(head)
    }

    async fn git<T, F>(&self, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&Mirror) -> Result<T, SourceError> + Send + 'static,
    {
        match self.shared.reader.clone() {
            Reader::Git(mirror) => blocking(move || work(&mirror)).await?.map_err(|error| error.problem()),
            Reader::Folder(_) => {
                Err(Problem::error(Code::SourceUnreachable, "a followed folder has no commits")
                    .help("run against a repository (`--repo`) instead of `--follow`"))
            }
        }
    }
}

fn not_here(revision: &Revision) -> Problem {
    Problem::error(Code::SourceUnreachable, format!("this source has no revision {revision}"))
        .help("commits are read from repositories, uncommitted files from followed folders")
}

/// Runs blocking work; a panic in it (a hostile pack, a bug) is a problem of this one call.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        let what = if error.is_panic() { "crashed" } else { "was stopped" };
        Problem::error(Code::SourceUnreachable, format!("reading the source {what}")).help(
            "the last good commit stays; look at the log, and report a crash with the repository's name",
        )
    })
}

/// Polls until shutdown.
async fn run(
    shared: Arc<Shared>,
    state: watch::Sender<SourceState>,
    mut wake: Wake,
    shutdown: CancellationToken,
) {
    let mut failures: u32 = 0;
    loop {
        let before = state.borrow().head.clone();
        let reader = shared.reader.clone();
        let polled = tokio::select! {
            () = shutdown.cancelled() => return,
            polled = blocking(move || poll(&reader, before)) => polled.unwrap_or_else(Polled::failed),
        };
        failures = if polled.usable { 0 } else { failures.saturating_add(1) };
        publish(&state, polled);
        let pause: Duration = shared.reader.pace().pause(failures);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = wake.wait(pause, failures) => {}
        }
    }
}

/// What one poll brought.
struct Polled {
    head: Option<SourceHead>,
    trouble: Option<Problem>,
    rewound: Option<(CommitId, CommitId)>,
    usable: bool,
}

impl Polled {
    fn failed(problem: Problem) -> Self {
        Self { head: None, trouble: Some(problem), rewound: None, usable: false }
    }

    fn good(head: SourceHead) -> Self {
        Self { head: Some(head), trouble: None, rewound: None, usable: true }
    }
}

fn poll(reader: &Reader, before: Option<SourceHead>) -> Polled {
    match reader {
        Reader::Folder(folder) => match folder.scan() {
            Ok(digest) => {
                Polled::good(SourceHead { revision: Revision::Folder(digest), branch: None, info: None })
            }
            Err(problem) => Polled::failed(problem),
        },
        Reader::Git(mirror) => match mirror.poll() {
            Ok(result) => {
                let rewound = match result.moved {
                    Moved::Rewound { from, to } => Some((from, to)),
                    Moved::Unchanged | Moved::Forward { .. } => None,
                };
                let mut polled = Polled::good(described(mirror, result.head, before));
                if let Some((from, to)) = rewound {
                    polled.trouble = Some(mirror.rewound(&from, &to).problem());
                    polled.rewound = Some((from, to));
                }
                polled
            }
            // After a restart without network, the last good commit of the cache is still one.
            Err(error) => {
                let head = mirror.last_good().ok().flatten().map(|head| described(mirror, head, before));
                Polled { head, ..Polled::failed(error.problem()) }
            }
        },
    }
}

fn described(mirror: &Mirror, head: Head, before: Option<SourceHead>) -> SourceHead {
    let revision = Revision::Commit(head.commit.clone());
    let info = match before {
        Some(before) if before.revision == revision && before.info.is_some() => before.info,
        _ => mirror.commit_info(&head.commit).ok().map(Arc::new),
    };
    SourceHead { revision, branch: Some(head.branch), info }
}

fn publish(state: &watch::Sender<SourceState>, polled: Polled) {
    let now = Timestamp::now();
    let Polled { head, trouble, rewound, usable } = polled;
    state.send_modify(|state| {
        state.head = head.or_else(|| state.head.take());
        state.rewound = if usable { rewound } else { state.rewound.take() };
        state.trouble = trouble;
        state.last_poll = Some(now);
        if usable {
            state.last_success = Some(now);
        }
    });
}
