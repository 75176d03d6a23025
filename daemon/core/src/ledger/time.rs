//! Times as people type them: `2026-09-03T02:00Z`, `2026-09-03 14:00`, `3 Sep 2026 2pm`, `yesterday 14:00`, `monday`, `2 hours ago`,
//! `90m`, `@1788400800`. What has no zone is in the zone of whoever asks; `now` comes in as an argument.
//!
//! A day, a minute or a second is a span of time: `since` means its beginning, `until` and `at` its end.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Span, Timestamp, ToSpan as _, Zoned};

/// A span of time that somebody named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Its first instant.
    pub begin: Timestamp,
    /// Its last instant, to the nanosecond.
    pub end: Timestamp,
}

/// Why a text names no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTime {
    /// It is not understood.
    #[error(
        "`{0}` is not a time: try `2026-09-03 14:00`, `2026-09-03T14:00Z`, `yesterday 14:00`, `monday` or `2 hours ago`"
    )]
    Unknown(String),
    /// It may be two dates.
    #[error("`{0}` may be two dates: write it as YEAR-MONTH-DAY")]
    Ambiguous(String),
    /// There is no such date.
    #[error("there is no such date: `{0}`")]
    Missing(String),
}

/// Longer texts are no times.
const LONGEST: usize = 80;

/// Reads a time, seen from `now`.
pub fn parse(text: &str, now: &Zoned) -> Result<Moment, NoTime> {
    let shown: String = text.chars().take(LONGEST).collect();
    if text.len() > LONGEST {
        return Err(NoTime::Unknown(shown));
    }
    let lower = text.trim().to_ascii_lowercase().replace(',', " ");
    let words: Vec<&str> = lower.split_whitespace().collect();
    if let Some(moment) = instant(text.trim(), &words, now) {
        return Ok(moment);
    }
    let mut now = now.clone();
    let mut said = Said::read(&words, &now).map_err(|why| why.of(&shown))?;
    // `yesterday 14:00 UTC` is a day there, not here.
    if let Some(zone) = said.zone.take() {
        now = now.with_time_zone(zone);
        said = Said::read(&words, &now).map_err(|why| why.of(&shown))?;
    }
    said.moment(&now).ok_or(NoTime::Missing(shown))
}

fn exactly(at: Timestamp) -> Moment {
    Moment { begin: at, end: at }
}

/// What needs no calendar: `now`, `@seconds`, RFC 3339 to the second, `2 hours ago`, `90m`.
fn instant(text: &str, words: &[&str], now: &Zoned) -> Option<Moment> {
    match words {
        ["now"] => return Some(exactly(now.timestamp())),
        [seconds] if seconds.starts_with('@') => {
            let seconds = seconds.trim_start_matches('@').parse().ok()?;
            return Timestamp::from_second(seconds).ok().map(lasting_a_second);
        }
        _ => {}
    }
    // Without seconds it is a minute, below.
    let has_seconds = text
        .split(['T', 't', ' '])
        .nth(1)
        .is_some_and(|time| time.get(..8).is_some_and(|time| time.matches(':').count() == 2));
    if let Some(at) = text.parse::<Timestamp>().ok().filter(|_| has_seconds) {
        return Some(if at.subsec_nanosecond() == 0 { lasting_a_second(at) } else { exactly(at) });
    }
    let span = match words {
        [rest @ .., "ago"] | rest => ago(rest)?,
    };
    now.checked_sub(span).ok().map(|at| exactly(at.timestamp()))
}

fn lasting_a_second(begin: Timestamp) -> Moment {
    Moment { begin, end: begin.saturating_add(SignedDuration::from_nanos(999_999_999)).unwrap_or(begin) }
}

/// `2 hours`, `1h 30m`, `90m`, `an hour`.
fn ago(words: &[&str]) -> Option<Span> {
    let mut parts = Vec::new();
    for word in words {
        match *word {
            "a" | "an" | "one" => parts.push("1"),
            "and" => {}
            word => {
                let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                let (number, unit) = word.split_at_checked(digits)?;
                parts.extend([number, unit].into_iter().filter(|part| !part.is_empty()));
            }
        }
    }
    let pairs = parts.chunks_exact(2);
    if parts.is_empty() || !pairs.remainder().is_empty() {
        return None;
    }
    let mut span = Span::new();
    for pair in pairs {
        let [number, unit] = pair else { return None };
        // A sign would turn the direction.
        let number: i64 = number.parse().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))?;
        span = match *unit {
            "s" | "sec" | "secs" | "second" | "seconds" => {
                span.try_seconds(span.get_seconds().checked_add(number)?)
            }
            "m" | "min" | "mins" | "minute" | "minutes" => {
                span.try_minutes(span.get_minutes().checked_add(number)?)
            }
            "h" | "hour" | "hours" => span.try_hours(i64::from(span.get_hours()).checked_add(number)?),
            "d" | "day" | "days" => span.try_days(i64::from(span.get_days()).checked_add(number)?),
            "w" | "week" | "weeks" => span.try_weeks(i64::from(span.get_weeks()).checked_add(number)?),
            "month" | "months" => span.try_months(i64::from(span.get_months()).checked_add(number)?),
            "y" | "year" | "years" => span.try_years(i64::from(span.get_years()).checked_add(number)?),
            _ => return None,
        }
        .ok()?;
    }
    Some(span)
}

