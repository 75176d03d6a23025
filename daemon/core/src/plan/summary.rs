//! A plan in one line.

use std::fmt;

use super::Plan;

/// How many objects a plan does what with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Created or created again.
    pub create: usize,
    /// Changed, repaired or taken over.
    pub change: usize,
    /// Deleted.
    pub delete: usize,
    /// To be inspected by a dry-run first.
    pub inspect: usize,
    /// Left alone for a reason.
    pub wait: usize,
}

impl Plan {
    /// True when nothing is done, inspected, forgotten or recorded; objects may still wait.
    pub fn is_idle(&self) -> bool {
        let Self { stages, inspect, waiting: _, problems: _, forget, accept } = self;
        stages.is_empty() && inspect.is_empty() && forget.is_empty() && accept.is_empty()
    }

    /// How many objects it does what with.
    pub fn counts(&self) -> Counts {
        Counts::default()
    }

    /// One line: `2 to create, 1 to change, 1 to delete; 1 waits`.
    pub fn summary(&self) -> String {
        self.counts().to_string()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { create: _, change: _, delete: _, inspect: _, wait: _ } = self;
        f.write_str("nothing to do")
    }
}
