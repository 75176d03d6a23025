//! Live objects of one cluster in compact form, fed by watches and by the answers to our own writes.
//!
//! Not a cache of whole objects: what is kept is what planning needs (see [`LiveObject`]).

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, RwLock};

use tidegate_core::ids::EnvironmentName;
use tidegate_core::object::ObjectId;
use tidegate_core::observed::{LiveObject, Ownership};
use tokio::sync::Notify;

use super::coverage::Coverage;
use super::version;

/// So many objects that went are remembered: more than can go while a stage of writes is under way.
const ENDS_CAP: usize = 4_096;

/// Live objects by id, and who wants to be woken when one changes.
#[derive(Default)]
pub struct Store {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    objects: HashMap<ObjectId, Arc<LiveObject>>,
    wakers: HashMap<EnvironmentName, Arc<Notify>>,
    /// Objects that a watch has seen go: the resourceVersion of their end by uid, and the uids, oldest first.
    ends: HashMap<String, String>,
    ended: VecDeque<String>,
}

impl Store {
    /// Wakes `notify` whenever an object of the environment changes.
    pub fn register(&self, environment: &EnvironmentName, notify: Arc<Notify>) {
        self.write().wakers.insert(environment.clone(), notify);
    }

    /// What is known of these objects; ids that are absent were not seen by any watch.
    pub fn get<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a ObjectId>,
    ) -> BTreeMap<ObjectId, Arc<LiveObject>> {
        let inner = self.read();
        ids.into_iter()
            .filter_map(|id| inner.objects.get(id).map(|live| (id.clone(), live.clone())))
            .collect()
    }

    /// Takes in what was seen, unless something newer of the same object is known. True when it changed anything.
    pub fn observe(&self, id: ObjectId, live: LiveObject) -> bool {
        let mut inner = self.write();
        // The answer to a write of ours may be taken in after the watch has seen the object go.
        if inner.ends.get(&live.uid).is_some_and(|end| is_newer(end, &live.resource_version)) {
            return false;
        }
        let known = inner.objects.get(&id).cloned();
        if let Some(known) = &known
            && known.uid == live.uid
            && is_newer(&known.resource_version, &live.resource_version)
        {
            return false;
        }
        let changed = known.as_deref() != Some(&live);
        let live = Arc::new(live);
        inner.objects.insert(id, live.clone());
        if changed {
            inner.wake(known.as_deref());
            inner.wake(Some(&live));
        }
        changed
    }

    /// A watch has seen an object go (or lose our label, which the next plan will look at). Older news of it count no more.
    pub fn end(&self, id: &ObjectId, last: &LiveObject) {
        let mut inner = self.write();
        if inner.ended.len() >= ENDS_CAP
            && let Some(oldest) = inner.ended.pop_front()
        {
            inner.ends.remove(&oldest);
        }
        if inner.ends.insert(last.uid.clone(), last.resource_version.clone()).is_none() {
            inner.ended.push_back(last.uid.clone());
        }
        if inner.objects.get(id).is_some_and(|known| known.uid == last.uid) {
            inner.objects.remove(id);
        }
        inner.wake(Some(last));
    }

    /// What is known of an object is not to be relied on any more: the next plan reads it.
    pub fn forget(&self, id: &ObjectId) {
        let mut inner = self.write();
        let gone = inner.objects.remove(id);
        inner.wake(gone.as_deref());
    }

    /// A complete list of what a watch covers has arrived: what it does not name is gone.
    pub fn replace(&self, coverage: &Coverage, listed: HashMap<ObjectId, LiveObject>) {
        let stale: Vec<ObjectId> = {
            let inner = self.read();
            inner
                .objects
                .keys()
                .filter(|id| coverage.holds(id) && !listed.contains_key(*id))
                .cloned()
                .collect()
        };
        for id in stale {
            self.forget(&id);
        }
        for (id, live) in listed {
            self.observe(id, live);
        }
    }

    /// Nobody watches this any more, and nobody asks for it.
    pub fn drop_covered(&self, coverage: &Coverage) {
        self.write().objects.retain(|id, _| !coverage.holds(id));
    }

    /// Every environment looks again.
    pub fn wake_all(&self) {
        for waker in self.read().wakers.values() {
            waker.notify_one();
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Inner {
    fn wake(&self, live: Option<&LiveObject>) {
        let Some(live) = live else { return };
        match &live.ownership {
            Ownership::ApplySet { environment: Some(environment), .. } => {
                let waker = environment.parse().ok().and_then(|name: EnvironmentName| self.wakers.get(&name));
                if let Some(waker) = waker {
                    waker.notify_one();
                }
            }
            Ownership::ApplySet { environment: None, .. } | Ownership::Unmarked | Ownership::Other { .. } => {
            }
        }
    }
}

/// Where they are no numbers, the later arrival counts.
fn is_newer(known: &str, seen: &str) -> bool {
    version::compare(known, seen).is_some_and(Ordering::is_gt)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidegate_core::object::{Gvk, Scope};
    use tidegate_core::summarize::{Detail, id_of, summarize};

    use super::*;

    fn seen(uid: &str, version: &str) -> (ObjectId, LiveObject) {
        let object = json!({"metadata": {"name": "a", "namespace": "n", "uid": uid, "resourceVersion": version,
            "labels": {"tidegate.dev/environment": "dev", "applyset.kubernetes.io/part-of": "x"}}});
        let gvk = Gvk::from_api_version("v1", "ConfigMap");
        let id = id_of(&gvk, Scope::Namespaced, &object).expect("it has a name");
        (id, summarize(&gvk, Detail::Metadata, &object))
    }

    #[test]
    fn the_late_answer_to_a_write_does_not_bring_back_an_object_that_was_seen_to_go() {
        let store = Store::default();
        let (id, ours) = seen("u1", "5");
        store.end(&id, &seen("u1", "7").1);
        assert!(!store.observe(id.clone(), ours));
        assert!(store.get([&id]).is_empty());
        assert!(store.observe(id.clone(), seen("u1", "9").1), "it has our label again");
        store.end(&id, &seen("u0", "12").1);
        assert_eq!(store.get([&id]).len(), 1, "the end of an older object of that name");
    }

    #[tokio::test]
    async fn the_end_of_an_object_wakes_its_environment_even_if_nothing_was_known_of_it() {
        let store = Store::default();
        let waker = Arc::new(Notify::new());
        store.register(&"dev".parse().expect("a name"), waker.clone());
        let (id, live) = seen("u1", "5");
        store.end(&id, &live);
        let woken = tokio::time::timeout(std::time::Duration::from_secs(5), waker.notified()).await;
        assert!(woken.is_ok());
    }
}
