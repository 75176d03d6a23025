//! Which watches of a cluster run: one per kind, whatever the number of environments; where the identity may not list a
//! kind in the whole cluster, one per namespace that environments have objects of it in.
//!
//! Not the watching itself (see [`super::follow`]). A watch that is refused stays and is tried again now and then, because
//! rights may come; one that no pass has asked for in a long time ends, so that what is watched is bounded by what
//! environments hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;
use tidegate_core::object::Gvk;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::coverage::Coverage;
use super::follow::Follower;
use super::kinds::{Kinds, ServedKind};
use super::store::Store;

/// A watch that no pass has asked for in this time ends. Longer than the pause between passes of an idle environment.
const UNWANTED_AFTER: Duration = Duration::from_mins(30);
/// How often it is looked for such watches.
const SWEEP_EVERY: Duration = Duration::from_mins(1);
/// Each watch is a connection; objects beyond so many watches of one cluster are read one by one.
const WATCHES_CAP: usize = 1_000;

/// Where a watch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its first list is on its way.
    Starting,
    /// It has listed everything and follows it: absence means something.
    Listed,
    /// The identity may not list or watch this much; tried again with growing pauses.
    Refused,
    /// The API server serves the kind in no version; looked for again with growing pauses.
    NotServed,
}

/// The running watches of one cluster.
pub struct Watches {
    client: Client,
    store: Arc<Store>,
    kinds: Kinds,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    watches: BTreeMap<Coverage, Entry>,
    swept: Option<Instant>,
    /// It was said that there are too many.
    is_full: bool,
}

struct Entry {
    task: AbortHandle,
    phase: watch::Receiver<Phase>,
    again: Arc<Notify>,
    since: Instant,
    wanted: Instant,
}

impl Entry {
    fn phase(&self) -> Phase {
        *self.phase.borrow()
    }
}

impl Watches {
    /// None runs yet.
    pub fn new(client: Client, store: Arc<Store>, kinds: Kinds) -> Self {
        Self { client, store, kinds, running: Mutex::default() }
    }

    /// Sees to it that objects of the kind in these namespaces are watched (`namespaces` says nothing for kinds that live
    /// in the cluster): by one watch of the whole cluster, or by one in each namespace while that one is refused.
    pub fn ensure(&self, gvk: &Gvk, kind: &ServedKind, namespaces: &BTreeSet<String>) {
        if !kind.watchable {
            return;
        }
        let mut running = self.lock();
        match self.keep(&mut running, Coverage::everywhere(gvk), gvk, kind) {
            Some(Phase::Refused) => {
                for namespace in namespaces {
                    self.keep(&mut running, Coverage::within(gvk, namespace), gvk, kind);
                }
            }
            Some(Phase::Listed) => end_narrow(&mut running, gvk),
            Some(Phase::Starting | Phase::NotServed) | None => {}
        }
        self.sweep(&mut running);
    }

    /// True when a watch has listed this kind in this namespace (or in the whole cluster), so that absence means something.
    pub fn is_synced(&self, gvk: &Gvk, namespace: Option<&str>) -> bool {
        let running = self.lock();
        let listed = |coverage: &Coverage| {
            running.watches.get(coverage).is_some_and(|entry| entry.phase() == Phase::Listed)
        };
        listed(&Coverage::everywhere(gvk))
            || namespace.is_some_and(|namespace| listed(&Coverage::within(gvk, namespace)))
    }

    /// True when objects of this kind in this namespace are not watched, and will not be before rights come: nobody tells of
    /// what becomes of them. Asked of kinds that were looked for ([`Self::ensure`]).
    pub fn is_blind(&self, gvk: &Gvk, namespace: Option<&str>) -> bool {
        let running = self.lock();
        let phase = |coverage: &Coverage| running.watches.get(coverage).map(Entry::phase);
        match phase(&Coverage::everywhere(gvk)) {
            None => true,
            Some(Phase::Starting | Phase::Listed | Phase::NotServed) => false,
            Some(Phase::Refused) => {
                let narrow = namespace.map(|namespace| phase(&Coverage::within(gvk, namespace)));
                matches!(narrow, None | Some(None | Some(Phase::Refused)))
            }
        }
    }

    /// True while the first list of this kind may still be on its way: the watch that is to deliver it runs for less than
    /// `age`. An older one that has not delivered it is not waited for.
    pub fn is_young(&self, gvk: &Gvk, namespace: Option<&str>, age: Duration) -> bool {
        let running = self.lock();
        let young = |entry: &Entry| entry.phase() == Phase::Starting && entry.since.elapsed() < age;
        match running.watches.get(&Coverage::everywhere(gvk)) {
            Some(wide) if wide.phase() == Phase::Refused => namespace
                .and_then(|namespace| running.watches.get(&Coverage::within(gvk, namespace)))
                .is_some_and(young),
            Some(wide) => young(wide),
            None => false,
        }
    }

    /// Starts the watch unless it runs already; where it stands, or none when there are too many.
    fn keep(&self, running: &mut Running, coverage: Coverage, gvk: &Gvk, kind: &ServedKind) -> Option<Phase> {
        if let Some(entry) = running.watches.get_mut(&coverage)
            && !entry.task.is_finished()
        {
            entry.wanted = Instant::now();
            if entry.phase() == Phase::NotServed {
                entry.again.notify_one();
            }
            return Some(entry.phase());
        }
        if running.watches.len() >= WATCHES_CAP {
            if !running.is_full {
                tracing::warn!(
                    watches = WATCHES_CAP,
                    "no more watches are kept in one cluster: further objects are read one by one, and drift of them is found late"
                );
            }
            running.is_full = true;
            return None;
        }
        let (phase, seen) = watch::channel(Phase::Starting);
        let again = Arc::new(Notify::new());
        let follower = Follower {
            client: self.client.clone(),
            store: self.store.clone(),
            kinds: self.kinds.clone(),
            coverage: coverage.clone(),
            phase,
            again: again.clone(),
        };
        let task = tokio::spawn(follower.run(gvk.clone(), kind.clone())).abort_handle();
        let now = Instant::now();
        running.watches.insert(coverage, Entry { task, phase: seen, again, since: now, wanted: now });
        Some(Phase::Starting)
    }

    /// Ends watches that nobody wants any more, and forgets what they saw.
    fn sweep(&self, running: &mut Running) {
        if running.swept.is_some_and(|at| at.elapsed() < SWEEP_EVERY) {
            return;
        }
        running.swept = Some(Instant::now());
        let unwanted: Vec<Coverage> = running
            .watches
            .iter()
            .filter(|(_, entry)| entry.wanted.elapsed() > UNWANTED_AFTER)
            .map(|(coverage, _)| coverage.clone())
            .collect();
        for coverage in unwanted {
            if let Some(entry) = running.watches.remove(&coverage) {
                entry.task.abort();
                self.store.drop_covered(&coverage);
                tracing::debug!(%coverage, "no longer watched: no environment has had objects there for long");
            }
        }
        running.is_full = running.watches.len() >= WATCHES_CAP;
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The whole cluster is watched: the kind's watches of single namespaces have nothing to add.
fn end_narrow(running: &mut Running, gvk: &Gvk) {
    running.watches.retain(|coverage, entry| {
        let stays = coverage.namespace.is_none() || !coverage.is_of_kind(gvk);
        if !stays {
            entry.task.abort();
        }
        stays
    });
}

impl Drop for Watches {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        for entry in running.watches.values() {
            entry.task.abort();
        }
    }
}
