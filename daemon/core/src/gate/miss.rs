//! Everything but an answer, and what follows from it.
//!
//! A pod of the colour that is ready has to answer: where it certainly did not, the gate fails. Where the fault may as well be
//! ours, the network's or the API server's, nobody could tell. What is not the colour's own (Prometheus, a database) is never
//! held against it: it is unknown until the deadline.

use core::net::IpAddr;
use std::time::Duration;

use super::text;
use crate::rollout::Verdict;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Miss {
    /// Nobody listens on the port.
    #[error("refused the connection")]
    Refused,
    /// The connection was closed or reset before the answer was over.
    #[error("closed the connection before its answer was over")]
    Cut,
    /// The connection stood, and the answer was not over in time.
    #[error("did not answer within {}", text::duration(*.0))]
    Silent(Duration),
    /// What came is not HTTP, or its headers have no end.
    #[error("answered what is not HTTP: {0}")]
    Garbled(String),
    /// The body is longer than what is read.
    #[error("answered more than {0} bytes")]
    TooLarge(usize),
    /// No connection, and nobody who refused it: no route, no address for a name, no sign of life.
    #[error("is out of reach: {0}")]
    Unreachable(String),
    /// The API server did not let the stream through, or lost it.
    #[error("is out of reach through the API server: {0}")]
    ApiServer(String),
    /// An address that gates may not ask.
    #[error(
        "is not asked: {address} is {why}; an operator can allow it with `tidegate run --allow-gate-address {address}`"
    )]
    Forbidden {
        /// The address.
        address: IpAddr,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Miss {
    /// What follows when a ready pod of the colour was asked.
    pub fn of_pod(&self) -> Verdict {
        match self {
            Self::Refused | Self::Cut | Self::Silent(_) | Self::Garbled(_) | Self::TooLarge(_) => {
                Verdict::Fail
            }
            Self::Unreachable(_) | Self::ApiServer(_) | Self::Forbidden { .. } => Verdict::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_ready_pod_certainly_did_is_its_fault_and_nothing_else() {
        let fail = [
            Miss::Refused,
            Miss::Cut,
            Miss::Silent(Duration::from_secs(1)),
            Miss::Garbled("x".to_owned()),
            Miss::TooLarge(1),
        ];
        assert!(fail.iter().all(|miss| miss.of_pod() == Verdict::Fail));
        let address = IpAddr::from([127, 0, 0, 1]);
        let unknown = [
            Miss::Unreachable("no route".to_owned()),
            Miss::ApiServer("busy".to_owned()),
            Miss::Forbidden { address, why: "a loopback address" },
        ];
        assert!(unknown.iter().all(|miss| miss.of_pod() == Verdict::Unknown));
    }
}