/// What the words of a date and a time of day said.
#[derive(Default)]
struct Said {
    date: Option<Date>,
    /// The last day of that name; beside a date it says nothing new.
    weekday: Option<Date>,
    time: Option<(Time, Grain)>,
    zone: Option<TimeZone>,
    /// Of a date in three words.
    day: Option<i8>,
    month: Option<i8>,
    year: Option<i16>,
    /// `2` before `pm`.
    hour: Option<i8>,
    /// The next word is the `pm` of a time that has been read.
    is_half_read: bool,
}

/// How exact a time of day is.
#[derive(Clone, Copy)]
enum Grain {
    Minute,
    Second,
}

/// Why words are no date.
enum Unread {
    Unknown,
    Ambiguous,
    Missing,
}

impl Unread {
    fn of(self, text: &str) -> NoTime {
        match self {
            Self::Unknown => NoTime::Unknown(text.to_owned()),
            Self::Ambiguous => NoTime::Ambiguous(text.to_owned()),
            Self::Missing => NoTime::Missing(text.to_owned()),
        }
    }
}

impl Said {
    fn read(words: &[&str], now: &Zoned) -> Result<Self, Unread> {
        let mut said = Self::default();
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            // `2026-09-03T02:00Z` is a date and a time.
            let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
            let (first, second) = match word.split_once('t') {
                Some((date, time)) if date.contains('-') && is_number(date) && !time.is_empty() => {
                    (date, Some(time))
                }
                _ => (*word, None),
            };
            let next = words.peek().map(|next| **next);
            said.word(first, next, now)?;
            if let Some(second) = second {
                said.word(second, next, now)?;
            }
        }
        said.join(now)?;
        Ok(said)
    }

    fn word(&mut self, word: &str, next: Option<&str>, now: &Zoned) -> Result<(), Unread> {
        let is_first = |taken: bool| if taken { Err(Unread::Unknown) } else { Ok(()) };
        if matches!(word, "at" | "on" | "the" | "of" | "last") {
            return Ok(());
        }
        if let Some(date) = relative_day(word, now) {
            is_first(self.date.is_some())?;
            self.date = Some(date);
        } else if let Some(date) = weekday(word, now) {
            is_first(self.weekday.is_some())?;
            self.weekday = Some(date);
        } else if let Some(zone) = zone(word) {
            is_first(self.zone.is_some())?;
            self.zone = Some(zone);
        } else if let Some(month) = month(word) {
            is_first(self.month.is_some())?;
            self.month = Some(month);
        } else if let Some(half) = half_day(word) {
            if std::mem::take(&mut self.is_half_read) {
                return Ok(());
            }
            is_first(self.time.is_some())?;
            let hour = self.hour.take().ok_or(Unread::Unknown)?;
            self.time =
                Some((Time::new(half.hour(hour)?, 0, 0, 0).map_err(|_| Unread::Missing)?, Grain::Minute));
        } else if word.contains(':') || word.ends_with("am") || word.ends_with("pm") {
            is_first(self.time.is_some())?;
            self.time_of_day(word, next)?;
        } else if let Some(date) = date(word)? {
            is_first(self.date.is_some())?;
            self.date = Some(date);
        } else {
            self.number(word, next)?;
        }
        Ok(())
    }

    /// A day (`3`, `3rd`), a year, or the hour before `pm`.
    fn number(&mut self, word: &str, next: Option<&str>) -> Result<(), Unread> {
        let digits =
            word.trim_end_matches("st").trim_end_matches("nd").trim_end_matches("rd").trim_end_matches("th");
        let number: i16 = digits.parse().map_err(|_| Unread::Unknown)?;
        let small = i8::try_from(number).ok();
        if next.is_some_and(|next| half_day(next).is_some()) {
            self.hour = Some(small.ok_or(Unread::Missing)?);
        } else if (1970..=2100).contains(&number) && self.year.is_none() {
            self.year = Some(number);
        } else if digits.len() <= 2 && self.day.is_none() {
            self.day = Some(small.ok_or(Unread::Missing)?);
        } else {
            return Err(Unread::Unknown);
        }
        Ok(())
    }

    /// `14:00`, `14:00:30`, `2:30pm`, `2pm`, each with a zone behind it or not.
    fn time_of_day(&mut self, word: &str, next: Option<&str>) -> Result<(), Unread> {
        let (word, zone) = split_zone(word);
        if let Some(text) = zone {
            if self.zone.is_some() {
                return Err(Unread::Unknown);
            }
            self.zone = Some(offset(text).ok_or(Unread::Unknown)?);
        }
        let (digits, half) = if let Some(digits) = word.strip_suffix("pm") {
            (digits, Some(Half::Afternoon))
        } else if let Some(digits) = word.strip_suffix("am") {
            (digits, Some(Half::Morning))
        } else {
            let half = next.and_then(half_day);
            self.is_half_read = half.is_some();
            (word, half)
        };
        let mut parts = digits.split(':').map(|part| part.parse::<i8>().map_err(|_| Unread::Unknown));
        let hour = parts.next().ok_or(Unread::Unknown)??;
        let minute = parts.next().transpose()?.unwrap_or(0);
        let second = parts.next().transpose()?;
        if parts.next().is_some() {
            return Err(Unread::Unknown);
        }
        let hour = half.map_or(Ok(hour), |half| half.hour(hour))?;
        let grain = if second.is_some() { Grain::Second } else { Grain::Minute };
        let time = Time::new(hour, minute, second.unwrap_or(0), 0).map_err(|_| Unread::Missing)?;
        self.time = Some((time, grain));
        Ok(())
    }

    /// A date in words. Without a year it is the last one of that name: nobody asks a log for what is to come.
    fn join(&mut self, now: &Zoned) -> Result<(), Unread> {
        match (self.day, self.month, self.year) {
            (None, None, None) => {}
            (Some(day), Some(month), year) if self.date.is_none() => {
                let date = |year| Date::new(year, month, day).map_err(|_| Unread::Missing);
                let this = date(year.unwrap_or_else(|| now.year()));
                self.date = Some(match this {
                    Ok(this) if year.is_some() || this <= now.date() => this,
                    Err(why) if year.is_some() => return Err(why),
                    Ok(_) | Err(_) => date(now.year() - 1)?,
                });
            }
            _ => return Err(Unread::Unknown),
        }
        self.date = self.date.or(self.weekday);
        if self.hour.is_some() || (self.date.is_none() && self.time.is_none()) {
            return Err(Unread::Unknown);
        }
        Ok(())
    }

    fn moment(&self, now: &Zoned) -> Option<Moment> {
        let zone = now.time_zone();
        let Some((time, grain)) = self.time else {
            let date = self.date.unwrap_or(now.date());
            let end = date.tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
            return Some(until(date.to_zoned(zone.clone()).ok()?.timestamp(), end.timestamp()));
        };
        let mut at = zone.to_ambiguous_zoned(self.date.unwrap_or(now.date()).to_datetime(time));
        // A time of day alone is the last one that has been.
        if self.date.is_none() && at.clone().earlier().ok()? > *now {
            at = zone.to_ambiguous_zoned(now.date().yesterday().ok()?.to_datetime(time));
        }
        // A time that the clock jumps over is none; one that it shows twice lasts from the first to the second.
        if matches!(at.offset(), AmbiguousOffset::Gap { .. }) {
            return None;
        }
        let length = match grain {
            Grain::Minute => 1.minute(),
            Grain::Second => 1.second(),
        };
        let end = at.clone().later().ok()?.checked_add(length).ok()?;
        Some(until(at.earlier().ok()?.timestamp(), end.timestamp()))
    }
}

