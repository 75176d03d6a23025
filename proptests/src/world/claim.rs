//! The marks of a commit on the parent: claimed before its first write, concluded after its last one, as `claim.rs` of
//! `daemon/src/reconcile/` does.

use std::rc::Rc;

use jiff::Timestamp;
use tidegate_core::ids::{CommitId, Digest};
use tidegate_core::standing::{Claim, Conclusion, Progress, Said, conclude, drop_overcome, kept};
use tidegate_core::status::{State, Times};

use super::bugs::Bug;
use super::lane::{Good, Lane, Wanted};
use super::request::{CallError, Parent, ParentChange, Request, Why};

impl Lane {
    pub(super) async fn claim(&mut self, wanted: &Wanted, good: &Good) -> Result<bool, CallError> {
        let Some(parent) = self.memory.parent.clone() else {
            return Ok(good.desired().settings.decommission);
        };
        let asked = self.asked(good);
        let commit = newest(wanted, &asked);
        let inputs = asked.target.inputs.clone();
        self.memory.behind = false;
        self.memory.claimed.clone_from(&parent.seen);
        self.memory.claimed_hold = parent.holds().cloned();
        let (said, now) = (said(&parent, self.now()), self.now());
        let contained = {
            let (local, world) = (self.local.borrow(), self.world.borrow());
            let mut asks = said.asks();
            asks.retain(|from| local.mirror.is_ancestor(&world.git, from, commit));
            asks
        };
        let claim = said.claim(Some(commit), commit.as_str(), &inputs, &contained, now);
        let uses_rewind = match claim {
            Claim::Stands => {
                self.begin(good);
                return Ok(true);
            }
            Claim::Behind if !self.has(Bug::RewindAccepted) => {
                self.memory.behind = true;
                return Ok(false);
            }
            Claim::Behind => false,
            Claim::Write { uses_rewind } => uses_rewind,
        };
        if self.has(Bug::CommitNotClaimed) {
            self.begin(good);
            return Ok(true);
        }
        let left = self.leave(&parent, &asked).await?;
        let mut change = ParentChange { seen: Some((commit.clone(), inputs)), rewound: uses_rewind, ..left };
        if uses_rewind {
            // A person has gone back behind it: what was good there is nothing to go back to.
            (change.good, change.before, self.memory.unsaid.good) = (Some(None), Some(None), None);
        }
        self.begin(good);
        self.memory.claimed = Some(commit.clone());
        self.memory.claimed_hold = change
            .held
            .clone()
            .map_or_else(|| parent.holds().cloned(), |held| held.map(|held| held.inputs.clone()));
        self.write_parent(change).await?;
        let before = self.memory.claimed_here.replace(commit.clone());
        if parent.seen.is_some() && before != parent.seen && !self.has(Bug::TakenOverUnread) {
            self.memory.inventory = None;
            self.ensure_inventory().await?;
        }
        Ok(true)
    }

    fn begin(&mut self, good: &Good) {
        let inputs = &good.target.inputs;
        if self.memory.progress.inputs.as_ref() == Some(inputs) {
            return;
        }
        let record = self.memory.written.as_ref().filter(|status| status.inputs.as_ref() == Some(inputs));
        // Records name no problems here; what is degraded in this world has missed its deadline.
        let missed = record.is_some_and(|status| status.state == State::Degraded);
        let times =
            record.map_or(Times { seen: Some(self.now()), ..Times::default() }, |status| status.times);
        let Times { committed: _, seen, applied, live, anew } = times;
        let inputs = Some(inputs.clone());
        self.memory.progress = Progress { inputs, seen, applied, live, anew, missed, ..Progress::default() };
    }

    pub(super) async fn conclude(&mut self, good: &Good) -> Result<(), CallError> {
        let Some((_, plan)) = &self.memory.last else { return Ok(()) };
        let now = self.world.borrow().now;
        self.memory.failed = drop_overcome(std::mem::take(&mut self.memory.failed), plan, now);
        match conclude(plan, &self.memory.failed, good.desired().settings.decommission) {
            Conclusion::Open => return Ok(()),
            Conclusion::TakenDown => return self.take_down(&good.commit).await,
            Conclusion::Applied => drop(self.memory.progress.applied.get_or_insert(now)),
        }
        self.memory.unsaid.applied = None;
        let parent = self.memory.parent.as_ref();
        let same = parent.is_some_and(|parent| {
            let status = parent.status.as_ref();
            let status = status.filter(|status| status.applied_inputs.as_ref() == Some(&good.target.inputs));
            let recorded = status.and_then(|status| status.applied.as_ref());
            recorded.is_some_and(|recorded| {
                parent.applied.as_ref().is_some_and(|applied| applied.as_str() == recorded.id)
            })
        });
        if same || parent.is_some_and(|parent| parent.applied.as_ref() == Some(&good.commit)) {
            return Ok(());
        }
        self.memory.unsaid.applied = Some((good.commit.clone(), self.memory.cursor));
        Ok(())
    }

    pub(super) async fn take_down(&mut self, asked_by: &CommitId) -> Result<(), CallError> {
        let kept = self.memory.last.as_ref().map(|(_, plan)| kept(plan)).unwrap_or_default();
        if self.inventory().entries.keys().any(|id| !kept.contains(id)) {
            return Ok(());
        }
        let Some(parent) = self.memory.parent.clone() else { return Ok(()) };
        let (now, stored) = self.read_inventory(&parent).await?;
        if now != self.inventory() && !self.has(Bug::TakenOverUnread) {
            self.memory.inventory = Some((now, stored));
            return Ok(());
        }
        let why = Rc::new(Why { commit: asked_by.clone(), ..Why::clone(&self.why()) });
        let request = Request::DeleteParent { known: Box::new(parent.clone()), why };
        self.repeated(|| request.clone()).await?;
        self.local.borrow_mut().note_deleted(&parent);
        self.memory.parent = None;
        self.memory.inventory = None;
        self.memory.unsaid = ParentChange::default();
        Ok(())
    }
}

/// The newest commit that asks for this set. It may have been loaded from an older one with the same files.
pub(super) fn newest<'a>(wanted: &'a Wanted, good: &'a Good) -> &'a CommitId {
    match wanted {
        Wanted::Present(head, target) if target.inputs == good.target.inputs => head,
        Wanted::Present(..) | Wanted::Missing(_) => &good.commit,
    }
}

/// What the parent says of commits. A rewind has no time here: none of them is old.
fn said(parent: &Parent, now: Timestamp) -> Said<'_> {
    let recorded = parent.status.as_ref().and_then(|status| status.seen.as_ref());
    Said {
        seen: parent.seen.as_ref().map(CommitId::as_str),
        seen_inputs: parent.seen_inputs.as_ref().map(Digest::as_str),
        applied: parent.applied.as_ref().map(CommitId::as_str),
        recorded: recorded.map(|seen| seen.id.as_str()),
        rewind: parent.rewind.as_ref().map(|rewind| (rewind, now)),
    }
}
