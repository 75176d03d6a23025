//! Blue/green of one workload: from what is to be seen of it to the one next step. Not here: how a step is sent, how a gate is
//! asked, how the objects of a slot are rendered.
//!
//! [`decide()`] is one pure function of the desired revision, the pointer, the two slots, their evidence and the time. It keeps
//! nothing: a daemon that is killed at any instant finds the same step again, and two daemons that overlap are kept apart by
//! the resourceVersions of what each of them had read before its first write ([`Write`]).
//!
//! | file | what it holds |
//! |---|---|
//! | `slot` | the two colours, and what is to be seen of one |
//! | `pointer` | who is live, as the pointer object records it |
//! | `gate` | evidence, and what it says about a set of gates |
//! | `finding` | what a gate has said, in full |
//! | `failure` | why a revision was turned down, told whole |
//! | `situation` | all that a decision reads, and how readiness is counted |
//! | `stored` | what stands on a slot's Deployment in words of our own |
//! | `step` | phases, steps and the writes of a step in their order |
//! | `order` | what a person orders, and whether it still says something |
//! | `decide` | which table a workload is under, and the order of the rows |
//! | `report` | what people read of a workload |
//! | `unrecorded` | rows while nothing is live: restore, install, adopt |
//! | `traffic` | rows that keep traffic where the record says: torn, follow, settle |
//! | `bake` | rows of an open bake: roll back, gates, close |
//! | `coming` | what ends a phase, and when |
//! | `upkeep` | rows that keep what is live, and put away what nothing needs: repair, retire, resize |
//! | `leave` | rows of the end of the colours |
//! | `forward` | rows towards the desired revision: empty, prepare, warm, gates, switch |

mod bake;
mod coming;
mod decide;
mod failure;
mod finding;
mod forward;
mod gate;
mod leave;
mod order;
mod pointer;
mod report;
mod situation;
mod slot;
mod step;
mod stored;
mod traffic;
mod unrecorded;
mod upkeep;

pub use decide::decide;
pub use failure::{CHANGES_CAP, ChangedField, Changes, FailedGate, Failure, LastWords, last_lines};
pub use finding::{Finding, SUMMARY_CAP};
pub use gate::{Asked, Evidence, Gate, GateName, Gates, Stage, Verdict};
pub use order::{Command, Order};
pub use pointer::{Bake, From, Halted, Pointer, Reason, Record, Rejected, Retried, Selection, Unready};
pub use report::{GateStatus, Reported, SlotStatus, WorkloadState, WorkloadStatus};
pub use situation::{Autoscaler, Desired, Situation, Size, Timing, Uncoloured};
pub use slot::{Attempt, Deployment, NotARevision, Pods, Revision, Slot, SlotView, Slots};
pub use step::{Decision, Phase, Question, Recheck, Step, Waiting, Write};
pub use stored::{Answer, Held, POINTER_RECORD, PointerRecord, SLOT_RECORD, SlotRecord};

#[cfg(test)]
mod tests;
