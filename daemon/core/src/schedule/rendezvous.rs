//! Which replica looks after an environment: highest random weight, so that a replica that comes or goes moves only its share.

use std::fmt;

use crate::ids::{Digest, EnvironmentName};

/// The name of a replica of the daemon (its pod's name and a random part, from the shell).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub String);

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The replica that looks after the environment; every replica that sees the same living replicas says the same, whatever
/// their order. None when there is no replica.
pub fn owner<'a>(environment: &EnvironmentName, replicas: &'a [ReplicaId]) -> Option<&'a ReplicaId> {
    // The name breaks the tie that a digest will never make.
    replicas.iter().max_by_key(|replica| (weight(environment, replica), *replica))
}

fn weight(environment: &EnvironmentName, replica: &ReplicaId) -> Digest {
    // An environment's name holds no line break, so the two parts cannot run into each other.
    Digest::of(format!("{environment}\n{replica}").as_bytes())
}
