//! Live objects of one cluster in compact form, fed by watches and by the answers to our own writes.
//!
//! Not a cache of whole objects: what is kept is what planning needs (see [`LiveObject`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, RwLock};

use tidegate_core::ids::EnvironmentName;
use tidegate_core::object::{Gvk, ObjectId};
use tidegate_core::observed::{LiveObject, Ownership};
use tokio::sync::Notify;

/// Live objects by id, and who wants to be woken when one changes.
#[derive(Default)]
pub struct Store {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    objects: HashMap<ObjectId, Arc<LiveObject>>,
    wakers: HashMap<EnvironmentName, Arc<Notify>>,
    /// Kinds whose watch has delivered its first complete list.
    synced: BTreeSet<(String, String)>,
}

impl Store {
    /// Wakes `notify` whenever an object of the environment changes.
    pub fn register(&self, environment: &EnvironmentName, notify: Arc<Notify>) {
        self.write().wakers.insert(environment.clone(), notify);
    }

    /// What is known of these objects; ids that are absent were not seen by any watch.
    pub fn get<'a>(&self, ids: impl IntoIterator<Item = &'a ObjectId>) -> BTreeMap<ObjectId, LiveObject> {
        let inner = self.read();
        ids.into_iter()
            .filter_map(|id| inner.objects.get(id).map(|live| (id.clone(), LiveObject::clone(live))))
            .collect()
    }

    /// True when the watch of this kind has delivered its first list, so that absence means something.
    pub fn is_synced(&self, group: &str, kind: &str) -> bool {
        self.read().synced.contains(&(group.to_owned(), kind.to_owned()))
    }

    /// Takes in what was seen, unless something newer of the same object is known. True when it changed anything.
    pub fn observe(&self, id: ObjectId, live: LiveObject) -> bool {
        let mut inner = self.write();
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

    /// An object is gone (or lost our label, which the next plan will look at).
    pub fn forget(&self, id: &ObjectId, uid: Option<&str>) {
        let mut inner = self.write();
        if uid.is_some_and(|uid| inner.objects.get(id).is_some_and(|known| known.uid != uid)) {
            return;
        }
        let gone = inner.objects.remove(id);
        inner.wake(gone.as_deref());
    }

    /// A complete list of a kind has arrived: what it does not name is gone.
    pub fn replace(&self, gvk: &Gvk, listed: HashMap<ObjectId, LiveObject>) {
        let stale: Vec<ObjectId> = {
            let inner = self.read();
            inner
                .objects
                .keys()
                .filter(|id| id.group == gvk.group && id.kind == gvk.kind && !listed.contains_key(*id))
                .cloned()
                .collect()
        };
        for id in stale {
            self.forget(&id, None);
        }
        for (id, live) in listed {
            self.observe(id, live);
        }
        let mut inner = self.write();
        inner.synced.insert((gvk.group.clone(), gvk.kind.clone()));
        for waker in inner.wakers.values() {
            waker.notify_one();
        }
    }

    /// The watch of a kind has ended for good; absence means nothing any more.
    pub fn unsync(&self, gvk: &Gvk) {
        self.write().synced.remove(&(gvk.group.clone(), gvk.kind.clone()));
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

/// Resource versions are opaque by contract, but Kubernetes guarantees since 1.35 (KEP-5504) that they compare as
/// numbers within one resource; where they are not numbers, the later arrival counts.
fn is_newer(known: &str, seen: &str) -> bool {
    match (known.parse::<u128>(), seen.parse::<u128>()) {
        (Ok(known), Ok(seen)) => known > seen,
        (Err(_), _) | (_, Err(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_newer;

    #[test]
    fn resource_versions_compare_as_numbers() {
        assert!(is_newer("100", "99"));
        assert!(!is_newer("99", "100"));
        assert!(!is_newer("x", "1"));
    }
}
