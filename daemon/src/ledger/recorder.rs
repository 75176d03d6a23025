//! Takes down what happens to one environment: an entry in the cluster before the first change of something, and what came of it
//! when it is over. Lanes call it, and whoever pushes takes from it; git is not touched here.
//!
//! An entry that another daemon has changed meanwhile is that one's: this one lets go of it, because both would tell the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_lc_rs::rand;
use jiff::Timestamp;
use tidegate_core::ids::EnvironmentName;
use tidegate_core::ledger::{
    Actor, AppName, Capped, Entry, ObjectOperation, Outcome, Put, Queue, RecordId, RunId, Stage,
};
use tokio::sync::{Mutex, Notify};

use crate::cluster::call::CallError;
use crate::cluster::entries::Entries;

/// Takes down what happens to one environment, or to one workload of it.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
    workload: Option<AppName>,
}

struct Shared {
    environment: EnvironmentName,
    entries: Entries,
    run: RunId,
    actor: Actor,
    held: Mutex<Held>,
    changed: Notify,
}

/// The queue as it stands in the cluster.
#[derive(Default)]
struct Held {
    queue: Queue,
    versions: BTreeMap<RecordId, String>,
}

impl Recorder {
    /// Reads what is there.
    pub async fn open(
        entries: Entries,
        environment: EnvironmentName,
        run: RunId,
        actor: Actor,
    ) -> Result<Self, CallError> {
        let stored = entries.list().await?;
        let versions = stored.iter().map(|stored| (stored.entry.id, stored.version.clone())).collect();
        let queue = Queue::of(stored.into_iter().map(|stored| stored.entry));
        let held = Mutex::new(Held { queue, versions });
        let changed = Notify::new();
        let shared = Arc::new(Shared { environment, entries, run, actor, held, changed });
        Ok(Self { shared, workload: None })
    }

    /// The same for one of its workloads.
    #[must_use]
    pub fn about(&self, workload: AppName) -> Self {
        Self { workload: Some(workload), ..self.clone() }
    }

    /// The environment.
    pub fn environment(&self) -> &EnvironmentName {
        &self.shared.environment
    }

    /// Who writes.
    pub fn actor(&self) -> Actor {
        self.shared.actor.clone()
    }

    /// What another run of a daemon left under way of this workload, or of the environment itself.
    pub async fn left(&self) -> Vec<Entry> {
        let mut left = self.shared.held.lock().await.queue.left_by_others(&self.shared.run);
        left.retain(|entry| entry.workload == self.workload);
        left
    }

    /// The same of workloads that are none of these any more: nobody else closes it.
    pub async fn left_beside(&self, workloads: &BTreeSet<String>) -> Vec<Entry> {
        let mut left = self.shared.held.lock().await.queue.left_by_others(&self.shared.run);
        left.retain(|entry| entry.workload.as_ref().is_some_and(|app| !workloads.contains(app.as_str())));
        left
    }

    /// Something is about to be done, or how far it is: what is known by now, and what is about to be done next. Whoever begins
    /// keeps the id also where this fails: it may have been written all the same.
    pub async fn note(
        &self,
        id: RecordId,
        outcome: Outcome,
        pending: Capped<ObjectOperation>,
    ) -> Result<(), CallError> {
        let stage = Stage::UnderWay { pending };
        let entry = Entry { stage, ..self.entry(id, outcome) };
        Box::pin(self.write(entry)).await
    }

