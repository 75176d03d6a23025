//! How many changes of which sort, and the one line that says it.

use serde::Serialize;

use super::{Action, EnvironmentReview, Review, Standing};
use crate::problem::Problem;

/// How many changes of which sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Objects that are deleted.
    pub delete: usize,
    /// Objects with a change of a field that cannot change.
    pub replace: usize,
    /// Objects that left git and stay.
    pub keep: usize,
    /// New objects.
    pub create: usize,
    /// Objects with changed fields.
    pub update: usize,
    /// Changed settings of the environment.
    pub settings: usize,
    /// Rollouts that begin.
    pub rollouts: usize,
    /// Errors in head, or that head will meet.
    pub errors: usize,
    /// What is odd in head.
    pub warnings: usize,
}

impl Counts {
    /// Counts an environment's changes.
    pub fn of(review: &EnvironmentReview) -> Self {
        let begin = review.rollouts.iter().filter(|rollout| rollout.change.is_rollout()).count();
        let mut counts = Self { settings: review.settings.len(), rollouts: begin, ..Self::default() };
        for change in &review.changes {
            match change.action {
                Action::Delete => counts.delete += 1,
                Action::Replace { .. } => counts.replace += 1,
                Action::Keep { .. } => counts.keep += 1,
                Action::Create => counts.create += 1,
                Action::Update => counts.update += 1,
            }
        }
        counts.errors = review.problems.iter().filter(|problem| problem.is_error()).count();
        counts.warnings = review.problems.len() - counts.errors;
        counts
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let Self { delete, replace, keep, create, update, settings, rollouts, errors, warnings } = self;
        Self {
            delete: delete + other.delete,
            replace: replace + other.replace,
            keep: keep + other.keep,
            create: create + other.create,
            update: update + other.update,
            settings: settings + other.settings,
            rollouts: rollouts + other.rollouts,
            errors: errors + other.errors,
            warnings: warnings + other.warnings,
        }
    }

    /// `1 delete, 2 creates, 1 error`; `no changes` when there is none.
    pub fn line(self) -> String {
        let Self { delete, replace, keep, create, update, settings, rollouts, errors, warnings } = self;
        let words = [
            (delete, "delete", "deletes"),
            (replace, "replace", "replaces"),
            (keep, "kept though it left git", "kept though they left git"),
            (create, "create", "creates"),
            (update, "update", "updates"),
            (settings, "setting", "settings"),
            (rollouts, "rollout", "rollouts"),
            (errors, "error", "errors"),
            (warnings, "warning", "warnings"),
        ];
        let parts: Vec<String> = words
            .into_iter()
            .filter(|(count, _, _)| *count > 0)
            .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
            .collect();
        let changes = delete + replace + keep + create + update + settings + rollouts;
        // With errors it is not known that nothing changes.
        let first = if changes + errors == 0 { Some("no changes".to_owned()) } else { None };
        first.into_iter().chain(parts).collect::<Vec<_>>().join(", ")
    }
}

impl EnvironmentReview {
    /// What changes in it, in one line.
    pub fn line(&self) -> String {
        match self.standing {
            Standing::Unchanged | Standing::Changed | Standing::Added | Standing::Removed => {
                self.counts.line()
            }
            Standing::Broken => {
                let all = &self.problems;
                let errors = all.iter().filter(|problem| Problem::is_error(problem)).count();
                format!("{errors} {}: nothing of it is applied", if errors == 1 { "error" } else { "errors" })
            }
            Standing::Unknown => "what changes is not known".to_owned(),
        }
    }
}

impl Review {
    /// All environments together.
    pub fn counts(&self) -> Counts {
        self.environments.iter().fold(Counts::default(), |all, review| all.plus(review.counts))
    }

    /// How many environments change.
    pub fn changed(&self) -> usize {
        self.environments.iter().filter(|review| review.has_changes()).count()
    }

    /// The whole review in one line.
    pub fn line(&self) -> String {
        let (changed, all) = (self.changed(), self.environments.len());
        let counts = self.counts().line();
        if changed == 0 {
            return format!("{counts} in {all} {}", if all == 1 { "environment" } else { "environments" });
        }
        format!("{changed} of {all} {}: {counts}", if all == 1 { "environment" } else { "environments" })
    }
}
