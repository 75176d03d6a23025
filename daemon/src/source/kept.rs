//! What the last readings of commits found, so that the next one reads what is new. Not a cache on disk, and no authority:
//! everything in it is found by git's own ids.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gix::ObjectId;
use tidegate_core::tree::{File, Folder};

/// Two readings back, because the files outside of `environments/` are read after those in it.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Known>);

/// The last readings, the newest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Known([Arc<Found>; 2]);

/// What one reading found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The folders directly in the paths that were read.
    parts: HashMap<String, Arc<Part>>,
    /// Files by their ids: those outside of the parts, and those of the part that is being read.
    pub(super) files: HashMap<ObjectId, Arc<File>>,
}

/// A folder that was read whole and without problems.
#[derive(Debug)]
pub(super) struct Part {
    /// Of git: the same id, the same files. What it holds is read alike wherever it stands, but is kept by its path, which
    /// is a part of what was found.
    pub(super) id: ObjectId,
    /// What stands in it.
    pub(super) folder: Arc<Folder>,
    /// How many files and folders it counts for, and how many bytes.
    pub(super) entries: usize,
    pub(super) bytes: u64,
    /// Its files, for when the folder is another one.
    pub(super) files: HashMap<ObjectId, Arc<File>>,
}

impl Kept {
    pub(super) fn last(&self) -> Known {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn put(&self, found: Found) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Known([last, before]) = &mut *kept;
        *before = std::mem::replace(last, Arc::new(found));
    }
}

impl Known {
    /// The folder at this path, if one with this id stood there.
    pub(super) fn part(&self, path: &str, id: ObjectId) -> Option<Arc<Part>> {
        let Self(readings) = self;
        readings.iter().filter_map(|found| found.parts.get(path)).find(|part| part.id == id).cloned()
    }

    /// A file with this id, if one stood in the same folder.
    pub(super) fn file(&self, path: &str, id: ObjectId) -> Option<Arc<File>> {
        let Self(readings) = self;
        readings.iter().find_map(|found| found.file(path, id)).cloned()
    }
}

impl Found {
    pub(super) fn add(&mut self, path: String, part: Arc<Part>) {
        self.parts.insert(path, part);
    }

    /// A path lies in one of the parts if one of the folders on its way is one.
    fn file(&self, path: &str, id: ObjectId) -> Option<&Arc<File>> {
        let above = path.match_indices('/').filter_map(|(end, _)| path.get(..end));
        let mut parts = above.filter_map(|folder| self.parts.get(folder));
        self.files.get(&id).or_else(|| parts.find_map(|part| part.files.get(&id)))
    }
}
