//! Whether a log that comes from the remote is still ours, and where it goes on. Reads the repository, changes nothing.
//!
//! A commit is ours when one of our keys signed it, and it is the record that comes next in this very log: a signed record of another
//! environment, another epoch, or out of its place is not. A branch is as we left it when it holds what we have pushed. Both must
//! hold. So a daemon that lost its disk, and one whose deputy wrote meanwhile with the same key, go on where the remote stands; while
//! a branch that somebody wrote on, moved back, replaced or took away is left as it is, and told.
//!
//! Trees are not built here: our signature is over them. `check` does that for whoever does not believe us.

use std::collections::BTreeSet;

use gix::ObjectId;
use gix::objs::Kind;
use tidegate_core::ids::short;
use tidegate_core::ledger::{Branch, Fingerprint, Trust, Verifier};

use super::HEADS;
use crate::ledger::commit::read;
use crate::ledger::name::LogName;
use crate::ledger::remote::Tips;
use crate::ledger::store::{Log, Segment, Store, StoreError};

/// We never pass over more epochs than this. What lies further above is of somebody who makes branches, and is not looked at: it would
/// use the numbers up.
const GAP: u32 = 64;
/// Branches of the remote that are held against our keys, from the newest one down.
const LOOKED_AT: usize = 64;

/// How the log of the remote stands to ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopted {
    /// It is ours: records go on its branch.
    Ours {
        /// Which.
        branch: Branch,
        /// Where the remote has it; none: it is not there and never was.
        remote: Option<ObjectId>,
    },
    /// Somebody else wrote on its branch, moved it back, replaced it or took it away. It is left as it is; records go on another one.
    Foreign {
        /// Which.
        branch: Branch,
        /// What stands there; none: nothing does.
        found: Option<ObjectId>,
        /// The next branch that the remote does not have.
        next: Branch,
        /// What is wrong with it.
        reason: String,
    },
}

/// A commit that the remote had, and on which branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub branch: Branch,
    pub tip: ObjectId,
}

/// Where an own branch goes.
type Move = (Branch, ObjectId);

/// How the tips of the remote stand to the own branches, and which own branch is to be moved where.
pub fn decide(
    store: &Store,
    log: &LogName,
    remote: &Tips,
    mark: Option<&Mark>,
    known: Option<ObjectId>,
    keys: &BTreeSet<Fingerprint>,
) -> Result<(Adopted, Option<Move>), StoreError> {
    let own = store.branches(HEADS)?.into_iter().filter(|(branch, _)| log.has(branch)).max();
    let own = own.map(|(branch, tip)| Mark { branch, tip });
    let known = known.filter(|known| mark.is_none_or(|mark| mark.tip != *known));
    let pushed = mark.map(|mark| mark.tip).into_iter().chain(known).collect();
    let first = own.as_ref().map_or(0, |own| own.branch.epoch);
    let case = Case { store, log, remote: within_reach(remote, first), pushed, keys };
    match own {
        Some(own) => case.standing(&own, mark),
        None => Ok(case.fresh()),
    }
}

fn within_reach(remote: &Tips, first: u32) -> Tips {
    let mut last = first;
    let mut within = Tips::new();
    for (epoch, tip) in remote {
        if epoch.saturating_sub(last) > GAP {
            break;
        }
        last = last.max(*epoch);
        within.insert(*epoch, *tip);
    }
    within
}

struct Case<'a> {
    store: &'a Store,
    log: &'a LogName,
    remote: Tips,
    /// What has to be part of a log of ours.
    pushed: Vec<ObjectId>,
    keys: &'a BTreeSet<Fingerprint>,
}

/// The beginning of a branch that is ours.
struct Proven {
    /// Its last commit that is ours, and the epoch that this is of.
    last: Option<(ObjectId, u32)>,
    /// All its commits that are ours.
    commits: BTreeSet<ObjectId>,
    /// Why the rest is not; none: all of it is.
    fault: Option<String>,
}

