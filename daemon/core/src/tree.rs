//! The bytes of one commit, as the shell hands them to the core. Not a git tree: just what was read.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::ids::Digest;

/// One file: its bytes, and their digest, which is asked for with every commit that leaves the file as it is.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    bytes: Box<[u8]>,
    digest: Digest,
}

impl File {
    /// A file with these bytes.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self { digest: Digest::of(&bytes), bytes }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Their digest.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// Files by their path from the root that `--subpath` names, with `/`; sorted, so that every reading of them is deterministic.
///
/// The shell has already refused symlinks, submodules and oversized blobs inside the folders that it read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileTree {
    files: BTreeMap<Arc<str>, Arc<File>>,
}

impl FileTree {
    /// Adds (or replaces) a file.
    pub fn insert(&mut self, path: impl Into<Arc<str>>, bytes: impl Into<Box<[u8]>>) {
        self.insert_file(path, Arc::new(File::new(bytes)));
    }

    /// Adds (or replaces) a file that other trees hold too: what a commit leaves as it is stands in memory once.
    pub fn insert_file(&mut self, path: impl Into<Arc<str>>, file: Arc<File>) {
        self.files.insert(path.into(), file);
    }

    /// A file.
    pub fn file(&self, path: &str) -> Option<&Arc<File>> {
        self.files.get(path)
    }

    /// The path of a file, as the tree holds it.
    pub fn path_of(&self, path: &str) -> Option<&str> {
        self.files.get_key_value(path).map(|(path, _)| path.as_ref())
    }

    /// The bytes of a file.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(|file| file.bytes())
    }

    /// All files in order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, file)| (path.as_ref(), file.bytes()))
    }

    /// The files below a folder (`folder/…`), in order. Costs what is below it, whatever else the tree holds.
    pub fn files_below<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a str, &'a Arc<File>)> {
        let folder = folder.trim_end_matches('/');
        let begin = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let from = (Bound::Included(begin.as_str()), Bound::Unbounded);
        let found = self.files.range::<str, _>(from);
        found
            .map(|(path, file)| (path.as_ref(), file))
            .take_while(move |(path, _): &(&str, _)| path.starts_with(begin.as_str()))
    }

    /// Their bytes.
    pub fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.files_below(folder).map(|(path, file)| (path, file.bytes()))
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

impl<P: Into<Arc<str>>, B: Into<Box<[u8]>>> FromIterator<(P, B)> for FileTree {
    fn from_iter<I: IntoIterator<Item = (P, B)>>(files: I) -> Self {
        let files = files.into_iter().map(|(path, bytes)| (path.into(), Arc::new(File::new(bytes))));
        Self { files: files.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_holds_what_stands_below_it_and_not_its_neighbours_of_a_similar_name() {
        let paths = ["a/b.yaml", "a-b/c.yaml", "a.yaml", "a/c/d.yaml", "ab/e.yaml", "a0/f.yaml"];
        let tree: FileTree = paths.iter().map(|path| (*path, Vec::new())).collect();
        let below = |folder: &str| tree.below(folder).map(|(path, _)| path.to_owned()).collect::<Vec<_>>();
        assert_eq!(below("a"), ["a/b.yaml", "a/c/d.yaml"]);
        assert_eq!(below("a/"), below("a"));
        assert_eq!(below("").len(), paths.len());
        assert!(tree.has_folder("a/c") && !tree.has_folder("a.yaml") && !tree.has_folder("z"));
    }
}
