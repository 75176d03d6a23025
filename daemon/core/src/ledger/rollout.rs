//! Which operation the writes of a workload that rolls out in colours belong to, when that operation is over, and how it ended.
//!
//! One operation leads from rest to rest: from the first write for a revision until it is live and its bake closed, or turned down and
//! put away. What a workload does at a time is the phase table's ([`crate::rollout`]); here it is only told.

use super::app::AppName;
use super::record::{GateAnswer, Kind, Result as How};
use crate::rollout::{Answer, Phase, Revision, SlotRecord, Stage, Waiting};

/// How a workload stands, as far as it says whether an operation is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    /// The row of the phase table.
    pub phase: Phase,
    /// What is waited for; none: something is being done.
    pub waits: Option<Waiting>,
    /// What git asks for; none: nothing is known of it, or no colours.
    pub desired: Option<Revision>,
    /// The revision that gets traffic.
    pub serves: Option<Revision>,
    /// The last move of traffic may still be taken back.
    pub is_baking: bool,
}

/// What an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    /// Its kind.
    pub kind: Kind,
    /// What git asked for when it began; none: no colours, or nothing new.
    pub revision: Option<Revision>,
    /// Traffic has moved to it.
    pub has_moved: bool,
}

/// The kind of the operation that a write in this phase begins. `is_news`: git asks for something that the workload has not been at
/// rest with; without it what is written undoes what somebody else did.
pub const fn kind_of(phase: Phase, is_news: bool) -> Kind {
    match phase {
        Phase::Install
        | Phase::Adopt
        | Phase::Leave
        | Phase::Drain
        | Phase::Empty
        | Phase::Prepare
        | Phase::ScaleUp
        | Phase::Warm
        | Phase::Reject
        | Phase::Gates
        | Phase::Hold
        | Phase::Switch
        | Phase::Settle
        | Phase::Bake
        | Phase::Inconclusive
        | Phase::Close => Kind::Deploy,
        Phase::RollBack | Phase::FastRollBack => Kind::Rollback,
        // What was turned down is put away.
        Phase::Remove | Phase::Retire | Phase::Rejected => Kind::Prune,
        Phase::Restore | Phase::Torn => Kind::Drift,
        Phase::Decline
        | Phase::Follow
        | Phase::Repair
        | Phase::Resize
        | Phase::Steady
        | Phase::Stranded
        | Phase::Halted => {
            if is_news {
                Kind::Deploy
            } else {
                Kind::Drift
            }
        }
    }
}

/// How an operation ends that gives way to what is about to be done; none: that is part of it.
pub fn gives_way(aim: Aim, stand: Stand) -> Option<How> {
    let is_other = stand.desired != aim.revision;
    match (aim.kind, stand.phase) {
        // What was undone is told by itself; what comes now is something else.
        (Kind::Drift, phase) => (kind_of(phase, false) != Kind::Drift).then_some(How::Succeeded),
        (Kind::Prune, phase) => (kind_of(phase, false) == Kind::Deploy).then_some(How::Succeeded),
        // git has gone back, and the traffic with it: what it asked for in between was live, and is not any more.
        (Kind::Deploy, Phase::FastRollBack) => Some(How::RolledBack),
        (Kind::Deploy | Kind::Rollback, Phase::Remove) => Some(How::Superseded),
        (Kind::Deploy | Kind::Rollback, phase) if is_other && is_on_the_way(phase) => {
            Some(if stand.serves.is_some() && stand.serves == aim.revision {
                How::Succeeded
            } else {
                How::Superseded
            })
        }
        (_, _) => None,
    }
}

/// How an operation ended; none: it is under way.
pub fn rollout_end(aim: Aim, stand: Stand) -> Option<How> {
    let waits = stand.waits?;
    let is_at_aim = stand.serves == aim.revision && !stand.is_baking;
    match (aim.kind, stand.phase) {
        (_, Phase::Adopt | Phase::Hold) => None,
        (Kind::Deploy, Phase::Rejected) => Some(if aim.has_moved { How::RolledBack } else { How::Failed }),
        (Kind::Deploy, Phase::Halted | Phase::Stranded) => stand.phase.is_over(waits).then_some(How::Failed),
        (Kind::Deploy, Phase::Steady) if is_at_aim => Some(How::Succeeded),
        // git went back before traffic had moved.
        (Kind::Deploy, Phase::Steady) => {
            (stand.desired.is_some() && stand.desired != aim.revision).then_some(How::Superseded)
        }
        // Nothing of it is on its way any more.
        (Kind::Rollback | Kind::Drift | Kind::Prune, _) => match waits {
            Waiting::Git | Waiting::Time | Waiting::People => Some(How::Succeeded),
            Waiting::Pods | Waiting::Traffic => None,
        },
        (_, _) => None,
    }
}

/// The colour that does not serve is made ready for something.
const fn is_on_the_way(phase: Phase) -> bool {
    match phase {
        Phase::Drain
        | Phase::Empty
        | Phase::Prepare
        | Phase::ScaleUp
        | Phase::Warm
        | Phase::Reject
        | Phase::Gates
        | Phase::Hold
        | Phase::Switch
        | Phase::Leave => true,
        Phase::Restore
        | Phase::Install
        | Phase::Adopt
        | Phase::Remove
        | Phase::Torn
        | Phase::Decline
        | Phase::RollBack
        | Phase::FastRollBack
        | Phase::Follow
        | Phase::Repair
        | Phase::Stranded
        | Phase::Settle
        | Phase::Bake
        | Phase::Inconclusive
        | Phase::Close
        | Phase::Steady
        | Phase::Resize
        | Phase::Retire
        | Phase::Rejected
        | Phase::Halted => false,
    }
}

/// What gates have said of a revision, as it stands on the slot that holds it.
pub fn gate_answers(app: &AppName, record: &SlotRecord, revision: Revision) -> Vec<GateAnswer> {
    let is_about = |answer: &&Answer| answer.evidence.revision == revision;
    let told = |answer: &Answer| {
        let Answer { evidence, finding, first_asked } = answer;
        let stage = match evidence.stage {
            Stage::BeforeSwitch => "beforeSwitch",
            Stage::Baking(_) => "whileBaking",
        };
        GateAnswer {
            name: evidence.gate.name.0.to_string(),
            app: Some(app.clone()),
            stage: stage.to_owned(),
            result: finding.verdict,
            n: finding.samples,
            value: finding.value.clone(),
            threshold: finding.threshold.clone(),
            query: None,
            summary: finding.summary.clone(),
            t0: *first_asked,
            t1: finding.ended,
        }
    };
    record.answers.iter().filter(is_about).map(told).collect()
}
