//! One record as a git commit: its tree, its parent, its times, its message, and the signature over all of that.

use gix::ObjectId;
use gix::bstr::{BString, ByteSlice as _};
use gix::objs::{Commit, CommitRef, Kind, WriteTo as _, compute_hash};
use tidegate_core::ledger::{Fault, Found, Record, Signer, message};

use super::key::{SigningKey, signer};

/// Who all commits are by: the record says more.
const NAME: &str = "tidegate";
const EMAIL: &str = "deploylog@tidegate.invalid";
/// The header of a signature (git's commit format).
const SIGNATURE: &str = "gpgsig";
/// No record is larger as a commit; what is larger is not read.
pub const MAX_COMMIT_BYTES: usize = 262_144;

/// A commit, and the tree that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// What is checked of it.
    pub found: Found,
    /// Its tree.
    pub tree: ObjectId,
}

/// The bytes of a signed commit.
pub fn signed(
    record: &Record,
    tree: ObjectId,
    parent: Option<ObjectId>,
    committer_seconds: i64,
    key: &SigningKey,
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let by = |seconds| gix::actor::Signature {
        name: NAME.into(),
        email: EMAIL.into(),
        time: gix::date::Time { seconds, offset: 0 },
    };
    let mut commit = Commit {
        tree,
        parents: parent.into_iter().collect(),
        author: by(record.outcome.times.finished.as_second()),
        committer: by(committer_seconds),
        encoding: None,
        message: message(record)?.into(),
        extra_headers: Vec::new(),
    };
    let signature = key.sign(&bytes(&commit)?)?;
    commit.extra_headers.push((SIGNATURE.into(), signature.into()));
    Ok(bytes(&commit)?)
}

fn bytes(commit: &Commit) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    commit.write_to(&mut bytes)?;
    Ok(bytes)
}

/// Reads a commit. Its bytes must be those of its id, and in the one form that is written.
pub fn read(id: ObjectId, raw: &[u8]) -> Result<Read, Fault> {
    let damaged = |why: &str| Fault::Object(format!("its commit {why}"));
    if compute_hash(id.kind(), Kind::Commit, raw).ok() != Some(id) {
        return Err(damaged("is damaged: its bytes are not those of its id"));
    }
    let parsed = CommitRef::from_bytes(raw, id.kind()).map_err(|_| damaged("cannot be read"))?;
    let mut commit = parsed.into_owned().map_err(|_| damaged("cannot be read"))?;
    if bytes(&commit).ok().as_deref() != Some(raw) {
        return Err(damaged("is not written as git writes it"));
    }
    let message = commit.message.to_str().map_err(|_| damaged("is not UTF-8"))?.to_owned();
    let signature = signature(&mut commit)?;
    let signer = match signature {
        None => Signer::Nobody,
        Some(armoured) => {
            let payload = bytes(&commit).map_err(|_| damaged("cannot be written"))?;
            let armoured = armoured.to_str_lossy();
            // The parser leaves the line break at the end of the header.
            signer(&payload, armoured.strip_suffix('\n').unwrap_or(&armoured))
        }
    };
    Ok(Read {
        tree: commit.tree,
        found: Found {
            commit: id.to_string(),
            parents: commit.parents.iter().map(ToString::to_string).collect(),
            author_seconds: commit.author.time.seconds,
            committer_seconds: commit.committer.time.seconds,
            message,
            signer,
        },
    })
}

/// Takes the signature out of a commit: what is left is what it is over. No other header is ours.
fn signature(commit: &mut Commit) -> Result<Option<BString>, Fault> {
    let mut headers = std::mem::take(&mut commit.extra_headers);
    match (headers.pop(), headers.is_empty()) {
        (None, _) => Ok(None),
        (Some((name, value)), true) if name == SIGNATURE => Ok(Some(value)),
        (Some(_), _) => Err(Fault::Object("its commit has headers that no record has".to_owned())),
    }
}
