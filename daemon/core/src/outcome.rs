//! What came of one executed action.

use crate::problem::Problem;

/// What came of one executed action.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The API server did it.
    Done,
    /// It was so already.
    Unchanged,
    /// The object changed between observation and write: observe and plan again.
    Conflict,
    /// The API server refused; trying the same again will not help until git or the cluster changes.
    Refused(Box<Problem>),
    /// Nobody knows (time-out, connection lost): observe and plan again, after a back-off.
    Unknown(String),
}
