//! The simulated world: git, a cluster, a clock, hands and faults around the decisions of the core, all from one seed.
//!
//! Two replicas with two environments each send their requests one at a time ([`request`]), in the order in which the
//! daemon sends them ([`lane`], [`claim`], [`keep`], [`verbs`], [`record`], [`rollback`], [`replica`]). Between any two requests git moves, hands change objects,
//! watches lag, requests and replies are lost or late, replicas are stopped or killed ([`history`]). What must hold is asked at
//! every write ([`truth`], [`held`]) and when the world has come to rest ([`rest`]). [`neighbours`] measures what a
//! poisoned environment takes from another one. [`bugs`] are planted to see that it is found out. [`model`] walks
//! every way through worlds that are small enough.
//!
//! Not here: the shell's own code (HTTP, retries of connections, tasks), which the tests on a real cluster reach.

pub mod bugs;
pub mod calm;
pub mod chance;
pub mod claim;
pub mod content;
pub mod fields;
pub mod git;
pub mod hands;
pub mod held;
pub mod history;
pub mod keep;
pub mod lane;
pub mod managers;
pub mod model;
pub mod models;
pub mod neighbours;
pub mod record;
pub mod replica;
pub mod request;
pub mod rest;
pub mod rollback;
pub mod server;
pub mod tasks;
pub mod trace;
pub mod truth;
pub mod verbs;

use tidegate_core::ids::EnvironmentName;

/// The environments of every world.
pub fn environments() -> Vec<EnvironmentName> {
    ["dev", "prod"].iter().filter_map(|name| name.parse().ok()).collect()
}
