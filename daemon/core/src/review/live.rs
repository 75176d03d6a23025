//! What a cluster says about a review: asked at a time, about objects as they were at a resourceVersion. Never part of
//! the review's id, and printed apart from it.
//!
//! Pure: the shell asks; here is what its answers mean.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Way;
use super::conceal::conceal;
use crate::diff::FieldChange;
use crate::drift::{ForeignEntry, ForeignField};
use crate::location::Location;
use crate::object::{DesiredObject, ObjectId};
use crate::plan::is_recreated;
use crate::problem::{Code, Problem};
use crate::secret::{is_secret, is_value};

/// What the cluster of one environment says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Live {
    /// The environment.
    pub environment: String,
    /// Its cluster, in words.
    pub cluster: String,
    /// When it was asked.
    pub at: Timestamp,
    /// Why it could not be asked, or not about everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<String>,
    /// How many objects were asked about.
    pub asked: usize,
    /// What was found, by object; objects about which there is nothing to say are left out.
    pub objects: Vec<LiveReview>,
    /// What concerns the environment as a whole.
    pub problems: Vec<Problem>,
}

/// What the cluster says about one object.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveReview {
    /// The object.
    pub object: ObjectId,
    /// The version of the live object that was compared; none when there is no live object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// Fields that somebody changed, and that the merge would overwrite.
    pub drift: Vec<Drift>,
    /// What a server-side dry-run of head refuses.
    pub problems: Vec<Problem>,
    /// A field changes that cannot, by the API server's own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Way>,
    /// What else is to be known, e.g. why it was not asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A live field that is not what base asks for, and that head would set.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// Dotted path.
    pub path: String,
    /// The live value; none when the field is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Value>,
    /// What the merge would set; none when it would remove the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned: Option<Value>,
    /// The place in head that asks for it.
    pub location: Location,
    /// Who holds the field, the latest first; empty when nobody does.
    pub by: Vec<Holder>,
}

/// Who holds a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Holder {
    /// When its fields changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// The field manager.
    pub manager: String,
}

impl LiveReview {
    /// About an object of which nothing is known yet.
    pub fn of(object: ObjectId) -> Self {
        Self {
            object,
            resource_version: None,
            drift: Vec::new(),
            problems: Vec::new(),
            replaced: None,
            note: None,
        }
    }

    /// True when there is something to say.
    pub fn has_news(&self) -> bool {
        let Self { object: _, resource_version: _, drift, problems, replaced, note } = self;
        !drift.is_empty() || !problems.is_empty() || replaced.is_some() || note.is_some()
    }

    /// Takes in what the API server refused: an immutable field of a kind that holds no state means a replacement.
    #[must_use]
    pub fn refused(mut self, problems: Vec<Problem>) -> Self {
        let immutable = problems.iter().any(|problem| problem.code == Code::Immutable);
        if immutable && is_recreated(&self.object) {
            self.replaced = Some(Way::Recreated);
        } else {
            self.replaced = immutable.then_some(Way::Refused);
            self.problems = problems;
        }
        self
    }
}

/// The drift that a merge would overwrite: fields in which the live object is not what base asks for, and that an apply
/// of head would set.
///
/// `from_base` and `from_head` are what applying either would change, live value to planned value, in the same live
/// object. What only head changes is the change that is planned, and no drift.
pub fn overwritten(
    head: &DesiredObject,
    from_base: &[FieldChange],
    from_head: &[FieldChange],
    blame: impl Fn(&FieldChange) -> Vec<ForeignEntry>,
) -> Vec<Drift> {
    let drifted = |change: &&FieldChange| from_base.iter().any(|base| base.path == change.path);
    from_head
        .iter()
        .filter(drifted)
        .map(|change| {
            let mut by: Vec<Holder> = blame(change)
                .into_iter()
                .map(|entry| Holder { time: entry.time, manager: entry.manager })
                .collect();
            by.sort();
            by.dedup();
            by.reverse();
            let hidden = is_secret(head.value()) && is_value(&change.pointer);
            let show = |value: &Option<Value>| {
                value.as_ref().map(|value| if hidden { conceal(value) } else { value.clone() })
            };
            Drift {
                path: change.path.clone(),
                live: show(&change.old),
                planned: show(&change.new),
                location: head.spans.locate(&change.pointer),
                by,
            }
        })
        .collect()
}

/// Fields that kubectl added: a repair hands them to us and removes them.
pub fn added_by_hand(
    head: &DesiredObject,
    live: &Value,
    foreign: &[ForeignField],
    known: &[Drift],
    time: impl Fn(&str) -> Option<Timestamp>,
) -> Vec<Drift> {
    foreign
        .iter()
        .filter(|field| field.manager.starts_with("kubectl"))
        .filter(|field| !known.iter().any(|drift| drift.path == field.path))
        .filter(|field| {
            !foreign
                .iter()
                .any(|outer| field.path.len() > outer.path.len() && field.path.starts_with(&outer.path))
        })
        .map(|field| Drift {
            path: field.path.clone(),
            live: if is_secret(head.value()) { None } else { scalar_at(live, &field.path) },
            planned: None,
            location: head.location(),
            by: vec![Holder { time: time(&field.manager), manager: field.manager.clone() }],
        })
        .collect()
}

/// The live value of a plain dotted path, for showing; of a path with brackets, none is looked for.
fn scalar_at(live: &Value, path: &str) -> Option<Value> {
    let mut at = live;
    for name in path.split('.') {
        at = at.get(name)?;
    }
    (!at.is_object() && !at.is_array()).then(|| at.clone())
}
