//! Begins outcomes: who asked for what, as git says it, and who writes it down. What an environment's lane and those of its workloads
//! share.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tidegate_core::ids::Digest;
use tidegate_core::ledger::{self, Change, Kind, Outcome, PlanReference, Source, Verified};

use super::{Recorder, signer};
use crate::source::{CommitInfo, Revision, Signed, SourceHandle};

/// Begins outcomes.
#[derive(Clone)]
pub struct Clerk {
    /// Takes them down.
    pub recorder: Recorder,
    /// The repository that is followed.
    pub source: SourceHandle,
    /// Its address, as people know it.
    pub repo: String,
    /// Repairs of so long are told in one record.
    pub coalesce: Duration,
}

/// What git asks for, and where it says so.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which revision asks.
    pub revision: Revision,
    /// What is known of the commit.
    pub info: Option<Arc<CommitInfo>>,
    /// The environment's folder.
    pub path: String,
    /// The digest of what git asks for; none where it cannot be told.
    pub plan: Option<Digest>,
    /// When it was seen first.
    pub seen: Option<Timestamp>,
    /// The environment goes back to it from a commit that is held.
    pub is_rollback: bool,
    /// It was applied whole before.
    pub is_applied: bool,
}

impl Clerk {
    /// What is known of an operation as it begins.
    pub async fn begin(&self, asked: &Asked, kind: Kind) -> Outcome {
        let mut outcome = Outcome::begun(kind, self.recorder.actor(), Timestamp::now(), "under way");
        self.fill(&mut outcome, asked).await;
        outcome
    }

    /// Who asked for it.
    pub async fn fill(&self, outcome: &mut Outcome, asked: &Asked) {
        let Asked { revision, info, path, plan, seen, is_rollback: _, is_applied: _ } = asked;
        outcome.plan = plan.clone().map(|id| PlanReference { id });
        outcome.times.seen = *seen;
        outcome.times.committed = info.as_ref().map(|info| info.author_time);
        let mut source = Source {
            repo: self.repo.clone(),
            commit: revision.id(),
            subject: info.as_ref().map(|info| info.subject.clone()).unwrap_or_default(),
            tree: None,
            path: path.clone(),
            signer: None,
            verified: Verified::NotChecked,
        };
        if let Some(commit) = revision.commit()
            && let Ok(facts) = self.source.commit_facts(commit).await
        {
            source.tree = Some(facts.tree);
            (source.signer, source.verified) = seen_signature(facts.signature.as_ref());
            let is_merge = facts.facts.merged.is_some();
            outcome.times.merged = info.as_ref().filter(|_| is_merge).map(|info| info.committer_time);
            outcome.change = Some(Change::of(&facts.facts));
        }
        outcome.source = Some(source);
    }
}

/// What a commit's signature shows without a list of keys that are trusted: who made it, or that it is of other bytes.
fn seen_signature(signature: Option<&Signed>) -> (Option<String>, Verified) {
    let Some(signature) = signature else { return (None, Verified::Unsigned) };
    match signer(&signature.payload, signature.armoured.trim_end()) {
        ledger::Signer::Key(key) => (Some(key.to_string()), Verified::NotChecked),
        // It may be one of another sort (OpenPGP, X.509, another kind of key), which nobody has looked at.
        ledger::Signer::Invalid(_) | ledger::Signer::Nobody => (None, Verified::NotChecked),
    }
}
