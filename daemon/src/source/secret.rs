//! A text that must not be printed.

use std::fmt;
use std::path::Path;

/// The longest token that is read from a file.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// A token or password. `Debug` prints stars; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text from being printed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Reads the first line of a file, without the white space around it.
    pub fn from_file(path: &Path) -> std::io::Result<Self> {
        use std::io::Read as _;
        let mut text = String::new();
        std::fs::File::open(path)?.take(SECRET_BYTES_MAX).read_to_string(&mut text)?;
        Ok(Self(text.lines().next().unwrap_or_default().trim().to_owned()))
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Replaces every occurrence of the secret in a text that someone will read.
    pub fn mask(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "***") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed_and_can_be_masked() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(secret.mask("the token hunter2 is wrong"), "the token *** is wrong");
        assert_eq!(Secret::new("").mask("text"), "text");
    }

    #[test]
    fn a_file_gives_its_first_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        std::fs::write(&file, "  abc \nsecond line\n").expect("written");
        assert_eq!(Secret::from_file(&file).expect("read").expose(), "abc");
    }
}
