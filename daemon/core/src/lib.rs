//! The functional core of Tidegate: from bytes of a commit and observations of a cluster to a plan.
//!
//! Everything here is synchronous and pure: no I/O, no clock, no randomness, no async. Time and the world's
//! state come in as arguments (rule 7 of ARCHITECTURE.md; a test reads `cargo metadata` to keep it so).
//! The shell in `daemon/` does the fetching, observing, executing and recording.
//!
//! The story in five verbs, with the modules that hold the pure part of each:
//!
//! | verb | modules |
//! |---|---|
//! | fetch | [`tree`]: the bytes of one commit, as the shell hands them over |
//! | observe | [`observed`]: what the shell saw of one object; [`drift`], [`health`]: what that means |
//! | plan | [`yaml`] → [`desired`] → [`render`] → [`schema`] → [`plan`]; [`rollback`]: of which commit; [`workload`] → [`rollout`] |
//! | execute | [`plan::Action`] is what the shell executes; [`outcome`] is what came of it |
//! | record | [`standing`], [`status`], [`inventory`], [`diff`], [`ledger`]: the shapes of what is written down |
#![deny(missing_docs)]

mod cel;
pub mod desired;
pub mod diff;
pub mod drift;
pub mod edit;
pub mod explain;
pub mod gate;
pub mod health;
pub mod ids;
pub mod ignore;
pub mod inventory;
pub mod ledger;
pub mod location;
pub mod object;
pub mod observed;
pub mod outcome;
pub mod plan;
pub mod policy;
pub mod problem;
pub mod render;
pub mod review;
pub mod rollback;
pub mod rollout;
pub mod schedule;
pub mod schema;
mod secret;
pub mod standing;
pub mod status;
pub mod summarize;
pub mod tree;
pub mod workload;
pub mod yaml;
