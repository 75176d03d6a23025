//! How much one file may cost to read.

/// Limits on one file; beyond any of them it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of the file.
    pub bytes: usize,
    /// Nodes of all its documents, those that aliases and merges copy included.
    pub nodes: usize,
    /// Levels of nesting.
    pub depth: usize,
    /// Aliases and merged mappings.
    pub aliases: usize,
}

impl Budget {
    /// Far beyond what people write: the largest bundles of CustomResourceDefinitions have about 2.5 MB and 100,000 nodes.
    /// What is nested deeper than 128 levels could be sent, and the API server's answer not be read.
    pub const DEFAULT: Self = Self { bytes: 4 * 1024 * 1024, nodes: 1_000_000, depth: 120, aliases: 10_000 };
}

impl Default for Budget {
    fn default() -> Self {
        Self::DEFAULT
    }
}
