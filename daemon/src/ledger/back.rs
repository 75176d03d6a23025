//! The way back through a log, from a commit to the first one: one commit at a time, so that whoever has found what they look for
//! reads no further, and a log of any length takes no memory.

use gix::ObjectId;
use gix::objs::{CommitRefIter, Kind};
use tidegate_core::ledger::{Glance, Joint, Told, read as read_message};

use super::store::{Store, StoreError, failed, told};

/// No log has more records.
const MAX_RECORDS: usize = 10_000_000;

/// The way back; the newest commit first. Ends behind the first error.
pub struct Back<'a> {
    store: &'a Store,
    next: Option<ObjectId>,
    count: usize,
}

/// A commit on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its id.
    pub id: ObjectId,
    /// How it stands to the one before it.
    pub joint: Joint,
    /// Its bytes.
    raw: Vec<u8>,
}

impl<'a> Back<'a> {
    /// From this commit on.
    pub(super) fn of(store: &'a Store, tip: Option<ObjectId>) -> Self {
        Self { store, next: tip, count: 0 }
    }

    fn step(&mut self, id: ObjectId) -> Result<Step, StoreError> {
        if self.count >= MAX_RECORDS {
            return Err(StoreError::Limit(format!("there are more than {MAX_RECORDS} records")));
        }
        self.count += 1;
        let raw = self.store.object(id, Kind::Commit)?;
        let parent = CommitRefIter::from_bytes(&raw, id.kind()).parent_ids().next();
        let joint = if parent.is_some() { Joint::Child } else { Joint::Epoch };
        self.next = parent.or_else(|| before(&raw, id.kind()));
        Ok(Step { id, joint, raw })
    }
}

impl Iterator for Back<'_> {
    type Item = Result<Step, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let id = self.next.take()?;
        Some(self.step(id))
    }
}

impl Step {
    /// The committer's time in seconds: none of the commits before it has a later one.
    pub fn committer_seconds(&self) -> Result<i64, StoreError> {
        let committer = CommitRefIter::from_bytes(&self.raw, self.id.kind()).committer();
        let committer = committer.map_err(failed(format!("read the time of the commit {}", self.id)))?;
        Ok(committer.seconds())
    }

    /// The tree.
    pub fn tree(&self) -> Result<ObjectId, StoreError> {
        let tree = CommitRefIter::from_bytes(&self.raw, self.id.kind()).tree_id();
        tree.map_err(failed(format!("read the tree of the commit {}", self.id)))
    }

    /// What is seen of its record without reading it; none where it has to be read.
    pub fn glance(&self) -> Option<Glance> {
        let message = CommitRefIter::from_bytes(&self.raw, self.id.kind()).message().ok()?;
        Glance::of(std::str::from_utf8(message).ok()?)
    }

    /// Its record. Believed, not checked.
    pub fn told(&self) -> Result<Told, StoreError> {
        Ok(told(self.id, &self.raw)?.0)
    }

    /// Its bytes.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }
}

/// The commit that a log goes on from, where it has no parent: its record says so.
fn before(raw: &[u8], hash: gix::hash::Kind) -> Option<ObjectId> {
    let message = CommitRefIter::from_bytes(raw, hash).message().ok()?;
    let told = read_message(std::str::from_utf8(message).ok()?).ok()?;
    ObjectId::from_hex(told.record.follows?.tip.as_bytes()).ok()
}
