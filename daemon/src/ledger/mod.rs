//! The deploy log in git: objects, signatures, branches. What a record says and what a log must come to is the core's
//! (`tidegate_core::ledger`).
//!
//! | file | what |
//! |---|---|
//! | `key` | the daemon's key and the keys that are trusted; signatures made and checked in this process |
//! | `commit` | one record as a commit, and back |
//! | `files` | the tree that follows from the records |
//! | `store` | a repository with logs: the branches, the commits of one log in their order |
//! | `pen` | appends records to one log |
//! | `check` | every commit of a log held against what was written |
//!
//! Nothing here pushes, queues or asks a cluster.

mod check;
mod commit;
mod files;
mod key;
mod pen;
mod store;

pub use check::{Checked, check};
pub use key::{KeyError, SigningKey, trusted};
pub use pen::{Inscribed, Pen};
pub use store::{Log, Segment, Store, StoreError};
