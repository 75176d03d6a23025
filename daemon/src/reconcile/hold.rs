//! What holds an environment back: a suspension (in git or on the parent), a missing folder, others that come first.

use std::sync::Arc;

use jiff::Timestamp;
use tidegate_core::desired::Suspend;
use tidegate_core::ids::EnvironmentName;
use tidegate_core::ledger::Order;
use tidegate_core::status::SuspendedBy;

use super::lane::{Lane, Wanted};
use crate::cluster::handle::Cluster;
use crate::cluster::parent::{Resumption, Suspension};
use crate::world::DesiredSet;

/// A suspension that holds.
enum Stop<'a> {
    /// In environment.yaml.
    Git(&'a Suspend),
    /// On the parent.
    Hand(&'a Suspension),
}

impl Lane {
    /// The set that may be enforced now; none while something holds the environment back.
    pub(super) fn enforced(&self, wanted: &Wanted) -> Option<Arc<DesiredSet>> {
        let held = match wanted {
            Wanted::Missing => true,
            Wanted::Present(_) => self.suspension(wanted).is_some() || self.waits_for(wanted).is_some(),
        };
        if held {
            return None;
        }
        self.worked_for()
    }

    /// True when a living daemon of another repository works on an environment of this name.
    pub(super) fn is_contested(&self, cluster: &Cluster) -> bool {
        let source = self.memory.parent.as_ref().and_then(|parent| parent.source.as_ref());
        source.is_some_and(|source| cluster.view().is_some_and(|view| view.is_other(source)))
    }

    /// True when git does not name the environment and its parent has become that of another repository, whose daemon may not
    /// even run: whatever it holds is not ours to record or to take down.
    pub(super) fn is_left_to_others(&self, cluster: &Cluster, wanted: &Wanted) -> bool {
        let source = self.memory.parent.as_ref().and_then(|parent| parent.source.as_ref());
        let of_others = |source| cluster.view().is_some_and(|view| view.source() != source);
        let left = match wanted {
            Wanted::Missing => source.is_some_and(|source| of_others(source.as_str())),
            Wanted::Present(_) => false,
        };
        if left {
            self.shared.board.remove(&self.name);
        }
        left
    }

    /// True when git does not name the environment and it owns nothing that could be lost by forgetting it.
    pub(super) fn owns_nothing_and_is_gone(&self, wanted: &Wanted) -> bool {
        match wanted {
            Wanted::Missing => {
                let inventory = self.memory.inventory.as_ref();
                let has_workloads =
                    self.memory.parent.as_ref().is_some_and(|parent| !parent.workloads.is_empty());
                self.memory.parent.is_some()
                    && !has_workloads
                    && inventory.is_some_and(|(owned, _)| owned.entries.is_empty())
            }
            Wanted::Present(_) => false,
        }
    }

    /// True when git does not name the environment and the cluster holds nothing of it: it was taken down properly.
    pub(super) fn is_taken_down(&self, wanted: &Wanted) -> bool {
        let gone = match wanted {
            Wanted::Missing => self.memory.parent.is_none(),
            Wanted::Present(_) => false,
        };
        if gone {
            self.shared.board.remove(&self.name);
        }
        gone
    }

    /// What people asked for on the parent: a poll now, a resumption, a rewind.
    pub(super) async fn serve_requests(&mut self) {
        let Some(parent) = &self.memory.parent else { return };
        let mut resumed = None;
        if parent.sync.is_some() && parent.sync != self.memory.served_sync {
            self.memory.served_sync.clone_from(&parent.sync);
            // What was refused or rejected is tried again as well: the cluster may have changed since.
            self.memory.failed.clear();
            self.memory.rejected = None;
            self.memory.evidence.clear();
            self.shared.source.poll_now();
        }
        // An older one is not said again at each start: the first look counts only where the record still says suspended.
        let was_suspended = self.memory.written.as_ref().is_some_and(|record| record.suspended.is_some());
        let known = std::mem::replace(&mut self.memory.served_resume, parent.resumed.clone());
        if let Some(resumption) = &parent.resumed
            && known.as_ref() != Some(resumption)
            && (known.is_some() || was_suspended)
        {
            let Resumption { reason, by, at, was: _ } = resumption;
            tracing::warn!(environment = %self.name, %by, %reason, %at, "resumed");
            let (by, reason) = (by.clone(), reason.clone());
            resumed = Some(Order { command: "resume".to_owned(), by, reason, at: *at });
        }
        let rewound = self.serve_rewind(parent).await;
        for order in [resumed, rewound].into_iter().flatten() {
            self.log_order(order);
        }
    }

    /// Why the environment is suspended, and what ends it.
    pub(super) fn suspension(&self, wanted: &Wanted) -> Option<(String, String)> {
        self.stop(wanted).map(|stop| match stop {
            Stop::Git(suspend) => {
                let why = format!("suspended in git ({}): {}", suspend.location, suspend.reason);
                (why, until(suspend.until, "a commit that lifts it"))
            }
            Stop::Hand(suspension) => {
                let why = format!("suspended by {}: {}", suspension.by, suspension.reason);
                (why, until(suspension.until, &format!("tidegate resume {}", self.name)))
            }
        })
    }

    /// Where the suspension stands.
    pub(super) fn suspended_by(&self, wanted: &Wanted) -> Option<SuspendedBy> {
        self.stop(wanted).map(|stop| match stop {
            Stop::Git(_) => SuspendedBy::Git,
            Stop::Hand(_) => SuspendedBy::Hand,
        })
    }

    /// The suspension that holds now; one in git counts before one by hand.
    fn stop<'a>(&'a self, wanted: &'a Wanted) -> Option<Stop<'a>> {
        let now = Timestamp::now();
        let holds = |until: Option<Timestamp>| until.is_none_or(|until| until > now);
        let by_hand = self.memory.parent.as_ref().and_then(|parent| parent.suspension.as_ref());
        let in_git = self.in_git(wanted).find(|suspend| holds(suspend.until)).map(Stop::Git);
        in_git.or_else(|| by_hand.filter(|suspension| holds(suspension.until)).map(Stop::Hand))
    }

    /// The suspensions that git asks for: of the newest commit, and of the set that stays enforced while the newest commit is
    /// broken. (A broken commit is not applied at all, so it lifts no suspension either.)
    fn in_git<'a>(&'a self, wanted: &'a Wanted) -> impl Iterator<Item = &'a Suspend> {
        let (newest, enforced) = match wanted {
            Wanted::Present(target) => (
                target.environment.as_ref().ok(),
                self.memory.good.as_ref().filter(|good| good.inputs != target.inputs),
            ),
            Wanted::Missing => (None, None),
        };
        let all = newest.into_iter().chain(enforced.map(|good| &good.environment));
        all.filter_map(|environment| environment.suspend.as_ref())
    }

    /// When the suspensions of now end by themselves.
    pub(super) fn suspension_ends<'a>(&'a self, wanted: &'a Wanted) -> impl Iterator<Item = Timestamp> + 'a {
        let now = Timestamp::now();
        let in_git = self.in_git(wanted).filter_map(|suspend| suspend.until);
        let by_hand = self.memory.parent.as_ref().and_then(|parent| parent.suspension.as_ref()?.until);
        in_git.chain(by_hand).filter(move |until| *until > now)
    }

    /// The first environment that must be live at its newest inputs before this one is applied.
    pub(super) fn waits_for(&self, wanted: &Wanted) -> Option<EnvironmentName> {
        let Wanted::Present(target) = wanted else { return None };
        let environment = target.environment.as_ref().ok()?;
        if environment.depends_on.is_empty() {
            return None;
        }
        self.shared.board.register(&self.name, self.wake.clone());
        let ready = |name: &EnvironmentName| {
            self.shared.board.get(name).is_some_and(|standing| {
                standing.live
                    && standing.inputs == standing.wanted
                    && standing.revision == Some(target.revision.id())
            })
        };
        environment.depends_on.iter().map(|placed| &placed.value).find(|name| !ready(name)).cloned()
    }
}

fn until(time: Option<Timestamp>, otherwise: &str) -> String {
    match time {
        Some(time) => format!("{time:.0}, or {otherwise}"),
        None => otherwise.to_owned(),
    }
}
