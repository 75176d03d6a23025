//! Ids of records: ULIDs (<https://github.com/ulid/spec>), 48 bits of time in milliseconds and 80 of randomness, so that they sort
//! by time. Randomness comes in as an argument.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Crockford's base 32: no I, L, O, U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of an id: 130 bits, of which 128 are used.
const LENGTH: usize = 26;

/// The id of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordId(u128);

/// A text that is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of a record (26 digits and letters, as `log` prints them)")]
pub struct InvalidRecordId(String);

impl RecordId {
    /// An id for something that happened at this time; before 1970 counts as 1970.
    pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
        let milliseconds = u128::try_from(at.as_millisecond()).unwrap_or(0) & 0xffff_ffff_ffff;
        let random = random.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        Self(milliseconds << 80 | random)
    }

    /// The id of something that is told at once, and that another daemon would tell in these very words if this one ended before it
    /// could say that it did: always the same one, so that it is told once.
    pub fn of(at: Timestamp, told: &str) -> Self {
        use sha2::Digest as _;
        let mut random = [0; 10];
        for (to, from) in random.iter_mut().zip(sha2::Sha256::digest(told.as_bytes())) {
            *to = from;
        }
        Self::new(at, random)
    }

    /// The id of a further part of the same outcome: always the same one, however often the parts are written.
    #[must_use]
    pub fn after(self, number: u32) -> Self {
        Self(self.0.wrapping_add(u128::from(number)))
    }

    /// True when the id begins so, in any case of letters: people type the first characters.
    pub fn begins_with(self, text: &str) -> bool {
        let own = self.to_string();
        own.get(..text.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(text))
    }
}

impl FromStr for RecordId {
    type Err = InvalidRecordId;

    fn from_str(text: &str) -> Result<Self, InvalidRecordId> {
        let invalid = || InvalidRecordId(text.chars().take(2 * LENGTH).collect());
        if text.len() != LENGTH {
            return Err(invalid());
        }
        let mut bits: u128 = 0;
        for (place, byte) in text.bytes().enumerate() {
            let digit = DIGITS.iter().position(|digit| *digit == byte).ok_or_else(invalid)?;
            // Of the first digit three bits are used.
            if place == 0 && digit > 7 {
                return Err(invalid());
            }
            bits = bits << 5 | u128::try_from(digit).map_err(|_| invalid())?;
        }
        Ok(Self(bits))
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in (0..LENGTH).rev() {
            let digit = usize::try_from(self.0 >> (5 * place) & 31).unwrap_or_default();
            let digit = DIGITS.get(digit).copied().unwrap_or(b'0');
            write!(f, "{}", char::from(digit))?;
        }
        Ok(())
    }
}

impl TryFrom<String> for RecordId {
    type Error = InvalidRecordId;

    fn try_from(text: String) -> Result<Self, InvalidRecordId> {
        text.parse()
    }
}

impl From<RecordId> for String {
    fn from(id: RecordId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference implementation.
    #[test]
    fn an_id_is_written_as_the_specification_says() {
        let at: Timestamp = "2016-07-30T22:36:16.385Z".parse().expect("a time");
        let id = RecordId::new(at, [0; 10]);
        assert_eq!(id.to_string(), "01ARYZ6S410000000000000000");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.begins_with("01aryz"));
        assert!(!id.begins_with("01aryz6s4100000000000000000"));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "01ARYZ6S41",
            "81ARYZ6S410000000000000000",
            "01ARYZ6S41000000000000000I",
            "01aryz6s410000000000000000",
        ] {
            assert!(text.parse::<RecordId>().is_err(), "{text}");
        }
        assert!("7ZZZZZZZZZZZZZZZZZZZZZZZZZ".parse::<RecordId>().is_ok());
    }

    #[test]
    fn what_is_told_in_the_same_words_has_one_id() {
        let id = |second, words| RecordId::of(Timestamp::from_second(second).expect("a time"), words);
        assert_eq!(id(1, "suspend"), id(1, "suspend"));
        assert!(id(1, "suspend") != id(1, "resume") && id(1, "suspend") != id(2, "suspend"));
    }

    #[test]
    fn later_ids_sort_behind_earlier_ones() {
        let id = |millisecond, byte| {
            RecordId::new(Timestamp::from_millisecond(millisecond).expect("a time"), [byte; 10])
        };
        assert!(id(1, 255) < id(2, 0));
        assert!(id(1, 255).to_string() < id(2, 0).to_string());
    }
}
