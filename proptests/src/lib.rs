//! Properties and oracles of Tidegate: what the tests in `tests/` share.
//!
//! [`objects`], [`worlds`] and [`simulation`] generate worlds for plans and execute plans on them. Nothing here is used by
//! the daemon.

pub mod apply_oracle;
pub mod apply_steps;
pub mod cases;
pub mod documents;
pub mod kube_http;
pub mod ledger;
pub mod mistakes;
pub mod objects;
pub mod rollout;
pub mod schema_cases;
pub mod schema_oracle;
pub mod simulation;
pub mod world;
pub mod worlds;
