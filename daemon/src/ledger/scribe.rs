//! Brings what waits in the queue into git: one task for each environment and cluster, for as long as this daemon has it.
//!
//! Nothing waits for it. What a remote does not take stays in the queue, in its order, and is tried again; what is in git is taken out
//! of the queue only then, so a kill at any moment writes nothing twice (ids are known) and loses nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tidegate_core::ledger::{
    Branch, ClusterName, Entry, Fingerprint, Kind, Outcome, RecordId, Result as Ended,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::key::SigningKey;
use super::local::{Adopted, LOOSE, Local, LocalError};
use super::name::LogName;
use super::pen::Pen;
use super::recorder::Recorder;
use super::remote::{Answer, Remote};
use super::store::{Store, StoreError};
use crate::cluster::call::CallError;
use crate::source::SourceUrl;

/// So many records are written before they are pushed together.
const BATCH: usize = 256;
/// Records that come this close together are pushed together.
const TOGETHER: Duration = Duration::from_millis(200);
/// After a failure; doubled up to the cap.
const RETRY: Duration = Duration::from_secs(1);
/// Longest pause after failures: a remote that is back is used this soon.
const RETRY_CAP: Duration = Duration::from_secs(30);
/// With nothing to do, the queue is looked at this often.
const AT_REST: Duration = Duration::from_mins(10);

/// How the log of one environment stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Outcomes that are not in git yet.
    pub waiting: usize,
    /// Since when the oldest of them waits.
    pub since: Option<Timestamp>,
    /// Why they are not, in words.
    pub trouble: Option<String>,
    /// Somebody else wrote on a branch of the log, in words; stays until the daemon is started again.
    pub alarm: Option<String>,
    /// The last commit that the remote took.
    pub tip: Option<String>,
}

