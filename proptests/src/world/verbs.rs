//! The verbs observe and execute of a lane, request by request as `observe.rs`, `inspect.rs` and `execute.rs` of
//! `daemon/src/reconcile/` make them.
#![allow(
    clippy::indexing_slicing,
    reason = "test material: an answer without metadata is a bug and may say so"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use tidegate_core::diff::drift_changes;
use tidegate_core::drift::{AllowList, ManagedSummary, blame, migrate_kubectl};
use tidegate_core::ids::Digest;
use tidegate_core::inventory::{Applied, Inventory, Marks, NOWHERE, Precondition, marked};
use tidegate_core::object::{DesiredObject, Gvk, ObjectId};
use tidegate_core::observed::{DryRun, LiveObject, Observed};
use tidegate_core::outcome::Outcome;
use tidegate_core::plan::{Action, Apply, ApplyReason, Delete, Failure, Plan};
use tidegate_core::problem::{Code, Problem};
use tidegate_core::standing::{Aftermath, aftermath};
use tidegate_core::summarize::{detail_of, summarize};

use super::bugs::Bug;
use super::content::apply_set;
use super::lane::{Good, Lane};
use super::request::{Answer, CallError, Deleted, Request, side_by_side};

/// `ATTEMPTS` of the daemon's dry-runs.
const ATTEMPTS: u32 = 5;
/// `CONFLICTS` of the daemon's applies.
const CONFLICTS: u32 = 5;
/// Of digests of Secret values; there are no Secrets here.
const KEY: &[u8] = b"simulated";

/// What came of one action.
struct Done {
    id: ObjectId,
    api_version: String,
    outcome: Outcome,
    desired: Option<Digest>,
    applied: Option<(Applied, LiveObject)>,
    is_going: bool,
    repaired: bool,
}

/// What a dry-run showed.
enum Shown {
    Found(DryRun, Box<LiveObject>, Box<Value>),
    Gone,
    Failed(DryRun),
}

impl Lane {
    fn marks(&self) -> Marks {
        Marks { apply_set: apply_set(&self.name), environment: self.name.to_string() }
    }

    /// What the cluster holds: from the watches, and by direct reads where they say nothing.
    pub(super) async fn observe(
        &mut self,
        desired: &[Arc<DesiredObject>],
        inventory: &Inventory,
    ) -> Result<Observed, CallError> {
        let mut wanted: BTreeMap<ObjectId, Gvk> = inventory
            .entries
            .iter()
            .map(|(id, entry)| (id.clone(), Gvk::from_api_version(&entry.api_version, &id.kind)))
            .collect();
        wanted.extend(desired.iter().map(|object| (object.reference.id(), object.reference.gvk.clone())));
        let mut observed = Observed::default();
        {
            let local = self.local.borrow();
            let known = |id: &ObjectId| Some((id.clone(), Arc::new(local.store.get(id)?.clone())));
            if local.store.synced {
                observed.objects = wanted.keys().filter_map(known).collect();
            }
        }
        self.memory.partial = false;
        if self.has(Bug::StaleReadTrusted) {
            return Ok(observed);
        }
        // What git asks for and was never made is created, on condition that nothing is there.
        let asked: BTreeSet<ObjectId> = desired.iter().map(|object| object.reference.id()).collect();
        // What git no longer asks for is forgotten by what is read now, not by a watch that may be behind.
        observed.objects.retain(|id, live| asked.contains(id) || !inventory.doubts(id, live));
        let synced = self.local.borrow().store.synced;
        let is_created = |id: &ObjectId| {
            let entry = inventory.entries.get(id);
            let never = entry.is_none_or(|entry| entry.uid.is_none() && entry.applied.is_none());
            let met = self.memory.conflicts.get(id).is_some_and(|conflicts| *conflicts > 0);
            synced && never && asked.contains(id) && !met
        };
        let unseen: Vec<_> = wanted
            .into_iter()
            .filter(|(id, _)| !observed.objects.contains_key(id) && !is_created(id))
            .collect();
        let reads = unseen.iter().map(|(id, gvk)| self.read(id.clone(), gvk)).collect();
        for (id, answer) in side_by_side(reads).await {
            match answer {
                Ok(Some(live)) => drop(observed.objects.insert(id, Arc::new(live))),
                Ok(None) => {}
                Err(CallError::Unreachable) => return Err(CallError::Unreachable),
                Err(error) => drop(observed.unread.insert(id, format!("{error:?}"))),
            }
        }
        self.memory.partial = !observed.unread.is_empty();
        if self.has(Bug::PartialReadTrusted) {
            observed.unread.clear();
        }
        Ok(observed)
    }

