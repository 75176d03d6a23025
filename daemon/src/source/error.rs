//! What can go wrong with a source, and what people are told to do about it.
//!
//! No case carries credentials: URLs are masked by [`super::url::SourceUrl`], texts of the other side go through [`clean`].

use std::fmt::Write as _;
use std::time::Duration;

use tidegate_core::ids::CommitId;
use tidegate_core::problem::{Code, Problem};

/// The longest text of the other side that a message repeats.
const QUOTE_CHARS_MAX: usize = 300;

/// A source that gave nothing new. The last good commit stays whatever the case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// No connection, or it broke.
    #[error("failed to reach {url}: {reason}")]
    Unreachable {
        /// The repository.
        url: String,
        /// What the operating system, TLS or ssh said.
        reason: String,
    },
    /// Not done in time.
    #[error("{url} did not finish its answer within {} s", .after.as_secs_f32())]
    Deadline {
        /// The repository.
        url: String,
        /// The limit.
        after: Duration,
    },
    /// More bytes than allowed.
    #[error("{url} sent more than {limit} bytes")]
    TooMuch {
        /// The repository.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// One object, inflated, is larger than allowed.
    #[error("{url} has a file or folder of more than {limit} bytes in its history")]
    ObjectTooLarge {
        /// The repository.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// 401 or 403.
    #[error("{url} refused {} (HTTP {status})", if *.with_token { "the token" } else { "to answer without a token" })]
    Unauthorized {
        /// The repository.
        url: String,
        /// The status of the answer.
        status: u16,
        /// Whether credentials were sent.
        with_token: bool,
    },
    /// Any other status.
    #[error("{url} answered with HTTP {status}")]
    Status {
        /// The repository.
        url: String,
        /// The status of the answer.
        status: u16,
    },
    /// A page instead of git's protocol.
    #[error("{url} answered with `{content_type}`, which is not a git repository")]
    NotGit {
        /// The repository.
        url: String,
        /// What it said it is.
        content_type: String,
    },
    /// A redirect to another origin.
    #[error("{url} redirects to {to}, and redirects to another place are not followed")]
    Redirected {
        /// The repository.
        url: String,
        /// Origin of the new place.
        to: String,
    },
    /// The branch does not exist.
    #[error("branch `{branch}` does not exist in {url}")]
    BranchMissing {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
    },
    /// No commit at all.
    #[error("{url} has no commit yet")]
    Empty {
        /// The repository.
        url: String,
    },
    /// The tip is no descendant of the last good commit.
    #[error("branch `{branch}` of {url} moved from {} to {}, which is not a descendant of it", .from.short(), .to.short())]
    Rewound {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
        /// The last good commit.
        from: CommitId,
        /// The refused tip.
        to: CommitId,
    },
    /// The tip is not the one that was to be accepted.
    #[error("{to} is not the tip of the branch ({tip})")]
    NotTheTip {
        /// What was asked for.
        to: CommitId,
        /// The tip that was fetched last, or that there is none.
        tip: String,
    },
    /// Git's protocol, a pack or a name that makes no sense.
    #[error("{url} sent an answer that could not be read: {reason}")]
    Malformed {
        /// The repository.
        url: String,
        /// What gix said.
        reason: String,
    },
    /// The cache cannot be read or written.
    #[error("failed to use the cache in {folder}: {reason}")]
    Cache {
        /// The mirror's folder.
        folder: String,
        /// What the operating system or gix said.
        reason: String,
    },
    /// A program that is needed does not run.
    #[error("failed to run `{program}`: {reason}")]
    Program {
        /// The program.
        program: &'static str,
        /// What the operating system said.
        reason: String,
    },
    /// A token or folder of this machine cannot be read.
    #[error("failed to read {what}: {reason}")]
    Local {
        /// What was to be read.
        what: String,
        /// What the operating system said.
        reason: String,
    },
    /// A commit or revision that is not there.
    #[error("`{revision}` is not a commit of this repository")]
    NoSuchCommit {
        /// What was asked for.
        revision: String,
    },
    /// The daemon is going down.
    #[error("stopped while reading {url}")]
    Stopped {
        /// The repository.
        url: String,
    },
}

impl SourceError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::BranchMissing { .. }
            | Self::Empty { .. }
            | Self::Rewound { .. }
            | Self::NotTheTip { .. } => Code::SourceRewound,
            Self::Unreachable { .. }
            | Self::Deadline { .. }
            | Self::TooMuch { .. }
            | Self::ObjectTooLarge { .. }
            | Self::Unauthorized { .. }
            | Self::Status { .. }
            | Self::NotGit { .. }
            | Self::Redirected { .. }
            | Self::Malformed { .. }
            | Self::Cache { .. }
            | Self::Program { .. }
            | Self::Local { .. }
            | Self::NoSuchCommit { .. }
            | Self::Stopped { .. } => Code::SourceUnreachable,
        }
    }

    /// What to do about it.
    fn help(&self) -> String {
        const STAYS: &str = "the last good commit stays, nothing is pruned";
        let text = match self {
            Self::Unreachable { .. } => "check the host, the network and the credentials",
            Self::Deadline { .. } => "check the server, or raise the deadline",
            Self::TooMuch { .. } => "check that the URL names the right repository, or raise the limit",
            Self::ObjectTooLarge { .. } => {
                "check that the URL names the right repository, take the file out of its history (git LFS keeps such files), or raise the limit"
            }
            Self::Unauthorized { with_token: true, .. } => {
                "the token is wrong, has expired or may not read this repository: renew it in TIDEGATE_GIT_TOKEN or its file"
            }
            Self::Unauthorized { with_token: false, .. } => "give a token in TIDEGATE_GIT_TOKEN or a file",
            Self::Status { status: 404, .. } => {
                "check the URL; hosts answer 404 when the token may not see the repository"
            }
            Self::Status { .. } => "look at the git server; it is asked again with growing pauses",
            Self::NotGit { .. } => "check the URL; this is what login pages and captive proxies look like",
            Self::Redirected { .. } => "the token is not sent there: configure the new URL if it is right",
            Self::BranchMissing { .. } => "push the branch again, or configure another one",
            Self::Empty { .. } => {
                "push a first commit, or configure the branch if the remote's HEAD names one that does not exist"
            }
            Self::Rewound { to, .. } => {
                return format!(
                    "{STAYS}; if the rewind is meant, run `tidegate sync <env> --rewind {to} --reason TEXT`"
                );
            }
            Self::NotTheTip { .. } => "a rewind goes to the tip of the branch as it was fetched last",
            Self::Malformed { .. } => "run `git fsck` in the repository and look at the git server",
            Self::Cache { .. } => "check the disk; the cache can be deleted at any time, it is fetched again",
            Self::Program { program: "ssh", .. } => "install the OpenSSH client, or use https",
            Self::Program { .. } => "install git, or use https",
            Self::Local { .. } => "check that it exists and that the daemon's user may read it",
            Self::NoSuchCommit { .. } => {
                return "give a commit that is reachable from the branch, or at least four digits of its id"
                    .to_owned();
            }
            Self::Stopped { .. } => "the daemon is going down",
        };
        format!("{text}; {STAYS}")
    }

    /// The error as people see it.
    pub fn problem(&self) -> Problem {
        Problem::error(self.code(), self.to_string()).help(self.help())
    }
}