    /// It is over. One of many workloads is told in several parts, the first one last: while it is under way, nothing is lost.
    pub async fn end(&self, id: RecordId, outcome: Outcome) -> Result<(), CallError> {
        let mut parts = outcome.parts().into_iter();
        let Some(first) = parts.next() else { return Ok(()) };
        for (part, number) in parts.zip(1_u32..) {
            Box::pin(self.close(self.entry(id.after(number), part))).await?;
        }
        Box::pin(self.close(self.entry(id, first))).await?;
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Something that was over as soon as it was known. Whoever may have to try again gives it an id by [`Self::end`].
    pub async fn put(&self, outcome: Outcome) -> Result<(), CallError> {
        self.end(fresh_id(Timestamp::now()), outcome).await
    }

    /// Nothing came of something that was about to be done.
    pub async fn forget(&self, id: RecordId) -> Result<(), CallError> {
        self.pushed(&[id]).await
    }

    /// Closes what another run left under way.
    pub async fn interrupt(&self, entry: Entry, found: &str) -> Result<(), CallError> {
        let entry = entry.interrupted(found, Timestamp::now());
        let id = entry.id;
        self.end(id, entry.outcome).await
    }

    /// What waits for git, in its order.
    pub async fn waiting(&self) -> Vec<Entry> {
        self.shared.held.lock().await.queue.waiting().into_iter().cloned().collect()
    }

    /// These are in git.
    pub async fn pushed(&self, ids: &[RecordId]) -> Result<(), CallError> {
        for id in ids {
            self.shared.entries.delete(*id).await?;
            let mut held = self.shared.held.lock().await;
            held.queue.remove(*id);
            held.versions.remove(id);
        }
        Ok(())
    }

    /// Returns when something new waits.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    fn entry(&self, id: RecordId, outcome: Outcome) -> Entry {
        Entry { workload: self.workload.clone(), ..Entry::begun(id, self.shared.run.clone(), outcome) }
    }

    async fn close(&self, entry: Entry) -> Result<(), CallError> {
        let now = Timestamp::now();
        let id = entry.id;
        let put = self.shared.held.lock().await.queue.put(entry.over(), fresh_id(now), now);
        match put {
            Put::Keep(entry) => self.write(entry).await,
            Put::Fold(gap) => {
                tracing::error!(
                    environment = %self.shared.environment, lost = gap.outcome.gap.as_ref().map_or(0, |gap| gap.count),
                    "the deploy log's queue is full: what happens is counted, and its record is lost"
                );
                self.write(gap).await?;
                self.shared.entries.delete(id).await?;
                self.shared.held.lock().await.versions.remove(&id);
                Ok(())
            }
        }
    }

    async fn write(&self, mut entry: Entry) -> Result<(), CallError> {
        entry.shrink().map_err(|error| CallError::Server(error.to_string()))?;
        // One write after the other: a lane's and a workload's would else make two gaps of one.
        let mut held = self.shared.held.lock().await;
        let mut written = match held.versions.get(&entry.id) {
            Some(version) => self.shared.entries.update(&entry, version).await,
            None => self.shared.entries.create(&entry).await,
        };
        // A write of ours whose answer was lost has made it, or has changed its version, too. What another run has told whole in the
        // same words (`RecordId::of`) stands, and waits for git from here.
        if let Err(CallError::Conflict(_)) = &written
            && let Some(there) = self.shared.entries.read(entry.id).await?
        {
            if there.entry.run == self.shared.run {
                written = self.shared.entries.update(&entry, &there.version).await;
            } else if entry.is_over() && there.entry.is_over() {
                (entry, written) = (there.entry, Ok(there.version));
            }
        }
        match written {
            Ok(version) => {
                held.versions.insert(entry.id, version);
                held.queue.insert(entry);
                Ok(())
            }
            Err(CallError::Conflict(_) | CallError::NotFound(_)) => {
                tracing::warn!(
                    environment = %self.shared.environment, id = %entry.id,
                    "another daemon has taken over an entry of the deploy log"
                );
                held.versions.remove(&entry.id);
                held.queue.remove(entry.id);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// An id that no other record has.
pub fn fresh_id(now: Timestamp) -> RecordId {
    let mut random = [0; 10];
    // The system's source of randomness does not fail once the process runs; without it ids differ by their time alone.
    if rand::fill(&mut random).is_err() {
        tracing::error!("there is no randomness for ids of records");
    }
    RecordId::new(now, random)
}
