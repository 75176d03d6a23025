//! Whether a log has been altered: every commit is held against what the ones before it say must come next.
//!
//! Pure: the shell reads the commits of a clone, hashes them, checks their signatures and builds the tree that the records ask for;
//! what all that must come to is decided here. The first bad record ends the check, because nothing behind it can be relied on.

use std::collections::BTreeSet;
use std::fmt;

use super::branch::Branch;
use super::id::RecordId;
use super::message::{NoRecord, Told, read};
use super::record::Record;
use super::state::{FileChange, State};
use crate::ids::{Digest, short};

/// One commit of a log, as the shell found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub commit: String,
    /// Its parents.
    pub parents: Vec<String>,
    /// The author's time, in seconds since 1970.
    pub author_seconds: i64,
    /// The committer's time, in seconds since 1970.
    pub committer_seconds: i64,
    /// Its message.
    pub message: String,
    /// Who signed it.
    pub signer: Signer,
}

/// The fingerprint of a public key (`SHA256:…`), as `ssh-keygen -l` prints it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub String);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who signed a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// The holder of this key: the signature is over these bytes.
    Key(Fingerprint),
    /// Nobody.
    Nobody,
    /// There is a signature, and it is not one of these bytes; with what is wrong.
    Invalid(String),
}

/// Which keys may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// These.
    Keys(BTreeSet<Fingerprint>),
    /// The one that signed the first record, whoever holds it: shows that one hand wrote all of it, not whose.
    First,
}

/// Why a commit cannot be what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An object of git is not what its id says, or is not there.
    #[error("{0}")]
    Object(String),
    /// Its message is not one of a record.
    #[error(transparent)]
    Message(#[from] NoRecord),
    /// It is not signed.
    #[error("it is not signed")]
    Unsigned,
    /// The signature does not fit.
    #[error("its signature does not fit: {0}")]
    Signature(String),
    /// Somebody else signed it.
    #[error("it is signed by the key {0}, which is none of those that may")]
    Stranger(Fingerprint),
    /// Its parent is not the commit before.
    #[error("its parent is not the commit of the record before it")]
    Parent,
    /// Its number does not follow.
    #[error("it is record {found}, and record {expected} comes next")]
    Number {
        /// What comes next.
        expected: u64,
        /// What it says.
        found: u64,
    },
    /// It does not name the record before it.
    #[error("it names another record before it than the one that is there")]
    Previous,
    /// It is about something else.
    #[error("it is a record of {0}")]
    Elsewhere(String),
    /// The first record of an epoch names no other log, or another one; or its epoch does not follow.
    #[error("its epoch does not go on from the record before it")]
    Epoch,
    /// Its id is that of another record.
    #[error("another record has its id")]
    Twice,
    /// Beside the log there are commits that the daemon signed.
    #[error("the branch {0} has records that the daemon signed, and that are not part of the log")]
    Fork(String),
    /// The times of the commit are not those of the record.
    #[error("the times of its commit are not those of its record")]
    Times,
    /// Its tree is not what the records come to.
    #[error("its files do not say what the records say")]
    Tree,
    /// A commit that is known from elsewhere is not part of it: the end of the log is missing, or was replaced.
    #[error(
        "the commit {0}, which is known to belong to the log, is not part of it: its end was cut off or replaced"
    )]
    Cut(String),
}

/// Where a log is first not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// The commit.
    pub commit: String,
    /// The number that its record has to have.
    pub seq: u64,
    /// Why.
    pub fault: Fault,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commit, seq, fault } = self;
        write!(f, "record {seq} (commit {}) is not what was written: {fault}", short(commit))
    }
}

/// How a commit stands to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joint {
    /// It is its child.
    Child,
    /// It is the first of its branch; the one before it is the last of ours on the branch that it names.
    Epoch,
}

/// Checks the commits of one environment's log, the oldest first.
#[derive(Debug)]
pub struct Verifier {
    branch: Branch,
    trust: Trust,
    last: Option<Last>,
    state: State,
    keys: BTreeSet<Fingerprint>,
    ids: BTreeSet<RecordId>,
    /// The uid of the cluster, once a record has named it.
    cluster: Option<String>,
}

#[derive(Debug)]
struct Last {
    commit: String,
    epoch: u32,
    committer_seconds: i64,
    seq: u64,
    digest: Digest,
}

impl Verifier {
    /// Nothing is checked yet.
    pub fn new(branch: Branch, trust: Trust) -> Self {
        Self {
            branch,
            trust,
            last: None,
            state: State::default(),
            keys: BTreeSet::new(),
            ids: BTreeSet::new(),
            cluster: None,
        }
    }