/// From one instant to right before another.
fn until(begin: Timestamp, end: Timestamp) -> Moment {
    Moment { begin, end: end.saturating_sub(SignedDuration::from_nanos(1)).unwrap_or(end) }
}

#[derive(Clone, Copy)]
enum Half {
    Morning,
    Afternoon,
}

impl Half {
    fn hour(self, hour: i8) -> Result<i8, Unread> {
        match (self, hour) {
            (_, ..=0 | 13..) => Err(Unread::Missing),
            (Self::Morning, 12) => Ok(0),
            (Self::Afternoon, 12) => Ok(12),
            (Self::Morning, hour) => Ok(hour),
            (Self::Afternoon, hour) => Ok(hour + 12),
        }
    }
}

fn half_day(word: &str) -> Option<Half> {
    match word {
        "am" | "a.m." => Some(Half::Morning),
        "pm" | "p.m." => Some(Half::Afternoon),
        _ => None,
    }
}

fn relative_day(word: &str, now: &Zoned) -> Option<Date> {
    match word {
        "today" => Some(now.date()),
        "yesterday" => now.date().yesterday().ok(),
        _ => None,
    }
}

/// The last day of that name before today.
fn weekday(word: &str, now: &Zoned) -> Option<Date> {
    let day = match word {
        "monday" | "mon" => Weekday::Monday,
        "tuesday" | "tues" | "tue" => Weekday::Tuesday,
        "wednesday" | "wed" => Weekday::Wednesday,
        "thursday" | "thurs" | "thu" => Weekday::Thursday,
        "friday" | "fri" => Weekday::Friday,
        "saturday" | "sat" => Weekday::Saturday,
        "sunday" | "sun" => Weekday::Sunday,
        _ => return None,
    };
    now.date().nth_weekday(-1, day).ok()
}

