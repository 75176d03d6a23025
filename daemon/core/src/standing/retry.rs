//! What is tried again after an action, when, and what is given up for a while.

use jiff::SignedDuration;

use crate::outcome::Outcome;
use crate::problem::{Code, Problem};

/// A refused object is tried again after this time even if nothing changes (a quota may have been raised).
const RETRY_REFUSED: SignedDuration = SignedDuration::from_secs(60);
/// A write of which nobody knows what came (a webhook out of reach, say) is sent again after this time.
const RETRY_UNKNOWN: SignedDuration = SignedDuration::from_secs(10);
/// An object whose kind was found to be served no more is looked at again after this time.
const RETRY_UNSERVED: SignedDuration = SignedDuration::from_secs(2);
/// After so many conflicts in a row over one object people are told, and it is left alone for a while.
const CONFLICTS_TOLD: u32 = 5;

/// What is done about an object after an action on it.
#[derive(Debug, Clone, PartialEq)]
pub enum Aftermath {
    /// Nothing: it is as the plan wanted it, and what was held against it is forgotten.
    Over,
    /// It is read anew, and planned for at once.
    ReadAgain,
    /// It is read anew, and left alone for a while.
    LeftAlone {
        /// What it is called.
        code: Code,
        /// Why, in words.
        words: String,
        /// For so long.
        pause: SignedDuration,
    },
    /// It was refused: tried again when git or the object changes, or after this time.
    Refused {
        /// Why.
        problem: Box<Problem>,
        /// For so long.
        pause: SignedDuration,
    },
}

/// What is done after an outcome. `conflicts`: in a row over this object, this one among them.
pub fn aftermath(outcome: Outcome, conflicts: u32) -> Aftermath {
    match outcome {
        Outcome::Done | Outcome::Unchanged => Aftermath::Over,
        Outcome::Conflict if conflicts < CONFLICTS_TOLD => Aftermath::ReadAgain,
        Outcome::Conflict => Aftermath::LeftAlone {
            code: Code::Conflict,
            words: "it changed again and again while it was written".to_owned(),
            pause: RETRY_UNKNOWN,
        },
        Outcome::Unknown(words) => {
            Aftermath::LeftAlone { code: Code::ClusterUnreachable, words, pause: RETRY_UNKNOWN }
        }
        Outcome::Refused(problem) => {
            let pause = pause(&problem);
            Aftermath::Refused { problem, pause }
        }
    }
}

/// How long a refusal holds.
fn pause(problem: &Problem) -> SignedDuration {
    // The definition went between the look and the write. Whether it is back is known by discovery, as for any other kind
    // that is not served: the object is to be looked at again as soon as those are.
    if problem.code == Code::UnknownKind {
        RETRY_UNSERVED
    } else if passes_soon(problem) {
        RETRY_UNKNOWN
    } else {
        RETRY_REFUSED
    }
}

/// What is refused only while its namespace or its definition goes away is allowed, or has another reason, soon after. Of
/// definitions the API server says so in words alone.
fn passes_soon(problem: &Problem) -> bool {
    ["because it is being terminated", "is terminating"].iter().any(|words| problem.message.contains(words))
}
