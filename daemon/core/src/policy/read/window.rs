//! The `spec` of a ChangeWindow.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::About;
use super::values::{self, SECOND};
use crate::desired::fields::{Fields, Section, Spot};
use crate::policy::window::{ChangeWindow, Freeze, MAX_DURATION, Recurring};
use crate::problem::{Code, Problem};
use crate::schema::suggest;

/// Times of one kind in a window.
const MAX_TIMES: usize = 64;
const MAX_REASON: usize = 256;

/// Reads a spec.
pub fn window(fields: &mut Fields, spot: &Spot<'_>, about: About) -> Option<ChangeWindow> {
    let before = fields.problems.len();
    let spec = fields.section(spot, &["timeZone", "allow", "deny", "freezes"])?;
    let misspelt = fields.problems.len() > before;
    let zone = match spec.get("timeZone") {
        Some(spot) => time_zone(fields, &spot).unwrap_or(TimeZone::UTC),
        None => TimeZone::UTC,
    };
    let list = |fields: &mut Fields, name| {
        let spot = spec.get(name)?;
        values::some(fields, &spot, MAX_TIMES, |fields, spot| recurring(fields, spot, &zone))
    };
    let allow = list(fields, "allow").unwrap_or_default();
    let deny = list(fields, "deny").unwrap_or_default();
    let freezes = spec.get("freezes").and_then(|spot| values::some(fields, &spot, MAX_TIMES, freeze));
    if !misspelt && ["allow", "deny", "freezes"].iter().all(|name| spec.get(name).is_none()) {
        values::refuse(fields, spot, "the window says nothing: write allow, deny or freezes");
    }
    let About { name, location } = about;
    Some(ChangeWindow { name, location, allow, deny, freezes: freezes.unwrap_or_default() })
}

fn recurring(fields: &mut Fields, spot: &Spot<'_>, zone: &TimeZone) -> Option<Recurring> {
    let section = fields.section(spot, &["schedule", "duration", "timeZone", "reason"])?;
    let schedule = fields.required(&section, "schedule").and_then(|spot| {
        let text = fields.text(&spot)?;
        let schedule = text.parse();
        if let Err(message) = &schedule {
            values::refuse(fields, &spot, message);
        }
        schedule.ok()
    });
    let duration = fields.required(&section, "duration");
    let duration = duration.and_then(|spot| values::duration(fields, &spot, SECOND..=MAX_DURATION));
    let zone = match section.get("timeZone") {
        Some(spot) => time_zone(fields, &spot),
        None => Some(zone.clone()),
    };
    let reason = section.get("reason").and_then(|spot| values::text(fields, &spot, MAX_REASON));
    Some(Recurring {
        schedule: schedule?,
        duration: duration?,
        zone: zone?,
        reason,
        location: fields.location(spot),
    })
}

/// By the names of IANA, from the data that is built in.
fn time_zone(fields: &mut Fields, spot: &Spot<'_>) -> Option<TimeZone> {
    let name = values::text(fields, spot, 64)?;
    let database = TimeZoneDatabase::bundled();
    let found = database.get(&name);
    if found.is_err() {
        let problem = Problem::error(Code::ConfigField, format!("there is no time zone `{name}`"));
        let known: Vec<String> = database.available().map(|name| name.as_str().to_owned()).collect();
        let help = match suggest::nearest(&name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write a name of the IANA database like `Europe/Berlin`, or `UTC`".to_owned(),
        };
        fields.report(spot, problem.help(help));
    }
    found.ok()
}

fn freeze(fields: &mut Fields, spot: &Spot<'_>) -> Option<Freeze> {
    let section = fields.section(spot, &["from", "until", "reason"])?;
    let from = moment(fields, &section, "from");
    let until = moment(fields, &section, "until");
    let reason = fields.required(&section, "reason");
    let reason = reason.and_then(|spot| values::text(fields, &spot, MAX_REASON));
    let (from, until) = (from?, until?);
    if until <= from {
        values::refuse(fields, spot, "the freeze ends before it begins");
        return None;
    }
    Some(Freeze { from, until, reason: reason?, location: fields.location(spot) })
}

fn moment(fields: &mut Fields, section: &Section<'_>, name: &str) -> Option<Timestamp> {
    let spot = fields.required(section, name)?;
    let moment = fields.text(&spot)?.parse();
    if moment.is_err() {
        fields.wrong(&spot, "a time like 2026-12-20T00:00:00+01:00");
    }
    moment.ok()
}
