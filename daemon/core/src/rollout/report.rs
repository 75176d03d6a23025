//! What people read of one workload: where it stands, why, and what it waits for. Pure shaping of what a pass saw and decided.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::failure::{Changes, Failure, stage_word};
use super::gate::{Stage, Verdict};
use super::pointer::{Bake, Pointer, Reason, Record, Rejected};
use super::situation::{Desired, Situation};
use super::slot::{Slot, Slots};
use super::step::{Decision, Phase, Step, Waiting};
use super::stored::SlotRecord;
use crate::object::ObjectRef;

/// How one workload stands. Read by `status`, with or without the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadStatus {
    /// The Deployment, by its name in git.
    pub workload: ObjectRef,
    /// In one word.
    pub state: WorkloadState,
    /// The row of the phase table.
    pub phase: Phase,
    /// One sentence without a full stop.
    pub reason: String,
    /// What ends the phase, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// When it ends at the latest, where a time is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The slot that gets traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serves: Option<Slot>,
    /// What git asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<String>,
    /// The slots.
    pub slots: Slots<Option<SlotStatus>>,
    /// The gates of the stage that the workload is in, or of the one that it failed in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateStatus>,
    /// Traffic could go back now, by itself or by `tidegate rollback`.
    pub can_go_back: bool,
    /// What was turned down, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
    /// The same, told whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Box<Failure>>,
}

/// How a workload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkloadState {
    /// Live at what git asks for, its bake closed.
    Live,
    /// The same, and not one of its pods is ready.
    Degraded,
    /// On its way: a colour is prepared, proven, or put away.
    Moving,
    /// Traffic has moved, and gates watch.
    Baking,
    /// It waits for people: an approval, a window.
    Waiting,
    /// What git asks for was turned down; what was live before still is.
    Rejected,
    /// People have to look before anything new is begun.
    Halted,
}

/// A slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotStatus {
    /// Its Deployment.
    pub name: String,
    /// What it holds.
    pub revision: String,
    /// The commit that it was made from.
    pub commit: String,
    /// `spec.replicas`.
    pub replicas: u32,
    /// Ready pods of its revision.
    pub ready: u32,
}

/// A gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateStatus {
    /// Its name.
    pub name: String,
    /// `beforeSwitch` or `whileBaking`.
    pub stage: String,
    /// What it has said; none: it has not been asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What it was held against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<String>,
    /// How many requests, samples or pods.
    #[serde(default)]
    pub samples: u64,
    /// One sentence.
    #[serde(default)]
    pub summary: String,
    /// When it was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// It has so long to pass, or watches so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl WorkloadState {
    /// The word that people read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Degraded => "degraded",
            Self::Moving => "moving",
            Self::Baking => "baking",
            Self::Waiting => "waiting",
            Self::Rejected => "rejected",
            Self::Halted => "halted",
        }
    }
}

impl fmt::Display for WorkloadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a report is made from.
pub struct Reported<'a> {
    /// The Deployment in git.
    pub workload: &'a ObjectRef,
    /// What the decision read.
    pub situation: &'a Situation<'a>,
    /// The decision.
    pub decision: &'a Decision,
    /// The records on the slots.
    pub records: Slots<Option<&'a SlotRecord>>,
    /// The names of the slots' Deployments.
    pub names: Slots<String>,
    /// What the revision that git asks for changes against what is live; of interest where it was turned down.
    pub changes: &'a Changes,
}

