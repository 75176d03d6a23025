//! What gates have said about a slot, and what that means for a set of gates. Not here: how a gate is asked.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::slot::{Attempt, Revision};

/// The name of a gate in its policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GateName(pub Arc<str>);

/// A gate that a policy asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// Its name.
    pub name: GateName,
    /// The first bits of the digest of its configuration: evidence for another one does not count.
    pub config: u64,
}

/// The gates of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Gates {
    /// They must have passed before traffic moves.
    pub before_switch: Vec<Gate>,
    /// They must pass while the bake is open.
    pub while_baking: Vec<Gate>,
}

/// What a gate has said. No data is [`Verdict::Unknown`], which never passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything that was asked for holds.
    Pass,
    /// Something does not.
    Fail,
    /// Nobody could tell: no samples, no answer, an answer that is not a number.
    Unknown,
}

/// For which decision a gate was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Before the switch.
    BeforeSwitch,
    /// In the bake of the switch of this time. Evidence of another bake does not exist.
    Baking(Timestamp),
}

/// One gate's verdict, as it stands on a slot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The gate.
    pub gate: Gate,
    /// When it was asked.
    pub stage: Stage,
    /// About which revision.
    pub revision: Revision,
    /// In which try.
    pub attempt: Attempt,
    /// What it said.
    pub verdict: Verdict,
}

/// When a gate said something last, and about what. Whose turn it is in a bake rests on it, and no verdict does: a daemon that
/// begins anew knows none of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The gate.
    pub gate: Gate,
    /// For which decision it was asked.
    pub stage: Stage,
    /// About which revision.
    pub revision: Revision,
    /// In which try.
    pub attempt: Attempt,
    /// When it answered.
    pub at: Timestamp,
    /// It is not asked again before this time.
    pub again: Timestamp,
}

/// What evidence has to be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct About {
    /// The stage.
    pub(super) stage: Stage,
    /// The revision.
    pub(super) revision: Revision,
    /// The try.
    pub(super) attempt: Attempt,
}

impl About {
    /// The verdict about exactly this; none when there is no such evidence.
    pub(super) fn verdict(&self, gate: &Gate, evidence: &[Evidence]) -> Option<Verdict> {
        let Self { stage, revision, attempt } = self;
        let about_this = |found: &&Evidence| {
            found.gate == *gate
                && found.stage == *stage
                && found.revision == *revision
                && found.attempt == *attempt
        };
        evidence.iter().rev().find(about_this).map(|found| found.verdict)
    }

    /// The first gate that failed.
    pub(super) fn failed<'a>(&self, gates: &'a [Gate], evidence: &[Evidence]) -> Option<&'a Gate> {
        gates.iter().find(|gate| self.verdict(gate, evidence) == Some(Verdict::Fail))
    }

    /// The gate whose turn it is. Of those that may be asked now, the one that has not been asked for the longest time: one that
    /// has passed may fail later, and one that cannot tell must not keep the others from being asked. Between two that were never
    /// asked, one that has not passed. Where none may be asked yet, the one whose time comes first.
    pub(super) fn in_turn<'a>(
        &self,
        gates: &'a [Gate],
        evidence: &[Evidence],
        asked: &[Asked],
        now: Timestamp,
    ) -> Option<&'a Gate> {
        let turn = |gate: &&Gate| {
            let last = asked.iter().find(|asked| asked.gate == **gate && self.is_of(asked));
            let (at, again) = last.map_or((Timestamp::MIN, now), |last| (last.at, last.again.max(now)));
            (again, at, self.verdict(gate, evidence) == Some(Verdict::Pass))
        };
        gates.iter().min_by_key(turn)
    }

    fn is_of(&self, asked: &Asked) -> bool {
        let Self { stage, revision, attempt } = self;
        asked.stage == *stage && asked.revision == *revision && asked.attempt == *attempt
    }

    /// The first gate that has not passed.
    pub(super) fn missing<'a>(&self, gates: &'a [Gate], evidence: &[Evidence]) -> Option<&'a Gate> {
        gates.iter().find(|gate| match self.verdict(gate, evidence) {
            Some(Verdict::Pass) => false,
            Some(Verdict::Fail | Verdict::Unknown) | None => true,
        })
    }
}
