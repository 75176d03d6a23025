//! Schedules of windows.

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::policy::Cron;

fn cron(text: &str) -> Cron {
    text.parse().unwrap_or_else(|message: String| panic!("{text}: {message}"))
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// The next begin after a moment, within 400 days.
fn next(schedule: &str, zone: &TimeZone, after: &str) -> Option<String> {
    let after = at(after);
    let end = after + jiff::SignedDuration::from_hours(400 * 24);
    cron(schedule).first_in(zone, after, end).map(|found| found.to_string())
}

#[test]
fn schedules_are_read_as_cron_jobs_have_them() {
    let from = "2026-11-20T10:30:00Z"; // a Friday
    let cases = [
        ("* * * * *", "2026-11-20T10:31:00Z"),
        ("0 9 * * 1-5", "2026-11-23T09:00:00Z"),
        ("0 9 * * MON-fri", "2026-11-23T09:00:00Z"),
        ("*/20 * * * *", "2026-11-20T10:40:00Z"),
        ("5/20 * * * *", "2026-11-20T10:45:00Z"),
        ("10-50/20 11 * * *", "2026-11-20T11:10:00Z"),
        ("0 0 1 jan *", "2027-01-01T00:00:00Z"),
        ("15,45 8,22 * * *", "2026-11-20T22:15:00Z"),
        ("0 0 * * 7", "2026-11-22T00:00:00Z"),
        ("0 0 * * 0", "2026-11-22T00:00:00Z"),
        ("0 0 13 * 5", "2026-11-27T00:00:00Z"),
        ("0 0 13 * *", "2026-12-13T00:00:00Z"),
        ("0 0 * * 5-7", "2026-11-21T00:00:00Z"),
    ];
    for (schedule, expected) in cases {
        assert_eq!(next(schedule, &TimeZone::UTC, from).as_deref(), Some(expected), "{schedule}");
    }
    assert_eq!(next("0 0 29 2 *", &TimeZone::UTC, from), None, "not within 400 days");
}

#[test]
fn what_is_no_schedule_is_refused_with_the_field() {
    let cases = [
        ("0 9 * *", "not 4"),
        ("0 9 * * * *", "not 6"),
        ("@daily", "not 1"),
        ("60 * * * *", "`60` is no minute"),
        ("* 24 * * *", "`24` is no hour"),
        ("* * 0 * *", "`0` is no day of the month"),
        ("* * * 13 *", "`13` is no month"),
        ("* * * * 8", "`8` is no day of the week"),
        ("* * * * freitag", "`freitag` is no day of the week"),
        ("5-1 * * * *", "`5-1` is no minute"),
        ("*/0 * * * *", "`*/0` is no minute"),
        (", * * * *", "`` is no minute"),
        ("-1 * * * *", "`-1` is no minute"),
        ("0 0 30 2 *", "no month has such a day"),
        ("0 0 31 4,6,9,11 *", "no month has such a day"),
        (&"0,".repeat(200), "at most 256"),
    ];
    for (text, expected) in cases {
        let message = text.parse::<Cron>().expect_err(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
    assert!("0 0 31 2 1".parse::<Cron>().is_ok(), "either day is enough, and Mondays come");
}

/// What a minute of UTC has to be for a schedule to begin.
type Begins = fn(&jiff::Zoned) -> bool;

#[test]
fn begins_are_those_that_a_walk_over_all_minutes_finds() {
    let cases: [(&str, Begins); 4] = [
        ("*/25 3-5 * * *", |at| (3..=5).contains(&at.hour()) && [0, 25, 50].contains(&at.minute())),
        ("7 0 1,31 * 3", |at| {
            let day = [1, 31].contains(&at.day()) || at.weekday() == Weekday::Wednesday;
            day && at.hour() == 0 && at.minute() == 7
        }),
        ("0 12 * 12 sat,sun", |at| {
            let weekend = matches!(at.weekday(), Weekday::Saturday | Weekday::Sunday);
            at.month() == 12 && weekend && at.hour() == 12 && at.minute() == 0
        }),
        ("59 23 28-31 * *", |at| at.day() >= 28 && at.hour() == 23 && at.minute() == 59),
    ];
    for (schedule, begins) in cases {
        let mut walked = Vec::new();
        let mut found = Vec::new();
        let (from, until) = (at("2026-11-15T00:00:00Z"), at("2027-01-15T00:00:00Z"));
        let mut minute = from;
        while minute < until {
            minute += jiff::SignedDuration::from_mins(1);
            if begins(&minute.to_zoned(TimeZone::UTC)) {
                walked.push(minute);
            }
        }
        let mut after = from;
        while let Some(next) = cron(schedule).first_in(&TimeZone::UTC, after, until) {
            found.push(next);
            after = next;
        }
        assert_eq!(found, walked, "{schedule}");
        let backwards = walked.iter().map(|begin| cron(schedule).last_in(&TimeZone::UTC, from, *begin));
        assert!(backwards.eq(walked.iter().map(|begin| Some(*begin))), "{schedule}");
    }
}

#[test]
fn clocks_that_are_moved_skip_and_repeat_no_begin() {
    let berlin = TimeZoneDatabase::bundled().get("Europe/Berlin").expect("it is built in");
    let cases = [
        // 02:00 became 03:00 on the 29th.
        ("0 9 * * *", "2026-03-28T00:00:00Z", "2026-03-28T08:00:00Z"),
        ("0 9 * * *", "2026-03-29T00:00:00Z", "2026-03-29T07:00:00Z"),
        ("30 2 * * *", "2026-03-29T00:00:00Z", "2026-03-29T01:30:00Z"),
        ("30 2 * * *", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"),
        // 03:00 became 02:00 on the 25th: 02:30 is shown at 00:30Z and at 01:30Z.
        ("30 2 * * *", "2026-10-24T22:00:00Z", "2026-10-25T00:30:00Z"),
        ("30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
    ];
    for (schedule, after, expected) in cases {
        assert_eq!(next(schedule, &berlin, after).as_deref(), Some(expected), "{schedule} after {after}");
    }
}