impl Reported<'_> {
    /// How the workload stands.
    pub fn status(&self) -> WorkloadStatus {
        let Self { workload, situation, decision, .. } = self;
        let record = self.record();
        let (next, until) = self.next();
        WorkloadStatus {
            workload: (*workload).clone(),
            state: self.state(),
            phase: decision.phase,
            reason: self.reason(),
            next,
            until,
            serves: record.and_then(|record| record.live),
            desired: situation.desired.revision().map(|revision| revision.to_string()),
            slots: Slots { blue: self.slot(Slot::Blue), green: self.slot(Slot::Green) },
            gates: self.gates(),
            can_go_back: self.can_go_back(),
            rejected: record.and_then(|record| record.rejected.clone()).filter(|_| self.shows_rejected()),
            failure: record
                .filter(|_| self.shows_rejected())
                .and_then(|record| self.failure(record))
                .map(Box::new),
        }
    }

    pub(super) fn record(&self) -> Option<&Record> {
        match self.situation.pointer {
            Pointer::Recorded { record, .. } => Some(record),
            Pointer::Unrecorded => None,
        }
    }

    /// A rejection stays on record until it is tried again; it is of interest while git asks for it.
    fn shows_rejected(&self) -> bool {
        let situation = super::decide::with_ordered_tries(self.situation);
        self.record().is_some_and(|record| situation.is_held_as_rejected(record))
    }

    fn state(&self) -> WorkloadState {
        let is_live = |record: &Record| {
            let live = record.live.and_then(|live| self.situation.revision(live));
            !record.is_baking() && live.is_some() && live == self.situation.desired.revision()
        };
        match self.decision.phase {
            Phase::Halted | Phase::Stranded | Phase::Torn | Phase::Restore => WorkloadState::Halted,
            Phase::Hold => WorkloadState::Waiting,
            Phase::Bake | Phase::Inconclusive | Phase::Close | Phase::RollBack | Phase::FastRollBack => {
                WorkloadState::Baking
            }
            Phase::Rejected => WorkloadState::Rejected,
            Phase::Steady | Phase::Resize | Phase::Retire => {
                if !self.record().is_none_or(is_live) {
                    WorkloadState::Moving
                } else if self.record().and_then(|record| record.live).is_some_and(|live| self.is_down(live))
                {
                    WorkloadState::Degraded
                } else {
                    WorkloadState::Live
                }
            }
            Phase::Repair | Phase::Settle | Phase::Follow | Phase::Decline => match self.record() {
                Some(record) if record.is_baking() => WorkloadState::Baking,
                Some(_) | None => WorkloadState::Moving,
            },
            Phase::Adopt if self.decision.step == Step::Wait(Waiting::People) => WorkloadState::Waiting,
            Phase::Install
            | Phase::Adopt
            | Phase::Remove
            | Phase::Leave
            | Phase::Drain
            | Phase::Empty
            | Phase::Prepare
            | Phase::ScaleUp
            | Phase::Warm
            | Phase::Gates
            | Phase::Reject
            | Phase::Switch => WorkloadState::Moving,
        }
    }

    /// None of a slot's pods is ready, and there are to be some.
    fn is_down(&self, slot: Slot) -> bool {
        let pods = self.situation.slots.get(slot).pods;
        self.situation.replicas(slot) > 0 && pods.ready == 0 && pods.others_ready == 0
    }

    fn reason(&self) -> String {
        let live = self.record().and_then(|record| record.live);
        let serving = self.serving(live);
        let other = live.map_or(Slot::Blue, Slot::other);
        let ready = self.situation.ready(other);
        let parity = self.situation.parity(live).max(1);
        match self.decision.phase {
            Phase::Restore => "the pointer was lost; the best slot that has served is live again".to_owned(),
            Phase::Install => "the first revision is on its way".to_owned(),
            Phase::Adopt => self.adopting(),
            Phase::Remove => "it has left git, and goes".to_owned(),
            Phase::Torn => "somebody else changed where traffic goes; it goes back".to_owned(),
            Phase::Decline => "an order that says nothing any more is struck off".to_owned(),
            Phase::RollBack => "traffic goes back".to_owned(),
            Phase::FastRollBack => "git returned to the revision before; traffic goes back".to_owned(),
            Phase::Follow => "Services that follow are made to agree".to_owned(),
            Phase::Repair => "a slot that is needed was gone or at 0; it is made again".to_owned(),
            Phase::Stranded => {
                format!("the new revision fails, and there is nothing well to go back to; {serving}")
            }
            Phase::Settle => "endpoints follow the switch".to_owned(),
            Phase::Bake if self.record().is_some_and(|record| record.from.is_none()) => {
                format!("{serving}; gates watch, and there is nothing to go back to")
            }
            Phase::Bake => format!("{serving}; gates watch"),
            Phase::Inconclusive => format!("the bake is over and gates could not tell; {serving}"),
            Phase::Close => "all gates have passed; the bake closes".to_owned(),
            Phase::Leave => "it goes back to having no colours".to_owned(),
            Phase::Steady if self.record().is_none() && self.situation.desired == Desired::Plain => {
                "it has no colours".to_owned()
            }
            Phase::Steady | Phase::Resize => serving,
            Phase::Retire => format!("{serving}; {other} is put away"),
            Phase::Rejected | Phase::Reject => self.why_rejected(&serving),
            Phase::Halted => format!("halted until a person resumes it; {serving}"),
            Phase::Drain => "connections to the former colour drain".to_owned(),
            Phase::Empty => format!("{other} is emptied before it gets the new revision"),
            Phase::Prepare => format!("{other} gets the new revision"),
            Phase::ScaleUp => format!("{other} gets {parity} pods"),
            Phase::Warm => {
                format!("{ready} of {parity} pods of {other} are ready{}", self.because(other))
            }
            Phase::Gates => self.asking(),
            Phase::Hold => format!("{other} has passed its gates; a change window is closed"),
            Phase::Switch => format!("traffic moves to {other}"),
        }
    }

    /// What is still missing, where pods are waited for.
    fn adopting(&self) -> String {
        let what = "the running Deployment is taken over";
        let slot = Slot::ALL.into_iter().find(|slot| self.situation.deployment(*slot).is_some());
        let Some(slot) = slot.filter(|_| self.decision.step == Step::Wait(Waiting::Pods)) else {
            return what.to_owned();
        };
        let pods = self.situation.slots.get(slot).pods;
        let rest = if pods.others > 0 {
            format!(", {} pods that its selector finds have none", pods.others)
        } else {
            String::new()
        };
        let replicas = self.situation.replicas(slot);
        format!(
            "{what}: {} of {replicas} pods with its colour are ready{rest}{}",
            pods.ready,
            self.because(slot)
        )
    }

    fn why_rejected(&self, serving: &str) -> String {
        let rejected = self.record().and_then(|record| record.rejected.as_ref());
        // One that is turned down only now is not on record yet: another one may be.
        rejected.filter(|_| self.shows_rejected()).map_or_else(
            || "the revision is turned down".to_owned(),
            |rejected| {
                let cause = rejected.cause.as_ref().map_or(String::new(), |cause| format!(": {cause}"));
                format!("turned down: {}{cause}; {serving}", rejected.reason)
            },
        )
    }

    /// `blue serves with 2 of 2`.
    fn serving(&self, live: Option<Slot>) -> String {
        let Some(live) = live else { return "nothing serves".to_owned() };
        let (serving, replicas) = (self.situation.serving(live), self.situation.replicas(live));
        let cause = if serving < replicas { self.because(live) } else { String::new() };
        format!("{live} serves with {serving} of {replicas}{cause}")
    }

    /// Why a slot's pods are not ready, as the rest of a sentence.
    fn because(&self, slot: Slot) -> String {
        let cause = self.situation.slots.get(slot).cause.as_ref();
        cause.map_or(String::new(), |cause| format!(" ({cause})"))
    }

    fn asking(&self) -> String {
        match &self.decision.step {
            Step::Ask(question) => format!("gate `{}` is asked", question.gate.name.0),
            Step::Wait(_) | Step::Carry(_) => "gates are asked".to_owned(),
        }
    }

    fn slot(&self, slot: Slot) -> Option<SlotStatus> {
        let record = (*self.records.get(slot))?;
        Some(SlotStatus {
            name: self.names.get(slot).clone(),
            revision: record.revision.to_string(),
            commit: record.commit.clone(),
            replicas: self.situation.replicas(slot),
            ready: self.situation.serving(slot),
        })
    }

    fn gates(&self) -> Vec<GateStatus> {
        let Some(record) = self.record() else { return Vec::new() };
        let baking = record.live.filter(|_| record.is_baking());
        let other = record.live.map_or(Slot::Blue, Slot::other);
        let (slot, stage) = match baking {
            Some(live) => (live, Stage::Baking(record.switched_at)),
            None => (other, self.failed_stage(record, other).unwrap_or(Stage::BeforeSwitch)),
        };
        let is_of_interest = baking.is_some()
            || self
                .situation
                .revision(slot)
                .is_some_and(|held| Some(held) == self.situation.desired.revision());
        if !is_of_interest {
            return Vec::new();
        }
        let gates = match stage {
            Stage::BeforeSwitch => &self.situation.gates.before_switch,
            Stage::Baking(_) => &self.situation.gates.while_baking,
        };
        let until = match (stage, record.bake) {
            (Stage::Baking(_), Bake::Open { until, max }) => {
                let until = if self.situation.now < until { until } else { max };
                Some(until).filter(|until| self.situation.now < *until)
            }
            (Stage::Baking(_), Bake::Closed { .. }) | (Stage::BeforeSwitch, _) => None,
        };
        gates
            .iter()
            .map(|gate| {
                let answer = self.records.get(slot).and_then(|record| record.answer(&gate.name, stage));
                let finding = answer.map(|answer| &answer.finding);
                GateStatus {
                    name: gate.name.0.to_string(),
                    stage: stage_word(stage).to_owned(),
                    verdict: finding.map(|finding| finding.verdict),
                    value: finding.and_then(|finding| finding.value.clone()),
                    threshold: finding.and_then(|finding| finding.threshold.clone()),
                    samples: finding.map_or(0, |finding| finding.samples),
                    summary: finding.map_or(String::new(), |finding| finding.summary.clone()),
                    at: finding.map(|finding| finding.ended),
                    until,
                }
            })
            .collect()
    }

    /// The stage in which what a slot holds was turned down by a gate.
    fn failed_stage(&self, record: &Record, slot: Slot) -> Option<Stage> {
        let rejected = record.rejected.as_ref().filter(|_| self.shows_rejected())?;
        let Reason::Gate(name) = &rejected.reason else { return None };
        Some((*self.records.get(slot))?.failed(name)?.evidence.stage)
    }

    fn can_go_back(&self) -> bool {
        let Some(record) = self.record() else { return false };
        let Some(live) = record.live else { return false };
        match record.bake {
            Bake::Open { .. } => record.from.is_some_and(|from| self.situation.can_take_back(from, live)),
            Bake::Closed { .. } => super::order::standby(self.situation, record, live).is_some(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate(gate) => write!(f, "gate `{}` failed", gate.0),
            Self::NeverReady => f.write_str("its pods were not ready in time"),
            Self::LostReadiness => f.write_str("too few of its pods stayed ready"),
            Self::NeverSettled => f.write_str("traffic did not reach it in time"),
            Self::Torn => f.write_str("it had no ready pod when somebody moved the traffic"),
            Self::Ordered(order) => write!(f, "{} ordered it: {}", order.person, order.reason),
        }
    }
}

impl Phase {
    /// The word of logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Install => "install",
            Self::Adopt => "adopt",
            Self::Remove => "remove",
            Self::Torn => "torn",
            Self::Decline => "decline",
            Self::RollBack => "roll-back",
            Self::FastRollBack => "fast-roll-back",
            Self::Follow => "follow",
            Self::Repair => "repair",
            Self::Stranded => "stranded",
            Self::Settle => "settle",
            Self::Bake => "bake",
            Self::Inconclusive => "inconclusive",
            Self::Close => "close",
            Self::Leave => "leave",
            Self::Steady => "steady",
            Self::Resize => "resize",
            Self::Retire => "retire",
            Self::Rejected => "rejected",
            Self::Halted => "halted",
            Self::Drain => "drain",
            Self::Empty => "empty",
            Self::Prepare => "prepare",
            Self::ScaleUp => "scale-up",
            Self::Warm => "warm",
            Self::Reject => "reject",
            Self::Gates => "gates",
            Self::Hold => "hold",
            Self::Switch => "switch",
        }
    }
}
