//! A folder that trees of several commits hold in common. Not git's tree object: its files by their whole paths.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::{File, FileTree, Files, begin_of};
use crate::ids::Digest;

/// All files below one path. A commit that leaves the folder as it is costs a reference to it, however much it holds.
#[derive(Debug, Clone)]
pub struct Folder {
    /// The path with a `/` at its end (empty for the root); every file's path begins with it.
    begin: Arc<str>,
    files: Files,
    digest: OnceLock<Digest>,
}

impl Folder {
    /// What a tree holds below a path.
    pub fn of(tree: &FileTree, path: &str) -> Self {
        let begin = Arc::from(begin_of(path));
        let files = tree.entries_below(path).map(|(path, file)| (path.clone(), file.clone())).collect();
        Self { begin, files, digest: OnceLock::new() }
    }

    pub(super) fn begin(&self) -> &Arc<str> {
        &self.begin
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    pub(super) fn insert(&mut self, path: Arc<str>, file: Arc<File>) {
        self.files.insert(path, file);
        self.digest = OnceLock::new();
    }

    /// The digest of its paths and files; made once.
    pub(super) fn digest(&self) -> &Digest {
        self.digest.get_or_init(|| digest_of(self.files.iter()))
    }
}

/// The digest of paths and what stands there. Paths hold no line ends: the shell refuses them.
pub(super) fn digest_of<'a>(files: impl Iterator<Item = (&'a Arc<str>, &'a Arc<File>)>) -> Digest {
    let mut text = String::new();
    for (path, file) in files {
        text.push_str(path);
        text.push(' ');
        text.push_str(file.digest().as_str());
        text.push('\n');
    }
    Digest::of(text.as_bytes())
}

/// The folders of a tree, by the path with a `/` at its end. None stands within another one.
pub(super) type Folders = BTreeMap<Arc<str>, Arc<Folder>>;
