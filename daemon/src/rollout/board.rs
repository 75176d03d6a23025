//! Where the workloads of one environment stand: written by their lanes, read by the environment's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tidegate_core::rollout::{Phase, WorkloadStatus};
use tokio::sync::Notify;

use super::leaving::Stays;

/// What is known of one workload.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// How it stands; none until it was looked at.
    pub status: Option<WorkloadStatus>,
    /// The commit that was asked for when it was looked at.
    pub commit: String,
    /// What keeps it from going on, in words.
    pub trouble: Option<String>,
    /// What keeps it is about a pass as a whole, and over with the next one that does not meet it.
    pub is_of_pass: bool,
    /// Nothing will change by itself.
    pub is_settled: bool,
    /// It has left git, and stays for this reason.
    pub stays: Option<Stays>,
    /// Services that followed it, have left git, and stay, each for its reason.
    pub followers: BTreeMap<String, Stays>,
    /// Nothing of it is left in the cluster.
    pub is_gone: bool,
}

/// The workloads of one environment, by namespace and name.
#[derive(Clone, Default)]
pub struct Board {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
    changed: Arc<Notify>,
    namespace: String,
}

impl Board {
    /// Wakes `changed` when something changes.
    pub fn new(changed: Arc<Notify>) -> Self {
        Self { changed, ..Self::default() }
    }

    /// The same board, for workloads of a namespace.
    #[must_use]
    pub fn within(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self.clone() }
    }

    fn change(&self, app: &str, change: impl FnOnce(&mut Entry)) {
        let key = key(&self.namespace, app);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(key).or_default();
        let before = entry.clone();
        change(entry);
        let is_news = *entry != before;
        drop(entries);
        if is_news {
            self.changed.notify_one();
        }
    }

    /// How it stands, under this commit.
    pub fn stands(&self, app: &str, status: &WorkloadStatus, commit: &str) {
        self.change(app, |entry| {
            let is_same = entry.status.as_ref().is_some_and(|before| before.phase == status.phase);
            let trouble = entry.trouble.take().filter(|_| is_same);
            let status = Some(status.clone());
            let commit = commit.to_owned();
            *entry = Entry { status, commit, trouble, is_gone: false, ..std::mem::take(entry) };
        });
    }

    /// It has left git, and stays for this reason, or goes.
    pub fn left(&self, app: &str, stays: Option<Stays>) {
        self.change(app, |entry| entry.stays = stays);
    }

    /// These Services followed it, have left git, and stay.
    pub fn followers_left(&self, app: &str, stay: BTreeMap<String, Stays>) {
        self.change(app, |entry| entry.followers = stay);
    }

    /// A step was carried out.
    pub fn went_on(&self, app: &str) {
        self.change(app, |entry| (entry.trouble, entry.is_settled) = (None, false));
    }

    /// A pass met nothing that keeps it from going on.
    pub fn passed(&self, app: &str) {
        self.change(app, |entry| {
            if std::mem::take(&mut entry.is_of_pass) {
                entry.trouble = None;
            }
        });
    }

    /// Whether anything will change by itself.
    pub fn settled(&self, app: &str, is_settled: bool) {
        self.change(app, |entry| entry.is_settled = is_settled);
    }

    /// A pass failed.
    pub fn failed(&self, app: &str, why: &str) {
        self.change(app, |entry| (entry.trouble, entry.is_of_pass) = (Some(why.to_owned()), true));
    }

    /// The API server refused a step.
    pub fn refused(&self, app: &str, phase: Phase, why: &str) {
        self.change(app, |entry| {
            (entry.trouble, entry.is_of_pass, entry.is_settled) = (Some(refusal(phase, why)), false, true);
        });
    }

    /// What it waits for does not come by itself.
    pub fn stuck(&self, app: &str, why: &str) {
        self.change(app, |entry| {
            (entry.trouble, entry.is_of_pass, entry.is_settled) = (Some(why.to_owned()), false, true);
        });
    }

    /// Something stands where a slot would be.
    pub fn stranger(&self, app: &str, name: &str) {
        let why = format!(
            "{name} in {} stands in the way and is not this workload's: rename one of them, or move traffic off it and delete it",
            self.namespace
        );
        self.change(app, |entry| {
            (entry.trouble, entry.is_of_pass, entry.is_settled) = (Some(why), true, true);
        });
    }

    /// Nothing of it is left.
    pub fn gone(&self, app: &str) {
        self.change(app, |entry| *entry = Entry { is_gone: true, is_settled: true, ..Entry::default() });
    }

    /// Nobody works on it any more.
    pub fn forget(&self, key: &str) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<String, Entry> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A step that the API server refused, in words.
pub fn refusal(phase: Phase, why: &str) -> String {
    format!("{}: the API server refused: {why}", phase.as_str())
}

/// How a workload is named on the board.
pub fn key(namespace: &str, app: &str) -> String {
    format!("{namespace}/{app}")
}
