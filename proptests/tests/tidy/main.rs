//! Style as a test: reads every file of the repository and says what is not as CONTRIBUTING.md asks.
//!
//! A check is a function from files to complaints. Each has two tests: the repository passes, a bad example does not.

#![expect(clippy::indexing_slicing, reason = "helpers of tests may stop where an assertion would")]

mod dependencies;
mod documents;
mod hostile;
mod purity;
mod text;
mod worlds;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A text file of the repository.
struct Source {
    /// Relative to the top, with `/`.
    path: String,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }

    /// `path:line: ` of every line that the predicate selects, with the line itself.
    fn lines_where(&self, selects: impl Fn(&str) -> bool) -> Vec<String> {
        let numbered = self.text.lines().enumerate();
        let selected = numbered.filter(|(_, line)| selects(line));
        selected.map(|(index, line)| format!("{}:{}: {}", self.path, index + 1, line.trim())).collect()
    }
}

/// The top of the repository.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is a folder of the workspace").to_owned()
}

/// What is committed, or would be by `git add --all`.
fn repository() -> Vec<Source> {
    let listing = Command::new("git")
        // Whoever runs the tests may be another user than whoever made the checkout.
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(top())
        .output()
        .expect("git is a prerequisite");
    assert!(listing.status.success(), "{}", String::from_utf8_lossy(&listing.stderr));
    let paths = String::from_utf8(listing.stdout).expect("our file names are UTF-8");
    let sources: Vec<Source> = paths.split_terminator('\0').filter_map(read).collect();
    assert!(sources.iter().filter(|source| source.is_rust()).count() > 100, "the repository was read");
    sources
}

/// None for what is not text or was deleted and not committed yet.
fn read(path: &str) -> Option<Source> {
    let text = std::fs::read_to_string(top().join(path)).ok()?;
    Some(Source { path: path.to_owned(), text })
}

/// A file of these lines, for a bad example.
fn example(path: &str, text: &str) -> Vec<Source> {
    vec![Source { path: path.to_owned(), text: text.to_owned() }]
}

fn assert_none(complaints: &[String]) {
    let mut list = String::new();
    for complaint in complaints {
        let _ = write!(list, "\n  {complaint}");
    }
    assert!(complaints.is_empty(), "{} complaints:{list}", complaints.len());
}
