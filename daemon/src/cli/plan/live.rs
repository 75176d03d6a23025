//! What a cluster says about a plan: server-side dry-runs of head, drift that it would overwrite, refusals. Nothing is
//! written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt;
use jiff::Timestamp;
use serde_json::Value;
use tidegate_core::diff::FieldChange;
use tidegate_core::drift::{AllowList, Flips, blame, foreign_fields};
use tidegate_core::inventory::{Inventory, Marks, Precondition, marked};
use tidegate_core::object::{DesiredObject, Gvk, ObjectId};
use tidegate_core::observed::Observed;
use tidegate_core::plan::{Plan, PlanInput, WaitingReason, plan};
use tidegate_core::problem::{Code, Problem, Severity};
use tidegate_core::review::live::{Drift, Live, LiveReview, added_by_hand, overwritten};
use tidegate_core::review::{Action, Compared, Complete, EnvironmentReview, Side};

use super::sides::by_id;
use crate::cli::exit::Exit;
use crate::cli::options::Global;
use crate::cli::target::unreachable;
use crate::cluster::call::{CallError, undisturbed};
use crate::cluster::connect::connect;
use crate::cluster::failure;
use crate::cluster::handle::Cluster;
use crate::cluster::kinds::ServedKind;
use crate::cluster::parent::apply_set_of;
use crate::cluster::write::Mode;
use crate::reconcile::{self as dry_run, Unseen, access_of, observe, settings};
use crate::world::prefixed;

/// Objects that are asked about side by side.
const ASKED: usize = 16;
/// Secrets are shown without values and without digests; this is only for comparing within one answer.
const MASK_KEY: &[u8] = b"tidegate.plan/v1";

/// What a cluster says, and how the command ends because of it.
pub struct Answer {
    /// What it says.
    pub live: Live,
    /// Set when it could not be asked.
    pub exit: Option<Exit>,
}

/// Asks the cluster of an environment about head; none when head is not whole.
pub async fn ask(global: &Global, compared: &Compared, review: &EnvironmentReview) -> Option<Answer> {
    let Side::Complete(head) = &compared.head else { return None };
    let access = access_of(&head.environment);
    let mut live = Live {
        environment: review.name.clone(),
        cluster: access.to_string(),
        at: Timestamp::now(),
        unreachable: None,
        asked: 0,
        objects: Vec::new(),
        problems: Vec::new(),
    };
    let client = match connect(&access, &global.means(), Arc::default()).await {
        Ok(client) => client,
        Err(error) => {
            live.unreachable = Some(error.to_string());
            return Some(Answer { live, exit: Some(Exit::OutOfReach) });
        }
    };
    let cluster = Cluster::new(client);
    let base = compared.base.complete();
    let question = Question {
        cluster: &cluster,
        base,
        before: base.map(by_id).unwrap_or_default(),
        head,
        after: by_id(head),
        review,
        created: ids(review, &Action::Create),
    };
    let exit = match tokio::time::timeout(global.timeout, question.ask(&mut live)).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            let failed = unreachable(&live.cluster, &error);
            live.unreachable = Some(failed.message);
            Some(failed.exit)
        }
        Err(_) => {
            live.unreachable = Some("it did not answer in time".to_owned());
            Some(Exit::TimedOut)
        }
    };
    live.objects.sort_by(|one, other| one.object.cmp(&other.object));
    Some(Answer { live, exit })
}

/// One environment in one cluster.
struct Question<'a> {
    cluster: &'a Arc<Cluster>,
    base: Option<&'a Complete>,
    before: BTreeMap<ObjectId, Arc<DesiredObject>>,
    head: &'a Complete,
    after: BTreeMap<ObjectId, Arc<DesiredObject>>,
    review: &'a EnvironmentReview,
    created: BTreeSet<ObjectId>,
}

