//! The deploy log in git: objects, signatures, branches. What a record says and what a log must come to is the core's
//! (`tidegate_core::ledger`).
//!
//! | file | what |
//! |---|---|
//! | `key` | the daemon's key and the keys that are trusted; signatures made and checked in this process |
//! | `commit` | one record as a commit, and back |
//! | `files` | the tree that follows from the records |
//! | `store` | a repository with logs: the branches, the commits of one log in their order |
//! | `back`, `at`, `find` | the way back through a log; what ran at a time; one record |
//! | `pen` | appends records to one log |
//! | `scribe` | the task that brings what waits in the cluster into git |
//! | `clerk` | how an outcome begins: what git says of whoever asked |
//! | `recorder` | what happens to an environment, taken down in the cluster before it is in git |
//! | `digests` | which images run, by their digests, as pods report it |
//! | `check` | every commit of a log held against what was written |
//! | `name` | which log: one environment in one cluster |
//! | [`remote`] | the seam to where logs are pushed, and the `git` program behind it |
//! | [`local`] | the repository of one log on this machine: made, locked, kept small; whether what the remote has is ours |
//!
//! The queue itself stands in the cluster (`cluster/entries`), and what goes into it is the lanes' (`reconcile/ledger`,
//! `rollout/journal`).

mod at;
mod back;
mod check;
mod clerk;
mod commit;
mod digests;
mod files;
mod find;
mod key;
pub mod local;
mod name;
mod pen;
mod recorder;
pub mod remote;
mod scribe;
mod store;

pub use at::{RanAt, at};
pub use back::{Back, Step};
pub use check::{Checked, check, signer_of};
pub use clerk::{Asked, Clerk};
pub use digests::note_digests;
pub use find::{Hit, Hits, find};
pub use key::{KeyError, SigningKey, signer, trusted};
pub use local::{Adopted, Local, LocalError};
pub use name::LogName;
pub use pen::{Inscribed, Pen};
pub use recorder::{Recorder, fresh_id};
pub use remote::git::GitRemote;
pub use remote::{Answer, Push, Remote, RemoteConfig, RemoteError, RemoteLimits};
pub use scribe::{Desk, Pushed, Scribe};
pub use store::{Log, Segment, Store, StoreError};
