//! A real Kubernetes on one Linux machine, for tests and for the demo: control plane, kubelets, kube-proxies and
//! containers, built from Go modules and Debian packages. No registry of images, no prebuilt download.
//!
//! It is not for production, and not a supervisor: a program of the control plane that dies stays dead until the
//! next `up`.
//!
//! Invariants:
//! - Several clusters run at once, each in its own slice of 198.18.0.0/15 (`address`).
//! - What was started is found again by process id and start time, and ended by that alone (`process`).
//! - `down` leaves nothing; a caller killed at any moment leaves nothing that the next `up` does not use or clear.
//! - The host's containerd, firewall rules, sysctls and kubeconfig are never touched.
//!
//! Hosts with cgroup version 2 are written for but untested (`cgroup`).

pub mod address;
mod cgroup;
pub mod cluster;
mod command;
mod control_plane;
mod credentials;
mod files;
pub mod image;
mod names;
mod network;
mod node;
pub mod parts;
mod pki;
pub mod prerequisites;
mod process;
mod progress;
pub mod root;
mod state;
pub mod status;
mod template;
mod wait;

pub use cluster::{Audit, Cluster, Options, down, kubeconfig};
