//! The imperative shell of Tidegate: everything that reads git, talks to clusters, and prints.
//!
//! What to decide is in `tidegate-core`; this crate fetches, observes, executes and records. Begin with [`reconcile`].

pub mod cli;
pub mod cluster;
pub mod clusters;
pub mod gate;
pub mod ledger;
mod programs;
pub mod reconcile;
pub mod rollout;
pub mod run;
pub mod source;
pub mod telemetry;
pub mod web;
pub mod world;
