//! What a replica asks of the world, one request at a time, and what it is answered. Every wait of a replica is here, so
//! that it can be killed, delayed or lied to at each of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use jiff::Timestamp;
use serde_json::Value;
use tidegate_core::ids::{CommitId, Digest, EnvironmentName};
use tidegate_core::object::ObjectId;
use tidegate_core::rollback::{Before, GoodCommit, Held};
use tidegate_core::status::EnvironmentStatus;

/// One request of a replica.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// The whole live object.
    Get(ObjectId),
    /// A forced server-side apply of this body; `dry_run`: only what it would give.
    Apply {
        /// The object.
        id: ObjectId,
        /// What is sent, with marks and preconditions.
        body: Value,
        /// Nothing is written.
        dry_run: bool,
        /// From what it was decided.
        why: Rc<Why>,
    },
    /// A replacement of the managed fields, if the object is still at this version.
    Migrate {
        /// The object.
        id: ObjectId,
        /// Its resourceVersion.
        version: String,
        /// The new managed fields.
        managed: Value,
    },
    /// A delete.
    Delete {
        /// The object.
        id: ObjectId,
        /// The uid that it must have.
        uid: Option<String>,
        /// From what it was decided.
        why: Rc<Why>,
    },
    /// The parent of an environment.
    ReadParent(EnvironmentName),
    /// Makes it, with the claim of what is enforced.
    CreateParent {
        /// The environment.
        environment: EnvironmentName,
        /// `seen` and its inputs, when there is anything to enforce.
        seen: Option<(CommitId, Digest)>,
    },
    /// Changes it, if it is still as it was read.
    UpdateParent {
        /// As it was read.
        known: Box<Parent>,
        /// What to change.
        change: Box<ParentChange>,
        /// From what it was decided.
        why: Rc<Why>,
    },
    /// Deletes it and its shards.
    DeleteParent {
        /// As it was read.
        known: Box<Parent>,
        /// From what it was decided.
        why: Rc<Why>,
    },
    /// The shards of an inventory.
    ReadShards(EnvironmentName),
    /// Writes one shard, if it is still as it was read; none: it must not exist.
    WriteShard {
        /// The environment.
        environment: EnvironmentName,
        /// The shard's name.
        name: String,
        /// The version that was read.
        version: Option<u64>,
        /// Its content.
        bytes: Vec<u8>,
        /// From what it was decided.
        why: Rc<Why>,
    },
    /// Renews a replica's Lease.
    Renew(String),
    /// Every Lease.
    Leases,
    /// The tip of the branch.
    Poll,
    /// Nothing until then, or until the environment (or the replica) is woken.
    Sleep {
        /// The end.
        until: Timestamp,
        /// Who can be woken before.
        wake: Option<EnvironmentName>,
    },
}

impl Request {
    /// True when it changes the cluster.
    pub fn is_write(&self) -> bool {
        match self {
            Self::Apply { dry_run, .. } => !dry_run,
            Self::Migrate { .. }
            | Self::Delete { .. }
            | Self::CreateParent { .. }
            | Self::UpdateParent { .. }
            | Self::DeleteParent { .. }
            | Self::WriteShard { .. }
            | Self::Renew(_) => true,
            Self::Get(_)
            | Self::ReadParent(_)
            | Self::ReadShards(_)
            | Self::Leases
            | Self::Poll
            | Self::Sleep { .. } => false,
        }
    }
}

/// From what a write was decided: told to the world beside the request, for the invariants only.
#[derive(Debug, Clone, PartialEq)]
pub struct Why {
    /// Which replica.
    pub replica: usize,
    /// Which environment.
    pub environment: EnvironmentName,
    /// The commit whose set is enforced.
    pub commit: CommitId,
    /// The digest of its inputs.
    pub inputs: Digest,
    /// What the parent had as seen when the pass claimed the commit.
    pub claimed: Option<CommitId>,
    /// The inputs that the parent held then.
    pub held: Option<Digest>,
    /// The version of the shard that the replica knows.
    pub shard: Option<u64>,
    /// Something could not be read for the plan.
    pub partial: bool,
    /// Everything up to this version had been seen when the pass began.
    pub cursor: u64,
}

/// The parent object of an environment, as `daemon/src/cluster/parent.rs` reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parent {
    /// The environment.
    pub environment: EnvironmentName,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub version: u64,
    /// The newest commit that any replica began to apply.
    pub seen: Option<CommitId>,
    /// The inputs that it asks for.
    pub seen_inputs: Option<Digest>,
    /// The newest commit that was applied whole.
    pub applied: Option<CommitId>,
    /// How many shards the inventory has.
    pub shards: Option<u32>,
    /// A person's permission to go to a commit that is no descendant.
    pub rewind: Option<CommitId>,
    /// A person's suspension.
    pub suspended: bool,
    /// The last commit at which the environment was applied whole and healthy.
    pub good: Option<GoodCommit>,
    /// What was sick when it was left.
    pub before: Option<Box<Before>>,
    /// The commit that is held.
    pub held: Option<Box<Held>>,
    /// The status record.
    pub status: Option<EnvironmentStatus>,
}

