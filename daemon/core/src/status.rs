//! What `status` shows of one environment: the record that the daemon keeps on its parent object.
//!
//! Read by `status` with or without the daemon, so it is versioned and bounded. Not the deploy log: it says how things
//! stand, not how they came about.

mod repository;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::drift::ForeignField;
use crate::ids::{Digest, EnvironmentName};
use crate::location::Location;
use crate::object::{ObjectId, ObjectRef};
use crate::problem::Problem;
use crate::rollback::Held;
use crate::rollout::WorkloadStatus;

pub use repository::{
    MAX_REPOSITORY_BYTES, MAX_UNREADABLE, REPOSITORY_SCHEMA, RepositoryStatus, UnreadableEnvironment,
};

/// The schema of [`EnvironmentStatus`].
pub const SCHEMA: &str = "tidegate.environment/v1";
/// A record is never larger than this as JSON.
pub const MAX_STATUS_BYTES: usize = 200_000;
/// So many problems are listed; the rest is counted.
pub const MAX_PROBLEMS: usize = 50;
/// So many objects that are not healthy (or wait) are listed; the rest is counted.
pub const MAX_OBJECTS: usize = 50;
/// So many repairs are remembered.
pub const MAX_DRIFT: usize = 20;
/// So many foreign fields are listed.
pub const MAX_FOREIGN: usize = 50;
/// Longer texts are cut.
pub const MAX_TEXT: usize = 1_000;

/// How one environment stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentStatus {
    /// [`SCHEMA`].
    pub schema: String,
    /// Its name.
    pub environment: EnvironmentName,
    /// The cluster, as the environment names it.
    pub cluster: String,
    /// The replica of the daemon that wrote this.
    pub replica: String,
    /// The newest commit that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<CommitInfo>,
    /// The commit that was applied last, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<CommitInfo>,
    /// Digest of the inputs that are enforced; a commit that leaves them as they are changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Digest>,
    /// Digest of the inputs that were applied last, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_inputs: Option<Digest>,
    /// Digest of newer inputs that are not applied because they are invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_inputs: Option<Digest>,
    /// The commit that is held because the environment was rolled back from it; none when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Box<Held>>,
    /// How it stands.
    pub state: State,
    /// One sentence without a full stop.
    pub reason: String,
    /// Where the suspension stands, while it is [`State::Suspended`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<SuspendedBy>,
    /// Since when it stands so.
    pub since: Timestamp,
    /// What wakes it next, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How many objects stand how.
    pub counts: ObjectCounts,
    /// What is wrong.
    #[serde(default)]
    pub problems: Listed<Problem>,
    /// Objects that are not healthy or wait, and why.
    #[serde(default)]
    pub objects: Listed<ObjectStatus>,
    /// The last repairs, newest first.
    #[serde(default)]
    pub drift: Vec<DriftRecord>,
    /// Changes of others that stand, because nothing may be written (a suspension): each with when it was seen first.
    #[serde(default)]
    pub drifted: Listed<DriftRecord>,
    /// Fields that others added to our objects.
    #[serde(default)]
    pub foreign: Listed<ForeignRecord>,
    /// Kinds that could not be checked against a schema.
    #[serde(default)]
    pub unchecked: Vec<String>,
    /// Kinds that may not be watched, as `Kind.group`: what becomes of their objects is seen at the resync.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unwatched: Vec<String>,
    /// Workloads that roll out in colours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workloads: Vec<WorkloadStatus>,
    /// When what happened.
    #[serde(default)]
    pub times: Times,
    /// The id of the desired objects (see [`crate::plan::plan_id`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<Digest>,
    /// When this was written.
    pub updated: Timestamp,
}

/// How an environment stands. What it means, and what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// The seen commit is applied and every object with a health rule is healthy. Stays so until git or the cluster changes.
    Live,
    /// Actions of a plan are being executed.
    Applying,
    /// Everything is applied; objects are on their way.
    Progressing,
    /// Everything is applied; an object failed, or missed its deadline.
    Degraded,
    /// The last good commit is enforced and healthy; a newer one did not become so, and is held until git asks for something
    /// else.
    #[serde(rename = "rolled-back")]
    RolledBack,
    /// The seen commit is not applied: it is invalid, or an object was refused. The last good state stays.
    Failed,
    /// Nothing is written until it is resumed.
    Suspended,
    /// Something else must come first: another environment, a confirmation, a budget.
    Waiting,
    /// The cluster or git cannot be reached; tried again by itself.
    Unreachable,
}

