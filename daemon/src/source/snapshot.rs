//! Files of a commit, read from the object database alone. Nothing is ever written to a worktree.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use gix::ObjectId;
use gix::objs::tree::{EntryKind, EntryMode};
use tidegate_core::ids::CommitId;
use tidegate_core::location::Location;
use tidegate_core::problem::{Code, Problem};
use tidegate_core::tree::{File, FileTree, Folder};

use super::config::{Limits, SourceConfig as Config};
use super::error::SourceError;
use super::history::find;
use super::kept::{Found, Kept, Known, Part};
use super::mirror::{Listing, Mirror, TreeIds};
use super::paths::{distinct, join, plain, prefix};
use super::revision::{Partial, Snapshot};

/// The most problems of one reading that are named.
const PROBLEMS_MAX: usize = 100;
/// The largest folder, as git stores it.
const TREE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// An entry and its name; a name that is not plain text is an `Err`.
type Named = (Result<String, String>, Entry);

/// An entry of a folder of the commit.
#[derive(Debug, Clone, Copy)]
struct Entry {
    mode: EntryMode,
    id: ObjectId,
}

impl Mirror {
    /// The files at or below these paths; all problems at once. Paths that do not exist are simply not there.
    pub fn read(&self, commit: &CommitId, paths: &[String]) -> Result<Snapshot, Vec<Problem>> {
        self.read_partly(commit, paths)?.whole()
    }

    /// The files at or below these paths, and what stands there that cannot be read. A damaged cache or an exceeded
    /// budget is an error of the whole: who knows what else is missing.
    pub fn read_partly(&self, commit: &CommitId, paths: &[String]) -> Result<Partial, Vec<Problem>> {
        let (repository, root) = self.root(commit).map_err(|error| vec![error.problem()])?;
        let unreadable = self.on_unreadable();
        let Config { subpath, limits, .. } = self.config();
        let kept = self.kept();
        read_files(
            &Place { repository: &repository, root, limits, unreadable: &unreadable, kept },
            subpath,
            paths,
        )
    }

    /// The ids of these paths. Ids of what is not a folder carry their mode: it matters too.
    pub fn tree_ids(&self, commit: &CommitId, paths: &[String]) -> Result<TreeIds, Problem> {
        let subpath = plain(&self.config().subpath)?;
        let (repository, root) = self.root(commit).map_err(|error| error.problem())?;
        let (unreadable, limits) = (self.on_unreadable(), &self.config().limits);
        let kept = self.kept();
        let place = Place { repository: &repository, root, limits, unreadable: &unreadable, kept };
        let walk = Walk::new(&place, &subpath);
        let mut ids = TreeIds::new();
        for path in paths {
            let entry = walk.lookup(root, &join(&subpath, &plain(path)?))?;
            let id = entry.map(|Entry { mode, id }| match mode.kind() {
                EntryKind::Tree => id.to_string(),
                EntryKind::Blob | EntryKind::BlobExecutable | EntryKind::Link | EntryKind::Commit => {
                    format!("{:o}:{id}", mode.value())
                }
            });
            ids.insert(path.clone(), id);
        }
        Ok(ids)
    }

    /// The folders directly below a path. What stands there in place of a folder is named as a problem, so that an
    /// environment that became a symlink is not taken for one that was removed.
    pub fn folders(&self, commit: &CommitId, path: &str) -> Result<Listing, Problem> {
        let subpath = plain(&self.config().subpath)?;
        let path = join(&subpath, &plain(path)?);
        let (repository, root) = self.root(commit).map_err(|error| error.problem())?;
        let (unreadable, limits) = (self.on_unreadable(), &self.config().limits);
        let kept = self.kept();
        let place = Place { repository: &repository, root, limits, unreadable: &unreadable, kept };
        let walk = Walk::new(&place, &subpath);
        let mut listing = Listing::default();
        let Some(Entry { mode, id }) = walk.lookup(root, &path)? else { return Ok(listing) };
        if !mode.is_tree() {
            return Err(odd_entry(&path, mode));
        }
        for (name, entry) in &walk.entries(id, &path)? {
            match (name, entry.mode.kind()) {
                (Ok(name), EntryKind::Tree) => listing.folders.push(name.clone()),
                (Ok(_), EntryKind::Blob | EntryKind::BlobExecutable) => {}
                (Ok(name), EntryKind::Link | EntryKind::Commit) => {
                    listing.problems.push(odd_entry(&join(&path, name), entry.mode));
                }
                (Err(name), _) => listing.problems.push(odd_name(&path, name)),
            }
        }
        Ok(listing)
    }

