//! What stands on a slot's Deployment in words of our own: one annotation that [`Deployment`] is read from. The pointer's is
//! [`super::Record`] itself. Not here: the objects around them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::failure::LastWords;
use super::finding::Finding;
use super::gate::{Evidence, Stage, Verdict};
use super::pointer::Record;
use super::slot::{Attempt, Deployment, Revision, Slots};

/// Annotation of a slot's Deployment: [`SlotRecord`] as JSON.
pub const SLOT_RECORD: &str = "tidegate.dev/slot-record";
/// Annotation of the pointer: [`PointerRecord`] as JSON.
pub const POINTER_RECORD: &str = "tidegate.dev/rollout";

/// So many answers are kept on a slot: those of all gates of both stages, with room.
const ANSWERS_CAP: usize = 64;

/// The pointer's record, and what makes a slot findable whose Deployment is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PointerRecord {
    /// The workload's name in git: a record of another one's is not ours to go by.
    #[serde(default)]
    pub app: String,
    /// What decisions read.
    #[serde(flatten)]
    pub record: Record,
    /// What each slot held when this was written; its kept render goes by it.
    #[serde(default)]
    pub held: Slots<Option<Held>>,
    /// Why people have to look before anything new is begun, where they have to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted_because: Option<String>,
}

/// What a slot held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// Its revision.
    pub revision: Revision,
    /// The try for which it was written.
    #[serde(default)]
    pub attempt: Attempt,
    /// The commit that it was made from.
    pub commit: String,
    /// `spec.replicas`.
    #[serde(default)]
    pub size: u32,
    /// `spec.ports` of the Services while it had the traffic, by name: they fit its pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, Value>,
}

impl Held {
    /// Without ports: it has had no traffic.
    pub const fn new(revision: Revision, attempt: Attempt, commit: String, size: u32) -> Self {
        Self { revision, attempt, commit, size, ports: BTreeMap::new() }
    }
}

/// The record of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotRecord {
    /// The commit that the template was made from.
    pub commit: String,
    /// Of the template.
    pub revision: Revision,
    /// The try for which it was written.
    pub attempt: Attempt,
    /// The size that the slot was last given on purpose.
    pub recorded: u32,
    /// When traffic was moved to it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Timestamp>,
    /// When it was let go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Timestamp>,
    /// When the template was written.
    pub prepared_at: Timestamp,
    /// The effective drain of that commit, in seconds: for a workload whose policy is gone with it.
    pub drain: i64,
    /// The pointer's name: for a workload whose manifest is gone.
    pub service: String,
    /// Grows with every mark, so that a mark always is a write.
    #[serde(default)]
    pub marks: u64,
    /// What gates have said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    /// What its pods said last, once what it holds was turned down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_words: Option<LastWords>,
}

/// What one gate has said, and when it was first asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// What decisions read.
    pub evidence: Evidence,
    /// What people read.
    pub finding: Finding,
    /// When this gate was asked for the first time in this stage.
    pub first_asked: Timestamp,
}

impl SlotRecord {
    /// Of a template that is written now, at no size yet.
    pub fn prepared(
        Held { revision, attempt, commit, size: _, ports: _ }: Held,
        (drain, service): (SignedDuration, String),
        now: Timestamp,
    ) -> Self {
        Self {
            commit,
            revision,
            attempt,
            recorded: 0,
            served: None,
            released: None,
            prepared_at: now,
            drain: drain.as_secs(),
            service,
            marks: 0,
            answers: Vec::new(),
            last_words: None,
        }
    }

    /// A mark; `serves`: traffic is about to move to it.
    #[must_use]
    pub fn marked(mut self, serves: bool, now: Timestamp) -> Self {
        self.marks = self.marks.saturating_add(1);
        if serves {
            (self.served, self.released) = (Some(now), None);
        }
        self
    }

    /// With an answer in place of what the same gate had said in the same stage. Answers of other bakes go.
    #[must_use]
    pub fn answered(mut self, answer: Answer) -> Self {
        let (gate, stage) = (&answer.evidence.gate.name, answer.evidence.stage);
        let is_kept = |known: &Answer| {
            let is_of_another_bake = match (known.evidence.stage, stage) {
                (Stage::Baking(known), Stage::Baking(this)) => known != this,
                (Stage::BeforeSwitch, _) | (_, Stage::BeforeSwitch) => false,
            };
            !is_of_another_bake && (known.evidence.gate.name != *gate || known.evidence.stage != stage)
        };
        self.answers.retain(is_kept);
        self.answers.push(answer);
        let surplus = self.answers.len().saturating_sub(ANSWERS_CAP);
        self.answers.drain(..surplus);
        self.marks = self.marks.saturating_add(1);
        self
    }

