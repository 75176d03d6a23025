//! The one table of exit codes, for every command.

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All well; also "no changes".
    Ok,
    /// Changes were found (only with `--exit-code`).
    Changes,
    /// The input is invalid: somebody must change a file.
    Invalid,
    /// A gate failed, or the environment was rolled back or cannot become healthy.
    Failed,
    /// Time ran out; it goes on.
    TimedOut,
    /// Git or a cluster is out of reach.
    OutOfReach,
    /// Refused by policy or authorisation.
    Refused,
    /// The deploy log is not what was written.
    Altered,
    /// Wrong usage.
    Usage,
}

impl Exit {
    /// The number that the process exits with.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Changes => 1,
            Self::Invalid => 2,
            Self::Failed => 3,
            Self::TimedOut => 4,
            Self::OutOfReach => 5,
            Self::Refused => 6,
            Self::Altered => 7,
            Self::Usage => 64,
        }
    }
}

/// A command's failure: what to say, and how to exit.
#[derive(Debug)]
pub struct Failure {
    /// How the process exits.
    pub exit: Exit,
    /// What is said on stderr.
    pub message: String,
}

impl Failure {
    /// A failure with its message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
