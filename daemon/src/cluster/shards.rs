//! The inventory of an environment as it is kept: shards beside the parent, ConfigMaps of compressed lines. What they say is
//! the core's (`inventory`); which parent they belong to is `parent`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use serde_json::json;
use tidegate_core::ids::EnvironmentName;
use tidegate_core::inventory::{self, Inventory};

use super::call::{CallError, once, repeated};
use super::parent::{
    MANAGER, Parent, ParentChange, Parents, SHARDS, SYSTEM_NAMESPACE, members_of, parent_name,
};
use super::version;

/// On a shard: the environment's name.
pub const SHARD_LABEL: &str = "tidegate.dev/inventory-of";
const SHARD_KEY: &str = "entries";
/// More shards than this are not read; the core writes no more (40,000 objects fill about a dozen).
const SHARDS_CAP: u32 = inventory::MAX_SHARDS;
/// All shards of a cluster are listed in pages of this size.
const SHARDS_PAGE: u32 = 500;
/// More pages than this are not read: each environment lists its own.
const SHARDS_PAGES_CAP: u32 = 1_000;
/// How often the shards of a parent that is made again are written, while the garbage collector takes the old ones.
const SHARD_ATTEMPTS: u32 = 5;

/// Shards as they stand in the cluster, so that only changed ones are written.
#[derive(Debug, Clone, Default)]
pub struct StoredShards {
    shards: BTreeMap<String, Stored>,
    /// What the parent said of them when they held the inventory as it is, so that it need not be packed again to see that.
    written: Option<Said>,
}

/// What a parent says of its shards and members.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    uid: String,
    shards: Option<u32>,
    members: BTreeMap<String, String>,
}

impl Said {
    fn of(parent: &Parent) -> Self {
        Self { uid: parent.uid.clone(), shards: parent.shards, members: parent.members.clone() }
    }
}

#[derive(Debug, Clone)]
struct Stored {
    resource_version: String,
    /// The uids of the parents that it belongs to.
    owners: Vec<String>,
    bytes: Vec<u8>,
}

/// The shards of every environment, read in one list: a start needs no list for each of them.
#[derive(Debug, Default)]
pub struct ListedShards {
    version: String,
    shards: BTreeMap<String, StoredShards>,
}

impl ListedShards {
    /// Takes those of an environment out; none when its parent was written after they were listed, because whoever did that
    /// has claimed a commit, and may own more by now.
    pub fn take(&mut self, parent: &Parent) -> Option<StoredShards> {
        let order = version::compare(&parent.resource_version, &self.version);
        if !order.is_some_and(Ordering::is_le) {
            return None;
        }
        self.shards.remove(parent.environment.as_str())
    }

    fn add(&mut self, shard: ConfigMap) {
        let label = shard.metadata.labels.as_ref().and_then(|labels| labels.get(SHARD_LABEL));
        if let Some(environment) = label.cloned() {
            self.shards.entry(environment).or_default().add(shard);
        }
    }
}

impl StoredShards {
    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }

    /// The inventory is not, or may not be, what they hold any more.
    pub fn outdate(&mut self) {
        self.written = None;
    }

    /// True when they hold the inventory as it is, and the parent still says of them what it said then.
    pub fn is_written(&self, parent: &Parent) -> bool {
        self.written.as_ref().is_some_and(|said| {
            let Said { uid, shards, members } = said;
            *uid == parent.uid && *shards == parent.shards && *members == parent.members
        })
    }

    fn add(&mut self, shard: ConfigMap) {
        let owners = shard.owner_references().iter().map(|owner| owner.uid.clone()).collect();
        let bytes = shard.binary_data.and_then(|mut data| data.remove(SHARD_KEY)).map(|data| data.0);
        if let (Some(name), Some(resource_version), Some(bytes)) =
            (shard.metadata.name, shard.metadata.resource_version, bytes)
        {
            self.shards.insert(name, Stored { resource_version, owners, bytes });
        }
    }
}

/// What a write of the shards means for the parent.
#[derive(Debug)]
pub enum ShardsWritten {
    /// The parent says what it has to.
    AsBefore,
    /// The parent was changed.
    Said(Box<Parent>),
    /// These annotations are due with the next write of the parent.
    ToSay(BTreeMap<String, Option<String>>),
}

