//! The dry-runs that a plan asks for: the same engine answers "what differs?" and, later, does the change.

use std::collections::BTreeSet;

use futures::StreamExt;
use serde_json::Value;
use tidegate_core::diff::{FieldChange, drift_changes};
use tidegate_core::drift::{AllowList, blame, foreign_fields, migrate_kubectl};
use tidegate_core::ignore;
use tidegate_core::object::{DesiredObject, ObjectId};
use tidegate_core::observed::{DryRun, LiveObject};
use tidegate_core::status::ForeignRecord;

use crate::cluster::call::{CallError, undisturbed};
use crate::cluster::failure::words;
use crate::cluster::handle::Cluster;
use crate::cluster::kinds::ServedKind;
use crate::cluster::write::Mode;
use crate::world::DesiredSet;
use tidegate_core::inventory::{Marks, Precondition, marked};
use tidegate_core::summarize::{detail_of, summarize};

/// Dry-runs that run side by side.
const DRY_RUNS: usize = 16;

/// What a dry-run found.
pub struct Inspection {
    /// The object.
    pub id: ObjectId,
    /// What came of it.
    pub answer: Answer,
    /// Fields that others added.
    pub foreign: Vec<ForeignRecord>,
    /// The object as it was read, where something is to be done about it.
    pub read: Option<Value>,
}

/// What came of a dry-run.
#[derive(Debug)]
pub enum Answer {
    /// The API server answered.
    Found {
        /// The evidence.
        dry_run: DryRun,
        /// The object that was compared.
        live: Box<LiveObject>,
    },
    /// The object is gone.
    Gone,
    /// No answer; the evidence says why.
    Failed(DryRun),
}

impl Answer {
    /// The evidence, if the object is there.
    pub fn into_dry_run(self) -> Option<DryRun> {
        match self {
            Self::Found { dry_run, live: _ } | Self::Failed(dry_run) => Some(dry_run),
            Self::Gone => None,
        }
    }
}

/// Asks the API server about each of these objects.
pub async fn inspect(
    cluster: &Cluster,
    desired: &DesiredSet,
    marks: &Marks,
    ids: &[ObjectId],
    key: &[u8],
) -> Vec<Inspection> {
    let wanted_ids: BTreeSet<&ObjectId> = ids.iter().collect();
    let wanted: Vec<&std::sync::Arc<DesiredObject>> =
        desired.ordinary.iter().filter(|object| wanted_ids.contains(&object.reference.id())).collect();
    // The futures are made before the stream: a closure in it would not be general enough for a spawned task.
    let asked: Vec<_> =
        wanted.iter().map(|object| inspect_one(cluster, desired, marks, object, key)).collect();
    futures::stream::iter(asked).buffer_unordered(DRY_RUNS).collect().await
}

async fn inspect_one(
    cluster: &Cluster,
    desired: &DesiredSet,
    marks: &Marks,
    object: &DesiredObject,
    key: &[u8],
) -> Inspection {
    let id = object.reference.id();
    let none = Vec::new();
    let ignored = desired.ignored.get(&id).unwrap_or(&none);
    let question = Question { marks, object, ignored, key };
    match undisturbed(|| ask(cluster, question)).await {
        Ok(Some((dry_run, live))) => {
            let foreign = foreign_records(&id, &live);
            let gvk = &object.reference.gvk;
            let compact = Box::new(summarize(gvk, detail_of(gvk), &live));
            let read = (dry_run.migrate || !dry_run.changes.is_empty()).then_some(live);
            Inspection { id, answer: Answer::Found { dry_run, live: compact }, foreign, read }
        }
        Ok(None) => Inspection { id, answer: Answer::Gone, foreign: Vec::new(), read: None },
        Err(error) => {
            let dry_run = DryRun {
                resource_version: String::new(),
                desired: object.digest(),
                changes: Vec::new(),
                by: Vec::new(),
                migrate: false,
                error: Some(words(object, &error.to_string())),
            };
            Inspection { id, answer: Answer::Failed(dry_run), foreign: Vec::new(), read: None }
        }
    }
}

/// Fields that others hold on an object; a field within another one of the list is left out.
pub fn foreign_records(id: &ObjectId, live: &Value) -> Vec<ForeignRecord> {
    let managed = live.pointer("/metadata/managedFields").unwrap_or(&Value::Null);
    let fields = foreign_fields(managed, &AllowList::default());
    let within = |inner: &str, outer: &str| inner.len() > outer.len() && inner.starts_with(outer);
    fields
        .iter()
        .filter(|field| !fields.iter().any(|outer| within(&field.path, &outer.path)))
        .map(|field| ForeignRecord { object: id.clone(), field: field.clone() })
        .collect()
}

/// What a dry-run is about.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Whose the object is.
    pub marks: &'a Marks,
    /// As git asks for it.
    pub object: &'a DesiredObject,
    /// Fields that are left to others.
    pub ignored: &'a [String],
    /// Under which the values of Secrets are digested.
    pub key: &'a [u8],
}

impl Question<'_> {
    /// What an apply would change of the object as it was read; a conflict when somebody writes it in between.
    pub async fn changes(
        &self,
        cluster: &Cluster,
        kind: &ServedKind,
        live: &Value,
    ) -> Result<Vec<FieldChange>, CallError> {
        let Self { marks, object, ignored, key } = self;
        let text =
            |pointer: &str| live.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let precondition = Precondition {
            uid: Some(text("/metadata/uid")),
            resource_version: Some(text("/metadata/resourceVersion")),
        };
        let body = marked(ignore::body(&object.to_value(), live, ignored), marks, &precondition);
        let would = cluster.writer.apply(kind, &object.reference.id(), &body, Mode::DryRun).await?;
        Ok(drift_changes(live, &would, key))
    }
}

/// Asks about the object as it is now.
async fn ask(cluster: &Cluster, question: Question<'_>) -> Result<Option<(DryRun, Value)>, CallError> {
    let object = question.object;
    let missing = || CallError::Server("the kind is no longer served".to_owned());
    let kind = cluster.kinds.resolve(&object.reference.gvk).await?.ok_or_else(missing)?;
    let Some(live) = cluster.writer.read(&kind, &object.reference.id()).await? else { return Ok(None) };
    let changes = question.changes(cluster, &kind, &live).await?;
    let managed = live.pointer("/metadata/managedFields").unwrap_or(&Value::Null);
    let version = live.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default();
    let dry_run = DryRun {
        resource_version: version.to_owned(),
        desired: object.digest(),
        by: blame(&changes, managed),
        migrate: migrate_kubectl(managed, question.ignored).is_some(),
        changes,
        error: None,
    };
    Ok(Some((dry_run, live)))
}