/// Text of another program or server, fit for one line: no control characters, not too long.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::new();
    let mut space = true;
    for c in text.chars().take(QUOTE_CHARS_MAX * 4) {
        if out.len() >= QUOTE_CHARS_MAX {
            let _ = write!(out, "…");
            break;
        }
        let blank = c.is_control() || c.is_whitespace();
        match (blank, space) {
            (true, true) => {}
            (true, false) => out.push(' '),
            (false, _) => out.push(c),
        }
        space = blank;
    }
    out.trim_end().to_owned()
}

/// An error and its sources, on one line. Some errors repeat their source; that part is left out.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    for _ in 0..8 {
        let Some(source) = next else { break };
        let more = source.to_string();
        if !text.contains(&more) {
            let _ = write!(text, ": {more}");
        }
        next = source.source();
    }
    clean(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_says_what_to_do_and_what_stays() {
        let from: CommitId = "0123456789abcdef0123456789abcdef01234567".parse().expect("an id");
        let to: CommitId = "76543210fedcba9876543210fedcba9876543210".parse().expect("an id");
        let error = SourceError::Rewound {
            url: "https://h/r".to_owned(),
            branch: "main".to_owned(),
            from,
            to: to.clone(),
        };
        let problem = error.problem();
        assert_eq!(problem.code, Code::SourceRewound);
        let help = problem.help.expect("help");
        assert!(help.contains("last good commit stays") && help.contains(to.as_str()), "{help}");
    }

    #[test]
    fn text_of_the_other_side_is_made_harmless() {
        assert_eq!(clean("a\u{1b}[31m\r\n\n b"), "a [31m b");
        assert!(clean(&"x".repeat(10_000)).chars().count() <= QUOTE_CHARS_MAX + 1);
    }
}
