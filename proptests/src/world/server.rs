//! The world around the replicas: an API server, its controllers, a clock, the repository. It checks every precondition
//! as the API server would, and asks the invariants about every request that it carries out.
#![allow(
    clippy::indexing_slicing,
    reason = "test material: an object without metadata is a bug and may say so"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tidegate_core::ids::{CommitId, Digest, EnvironmentName};
use tidegate_core::object::ObjectId;

use super::bugs::Bug;
use super::content::NEVER_READY;
use super::git::Git;
use super::managers::{self, Mode, Writer};
use super::request::{Answer, CallError, Deleted, Lease, Parent, ParentChange, Reply, Request, StoredShard};
use super::truth::Truth;

/// So many of the last happenings are told with a violation.
const TRACE: usize = 500;
/// How long a workload takes to become ready.
const ROLLOUT: SignedDuration = SignedDuration::from_secs(2);

/// Something that a watch would tell.
#[derive(Debug, Clone)]
pub struct Event {
    /// The version of the cluster after it.
    pub version: u64,
    /// What changed.
    pub news: News,
}

/// What a watch tells.
#[derive(Debug, Clone)]
pub enum News {
    /// An object was written, or went (`gone`); as it is, or last was.
    Object {
        /// Which.
        id: ObjectId,
        /// Its last state.
        object: Value,
        /// It does not exist any more.
        gone: bool,
    },
    /// A parent was written, or went.
    Parent(EnvironmentName, Option<Box<Parent>>),
}

/// The world.
#[derive(Debug)]
pub struct World {
    /// Its time.
    pub now: Timestamp,
    /// The repository.
    pub git: Git,
    /// The bug that is planted in the replicas.
    pub bug: Option<Bug>,
    /// Live objects.
    pub objects: BTreeMap<ObjectId, Value>,
    /// Parents.
    pub parents: BTreeMap<EnvironmentName, Parent>,
    /// Shards.
    pub shards: BTreeMap<EnvironmentName, BTreeMap<String, StoredShard>>,
    /// Leases.
    pub leases: BTreeMap<String, Lease>,
    /// Everything that watches tell, in order.
    pub events: Vec<Event>,
    /// The version of the cluster.
    pub version: u64,
    /// What the invariants know.
    pub truth: Truth,
    /// The last happenings.
    pub trace: VecDeque<String>,
    /// Nothing is told: it takes longer than to let it happen.
    pub quiet: bool,
    rollouts: BTreeMap<ObjectId, Timestamp>,
    broken: BTreeSet<ObjectId>,
    uids: u64,
}

impl World {
    /// An empty cluster.
    pub fn new(bug: Option<Bug>) -> Self {
        Self {
            now: Timestamp::from_second(1_800_000_000).unwrap_or(Timestamp::UNIX_EPOCH),
            git: Git::default(),
            bug,
            objects: BTreeMap::new(),
            parents: BTreeMap::new(),
            shards: BTreeMap::new(),
            leases: BTreeMap::new(),
            events: Vec::new(),
            // No object of a real cluster has version 1, which stands for "nothing may be here" (`NOWHERE`).
            version: 10,
            truth: Truth::default(),
            trace: VecDeque::new(),
            quiet: false,
            rollouts: BTreeMap::new(),
            broken: BTreeSet::new(),
            uids: 0,
        }
    }

    /// True when this bug is planted.
    pub fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Lets time pass; controllers do their work.
    pub fn pass(&mut self, time: SignedDuration) {
        self.now = self.now.saturating_add(time).unwrap_or(self.now);
        let due: Vec<ObjectId> =
            self.rollouts.iter().filter(|(_, at)| **at <= self.now).map(|(id, _)| id.clone()).collect();
        for id in due {
            self.rollouts.remove(&id);
            self.finish_rollout(&id);
        }
    }

    /// When a controller has something to do next.
    pub fn next_rollout(&self) -> Option<Timestamp> {
        self.rollouts.values().min().copied()
    }

