//! What an environment waits for, and how long it is left alone at most when nothing wakes it before.

use std::time::Duration;

/// Without any other reason, an environment is looked at this often.
pub const SAFETY_INTERVAL: Duration = Duration::from_mins(10);
/// While objects are on their way, their pods are looked at this often.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// What could not be read (a kind that is not served yet, for one) is read again this often.
const UNREAD_INTERVAL: Duration = Duration::from_secs(2);
/// What waits for other objects, or was refused, is looked at this often.
const WAITING_INTERVAL: Duration = Duration::from_secs(10);
/// A set that was rejected is looked at again after this time: the cluster's own kinds and schemas may have changed.
pub const RETRY_REJECTED: Duration = Duration::from_secs(30);

/// Something that an environment waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Work is left, for the next pass after this pause.
    Work(Duration),
    /// Objects become healthy.
    Health,
    /// Something can be read.
    Read,
    /// Something else comes first: an object, a person's request, a commit that this replica does not have yet.
    Others,
    /// A commit that is not broken.
    Commit,
    /// A time that was set, which comes after this.
    Time(Duration),
    /// A refused object may be tried again after this.
    Retry(Duration),
}

impl Wait {
    fn pause(self) -> Duration {
        match self {
            Self::Work(pause) | Self::Time(pause) => pause,
            Self::Retry(pause) => pause.max(UNREAD_INTERVAL),
            Self::Health => PROGRESS_INTERVAL,
            Self::Read => UNREAD_INTERVAL,
            Self::Others => WAITING_INTERVAL,
            Self::Commit => RETRY_REJECTED,
        }
    }
}

/// How long an environment is left alone at most.
pub fn next(waits: &[Wait]) -> Duration {
    waits.iter().map(|wait| wait.pause()).fold(SAFETY_INTERVAL, Duration::min)
}
