//! Fields that are repaired again and again: somebody else wants them otherwise. Says who, and backs off.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::object::ObjectId;
use crate::plan::{Apply, ApplyReason};

/// The field under which a repair of a deleted object is noted.
pub const WHOLE_OBJECT: &str = "the object itself";
/// The field under which a repair is noted that changes no field of git: added fields go, or the fields become ours again.
pub const ADDED_FIELDS: &str = "added fields";
/// More fights than this at once are not told apart; the oldest are dropped.
pub const MAX_FLIPS: usize = 4096;
/// So many fighters of one field are named.
const MAX_MANAGERS: usize = 8;

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
        let key = (object.clone(), field.to_owned());
        let anew = self.repairs.get(&key).is_none_or(|repairs| self.begins_anew(repairs, at));
        if anew {
            self.make_room();
            self.repairs.insert(key.clone(), Repairs { count: 0, last: at, managers: BTreeSet::new() });
        }
        if let Some(repairs) = self.repairs.get_mut(&key) {
            repairs.count = repairs.count.saturating_add(1);
            repairs.last = repairs.last.max(at);
            if repairs.managers.len() < MAX_MANAGERS {
                repairs.managers.extend(manager.map(str::to_owned));
            }
        }
    }

    /// Notes every field that a drift repair or a re-creation sets; nothing for other applies.
    pub fn record_apply(&mut self, apply: &Apply, at: Timestamp) {
        let id = apply.object.reference.id();
        match &apply.reason {
            ApplyReason::Recreate => self.record(&id, WHOLE_OBJECT, None, at),
            ApplyReason::Drift { changes, by } => {
                let managers: BTreeSet<&str> = by.iter().map(|entry| entry.manager.as_str()).collect();
                let names =
                    (!managers.is_empty()).then(|| managers.into_iter().collect::<Vec<_>>().join(", "));
                for change in changes {
                    self.record(&id, &change.path, names.as_deref(), at);
                }
                if apply.migrate || changes.is_empty() {
                    self.record(&id, ADDED_FIELDS, names.as_deref(), at);
                }
            }
            ApplyReason::Create | ApplyReason::Changed | ApplyReason::Resume | ApplyReason::Adopt => {}
        }
    }

    /// The fight over any of these fields that holds longest, if one holds now.
    pub fn backoff<'a>(
        &self,
        object: &ObjectId,
        fields: impl IntoIterator<Item = &'a str>,
        now: Timestamp,
    ) -> Option<Fight> {
        let fights = fields.into_iter().filter_map(|field| {
            let repairs = self.repairs.get(&(object.clone(), field.to_owned()))?;
            let until = repairs.last.saturating_add(self.delay(repairs.count)).ok()?;
            (now < until).then(|| Fight {
                field: field.to_owned(),
                managers: repairs.managers.iter().cloned().collect(),
                repairs: repairs.count,
                until,
            })
        });
        fights.max_by(|a, b| (a.until, &b.field).cmp(&(b.until, &a.field)))
    }

    /// When the next hold ends; what wakes an environment that fights.
    pub fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.repairs.values().filter_map(|repairs| {
            repairs.last.saturating_add(self.delay(repairs.count)).ok().filter(|until| *until > now)
        });
        ends.min()
    }

    /// Drops what is so long ago that it begins anew.
    pub fn expire(&mut self, now: Timestamp) {
        let mut repairs = std::mem::take(&mut self.repairs);
        repairs.retain(|_, repairs| !self.begins_anew(repairs, now));
        self.repairs = repairs;
    }

    /// Zero up to the limit, then doubling up to the cap.
    fn delay(&self, count: u32) -> SignedDuration {
        let FlipSettings { limit, window: _, base, cap } = self.settings;
        let Some(over) = count.checked_sub(limit).filter(|over| *over > 0) else {
            return SignedDuration::ZERO;
        };
        let factor = 1i32.checked_shl(over - 1).filter(|factor| *factor > 0).unwrap_or(i32::MAX);
        base.checked_mul(factor).unwrap_or(cap).min(cap)
    }

    /// The window counts from the end of the hold, else a long hold would wipe out its own reason.
    fn begins_anew(&self, repairs: &Repairs, now: Timestamp) -> bool {
        let quiet = self.delay(repairs.count) + self.settings.window;
        now.duration_since(repairs.last) > quiet
    }

    fn make_room(&mut self) {
        while self.repairs.len() >= MAX_FLIPS {
            let oldest =
                self.repairs.iter().min_by_key(|(_, repairs)| repairs.last).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            self.repairs.remove(&oldest);
        }
    }
}

