//! The bytes of one commit, as the shell hands them to the core. Not a git tree: just what was read.

mod folder;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

pub use folder::Folder;

use crate::ids::Digest;
use folder::{Folders, digest_of};

/// Files by their paths.
type Files = BTreeMap<Arc<str>, Arc<File>>;

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
/// The shell has already refused symlinks, submodules and oversized blobs inside the folders that it read. Whether a file
/// stands in a [`Folder`] that other trees hold too is seen by nobody but whoever pays for it.
#[derive(Debug, Clone, Default)]
pub struct FileTree {
    /// Files that stand in none of the folders.
    files: Files,
    folders: Folders,
}

impl FileTree {
    /// Adds (or replaces) a file.
    pub fn insert(&mut self, path: impl Into<Arc<str>>, bytes: impl Into<Box<[u8]>>) {
        self.insert_file(path, Arc::new(File::new(bytes)));
    }

    /// Adds (or replaces) a file that other trees hold too: what a commit leaves as it is stands in memory once.
    pub fn insert_file(&mut self, path: impl Into<Arc<str>>, file: Arc<File>) {
        let path = path.into();
        let folder =
            self.folders.range_mut::<str, _>((Bound::Unbounded, Bound::Excluded(path.as_ref()))).next_back();
        match folder.filter(|(begin, _)| path.starts_with(begin.as_ref())) {
            Some((_, folder)) => Arc::make_mut(folder).insert(path, file),
            None => drop(self.files.insert(path, file)),
        }
    }

    /// Adds all files of a folder; costs nothing for each of them, unless the tree has files or folders there already.
    pub fn insert_folder(&mut self, folder: Arc<Folder>) {
        let begin = folder.begin().clone();
        let inside = self.folder_over(&begin).is_some() || self.entries_below(&begin).next().is_some();
        if inside {
            for (path, file) in folder.files() {
                self.insert_file(path.clone(), file.clone());
            }
        } else {
            self.folders.insert(begin, folder);
        }
    }

    /// A file.
    pub fn file(&self, path: &str) -> Option<&Arc<File>> {
        self.files_beside(path).get(path)
    }

    /// The path of a file, as the tree holds it.
    pub fn path_of(&self, path: &str) -> Option<&str> {
        self.files_beside(path).get_key_value(path).map(|(path, _)| path.as_ref())
    }

    /// The bytes of a file.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.file(path).map(|file| file.bytes())
    }

    /// All files in order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.below("")
    }

    /// The files below a folder (`folder/…`), in order. Costs what is below it, whatever else the tree holds.
    pub fn files_below<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a str, &'a Arc<File>)> {
        self.entries_below(folder).map(|(path, file)| (path.as_ref(), file))
    }

    /// Their bytes.
    pub fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.files_below(folder).map(|(path, file)| (path, file.bytes()))
    }

    /// The digest of everything below a folder: paths and files. Costs nothing where it is one that other trees hold too.
    pub fn digest_below(&self, folder: &str) -> Digest {
        match self.folders.get(begin_of(folder).as_str()) {
            Some(folder) => folder.digest().clone(),
            None => digest_of(self.entries_below(folder)),
        }
    }

    /// True when any file stands below the folder.
    pub fn has_folder(&self, folder: &str) -> bool {
        self.below(folder).next().is_some()
    }

    /// The paths of the folders directly in a folder, in order of what they hold. Costs a look for each of them, whatever they hold.
    pub fn folders_in<'a>(&'a self, folder: &str) -> Vec<&'a str> {
        let begin = begin_of(folder);
        let mut found = Vec::new();
        let mut from = begin.clone();
        while let Some(path) = self.first_from(&from).filter(|path| path.starts_with(&begin)) {
            let end = path.get(begin.len()..).and_then(|rest| rest.find('/'));
            from = match end.and_then(|end| path.get(..begin.len() + end)) {
                Some(inner) => {
                    found.push(inner);
                    // What follows `/`: the first that could stand behind all that stands below it.
                    format!("{inner}0")
                }
                None => format!("{path}\0"),
            };
        }
        found
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len() + self.folders.values().map(|folder| folder.files().len()).sum::<usize>()
    }

    /// True when there is no file at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn entries_below<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a Arc<str>, &'a Arc<File>)> {
        let begin: Arc<str> = Arc::from(begin_of(folder));
        let inside = range(&self.folders, begin.clone()).map(|(_, folder)| folder);
        let folders = self.folder_over(&begin).into_iter().chain(inside);
        let mut shared = folders.flat_map(move |folder| range(folder.files(), begin.clone())).peekable();
        let mut loose = range(&self.files, Arc::from(begin_of(folder))).peekable();
        std::iter::from_fn(move || match (loose.peek(), shared.peek()) {
            (Some((loose_path, _)), Some((shared_path, _))) if shared_path < loose_path => shared.next(),
            (Some(_), _) => loose.next(),
            (None, _) => shared.next(),
        })
    }

    /// The first file that is not before this text.
    fn first_from(&self, from: &str) -> Option<&str> {
        let bounds = (Bound::Included(from), Bound::Unbounded);
        let next = self.folders.range::<str, _>(bounds).map(|(_, folder)| folder);
        let mut folders = self.folder_over(from).into_iter().chain(next);
        let shared = folders.find_map(|folder| folder.files().range::<str, _>(bounds).next());
        let loose = self.files.range::<str, _>(bounds).next();
        shared.into_iter().chain(loose).map(|(path, _)| path.as_ref()).min()
    }

    /// Where a file of this path stands, if anywhere.
    fn files_beside(&self, path: &str) -> &Files {
        self.folder_over(path).map_or(&self.files, |folder| folder.files())
    }

    /// The folder that this path lies in. As none stands within another one, it is the last before it.
    fn folder_over(&self, path: &str) -> Option<&Arc<Folder>> {
        let before = self.folders.range::<str, _>((Bound::Unbounded, Bound::Excluded(path))).next_back();
        before.filter(|(begin, _)| path.starts_with(begin.as_ref())).map(|(_, folder)| folder)
    }
}

