//! Who looks after which environment, when it is tried again, and how much an API server is asked at a time. Time and randomness come in as arguments.
//!
//! Spreading environments over replicas is an optimisation: safety comes from the preconditions on every write.

mod backoff;
mod lease;
mod rendezvous;
mod window;

pub use backoff::{Backoff, jittered};
pub use lease::{LeaseRecord, LeaseView};
pub use rendezvous::{ReplicaId, owner};
pub use window::{Load, Ticket, WINDOW_CAP, WINDOW_FLOOR, WINDOW_START, Window};
