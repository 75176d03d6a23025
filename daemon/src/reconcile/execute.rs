//! The verb execute: a plan's actions, stage after stage, side by side within a stage.
//!
//! No choice is made here: an action names its object and precondition. The dependents of an object that failed are
//! skipped; a newer commit ends the execution between two stages.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use jiff::Timestamp;
use serde_json::Value;
use tidegate_core::diff::{describe, drift_changes};
use tidegate_core::drift::{AllowList, ManagedSummary, blame};
use tidegate_core::ids::Digest;
use tidegate_core::ignore;
use tidegate_core::inventory::{Applied, Inventory};
use tidegate_core::object::{Gvk, ObjectId, ObjectRef};
use tidegate_core::observed::{LiveObject, Observed};
use tidegate_core::outcome::Outcome;
use tidegate_core::plan::{Action, Apply, ApplyReason, Delete, Plan};
use tidegate_core::problem::{Code, Problem};
use tidegate_core::status::{DriftRecord, ForeignRecord};

use super::inspect::foreign_records;
use super::recreate::{can_recreate, recreate};
use crate::cluster::call::{CallError, is_about_object};
use crate::cluster::failure::{problems, undeleted};
use crate::cluster::handle::Cluster;
use crate::cluster::kinds::ServedKind;
use crate::cluster::write::{Deleted, Mode};
use crate::world::{DesiredSet, prefixed};
use tidegate_core::inventory::{Marks, NOWHERE, Precondition, marked};
use tidegate_core::summarize::{detail_of, summarize};

/// How often one object is sent when others write its status in between.
const CONFLICTS: u32 = 5;
/// Writes that run side by side in one environment.
const WRITES: usize = 16;

/// The word for taking over what existed before.
pub const ADOPT: &str = "adopt";

/// What came of one action.
pub struct Done {
    /// The object.
    pub reference: ObjectRef,
    /// `create`, `change`, `repair`, `recreate`, `adopt`, `resume` or `delete`.
    pub action: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// Every problem of a refusal (the first also stands in the outcome).
    pub problems: Vec<Problem>,
    /// Digest of what was sent; none for a delete.
    pub desired: Option<Digest>,
    /// The repair that it was, in words.
    pub drift: Option<DriftRecord>,
    /// Fields of others that stand after it.
    pub foreign: Vec<ForeignRecord>,
    applied: Option<(Applied, LiveObject)>,
    /// A delete that was taken, while the object may still be there.
    is_going: bool,
}

impl Done {
    /// The object's uid, where it was written.
    pub fn uid(&self) -> Option<&str> {
        self.applied.as_ref().map(|(applied, _)| applied.uid.as_str())
    }
}

/// What execution needs.
pub struct Execution<'a> {
    /// Where.
    pub cluster: &'a Cluster,
    /// What is enforced.
    pub desired: &'a DesiredSet,
    /// What the plan saw.
    pub observed: &'a Observed,
    /// The marks of the environment.
    pub marks: &'a Marks,
    /// The key of digests of Secret values.
    pub key: &'a [u8],
    /// Objects as the dry-runs of this pass have read them.
    pub inspected: &'a BTreeMap<ObjectId, Value>,
}