    async fn read(&self, id: ObjectId, gvk: &Gvk) -> (ObjectId, Result<Option<LiveObject>, CallError>) {
        let live = self.get(&id).await;
        (id, live.map(|live| live.map(|live| summarize(gvk, detail_of(gvk), &live))))
    }

    async fn get(&self, id: &ObjectId) -> Result<Option<Value>, CallError> {
        match self.repeated(|| Request::Get(id.clone())).await? {
            Answer::Object(object) => Ok(object),
            _ => Err(CallError::Server),
        }
    }

    async fn send(&self, id: &ObjectId, body: Value, dry_run: bool) -> Result<Value, CallError> {
        let why = self.why();
        let request = || Request::Apply { id: id.clone(), body: body.clone(), dry_run, why: why.clone() };
        match self.repeated(request).await? {
            Answer::Written(object) => Ok(object),
            _ => Err(CallError::Server),
        }
    }

    /// The dry-runs that a plan asks for.
    pub(super) async fn inspect(&mut self, good: &Good, ids: &[ObjectId]) {
        let objects = good.desired().objects.iter().filter(|object| ids.contains(&object.reference.id()));
        let shown = side_by_side(objects.map(|object| self.inspect_one(object)).collect()).await;
        for (id, shown) in shown {
            match shown {
                Shown::Found(dry_run, live, read) => {
                    self.memory.inspected.insert(id.clone(), *read);
                    self.memory.evidence.insert(id.clone(), dry_run, &live);
                    self.local.borrow_mut().store.observe(id, *live);
                }
                Shown::Gone => self.local.borrow_mut().store.forget(&id),
                Shown::Failed(dry_run) => {
                    let now = self.now();
                    self.memory.dry_runs_failed_at.get_or_insert(now);
                    let seen = self.memory.last.as_ref().and_then(|(observed, _)| observed.objects.get(&id));
                    if let Some(live) = seen {
                        self.memory.evidence.insert(id, dry_run, live);
                    }
                }
            }
        }
    }

    async fn inspect_one(&self, object: &DesiredObject) -> (ObjectId, Shown) {
        let id = object.reference.id();
        let mut asked = self.ask(object).await;
        for _ in 1..ATTEMPTS {
            if !matches!(asked, Err(CallError::Conflict)) {
                break;
            }
            asked = self.ask(object).await;
        }
        let shown = match asked {
            Ok(Some((dry_run, live))) => {
                let gvk = &object.reference.gvk;
                Shown::Found(dry_run, Box::new(summarize(gvk, detail_of(gvk), &live)), Box::new(live))
            }
            Ok(None) => Shown::Gone,
            Err(error) => Shown::Failed(DryRun {
                resource_version: String::new(),
                desired: object.digest(),
                changes: Vec::new(),
                by: Vec::new(),
                migrate: false,
                error: (!self.has(Bug::FailedDryRunInSync)).then(|| format!("{error:?}")),
            }),
        };
        (id, shown)
    }

    async fn ask(&self, object: &DesiredObject) -> Result<Option<(DryRun, Value)>, CallError> {
        let id = object.reference.id();
        let Some(live) = self.get(&id).await? else { return Ok(None) };
        let text = |key: &str| live["metadata"][key].as_str().unwrap_or_default().to_owned();
        let version = text("resourceVersion");
        let precondition = Precondition { uid: Some(text("uid")), resource_version: Some(version.clone()) };
        let body = marked(object.value().clone(), &self.marks(), &precondition);
        let would = self.send(&id, body, true).await?;
        let changes = drift_changes(&live, &would, KEY);
        let managed = &live["metadata"]["managedFields"];
        let dry_run = DryRun {
            resource_version: version,
            desired: object.digest(),
            by: blame(&changes, managed),
            migrate: migrate_kubectl(managed, &[]).is_some(),
            changes,
            error: None,
        };
        Ok(Some((dry_run, live)))
    }

    /// Intents are written, then the plan's actions are carried out stage after stage, and what came of them is taken in.
    pub(super) async fn execute(&mut self, good: &Good, plan: &Plan) -> Result<(), CallError> {
        self.world.borrow_mut().note(|| format!("{} plans {}", self.name, plan.summary()));
        if !self.has(Bug::InventoryAfterWrite) {
            self.note_pending(plan);
            self.write_inventory().await?;
        }
        let mut inventory = self.inventory();
        let done = self.run_stages(good, plan, &mut inventory).await;
        if let Some((kept, _)) = &mut self.memory.inventory {
            *kept = inventory;
        }
        self.account(plan, done);
        Ok(())
    }

