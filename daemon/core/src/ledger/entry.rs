//! An entry of the queue in the cluster: something that is under way, or that is over and not in git yet.
//!
//! It is written before the first change of what it is about (the intent), and again when that is over. A daemon that finds one of
//! another run under way knows that this run ended in between.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::app::AppName;
use super::capped::Capped;
use super::id::RecordId;
use super::record::{Evidence, Gap, Kind, ObjectOperation, Outcome, Result as How};
use super::text::TooLarge;
use crate::ids::Digest;

/// An entry's text is never longer: a record is made of it, which needs some room for its place in the log.
pub const MAX_ENTRY_BYTES: usize = 57_344;

/// An entry of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its id; its record will have it too, so that no outcome is written twice.
    pub id: RecordId,
    /// The run of a daemon that wrote it last.
    pub run: RunId,
    /// How far it is.
    pub stage: Stage,
    /// What happened, as far as is known.
    pub outcome: Outcome,
    /// In a gap: the last outcome that was counted in it, whose own entry may still be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folded: Option<RecordId>,
    /// The workload whose lane writes it; none: the environment's does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<AppName>,
}

/// One run of a daemon, from its start to its end: another one has another id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

/// How far an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Stage {
    /// It has begun.
    UnderWay {
        /// What was about to be done when this was written; nothing: all that had been begun was done.
        #[serde(default, skip_serializing_if = "Capped::is_empty")]
        pending: Capped<ObjectOperation>,
    },
    /// It is over.
    Over,
}

impl Stage {
    /// Nothing is about to be done.
    pub fn idle() -> Self {
        Self::UnderWay { pending: Capped::default() }
    }
}

impl Entry {
    /// Something that begins.
    pub fn begun(id: RecordId, run: RunId, outcome: Outcome) -> Self {
        Self { id, run, stage: Stage::idle(), outcome, folded: None, workload: None }
    }

    /// True once it is over.
    pub fn is_over(&self) -> bool {
        match self.stage {
            Stage::Over => true,
            Stage::UnderWay { .. } => false,
        }
    }

    /// Over.
    #[must_use]
    pub fn over(self) -> Self {
        Self { stage: Stage::Over, ..self }
    }

    /// Where it stands among those that are over: in the order in which they came to their end.
    pub(super) fn place(&self) -> (Timestamp, RecordId) {
        (self.outcome.times.recorded, self.id)
    }

    /// Cuts lists and texts until it is no longer than [`MAX_ENTRY_BYTES`].
    pub fn shrink(&mut self) -> Result<(), TooLarge> {
        let rest = |entry: &Self| {
            let outcome = serde_json::to_string(&entry.outcome).map_or(0, |text| text.len());
            serde_json::to_string(entry).map_or(usize::MAX, |text| text.len()).saturating_sub(outcome)
        };
        if let Stage::UnderWay { pending } = &mut self.stage
            && pending.items.len() > PENDING
        {
            pending.cut(PENDING, |_| ());
        }
        let limit = MAX_ENTRY_BYTES.saturating_sub(rest(self));
        self.outcome.shrink(limit)
    }

    /// What is written of an entry under way whose daemon ended: what had been found then, and that nobody knows how it would have
    /// ended. Repairs that were done are told as such: nothing of them was cut short.
    #[must_use]
    pub fn interrupted(self, found: &str, now: Timestamp) -> Self {
        let Self { id, run, stage, outcome, folded, workload } = self;
        let pending = match stage {
            Stage::Over => return Self { id, run, stage, outcome, folded, workload },
            Stage::UnderWay { pending } => pending,
        };
        let times = super::record::Times { finished: now, recorded: now, ..outcome.times.clone() };
        if outcome.kind == Kind::Drift && pending.is_empty() && !outcome.repairs.is_empty() {
            let outcome = Outcome { result: How::Succeeded, times, ..outcome };
            return Self { id, run, stage: Stage::Over, outcome, folded, workload };
        }
        let mut evidence = outcome.evidence.clone();
        let was =
            Evidence { kind: "was".to_owned(), of: outcome.kind.to_string(), text: outcome.reason.clone() };
        let about_to = pending.items.iter().map(|pending| Evidence {
            kind: "pending".to_owned(),
            of: pending.object.to_string(),
            text: format!("the daemon was about to {} it", pending.op.as_str()),
        });
        let found = Evidence { kind: "found".to_owned(), of: "cluster".to_owned(), text: found.to_owned() };
        let added: Vec<Evidence> = [was, found.clone()].into_iter().chain(about_to).collect();
        evidence.total = evidence.total.saturating_add(added.len() as u64);
        evidence.items.extend(added);
        let outcome = Outcome {
            kind: Kind::Interrupted,
            result: How::Unknown,
            reason: format!("the daemon ended before it was over; found then: {}", found.text),
            evidence,
            times,
            ..outcome
        };
        Self { id, run, stage: Stage::Over, outcome, folded, workload }
    }
}

/// So many objects are named that were about to be written.
const PENDING: usize = 64;

impl Gap {
    /// A gap with one more outcome in it: the digest is over all of them, in their order.
    #[must_use]
    pub fn with(gap: Option<Self>, outcome: &Outcome) -> Self {
        let text = serde_json::to_string(outcome).unwrap_or_default();
        let at = outcome.times.finished;
        match gap {
            None => Self { count: 1, digest: Digest::of(text.as_bytes()), since: at, until: at },
            Some(gap) => Self {
                count: gap.count.saturating_add(1),
                digest: Digest::of(format!("{}\n{text}", gap.digest).as_bytes()),
                since: gap.since.min(at),
                until: gap.until.max(at),
            },
        }
    }
}