impl State {
    /// The word that people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Applying => "applying",
            Self::Progressing => "progressing",
            Self::Degraded => "degraded",
            Self::RolledBack => "rolled-back",
            Self::Failed => "failed",
            Self::Suspended => "suspended",
            Self::Waiting => "waiting",
            Self::Unreachable => "unreachable",
        }
    }

    /// States in which nothing changes by itself.
    pub fn is_settled(self) -> bool {
        match self {
            Self::Live
            | Self::Degraded
            | Self::RolledBack
            | Self::Failed
            | Self::Suspended
            | Self::Waiting => true,
            Self::Applying | Self::Progressing | Self::Unreachable => false,
        }
    }
}

/// Where a suspension stands, and so where it is lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SuspendedBy {
    /// `suspend` in environment.yaml, whatever else stands on the parent: lifted by a commit.
    Git,
    /// `tidegate suspend`, on the parent alone: lifted by `tidegate resume`.
    Hand,
}

/// A commit as people quote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitInfo {
    /// Its id, or `uncommitted-<digest>` for the files of a followed folder.
    pub id: String,
    /// The first line of its message.
    pub subject: String,
    /// Who wrote it.
    pub author: String,
    /// When it was committed.
    pub time: Timestamp,
}

/// How many objects stand how; an object counts once in each line that holds for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectCounts {
    /// Objects of the desired set.
    pub objects: usize,
    /// Healthy ones, and ones that are suspended by their spec.
    pub healthy: usize,
    /// On their way.
    pub progressing: usize,
    /// Failed.
    pub degraded: usize,
    /// Without a health rule; they do not keep an environment from being live.
    pub unknown: usize,
    /// Left alone for a reason.
    pub waiting: usize,
    /// Refused by the API server.
    pub failed: usize,
}

/// A list that was cut, and how many there were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed<T> {
    /// How many there are.
    pub total: usize,
    /// The first of them.
    pub items: Vec<T>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { total: 0, items: Vec::new() }
    }
}

impl<T> Listed<T> {
    /// All of them; [`EnvironmentStatus::shrink`] cuts.
    pub fn all(items: Vec<T>) -> Self {
        Self { total: items.len(), items }
    }
}

/// One object that is not healthy, or about which nothing is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectStatus {
    /// The object.
    pub object: ObjectId,
    /// How it stands.
    pub state: ObjectState,
    /// One sentence without a full stop.
    pub reason: String,
    /// Where it stands in git; none for what left git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

/// How one object stands that is not simply healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ObjectState {
    /// On its way, as its status says.
    Progressing,
    /// Failed, as its status says.
    Degraded,
    /// Nothing is done about it now; the reason says what comes first.
    Waiting,
    /// Its write was refused.
    Failed,
    /// It left git and stays on purpose; it holds nothing up.
    Kept,
}

impl ObjectState {
    /// The word that people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Progressing => "progressing",
            Self::Degraded => "degraded",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Kept => "kept",
        }
    }

    /// True for objects whose own status says that they are not well.
    pub fn is_unhealthy(self) -> bool {
        match self {
            Self::Progressing | Self::Degraded => true,
            Self::Waiting | Self::Failed | Self::Kept => false,
        }
    }
}

impl fmt::Display for ObjectState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One repair of a change that somebody made by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftRecord {
    /// The object.
    pub object: ObjectRef,
    /// The changes in words, e.g. `spec.replicas: 5 -> 2`; values of Secrets masked.
    pub changes: Vec<String>,
    /// Who made them, as far as the field managers say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// When it was seen.
    pub seen: Timestamp,
    /// When it was repaired; none while backing off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repaired: Option<Timestamp>,
}

/// A field that somebody else added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignRecord {
    /// The object.
    pub object: ObjectId,
    /// The field and who holds it.
    #[serde(flatten)]
    pub field: ForeignField,
}

/// When what happened to the applied commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// It was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<Timestamp>,
    /// The daemon saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    /// Its last object was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Timestamp>,
    /// It was live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Timestamp>,
    /// Its deadline began anew, because nobody had looked for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anew: Option<Anew>,
}

/// A deadline that began anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Anew {
    /// From when it counts.
    pub since: Timestamp,
    /// How often it has begun anew.
    pub count: u32,
}

impl EnvironmentStatus {
    /// True when this commit is applied, it is the newest one seen, and everything is healthy.
    pub fn is_live(&self) -> bool {
        let commit = |info: &Option<CommitInfo>| info.as_ref().map(|info| info.id.clone());
        self.state == State::Live && self.applied.is_some() && commit(&self.applied) == commit(&self.seen)
    }

