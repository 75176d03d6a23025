//! The bytes of one commit, as the shell hands them to the core. Not a git tree: just what was read.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Files by their path from the root that `--subpath` names, with `/`; sorted, so that every reading of them is deterministic.
///
/// The shell has already refused symlinks, submodules and oversized blobs inside the folders that it read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileTree {
    files: BTreeMap<Arc<str>, Arc<[u8]>>,
}

impl FileTree {
    /// Adds (or replaces) a file.
    pub fn insert(&mut self, path: impl Into<Arc<str>>, bytes: impl Into<Arc<[u8]>>) {
        self.files.insert(path.into(), bytes.into());
    }

    /// The bytes of a file.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(AsRef::as_ref)
    }

    /// All files in order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, bytes)| (path.as_ref(), bytes.as_ref()))
    }

    /// The files below a folder (`folder/…`), in order.
    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let folder = folder.trim_end_matches('/');
        self.iter().filter(move |(path, _)| {
            folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        })
    }

    /// True when any file stands below the folder.
    pub fn has_folder(&self, folder: &str) -> bool {
        self.below(folder).next().is_some()
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// True when there is no file at all.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

impl<P: Into<Arc<str>>, B: Into<Arc<[u8]>>> FromIterator<(P, B)> for FileTree {
    fn from_iter<I: IntoIterator<Item = (P, B)>>(files: I) -> Self {
        Self { files: files.into_iter().map(|(path, bytes)| (path.into(), bytes.into())).collect() }
    }
}
