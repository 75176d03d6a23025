//! Which log: one environment in one cluster. Its branches differ by their epoch only.

use std::fmt;

use tidegate_core::ids::EnvironmentName;
use tidegate_core::ledger::{Branch, ClusterLabel, PREFIX};

/// The log of one environment in one cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogName {
    /// The cluster.
    pub cluster: ClusterLabel,
    /// The environment.
    pub environment: EnvironmentName,
}

impl LogName {
    /// Its branch of an epoch.
    pub fn branch(&self, epoch: u32) -> Branch {
        Branch { cluster: self.cluster.clone(), environment: self.environment.clone(), epoch }
    }

    /// True for its branches.
    pub fn has(&self, branch: &Branch) -> bool {
        let Self { cluster, environment } = self;
        branch.cluster == *cluster && branch.environment == *environment
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, environment } = self;
        write!(f, "{PREFIX}/{cluster}/{environment}")
    }
}
