//! The queue of one environment: what is under way, what waits for git, and what is lost when there is no room for more. Pure: the
//! shell keeps the entries in the cluster, one object each.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::capped::Capped;
use super::entry::{Entry, RunId, Stage};
use super::id::RecordId;
use super::record::{Gap, Kind, Outcome, Result as How};

/// So many outcomes wait for git; of what comes on top only the count and a digest are kept.
pub const MAX_WAITING: usize = 1_000;

/// The entries of one environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    entries: BTreeMap<RecordId, Entry>,
    capacity: Option<usize>,
}

/// Where an outcome goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// Into the queue.
    Keep(Entry),
    /// There is no room: this gap, which counts it, is written in its place, and then its own entry goes.
    Fold(Entry),
}

impl Queue {
    /// These entries. One that a gap has counted is left out: its daemon ended before it could delete it.
    pub fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut entries: BTreeMap<RecordId, Entry> =
            entries.into_iter().map(|entry| (entry.id, entry)).collect();
        let folded: Vec<RecordId> = entries.values().filter_map(|entry| entry.folded).collect();
        entries.retain(|id, _| !folded.contains(id));
        Self { entries, capacity: None }
    }

    /// With room for so many outcomes.
    #[must_use]
    pub fn with_capacity(self, capacity: usize) -> Self {
        Self { capacity: Some(capacity), ..self }
    }

    /// An entry.
    pub fn get(&self, id: RecordId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What waits for git, in the order in which it came to its end.
    pub fn waiting(&self) -> Vec<&Entry> {
        let mut waiting: Vec<&Entry> = self.entries.values().filter(|entry| entry.is_over()).collect();
        waiting.sort_by_key(|entry| entry.place());
        waiting
    }

    /// What is under way.
    pub fn under_way(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(|entry| !entry.is_over())
    }

    /// What another run left under way.
    pub fn left_by_others(&self, run: &RunId) -> Vec<Entry> {
        self.under_way().filter(|entry| entry.run != *run).cloned().collect()
    }

    /// Where an outcome goes that is over now; `gap_id`: the id of a gap, where one begins.
    pub fn put(&self, entry: Entry, gap_id: RecordId, now: Timestamp) -> Put {
        let waiting = self.waiting();
        if waiting.len() < self.capacity.unwrap_or(MAX_WAITING) {
            return Put::Keep(entry);
        }
        let open = waiting.last().filter(|last| last.outcome.kind == Kind::LedgerGap);
        let known = open.and_then(|open| open.outcome.gap.clone());
        let gap = Gap::with(known, &entry.outcome);
        let id = open.map_or(gap_id, |open| open.id);
        let first = open.map_or(now, |open| open.outcome.times.recorded);
        Put::Fold(Entry {
            id,
            run: entry.run,
            stage: Stage::Over,
            folded: Some(entry.id),
            workload: None,
            outcome: lost(gap, &entry.outcome, first),
        })
    }

    /// Takes an entry in, in the place of what was there of its id.
    pub fn insert(&mut self, entry: Entry) {
        if let Some(folded) = entry.folded {
            self.entries.remove(&folded);
        }
        self.entries.insert(entry.id, entry);
    }

    /// Takes an entry out.
    pub fn remove(&mut self, id: RecordId) {
        self.entries.remove(&id);
    }
}

/// The outcome that says what is lost. It keeps its place in the queue, so the time at which it was put there stays.
fn lost(gap: Gap, last: &Outcome, recorded: Timestamp) -> Outcome {
    let reason = "the log could not be pushed for so long that there was no room for more";
    let mut outcome = Outcome::begun(Kind::LedgerGap, last.actor.clone(), gap.since, reason);
    outcome.result = How::Unknown;
    outcome.times.finished = gap.until;
    outcome.times.recorded = recorded;
    outcome.gap = Some(gap);
    outcome.evidence = Capped::default();
    outcome
}
