//! Every commit of a log held against what was written: its bytes, its signature, its place in the chain, and its files.

use std::collections::{BTreeSet, HashSet};

use gix::ObjectId;
use gix::objs::{Kind, compute_hash};
use tidegate_core::ledger::{Bad, Branch, Fault, Fingerprint, Record, Signer, State, Trust, Verifier};

use super::commit::read;
use super::files::Files;
use super::store::{Log, Store, StoreError};

/// A log that is what was written.
#[derive(Debug)]
pub struct Checked {
    /// How many records there are.
    pub records: u64,
    /// The last commit.
    pub tip: Option<ObjectId>,
    /// The last record.
    pub last: Option<Record>,
    /// Who signed.
    pub keys: BTreeSet<Fingerprint>,
    /// What runs.
    pub state: State,
    /// Branches with commits that somebody else made, and their newest.
    pub foreign: Vec<(Branch, ObjectId)>,
}

/// Checks a log whole. `known`: commits that are known to belong to it from elsewhere; without one nobody can tell that its end
/// was cut off.
pub fn check(
    store: &Store,
    log: &Log,
    trust: Trust,
    known: &[ObjectId],
) -> Result<Result<Checked, Box<Bad>>, StoreError> {
    let segment = match store.segment(log) {
        Ok(segment) => segment,
        Err(error @ (StoreError::Missing { .. } | StoreError::Unreadable { .. })) => {
            return Ok(Err(Box::new(unreadable(store, log, &error))));
        }
        Err(error) => return Err(error),
    };
    let mut verifier = Verifier::new(log.branch.clone(), trust);
    let mut files = Files::default();
    let mut seen = HashSet::new();
    let mut last = None;
    let mut tree_before = None;
    for (id, joint) in &segment.commits {
        let bad = |seq, fault| Box::new(Bad { commit: id.to_string(), seq, fault });
        let seq = verifier.next();
        let raw = match store.object(*id, Kind::Commit) {
            Ok(raw) => raw,
            Err(error) => return Ok(Err(bad(seq, Fault::Object(error.to_string())))),
        };
        let taken = read(*id, &raw).map_err(|fault| bad(seq, fault));
        let taken = taken.and_then(|read| Ok((verifier.take(&read.found, *joint)?, read.tree)));
        let ((record, changes), tree) = match taken {
            Ok(taken) => taken,
            Err(bad) => return Ok(Err(bad)),
        };
        let mut put = |kind, bytes: &[u8]| held(store, &mut seen, kind, bytes);
        let built = match tree_before {
            Some(before) if changes.is_empty() => Ok(before),
            Some(_) | None => files.change(&changes, &mut put).and_then(|()| files.tree(&mut put)),
        };
        match built {
            Ok(built) if built == tree => tree_before = Some(built),
            Ok(_) => return Ok(Err(bad(seq, Fault::Tree))),
            Err(fault) => return Ok(Err(bad(seq, fault))),
        }
        last = Some(record);
    }
    let end =
        |commit: ObjectId, fault| Box::new(Bad { commit: commit.to_string(), seq: verifier.next(), fault });
    let tip = segment.commits.last().map(|(id, _)| *id);
    if let (Some(tip), Err(fault)) = (tip, verifier.end()) {
        return Ok(Err(end(tip, fault)));
    }
    let ours: HashSet<ObjectId> = segment.commits.iter().map(|(id, _)| *id).collect();
    if let Some(missing) = known.iter().find(|known| !ours.contains(*known)) {
        return Ok(Err(end(*missing, Fault::Cut(missing.to_string()))));
    }
    let mut foreign = Vec::new();
    for (branch, commits) in segment.beside {
        if let Some(signed) = commits.iter().find(|id| is_ours(store, &verifier, **id)) {
            return Ok(Err(end(*signed, Fault::Fork(branch.to_string()))));
        }
        foreign.extend(commits.first().map(|newest| (branch, *newest)));
    }
    Ok(Ok(Checked {
        records: verifier.next(),
        tip,
        last,
        keys: verifier.keys().clone(),
        state: verifier.state().clone(),
        foreign,
    }))
}

/// Who signed a commit of a log.
pub fn signer_of(store: &Store, id: ObjectId) -> Result<Signer, StoreError> {
    let raw = store.object(id, Kind::Commit)?;
    Ok(read(id, &raw).map_or_else(|fault| Signer::Invalid(fault.to_string()), |read| read.found.signer))
}

/// True for a commit that a trusted key signed: beside the log there can be none, or its end was moved back.
fn is_ours(store: &Store, verifier: &Verifier, id: ObjectId) -> bool {
    let raw = store.object(id, Kind::Commit).ok();
    let signer = raw.and_then(|raw| read(id, &raw).ok()).map(|read| read.found.signer);
    matches!(signer, Some(Signer::Key(key)) if verifier.trusts(&key))
}

/// The id of an object that has to be there, with these very bytes.
fn held(store: &Store, seen: &mut HashSet<ObjectId>, kind: Kind, bytes: &[u8]) -> Result<ObjectId, Fault> {
    let unhashed = |_| Fault::Object("an object cannot be hashed".to_owned());
    let id = compute_hash(store.repository().object_hash(), kind, bytes).map_err(unhashed)?;
    if !seen.contains(&id) {
        // Another tree than the one that is expected is missing as well: that it is another one is the better word.
        match store.object(id, kind) {
            Ok(stored) if stored == bytes => drop(seen.insert(id)),
            Ok(_) => {
                return Err(Fault::Object(format!(
                    "the {kind} {id} is damaged: its bytes are not those of its id"
                )));
            }
            Err(_) if kind == Kind::Tree => return Err(Fault::Tree),
            Err(error) => return Err(Fault::Object(error.to_string())),
        }
    }
    Ok(id)
}

/// The commit where the way back ends, before the first record was reached.
fn unreadable(store: &Store, log: &Log, error: &StoreError) -> Bad {
    let back = store.back(log).into_iter().flatten();
    let last = back.map_while(Result::ok).last();
    let seq = last.and_then(|step| step.glance()).map_or(0, |glance| glance.seq.saturating_sub(1));
    let commit = match error {
        StoreError::Missing { id, .. } | StoreError::Unreadable { id, .. } => id.clone(),
        StoreError::Open { .. } | StoreError::Git { .. } | StoreError::Limit(_) => String::new(),
    };
    Bad { commit, seq, fault: Fault::Object(error.to_string()) }
}
