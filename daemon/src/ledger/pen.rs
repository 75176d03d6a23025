//! Appends records to one log: numbers them, chains them, signs them, and moves the branch, each move on condition that it was
//! where it was left.

use gix::ObjectId;
use gix::objs::{CommitRefIter, Kind, Write as _};
use gix::refs::transaction::PreviousValue;
use tidegate_core::ids::Digest;
use tidegate_core::ledger::{
    Branch, ClusterName, Outcome, Record, RecordId, State, VERSION, digest, line, read as read_message,
};

use super::commit::signed;
use super::files::Files;
use super::key::SigningKey;
use super::store::{Store, StoreError, failed};

/// What is said in the reflog.
const REFLOG: &str = "tidegate: record";

/// The end of one log, to be written on.
#[derive(Debug)]
pub struct Pen {
    branch: Branch,
    cluster: ClusterName,
    tip: Option<Tip>,
    state: State,
    files: Files,
}

#[derive(Debug)]
struct Tip {
    commit: ObjectId,
    committer_seconds: i64,
    seq: u64,
    digest: Digest,
}

/// A record that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inscribed {
    /// The record, in its place.
    pub record: Record,
    /// Its commit.
    pub commit: ObjectId,
}

impl Pen {
    /// The log of this branch, as it stands in the repository; a new one where there is none. What its records say is believed:
    /// whoever does not, checks it.
    pub fn take(store: &Store, branch: Branch, cluster: ClusterName) -> Result<Self, StoreError> {
        let mut pen = Self { branch, cluster, tip: None, state: State::default(), files: Files::default() };
        let logs = store.logs()?;
        let Some(log) = logs.into_iter().find(|log| log.branch == pen.branch) else { return Ok(pen) };
        for (id, _) in store.segment(&log)?.commits {
            pen.follow(store, id)?;
        }
        Ok(pen)
    }

    fn follow(&mut self, store: &Store, id: ObjectId) -> Result<(), StoreError> {
        let what = || format!("read the record {id}");
        let raw = store.object(id, Kind::Commit)?;
        let commit = || CommitRefIter::from_bytes(&raw, id.kind());
        let message = commit().message().map_err(failed(what()))?;
        let message = std::str::from_utf8(message).map_err(failed(what()))?;
        let told = read_message(message).map_err(failed(what()))?;
        let changes = self.state.follow(&told.record).map_err(failed(what()))?;
        let put = |kind, bytes: &[u8]| gix::objs::compute_hash(id.kind(), kind, bytes);
        self.files.change(&changes, put).map_err(failed(what()))?;
        let committer = commit().committer().map_err(failed(what()))?;
        self.tip = Some(Tip {
            commit: id,
            committer_seconds: committer.seconds(),
            seq: told.record.seq,
            digest: told.digest,
        });
        Ok(())
    }

    /// What runs, as the log says.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The last commit.
    pub fn tip(&self) -> Option<ObjectId> {
        self.tip.as_ref().map(|tip| tip.commit)
    }

    /// Writes one record behind the last. Fails without a change where the branch is no longer where this left it.
    pub fn append(
        &mut self,
        store: &Store,
        key: &SigningKey,
        id: RecordId,
        outcome: Outcome,
    ) -> Result<Inscribed, StoreError> {
        let what = "write a record";
        let mut record = Record {
            v: VERSION,
            id,
            seq: self.tip.as_ref().map_or(0, |tip| tip.seq.saturating_add(1)),
            prev: self.tip.as_ref().map(|tip| tip.digest.clone()),
            follows: None,
            outcome,
            cluster: self.cluster.clone(),
            env: self.branch.environment.clone(),
        };
        record.shrink();
        let mut state = self.state.clone();
        let changes = state.follow(&record).map_err(failed(what))?;
        let mut put =
            |kind, bytes: &[u8]| store.repository().objects.write_buf(kind, bytes).map_err(failed(what));
        let mut files = self.files.clone();
        files.change(&changes, &mut put)?;
        let tree = files.tree(&mut put)?;
        let finished = record.outcome.times.finished.as_second();
        let committer_seconds = self.tip.as_ref().map_or(finished, |tip| tip.committer_seconds.max(finished));
        let raw = signed(&record, tree, self.tip(), committer_seconds, key).map_err(failed(what))?;
        let commit = put(Kind::Commit, &raw)?;
        let expected = self
            .tip()
            .map_or(PreviousValue::MustNotExist, |tip| PreviousValue::MustExistAndMatch(tip.into()));
        let name = format!("refs/heads/{}", self.branch);
        store
            .repository()
            .reference(name, commit, expected, REFLOG)
            .map_err(failed("move the branch of the log"))?;
        let text = line(&record).map_err(failed(what))?;
        self.tip = Some(Tip { commit, committer_seconds, seq: record.seq, digest: digest(&text) });
        self.state = state;
        self.files = files;
        Ok(Inscribed { record, commit })
    }
}
