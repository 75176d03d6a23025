//! The scenarios of the kill tests, the moments of a kill, and what stands between two runs. Not here: how one is run.

use serde_json::{Value, json};

use crate::support::{Fault, Hold};

/// When the daemon dies, of a write of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// The API server never sees the write.
    Before,
    /// The API server carries it out; the daemon never sees the answer.
    During,
    /// The write is under way until a successor has done the same, or has come to the end of the scenario.
    Late,
    /// The daemon has seen the answer.
    After,
}

impl Kill {
    pub const ALL: [Self; 4] = [Self::Before, Self::During, Self::Late, Self::After];

    /// `late`: what keeps a write back that lands late.
    pub fn fault(self, late: &Hold) -> Fault {
        match self {
            Self::Before => Fault::KillBefore,
            Self::During => Fault::KillAfter,
            Self::Late => Fault::KillLate(late.clone()),
            Self::After => Fault::KillAnswered,
        }
    }
}

impl std::fmt::Display for Kill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Before => "kill -9 before",
            Self::During => "kill -9 during",
            Self::Late => "kill -9 during, and it lands late",
            Self::After => "kill -9 after",
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// The first release of a workload.
    Install,
    /// A good one: gates, switch, bake, and the old colour is put away.
    Release,
    /// A gate before the switch rejects it.
    Rejected,
    /// A gate fails while it bakes.
    Fails,
    /// Git goes back while it bakes.
    Revert,
    /// The workload leaves git.
    Gone,
    /// A running Deployment is taken over.
    Adopt,
    /// It goes back to having no colours before it was released in any.
    Return,
    /// A workload with a colour of its own goes back to having none.
    Leave,
}

impl Scenario {
    /// The pods that run go on to serve, in a colour or in none.
    pub const fn is_of_taking_over(self) -> bool {
        match self {
            Self::Adopt | Self::Return | Self::Leave => true,
            Self::Install | Self::Release | Self::Rejected | Self::Fails | Self::Revert | Self::Gone => false,
        }
    }

    pub const fn mode(self) -> &'static str {
        match self {
            Self::Return | Self::Leave => "none",
            Self::Install
            | Self::Release
            | Self::Rejected
            | Self::Fails
            | Self::Revert
            | Self::Gone
            | Self::Adopt => "service",
        }
    }

    /// Added to predictions: one gate before the switch takes up to 1, the one of the bake only 0.
    pub const fn offset(self) -> &'static str {
        match self {
            Self::Install
            | Self::Release
            | Self::Revert
            | Self::Gone
            | Self::Adopt
            | Self::Return
            | Self::Leave => "0",
            Self::Rejected => "5",
            Self::Fails => "0.5",
        }
    }

    /// Long enough to go back in, where git does.
    pub const fn bake(self) -> &'static str {
        match self {
            Self::Revert => "40s",
            Self::Install
            | Self::Release
            | Self::Rejected
            | Self::Fails
            | Self::Gone
            | Self::Adopt
            | Self::Return
            | Self::Leave => "1s",
        }
    }

    pub const fn end(self) -> &'static str {
        match self {
            Self::Install
            | Self::Release
            | Self::Revert
            | Self::Gone
            | Self::Adopt
            | Self::Return
            | Self::Leave => "live",
            Self::Rejected | Self::Fails => "degraded",
        }
    }

    /// Why the revision of the other slot is turned down, if it is; what was turned down before that may stay on record.
    pub fn turned_down(self) -> Value {
        match self {
            Self::Install
            | Self::Release
            | Self::Revert
            | Self::Gone
            | Self::Adopt
            | Self::Return
            | Self::Leave => Value::Null,
            Self::Rejected => json!({ "gate": "smoke" }),
            Self::Fails => json!({ "gate": "watch" }),
        }
    }
}

/// What stands between two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No workload.
    Absent,
    /// One slot, which serves.
    Single,
    /// One that serves, and one that was put away.
    Both,
    /// A Deployment without colours.
    Plain,
    /// One that was taken over, as the first slot.
    Adopted,
}

/// What brings a place to where something is taken over or let go.
pub fn steps_before(scenario: Scenario, standing: Standing) -> &'static [Scenario] {
    match (scenario, standing) {
        (Scenario::Leave, Standing::Absent) => &[Scenario::Install],
        (Scenario::Leave, Standing::Plain) => &[Scenario::Adopt, Scenario::Release],
        (Scenario::Leave, Standing::Adopted) => &[Scenario::Release],
        (Scenario::Adopt, Standing::Absent) => &[Scenario::Install, Scenario::Leave],
        (Scenario::Adopt, Standing::Single | Standing::Both) => &[Scenario::Leave],
        (Scenario::Adopt, Standing::Adopted) => &[Scenario::Return],
        (Scenario::Return, Standing::Absent) => &[Scenario::Install, Scenario::Leave, Scenario::Adopt],
        (Scenario::Return, Standing::Single | Standing::Both) => &[Scenario::Leave, Scenario::Adopt],
        (Scenario::Return, Standing::Plain) => &[Scenario::Adopt],
        _ => &[],
    }
}
