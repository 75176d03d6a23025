//! How an environment stands, and what follows for its commit: whether it may be claimed, whether it is applied, what is
//! overdue, what is tried again and when, whether there is news to record. The shell reads and writes; what it makes of it
//! is decided here, and so is what the simulated world of `proptests` makes of it.
//!
//! Not here: what is done about objects ([`crate::plan`]), and the health of one object ([`crate::health`]).

mod claim;
mod conclude;
mod deadline;
mod judge;
mod news;
mod next;
mod retry;
mod unhealthy;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::desired::Environment;
use crate::object::DesiredObject;

pub use claim::{Claim, Said};
pub use conclude::{Conclusion, conclude, drop_overcome, kept};
pub use deadline::{MAX_ANEW, Progress, overdue, unwell_since};
pub use judge::{Judgement, health_of, judge};
pub use news::{News, news, settling};
pub use next::{RETRY_REJECTED, SAFETY_INTERVAL, Wait, next};
pub use retry::{Aftermath, aftermath};
pub use unhealthy::{Seen, unhealthy, until_deadline};

/// The set that is enforced.
#[derive(Debug, Clone, Copy)]
pub struct Enforced<'a> {
    /// What the environment says about itself.
    pub environment: &'a Environment,
    /// Its objects.
    pub objects: &'a [Arc<DesiredObject>],
    /// What stands in front of every path for people: empty, or the sub-path of the repository with a `/`.
    pub prefix: &'a str,
}

impl<'a> Enforced<'a> {
    /// The objects that are asked for: none of an environment that is taken down.
    pub fn wanted(&self) -> &'a [Arc<DesiredObject>] {
        if self.environment.decommission { &[] } else { self.objects }
    }
}
