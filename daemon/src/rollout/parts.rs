//! What a decision reads beside the cluster's objects: what git asks for, in its turn, or that it asks for nothing any more.

use tidegate_core::policy::WindowState;
use tidegate_core::rollout::{Attempt, Desired, Gates, Pointer, Size, Timing};
use tidegate_core::workload::Colours;

use super::lane::{Task, Want};
use super::leaving::why_it_stays;
use super::names::Names;
use super::observe::Seen;

/// What a decision reads that comes from git, or is worked out.
pub struct Parts {
    /// What git asks for.
    pub desired: Desired,
    /// How large.
    pub size: Size,
    /// Which gates are asked.
    pub gates: Gates,
    /// The durations.
    pub timing: Timing,
    /// Every follower selects what the record says.
    pub followers_agree: bool,
    /// Why traffic may not move now.
    pub closed: Option<String>,
}

impl Parts {
    /// Those of a pass.
    pub fn of(task: &Task, seen: &Seen, names: &Names) -> Self {
        match &task.want {
            Want::Rolled(workload) => {
                let attempt = Attempt { git: workload.retry, ordered: 0 };
                let desired = match workload.mode {
                    _ if task.held.is_some() => Desired::Unknown,
                    Colours::Plain => Desired::Plain,
                    Colours::Coloured => Desired::Revision { revision: workload.revision, attempt },
                };
                Self {
                    desired,
                    size: workload.size,
                    gates: workload.gates.clone(),
                    timing: workload.timing,
                    followers_agree: follow(seen, &names.app),
                    closed: match task.policies.window_state(&workload.policy, seen.at) {
                        WindowState::Open => None,
                        WindowState::Closed(closed) => Some(closed.to_string()),
                    },
                }
            }
            Want::Gone => Self {
                desired: Desired::Gone { may_delete: why_it_stays(&task.leaving, names, seen).is_none() },
                size: Size { replicas: 0, autoscaler: None },
                gates: Gates::default(),
                timing: super::names::timing_of_gone(names.drain),
                followers_agree: follow(seen, &names.app),
                closed: None,
            },
        }
    }
}

/// Every follower selects what the pointer's record says.
fn follow(seen: &Seen, app: &str) -> bool {
    let Pointer::Recorded { record, .. } = &seen.pointer else { return true };
    let mut followers = seen.followers.values().flatten();
    followers.all(|live| super::traffic::selection(live, app) == record.selection())
}
