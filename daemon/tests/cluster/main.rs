//! The daemon against a real Kubernetes and real git repositories.
//!
//! One cluster (`local-cluster`, name `test`, or the kubeconfig in `TIDEGATE_TEST_KUBECONFIG`) serves all tests; each has
//! its own repository, daemon, environments and namespaces, so that they run side by side. What the world decides is
//! tested here; what we decide is tested in the core.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_docs_in_private_items,
    clippy::unused_self,
    reason = "tests end with the first thing that is not as it should be"
)]

mod adopt;
mod away;
mod broken;
mod commands;
mod converge;
mod crash;
mod drift;
mod enumerated;
mod fault_run;
mod fights;
mod follow;
mod gates;
mod gates_http;
mod gates_job;
mod gates_prometheus;
mod gates_reach;
mod guarded;
mod health;
mod history;
mod hold;
mod hostile_api;
mod hostile_cluster;
mod hostile_git;
mod hostile_rights;
mod idle;
mod ignore;
mod kill_run;
mod kill_scenario;
mod kills;
mod kinds;
mod ledger;
mod ledger_kills;
mod ledger_outages;
mod ledger_rollouts;
mod moved;
mod once;
mod order;
mod pace;
mod pages;
mod partial;
mod plan;
mod policies;
mod programs;
mod prune;
mod reads;
mod records;
mod refusals;
mod replicas;
mod request_order;
mod rollback;
mod rollout_scene;
mod rollouts;
mod rollouts_adopted;
mod rollouts_days;
mod rollouts_deaths;
mod rollouts_edits;
mod rollouts_git;
mod rollouts_hands;
mod rollouts_job;
mod rollouts_kept;
mod rollouts_left;
mod rollouts_left_over;
mod rollouts_lies;
mod rollouts_lives;
mod rollouts_moment;
mod rollouts_prometheus;
mod rollouts_refused;
mod rollouts_shapes;
mod rollouts_shipped;
mod rollouts_sized;
mod rollouts_told;
mod rollouts_tried;
mod rollouts_undone;
mod rollouts_unready;
mod rollouts_webhook;
mod rule;
mod scene;
#[path = "../support/schema.rs"]
mod schema;
mod secrets;
mod slots;
mod support;
mod tampered;
#[path = "../support/tls_front.rs"]
mod tls_front;
mod told;
mod tree;
mod unreadable;
mod unseen;
