//! Which objects of git roll out in colours, and what the objects of a slot are. Not here: what is done with them when
//! ([`crate::rollout`] decides), and what is live.
//!
//! A workload is a Deployment that a policy matches, with the Services that lead to it, its autoscaler and its budget. People
//! keep them plain; from them come, for each slot, a Deployment, an autoscaler, a budget, and copies of the configuration
//! under names that follow from their contents. What cannot be made twice without harm is refused, each reason with its place.
//!
//! | file | what it holds |
//! |---|---|
//! | `split` | the objects of an environment: those that roll out, and the ordinary ones |
//! | `matching` | which policy is for which object |
//! | `model` | a workload, and what is asked of it |
//! | `build` | from a Deployment and its neighbours to a workload |
//! | `neighbours` | the objects of the same namespace, parsed once |
//! | `services` | which Service moves the traffic, and which follow it |
//! | `balancer` | Services whose traffic a change of the selector does not move safely |
//! | `pods` | pods of which two sets cannot run side by side |
//! | `sizing` | autoscalers, budgets, and what cannot be split between slots |
//! | `configs` | configuration under names that follow from its contents |
//! | `revision` | what a slot runs, as a number |
//! | `slot` | the objects of a slot |
//! | `changes` | what a revision changes against the one that is live, for people |
//! | `selectors` | rules of placement that mean the workload itself |
//! | `timing` | the durations of a policy, and the effective drain |
//! | `drain_safe` | whether pods can go without a lost request, as far as a manifest shows it |
//! | `names` | labels, annotations and names |
//! | `requests` | what a pod asks of its node |
//! | `read` | values of manifests |

mod balancer;
mod build;
mod changes;
mod configs;
mod drain_safe;
mod matching;
mod model;
pub mod names;
mod neighbours;
mod pods;
mod read;
mod requests;
mod revision;
mod selectors;
mod services;
mod sizing;
mod slot;
mod split;
mod timing;

pub use drain_safe::{DrainSafety, drain_safe};
pub use model::{Colours, Follower, Workload};
pub use requests::Requests;
pub use slot::SlotRender;
pub use split::{Split, split};

#[cfg(test)]
mod tests;
