//! What a gate has said, in full: what people read of it, beside the verdict that decisions read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::gate::Verdict;
use crate::location::Location;

/// One answer of a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What follows.
    pub verdict: Verdict,
    /// What was measured, with its unit: `0.043`, `318 ms`, `/prediction = 21.4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What it was held against: `at most 0.01`, `20.35 ± 0.01`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<String>,
    /// Where the rule stands that does not hold, as exactly as is known: an expectation, a bound, else the gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Location>,
    /// How many requests, samples or pods it rests on.
    #[serde(default)]
    pub samples: u64,
    /// One sentence, at most [`SUMMARY_CAP`] bytes: `18 of 20 requests answered 500, the first by pod api-green-x7`.
    pub summary: String,
    /// When it was begun.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
}

/// A summary is cut here: findings stand in annotations.
pub const SUMMARY_CAP: usize = 600;