    async fn run_stages(&self, good: &Good, plan: &Plan, inventory: &mut Inventory) -> Vec<Done> {
        let mut results: Vec<Done> = Vec::new();
        let mut failed: BTreeSet<ObjectId> = BTreeSet::new();
        for stage in &plan.stages {
            if self.is_superseded(good) || stage.is_left(&failed) {
                break;
            }
            let (skipped, actions): (Vec<&Action>, Vec<&Action>) =
                stage.actions.iter().partition(|action| plan.is_skipped(action, &failed));
            let done = side_by_side(actions.into_iter().map(|action| self.act(action)).collect()).await;
            for result in done {
                self.take_in(&result, inventory, &mut failed);
                results.push(result);
            }
            failed.extend(skipped.into_iter().filter_map(|action| match action {
                Action::Apply(apply) => Some(apply.object.reference.id()),
                Action::Delete(_) => None,
            }));
        }
        results
    }

    fn take_in(&self, done: &Done, inventory: &mut Inventory, failed: &mut BTreeSet<ObjectId>) {
        let mut local = self.local.borrow_mut();
        match &done.outcome {
            Outcome::Done | Outcome::Unchanged => match &done.applied {
                Some((applied, live)) => {
                    let gvk = Gvk::from_api_version(&done.api_version, &done.id.kind);
                    let (namespace, name) = (done.id.namespace.clone(), done.id.name.clone());
                    let reference = tidegate_core::object::ObjectRef { gvk, namespace, name };
                    inventory.record_applied(&reference, applied.clone(), &AllowList::default());
                    local.store.observe(done.id.clone(), live.clone());
                }
                None if done.is_going => local.store.forget(&done.id),
                None => drop(inventory.forget(&done.id)),
            },
            Outcome::Conflict | Outcome::Refused(_) | Outcome::Unknown(_) => {
                failed.insert(done.id.clone());
            }
        }
    }

    async fn act(&self, action: &Action) -> Done {
        match action {
            Action::Apply(apply) => self.apply(apply).await,
            Action::Delete(delete) => self.delete(delete).await,
        }
    }

    async fn delete(&self, delete: &Delete) -> Done {
        let id = delete.object.id();
        let uid = (!self.has(Bug::NoUidPrecondition)).then(|| delete.uid.clone());
        let why = self.why();
        let request = || Request::Delete { id: id.clone(), uid: uid.clone(), why: why.clone() };
        let answer = self.repeated(request).await;
        let is_going = answer == Ok(Answer::Deleted(Deleted::Accepted));
        let outcome = match answer {
            Ok(Answer::Deleted(Deleted::WasGone)) => Outcome::Unchanged,
            Ok(_) => Outcome::Done,
            Err(error) => outcome_of(&error),
        };
        let api_version = delete.object.gvk.api_version();
        Done { id, api_version, outcome, desired: None, applied: None, is_going, repaired: false }
    }

    async fn apply(&self, apply: &Apply) -> Done {
        let object = &apply.object;
        let gvk = &object.reference.gvk;
        let mut done = Done {
            id: object.reference.id(),
            api_version: gvk.api_version(),
            outcome: Outcome::Done,
            desired: Some(object.digest()),
            applied: None,
            is_going: false,
            repaired: matches!(apply.reason, ApplyReason::Drift { .. } | ApplyReason::Recreate),
        };
        let answer = match self.try_apply(apply).await {
            Err(CallError::Unreachable) if self.has(Bug::LostReplyIsDone) && apply.uid.is_some() => {
                self.get(&done.id).await.and_then(|live| live.ok_or(CallError::Unreachable))
            }
            answer => answer,
        };
        match answer {
            Ok(answer) => {
                let live = summarize(gvk, detail_of(gvk), &answer);
                let applied =
                    Applied { uid: live.uid.clone(), digest: object.digest(), managed: managed_of(&answer) };
                done.applied = Some((applied, live));
            }
            Err(error) => done.outcome = outcome_of(&error),
        }
        done
    }

