//! What ran at a time, without reading the whole log: committers' times only grow, so that everything up to the last commit before
//! the time was over by then, and the files of that commit say what ran. Of what comes later only what the time falls into is read.
//!
//! The answer is that of [`At::of`] over all records (a property test holds them against each other), as long as the log is what
//! was written: that is what `check` is for.

use gix::ObjectId;
use gix::objs::tree::EntryKind;
use gix::objs::{Kind, TreeRefIter};
use jiff::Timestamp;
use tidegate_core::ledger::{AppState, At, State};

use super::store::{Log, Store, StoreError, failed};

/// So many workloads run in one environment at most.
const MAX_APPS: usize = 100_000;
/// So many records are under way at a time at most.
const MAX_UNDER_WAY: usize = 10_000;
/// The folder of the files that say what runs.
const FOLDER: &[u8] = b"state";

/// What ran at a time, and by which commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RanAt {
    /// What ran.
    pub at: At,
    /// The commit of the last record that was over; none before the first.
    pub commit: Option<ObjectId>,
}

/// What ran at a time.
pub fn at(store: &Store, log: &Log, time: Timestamp) -> Result<RanAt, StoreError> {
    let mut later = Vec::new();
    let mut answer = RanAt { at: At::default(), commit: None };
    for step in store.back(log)? {
        let step = step?;
        if step.committer_seconds()? < time.as_second() {
            answer.at = At::behind(state(store, step.tree()?)?, step.told()?.record);
            answer.commit = Some(step.id);
            break;
        }
        if step.glance().is_none_or(|glance| At::regards(&glance.times, time)) {
            later.push(step.id);
        }
    }
    for id in later.into_iter().rev() {
        let record = store.told(id)?.0.record;
        let seq = record.seq;
        answer.at.take(record, time).map_err(failed(format!("follow the record of the commit {id}")))?;
        if answer.at.last.as_ref().is_some_and(|last| last.seq == seq) {
            answer.commit = Some(id);
        }
        if answer.at.under_way.len() > MAX_UNDER_WAY {
            return Err(StoreError::Limit(format!("more than {MAX_UNDER_WAY} records were under way")));
        }
    }
    Ok(answer)
}

/// What the files of a commit say. Names of workloads have two parts, so that no folder is deeper.
fn state(store: &Store, tree: ObjectId) -> Result<State, StoreError> {
    let mut apps = Vec::new();
    for folder in entries(store, tree)?.into_iter().filter(|entry| entry.name == FOLDER) {
        for namespace in entries(store, folder.id)? {
            for file in entries(store, namespace.id)? {
                if apps.len() >= MAX_APPS {
                    return Err(StoreError::Limit(format!("more than {MAX_APPS} workloads run")));
                }
                let text = store.object(file.id, Kind::Blob)?;
                let read = serde_json::from_slice::<AppState>(&text);
                apps.push(read.map_err(failed(format!("read what runs from the file {}", file.id)))?);
            }
        }
    }
    Ok(apps.into_iter().collect())
}

struct Entry {
    name: Vec<u8>,
    id: ObjectId,
}

fn entries(store: &Store, tree: ObjectId) -> Result<Vec<Entry>, StoreError> {
    let raw = store.object(tree, Kind::Tree)?;
    let read = |entry: Result<gix::objs::tree::EntryRef<'_>, _>| {
        let entry = entry.map_err(failed(format!("read the tree {tree}")))?;
        // Nothing else is written into it; what else somebody put there is none of the log.
        let is_known = [EntryKind::Blob, EntryKind::Tree].contains(&entry.mode.kind());
        Ok(is_known.then(|| Entry { name: entry.filename.to_vec(), id: entry.oid.to_owned() }))
    };
    TreeRefIter::from_bytes(&raw, tree.kind()).map(read).filter_map(Result::transpose).collect()
}