    /// Remembers a repair, newest first, the oldest dropped.
    pub fn record_drift(&mut self, record: DriftRecord) {
        self.drift.insert(0, record);
        self.drift.truncate(MAX_DRIFT);
    }

    /// Cuts lists and texts until the record is smaller than [`MAX_STATUS_BYTES`]; totals stay.
    pub fn shrink(&mut self) {
        let mut limits =
            Limits { problems: MAX_PROBLEMS, objects: MAX_OBJECTS, foreign: MAX_FOREIGN, text: MAX_TEXT };
        // Halving ends at empty lists and empty texts, after at most as many rounds as the largest limit has bits.
        for _ in 0..=MAX_TEXT.ilog2() + 1 {
            self.cut(limits);
            if self.json_bytes() < MAX_STATUS_BYTES {
                return;
            }
            let Limits { problems, objects, foreign, text } = limits;
            limits =
                Limits { problems: problems / 2, objects: objects / 2, foreign: foreign / 2, text: text / 2 };
        }
    }

    fn json_bytes(&self) -> usize {
        // What cannot be written is too large for certain.
        serde_json::to_string(self).map_or(usize::MAX, |json| json.len())
    }

    fn cut(&mut self, limits: Limits) {
        let Limits { problems, objects, foreign, text } = limits;
        self.problems.items.truncate(problems);
        self.problems.items.iter_mut().for_each(|problem| cut_problem(problem, text));
        self.objects.items.truncate(objects);
        self.objects.items.iter_mut().for_each(|object| cut_text(&mut object.reason, text));
        if let Some(held) = &mut self.held {
            held.because.items.truncate(objects);
            held.because.items.iter_mut().for_each(|object| cut_text(&mut object.reason, text));
        }
        self.foreign.items.truncate(foreign);
        self.foreign.items.iter_mut().for_each(|record| cut_text(&mut record.field.path, text));
        self.drift.truncate(MAX_DRIFT.min(objects));
        self.drifted.items.truncate(MAX_DRIFT.min(objects));
        for record in self.drift.iter_mut().chain(&mut self.drifted.items) {
            record.changes.truncate(MAX_DRIFT);
            record.changes.iter_mut().for_each(|change| cut_text(change, text));
        }
        self.workloads.truncate(objects);
        for workload in &mut self.workloads {
            cut_text(&mut workload.reason, text);
            workload.failure.iter_mut().for_each(|failure| failure.cut(text, cut_text));
            workload.gates.truncate(MAX_GATES);
            workload.gates.iter_mut().for_each(|gate| cut_text(&mut gate.summary, text.min(MAX_SUMMARY)));
        }
        self.unchecked.truncate(objects);
        self.unwatched.truncate(objects);
        cut_text(&mut self.reason, text);
        self.next.iter_mut().for_each(|next| cut_text(next, text));
        let held = self.held.as_mut().map(|held| &mut held.commit);
        for commit in [self.seen.as_mut(), self.applied.as_mut(), held].into_iter().flatten() {
            cut_text(&mut commit.subject, text.min(MAX_SUBJECT));
            cut_text(&mut commit.author, text.min(MAX_SUBJECT));
        }
    }
}

/// How much of a record stays.
#[derive(Clone, Copy)]
struct Limits {
    problems: usize,
    objects: usize,
    foreign: usize,
    text: usize,
}

/// Subjects and authors are shown on one line.
const MAX_SUBJECT: usize = 200;
/// So many gates of one workload stay.
const MAX_GATES: usize = 32;
/// What a gate said is cut to so many characters.
const MAX_SUMMARY: usize = 400;
/// So many second places of one problem stay.
const MAX_RELATED: usize = 8;

fn cut_problem(problem: &mut Problem, text: usize) {
    let Problem { severity: _, code: _, message, location: _, related, object: _, field, notes, help } =
        problem;
    cut_text(message, text);
    related.truncate(MAX_RELATED);
    for related in related {
        cut_text(&mut related.note, text);
    }
    notes.truncate(MAX_RELATED);
    // The end of a log is one of them.
    for note in notes {
        cut_text(note, text.saturating_mul(2));
    }
    field.iter_mut().chain(help).for_each(|words| cut_text(words, text));
}

/// Cuts to so many characters, with an ellipsis in place of the rest.
fn cut_text(text: &mut String, limit: usize) {
    if let Some((place, _)) = text.char_indices().nth(limit) {
        text.truncate(place);
        text.push('…');
    }
}

#[cfg(test)]
mod tests;