/// The objects to which this happens.
fn ids(review: &EnvironmentReview, action: &Action) -> BTreeSet<ObjectId> {
    review.changes.iter().filter(|change| change.action == *action).map(|change| change.object.id()).collect()
}

impl Question<'_> {
    async fn ask(&self, live: &mut Live) -> Result<(), CallError> {
        let environment = &self.head.environment;
        self.cluster.kinds.refresh().await?;
        let (inventory, held) = match self.cluster.parents.read(&environment.name).await? {
            Some(parent) => (self.cluster.parents.read_inventory(&parent).await?.0, parent.held),
            None => (Inventory::default(), None),
        };
        let wanted: Vec<Arc<DesiredObject>> = self.after.values().cloned().collect();
        let observed = observe(self.cluster, &wanted, &inventory, Unseen::Read, &BTreeMap::new()).await?;
        let planned = self.plan(&wanted, &observed, &inventory);
        live.problems = prefixed(planned.problems.clone(), &self.head.prefix);
        // Not of this plan: what stands in the cluster is not what base asks for.
        live.problems.extend(held.map(|held| Problem { severity: Severity::Warning, ..held.problem() }));
        let in_doubt = self.in_doubt(&observed, &planned);
        let coloured = self.head.coloured();
        let asked: Vec<_> = wanted
            .iter()
            .filter(|object| in_doubt.contains(&object.reference.id()))
            // They do not stand in the cluster as git has them.
            .filter(|object| !coloured.contains(&object.reference.id()))
            .map(|object| self.about(object))
            .collect();
        live.asked = asked.len();
        let answers: Vec<_> = futures::stream::iter(asked).buffer_unordered(ASKED).collect().await;
        for answer in answers {
            let found = answer?;
            if found.has_news() {
                live.objects.push(found);
            }
        }
        live.objects.extend(self.leftovers(&inventory, &observed, &planned));
        Ok(())
    }

    /// The plan that a pass would begin with, for what it says about ownership, budget and deletes.
    fn plan(&self, wanted: &[Arc<DesiredObject>], observed: &Observed, inventory: &Inventory) -> Plan {
        let environment = &self.head.environment;
        plan(&PlanInput {
            settings: &settings(&environment.name, environment),
            desired: Some(wanted),
            observed,
            inventory,
            failed: &BTreeMap::new(),
            flips: &Flips::default(),
            now: Timestamp::now(),
        })
    }

    /// The objects that a dry-run may say something about: what the change touches, and what the daemon's own plan would do
    /// or ask anything about. Of all others the metadata, which was read, says that they are as git asks.
    fn in_doubt(&self, observed: &Observed, planned: &Plan) -> BTreeSet<ObjectId> {
        let absent = self.after.keys().filter(|id| !observed.objects.contains_key(*id)).cloned();
        let changed = self.review.changes.iter().map(|change| change.object.id());
        let planned = planned.objects();
        absent.chain(changed).chain(planned).collect()
    }

    /// What the cluster knows better about what left git.
    fn leftovers(&self, inventory: &Inventory, observed: &Observed, planned: &Plan) -> Vec<LiveReview> {
        let waiting: BTreeMap<&ObjectId, &WaitingReason> =
            planned.waiting.iter().map(|waiting| (&waiting.object, &waiting.reason)).collect();
        let mut found = Vec::new();
        for id in ids(self.review, &Action::Delete) {
            let note = if !inventory.entries.contains_key(&id) {
                Some("the inventory does not have it: it stays".to_owned())
            } else if observed.objects.contains_key(&id) {
                waiting.get(&id).and_then(|reason| keeps(reason))
            } else if observed.unread.contains_key(&id) {
                Some("it could not be read: nothing is deleted meanwhile".to_owned())
            } else {
                Some("it is gone already".to_owned())
            };
            found.extend(note.map(|note| noted(&id, observed, note)));
        }
        for id in inventory.entries.keys() {
            let known = self.before.contains_key(id) || self.after.contains_key(id);
            if !known && observed.objects.contains_key(id) {
                let note = match waiting.get(id).and_then(|reason| keeps(reason)) {
                    Some(why) => format!("left git before base: {why}"),
                    None => "left git before base, and is deleted too".to_owned(),
                };
                found.push(noted(id, observed, note));
            }
        }
        found
    }

    async fn about(&self, object: &DesiredObject) -> Result<LiveReview, CallError> {
        let id = object.reference.id();
        let Some(kind) = self.cluster.kinds.resolve(&object.reference.gvk).await? else {
            return Ok(self.unserved(object));
        };
        match undisturbed(|| self.attempt(object, &kind, &id)).await {
            Ok(found) => Ok(found),
            // A word of the server about this object; whatever else goes wrong concerns the cluster.
            Err(
                error @ (CallError::Conflict(_)
                | CallError::Refused(_)
                | CallError::NotFound(_)
                | CallError::Forbidden(_)),
            ) => Ok(LiveReview::of(id).refused(self.problems(object, &error))),
            Err(error) => Err(error),
        }
    }

    /// A kind that the cluster does not serve: a mistake, unless its definition is part of head.
    fn unserved(&self, object: &DesiredObject) -> LiveReview {
        let gvk = &object.reference.gvk;
        let defines = |other: &Arc<DesiredObject>| {
            let text = |pointer: &str| other.value().pointer(pointer).and_then(Value::as_str);
            other.reference.gvk.kind == "CustomResourceDefinition"
                && text("/spec/group") == Some(gvk.group.as_str())
                && text("/spec/names/kind") == Some(gvk.kind.as_str())
        };
        let review = LiveReview::of(object.reference.id());
        if self.head.objects.iter().any(defines) {
            return LiveReview {
                note: Some("not asked about: its definition comes with head".to_owned()),
                ..review
            };
        }
        let problem = Problem::error(Code::UnknownKind, gvk.unserved())
            .object(&object.reference)
            .at(object.spans.locate("/apiVersion"))
            .help("install its CustomResourceDefinition, or correct `apiVersion`");
        review.refused(prefixed(vec![problem], &self.head.prefix))
    }

    async fn attempt(
        &self,
        object: &DesiredObject,
        kind: &ServedKind,
        id: &ObjectId,
    ) -> Result<LiveReview, CallError> {
        let review = LiveReview::of(id.clone());
        let Some(live) = self.cluster.writer.read(kind, id).await? else {
            let body = marked(object.value().clone(), &self.marks(), &Precondition::default());
            return match self.cluster.writer.apply(kind, id, &body, Mode::DryRun).await {
                Ok(_) => Ok(review),
                Err(CallError::NotFound(_)) if self.brings_namespace(id) => {
                    let note = "not asked about: its namespace does not exist yet";
                    Ok(LiveReview { note: Some(note.to_owned()), ..review })
                }
                Err(error) => Err(error),
            };
        };
        let version = text(&live, "/metadata/resourceVersion");
        let review = LiveReview { resource_version: Some(version), ..review };
        let from_head = match self.changes(self.head, object, kind, &live).await {
            Ok(changes) => changes,
            Err(error @ CallError::Refused(_)) => return Ok(review.refused(self.problems(object, &error))),
            Err(error) => return Err(error),
        };
        let drift = self.drift(object, kind, &live, &from_head).await?;
        let note = self.created.contains(id).then(|| "it exists already, and is taken over".to_owned());
        Ok(LiveReview { drift, note, ..review })
    }

    /// What applying an object as one side asks for it would change.
    async fn changes(
        &self,
        side: &Complete,
        object: &DesiredObject,
        kind: &ServedKind,
        live: &Value,
    ) -> Result<Vec<FieldChange>, CallError> {
        let id = object.reference.id();
        let none = Vec::new();
        let ignored = side.ignored.get(&id).unwrap_or(&none);
        let (marks, key) = (&self.marks(), MASK_KEY);
        dry_run::Question { marks, object, ignored, key }.changes(self.cluster, kind, live).await
    }

    async fn drift(
        &self,
        object: &DesiredObject,
        kind: &ServedKind,
        live: &Value,
        from_head: &[FieldChange],
    ) -> Result<Vec<Drift>, CallError> {
        // Without a base nobody has said what it should have been.
        let Some(base) = self.base else { return Ok(Vec::new()) };
        let Some(before) = self.before.get(&object.reference.id()) else { return Ok(Vec::new()) };
        let from_base = if before.value() == object.value() {
            from_head.to_vec()
        } else {
            match self.changes(base, before, kind, live).await {
                Ok(changes) => changes,
                // What was applied can be refused today; then nothing is known of drift.
                Err(CallError::Refused(_)) => Vec::new(),
                Err(error) => return Err(error),
            }
        };
        let managed = live.pointer("/metadata/managedFields").unwrap_or(&Value::Null);
        let mut drift =
            overwritten(object, &from_base, from_head, |change| blame(std::slice::from_ref(change), managed));
        let time = |manager: &str| {
            let entries = managed.as_array().into_iter().flatten();
            let times = entries
                .filter(|entry| entry.get("manager").and_then(Value::as_str) == Some(manager))
                .filter_map(|entry| entry.get("time").and_then(Value::as_str)?.parse().ok());
            times.max()
        };
        let foreign = foreign_fields(managed, &AllowList::default());
        drift.extend(added_by_hand(object, live, &foreign, &drift, time));
        for found in &mut drift {
            if !self.head.prefix.is_empty() {
                found.location.file = Arc::from(format!("{}{}", self.head.prefix, found.location.file));
            }
        }
        Ok(drift)
    }

    fn problems(&self, object: &DesiredObject, error: &CallError) -> Vec<Problem> {
        prefixed(failure::problems(object, error), &self.head.prefix)
    }

    fn marks(&self) -> Marks {
        let name = &self.head.environment.name;
        Marks { apply_set: apply_set_of(name), environment: name.to_string() }
    }

    /// Whether the object's namespace is among what head asks for.
    fn brings_namespace(&self, id: &ObjectId) -> bool {
        let namespace = Gvk::from_api_version("v1", "Namespace");
        self.head.objects.iter().any(|object| {
            object.reference.gvk == namespace && Some(&object.reference.name) == id.namespace.as_ref()
        })
    }
}

