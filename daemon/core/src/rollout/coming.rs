//! What ends the phase that a workload is in, and when at the latest. Not here: what it is in ([`super::report`]).

use jiff::{SignedDuration, Timestamp};

use super::pointer::{Bake, Record};
use super::report::Reported;
use super::slot::Slot;
use super::step::{Phase, Step};

impl Reported<'_> {
    /// In words, and the time where there is one.
    pub(super) fn next(&self) -> (Option<String>, Option<Timestamp>) {
        let timing = self.situation.timing;
        let after = |since: Option<Timestamp>, duration: SignedDuration| {
            since.map(|since| since.checked_add(duration).unwrap_or(Timestamp::MAX))
        };
        let record = self.record();
        let settled = record.and_then(|record| record.settled_at);
        let live = record.and_then(|record| record.live);
        let prepared =
            self.situation.deployment(live.map_or(Slot::Blue, Slot::other)).map(|held| held.prepared_at);
        match self.decision.phase {
            Phase::Bake => record.map_or((None, None), |record| self.bake_ends(record)),
            Phase::Settle if record.is_some_and(Record::is_baking) => {
                let words = "traffic has reached it, or the time for that is over".to_owned();
                (Some(words), after(record.map(|record| record.switched_at), timing.settle))
            }
            Phase::Settle => (Some("traffic has followed".to_owned()), None),
            // Since when a gate cannot tell is known to whoever asks it.
            Phase::Gates => (self.asked().map(|gate| format!("gate `{gate}` passes, or its deadline")), None),
            Phase::Inconclusive => {
                (Some("a gate can tell, or `tidegate promote` or `abort`".to_owned()), None)
            }
            Phase::Drain => (Some("the drain is over".to_owned()), after(settled, timing.drain)),
            Phase::Warm => {
                (Some("its pods are ready, or its deadline".to_owned()), after(prepared, timing.warm))
            }
            Phase::Hold => (Some("the window opens".to_owned()), None),
            Phase::Rejected => (Some("another commit, or `tidegate retry` with a reason".to_owned()), None),
            Phase::Halted => (Some("another commit, or `tidegate resume` with a reason".to_owned()), None),
            Phase::Stranded => (Some("another commit".to_owned()), None),
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
            | Phase::Close
            | Phase::Leave
            | Phase::Steady
            | Phase::Resize
            | Phase::Retire
            | Phase::Empty
            | Phase::Prepare
            | Phase::ScaleUp
            | Phase::Reject
            | Phase::Switch => (None, None),
        }
    }

    /// The end of an open bake; beyond its usual one, what it still waits for.
    fn bake_ends(&self, record: &Record) -> (Option<String>, Option<Timestamp>) {
        let Bake::Open { until, max } = record.bake else { return (None, None) };
        let live = record.live.filter(|_| self.situation.now >= until);
        let missing = live.and_then(|live| self.situation.missing_in_bake(live, record));
        match missing {
            Some(gate) => {
                let words =
                    format!("gate `{}` passes; people are asked when it cannot tell by then", gate.name.0);
                (Some(words), Some(max))
            }
            None => (Some("the bake ends".to_owned()), Some(until)),
        }
    }

    /// The gate that is asked now.
    fn asked(&self) -> Option<&str> {
        match &self.decision.step {
            Step::Ask(question) => Some(&question.gate.name.0),
            Step::Wait(_) | Step::Carry(_) => None,
        }
    }
}
