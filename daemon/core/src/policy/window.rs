//! `kind: ChangeWindow`: when changes may be made, and when not.
//!
//! A pure function of the windows and a moment. Time zones are those that are built in, so that every replica and every
//! reviewer's machine says the same.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::cron::Cron;
use crate::location::Location;

/// How far ahead the next opening is looked for.
const HORIZON: SignedDuration = SignedDuration::from_hours(400 * 24);
/// So many closings in a row are looked behind.
const MAX_STEPS: usize = 1000;

/// When changes may be made.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeWindow {
    /// `metadata.name`.
    pub name: String,
    /// Where it begins.
    pub location: Location,
    /// One of these must be open. None at all: always, but for the ones below.
    pub allow: Vec<Recurring>,
    /// None of these may be open.
    pub deny: Vec<Recurring>,
    /// Nor any of these.
    pub freezes: Vec<Freeze>,
}

/// A time that comes again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct Recurring {
    /// When it begins, by the clocks of the time zone.
    pub schedule: Cron,
    /// How long it lasts, in elapsed time. At most [`MAX_DURATION`].
    pub duration: Duration,
    /// Whose clocks.
    pub zone: TimeZone,
    /// Why, for people.
    pub reason: Option<String>,
    /// Where it stands.
    pub location: Location,
}

/// The longest recurring time.
pub const MAX_DURATION: Duration = Duration::from_hours(31 * 24);

/// A time without changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Freeze {
    /// When it begins.
    pub from: Timestamp,
    /// When it is over; this moment is not in it any more.
    pub until: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// Where it stands.
    pub location: Location,
}

/// Whether changes may be made.
#[derive(Debug, Clone, PartialEq)]
pub enum WindowState {
    /// They may.
    Open,
    /// They may not.
    Closed(Closed),
}

/// Why changes may not be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    /// The ChangeWindow that says so.
    pub window: String,
    /// Where it says so.
    pub location: Location,
    /// What it says.
    pub cause: Cause,
    /// When all windows are open; none when that is not within 400 days.
    pub opens: Option<Timestamp>,
}

/// What keeps a window closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A freeze, and why.
    Freeze(String),
    /// A denied time, and why where that is said.
    Denied(Option<String>),
    /// No allowed time.
    NotAllowed,
}

impl fmt::Display for Closed {
    /// `closed by office-hours (year end) until 2027-01-07T00:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { window, location: _, cause, opens } = self;
        match cause {
            Cause::Freeze(reason) => write!(f, "frozen by {window} ({reason})")?,
            Cause::Denied(Some(reason)) => write!(f, "closed by {window} ({reason})")?,
            Cause::Denied(None) => write!(f, "closed by {window}")?,
            Cause::NotAllowed => write!(f, "outside the times that {window} allows")?,
        }
        match opens {
            Some(opens) => write!(f, " until {opens}"),
            None => f.write_str(" for more than a year"),
        }
    }
}

/// Whether all of these windows are open, and when they are next. No windows: always open.
pub fn state(windows: &[Arc<ChangeWindow>], now: Timestamp) -> WindowState {
    let Some(obstacle) = obstacle(windows, now) else { return WindowState::Open };
    let Obstacle { window, location, cause, until } = obstacle;
    let mut opens = until;
    for _ in 0..MAX_STEPS {
        let Some(at) = opens.filter(|at| at.duration_since(now) <= HORIZON) else { break };
        match self::obstacle(windows, at) {
            None => return closed(window, location, cause, Some(at)),
            // Every obstacle ends after it was met, so this goes forward.
            Some(next) => opens = next.until,
        }
    }
    closed(window, location, cause, None)
}

fn closed(window: &ChangeWindow, location: &Location, cause: Cause, opens: Option<Timestamp>) -> WindowState {
    WindowState::Closed(Closed { window: window.name.clone(), location: location.clone(), cause, opens })
}

/// What keeps changes from being made at a moment.
struct Obstacle<'w> {
    window: &'w ChangeWindow,
    location: &'w Location,
    cause: Cause,
    /// Until when at least; none when no end is near.
    until: Option<Timestamp>,
}

/// The first obstacle: freezes come first, for people plan by them, then denied times, then the lack of an allowed one.
fn obstacle(windows: &[Arc<ChangeWindow>], now: Timestamp) -> Option<Obstacle<'_>> {
    let all = || windows.iter().map(Arc::as_ref);
    let frozen = all().find_map(|window| {
        let freeze = window.freezes.iter().find(|freeze| freeze.from <= now && now < freeze.until)?;
        let cause = Cause::Freeze(freeze.reason.clone());
        Some(Obstacle { window, location: &freeze.location, cause, until: Some(freeze.until) })
    });
    let denied = || {
        all().find_map(|window| {
            let (deny, until) = window.deny.iter().find_map(|deny| Some((deny, deny.open_until(now)?)))?;
            let cause = Cause::Denied(deny.reason.clone());
            Some(Obstacle { window, location: &deny.location, cause, until: Some(until) })
        })
    };
    let not_allowed = || {
        let closed = |window: &&ChangeWindow| {
            !window.allow.is_empty() && window.allow.iter().all(|allow| allow.open_until(now).is_none())
        };
        let window = all().find(closed)?;
        let next = window.allow.iter().filter_map(|allow| allow.next_begin(now)).min();
        Some(Obstacle { window, location: &window.location, cause: Cause::NotAllowed, until: next })
    };
    frozen.or_else(denied).or_else(not_allowed)
}

impl Recurring {
    /// The end of the time that is open at a moment.
    fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        let Self { schedule, duration, zone, reason: _, location: _ } = self;
        let duration = SignedDuration::try_from(*duration).ok()?;
        let since = now.checked_sub(duration).ok()?;
        let begun = schedule.last_in(zone, since, now)?;
        begun.checked_add(duration).ok().filter(|end| *end > now)
    }

    fn next_begin(&self, now: Timestamp) -> Option<Timestamp> {
        let end = now.checked_add(HORIZON).ok()?;
        self.schedule.first_in(&self.zone, now, end)
    }
}