    /// Remembers what happened, for people.
    pub fn note(&mut self, what: impl FnOnce() -> String) {
        if self.quiet {
            return;
        }
        if self.trace.len() >= TRACE {
            self.trace.pop_front();
        }
        let line = format!("{} {}", self.now.strftime("%M:%S%.3f"), what());
        self.trace.push_back(line);
    }

    /// Carries a request out.
    pub fn serve(&mut self, request: &Request) -> Reply {
        self.check_before(request);
        let reply = self.answer(request);
        self.check_after(request, &reply);
        reply
    }

    fn answer(&mut self, request: &Request) -> Reply {
        match request {
            Request::Get(id) => Ok(Answer::Object(self.objects.get(id).cloned())),
            Request::Apply { id, body, dry_run, why: _ } => self.apply(id, body, *dry_run),
            Request::Migrate { id, version, managed } => self.migrate(id, version, managed),
            Request::Delete { id, uid, why: _ } => self.delete(id, uid.as_deref()),
            Request::ReadParent(environment) => {
                Ok(Answer::Parent(self.parents.get(environment).cloned().map(Box::new)))
            }
            Request::CreateParent { environment, seen } => self.create_parent(environment, seen.as_ref()),
            Request::UpdateParent { known, change, why: _ } => self.update_parent(known, change),
            Request::DeleteParent { known, why: _ } => self.delete_parent(known),
            Request::ReadShards(environment) => {
                Ok(Answer::Shards(self.shards.get(environment).cloned().unwrap_or_default()))
            }
            Request::WriteShard { environment, name, version, bytes, why: _ } => {
                self.write_shard(environment, name, *version, bytes)
            }
            Request::Renew(holder) => {
                let renewed = self.now.to_string();
                let lease = Lease { holder: holder.clone(), renewed, version: self.next_version() };
                self.leases.insert(format!("tidegate-{holder}"), lease);
                Ok(Answer::Done)
            }
            Request::Leases => Ok(Answer::Leases(self.leases.clone())),
            Request::Poll => Ok(Answer::Tip(self.git.tip().cloned())),
            Request::Sleep { .. } => Ok(Answer::Done),
        }
    }

    fn apply(&mut self, id: &ObjectId, body: &Value, dry_run: bool) -> Reply {
        self.apply_as(id, body, tidegate_core::drift::FIELD_MANAGER, Mode::Force, dry_run)
    }

    /// A server-side apply by somebody.
    pub fn apply_as(
        &mut self,
        id: &ObjectId,
        body: &Value,
        manager: &str,
        mode: Mode,
        dry_run: bool,
    ) -> Reply {
        let live = self.objects.get(id);
        // As the API server does it: where nothing is, a uid is a conflict, and a resourceVersion is not looked at.
        let metadata = &body["metadata"];
        let conflict = match live.map(|live| &live["metadata"]) {
            None => metadata.get("uid").is_some(),
            Some(live) => ["uid", "resourceVersion"]
                .iter()
                .any(|key| metadata.get(*key).is_some_and(|wanted| *wanted != live[*key])),
        };
        if conflict {
            return Err(CallError::Conflict);
        }
        let time = self.second();
        let writer = Writer { manager, subresource: "", time: &time };
        let after = managers::apply(live, body, writer, mode).map_err(|_| CallError::Conflict)?;
        let Some(after) = after else {
            return Ok(Answer::Written(live.cloned().unwrap_or(Value::Null)));
        };
        if dry_run {
            return Ok(Answer::Written(after));
        }
        Ok(Answer::Written(self.put(id, after)))
    }

    /// An ordinary create by somebody.
    pub fn create_as(&mut self, id: &ObjectId, body: &Value, manager: &str) -> Reply {
        if self.objects.contains_key(id) {
            return Err(CallError::Conflict);
        }
        let time = self.second();
        let made = managers::create(body, Writer { manager, subresource: "", time: &time });
        Ok(Answer::Written(self.put(id, made)))
    }

    fn migrate(&mut self, id: &ObjectId, version: &str, managed: &Value) -> Reply {
        let Some(live) = self.objects.get(id) else {
            return Err(CallError::Refused("it is gone".to_owned()));
        };
        if live["metadata"]["resourceVersion"] != json!(version) {
            return Err(CallError::Conflict);
        }
        let mut after = live.clone();
        after["metadata"]["managedFields"] = managed.clone();
        Ok(Answer::Written(self.put(id, after)))
    }

