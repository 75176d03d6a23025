//! A plan in one line.

use std::fmt;

use super::{Action, ApplyReason, Plan, WaitingReason};
use crate::object::ObjectId;

/// How many objects a plan does what with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Created or created again.
    pub create: usize,
    /// Changed or taken over.
    pub change: usize,
    /// Drift repaired.
    pub repair: usize,
    /// Deleted, those included that come in a later plan because deletes come last.
    pub delete: usize,
    /// To be inspected by a dry-run first.
    pub inspect: usize,
    /// Left alone for a reason.
    pub wait: usize,
}

impl Plan {
    /// True when nothing is done, inspected, forgotten or recorded; objects may still wait.
    pub fn is_idle(&self) -> bool {
        let Self { stages, needs: _, inspect, waiting: _, problems: _, forget, accept } = self;
        stages.is_empty() && inspect.is_empty() && forget.is_empty() && accept.is_empty()
    }

    /// True when there is nothing to say at all.
    pub fn is_empty(&self) -> bool {
        self.is_idle() && self.waiting.is_empty() && self.problems.is_empty()
    }

    /// Every object that it does or asks something about, or says why not; an object may come more than once.
    pub fn objects(&self) -> impl Iterator<Item = ObjectId> {
        let Self { stages, needs: _, inspect, waiting, problems: _, forget, accept } = self;
        let actions = stages.iter().flat_map(|stage| &stage.actions).map(|action| match action {
            Action::Apply(apply) => apply.object.reference.id(),
            Action::Delete(delete) => delete.object.id(),
        });
        let waiting = waiting.iter().map(|waiting| waiting.object.clone());
        let named = inspect.iter().chain(forget).chain(accept).cloned();
        actions.chain(waiting).chain(named)
    }

    /// How many objects it does what with.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { inspect: self.inspect.len(), ..Counts::default() };
        for action in self.actions() {
            match action {
                Action::Apply(apply) => match apply.reason {
                    ApplyReason::Create | ApplyReason::Recreate => counts.create += 1,
                    ApplyReason::Changed | ApplyReason::Resume | ApplyReason::Adopt => counts.change += 1,
                    ApplyReason::Drift { .. } => counts.repair += 1,
                },
                Action::Delete(_) => counts.delete += 1,
            }
        }
        for waiting in &self.waiting {
            match &waiting.reason {
                WaitingReason::PruneAfter(_) => counts.delete += 1,
                WaitingReason::Unread(_)
                | WaitingReason::DryRunFailed(_)
                | WaitingReason::Refused(_)
                | WaitingReason::Deleting(_)
                | WaitingReason::EarlierWave(_)
                | WaitingReason::Dependency(_)
                | WaitingReason::Ownership(_)
                | WaitingReason::PruneBudget
                | WaitingReason::PruneNotAllowed(_)
                | WaitingReason::Suspended(_)
                | WaitingReason::FightingOver(_) => counts.wait += 1,
            }
        }
        counts
    }

    /// One line: `2 to create, 1 to change, 1 to delete; 1 waits`.
    pub fn summary(&self) -> String {
        self.counts().to_string()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { create, change, repair, delete, inspect, wait } = *self;
        let parts = [
            (create, "to create"),
            (change, "to change"),
            (repair, "to repair"),
            (delete, "to delete"),
            (inspect, "to inspect"),
        ];
        let mut written = false;
        for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
            let comma = if written { ", " } else { "" };
            write!(f, "{comma}{count} {what}")?;
            written = true;
        }
        if !written {
            f.write_str("nothing to do")?;
        }
        match wait {
            0 => Ok(()),
            1 => f.write_str("; 1 waits"),
            _ => write!(f, "; {wait} wait"),
        }
    }
}

impl WaitingReason {
    /// Whether the object left git and stays in the cluster on purpose.
    pub fn is_kept(&self) -> bool {
        match self {
            Self::PruneNotAllowed(_) => true,
            Self::Unread(_)
            | Self::DryRunFailed(_)
            | Self::Refused(_)
            | Self::PruneAfter(_)
            | Self::Deleting(_)
            | Self::EarlierWave(_)
            | Self::Dependency(_)
            | Self::Ownership(_)
            | Self::PruneBudget
            | Self::Suspended(_)
            | Self::FightingOver(_) => false,
        }
    }

    /// Whether the object belongs to another tool or environment.
    pub fn is_somebody_elses(&self) -> bool {
        match self {
            Self::Ownership(_) => true,
            Self::Unread(_)
            | Self::DryRunFailed(_)
            | Self::Refused(_)
            | Self::PruneAfter(_)
            | Self::Deleting(_)
            | Self::EarlierWave(_)
            | Self::Dependency(_)
            | Self::PruneBudget
            | Self::PruneNotAllowed(_)
            | Self::Suspended(_)
            | Self::FightingOver(_) => false,
        }
    }

    /// Whether the commit counts as not applied because of it. What is kept on purpose, and a field that somebody fights
    /// over after it was rolled out, do not hold it.
    pub fn holds_commit(&self) -> bool {
        match self {
            Self::PruneNotAllowed(_) | Self::FightingOver(_) => false,
            Self::Unread(_)
            | Self::DryRunFailed(_)
            | Self::Refused(_)
            | Self::PruneAfter(_)
            | Self::Deleting(_)
            | Self::EarlierWave(_)
            | Self::Dependency(_)
            | Self::Ownership(_)
            | Self::PruneBudget
            | Self::Suspended(_) => true,
        }
    }
}

impl fmt::Display for WaitingReason {
    /// One clause without a full stop, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(why) => write!(f, "it could not be read: {why}"),
            Self::DryRunFailed(why) => write!(f, "its dry-run failed: {why}"),
            Self::Refused(why) => write!(f, "the API server refused it: {why}"),
            Self::PruneAfter(object) => write!(f, "it is deleted after {object} is applied and healthy"),
            Self::Deleting(finalizers) if finalizers.is_empty() => f.write_str("it is being deleted"),
            Self::Deleting(finalizers) => {
                write!(f, "it is being deleted; held by the finalizers {}", finalizers.join(", "))
            }
            Self::EarlierWave(wave) => write!(f, "wave {wave} is not healthy yet"),
            Self::Dependency(object) => write!(f, "it needs {object}, which is not ready"),
            Self::Ownership(whose) => f.write_str(whose),
            Self::PruneBudget => f.write_str("it left git, and the prune budget is exceeded"),
            Self::PruneNotAllowed(why) => write!(f, "it left git and is kept: {why}"),
            Self::Suspended(reason) => write!(f, "the environment is suspended: {reason}"),
            Self::FightingOver(what) => f.write_str(what),
        }
    }
}