/// What a scribe writes with.
#[derive(Clone)]
pub struct Desk {
    /// The daemon's cache folder.
    pub cache: PathBuf,
    /// Where the log is pushed to.
    pub url: SourceUrl,
    /// The daemon's key.
    pub key: Arc<SigningKey>,
    /// The keys that its own records may be signed by: its own, and former ones.
    pub keys: BTreeSet<Fingerprint>,
}

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the log's remote does not take it: {0}")]
    Refused(String),
    #[error(transparent)]
    Cluster(#[from] CallError),
    #[error("a task ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Brings one environment's records into git.
pub struct Scribe<R> {
    recorder: Recorder,
    remote: R,
    desk: Desk,
    log: LogName,
    cluster: ClusterName,
    state: watch::Sender<Pushed>,
    local: Option<Local>,
    /// None until it is known where the log goes on.
    pen: Option<Pen>,
    /// The epoch that was begun because of somebody else, and was said.
    alarmed: Option<Branch>,
}

impl<R: Remote> Scribe<R> {
    /// One that has not begun.
    pub fn new(recorder: Recorder, remote: R, desk: Desk, log: LogName, cluster: ClusterName) -> Self {
        let state = watch::Sender::default();
        Self { recorder, remote, desk, log, cluster, state, local: None, pen: None, alarmed: None }
    }

    /// How it stands, and word of every change.
    pub fn state(&self) -> watch::Receiver<Pushed> {
        self.state.subscribe()
    }

    /// Writes and pushes until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut failures: u32 = 0;
        loop {
            let round = tokio::select! {
                () = shutdown.cancelled() => return,
                round = self.round() => round,
            };
            let pause = match round {
                Ok(true) => Duration::ZERO,
                Ok(false) => AT_REST,
                Err(trouble) => {
                    failures = failures.saturating_add(1);
                    self.fails(&trouble);
                    RETRY.saturating_mul(1 << failures.min(6)).min(RETRY_CAP)
                }
            };
            if pause == AT_REST || pause.is_zero() {
                failures = 0;
            }
            self.look().await;
            let recorder = self.recorder.clone();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = recorder.changed(), if failures == 0 => tokio::time::sleep(TOGETHER).await,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One batch. True when something was pushed, and more may wait.
    async fn round(&mut self) -> Result<bool, Trouble> {
        if self.recorder.waiting().await.is_empty() {
            return Ok(false);
        }
        self.take_pen().await?;
        // Read again: taking the pen may have put something there.
        let mut waiting = self.recorder.waiting().await;
        waiting.truncate(BATCH);
        let ids: Vec<RecordId> = waiting.iter().map(|entry| entry.id).collect();
        let branch = self.append(waiting).await?;
        let (Some(local), Some(branch)) = (&mut self.local, branch) else { return Ok(false) };
        match local.push(&self.remote, &branch).await? {
            Answer::Pushed => {}
            Answer::Moved { found } => {
                let found = found.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
                tracing::warn!(log = %self.log, %found, "the log's branch is not where it was left");
                self.pen = None;
                return Ok(true);
            }
            Answer::Refused { reason } => return Err(Trouble::Refused(reason)),
        }
        if local.store()?.own(&branch)?.is_none() {
            // Everything was written before, on a branch that is left: it is not where anybody looks until a record stands here.
            return Err(Trouble::Refused(format!("nothing stands on {branch} yet")));
        }
        local.tend(LOOSE).await?;
        self.recorder.pushed(&ids).await?;
        let tip = self.pen.as_ref().and_then(Pen::tip).map(|tip| tip.to_string());
        self.state.send_if_modified(|state| {
            let is_news = state.tip != tip || state.trouble.is_some();
            (state.tip, state.trouble) = (tip, None);
            is_news
        });
        Ok(true)
    }

    /// Finds out where the log goes on, unless that is known.
    async fn take_pen(&mut self) -> Result<(), Trouble> {
        if self.pen.is_some() {
            return Ok(());
        }
        if self.local.is_none() {
            let (cache, url, log) = (self.desk.cache.clone(), self.desk.url.clone(), self.log.clone());
            let opened = tokio::task::spawn_blocking(move || Local::open(&cache, &url, log)).await?;
            self.local = Some(opened?);
        }
        let Some(local) = &mut self.local else { return Ok(()) };
        let adopted = local.adopt(&self.remote, &self.desk.keys, None).await?;
        if let Adopted::Foreign { branch, found, next, reason } = &adopted {
            let found = found.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
            let alarm = format!(
                "{branch} of the deploy log is not as it was left ({reason}; found: {found}); records go on to {next}"
            );
            self.pen = Some(local.pen(&adopted, self.cluster.clone())?);
            return self.alarm(next, alarm).await;
        }
        self.pen = Some(local.pen(&adopted, self.cluster.clone())?);
        Ok(())
    }

    /// Says once for each further epoch that somebody else wrote on the one before, in the log itself too. Its record also is what the
    /// new branch begins with, and what takes along the records that were written on the old one and not pushed.
    async fn alarm(&mut self, next: &Branch, alarm: String) -> Result<(), Trouble> {
        if self.alarmed.replace(next.clone()).as_ref() == Some(next) {
            return Ok(());
        }
        tracing::error!(environment = %self.recorder.environment(), "{alarm}");
        let now = Timestamp::now();
        let mut outcome = Outcome::begun(Kind::Config, self.recorder.actor(), now, &alarm);
        outcome.result = Ended::Succeeded;
        outcome.times.started = None;
        self.state.send_modify(|state| state.alarm = Some(alarm));
        Box::pin(self.recorder.put(outcome)).await?;
        Ok(())
    }

    /// Writes what is not written yet; the branch that it stands on.
    async fn append(&mut self, waiting: Vec<Entry>) -> Result<Option<Branch>, Trouble> {
        let (Some(mut pen), Some(local)) = (self.pen.take(), &self.local) else { return Ok(None) };
        let (folder, key) = (local.folder().to_owned(), self.desk.key.clone());
        let written = tokio::task::spawn_blocking(move || {
            let store = Store::open(&folder)?;
            for entry in waiting {
                if !pen.holds(&entry.id) {
                    let mut outcome = entry.outcome;
                    pen.state().complete(&mut outcome);
                    pen.append(&store, &key, entry.id, outcome)?;
                }
            }
            Ok::<_, StoreError>(pen)
        });
        // After a failure the pen is taken anew, from what stands there.
        let pen = written.await??;
        let branch = pen.branch().clone();
        self.pen = Some(pen);
        Ok(Some(branch))
    }

    fn fails(&mut self, trouble: &Trouble) {
        let words = trouble.to_string();
        let is_news = self.state.borrow().trouble.as_ref() != Some(&words);
        if is_news {
            tracing::error!(
                environment = %self.recorder.environment(), trouble = %chain(trouble),
                "the deploy log is not pushed; deploys go on, and records wait"
            );
            self.state.send_modify(|state| state.trouble = Some(words));
        }
        self.pen = None;
        if let Trouble::Local(LocalError::Store(_)) | Trouble::Store(_) = trouble
            && let Some(local) = &mut self.local
            && let Err(error) = local.rebuild()
        {
            tracing::error!(%error, "the local log cannot be made again");
            self.local = None;
        }
    }

    /// Says how much waits.
    async fn look(&self) {
        let waiting = self.recorder.waiting().await;
        let since = waiting.first().map(|entry| entry.outcome.times.recorded);
        self.state.send_if_modified(|state| {
            let is_news = (state.waiting, state.since) != (waiting.len(), since);
            (state.waiting, state.since) = (waiting.len(), since);
            is_news
        });
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    // Causes of causes end: each error holds its own.
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    text
}