    fn delete(&mut self, id: &ObjectId, uid: Option<&str>) -> Reply {
        let Some(live) = self.objects.get(id) else { return Ok(Answer::Deleted(Deleted::WasGone)) };
        if uid.is_some_and(|uid| live["metadata"]["uid"] != json!(uid)) {
            return Err(CallError::Conflict);
        }
        Ok(Answer::Deleted(self.end(id)))
    }

    /// Ends an object, or begins to.
    pub fn end(&mut self, id: &ObjectId) -> Deleted {
        let Some(live) = self.objects.get(id) else { return Deleted::WasGone };
        let held = live["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty());
        if held {
            let mut after = live.clone();
            after["metadata"]["deletionTimestamp"] = json!(self.second());
            self.put(id, after);
            return Deleted::Accepted;
        }
        if let Some(mut object) = self.objects.remove(id) {
            object["metadata"]["resourceVersion"] = json!(self.next_version().to_string());
            self.rollouts.remove(id);
            self.tell(News::Object { id: id.clone(), object, gone: true });
        }
        Deleted::Gone
    }

    /// Writes an object: uid, versions and what controllers do about it.
    pub fn put(&mut self, id: &ObjectId, mut object: Value) -> Value {
        let before = self.objects.get(id);
        if before.is_none() {
            self.uids += 1;
            object["metadata"]["uid"] = json!(format!("uid-{}", self.uids));
            object["metadata"]["generation"] = json!(1);
        } else if before.is_some_and(|before| before["spec"] != object["spec"]) {
            let generation = object["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            object["metadata"]["generation"] = json!(generation);
        }
        let rolls = before.is_none_or(|before| before["spec"] != object["spec"]);
        object["metadata"]["resourceVersion"] = json!(self.next_version().to_string());
        if rolls && matches!(id.kind.as_str(), "Deployment" | "PersistentVolumeClaim") {
            let at = self.now.saturating_add(ROLLOUT).unwrap_or(self.now);
            self.rollouts.insert(id.clone(), at);
        }
        self.objects.insert(id.clone(), object.clone());
        self.tell(News::Object { id: id.clone(), object: object.clone(), gone: false });
        object
    }

    /// An ordinary update by somebody; nothing when it changes nothing.
    pub fn update(&mut self, id: &ObjectId, after: Value, manager: &str, subresource: &str) {
        let time = self.second();
        let Some(live) = self.objects.get(id) else { return };
        if let Some(after) = managers::update(live, after, Writer { manager, subresource, time: &time }) {
            self.put(id, after);
        }
    }

    /// A workload breaks by itself (a node goes, an image is lost), until it is mended.
    pub fn break_down(&mut self, id: &ObjectId) {
        let Some(live) = self.objects.get(id).filter(|_| id.kind == "Deployment") else { return };
        let mut after = live.clone();
        after["status"]["readyReplicas"] = json!(0);
        after["status"]["availableReplicas"] = json!(0);
        self.broken.insert(id.clone());
        self.update(id, after, "kube-controller-manager", "status");
    }

    /// Workloads that broke by themselves work again; those of a commit that never does do not.
    pub fn mend(&mut self) {
        for id in std::mem::take(&mut self.broken) {
            self.rollouts.insert(id, self.now);
        }
    }

    fn finish_rollout(&mut self, id: &ObjectId) {
        let Some(live) = self.objects.get(id).filter(|_| !self.broken.contains(id)) else { return };
        let mut after = live.clone();
        if id.kind == "PersistentVolumeClaim" {
            after["status"] = json!({"phase": "Bound"});
        } else {
            let replicas = live["spec"]["replicas"].as_i64().unwrap_or(1);
            if replicas == i64::from(NEVER_READY) {
                return;
            }
            let condition =
                |kind: &str, reason: &str| json!({"type": kind, "status": "True", "reason": reason});
            after["status"] = json!({
                "observedGeneration": live["metadata"]["generation"], "replicas": replicas,
                "updatedReplicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
                "conditions": [condition("Available", "Enough"), condition("Progressing", "NewReplicaSetAvailable")],
            });
        }
        self.update(id, after, "kube-controller-manager", "status");
    }

    fn create_parent(&mut self, environment: &EnvironmentName, seen: Option<&(CommitId, Digest)>) -> Reply {
        if self.parents.contains_key(environment) {
            return Err(CallError::Conflict);
        }
        self.uids += 1;
        let parent = Parent {
            environment: environment.clone(),
            uid: format!("uid-{}", self.uids),
            version: self.next_version(),
            seen: seen.map(|(seen, _)| seen.clone()),
            seen_inputs: seen.map(|(_, inputs)| inputs.clone()),
            applied: None,
            shards: None,
            rewind: None,
            suspended: false,
            good: None,
            before: None,
            held: None,
            status: None,
        };
        Ok(Answer::Parent(Some(Box::new(self.put_parent(parent)))))
    }

    fn update_parent(&mut self, known: &Parent, change: &ParentChange) -> Reply {
        let Some(parent) = self.parents.get(&known.environment) else { return Err(CallError::Conflict) };
        if (parent.version, &parent.uid) != (known.version, &known.uid) {
            return Err(CallError::Conflict);
        }
        let mut parent = parent.clone();
        if let Some((seen, inputs)) = &change.seen {
            parent.seen = Some(seen.clone());
            parent.seen_inputs = Some(inputs.clone());
        }
        if change.rewound {
            parent.rewind = None;
        }
        parent.applied = change.applied.clone().map(|(applied, _)| applied).or(parent.applied);
        parent.shards = change.shards.or(parent.shards);
        let good = change.good.clone();
        parent.good = good.map_or(parent.good, |good| good.map(|(good, _)| good));
        parent.before = change.before.clone().unwrap_or(parent.before);
        parent.held = change.held.clone().unwrap_or(parent.held);
        parent.status = change.status.clone().or(parent.status);
        parent.version = self.next_version();
        Ok(Answer::Parent(Some(Box::new(self.put_parent(parent)))))
    }

    fn delete_parent(&mut self, known: &Parent) -> Reply {
        let Some(parent) = self.parents.get(&known.environment) else { return Ok(Answer::Done) };
        if (parent.version, &parent.uid) != (known.version, &known.uid) {
            return Err(CallError::Conflict);
        }
        self.parents.remove(&known.environment);
        self.shards.remove(&known.environment);
        self.next_version();
        self.tell(News::Parent(known.environment.clone(), None));
        Ok(Answer::Done)
    }

    /// Writes a parent as it is.
    pub fn put_parent(&mut self, parent: Parent) -> Parent {
        self.parents.insert(parent.environment.clone(), parent.clone());
        self.tell(News::Parent(parent.environment.clone(), Some(Box::new(parent.clone()))));
        parent
    }

    /// A person writes something on a parent.
    pub fn annotate(&mut self, environment: &EnvironmentName, write: impl FnOnce(&mut Parent)) {
        let Some(mut parent) = self.parents.get(environment).cloned() else { return };
        write(&mut parent);
        parent.version = self.next_version();
        self.put_parent(parent);
    }

    fn write_shard(
        &mut self,
        environment: &EnvironmentName,
        name: &str,
        version: Option<u64>,
        bytes: &[u8],
    ) -> Reply {
        let known = self.shards.get(environment).and_then(|shards| shards.get(name));
        if known.map(|known| known.version) != version {
            return Err(CallError::Conflict);
        }
        let version = self.next_version();
        if !self.parents.contains_key(environment) {
            // The garbage collector finds that its owner is gone.
            return Ok(Answer::Version(version));
        }
        let shard = StoredShard { version, bytes: bytes.to_vec() };
        self.shards.entry(environment.clone()).or_default().insert(name.to_owned(), shard);
        Ok(Answer::Version(version))
    }

    fn tell(&mut self, news: News) {
        let version = self.version;
        self.events.push(Event { version, news });
    }

    /// The next version of the cluster.
    pub fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// Now, as objects say it.
    pub fn second(&self) -> String {
        self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}