impl Parent {
    /// The inputs that are held.
    pub fn holds(&self) -> Option<&Digest> {
        self.held.as_ref().map(|held| &held.inputs)
    }
}

/// A field that is written, or (none) taken away.
pub type Mark<T> = Option<Option<T>>;

/// What to change on a parent; none leaves a field alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParentChange {
    /// `seen` and its inputs.
    pub seen: Option<(CommitId, Digest)>,
    /// Takes a person's rewind away: it has been made.
    pub rewound: bool,
    /// `applied`, and the version up to which everything had been seen when the pass began that found it so.
    pub applied: Option<(CommitId, u64)>,
    /// The number of shards.
    pub shards: Option<u32>,
    /// The last good commit, and the version up to which everything had been seen when the pass began that found it so.
    pub good: Mark<(GoodCommit, u64)>,
    /// What was sick when it was left.
    pub before: Mark<Box<Before>>,
    /// The commit that is held.
    pub held: Mark<Box<Held>>,
    /// The status record.
    pub status: Option<EnvironmentStatus>,
}

/// One replica's Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it.
    pub holder: String,
    /// When it was renewed.
    pub renewed: String,
    /// Its resourceVersion.
    pub version: u64,
}

/// What came of a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// Taken; a finalizer may hold it.
    Accepted,
    /// It is gone.
    Gone,
    /// It was gone before.
    WasGone,
}

/// A shard as it stands in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredShard {
    /// Its resourceVersion.
    pub version: u64,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// What a request is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// An object, if it exists.
    Object(Option<Value>),
    /// The object after a write, or as a dry-run would leave it.
    Written(Value),
    /// What came of a delete.
    Deleted(Deleted),
    /// A parent, if it exists.
    Parent(Option<Box<Parent>>),
    /// Shards by name.
    Shards(BTreeMap<String, StoredShard>),
    /// The version of what was written.
    Version(u64),
    /// Leases by name.
    Leases(BTreeMap<String, Lease>),
    /// The tip of the branch.
    Tip(Option<CommitId>),
    /// Done, with nothing to say.
    Done,
}

/// Why a request failed, as far as the caller's next step depends on it (`daemon/src/cluster/call.rs`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// A precondition did not hold, or somebody else wrote at the same time.
    Conflict,
    /// Understood and refused.
    Refused(String),
    /// Come back later.
    Busy,
    /// The server failed; whether a write happened is unknown.
    Server,
    /// No answer; whether a write happened is unknown.
    Unreachable,
}

/// What a request came to.
pub type Reply = Result<Answer, CallError>;

/// The requests of one task that are under way, and the replies to them.
#[derive(Debug, Default)]
pub struct Wire {
    /// By ticket, in the order in which they were sent.
    pub open: BTreeMap<u64, Request>,
    replies: BTreeMap<u64, Reply>,
    tickets: u64,
}

/// The task's end of its wire.
#[derive(Debug, Clone, Default)]
pub struct Line(pub Rc<RefCell<Wire>>);

impl Line {
    /// Sends a request, and waits for the reply.
    pub fn call(&self, request: Request) -> Call {
        let mut wire = self.0.borrow_mut();
        wire.tickets += 1;
        let ticket = wire.tickets;
        wire.open.insert(ticket, request);
        Call { line: self.clone(), ticket }
    }

    /// Takes a request off the wire.
    pub fn take(&self, ticket: u64) -> Option<Request> {
        self.0.borrow_mut().open.remove(&ticket)
    }

    /// Puts the reply to it on the wire.
    pub fn reply(&self, ticket: u64, reply: Reply) {
        self.0.borrow_mut().replies.insert(ticket, reply);
    }
}

/// A request under way.
#[derive(Debug)]
pub struct Call {
    line: Line,
    ticket: u64,
}

impl Future for Call {
    type Output = Reply;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Reply> {
        let reply = self.line.0.borrow_mut().replies.remove(&self.ticket);
        reply.map_or(Poll::Pending, Poll::Ready)
    }
}

/// All of these side by side; their results in the order in which they were given.
pub async fn side_by_side<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(move |context| {
        for (future, result) in running.iter_mut().filter(|(_, result)| result.is_none()) {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                *result = Some(value);
            }
        }
        if running.iter().any(|(_, result)| result.is_none()) {
            return Poll::Pending;
        }
        Poll::Ready(running.iter_mut().filter_map(|(_, result)| result.take()).collect())
    })
    .await
}
