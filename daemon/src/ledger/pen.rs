//! Appends records to one log: numbers them, chains them, signs them, and moves the branch, each move on condition that it was
//! where it was left.

use std::collections::BTreeSet;

use gix::ObjectId;
use gix::objs::{Kind, Write as _};
use gix::refs::transaction::PreviousValue;
use tidegate_core::ids::Digest;
use tidegate_core::ledger::{
    Branch, ClusterName, Follows, MAX_APPS, Outcome, Record, RecordId, State, VERSION, digest, line,
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
    /// Where the log went on, until the first record of the new epoch says so.
    follows: Option<Follows>,
    ids: BTreeSet<RecordId>,
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
    /// The log of this branch, as it stands in the repository's own; a new one where there is none. What its records say is
    /// believed: whoever does not, checks it. The cluster has the name that the branch says.
    pub fn take(store: &Store, branch: Branch, cluster: ClusterName) -> Result<Self, StoreError> {
        let cluster = ClusterName { name: branch.cluster.to_string(), ..cluster };
        let mut pen = Self {
            branch,
            cluster,
            tip: None,
            follows: None,
            ids: BTreeSet::new(),
            state: State::default(),
            files: Files::default(),
        };
        let Some(log) = store.own(&pen.branch)? else { return Ok(pen) };
        for (id, _) in store.segment(&log)?.commits {
            pen.follow(store, id)?;
        }
        Ok(pen)
    }

    fn follow(&mut self, store: &Store, id: ObjectId) -> Result<(), StoreError> {
        let what = || format!("follow the record of the commit {id}");
        let (told, committer_seconds) = store.told(id)?;
        let changes = self.state.follow(&told.record).map_err(failed(what()))?;
        let put = |kind, bytes: &[u8]| gix::objs::compute_hash(id.kind(), kind, bytes);
        self.files.change(&changes, put).map_err(failed(what()))?;
        self.ids.insert(told.record.id);
        self.tip = Some(Tip { commit: id, committer_seconds, seq: told.record.seq, digest: told.digest });
        Ok(())
    }

    /// What runs, as the log says.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The branch that the next record goes on.
    pub fn branch(&self) -> &Branch {
        &self.branch
    }

    /// True for a record that is written already.
    pub fn holds(&self, id: &RecordId) -> bool {
        self.ids.contains(id)
    }

    /// The last commit.
    pub fn tip(&self) -> Option<ObjectId> {
        self.tip.as_ref().map(|tip| tip.commit)
    }

    /// Somebody else wrote on the branch, or took it away (`found`: what stands there): the next record begins another one, as the
    /// child of the last that was written here, so that none is lost with the old branch. None is left behind the last epoch.
    pub fn leave(&mut self, found: Option<ObjectId>) -> Result<(), StoreError> {
        let next =
            self.branch.next().ok_or_else(|| StoreError::Limit("there is no further epoch".to_owned()))?;
        if let Some(tip) = &self.tip {
            // Where nothing was written on the branch that is left, the log goes on from the one before.
            self.follows.get_or_insert_with(|| Follows {
                branch: self.branch.to_string(),
                tip: tip.commit.to_string(),
                found: found.map(|found| found.to_string()),
            });
        }
        self.branch = next;
        Ok(())
    }

    /// Writes one record behind the last. Fails without a change where the branch is no longer where this left it, where the record is
    /// too large, and where there is one of its id.
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
            epoch: self.branch.epoch,
            follows: self.follows.clone(),
            outcome,
            cluster: self.cluster.clone(),
            env: self.branch.environment.clone(),
        };
        record.shrink().map_err(failed(what))?;
        if self.ids.contains(&id) || record.outcome.apps.len() > MAX_APPS {
            let why =
                format!("the record {id} is written already, or is about more than {MAX_APPS} workloads");
            return Err(failed(what)(why));
        }
        let text = line(&record).map_err(failed(what))?;
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
        // The first record of an epoch is the child of the last of the one before, on a branch that is not there yet.
        let left = self.tip().filter(|_| self.follows.is_none());
        let expected =
            left.map_or(PreviousValue::MustNotExist, |tip| PreviousValue::MustExistAndMatch(tip.into()));
        let name = format!("refs/heads/{}", self.branch);
        store
            .repository()
            .reference(name, commit, expected, REFLOG)
            .map_err(failed("move the branch of the log"))?;
        self.ids.insert(id);
        self.follows = None;
        self.tip = Some(Tip { commit, committer_seconds, seq: record.seq, digest: digest(&text) });
        self.state = state;
        self.files = files;
        Ok(Inscribed { record, commit })
    }
}
