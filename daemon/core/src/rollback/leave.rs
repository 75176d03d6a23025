//! What becomes of the marks of a rollback as an environment goes on: which hold stands, what is noted as good, what the claim
//! of another set ends.

use super::kept::{GoodCommit, Held};
use crate::ids::Digest;

/// What the claim of a set changes besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leave {
    /// It asks for something else than what is held: the hold ends.
    pub ends_hold: bool,
    /// It leaves the last good commit: what is sick now is noted. Only the first claim after it does that: what broke since is
    /// the work of a commit after it.
    pub leaves_good: bool,
}

/// What the claim of the inputs `asked` changes, on a parent that says this. `good`: the last good commit, with one that is
/// noted and not written yet.
pub fn leave(
    asked: &Digest,
    seen_inputs: Option<&str>,
    good: Option<&GoodCommit>,
    held: Option<&Held>,
) -> Leave {
    let ends_hold = held.is_some_and(|held| held.inputs != *asked);
    let leaves_good = good.is_some_and(|good| match held {
        Some(held) => ends_hold && held.to == *good,
        None => seen_inputs == Some(good.inputs.as_str()) && good.inputs != *asked,
    });
    Leave { ends_hold, leaves_good }
}

impl Held {
    /// This hold, if it stands: git still asks for what the environment was rolled back from.
    pub fn stands(&self, asked: Option<&Digest>) -> Option<&Self> {
        (asked == Some(&self.inputs)).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::status::CommitInfo;

    fn good(text: &str) -> GoodCommit {
        GoodCommit { commit: text.repeat(40), inputs: Digest::of(text.as_bytes()) }
    }

    fn held(inputs: &Digest, to: &GoodCommit) -> Held {
        let time = Timestamp::UNIX_EPOCH;
        let commit = CommitInfo { id: "f".repeat(40), subject: String::new(), author: String::new(), time };
        Held::new(commit, inputs.clone(), to.clone(), Vec::new(), time)
    }

    #[test]
    fn the_first_claim_after_the_good_commit_leaves_it_and_no_later_one() {
        let (first, second) = (good("a"), Digest::of(b"second"));
        let noted = |seen: &Digest, asked: &Digest| leave(asked, Some(seen.as_str()), Some(&first), None);
        assert!(noted(&first.inputs, &second).leaves_good);
        assert!(!noted(&first.inputs, &first.inputs).leaves_good);
        assert!(!noted(&second, &Digest::of(b"third")).leaves_good);
        assert!(!leave(&second, Some(first.inputs.as_str()), None, None).leaves_good);
    }

    #[test]
    fn what_asks_for_something_else_than_what_is_held_ends_the_hold_and_leaves_what_was_enforced() {
        let (first, bad) = (good("a"), Digest::of(b"bad"));
        let held = held(&bad, &first);
        let claim = |asked: &Digest, good: &GoodCommit| leave(asked, Some("x"), Some(good), Some(&held));
        let third = Digest::of(b"third");
        assert_eq!(claim(&third, &first), Leave { ends_hold: true, leaves_good: true });
        assert_eq!(claim(&bad, &first), Leave { ends_hold: false, leaves_good: false });
        assert_eq!(claim(&third, &good("b")), Leave { ends_hold: true, leaves_good: false });
        assert!(held.stands(Some(&bad)).is_some());
        assert!(held.stands(Some(&third)).is_none() && held.stands(None).is_none());
    }
}