    /// An object of our own mirror that cannot be read.
    fn on_unreadable(&self) -> impl Fn(&str) -> Problem {
        |reason| self.unreadable(reason).problem()
    }

    fn root(&self, commit: &CommitId) -> Result<(gix::Repository, ObjectId), SourceError> {
        let repository = self.repository()?;
        let tree = find(&repository, commit)?
            .tree_id()
            .map_err(|error| self.unreadable(&error.to_string()))?
            .detach();
        Ok((repository, tree))
    }
}

/// The folder of a commit that is read, and how.
#[derive(Clone, Copy)]
pub(super) struct Place<'r> {
    /// The repository.
    pub repository: &'r gix::Repository,
    /// The root of the commit.
    pub root: ObjectId,
    /// What is too much.
    pub limits: &'r Limits,
    /// What is said about an object that cannot be read.
    pub unreadable: &'r dyn Fn(&str) -> Problem,
    /// What earlier readings found.
    pub kept: &'r Kept,
}

/// The files at or below these paths of a sub-path, and what stands there that cannot be read.
pub(super) fn read_files(
    place: &Place<'_>,
    subpath: &str,
    paths: &[String],
) -> Result<Partial, Vec<Problem>> {
    let paths = distinct(paths)?;
    let subpath = plain(subpath).map_err(|problem| vec![problem])?;
    let mut walk = Walk::new(place, &subpath);
    for path in paths {
        match walk.lookup(place.root, &join(&subpath, &path)) {
            Ok(Some(entry)) => drop(walk.read(&entry, path)),
            Ok(None) => {}
            Err(problem) => walk.note(problem),
        }
    }
    walk.finish()
}

/// One reading: what was found, and how much of the budget is left.
struct Walk<'r> {
    unreadable: &'r dyn Fn(&str) -> Problem,
    repository: &'r gix::Repository,
    prefix: String,
    limits: Limits,
    tree: FileTree,
    problems: Vec<Problem>,
    entries: usize,
    bytes: u64,
    /// Everything that is not in the tree stands among the problems.
    complete: bool,
    keeper: &'r Kept,
    kept: Known,
    found: Found,
}

impl<'r> Walk<'r> {
    fn new(place: &Place<'r>, subpath: &str) -> Self {
        Self {
            unreadable: place.unreadable,
            repository: place.repository,
            prefix: prefix(subpath),
            limits: place.limits.clone(),
            tree: FileTree::default(),
            problems: Vec::new(),
            entries: 0,
            bytes: 0,
            complete: true,
            keeper: place.kept,
            kept: place.kept.last(),
            found: Found::default(),
        }
    }

    fn finish(self) -> Result<Partial, Vec<Problem>> {
        let Self { tree, mut problems, prefix, complete, keeper, found, .. } = self;
        keeper.put(found);
        let complete = complete && problems.len() < PROBLEMS_MAX;
        problems.truncate(PROBLEMS_MAX);
        if complete { Ok(Partial { snapshot: Snapshot { tree, prefix }, problems }) } else { Err(problems) }
    }

    /// An entry that is not read. Unless it is known what it is, nothing is known to be complete.
    fn note(&mut self, problem: Problem) {
        self.complete &= problem.code == Code::TreeEntry;
        self.problems.push(problem);
    }

