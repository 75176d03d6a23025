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
//! | `check` | every commit of a log held against what was written |
//! | `name` | which log: one environment in one cluster |
//! | [`remote`] | the seam to where logs are pushed, and the `git` program behind it |
//! | [`local`] | the repository of one log on this machine: made, locked, kept small; whether what the remote has is ours |
//!
//! Nothing here queues or asks a cluster, and nothing calls `local` and `remote` but their tests so far.

mod at;
mod back;
mod check;
mod commit;
mod files;
mod find;
mod key;
pub mod local;
mod name;
mod pen;
pub mod remote;
mod store;

pub use at::{Answer, at};
pub use back::{Back, Step};
pub use check::{Checked, check, signer_of};
pub use find::{Hit, Hits, find};
pub use key::{KeyError, SigningKey, trusted};
pub use local::{Adopted, Local, LocalError};
pub use name::LogName;
pub use pen::{Inscribed, Pen};
pub use remote::git::GitRemote;
pub use remote::{Answer, Push, Remote, RemoteConfig, RemoteError, RemoteLimits};
pub use store::{Log, Segment, Store, StoreError};
