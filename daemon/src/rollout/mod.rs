//! Blue/green of one workload on a cluster: what is seen, what is written, which gates are asked. What comes next is decided by
//! [`tidegate_core::rollout`]; the environment's lane says what git asks for ([`lane::Task`]) and reads how it stands
//! ([`board::Board`]).
//!
//! | file | what it holds |
//! |---|---|
//! | `lane` | one workload's passes: observe, keep up, decide, one step, report |
//! | `names` | what its objects are called |
//! | `observe` | what is to be seen of it, read directly |
//! | `traffic` | the Service as pointer: where traffic goes, and whether it has followed |
//! | `undone` | what a slot holds, where the record on it is not the one that was written last |
//! | `carry` | a step's writes, each guarded by what was read |
//! | `point` | those of the pointer and its followers |
//! | `bodies` | what is sent |
//! | `kept` | renders of slots, kept to repair them from |
//! | `services` | the bodies of pointer and followers, as git asks for them |
//! | `leaving` | what has left git: Services that are no longer asked for, and why something stays |
//! | `upkeep` | templates, autoscalers and budgets as they should be; what nothing needs goes |
//! | `ask` | gates, asked beside the passes |
//! | `halted` | who took the pointer away, or moved traffic |
//! | `board`, `tell` | status for the environment's record; logs, metrics, Events |
//! | `journal` | what the deploy log is told: an intent before the first write, the outcome once it is over |
//! | `last_words` | what pods of a revision that was turned down said last |
//! | `calls`, `guard` | requests; what must hold for a write to be taken |

pub mod ask;
pub mod board;
pub mod bodies;
pub mod calls;
mod carry;
pub mod guard;
mod halted;
pub mod journal;
pub mod kept;
pub mod lane;
mod last_words;
pub mod leaving;
mod names;
mod observe;
mod parts;
mod point;
mod services;
mod sweep;
pub mod tell;
mod traffic;
mod undone;
mod upkeep;

/// The record on a pointer; none where there is none that can be read.
pub fn record_of(service: &calls::Live) -> Option<tidegate_core::rollout::PointerRecord> {
    serde_json::from_str(service.annotation(tidegate_core::rollout::POINTER_RECORD)?).ok()
}
