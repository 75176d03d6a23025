//! The pure half of gates: what is sent, and what follows from what came back. Not here: the asking (the shell's `gate`), and
//! what follows from a verdict ([`crate::rollout`]).
//!
//! | file | what it holds |
//! |---|---|
//! | `address` | which addresses gates may ask, whatever names them |
//! | `miss` | everything but an answer, and the table of what fails and what is unknown |
//! | `judgement` | what a gate says, before it has times |
//! | `json` | expectations on a JSON body |
//! | `latency` | 95 of 100 answers |
//! | `http`, `load` | the answers of many requests |
//! | `variables`, `prometheus` | a query, and the answer of Prometheus |
//! | `job` | the Job's manifest, and what came of it |
//! | `endpoints` | pods that stay ready |
//! | `text` | texts of others, made safe and short |

pub mod address;
pub mod endpoints;
pub mod http;
pub mod job;
pub mod json;
pub mod judgement;
pub mod latency;
pub mod load;
pub mod miss;
pub mod prometheus;
pub mod text;
pub mod variables;

pub use address::{AddressRange, Guard};
pub use judgement::Judgement;
pub use miss::Miss;
