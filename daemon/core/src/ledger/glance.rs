//! What is seen of a record without reading all of it: most records of a log are passed over by whoever looks for one of them, or
//! for a time, and to read one whole costs more than to fetch it.

use serde::Deserialize as _;

use super::id::RecordId;
use super::record::Times;

/// How a record's line begins: its keys have one order.
const BEGIN: &str = "{\"v\":1,\"id\":\"";
/// What follows the id.
const NUMBER: &str = "\",\"seq\":";
/// Quotes in a text are escaped, so that this can only be the key; no other `times` is an object.
const TIMES: &str = "\"times\":{";

/// What is seen of a record's message. Believed, as everything that is read without a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// Its id.
    pub id: RecordId,
    /// Its number.
    pub seq: u64,
    /// When what happened.
    pub times: Times,
}

impl Glance {
    /// None where the record is not in the form that is written: then it has to be read.
    pub fn of(message: &str) -> Option<Self> {
        let (_, rest) = message.split_once("\n\n")?;
        let line = rest.split("\n\n").next()?;
        let (id, rest) = line.strip_prefix(BEGIN)?.split_once(NUMBER)?;
        let digits = rest.split(',').next()?;
        let times = line.get(line.rfind(TIMES)? + TIMES.len() - 1..)?;
        let times = Times::deserialize(&mut serde_json::Deserializer::from_str(times)).ok()?;
        Some(Self { id: id.parse().ok()?, seq: digits.parse().ok()?, times })
    }
}
