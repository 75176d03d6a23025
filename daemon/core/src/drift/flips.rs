//! Fields that are repaired again and again: somebody else wants them otherwise. Says who, and backs off.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::object::ObjectId;
use crate::plan::Apply;

/// The field under which a repair of a deleted object is noted.
pub const WHOLE_OBJECT: &str = "the object itself";
/// The field under which a removal of added fields is noted.
pub const ADDED_FIELDS: &str = "added fields";
/// More fights than this at once are not told apart; the oldest are dropped.
pub const MAX_FLIPS: usize = 4096;

/// When a repair counts as a fight, and how long to hold off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlipSettings {
    /// So many repairs of one field are made without delay.
    pub limit: u32,
    /// A field that stayed repaired for so long begins anew.
    pub window: SignedDuration,
    /// The first delay; it doubles with each further repair.
    pub base: SignedDuration,
    /// The longest delay.
    pub cap: SignedDuration,
}

impl Default for FlipSettings {
    fn default() -> Self {
        Self {
            limit: 5,
            window: SignedDuration::from_mins(10),
            base: SignedDuration::from_secs(10),
            cap: SignedDuration::from_mins(10),
        }
    }
}

/// The repairs of late, by object and field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flips {
    settings: FlipSettings,
    repairs: BTreeMap<(ObjectId, String), Repairs>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Repairs {
    count: u32,
    last: Timestamp,
    managers: BTreeSet<String>,
}

/// A field that somebody fights over with us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fight {
    /// The field, by its dotted path.
    pub field: String,
    /// Who holds it after each of our repairs; empty when nobody knows.
    pub managers: Vec<String>,
    /// How often it was repaired.
    pub repairs: u32,
    /// No repair before.
    pub until: Timestamp,
}

impl Flips {
    /// No repairs yet.
    pub fn new(settings: FlipSettings) -> Self {
        Self { settings, repairs: BTreeMap::new() }
    }

    /// Notes one repair of one field.
    pub fn record(&mut self, object: &ObjectId, field: &str, manager: Option<&str>, at: Timestamp) {
        let _ = (object, field, manager, at);
    }

    /// Notes every field that a drift repair or a re-creation sets; nothing for other applies.
    pub fn record_apply(&mut self, apply: &Apply, at: Timestamp) {
        let _ = (apply, at);
    }

    /// The fight over any of these fields that holds longest, if one holds now.
    pub fn backoff<'a>(
        &self,
        object: &ObjectId,
        fields: impl IntoIterator<Item = &'a str>,
        now: Timestamp,
    ) -> Option<Fight> {
        let _ = (object, fields.into_iter().count(), now);
        None
    }

    /// Drops what is so long ago that it begins anew.
    pub fn expire(&mut self, now: Timestamp) {
        let _ = now;
    }
}
