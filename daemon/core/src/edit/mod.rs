//! Edits of the files in git that change one value and nothing else: comments, order, quotes and line ends stay.
//!
//! An edit is only given when the edited files were read again and differ in exactly what was asked for. Pure: who
//! asks writes the file.

mod image;
mod place;
mod substitute;

use std::ops::Range;

use crate::location::Location;
use crate::tree::FileTree;
use crate::yaml::Written;

pub use image::{ImageRequest, set_image};
pub use substitute::{SubstituteRequest, set_substitute};

/// One value of one file, and what it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Where the value stands.
    pub location: Location,
    /// Its bytes in the file.
    pub range: Range<usize>,
    /// What takes their place.
    pub text: String,
    /// The file with the edit.
    pub bytes: Vec<u8>,
    /// The line before and after; no value that may stand in a Secret.
    pub lines: Lines,
    /// True when the file says so already.
    pub is_nothing: bool,
}

/// One line of a file, before and after an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// As it was.
    pub before: String,
    /// As it is.
    pub after: String,
}

/// Why nothing is edited.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal {
    /// One sentence without a full stop.
    pub message: String,
    /// The place that it is about.
    pub location: Option<Location>,
    /// What could have been meant, or what else would change.
    pub candidates: Vec<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Refusal {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    fn at(mut self, location: &Location) -> Self {
        self.location = Some(location.clone());
        self
    }

    fn candidates(mut self, candidates: Vec<String>) -> Self {
        self.candidates = candidates;
        self
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Edit {
    /// Writes a text in the place of the scalar at a location.
    fn new(tree: &FileTree, location: &Location, written: &Written, text: &str) -> Option<Self> {
        let file = tree.get(&location.file)?;
        let replacement = if written.text == text {
            String::from_utf8(file.get(written.range.clone())?.to_vec()).ok()?
        } else {
            written.replacement(text)
        };
        let (before, after) = (file.get(..written.range.start)?, file.get(written.range.end..)?);
        let bytes = [before, replacement.as_bytes(), after].concat();
        let line = |bytes: &[u8]| {
            let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let rest = bytes.get(start..).unwrap_or_default();
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
            String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned()
        };
        let lines = Lines { before: line(file), after: line(&bytes) };
        let is_nothing = bytes == file;
        Some(Self {
            is_nothing,
            location: location.clone(),
            range: written.range.clone(),
            text: replacement,
            bytes,
            lines,
        })
    }

    /// The files with the edit.
    fn applied(&self, tree: &FileTree) -> FileTree {
        let mut tree = tree.clone();
        tree.insert(self.location.file.clone(), self.bytes.clone());
        tree
    }
}

/// The value cannot be edited in the way that it is written.
fn not_editable(location: &Location) -> Refusal {
    Refusal::new("the value is not one scalar on one line, and is not edited")
        .at(location)
        .help("write it on one line, without `|` or `>`, or edit the file by hand")
}

/// The edit would say something else than what was asked for.
fn not_exact(location: &Location, what: &str) -> Refusal {
    Refusal::new(format!("editing this value would change {what}, so nothing is edited"))
        .at(location)
        .help("an anchor or a merge may use it in several places; edit the file by hand")
}
