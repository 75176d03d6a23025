//! What a person orders about a workload, whether it still says something, and the rows that change nothing but the record. Not
//! here: how an order gets onto the pointer, and the rows that move traffic for one.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::decide::{next, point};
use super::pointer::{Bake, Record, Retried};
use super::situation::{Desired, Situation};
use super::slot::{Revision, Slot};
use super::step::{Decision, Phase};

/// A command of a person. It stands on the pointer until the write that carries it out, or strikes it off.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Which.
    pub command: Command,
    /// The revision that the person meant: an order about another one is struck off.
    pub revision: Revision,
    /// Who.
    pub person: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
    /// When.
    pub at: Timestamp,
}

/// What may be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Command {
    /// Turn the revision down: before the switch it never gets traffic, in its bake traffic goes back.
    Abort,
    /// Close the bake now.
    Promote,
    /// Move traffic back to the standby.
    RollBack,
    /// End the halt.
    Resume,
    /// Try the rejected revision again.
    Retry,
}

impl Command {
    /// The word on the command line, and in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Promote => "promote",
            Self::RollBack => "rollback",
            Self::Resume => "resume",
            Self::Retry => "retry",
        }
    }
}

impl Order {
    /// True when there is something that the order can still do.
    pub(super) fn applies(&self, situation: &Situation<'_>, record: &Record) -> bool {
        let is_live = record.live.is_some_and(|live| situation.revision(live) == Some(self.revision));
        let is_baking = record.is_baking() && is_live;
        let is_desired = match situation.desired {
            Desired::Revision { revision, .. } => revision == self.revision,
            // Nobody knows yet.
            Desired::Unknown => true,
            Desired::Gone { .. } | Desired::Plain => false,
        };
        match self.command {
            Command::Abort => is_baking || (!is_live && is_desired && !situation.is_held_as_rejected(record)),
            Command::Promote => is_baking,
            Command::RollBack => {
                is_baking
                    || (is_live && record.live.is_some_and(|live| standby(situation, record, live).is_some()))
            }
            Command::Resume => record.halted.is_some(),
            Command::Retry => is_desired && situation.is_held_as_rejected(record),
        }
    }
}

/// The orders that change the record alone; one that says nothing any more is struck off.
pub(super) fn follow_order(situation: &Situation<'_>, record: &Record) -> Option<Decision> {
    let order = record.order.as_ref()?;
    let done = Record { order: None, ..next(record) };
    if !order.applies(situation, record) {
        return Some(Decision::carry(Phase::Decline, vec![point(done)]));
    }
    match order.command {
        Command::Resume => {
            let resumed = Record { halted: None, ..done };
            Some(Decision::carry(Phase::Halted, vec![point(resumed)]))
        }
        Command::Retry => {
            let before = record.retried.filter(|retried| retried.revision == order.revision);
            let times = before.map_or(0, |retried| retried.times).saturating_add(1);
            let again = Record { retried: Some(Retried { revision: order.revision, times }), ..done };
            Some(Decision::carry(Phase::Rejected, vec![point(again)]))
        }
        Command::Abort | Command::Promote | Command::RollBack => None,
    }
}

/// The other slot, when it has served, still runs what it served with, and could take the traffic now.
pub(super) fn standby(situation: &Situation<'_>, record: &Record, live: Slot) -> Option<Slot> {
    match record.bake {
        Bake::Open { .. } => return None,
        Bake::Closed { .. } => {}
    }
    let other = live.other();
    let held = situation.deployment(other).filter(|held| held.served.is_some())?;
    let rejected = record.rejected.as_ref().map(|rejected| rejected.revision);
    let is_ready = situation.ready(other) >= situation.floor(Some(live)).max(1);
    (is_ready && rejected != Some(held.revision)).then_some(other)
}
