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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn replicas(count: usize) -> Vec<ReplicaId> {
        (0..count).map(|n| ReplicaId(format!("tidegate-{n}"))).collect()
    }

    fn environments() -> Vec<EnvironmentName> {
        (0..600).map(|n| format!("env-{n}").parse().unwrap()).collect()
    }

    #[test]
    fn every_replica_says_the_same_whatever_their_order() {
        let forward = replicas(5);
        let backward: Vec<ReplicaId> = forward.iter().rev().cloned().collect();
        for environment in environments() {
            assert_eq!(owner(&environment, &forward), owner(&environment, &backward));
        }
        assert_eq!(owner(&"dev".parse().unwrap(), &[]), None);
    }

    #[test]
    fn environments_are_spread_evenly() {
        let replicas = replicas(3);
        let mut shares = BTreeMap::new();
        for environment in environments() {
            *shares.entry(owner(&environment, &replicas).unwrap()).or_insert(0) += 1;
        }
        assert!(shares.len() == 3 && shares.values().all(|share| (150..250).contains(share)), "{shares:?}");
    }

    #[test]
    fn a_replica_that_leaves_moves_only_its_own_share() {
        let all = replicas(4);
        let (left, stay) = all.split_last().unwrap();
        for environment in environments() {
            let before = owner(&environment, &all).unwrap();
            if before != left {
                assert_eq!(owner(&environment, stay), Some(before));
            }
        }
    }
}