    /// The answer of a gate in a stage.
    pub fn answer(&self, gate: &super::GateName, stage: Stage) -> Option<&Answer> {
        self.answers.iter().find(|known| known.evidence.gate.name == *gate && known.evidence.stage == stage)
    }

    /// The answer by which a gate failed, in whichever stage it is asked.
    pub fn failed(&self, gate: &super::GateName) -> Option<&Answer> {
        let is_it =
            |answer: &&Answer| answer.evidence.gate.name == *gate && answer.evidence.verdict == Verdict::Fail;
        self.answers.iter().rev().find(is_it)
    }

    /// The slot as decisions read it; the rest is seen on its Deployment.
    pub fn deployment(&self, replicas: u32, is_current: bool, is_adopted: bool) -> Deployment {
        Deployment {
            revision: self.revision,
            attempt: self.attempt,
            replicas,
            recorded: self.recorded,
            served: self.served,
            released: self.released,
            prepared_at: self.prepared_at,
            evidence: self.answers.iter().map(|answer| answer.evidence.clone()).collect::<Vec<Evidence>>(),
            is_current,
            is_adopted,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Command, Gate, GateName, Order, Reason};
    use super::*;

    fn answer(name: &str, stage: Stage, verdict: Verdict) -> Answer {
        let now = Timestamp::UNIX_EPOCH;
        let gate = Gate { name: GateName(Arc::from(name)), config: u64::MAX };
        let revision = Revision::new(u128::MAX);
        Answer {
            evidence: Evidence { gate, stage, revision, attempt: Attempt::default(), verdict },
            finding: Finding {
                verdict,
                value: Some("0.043".to_owned()),
                threshold: None,
                rule: None,
                samples: 3,
                summary: "x".to_owned(),
                started: now,
                ended: now,
            },
            first_asked: now,
        }
    }

    fn record() -> SlotRecord {
        let held = Held::new(Revision::new(u128::MAX), Attempt::default(), "4f1c2aa".to_owned(), 2);
        let keep = (SignedDuration::from_secs(30), "api".to_owned());
        SlotRecord::prepared(held, keep, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = record()
            .answered(answer("smoke", Stage::BeforeSwitch, Verdict::Pass))
            .marked(true, Timestamp::UNIX_EPOCH);
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<SlotRecord>(&text).unwrap(), record, "{text}");
    }

    #[test]
    fn an_answer_takes_the_place_of_the_same_gates_and_of_those_of_other_bakes() {
        let bake = |seconds| Stage::Baking(Timestamp::constant(seconds, 0));
        let record = record()
            .answered(answer("smoke", Stage::BeforeSwitch, Verdict::Unknown))
            .answered(answer("smoke", Stage::BeforeSwitch, Verdict::Pass))
            .answered(answer("errors", bake(1), Verdict::Fail))
            .answered(answer("errors", bake(2), Verdict::Unknown));
        let left: Vec<_> =
            record.answers.iter().map(|answer| (answer.evidence.stage, answer.evidence.verdict)).collect();
        assert_eq!(left, [(Stage::BeforeSwitch, Verdict::Pass), (bake(2), Verdict::Unknown)]);
    }

    #[test]
    fn the_pointers_record_is_read_as_it_was_written() {
        let order = Order {
            command: Command::RollBack,
            revision: Revision::new(7),
            person: Arc::from("ann"),
            reason: Arc::from("incident 7"),
            at: Timestamp::UNIX_EPOCH,
        };
        let mut record = super::super::tests::scene::blue_is_live();
        record.rejected = Some(super::super::Rejected {
            revision: Revision::new(u128::MAX),
            attempt: Attempt { git: 1, ordered: 2 },
            reason: Reason::Ordered(order.clone()),
            cause: Some(Arc::from("a pod has no node")),
            at: Timestamp::UNIX_EPOCH,
        });
        record.order = Some(order);
        let held = Held::new(Revision::new(7), Attempt { git: 1, ordered: 1 }, "4f1c2aa".to_owned(), 2);
        let record = PointerRecord {
            app: "api".to_owned(),
            record,
            held: Slots { blue: Some(held), green: None },
            halted_because: Some("Service api was deleted".to_owned()),
        };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<PointerRecord>(&text).unwrap(), record, "{text}");
    }
}