/// What the paths below a folder begin with.
fn begin_of(folder: &str) -> String {
    match folder.trim_end_matches('/') {
        "" => String::new(),
        folder => format!("{folder}/"),
    }
}

/// What a map holds under keys that begin so.
fn range<V>(map: &BTreeMap<Arc<str>, V>, begin: Arc<str>) -> impl Iterator<Item = (&Arc<str>, &V)> {
    let from = (Bound::Included(begin.as_ref()), Bound::Unbounded);
    let found = map.range::<str, _>(from);
    found.take_while(move |(path, _)| path.starts_with(begin.as_ref()))
}

/// The same files under the same paths, however they are shared.
impl PartialEq for FileTree {
    fn eq(&self, other: &Self) -> bool {
        self.entries_below("").eq(other.entries_below(""))
    }
}

impl Eq for FileTree {}

impl<P: Into<Arc<str>>, B: Into<Box<[u8]>>> FromIterator<(P, B)> for FileTree {
    fn from_iter<I: IntoIterator<Item = (P, B)>>(files: I) -> Self {
        let files = files.into_iter().map(|(path, bytes)| (path.into(), Arc::new(File::new(bytes))));
        Self { files: files.collect(), folders: Folders::new() }
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
        assert_eq!(tree.folders_in(""), ["a-b", "a", "a0", "ab"]);
        assert_eq!(tree.folders_in("a"), ["a/c"]);
        assert_eq!(tree.folders_in("z").len(), 0);
    }

    /// A tree in which these folders are shared ones.
    fn shared(tree: &FileTree, folders: &[&str]) -> FileTree {
        let mut shared = FileTree::default();
        for folder in folders {
            shared.insert_folder(Arc::new(Folder::of(tree, folder)));
        }
        for (path, file) in tree.files_below("") {
            shared.insert_file(path, file.clone());
        }
        shared
    }

    #[test]
    fn nobody_sees_that_a_folder_is_shared() {
        let paths = ["a/b.yaml", "a-b/c.yaml", "a.yaml", "a/c/d.yaml", "a/c-d/x", "ab/e.yaml", "a0/f.yaml"];
        let tree: FileTree = paths.iter().map(|path| (*path, path.as_bytes())).collect();
        let cases: [&[&str]; 7] =
            [&["a"], &["a", "a-b", "ab"], &["a/c"], &["a/c", "a"], &["a", "a/c"], &[""], &["nowhere"]];
        for folders in cases {
            let shared = shared(&tree, folders);
            assert_eq!(shared, tree, "{folders:?}");
            assert_eq!((shared.len(), shared.is_empty()), (tree.len(), false), "{folders:?}");
            for folder in ["", "a", "a/", "a/c", "a/c/d.yaml", "a-b", "ab", "a0", "nowhere", "z"] {
                let below = |tree: &FileTree| {
                    tree.files_below(folder).map(|(path, _)| path.to_owned()).collect::<Vec<_>>()
                };
                assert_eq!(below(&shared), below(&tree), "{folder} of {folders:?}");
                assert_eq!(shared.digest_below(folder), tree.digest_below(folder), "{folder} of {folders:?}");
                assert_eq!(shared.folders_in(folder), tree.folders_in(folder), "{folder} of {folders:?}");
                assert_eq!(shared.has_folder(folder), tree.has_folder(folder), "{folder} of {folders:?}");
            }
            for path in paths.iter().chain(&["a", "a/c", "a/b", "", "z"]) {
                assert_eq!((shared.get(path), shared.path_of(path)), (tree.get(path), tree.path_of(path)));
            }
        }
    }

    #[test]
    fn a_file_that_is_put_into_a_shared_folder_of_one_tree_is_in_no_other() {
        let tree: FileTree = [("a/b", *b"1"), ("c", *b"2")].into_iter().collect();
        let before = shared(&tree, &["a"]);
        let mut after = before.clone();
        assert_eq!(after.digest_below("a"), before.digest_below("a"));
        after.insert("a/b", *b"3");
        after.insert("a/d", *b"4");
        assert_eq!(before, tree);
        assert_eq!((before.get("a/b"), before.get("a/d")), (Some(b"1".as_slice()), None));
        assert_eq!((after.get("a/b"), after.get("a/d")), (Some(b"3".as_slice()), Some(b"4".as_slice())));
        assert_ne!(after.digest_below("a"), before.digest_below("a"));
        let anew: FileTree = [("a/b", *b"3"), ("a/d", *b"4")].into_iter().collect();
        assert_eq!(after.digest_below("a"), anew.digest_below("a"));
    }
}
