//! A branch that was rewound: who allowed this replica to follow it, and when the permission is used up.

use tidegate_core::ids::CommitId;
use tidegate_core::ledger::Order;

use super::lane::{Lane, Wanted};
use crate::cluster::parent::{Parent, Rewind};
use crate::source::Revision;
use crate::world::DesiredSet;

impl Lane {
    /// Follows a rewound branch where that is allowed: by a person's rewind; or because the environment has been there
    /// already. Then another replica was allowed to, and has used up the permission. Answers a person's order that was carried out.
    pub(super) async fn serve_rewind(&self, parent: &Parent) -> Option<Order> {
        let waiting = self.shared.source.subscribe().borrow().rewound.clone();
        let (from, to) = waiting?;
        let asked = parent.rewind.as_ref();
        let by_hand = match asked {
            Some(rewind) => rewind.commit == to || self.is_beyond(&rewind.commit, &from, &to).await,
            None => false,
        };
        let seen: Option<CommitId> = parent.seen.as_ref().and_then(|seen| seen.parse().ok());
        let followed = match &seen {
            Some(seen) => self.is_beyond(seen, &from, &to).await,
            None => false,
        };
        if !by_hand && !followed {
            return None;
        }
        let by = asked.filter(|_| by_hand).map_or("another replica", |rewind| rewind.by.as_str());
        let reason =
            asked.filter(|_| by_hand).map_or("the environment is there", |rewind| rewind.reason.as_str());
        match self.shared.source.accept_rewind(&to).await {
            Ok(head) => {
                tracing::warn!(environment = %self.name, commit = %head.commit, %by, %reason, "rewind accepted");
                let Rewind { commit: _, reason, by, at } = asked.filter(|_| by_hand)?.clone();
                Some(Order { command: "sync --rewind".to_owned(), by, reason, at })
            }
            Err(problem) => {
                tracing::error!(environment = %self.name, "{problem}");
                None
            }
        }
    }

    /// True when the way from `from` to `to` leads over a commit that is new on it. Of a `from` that this mirror does not
    /// have (it was made anew), nothing is known.
    async fn is_beyond(&self, commit: &CommitId, from: &CommitId, to: &CommitId) -> bool {
        let source = &self.shared.source;
        source.is_ancestor(commit, to).await == Ok(true)
            && source.is_ancestor(from, from).await == Ok(true)
            && source.is_ancestor(commit, from).await == Ok(false)
    }

    /// The newest revision that asks for this set. It may have been loaded from an older one with the same files, and what
    /// people allow is said of the newest.
    pub(super) fn newest_revision(&self, desired: &DesiredSet) -> Revision {
        match &*self.target.borrow() {
            Wanted::Present(target) if target.inputs == desired.inputs => target.revision.clone(),
            Wanted::Present(_) | Wanted::Missing => desired.revision.clone(),
        }
    }
}
