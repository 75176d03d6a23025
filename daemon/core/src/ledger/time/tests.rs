//! Each form that people type, seen from a Wednesday afternoon in Berlin.

use jiff::Zoned;

use super::{Moment, NoTime, parse};

fn now() -> Zoned {
    "2026-09-09T15:30:00+02:00[Europe/Berlin]".parse().expect("a time")
}

fn begin(text: &str) -> String {
    parse(text, &now()).map_or_else(|why| why.to_string(), |moment| moment.begin.to_string())
}

#[test]
fn instants_are_read() {
    for (text, expected) in [
        ("now", "2026-09-09T13:30:00Z"),
        ("@1788400800", "2026-09-03T02:00:00Z"),
        ("2026-09-03T02:00:00Z", "2026-09-03T02:00:00Z"),
        ("2026-09-03T02:00Z", "2026-09-03T02:00:00Z"),
        ("2026-09-03t02:00z", "2026-09-03T02:00:00Z"),
        ("2026-09-03T02:00+05:30", "2026-09-02T20:30:00Z"),
        ("2026-09-03 02:00 UTC", "2026-09-03T02:00:00Z"),
        ("2026-09-03 02:00:30 -0500", "2026-09-03T07:00:30Z"),
        ("2026-09-03 02:00", "2026-09-03T00:00:00Z"),
        ("2026-09-03 02:00 America/New_York", "2026-09-03T06:00:00Z"),
        ("2026-09-03 02:00 Europe/Amsterdam", "2026-09-03T00:00:00Z"),
        ("2026-09-03 02:00 America/Indiana/Indianapolis", "2026-09-03T06:00:00Z"),
        ("2026-09-03 02:00 +02:00", "2026-09-03T00:00:00Z"),
        ("Thu Sep 3 14:00:00 2026 +0200", "2026-09-03T12:00:00Z"),
    ] {
        assert_eq!(begin(text), expected, "{text}");
    }
}

#[test]
fn dates_are_read_in_words_and_in_every_order_that_is_clear() {
    let expected = "2026-09-02T22:00:00Z";
    for text in [
        "2026-09-03",
        "2026/9/3",
        "03.09.2026",
        "3 Sep 2026",
        "3 September 2026",
        "Sep 3, 2026",
        "September 3rd",
        "3-sep-2026",
        "the 3rd of September",
        "Thu Sep 3 2026",
        "Thu 3 Sep 2026",
        "last Thursday",
        "thu",
    ] {
        assert_eq!(begin(text), expected, "{text}");
    }
    assert_eq!(begin("8/31/2026"), "2026-08-30T22:00:00Z");
    assert_eq!(begin("31/8/2026"), "2026-08-30T22:00:00Z");
    assert_eq!(begin("wednesday"), "2026-09-01T22:00:00Z", "not today");
}

#[test]
fn times_of_day_are_read_with_and_without_a_date() {
    for (text, expected) in [
        ("14:00", "2026-09-09T12:00:00Z"),
        ("2pm", "2026-09-09T12:00:00Z"),
        ("2 pm", "2026-09-09T12:00:00Z"),
        ("2:30 pm", "2026-09-09T12:30:00Z"),
        ("12am", "2026-09-08T22:00:00Z"),
        ("yesterday", "2026-09-07T22:00:00Z"),
        ("yesterday 14:00", "2026-09-08T12:00:00Z"),
        ("yesterday at 2:05pm", "2026-09-08T12:05:00Z"),
        ("Monday 9am", "2026-09-07T07:00:00Z"),
        ("3 Sep 2pm", "2026-09-03T12:00:00Z"),
        ("today", "2026-09-08T22:00:00Z"),
        // It is not 23:00 yet.
        ("23:00", "2026-09-08T21:00:00Z"),
        // Here it is the 9th, on Kiritimati already the 10th, which began there while it was the 9th everywhere else.
        ("today 01:00 Pacific/Kiritimati", "2026-09-09T11:00:00Z"),
        ("3 Dec", "2025-12-02T23:00:00Z"),
        ("3-oct-2025", "2025-10-02T22:00:00Z"),
    ] {
        assert_eq!(begin(text), expected, "{text}");
    }
}

#[test]
fn times_that_count_back_are_read() {
    for (text, expected) in [
        ("2 hours ago", "2026-09-09T11:30:00Z"),
        ("2h", "2026-09-09T11:30:00Z"),
        ("90m", "2026-09-09T12:00:00Z"),
        ("1h 30m ago", "2026-09-09T12:00:00Z"),
        ("an hour ago", "2026-09-09T12:30:00Z"),
        ("7d", "2026-09-02T13:30:00Z"),
        ("2 weeks ago", "2026-08-26T13:30:00Z"),
        ("1 month ago", "2026-08-09T13:30:00Z"),
        ("90 days", "2026-06-11T13:30:00Z"),
    ] {
        assert_eq!(begin(text), expected, "{text}");
    }
}

#[test]
fn a_day_and_a_minute_last_to_their_end() {
    let end = |text: &str| parse(text, &now()).map(|Moment { end, .. }| end.to_string());
    assert_eq!(end("2026-09-03").as_deref(), Ok("2026-09-03T21:59:59.999999999Z"));
    assert_eq!(end("2026-09-03 14:00").as_deref(), Ok("2026-09-03T12:00:59.999999999Z"));
    assert_eq!(end("2026-09-03T14:00Z").as_deref(), Ok("2026-09-03T14:00:59.999999999Z"));
    assert_eq!(end("2026-09-03T14:00:05Z").as_deref(), Ok("2026-09-03T14:00:05.999999999Z"));
    // The day on which clocks go back has 25 hours.
    let day = parse("2026-10-25", &now()).expect("a day");
    assert_eq!(day.end.duration_since(day.begin).as_secs(), 25 * 3600 - 1);
    // The time that they show twice lasts from the first to the second; the one that they jump over is none.
    let twice = parse("2026-10-25 02:30", &now()).expect("a time");
    assert_eq!(twice.end.duration_since(twice.begin).as_secs(), 3600 + 59);
    assert!(matches!(parse("2026-03-29 02:30", &now()), Err(NoTime::Missing(_))));
}

#[test]
fn what_is_no_time_is_refused_with_what_to_type() {
    for text in [
        "",
        "soon",
        "2026-09-03 x",
        "14:00 15:00",
        "3 3 sep",
        "2026",
        "12",
        "2 pigs ago",
        "14:00:00:00",
        "monday tuesday",
        "-",
        "@x",
    ] {
        let refused = parse(text, &now());
        assert!(matches!(&refused, Err(NoTime::Unknown(_))), "{text}: {refused:?}");
    }
    for text in ["2026-02-30", "31 Sep 2026", "25:00", "13pm", "0 am"] {
        let refused = parse(text, &now());
        assert!(matches!(&refused, Err(NoTime::Missing(_))), "{text}: {refused:?}");
    }
    for text in ["9/3/2026", "10-11-2026", "03.09.26"] {
        let refused = parse(text, &now());
        assert!(matches!(&refused, Err(NoTime::Ambiguous(_))), "{text}: {refused:?}");
    }
    let long = "1 ".repeat(1_000_000);
    assert!(matches!(parse(&long, &now()), Err(NoTime::Unknown(shown)) if shown.len() <= 80));
}