    /// The number that comes next.
    pub fn next(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.seq.saturating_add(1))
    }

    /// What runs after what was checked.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The keys that signed what was checked.
    pub fn keys(&self) -> &BTreeSet<Fingerprint> {
        &self.keys
    }

    /// Takes the next commit in. Which files it must have changed against the commit before is the caller's to hold against its tree.
    pub fn take(&mut self, found: &Found, joint: Joint) -> Result<(Record, Vec<FileChange>), Box<Bad>> {
        let seq = self.next();
        let bad = |fault| Box::new(Bad { commit: found.commit.clone(), seq, fault });
        let told = self.check(found, joint).map_err(bad)?;
        let changes =
            self.state.follow(&told.record).map_err(|error| bad(Fault::Object(error.to_string())))?;
        self.last = Some(Last {
            commit: found.commit.clone(),
            epoch: told.record.epoch,
            committer_seconds: found.committer_seconds,
            seq: told.record.seq,
            digest: told.digest,
        });
        Ok((told.record, changes))
    }

    fn check(&mut self, found: &Found, joint: Joint) -> Result<Told, Fault> {
        self.check_signer(&found.signer)?;
        let told = read(&found.message)?;
        let record = &told.record;
        let expected = self.next();
        if record.seq != expected {
            return Err(Fault::Number { expected, found: record.seq });
        }
        if record.prev.as_ref() != self.last.as_ref().map(|last| &last.digest) {
            return Err(Fault::Previous);
        }
        self.check_place(record)?;
        if !self.ids.insert(record.id) {
            return Err(Fault::Twice);
        }
        self.check_joint(found, record, joint)?;
        let finished = record.outcome.times.finished.as_second();
        let least = self.last.as_ref().map_or(finished, |last| last.committer_seconds);
        if found.author_seconds != finished || found.committer_seconds != finished.max(least) {
            return Err(Fault::Times);
        }
        Ok(told)
    }

    fn check_signer(&mut self, signer: &Signer) -> Result<(), Fault> {
        let key = match signer {
            Signer::Key(key) => key,
            Signer::Nobody => return Err(Fault::Unsigned),
            Signer::Invalid(why) => return Err(Fault::Signature(why.clone())),
        };
        let may = match &self.trust {
            Trust::Keys(keys) => keys.contains(key),
            Trust::First => self.keys.is_empty() || self.keys.contains(key),
        };
        if !may {
            return Err(Fault::Stranger(key.clone()));
        }
        self.keys.insert(key.clone());
        Ok(())
    }

    /// The environment and the cluster. Two clusters may have one name in the log: once a uid is known it stays.
    fn check_place(&mut self, record: &Record) -> Result<(), Fault> {
        let cluster = &record.cluster;
        let is_other = |known: &String| cluster.uid.as_ref().is_some_and(|uid| uid != known);
        if record.env != self.branch.environment
            || cluster.name != self.branch.cluster.as_str()
            || self.cluster.as_ref().is_some_and(is_other)
        {
            let uid = cluster.uid.as_ref().map_or(String::new(), |uid| format!(" ({uid})"));
            return Err(Fault::Elsewhere(format!("{} in {}{uid}", record.env, cluster.name)));
        }
        if self.cluster.is_none() {
            self.cluster.clone_from(&cluster.uid);
        }
        Ok(())
    }

    /// The parent, and the epoch: it grows with a record that says from where the log goes on, and at no other.
    fn check_joint(&self, found: &Found, record: &Record, joint: Joint) -> Result<(), Fault> {
        let parent = match (&self.last, joint) {
            (None, _) | (_, Joint::Epoch) => None,
            (Some(last), Joint::Child) => Some(&last.commit),
        };
        if found.parents.iter().ne(parent) {
            return Err(Fault::Parent);
        }
        let follows = match (&self.last, &record.follows) {
            // Where somebody had taken the name of the first branch, the log begins at a later one.
            (None, None) => true,
            (Some(last), None) => record.epoch == last.epoch && joint == Joint::Child,
            (Some(last), Some(follows)) => {
                let before = Branch { epoch: last.epoch, ..self.branch.clone() };
                record.epoch > last.epoch
                    && follows.tip == last.commit
                    && follows.branch == before.to_string()
            }
            (None, Some(_)) => false,
        };
        if follows && record.epoch <= self.branch.epoch { Ok(()) } else { Err(Fault::Epoch) }
    }

    /// Nothing is missing behind what was checked, as far as the branch says.
    pub fn end(&self) -> Result<(), Fault> {
        match &self.last {
            Some(last) if last.epoch != self.branch.epoch => Err(Fault::Epoch),
            Some(_) | None => Ok(()),
        }
    }

    /// True for a key that may sign, as far as is known by now.
    pub fn trusts(&self, key: &Fingerprint) -> bool {
        match &self.trust {
            Trust::Keys(keys) => keys.contains(key),
            Trust::First => self.keys.contains(key),
        }
    }
}
