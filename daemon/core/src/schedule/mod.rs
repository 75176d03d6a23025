//! Who looks after which environment, and when it is tried again. Time and randomness come in as arguments.
//!
//! Spreading environments over replicas is an optimisation: safety comes from the preconditions on every write.

mod backoff;
mod lease;
mod rendezvous;

pub use backoff::{Backoff, jittered};
pub use lease::{LeaseRecord, LeaseView};
pub use rendezvous::{ReplicaId, owner};