impl Case<'_> {
    /// With a log of our own on the disk.
    fn standing(&self, own: &Mark, mark: Option<&Mark>) -> Result<(Adopted, Option<Move>), StoreError> {
        let epoch = own.branch.epoch;
        // A deputy of ours may have left the branch for another one.
        if let Some(later) = self.newest(Some(epoch)) {
            return Ok(later);
        }
        let (adopted, moved) = self.own_branch(own, mark)?;
        match (adopted, self.remote.last_key_value()) {
            // Nobody would look for our records below a newer epoch of somebody else's.
            (Adopted::Ours { branch, .. }, Some((newest, found))) if *newest > epoch => {
                let reason = format!("{} is not ours", self.log.branch(*newest));
                Ok((self.foreign(branch, Some(*found), reason), moved))
            }
            (adopted, _) => Ok((adopted, moved)),
        }
    }

    /// The remote's branch of the epoch that we stand at.
    fn own_branch(&self, own: &Mark, mark: Option<&Mark>) -> Result<(Adopted, Option<Move>), StoreError> {
        let branch = own.branch.clone();
        let Some(tip) = self.remote.get(&branch.epoch).copied() else {
            return Ok((self.absent(branch, mark)?, None));
        };
        let ours = Adopted::Ours { branch: branch.clone(), remote: Some(tip) };
        if tip == own.tip && self.pushed.iter().all(|pushed| *pushed == tip) {
            return Ok((ours, None));
        }
        let chain = |tip| Ok::<_, StoreError>(ids(&self.segment(branch.epoch, tip)?));
        // Ours must be readable; what somebody else points to need not be.
        let standing = chain(own.tip)?;
        let found = chain(tip).unwrap_or_default();
        if let Some(missing) = self.pushed.iter().find(|pushed| !found.contains(*pushed)) {
            return Ok((self.foreign(branch, Some(tip), lacks(*missing)), None));
        }
        if standing.contains(&tip) {
            return Ok((ours, None));
        }
        let Proven { last, commits, fault } = self.prove(branch.epoch, tip);
        match fault {
            // Records of ours that were not pushed stand beside it then, and go: they are written again.
            None => Ok((ours, Some((branch, tip)))),
            Some(reason) => {
                // What a deputy wrote before somebody else did is part of the log that goes on.
                let last = last.filter(|(_, epoch)| *epoch == branch.epoch && commits.contains(&own.tip));
                let moved = last.map(|(last, _)| (branch.clone(), last));
                Ok((self.foreign(branch, Some(tip), reason), moved))
            }
        }
    }

    /// The remote lacks the branch: it was never pushed, or somebody took it away.
    fn absent(&self, branch: Branch, mark: Option<&Mark>) -> Result<Adopted, StoreError> {
        let mut pushed_here = mark.is_some_and(|mark| mark.branch == branch);
        for pushed in self.pushed.iter().filter(|pushed| mark.is_none_or(|mark| mark.tip != **pushed)) {
            // One that is not even here was pushed by a deputy, to this branch or a later one.
            let here = self.store.repository().has_object(*pushed);
            pushed_here |= !here || self.store.told(*pushed)?.0.record.epoch >= branch.epoch;
        }
        if pushed_here {
            return Ok(self.foreign(branch, None, "it was pushed, and is gone".to_owned()));
        }
        Ok(Adopted::Ours { branch, remote: None })
    }

    /// Without a log on the disk: a new one, or one that was lost.
    fn fresh(&self) -> (Adopted, Option<Move>) {
        if let Some(found) = self.newest(None) {
            return found;
        }
        let branch = self.log.branch(0);
        match (self.remote.last_key_value(), self.pushed.first()) {
            (None, None) => (Adopted::Ours { branch, remote: None }, None),
            (None, Some(_)) => (self.foreign(branch, None, "it was pushed, and is gone".to_owned()), None),
            (Some((epoch, found)), _) => {
                let reason = format!("{} is not ours", self.log.branch(*epoch));
                (self.foreign(branch, Some(*found), reason), None)
            }
        }
    }

    /// The newest branch of the remote, above an epoch, that has a record of ours of its own epoch; none where there is none.
    fn newest(&self, above: Option<u32>) -> Option<(Adopted, Option<Move>)> {
        let epochs =
            self.remote.iter().rev().take_while(|(epoch, _)| above.is_none_or(|above| **epoch > above));
        for (epoch, tip) in epochs.take(LOOKED_AT) {
            let Proven { last, commits, fault } = self.prove(*epoch, *tip);
            let Some((last, _)) = last.filter(|(_, of)| of == epoch) else { continue };
            let branch = self.log.branch(*epoch);
            let missing = self.pushed.iter().find(|pushed| !commits.contains(*pushed));
            let is_newest = self.remote.last_key_value().is_some_and(|(newest, _)| newest == epoch);
            let reason = match (missing, fault) {
                // With a log on the disk, that one is the one to go on with.
                (Some(_), _) if above.is_some() => continue,
                (Some(missing), _) => lacks(*missing),
                (None, Some(fault)) => fault,
                (None, None) if !is_newest => "a later branch is not ours".to_owned(),
                (None, None) => {
                    let moved = Some((branch.clone(), last));
                    return Some((Adopted::Ours { branch, remote: Some(*tip) }, moved));
                }
            };
            return Some((self.foreign(branch.clone(), Some(*tip), reason), Some((branch, last))));
        }
        None
    }

    fn foreign(&self, branch: Branch, found: Option<ObjectId>, reason: String) -> Adopted {
        let newest = self.remote.last_key_value().map_or(0, |(epoch, _)| *epoch).max(branch.epoch);
        // Behind the last number there is none; `Pen::leave` says so.
        let next = self.log.branch(newest.saturating_add(1));
        Adopted::Foreign { branch, found, next, reason }
    }

    /// How much of a branch is ours, from the first record of the log on.
    fn prove(&self, epoch: u32, tip: ObjectId) -> Proven {
        let mut proven = Proven { last: None, commits: BTreeSet::new(), fault: None };
        let segment = match self.segment(epoch, tip) {
            Ok(segment) => segment,
            Err(error) => return Proven { fault: Some(error.to_string()), ..proven },
        };
        let mut verifier = Verifier::new(self.log.branch(epoch), Trust::Keys(self.keys.clone()));
        for (id, joint) in segment.commits {
            let taken = self.store.object(id, Kind::Commit).map_err(|error| error.to_string());
            let taken = taken.and_then(|raw| read(id, &raw).map_err(|fault| fault.to_string()));
            let taken =
                taken.and_then(|read| verifier.take(&read.found, joint).map_err(|bad| bad.fault.to_string()));
            match taken {
                Ok((record, _)) => {
                    proven.last = Some((id, record.epoch));
                    proven.commits.insert(id);
                }
                Err(fault) => {
                    proven.fault = Some(format!("its commit {}: {fault}", short(&id.to_string())));
                    return proven;
                }
            }
        }
        proven.fault = verifier.end().err().map(|fault| fault.to_string());
        proven
    }

    fn segment(&self, epoch: u32, tip: ObjectId) -> Result<Segment, StoreError> {
        self.store.segment(&Log { branch: self.log.branch(epoch), tips: [(epoch, vec![tip])].into() })
    }
}

fn ids(segment: &Segment) -> BTreeSet<ObjectId> {
    segment.commits.iter().map(|(id, _)| *id).collect()
}

fn lacks(commit: ObjectId) -> String {
    format!("it does not hold the commit {}, which was pushed", short(&commit.to_string()))
}
