//! `fetch`, the first verb: from a git remote (or a followed folder) to the bytes of one revision.
//!
//! What it is: one bare mirror per repository, kept with gix, asked for its branch's tip with one cheap `ls-refs` per
//! poll and read straight from the object database. What it is not: a checkout. No worktree is ever written, no hook,
//! filter or submodule is ever run.
//!
//! Invariants
//! - The last good commit stays, whatever the remote does: force-push, deleted branch, nonsense, silence.
//! - The remote is not trusted: every answer has a deadline and a cap on its bytes, every object a cap on its size.
//! - Credentials go to the configured origin only and into no message.
//! - The cache is a cache: damaged or deleted, it is fetched again.
//!
//! | file | what it holds |
//! |---|---|
//! | [`url`], [`config`], [`secret`] | what a source is configured with |
//! | `identity` | credentials as requests and programs take them, for the deploy log's remote too |
//! | [`revision`], [`error`] | what it offers, what can go wrong |
//! | `carrier` | the bytes on the wire: https, ssh, file; guarded by deadline and cap |
//! | [`mirror`], `history`, `snapshot` | the bare mirror: poll, rewind rule, commits, files |
//! | `kept` | what the last commits were found to hold |
//! | [`folder`] | the files of a followed work tree |
//! | [`clone`] | commits of a clone on this machine, for `tidegate plan` |
//! | `watch`, [`handle`] | waking up, the loop, and what the daemon holds in its hands |

// A problem is built once per failed call, never in a hot path.
#![allow(clippy::result_large_err)]

pub(crate) mod cache;
mod carrier;
pub mod clone;
pub mod config;
pub mod error;
pub mod folder;
pub mod handle;
mod history;
pub(crate) mod identity;
mod kept;
pub mod mirror;
mod paths;
pub mod revision;
pub mod secret;
mod snapshot;
pub mod url;
mod wake;
mod watch;

pub use clone::{LocalClone, Named, Relation};
pub use config::{Credentials, Limits, SourceConfig, SshSettings, Token};
pub use error::SourceError;
pub use folder::{Folder, FolderConfig};
pub use handle::{Origin, Source, SourceHandle, SourceHead, SourceState, Watching};
pub use history::{Facts, Signed};
pub use mirror::{Listing, Mirror, TreeIds};
pub use revision::{CommitInfo, Head, Moved, Partial, Person, PollResult, Revision, Snapshot};
pub use secret::Secret;
pub use url::{InvalidUrl, PlainHttp, SourceUrl};
