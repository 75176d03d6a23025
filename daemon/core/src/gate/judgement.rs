//! What a gate says, before it has times.

use jiff::Timestamp;

use super::text;
use crate::location::Location;
use crate::rollout::{Finding, Verdict};

/// What follows from the answers to one asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What follows.
    pub verdict: Verdict,
    /// What was measured.
    pub value: Option<String>,
    /// What it was held against.
    pub threshold: Option<String>,
    /// Where the rule stands that does not hold.
    pub rule: Option<Location>,
    /// How many requests, samples or pods it rests on.
    pub samples: u64,
    /// One sentence.
    pub summary: String,
}

impl Judgement {
    /// Everything holds.
    pub fn pass(samples: u64, summary: impl Into<String>) -> Self {
        Self::new(Verdict::Pass, samples, summary)
    }

    /// Something does not.
    pub fn fail(samples: u64, summary: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, samples, summary)
    }

    /// Nobody could tell.
    pub fn unknown(summary: impl Into<String>) -> Self {
        Self::new(Verdict::Unknown, 0, summary)
    }

    fn new(verdict: Verdict, samples: u64, summary: impl Into<String>) -> Self {
        Self { verdict, value: None, threshold: None, rule: None, samples, summary: summary.into() }
    }

    /// The same with a measured value and what it was held against.
    #[must_use]
    pub fn measured(mut self, value: impl Into<String>, threshold: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self.threshold = Some(threshold.into());
        self
    }

    /// The same with the place of the rule.
    #[must_use]
    pub fn by(mut self, rule: &Location) -> Self {
        self.rule = Some(rule.clone());
        self
    }

    /// The finding, with nothing in it that is not seen, and short enough for an annotation.
    pub fn finding(self, started: Timestamp, ended: Timestamp) -> Finding {
        let Self { verdict, value, threshold, rule, samples, summary } = self;
        Finding {
            verdict,
            value: value.map(|value| text::value(&value)),
            threshold: threshold.map(|threshold| text::value(&threshold)),
            rule,
            samples,
            summary: text::summary(&summary),
            started,
            ended,
        }
    }
}
