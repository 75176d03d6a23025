//! One record by what people call it: its id or the first characters of it, its number, or its commit in the log.

use gix::ObjectId;
use tidegate_core::ledger::{Record, RecordId};

use super::back::Step;
use super::store::{Log, Store, StoreError};

/// So many are kept of those that a short name fits.
const MAX_FITTING: usize = 20;
/// Shorter beginnings of a commit's id are none.
const SHORTEST_COMMIT: usize = 4;

/// A record that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The place of its log among those that were asked.
    pub log: usize,
    /// Its commit.
    pub commit: ObjectId,
    /// The record.
    pub record: Record,
}

/// The records of these logs that a text names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hits {
    /// The first of them, the newest first.
    pub hits: Vec<Hit>,
    /// How many there are.
    pub total: usize,
}

/// How well a text names a record; the best counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// Its id, or its commit's, begins so.
    Beginning,
    /// It is its number.
    Number,
    /// It is its id, or its commit's.
    Whole,
}

/// Finds them. Nothing of the log is believed but what it says of itself; `check` says whether that is so.
pub fn find(store: &Store, logs: &[&Log], text: &str) -> Result<Hits, StoreError> {
    let text = text.trim();
    let mut best = Fit::Beginning;
    let mut found = Hits::default();
    for (log, wanted) in logs.iter().enumerate() {
        for step in store.back(wanted)? {
            let step = step?;
            let Some(fit) = fit(&step, text)? else { continue };
            if fit > best {
                (best, found) = (fit, Hits::default());
            }
            if fit == best {
                found.total += 1;
                if found.hits.len() < MAX_FITTING {
                    found.hits.push(Hit { log, commit: step.id, record: step.told()?.record });
                }
            }
            // No other one can be called so.
            if best == Fit::Whole {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

fn fit(step: &Step, text: &str) -> Result<Option<Fit>, StoreError> {
    let (id, seq) = match step.glance() {
        Some(glance) => (glance.id, glance.seq),
        None => step.told().map(|told| (told.record.id, told.record.seq))?,
    };
    let commit = step.id.to_string();
    let lower = text.to_ascii_lowercase();
    if commit == lower || is_whole(id, text) {
        return Ok(Some(Fit::Whole));
    }
    if text.strip_prefix('#').unwrap_or(text) == seq.to_string() {
        return Ok(Some(Fit::Number));
    }
    let begins = !text.is_empty() && id.begins_with(text);
    let is_commit = text.len() >= SHORTEST_COMMIT && commit.starts_with(&lower);
    Ok((begins || is_commit).then_some(Fit::Beginning))
}

fn is_whole(id: RecordId, text: &str) -> bool {
    text.parse() == Ok(id) || text.to_ascii_uppercase().parse() == Ok(id)
}
