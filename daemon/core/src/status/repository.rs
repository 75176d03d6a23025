//! What `status` shows of environments that have no record of their own: their file could never be read, so that not even
//! their cluster is known. Kept once per repository, in every cluster of its other environments.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CommitInfo, Listed, MAX_PROBLEMS, MAX_SUBJECT, MAX_TEXT, cut_problem, cut_text};
use crate::ids::EnvironmentName;
use crate::problem::Problem;

/// The schema of [`RepositoryStatus`].
pub const REPOSITORY_SCHEMA: &str = "tidegate.repository/v1";
/// So many environments are listed; the rest is counted.
pub const MAX_UNREADABLE: usize = 100;
/// A record is never larger than this as JSON.
pub const MAX_REPOSITORY_BYTES: usize = 200_000;

/// The environments of one repository whose file could never be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryStatus {
    /// [`REPOSITORY_SCHEMA`].
    pub schema: String,
    /// A short digest of the repository, as on the parents of its environments.
    pub source: String,
    /// The replica of the daemon that wrote this.
    pub replica: String,
    /// The environments, by name.
    pub environments: Listed<UnreadableEnvironment>,
    /// When this was written.
    pub updated: Timestamp,
}

/// An environment whose file could never be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnreadableEnvironment {
    /// Its name.
    pub environment: EnvironmentName,
    /// The commit that was looked at.
    pub seen: CommitInfo,
    /// What is wrong with its file.
    pub problems: Listed<Problem>,
}

impl RepositoryStatus {
    /// Cuts lists and texts until the record is smaller than [`MAX_REPOSITORY_BYTES`]; totals stay.
    pub fn shrink(&mut self) {
        self.environments.items.truncate(MAX_UNREADABLE);
        let (mut problems, mut text) = (MAX_PROBLEMS, MAX_TEXT);
        // Halving ends at empty lists and empty texts, after at most as many rounds as the largest limit has bits.
        for _ in 0..=MAX_TEXT.ilog2() + 1 {
            for environment in &mut self.environments.items {
                environment.problems.items.truncate(problems);
                environment.problems.items.iter_mut().for_each(|problem| cut_problem(problem, text));
                cut_text(&mut environment.seen.subject, text.min(MAX_SUBJECT));
                cut_text(&mut environment.seen.author, text.min(MAX_SUBJECT));
            }
            if serde_json::to_string(self).is_ok_and(|json| json.len() < MAX_REPOSITORY_BYTES) {
                return;
            }
            (problems, text) = (problems / 2, text / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    #[test]
    fn a_record_of_many_broken_files_stays_small_and_counts_all_of_them() {
        let problem = Problem::error(Code::YamlSyntax, "x".repeat(5_000));
        let seen = CommitInfo {
            id: "a".repeat(40),
            subject: "s".repeat(5_000),
            author: "Ada".into(),
            time: Timestamp::UNIX_EPOCH,
        };
        let environments = (0..300)
            .map(|n| UnreadableEnvironment {
                environment: format!("e{n}").parse().expect("a name"),
                seen: seen.clone(),
                problems: Listed::all(vec![problem.clone(); 80]),
            })
            .collect();
        let mut status = RepositoryStatus {
            schema: REPOSITORY_SCHEMA.into(),
            source: "0123456789ab".into(),
            replica: "r".into(),
            environments: Listed::all(environments),
            updated: Timestamp::UNIX_EPOCH,
        };
        status.shrink();
        assert!(serde_json::to_string(&status).expect("JSON").len() < MAX_REPOSITORY_BYTES);
        assert_eq!((status.environments.total, status.environments.items.len()), (300, MAX_UNREADABLE));
        assert!(!status.environments.items[0].problems.items.is_empty(), "some of each stays");
        assert_eq!(status.environments.items[0].problems.total, 80);
    }
}
