//! The deploy log: what a record is, how records hang together, what follows from them, and whether somebody has changed them.
//!
//! Every outcome becomes one record, every record one commit of a branch that belongs to one environment in one cluster. A record
//! names the digest of the one before it, its commit the commit before it, and the daemon's key signs each commit: whoever changes,
//! drops, swaps or cuts off records is found by whoever holds a copy, the key, or an id of a later commit.
//!
//! Pure. It is not the status record ([`crate::status`]), which says how things stand and is overwritten; what is written here is
//! never changed. Reading and writing git, signing, queueing and pushing are the shell's (`daemon/src/ledger/`).
//!
//! | file | what |
//! |---|---|
//! | `record`, `app`, `id`, `capped` | what a record says |
//! | `text`, `message`, `glance` | its line, bounded; the commit message around it; what is seen of it without reading all |
//! | `change` | who changed what, as a commit says it |
//! | `entry`, `queue` | what is under way or waits for git, as it is kept in the cluster |
//! | `operation`, `rollout` | when something is over, and how it ended: of an environment, of a workload in colours |
//! | `branch` | where it stands |
//! | `state` | what runs, as it follows from records |
//! | `verify` | whether a log is what was written |
//! | `query`, `time` | questions, and the times in them |

mod app;
mod branch;
mod capped;
mod change;
mod entry;
mod glance;
mod id;
mod message;
mod operation;
mod query;
mod queue;
mod record;
mod rollout;
mod state;
mod text;
mod time;
mod verify;

pub use app::{AppChange, AppName, Image, InvalidAppName, Model, Running};
pub use branch::{Branch, ClusterLabel, InvalidBranch, PREFIX};
pub use capped::Capped;
pub use change::CommitFacts;
pub use entry::{Entry, MAX_ENTRY_BYTES, RunId, Stage};
pub use glance::Glance;
pub use id::{InvalidRecordId, RecordId};
pub use message::{NoRecord, Told, message, read, subject, summary, version};
pub use operation::{Standing, app_name, end, note_app, running};
pub use query::{At, Filter};
pub use queue::{MAX_WAITING, Put, Queue};
pub use record::{
    Actor, Change, ClusterName, Evidence, Follows, Gap, GateAnswer, Included, Kind, ObjectOperation,
    Operation, Order, Outcome, Part, PlanReference, PolicyReference, Record, Repair, Result, Shift, Source,
    Times, VERSION, Verified,
};
pub use rollout::{Aim, Stand, gate_answers, gives_way, kind_of, rollout_end};
pub use state::{AppState, FileChange, State};
pub use text::{MAX_APPS, MAX_RECORD_BYTES, TooLarge, digest, line};
pub use time::{Moment, NoTime, parse as parse_time};
pub use verify::{Bad, Fault, Fingerprint, Found, Joint, Signer, Trust, Verifier};

#[cfg(test)]
mod tests;