    async fn try_apply(&self, apply: &Apply) -> Result<Value, CallError> {
        let id = apply.object.reference.id();
        let allow = AllowList::default();
        let seen = self.memory.last.as_ref().and_then(|(observed, _)| observed.objects.get(&id));
        let mut expected = seen.map(|live| live.managed.unexpected(&allow));
        let must_read = apply.uid.is_some() && apply.migrate;
        // A dry-run has mostly just read the very version.
        let version = &apply.resource_version;
        let inspected = self.memory.inspected.get(&id);
        let known = inspected.filter(|live| version.is_some() && version_of(live) == *version);
        let mut before = match known {
            _ if !must_read => None,
            Some(live) => Some(live.clone()),
            None => self.get(&id).await?,
        };
        let exact = apply.resource_version.is_some() || apply.migrate;
        let mut version = apply.resource_version.clone();
        let mut attempt = 1;
        loop {
            let migrated = match &before {
                Some(live) if apply.migrate => self.migrate(&id, live).await,
                Some(_) | None => Ok(None),
            };
            let migrated = migrated.map(|migrated| {
                if let Some(migrated) = migrated {
                    version = version_of(&migrated);
                    expected = Some(managed_of(&migrated).unexpected(&allow));
                    before = Some(migrated);
                }
            });
            let on_condition = apply.uid.is_none() && !self.has(Bug::StaleReadTrusted);
            let nowhere = || on_condition.then(|| NOWHERE.to_owned());
            let resource_version = version.clone().or_else(nowhere);
            let precondition = Precondition { uid: apply.uid.clone(), resource_version };
            let body = marked(apply.object.value().clone(), &self.marks(), &precondition);
            let answer = match migrated {
                Ok(()) => self.send(&id, body, false).await,
                Err(error) => Err(error),
            };
            match answer {
                Err(CallError::Conflict) if exact && attempt < CONFLICTS => {}
                answer => return answer,
            }
            attempt += 1;
            before = self.get(&id).await?;
            if before.as_ref().map(|live| managed_of(live).unexpected(&allow)) != expected {
                return Err(CallError::Conflict);
            }
            version = before.as_ref().and_then(version_of);
        }
    }

    async fn migrate(&self, id: &ObjectId, live: &Value) -> Result<Option<Value>, CallError> {
        let Some(managed) = migrate_kubectl(&live["metadata"]["managedFields"], &[]) else { return Ok(None) };
        let version = version_of(live).unwrap_or_default();
        match self.line.call(Request::Migrate { id: id.clone(), version, managed }).await? {
            Answer::Written(object) => Ok(Some(object)),
            _ => Err(CallError::Server),
        }
    }

    fn account(&mut self, plan: &Plan, done: Vec<Done>) {
        let now = self.now();
        let repairs: BTreeSet<ObjectId> = done
            .iter()
            .filter(|done| done.repaired && done.applied.is_some())
            .map(|done| done.id.clone())
            .collect();
        for action in plan.actions() {
            if let Action::Apply(apply) = action
                && repairs.contains(&apply.object.reference.id())
            {
                self.memory.flips.record_apply(apply, now);
            }
        }
        for Done { id, outcome, desired, .. } in done {
            self.memory.evidence.remove(&id);
            let conflicts = match &outcome {
                Outcome::Conflict => self.memory.conflicts.get(&id).copied().unwrap_or_default() + 1,
                Outcome::Done | Outcome::Unchanged => 0,
                Outcome::Refused(_) | Outcome::Unknown(_) => {
                    self.memory.conflicts.get(&id).copied().unwrap_or_default()
                }
            };
            self.memory.conflicts.insert(id.clone(), conflicts);
            let seen = self.memory.last.as_ref().and_then(|(observed, _)| observed.objects.get(&id));
            let uid = seen.map(|live| live.uid.clone());
            let (problem, pause, read) = match aftermath(outcome, conflicts) {
                Aftermath::Over => {
                    self.memory.failed.remove(&id);
                    self.memory.conflicts.remove(&id);
                    continue;
                }
                Aftermath::ReadAgain => {
                    self.local.borrow_mut().store.forget(&id);
                    continue;
                }
                Aftermath::LeftAlone { code, words, pause } => (Problem::error(code, words), pause, true),
                Aftermath::Refused { problem, pause } => (*problem, pause, false),
            };
            if read {
                self.local.borrow_mut().store.forget(&id);
            }
            let retry_at = now.checked_add(pause).ok();
            self.memory.failed.insert(id, Failure { desired, uid, problem, retry_at });
        }
    }
}

fn managed_of(live: &Value) -> ManagedSummary {
    ManagedSummary::parse(&live["metadata"]["managedFields"])
}

fn version_of(live: &Value) -> Option<String> {
    live["metadata"]["resourceVersion"].as_str().map(str::to_owned)
}

fn outcome_of(error: &CallError) -> Outcome {
    match error {
        CallError::Conflict => Outcome::Conflict,
        CallError::Refused(why) => Outcome::Refused(Box::new(Problem::error(Code::Rejected, why.clone()))),
        CallError::Busy | CallError::Server | CallError::Unreachable => {
            Outcome::Unknown(format!("{error:?}"))
        }
    }
}