impl Execution<'_> {
    /// Carries the plan out; `superseded` is asked between stages. The inventory is kept current in memory.
    pub async fn run(
        &self,
        plan: &Plan,
        inventory: &mut Inventory,
        superseded: impl Fn() -> bool,
    ) -> Vec<Done> {
        let mut results: Vec<Done> = Vec::new();
        let mut failed: BTreeSet<ObjectId> = BTreeSet::new();
        for stage in &plan.stages {
            if superseded() || stage.is_left(&failed) {
                break;
            }
            // The futures are made before the stream: a closure in it would not be general enough for a spawned task.
            let mut actions = Vec::with_capacity(stage.actions.len());
            for action in &stage.actions {
                if !plan.is_skipped(action, &failed) {
                    actions.push(self.act(action));
                }
            }
            let done: Vec<Done> = futures::stream::iter(actions).buffer_unordered(WRITES).collect().await;
            for result in done {
                self.account(&result, inventory, &mut failed);
                results.push(result);
            }
            for action in &stage.actions {
                if let Action::Apply(apply) = action
                    && plan.is_skipped(action, &failed)
                {
                    failed.insert(apply.object.reference.id());
                }
            }
        }
        results
    }

    fn account(&self, done: &Done, inventory: &mut Inventory, failed: &mut BTreeSet<ObjectId>) {
        let id = done.reference.id();
        match &done.outcome {
            Outcome::Done | Outcome::Unchanged => match &done.applied {
                Some((applied, live)) => {
                    inventory.record_applied(&done.reference, applied.clone(), &AllowList::default());
                    self.cluster.store.observe(id, live.clone());
                }
                // Still ours until it is gone; the next plan reads it, because the store no longer says anything.
                None if done.is_going => self.cluster.store.forget(&id),
                None => drop(inventory.forget(&id)),
            },
            Outcome::Conflict | Outcome::Refused(_) | Outcome::Unknown(_) => drop(failed.insert(id)),
        }
    }

    async fn act(&self, action: &Action) -> Done {
        match action {
            Action::Apply(apply) => self.apply(apply).await,
            Action::Delete(delete) => self.delete(delete).await,
        }
    }

    async fn delete(&self, delete: &Delete) -> Done {
        let Delete { object, uid } = delete;
        let mut is_going = false;
        // Whatever version the inventory names: the object is the same one in those that are still served.
        let kind = self.cluster.kinds.resolve_any(&object.gvk).await;
        let missing = || unserved(&object.gvk);
        let outcome = match kind.and_then(|kind| kind.map(|(_, kind)| kind).ok_or_else(missing)) {
            Ok(kind) => match self.cluster.writer.delete(&kind, &object.id(), uid).await {
                Ok(Deleted::Accepted) => {
                    is_going = true;
                    Outcome::Done
                }
                Ok(Deleted::Gone) => Outcome::Done,
                Ok(Deleted::WasGone) => Outcome::Unchanged,
                Err(error) => delete_failure(object, &error),
            },
            Err(error) => delete_failure(object, &error),
        };
        let problems = match &outcome {
            Outcome::Refused(problem) => vec![Problem::clone(problem)],
            Outcome::Done | Outcome::Unchanged | Outcome::Conflict | Outcome::Unknown(_) => Vec::new(),
        };
        Done {
            reference: object.clone(),
            action: "delete",
            outcome,
            problems,
            desired: None,
            drift: None,
            foreign: Vec::new(),
            applied: None,
            is_going,
        }
    }

    async fn apply(&self, apply: &Apply) -> Done {
        let object = &apply.object;
        let mut done = Done {
            reference: object.reference.clone(),
            action: word(&apply.reason),
            outcome: Outcome::Done,
            problems: Vec::new(),
            desired: Some(object.digest()),
            drift: None,
            foreign: Vec::new(),
            applied: None,
            is_going: false,
        };
        match self.try_apply(apply).await {
            Ok((before, answer)) => {
                let gvk = &object.reference.gvk;
                let live = summarize(gvk, detail_of(gvk), &answer);
                let applied =
                    Applied { uid: live.uid.clone(), digest: object.digest(), managed: managed_of(&answer) };
                done.drift = self.repair(apply, before.as_ref(), &answer);
                done.foreign = foreign_records(&object.reference.id(), &answer);
                done.applied = Some((applied, live));
            }
            Err(error) => {
                if matches!(&error, CallError::NotFound(status) if !is_about_object(status)) {
                    self.cluster.kinds.doubt();
                }
                done.problems = prefixed(problems(object, &error), &self.desired.prefix);
                done.outcome = outcome_of(&error, done.problems.first());
            }
        }
        done
    }

    /// The live object before (where it was read) and after. A conflict with a write that changed nothing of what the plan
    /// saw (a status, of which a rollout writes many) is tried again; any other one is for the next plan.
    async fn try_apply(&self, apply: &Apply) -> Result<(Option<Value>, Value), CallError> {
        let id = apply.object.reference.id();
        let kind = self.kind(&apply.object.reference.gvk).await?;
        let none = Vec::new();
        let ignored = self.desired.ignored.get(&id).unwrap_or(&none);
        let must_read = apply.uid.is_some() && (apply.migrate || !ignored.is_empty());
        let allow = AllowList::default();
        let mut expected = self.observed.objects.get(&id).map(|live| live.managed.unexpected(&allow));
        let mut before = if must_read { self.read(apply, &kind, &id).await? } else { None };
        let first = before.clone();
        let exact = apply.resource_version.is_some() || apply.migrate;
        let mut version = apply.resource_version.clone();
        let mut attempt = 1;
        loop {
            let migrated = match &before {
                Some(live) if apply.migrate => self.cluster.writer.migrate(&kind, &id, live, ignored).await,
                Some(_) | None => Ok(None),
            };
            let migrated = migrated.map(|migrated| {
                if let Some(migrated) = migrated {
                    version = version_of(&migrated);
                    expected = Some(managed_of(&migrated).unexpected(&allow));
                    before = Some(migrated);
                }
            });
            let answer = match migrated {
                Ok(()) => self.send(apply, &kind, before.as_ref(), version.clone()).await,
                Err(error) => Err(error),
            };
            let conflict = match answer {
                Err(error @ CallError::Conflict(_)) if exact && attempt < CONFLICTS => error,
                answer => return Ok((first, answer?)),
            };
            attempt += 1;
            before = self.cluster.writer.read(&kind, &id).await?;
            if before.as_ref().map(|live| managed_of(live).unexpected(&allow)) != expected {
                return Err(conflict);
            }
            version = before.as_ref().and_then(version_of);
        }
    }

    /// The live object; not asked for again where a dry-run has just read the version that the plan depends on.
    async fn read(
        &self,
        apply: &Apply,
        kind: &ServedKind,
        id: &ObjectId,
    ) -> Result<Option<Value>, CallError> {
        let version = apply.resource_version.as_ref();
        let known =
            self.inspected.get(id).filter(|live| version.is_some() && version_of(live).as_ref() == version);
        match known {
            Some(live) => Ok(Some(live.clone())),
            None => self.cluster.writer.read(kind, id).await,
        }
    }

    async fn send(
        &self,
        apply: &Apply,
        kind: &ServedKind,
        before: Option<&Value>,
        version: Option<String>,
    ) -> Result<Value, CallError> {
        let object = &apply.object;
        let id = object.reference.id();
        let value = match (before, self.desired.ignored.get(&id)) {
            (Some(live), Some(ignored)) => ignore::body(&object.to_value(), live, ignored),
            (_, _) => object.to_value(),
        };
        // What is created was looked for in a watch, which may be late and sees only what carries our label.
        let nowhere = || apply.uid.is_none().then(|| NOWHERE.to_owned());
        let precondition =
            Precondition { uid: apply.uid.clone(), resource_version: version.or_else(nowhere) };
        let body = marked(value, self.marks, &precondition);
        match self.cluster.writer.apply(kind, &id, &body, Mode::Write).await {
            Err(CallError::Refused(status)) if can_recreate(apply, &status) => {
                recreate(self.cluster, kind, apply, self.marks).await
            }
            answer => answer,
        }
    }

    async fn kind(&self, gvk: &Gvk) -> Result<ServedKind, CallError> {
        self.cluster.kinds.resolve(gvk).await?.ok_or_else(|| unserved(gvk))
    }

    /// The repair in words; none when the apply was asked for by git.
    fn repair(&self, apply: &Apply, before: Option<&Value>, after: &Value) -> Option<DriftRecord> {
        let now = Timestamp::now();
        let record = |changes: Vec<String>, manager: Option<String>| DriftRecord {
            object: apply.object.reference.clone(),
            changes,
            manager,
            seen: now,
            repaired: Some(now),
        };
        match &apply.reason {
            ApplyReason::Drift { changes, by } => {
                let mut all = changes.clone();
                if let Some(before) = before {
                    all = drift_changes(before, after, self.key);
                }
                let managed = before.and_then(|before| before.pointer("/metadata/managedFields"));
                let holders = managed.map(|managed| blame(&all, managed)).unwrap_or_default();
                let managers: BTreeSet<&str> =
                    by.iter().chain(&holders).map(|entry| entry.manager.as_str()).collect();
                let managers: Vec<&str> = managers.into_iter().collect();
                let who = (!managers.is_empty()).then(|| managers.join(", "));
                Some(record(all.iter().map(describe).collect(), who))
            }
            ApplyReason::Recreate => {
                Some(record(vec!["the object was deleted; created again".to_owned()], None))
            }
            ApplyReason::Create | ApplyReason::Changed | ApplyReason::Resume | ApplyReason::Adopt => None,
        }
    }
}

