//! Schedules of five fields, as Kubernetes' CronJobs have them: minute, hour, day of the month, month, day of the week.
//!
//! No seconds, no `@daily`, no `L`, `W` or `#`. Both days restricted: either is enough. A time that a clock skips comes as
//! much later as the clock was moved; one that a clock shows twice comes the first time.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A schedule; each field as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// Sunday is 0.
    weekdays: u64,
    /// Both the day of the month and that of the week are restricted.
    either_day: bool,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// Days that are looked at, at most; a range of time that is asked about is shorter.
const MAX_DAYS: usize = 500;
/// The longest text of a schedule.
const MAX_TEXT: usize = 256;

/// One field: its name, and its least and greatest value.
struct Field {
    name: &'static str,
    min: u8,
    max: u8,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", min: 0, max: 59, names: &[] },
    Field { name: "hour", min: 0, max: 23, names: &[] },
    Field { name: "day of the month", min: 1, max: 31, names: &[] },
    Field { name: "month", min: 1, max: 12, names: &MONTHS },
    Field { name: "day of the week", min: 0, max: 7, names: &WEEKDAYS },
];

impl std::str::FromStr for Cron {
    type Err = String;

    /// Reads a schedule; what is wrong with it otherwise.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > MAX_TEXT {
            return Err(format!("a schedule has at most {MAX_TEXT} characters"));
        }
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = words.as_slice() else {
            return Err(format!(
                "a schedule has five fields (minute, hour, day of the month, month, day of the week), not {}",
                words.len()
            ));
        };
        let [minute, hour, day, month, weekday] = &FIELDS;
        let mut cron = Self {
            minutes: minute.parse(minutes)?,
            hours: hour.parse(hours)?,
            days: day.parse(days)?,
            months: month.parse(months)?,
            weekdays: weekday.parse(weekdays)?,
            either_day: !days.starts_with('*') && !weekdays.starts_with('*'),
        };
        // 7 is Sunday too.
        cron.weekdays |= (cron.weekdays >> 7) & 1;
        if cron.comes() { Ok(cron) } else { Err("no month has such a day".to_owned()) }
    }
}

impl Cron {
    /// False for the 30th of February and its like.
    fn comes(&self) -> bool {
        const LONGEST: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let months = LONGEST.iter().zip(1_u8..).filter(|(_, month)| has(self.months, *month));
        self.either_day || months.flat_map(|(longest, _)| 1..=*longest).any(|day| has(self.days, day))
    }

    /// The last begin after the first of two moments and not after the second.
    pub fn last_in(&self, zone: &TimeZone, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let within = |at: &Timestamp| after < *at && *at <= until;
        let mut date = zone.to_datetime(until).date();
        let first = zone.to_datetime(after).date();
        for _ in 0..MAX_DAYS {
            if let Some(found) = self.begins(zone, date).filter(within).max() {
                return Some(found);
            }
            if date <= first {
                return None;
            }
            date = date.yesterday().ok()?;
        }
        None
    }

    /// The first begin after the first of two moments and not after the second.
    pub fn first_in(&self, zone: &TimeZone, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let within = |at: &Timestamp| after < *at && *at <= until;
        let mut date = zone.to_datetime(after).date();
        let last = zone.to_datetime(until).date();
        for _ in 0..MAX_DAYS {
            if let Some(found) = self.begins(zone, date).filter(within).min() {
                return Some(found);
            }
            if date >= last {
                return None;
            }
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }

    /// The begins of a day, in no order that clocks would not change.
    fn begins(&self, zone: &TimeZone, date: Date) -> impl Iterator<Item = Timestamp> {
        let hours = if self.on(date) { self.hours } else { 0 };
        let minutes = self.minutes;
        let times = (0_i8..24).filter(move |hour| has(hours, hour.unsigned_abs())).flat_map(move |hour| {
            let minutes = (0_i8..60).filter(move |minute| has(minutes, minute.unsigned_abs()));
            minutes.filter_map(move |minute| Time::new(hour, minute, 0, 0).ok())
        });
        times.filter_map(move |time| zone.to_ambiguous_timestamp(date.to_datetime(time)).compatible().ok())
    }

    fn on(&self, date: Date) -> bool {
        let day = has(self.days, date.day().unsigned_abs());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset().unsigned_abs());
        let fits = if self.either_day { day || weekday } else { day && weekday };
        fits && has(self.months, date.month().unsigned_abs())
    }
}

fn has(bits: u64, value: u8) -> bool {
    bits.checked_shr(u32::from(value)).unwrap_or(0) & 1 == 1
}

impl Field {
    /// `*`, `5`, `1-5`, `*/15`, `10-20/5`, `mon-fri`, and lists of them.
    fn parse(&self, text: &str) -> Result<u64, String> {
        let mut bits = 0;
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => {
                    let step = step.parse::<u8>().ok().filter(|step| *step > 0 && *step <= self.max);
                    (range, step.ok_or_else(|| self.wrong(part))?)
                }
                None => (part, 1),
            };
            let (from, to) = match (range, range.split_once('-')) {
                // 7 is another name of 0, and not one more day.
                ("*", _) => (self.min, self.max - u8::from(self.max == 7)),
                (_, Some((from, to))) => (self.value(from, part)?, self.value(to, part)?),
                // `5/10` counts on from there.
                (_, None) if part.contains('/') => (self.value(range, part)?, self.max),
                (_, None) => (self.value(range, part)?, self.value(range, part)?),
            };
            if from > to {
                return Err(self.wrong(part));
            }
            for value in (from..=to).step_by(usize::from(step)) {
                bits |= 1 << value;
            }
        }
        Ok(bits)
    }

    fn value(&self, text: &str, part: &str) -> Result<u8, String> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = named.and_then(|index| u8::try_from(index).ok()).map(|index| index + self.min);
        let digits = !text.is_empty() && text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = named.or_else(|| digits.then(|| text.parse().ok()).flatten());
        number.filter(|number| (self.min..=self.max).contains(number)).ok_or_else(|| self.wrong(part))
    }

    fn wrong(&self, part: &str) -> String {
        let Self { name, min, max, names: _ } = self;
        format!(
            "`{part}` is no {name}: write {min} to {max}, `*`, ranges like {min}-{max}, steps like */5, or lists"
        )
    }
}
