//! One target cluster: connection, kinds, watches, writes, and what we keep of ourselves in it.
//!
//! | file | what |
//! |---|---|
//! | `handle` | the handle that lanes share, and the task that keeps it |
//! | `connect` | from an environment's `cluster` to a client |
//! | `exec` | programs that kubeconfigs name for credentials |
//! | `call` | deadline, classification and retries of one call |
//! | `pace` | how many requests are under way, and whose turn it is |
//! | `kinds` | discovery |
//! | `absent` | kinds that are gone for good |
//! | `schemas` | the cluster's own schemas, where ours do not hold |
//! | `watch`, `follow`, `coverage` | which watches run; one watch; what it covers |
//! | `store` | what they have seen |
//! | `write`, `failure` | execute |
//! | `parent` | the parent object and the inventory shards |
//! | `entries` | the queue of the deploy log |
//! | `repository` | the record of a repository: environments whose file could never be read (`repositories` reads all of them) |
//! | `version` | which resourceVersion is later |
//! | `lease` | replicas and who owns which environment |
//! | `pods` | why a workload is not ready |

pub mod absent;
pub mod call;
pub mod connect;
pub mod coverage;
pub mod entries;
pub mod exec;
pub mod failure;
pub mod follow;
pub mod handle;
pub mod kinds;
pub mod lease;
pub mod pace;
pub mod parent;
pub mod pods;
pub mod repository;
pub mod schemas;
pub mod shards;
pub mod store;
pub mod version;
pub mod watch;
pub mod write;