    /// The entry at a path from the root of the commit. A symlink on the way is a problem, not an absence.
    fn lookup(&self, root: ObjectId, path: &str) -> Result<Option<Entry>, Problem> {
        let mut at = Entry { mode: EntryKind::Tree.into(), id: root };
        let mut seen = String::new();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            match at.mode.kind() {
                EntryKind::Tree => {}
                EntryKind::Blob | EntryKind::BlobExecutable => return Ok(None),
                EntryKind::Link | EntryKind::Commit => return Err(odd_entry(&seen, at.mode)),
            }
            let entries = self.entries(at.id, &seen)?;
            let Some((_, entry)) = entries.iter().find(|(name, _)| name.as_deref() == Ok(part)) else {
                return Ok(None);
            };
            at = *entry;
            seen = join(&seen, part);
        }
        Ok(Some(at))
    }

    /// The entries of one folder; names that are not plain text as `Err`.
    fn entries(&self, tree: ObjectId, path: &str) -> Result<Vec<Named>, Problem> {
        self.check_size(tree, TREE_BYTES_MAX, path)?;
        let unreadable = |error: &dyn std::fmt::Display| self.unreadable(path, &error.to_string());
        let tree = self.repository.find_tree(tree).map_err(|error| unreadable(&error))?;
        let decoded = tree.decode().map_err(|error| unreadable(&error))?;
        let entries = decoded.entries.iter().map(|entry| {
            let shown = entry.filename.to_string();
            let fit = std::str::from_utf8(entry.filename).is_ok()
                && !shown.chars().any(|c| c.is_control() || c == '/')
                && !matches!(shown.as_str(), "" | "." | "..");
            (if fit { Ok(shown) } else { Err(shown) }, Entry { mode: entry.mode, id: entry.oid.to_owned() })
        });
        Ok(entries.collect())
    }

    /// Reads an entry and all below it. Folders directly in it are taken as they are known.
    fn read(&mut self, entry: &Entry, path: String) -> ControlFlow<()> {
        for (entry, path) in self.open(entry, path, 0)? {
            if entry.mode.is_tree() && is_usual(entry.mode) {
                self.part(&entry, path)?;
            } else {
                self.open(&entry, path, 1)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// A folder and all below it: as it was found before, if it is the same one, else read.
    fn part(&mut self, entry: &Entry, path: String) -> ControlFlow<()> {
        if let Some(part) = self.kept.part(&path, entry.id).filter(|part| self.affords(part)) {
            self.entries += part.entries;
            self.bytes += part.bytes;
            self.tree.insert_folder(part.folder.clone());
            self.found.add(path, part);
            return ControlFlow::Continue(());
        }
        let (entries, bytes, problems) = (self.entries, self.bytes, self.problems.len());
        let outside = std::mem::take(&mut self.tree);
        let files = std::mem::take(&mut self.found.files);
        let done = self.read_whole(entry, path.clone());
        let inside = std::mem::replace(&mut self.tree, outside);
        let files = std::mem::replace(&mut self.found.files, files);
        let folder = Arc::new(Folder::of(&inside, &path));
        self.tree.insert_folder(folder.clone());
        // Only what was read without a word is taken unread the next time.
        if done.is_continue() && self.problems.len() == problems {
            let (entries, bytes) = (self.entries - entries, self.bytes - bytes);
            self.found.add(path, Arc::new(Part { id: entry.id, folder, entries, bytes, files }));
        }
        done
    }

    /// Reads a folder that stands directly in a path that is read.
    fn read_whole(&mut self, entry: &Entry, path: String) -> ControlFlow<()> {
        let mut waiting = vec![(*entry, path, 1_usize)];
        while let Some((entry, path, depth)) = waiting.pop() {
            let inside = self.open(&entry, path, depth)?;
            waiting.extend(inside.into_iter().rev().map(|(entry, path)| (entry, path, depth + 1)));
        }
        ControlFlow::Continue(())
    }

    /// Takes in one entry; what is to be read below it, in order. Breaks off when there are too many entries or problems.
    fn open(&mut self, entry: &Entry, path: String, depth: usize) -> ControlFlow<(), Vec<(Entry, String)>> {
        if self.problems.len() >= PROBLEMS_MAX || !self.within_budget(&path, depth) {
            return ControlFlow::Break(());
        }
        let shown = format!("{}{path}", self.prefix);
        let mut inside = Vec::new();
        let done = match entry.mode.kind() {
            EntryKind::Blob | EntryKind::BlobExecutable if is_usual(entry.mode) => {
                self.file(entry.id, &shown, path)
            }
            EntryKind::Tree if is_usual(entry.mode) => self.entries(entry.id, &shown).map(|entries| {
                let mut names = BTreeSet::new();
                for (name, entry) in &entries {
                    match name {
                        Ok(name) if names.insert(name.as_str()) => inside.push((*entry, join(&path, name))),
                        Ok(name) | Err(name) => self.note(odd_name(&shown, name)),
                    }
                }
            }),
            EntryKind::Blob
            | EntryKind::BlobExecutable
            | EntryKind::Tree
            | EntryKind::Link
            | EntryKind::Commit => Err(odd_entry(&shown, entry.mode)),
        };
        if let Err(problem) = done {
            self.note(problem);
        }
        ControlFlow::Continue(inside)
    }

    /// Whether a known folder fits into what is left of the budget. One that does not is read, to say where it ends.
    fn affords(&self, part: &Part) -> bool {
        self.problems.len() < PROBLEMS_MAX
            && self.entries + part.entries <= self.limits.files
            && self.bytes.saturating_add(part.bytes) <= self.limits.total_bytes
    }

    /// Counts an entry; false (with a problem) when there are too many or they lie too deep.
    fn within_budget(&mut self, path: &str, depth: usize) -> bool {
        self.entries += 1;
        let limits = &self.limits;
        let over = if self.entries > limits.files {
            format!("more than {} files and folders are to be read", limits.files)
        } else if depth > limits.depth {
            format!("folders lie more than {} deep", limits.depth)
        } else {
            return true;
        };
        self.complete = false;
        self.problems.push(too_much(&format!("{}{path}", self.prefix), &over));
        false
    }

    fn file(&mut self, id: ObjectId, shown: &str, path: String) -> Result<(), Problem> {
        let known = self.kept.file(&path, id);
        let size = match &known {
            // It was within the limit of one file when it was read.
            Some(file) => file.bytes().len() as u64,
            None => self.check_size(id, self.limits.file_bytes, shown)?,
        };
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.limits.total_bytes {
            let over = format!("more than {} bytes are to be read", self.limits.total_bytes);
            // The rest would only repeat it.
            self.entries = self.limits.files;
            self.complete = false;
            return Err(too_much(shown, &over));
        }
        let file = if let Some(file) = known {
            file
        } else {
            let blob = self.repository.find_blob(id);
            let mut blob = blob.map_err(|error| self.unreadable(shown, &error.to_string()))?;
            Arc::new(File::new(blob.take_data()))
        };
        self.found.files.insert(id, file.clone());
        self.tree.insert_file(path, file);
        Ok(())
    }

    /// The size of an object, read before the object is.
    fn check_size(&self, id: ObjectId, limit: u64, path: &str) -> Result<u64, Problem> {
        let header =
            self.repository.find_header(id).map_err(|error| self.unreadable(path, &error.to_string()))?;
        match header.size() {
            size if size <= limit => Ok(size),
            size => Err(too_much(path, &format!("it has {size} bytes, and at most {limit} are read"))),
        }
    }

    fn unreadable(&self, path: &str, reason: &str) -> Problem {
        (self.unreadable)(&format!("{path}: {reason}")).at(Location::file(path))
    }
}

/// The modes that git writes today, and the group-writable files of its first years.
fn is_usual(mode: EntryMode) -> bool {
    matches!(mode.value(), 0o100_644 | 0o100_755 | 0o100_664 | 0o040_000)
}

pub(super) fn too_much(path: &str, over: &str) -> Problem {
    Problem::error(Code::TreeEntry, format!("`{path}` is not read: {over}"))
        .at(Location::file(path))
        .help("keep what is not desired state out of the folders that environments read")
}

fn odd_entry(path: &str, mode: EntryMode) -> Problem {
    let what = match mode.kind() {
        EntryKind::Link => "a symlink".to_owned(),
        EntryKind::Commit if mode.value() == 0o160_000 => "a submodule".to_owned(),
        EntryKind::Blob | EntryKind::BlobExecutable | EntryKind::Tree | EntryKind::Commit => {
            format!("an entry of mode {:o}", mode.value())
        }
    };
    unfit(path, &what)
}

/// An entry that is neither file nor folder.
pub(super) fn unfit(path: &str, what: &str) -> Problem {
    Problem::error(Code::TreeEntry, format!("`{path}` is {what}; only files and folders are read"))
        .at(Location::file(path))
        .help("put the file itself there")
}

fn odd_name(folder: &str, name: &str) -> Problem {
    let shown: String = name.chars().flat_map(char::escape_default).collect();
    Problem::error(
        Code::TreeEntry,
        format!("`{folder}` has an entry `{shown}`, whose name stands twice or is not plain text"),
    )
    .at(Location::file(folder))
    .help("rename it")
}