fn noted(id: &ObjectId, observed: &Observed, note: String) -> LiveReview {
    let version = observed.objects.get(id).map(|live| live.resource_version.clone());
    LiveReview { resource_version: version, note: Some(note), ..LiveReview::of(id.clone()) }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Why an object that left git stays, in words; none for what only waits its turn.
fn keeps(reason: &WaitingReason) -> Option<String> {
    match reason {
        WaitingReason::PruneAfter(_) | WaitingReason::EarlierWave(_) | WaitingReason::Dependency(_) => None,
        WaitingReason::Unread(why) | WaitingReason::DryRunFailed(why) => Some(why.clone()),
        WaitingReason::Refused(why) => Some(format!("refused before: {why}")),
        WaitingReason::Deleting(finalizers) if finalizers.is_empty() => {
            Some("it is being deleted".to_owned())
        }
        WaitingReason::Deleting(finalizers) => {
            Some(format!("it is being deleted, held by {}", finalizers.join(", ")))
        }
        WaitingReason::Ownership(why) | WaitingReason::PruneNotAllowed(why) => {
            Some(format!("it stays: {why}"))
        }
        WaitingReason::PruneBudget => Some("it stays: the prune budget is exceeded".to_owned()),
        WaitingReason::Suspended(why) => Some(format!("suspended: {why}")),
        WaitingReason::FightingOver(what) => Some(format!("others fight over {what}")),
    }
}
