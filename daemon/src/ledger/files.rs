//! The tree of a log: `state/NAME.json`, `state/NAMESPACE/NAME.json`, and nothing else. The same code writes it and says what it
//! has to be.

use std::collections::BTreeMap;

use gix::ObjectId;
use gix::objs::tree::{Entry, EntryKind};
use gix::objs::{Kind, Tree, WriteTo as _};
use tidegate_core::ledger::FileChange;

/// The files of one commit, by their paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, ObjectId>);

impl Files {
    /// Takes changes in. `put` writes an object, or says which id it has.
    pub fn change<E>(
        &mut self,
        changes: &[FileChange],
        mut put: impl FnMut(Kind, &[u8]) -> Result<ObjectId, E>,
    ) -> Result<(), E> {
        for FileChange { path, text } in changes {
            match text {
                Some(text) => drop(self.0.insert(path.clone(), put(Kind::Blob, text.as_bytes())?)),
                None => drop(self.0.remove(path)),
            }
        }
        Ok(())
    }

    /// The tree of all of them.
    pub fn tree<E>(&self, put: &mut impl FnMut(Kind, &[u8]) -> Result<ObjectId, E>) -> Result<ObjectId, E> {
        let files: Vec<(&str, ObjectId)> = self.0.iter().map(|(path, id)| (path.as_str(), *id)).collect();
        tree(&files, put)
    }
}

/// The tree of paths that are sorted. Their depth is bounded: names of workloads have one `/` at most.
fn tree<E>(
    files: &[(&str, ObjectId)],
    put: &mut impl FnMut(Kind, &[u8]) -> Result<ObjectId, E>,
) -> Result<ObjectId, E> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut below: BTreeMap<&str, Vec<(&str, ObjectId)>> = BTreeMap::new();
    for (path, id) in files {
        match path.split_once('/') {
            Some((folder, rest)) => below.entry(folder).or_default().push((rest, *id)),
            None => entries.push(Entry { mode: EntryKind::Blob.into(), filename: (*path).into(), oid: *id }),
        }
    }
    for (folder, files) in below {
        let oid = tree(&files, put)?;
        entries.push(Entry { mode: EntryKind::Tree.into(), filename: folder.into(), oid });
    }
    entries.sort();
    let mut bytes = Vec::new();
    // Writing to memory cannot fail; names with NUL or `/` do not get here.
    let _ = Tree { entries }.write_to(&mut bytes);
    put(Kind::Tree, &bytes)
}