fn unserved(gvk: &Gvk) -> CallError {
    CallError::Server(gvk.unserved())
}

fn managed_of(live: &Value) -> ManagedSummary {
    ManagedSummary::parse(live.pointer("/metadata/managedFields").unwrap_or(&Value::Null))
}

fn version_of(live: &Value) -> Option<String> {
    live.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned)
}

fn word(reason: &ApplyReason) -> &'static str {
    match reason {
        ApplyReason::Create => "create",
        ApplyReason::Recreate => "recreate",
        ApplyReason::Changed => "change",
        ApplyReason::Drift { .. } => "repair",
        ApplyReason::Resume => "resume",
        ApplyReason::Adopt => ADOPT,
    }
}

fn outcome_of(error: &CallError, problem: Option<&Problem>) -> Outcome {
    match error {
        CallError::Conflict(_) => Outcome::Conflict,
        CallError::Refused(_) | CallError::Forbidden(_) | CallError::NotFound(_) => {
            let fallback = || Problem::error(Code::Rejected, error.to_string());
            Outcome::Refused(Box::new(problem.cloned().unwrap_or_else(fallback)))
        }
        CallError::Busy { .. }
        | CallError::Damaged(_)
        | CallError::Server(_)
        | CallError::Unreachable(_)
        | CallError::Unauthorized(_) => {
            Outcome::Unknown(problem.map_or_else(|| error.to_string(), |problem| problem.message.clone()))
        }
    }
}

fn delete_failure(object: &ObjectRef, error: &CallError) -> Outcome {
    outcome_of(error, Some(&undeleted(object, error)))
}
