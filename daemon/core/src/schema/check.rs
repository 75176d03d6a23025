//! The check of one object: its kind, then every field. Entry of the module; the rules stand in `unknown` and `walk`.

use super::catalogue::Catalogue;
use super::{unknown, walk};
use crate::object::DesiredObject;
use crate::problem::Problem;

/// What the check of one object came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// Its kind is known, or known not to exist; these are all its problems.
    Checked(Vec<Problem>),
    /// Nobody knows the fields of its kind (a custom kind whose definition is not at hand): only `metadata` was
    /// looked at, which every kind shares.
    Unchecked(Vec<Problem>),
}

impl Checked {
    /// Everything that was found.
    pub fn into_problems(self) -> Vec<Problem> {
        match self {
            Self::Checked(problems) | Self::Unchecked(problems) => problems,
        }
    }

    /// Whether only `metadata` was looked at.
    pub fn is_unchecked(&self) -> bool {
        match self {
            Self::Checked(_) => false,
            Self::Unchecked(_) => true,
        }
    }
}

/// Checks one object; the problems come in the order of the file, each with its place.
pub fn check(object: &DesiredObject, catalogue: &Catalogue) -> Checked {
    let gvk = &object.reference.gvk;
    let mut problems = Vec::new();
    let known = catalogue.kind(gvk);
    let checked = match known.map(|info| info.schema.as_ref()) {
        Some(Some(schema)) => {
            problems.extend(unknown::deprecated(object, catalogue));
            problems.extend(walk::whole(object, schema, catalogue));
            Checked::Checked
        }
        Some(None) => {
            problems.extend(unknown::deprecated(object, catalogue));
            problems.extend(walk::metadata_only(object, catalogue));
            Checked::Unchecked
        }
        None => {
            if let Some(problem) = unknown::refused(object, catalogue) {
                problems.push(problem);
                Checked::Checked
            } else {
                problems.extend(walk::metadata_only(object, catalogue));
                Checked::Unchecked
            }
        }
    };
    problems.sort_by(|a, b| (&a.location, &a.message).cmp(&(&b.location, &b.message)));
    checked(problems)
}

/// The problems of one object (see [`check`], which also says whether its kind was known at all).
pub fn validate(object: &DesiredObject, catalogue: &Catalogue) -> Vec<Problem> {
    check(object, catalogue).into_problems()
}