impl Parents {
    /// The shards of this parent, and of no other: somebody may have made the environment anew meanwhile.
    pub(super) async fn delete_shards(&self, parent: &Parent) -> Result<(), CallError> {
        let filter =
            ListParams::default().labels(&format!("{SHARD_LABEL}={}", parent.environment)).limit(SHARDS_CAP);
        for shard in repeated(|| self.api.list(&filter)).await?.items {
            let owned = shard.owner_references().iter().any(|owner| owner.uid == parent.uid);
            let (Some(name), Some(uid), true) = (shard.metadata.name, shard.metadata.uid, owned) else {
                continue;
            };
            let params = DeleteParams::background()
                .preconditions(Preconditions { uid: Some(uid), resource_version: None });
            match repeated(|| self.api.delete(&name, &params)).await {
                Ok(_) | Err(CallError::NotFound(_) | CallError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The shards of all environments.
    pub async fn list_shards(&self) -> Result<ListedShards, CallError> {
        let mut listed = ListedShards::default();
        let mut params = ListParams::default().labels(SHARD_LABEL).limit(SHARDS_PAGE);
        for _ in 0..SHARDS_PAGES_CAP {
            let page = repeated(|| self.api.list(&params)).await?;
            // Of the first page: all of them show the cluster as it was then.
            if listed.version.is_empty() {
                listed.version = page.metadata.resource_version.unwrap_or_default();
            }
            page.items.into_iter().for_each(|shard| listed.add(shard));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(listed),
            }
        }
        Err(CallError::Server("the list of the inventories does not end".to_owned()))
    }

    /// The inventory; a shard that cannot be read is an error, never an empty inventory.
    pub async fn read_inventory(&self, parent: &Parent) -> Result<(Inventory, StoredShards), CallError> {
        inventory_in(parent, self.stored(&parent.environment).await?)
    }

    async fn stored(&self, environment: &EnvironmentName) -> Result<StoredShards, CallError> {
        let params = ListParams::default().labels(&format!("{SHARD_LABEL}={environment}")).limit(SHARDS_CAP);
        let list = repeated(|| self.api.list(&params)).await?;
        let mut stored = StoredShards::default();
        list.items.into_iter().for_each(|shard| stored.add(shard));
        Ok(stored)
    }

    /// Writes the shards that changed, each with the resourceVersion that was read. When their number changes, the new
    /// set is written first, then the parent points to it, then the old set goes. The first shard of a new parent is found
    /// without being pointed to (see [`Parents::read_inventory`]), so that it can be said with the next record.
    pub async fn write_inventory(
        &self,
        parent: &Parent,
        stored: &mut StoredShards,
        inventory: &Inventory,
    ) -> Result<ShardsWritten, CallError> {
        let shards = inventory::encode_at(inventory, parent.shards.unwrap_or(1));
        let count = u32::try_from(shards.len()).unwrap_or(u32::MAX);
        for shard in shards {
            let name = shard_name(&parent.environment, count, shard.index);
            let known = stored.shards.get(&name);
            if known.is_some_and(|known| known.bytes == shard.bytes) {
                continue;
            }
            let version = known.map(|known| known.resource_version.clone());
            let resource_version = self.write_shard(parent, &name, version, &shard.bytes).await?;
            let owners = vec![parent.uid.clone()];
            stored.shards.insert(name, Stored { resource_version, owners, bytes: shard.bytes });
        }
        let members = members_of(inventory);
        if parent.shards == Some(count) && parent.members == members {
            stored.written = Some(Said::of(parent));
            return Ok(ShardsWritten::AsBefore);
        }
        if parent.shards.is_none() && count == 1 && parent.members == members {
            stored.written = Some(Said::of(parent));
            return Ok(ShardsWritten::ToSay(BTreeMap::from([(SHARDS.to_owned(), Some(count.to_string()))])));
        }
        let mut annotations: BTreeMap<String, Option<String>> =
            members.into_iter().map(|(key, value)| (key, Some(value))).collect();
        annotations.insert(SHARDS.to_owned(), Some(count.to_string()));
        let updated = self.update(parent, &ParentChange { annotations, status: None }).await?;
        self.drop_unused(&parent.environment, count, stored).await?;
        stored.written = Some(Said::of(&updated));
        Ok(ShardsWritten::Said(Box::new(updated)))
    }

    /// Writes every shard of a parent that was made again. Those of the old one may still stand there, until the garbage
    /// collector sees that their owner is gone: they are written over, under the resourceVersion that they have, or made anew.
    /// One that belongs to the new parent is left as it is: a replica that works on that already has noted in it what it did.
    pub async fn write_again(&self, parent: &Parent, inventory: &Inventory) -> Result<(), CallError> {
        let Some(count) = parent.shards else { return Ok(()) };
        let shards = inventory::encode_at(inventory, count);
        let mut attempt = 1;
        loop {
            let stored = self.stored(&parent.environment).await?;
            let mut written = Ok(());
            for shard in &shards {
                let name = shard_name(&parent.environment, count, shard.index);
                let known = stored.shards.get(&name);
                if known.is_some_and(|known| known.owners.contains(&parent.uid)) {
                    continue;
                }
                let version = known.map(|known| known.resource_version.clone());
                if let Err(error) = self.write_shard(parent, &name, version, &shard.bytes).await {
                    written = Err(error);
                }
            }
            match written {
                Ok(()) => return Ok(()),
                Err(CallError::Conflict(_) | CallError::NotFound(_)) if attempt < SHARD_ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn drop_unused(
        &self,
        environment: &EnvironmentName,
        count: u32,
        stored: &mut StoredShards,
    ) -> Result<(), CallError> {
        let used: Vec<String> = (0..count).map(|index| shard_name(environment, count, index)).collect();
        let unused: Vec<String> = stored.shards.keys().filter(|name| !used.contains(name)).cloned().collect();
        for name in unused {
            let params = DeleteParams::background();
            match repeated(|| self.api.delete(&name, &params)).await {
                Ok(_) | Err(CallError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
            stored.shards.remove(&name);
        }
        Ok(())
    }

    async fn write_shard(
        &self,
        parent: &Parent,
        name: &str,
        version: Option<String>,
        bytes: &[u8],
    ) -> Result<String, CallError> {
        let mut object: ConfigMap = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "labels": { SHARD_LABEL: parent.environment.as_str(), "app.kubernetes.io/managed-by": "tidegate" },
                "ownerReferences": [{
                    "apiVersion": "v1", "kind": "ConfigMap",
                    "name": parent_name(&parent.environment), "uid": parent.uid,
                }],
            }
        }))
        .map_err(|error| CallError::Server(error.to_string()))?;
        object.binary_data = Some(BTreeMap::from([(SHARD_KEY.to_owned(), ByteString(bytes.to_vec()))]));
        object.metadata.resource_version.clone_from(&version);
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let written = match version {
            Some(_) => once(self.api.replace(name, &params, &object)).await?,
            None => once(self.api.create(&params, &object)).await?,
        };
        Ok(written.metadata.resource_version.unwrap_or_default())
    }
}

/// The inventory that a parent's shards hold.
pub fn inventory_in(parent: &Parent, stored: StoredShards) -> Result<(Inventory, StoredShards), CallError> {
    let Some(count) = parent.shards else {
        // A kill came between the shards and the parent that was to point to them. All of them are known, because to
        // create one a second time would be refused for ever.
        let inventory = unsaid_inventory(&parent.environment, &stored);
        return Ok((inventory, stored));
    };
    let current: Vec<&[u8]> = (0..count.min(SHARDS_CAP))
        .filter_map(|index| stored.shards.get(&shard_name(&parent.environment, count, index)))
        .map(|shard| shard.bytes.as_slice())
        .collect();
    let inventory =
        inventory::decode(&current).map_err(|error| unreadable_inventory(&parent.environment, &error))?;
    Ok((inventory, stored))
}

/// The inventory of a parent that names no shards yet. Each number of shards is a set of its own, and written whole before the
/// first object that it names: the largest whole one counts. Where none is whole, nothing has been applied: a daemon writes
/// each shard at once, so one that cannot be read is no work of ours, and is written over.
fn unsaid_inventory(environment: &EnvironmentName, stored: &StoredShards) -> Inventory {
    let mut sets: BTreeMap<u32, Vec<&[u8]>> = BTreeMap::new();
    let begin = format!("{}-inventory-", parent_name(environment));
    for (name, shard) in &stored.shards {
        let count = name.strip_prefix(&begin).and_then(|rest| rest.split_once('-')?.0.parse().ok());
        if let Some(count) = count {
            sets.entry(count).or_default().push(&shard.bytes);
        }
    }
    sets.values().rev().find_map(|set| inventory::decode(set).ok()).unwrap_or_default()
}

fn shard_name(environment: &EnvironmentName, count: u32, index: u32) -> String {
    format!("{}-inventory-{count}-{index}", parent_name(environment))
}

fn unreadable_inventory(environment: &EnvironmentName, error: &impl std::fmt::Display) -> CallError {
    let name = parent_name(environment);
    CallError::Damaged(format!(
        "the inventory in ConfigMaps {SYSTEM_NAMESPACE}/{name}-inventory-* cannot be read ({error}), so nothing is \
         changed; restore them, or delete ConfigMap {name}: what git names is then taken over anew, and what left git \
         meanwhile stays"
    ))
}

#[cfg(test)]
mod tests {
    use tidegate_core::object::{Gvk, ObjectRef};

    use super::*;

    fn environment() -> EnvironmentName {
        "dev".parse().expect("a name")
    }

    /// An inventory of so many objects, in so many shards, of which those with these numbers were written.
    fn kept(stored: &mut StoredShards, objects: u32, count: u32, written: &[u32]) {
        let mut inventory = Inventory::default();
        for number in 0..objects {
            inventory.record_pending(&ObjectRef {
                gvk: Gvk { group: String::new(), version: "v1".to_owned(), kind: "ConfigMap".to_owned() },
                namespace: Some("n".to_owned()),
                name: format!("c{number}"),
            });
        }
        for shard in inventory::encode_at(&inventory, count) {
            if written.contains(&shard.index) {
                let name = shard_name(&environment(), count, shard.index);
                stored.shards.insert(
                    name,
                    Stored { resource_version: "1".to_owned(), owners: Vec::new(), bytes: shard.bytes },
                );
            }
        }
    }

    #[test]
    fn shards_hold_the_inventory_until_it_changes_or_the_parent_says_something_else() {
        let parent = |uid: &str, shards: Option<u32>, kinds: &str| Parent {
            uid: uid.to_owned(),
            shards,
            members: BTreeMap::from([(inventory::CONTAINS_GROUP_KINDS.to_owned(), kinds.to_owned())]),
            ..bare()
        };
        let known = parent("u1", Some(1), "ConfigMap");
        let mut stored = StoredShards::default();
        assert!(!stored.is_written(&known), "nothing is known of it yet");
        stored.written = Some(Said::of(&known));
        assert!(stored.is_written(&known));
        for other in [
            parent("u2", Some(1), "ConfigMap"),
            parent("u1", None, "ConfigMap"),
            parent("u1", Some(1), "ConfigMap,Secret"),
        ] {
            assert!(!stored.is_written(&other), "{other:?}");
        }
        stored.outdate();
        assert!(!stored.is_written(&known));
    }

    fn bare() -> Parent {
        let object = json!({ "metadata": {
            "name": "tidegate-dev", "uid": "u1", "resourceVersion": "1", "labels": { super::super::parent::PARENT_LABEL: "dev" },
        } });
        let object = serde_json::from_value(object).expect("it is a ConfigMap");
        super::super::parent::parse(&object).expect("it is a parent")
    }

    fn found(stored: &StoredShards) -> usize {
        unsaid_inventory(&environment(), stored).entries.len()
    }

    #[test]
    fn shards_that_nothing_points_to_are_read_by_their_whole_sets() {
        let mut stored = StoredShards::default();
        assert_eq!(found(&stored), 0);
        kept(&mut stored, 3, 1, &[0]);
        assert_eq!(found(&stored), 3);
        // A kill came when half of a larger set was written: what was applied is in the smaller one.
        kept(&mut stored, 5, 2, &[0]);
        assert_eq!(found(&stored), 3);
        kept(&mut stored, 5, 2, &[0, 1]);
        assert_eq!(found(&stored), 5);
    }
}