fn month(word: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let is_month = |name: &&str| *name == word || (word.len() >= 3 && name.starts_with(word));
    MONTHS.iter().position(is_month).and_then(|place| i8::try_from(place + 1).ok())
}

/// `2026-09-03`, `2026/09/03`, `03.09.2026`, `3-sep-2026`; `13/09/2026` where only one order makes a date.
fn date(word: &str) -> Result<Option<Date>, Unread> {
    let Some(mark) = ['-', '/', '.'].into_iter().find(|mark| word.matches(*mark).count() == 2) else {
        return Ok(None);
    };
    let parts: Vec<&str> = word.split(mark).collect();
    let [first, second, third] = parts.as_slice() else { return Ok(None) };
    let number = |part: &str| part.parse::<i16>().ok();
    let year_first = first.len() == 4;
    let (year, month_part, day_part) =
        if year_first { (*first, *second, *third) } else { (*third, *second, *first) };
    if year.len() != 4 {
        return Err(Unread::Ambiguous);
    }
    let Some(year) = number(year) else { return Ok(None) };
    let named = month(month_part).map(i16::from);
    let (Some(mut middle), Some(mut outer)) = (named.or_else(|| number(month_part)), number(day_part)) else {
        return Ok(None);
    };
    // Month first (9/3/2026) or day first: only where one of them is no month is it clear. Dots are day first everywhere.
    if mark != '.' && !year_first && named.is_none() {
        match (outer <= 12, middle <= 12) {
            (true, true) if outer != middle => return Err(Unread::Ambiguous),
            (true, false) => std::mem::swap(&mut outer, &mut middle),
            (true | false, true) | (false, false) => {}
        }
    }
    let (Ok(month), Ok(day)) = (i8::try_from(middle), i8::try_from(outer)) else {
        return Err(Unread::Missing);
    };
    Date::new(year, month, day).map(Some).map_err(|_| Unread::Missing)
}

/// `02:00+02:00` -> `02:00`, `+02:00`; the `z` of UTC too.
fn split_zone(word: &str) -> (&str, Option<&str>) {
    if let Some(time) = word.strip_suffix('z') {
        return (time, Some("z"));
    }
    let place = word.find(['+', '-']);
    place
        .and_then(|place| word.split_at_checked(place))
        .map_or((word, None), |(time, zone)| (time, Some(zone)))
}

/// `utc`, `+02:00`, or a name of the time zone database (`europe/berlin`): the one in this program, whatever the machine has.
fn zone(word: &str) -> Option<TimeZone> {
    if matches!(word, "utc" | "gmt" | "z") {
        return Some(TimeZone::UTC);
    }
    offset(word)
        .filter(|_| word.starts_with(['+', '-']))
        .or_else(|| word.contains('/').then(|| TimeZoneDatabase::bundled().get(word).ok()).flatten())
}

/// `z`, `+02:00`, `+0200`, `-5`.
fn offset(text: &str) -> Option<TimeZone> {
    if text == "z" {
        return Some(TimeZone::UTC);
    }
    let (sign, rest) = match text.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, text.strip_prefix('-')?),
    };
    let digits = rest.replace(':', "");
    let (hours, minutes) =
        if digits.len() == 4 { digits.split_at_checked(2)? } else { (digits.as_str(), "0") };
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !(0..=14).contains(&hours) || !(0..60).contains(&minutes) {
        return None;
    }
    jiff::tz::Offset::from_seconds(sign * (hours * 3600 + minutes * 60))
        .ok()
        .map(jiff::tz::Offset::to_time_zone)
}

#[cfg(test)]
#[path = "time/tests.rs"]
mod tests;