impl fmt::Display for Fight {
    /// `spec.replicas was repaired 7 times and changed again by kubectl; next repair at 2026-11-21T12:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, managers, repairs, until } = self;
        let who = if managers.is_empty() { "somebody".to_owned() } else { managers.join(", ") };
        write!(f, "{field} was repaired {repairs} times and changed again by {who}; next repair at {until}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> ObjectId {
        ObjectId {
            group: "apps".into(),
            kind: "Deployment".into(),
            namespace: Some("shop".into()),
            name: "web".into(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn repaired(times: i64) -> Flips {
        let mut flips = Flips::default();
        (0..times).for_each(|second| flips.record(&web(), "spec.replicas", Some("kubectl"), at(second)));
        flips
    }

    #[test]
    fn the_first_repairs_are_made_at_once() {
        assert_eq!(repaired(5).backoff(&web(), ["spec.replicas"], at(4)), None);
    }

    #[test]
    fn a_field_that_flips_again_and_again_is_held_and_the_fighter_named() {
        let fight = repaired(6).backoff(&web(), ["spec.paused", "spec.replicas"], at(5)).unwrap();
        assert_eq!(fight.managers, ["kubectl"]);
        assert_eq!(fight.until, at(5 + 10));
        assert!(
            fight.to_string().starts_with("spec.replicas was repaired 6 times and changed again by kubectl;")
        );
        assert_eq!(repaired(6).backoff(&web(), ["spec.replicas"], at(15)), None);
    }

    #[test]
    fn the_hold_doubles_up_to_its_cap() {
        let until =
            |times: i64| repaired(times).backoff(&web(), ["spec.replicas"], at(times - 1)).unwrap().until;
        assert_eq!(until(7), at(6 + 20));
        assert_eq!(until(8), at(7 + 40));
        assert_eq!(until(60), at(59 + 600));
    }

    #[test]
    fn a_fight_does_not_forget_itself_while_it_is_held() {
        let mut flips = repaired(12);
        flips.record(&web(), "spec.replicas", None, at(11 + 700));
        assert!(flips.backoff(&web(), ["spec.replicas"], at(11 + 701)).is_some());
    }

    #[test]
    fn a_field_that_stayed_repaired_begins_anew() {
        let mut flips = repaired(6);
        flips.expire(at(5 + 10 + 600));
        assert!(!flips.repairs.is_empty());
        flips.expire(at(5 + 10 + 601));
        assert!(flips.repairs.is_empty());
    }

    #[test]
    fn other_objects_and_fields_are_not_held() {
        let other = ObjectId { name: "api".into(), ..web() };
        assert_eq!(repaired(9).backoff(&other, ["spec.replicas"], at(9)), None);
        assert_eq!(repaired(9).backoff(&web(), ["spec.template"], at(9)), None);
    }

    #[test]
    fn the_memory_of_fights_is_bounded() {
        let mut flips = Flips::default();
        for n in 0..MAX_FLIPS + 10 {
            flips.record(&web(), &format!("data.key{n}"), None, at(i64::try_from(n).unwrap() / 100));
        }
        assert_eq!(flips.repairs.len(), MAX_FLIPS);
    }
}
