//! What somebody can do who writes into the repository: objects under ids that are not theirs, commits made anew, with the daemon's
//! key and without.

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gix::ObjectId;
use gix::objs::{Commit, CommitRef, Kind, Write as _, WriteTo as _};
use std::io::Write as _;
use tidegate::ledger::SigningKey;

use crate::scene::Scene;

impl Scene {
    /// Every object of the log, with its bytes: commits, trees, blobs.
    pub fn objects(&self) -> Vec<(ObjectId, Kind, Vec<u8>)> {
        let list = crate::scene::git(&self.bare(), &["cat-file", "--batch-all-objects", "--batch-check"]);
        let list = crate::scene::succeed(list);
        let read = |line: &str| {
            let id = ObjectId::from_hex(line.split(' ').next().expect("an id").as_bytes()).expect("an id");
            let object = self.store.repository().find_object(id).expect("an object");
            (id, object.kind, object.data.clone())
        };
        list.lines().map(read).collect()
    }

    /// Puts other bytes where those of an id stand.
    pub fn replace(&self, id: ObjectId, kind: Kind, bytes: &[u8]) {
        let hex = id.to_string();
        let (folder, file) = hex.split_at(2);
        let path = self.bare().join("objects").join(folder).join(file);
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(format!("{kind} {}\0", bytes.len()).as_bytes()).expect("memory");
        encoder.write_all(bytes).expect("memory");
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, encoder.finish().expect("memory")).expect("a file");
    }

    /// Writes an object under the id that it has.
    pub fn put(&self, kind: Kind, bytes: &[u8]) -> ObjectId {
        self.store.repository().objects.write_buf(kind, bytes).expect("an object")
    }

    pub fn commit(&self, id: ObjectId) -> Commit {
        let object = self.store.repository().find_object(id).expect("a commit");
        CommitRef::from_bytes(&object.data, id.kind()).expect("a commit").into_owned().expect("a commit")
    }

    /// Makes commits anew on top of one another, signed anew where there is a key; the branch is at the last.
    pub fn rewrite(&self, commits: Vec<Commit>, key: Option<&SigningKey>) -> Vec<ObjectId> {
        let mut ids: Vec<ObjectId> = Vec::new();
        for mut commit in commits {
            commit.parents = ids.last().copied().into_iter().collect();
            if let Some(key) = key {
                commit.extra_headers.clear();
                let signature = key.sign(&bytes(&commit)).expect("a signature");
                commit.extra_headers.push(("gpgsig".into(), signature.into()));
            }
            ids.push(self.put(Kind::Commit, &bytes(&commit)));
        }
        if let Some(last) = ids.last() {
            self.point(*last);
        }
        ids
    }
}

pub fn bytes(commit: &Commit) -> Vec<u8> {
    let mut bytes = Vec::new();
    commit.write_to(&mut bytes).expect("memory");
    bytes
}
