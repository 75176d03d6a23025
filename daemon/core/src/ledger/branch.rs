//! Names of the log's branches: `deploylog/<cluster>/<environment>/<epoch>`, one for each writer, so that no two of them compete
//! for one ref. The epoch is there from the start, because git cannot make a ref below an existing one.

use std::fmt;
use std::str::FromStr;

use crate::ids::EnvironmentName;

/// What all of them begin with.
pub const PREFIX: &str = "deploylog";
/// A cluster's name in the log has at most so many characters.
const CLUSTER: usize = 63;

/// One branch of the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Branch {
    /// The cluster.
    pub cluster: ClusterLabel,
    /// The environment.
    pub environment: EnvironmentName,
    /// Grows whenever somebody else wrote on the one before.
    pub epoch: u32,
}

/// A cluster's name as a part of a ref: at most 63 of a-z, 0-9, `-` and `_`. ARNs have colons, which no ref may have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterLabel(String);

/// A text that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBranch {
    /// Not a cluster's name.
    #[error(
        "`{0}` is not a name for a cluster in the log: use at most 63 of a-z, 0-9, `-` and `_`, beginning with a letter or digit"
    )]
    Cluster(String),
    /// Not a branch of the log.
    #[error("`{0}` is not a branch of the deploy log (deploylog/CLUSTER/ENVIRONMENT/EPOCH)")]
    Branch(String),
}

impl ClusterLabel {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name made from whatever names a cluster: what is not allowed becomes `-`.
    pub fn from_any(text: &str) -> Self {
        // Of an ARN, what stands behind its last slash.
        let last = if text.starts_with("arn:") { text.rsplit('/').next().unwrap_or(text) } else { text };
        let plain: String = last
            .chars()
            .map(|c| c.to_ascii_lowercase())
            .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' { c } else { '-' })
            .take(CLUSTER)
            .collect();
        let plain = plain.trim_start_matches(['-', '_']);
        Self(if plain.is_empty() { "cluster".to_owned() } else { plain.to_owned() })
    }
}

impl FromStr for ClusterLabel {
    type Err = InvalidBranch;

    fn from_str(text: &str) -> Result<Self, InvalidBranch> {
        let first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let valid = text.len() <= CLUSTER
            && text.starts_with(first)
            && text.chars().all(|c| first(c) || c == '-' || c == '_');
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidBranch::Cluster(text.to_owned())) }
    }
}

impl fmt::Display for ClusterLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Branch {
    /// The branch that is gone on with when somebody else wrote on this one; none behind the last number.
    pub fn next(&self) -> Option<Self> {
        self.epoch.checked_add(1).map(|epoch| Self { epoch, ..self.clone() })
    }

    /// True for the branches of one environment in one cluster.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.cluster == other.cluster && self.environment == other.environment
    }
}

impl FromStr for Branch {
    type Err = InvalidBranch;

    fn from_str(text: &str) -> Result<Self, InvalidBranch> {
        let invalid = || InvalidBranch::Branch(text.to_owned());
        let parts: Vec<&str> = text.split('/').collect();
        let [PREFIX, cluster, environment, epoch] = parts.as_slice() else { return Err(invalid()) };
        let number: u32 = epoch.parse().map_err(|_| invalid())?;
        // `+1` and `01` are other refs than `1`.
        if number.to_string() != *epoch {
            return Err(invalid());
        }
        Ok(Self {
            cluster: cluster.parse()?,
            environment: environment.parse().map_err(|_| invalid())?,
            epoch: number,
        })
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, environment, epoch } = self;
        write!(f, "{PREFIX}/{cluster}/{environment}/{epoch}")
    }
}
