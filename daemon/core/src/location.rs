//! Places in the files of a commit. What reads them: every [`crate::problem::Problem`].

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A line and a column, both counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Position {
    /// The first character of a file.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// A position in a file; the path is relative to the root of the repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Path from the root of the repository, with `/`.
    pub file: Arc<str>,
    /// Where in the file.
    #[serde(flatten)]
    pub position: Position,
}

impl Location {
    /// The beginning of a file, for problems that concern the whole of it.
    pub fn file(path: &str) -> Self {
        Self { file: Arc::from(path), position: Position::START }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.position.line, self.position.column)
    }
}
