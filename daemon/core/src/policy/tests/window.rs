//! When changes may be made.

use std::sync::Arc;

use jiff::Timestamp;

use super::{found, gate, named, read};
use crate::policy::{Cause, ChangeWindow, Closed, PolicyFolder, WindowState, window_state};

fn text(name: &str, spec: &str) -> String {
    format!("apiVersion: tidegate.dev/v1\nkind: ChangeWindow\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

fn window(name: &str, spec: &str) -> Arc<ChangeWindow> {
    let folder = read(&text(name, spec));
    let policies = folder.select(&[named(name)]).unwrap_or_else(|problems| panic!("{problems:#?}"));
    policies.windows.first().expect("a window").clone()
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// `open`, or what is said.
fn said(windows: &[Arc<ChangeWindow>], now: &str) -> String {
    match window_state(windows, at(now)) {
        WindowState::Open => "open".to_owned(),
        WindowState::Closed(closed) => closed.to_string(),
    }
}

const OFFICE: &str = "{timeZone: Europe/Berlin, allow: [{schedule: '0 9 * * 1-5', duration: 8h}]}";

#[test]
fn changes_may_be_made_within_an_allowed_time_to_its_last_second() {
    let windows = [window("office", OFFICE)];
    assert_eq!(said(&windows, "2026-11-20T08:00:00Z"), "open", "09:00 in Berlin");
    assert_eq!(said(&windows, "2026-11-20T15:59:59Z"), "open");
    let closed = "outside the times that office allows until 2026-11-23T08:00:00Z";
    assert_eq!(said(&windows, "2026-11-20T16:00:00Z"), closed, "the weekend begins");
    assert_eq!(said(&windows, "2026-11-22T12:00:00Z"), closed);
    assert_eq!(said(&[], "2026-11-22T12:00:00Z"), "open", "nothing is asked for");
}

#[test]
fn deny_wins_over_allow_and_a_freeze_over_both() {
    let monday = "{allow: [{schedule: '0 9 * * 1-5', duration: 8h}], \
                  deny: [{schedule: '0 8 * * 1', duration: 3h, reason: stand-up}]}";
    let freeze = "{freezes: [{from: 2026-12-20T00:00:00+01:00, until: '2027-01-07T00:00:00+01:00', reason: year end}]}";
    let windows = [window("hours", monday), window("year-end", freeze)];
    assert_eq!(
        said(&windows, "2026-11-23T09:30:00Z"),
        "closed by hours (stand-up) until 2026-11-23T11:00:00Z"
    );
    assert_eq!(said(&windows, "2026-11-23T11:00:00Z"), "open");
    let frozen = "frozen by year-end (year end) until 2027-01-07T09:00:00Z";
    assert_eq!(said(&windows, "2026-12-28T09:30:00Z"), frozen, "it opens when all of them are open");
    assert_eq!(
        said(&windows, "2026-12-19T22:59:59Z"),
        "outside the times that hours allows until 2027-01-07T09:00:00Z"
    );
}

#[test]
fn a_window_without_allowed_times_is_open_but_for_what_it_denies() {
    let windows = [window("lunch", "{deny: [{schedule: '0 12 * * *', duration: 1h}]}")];
    assert_eq!(said(&windows, "2026-11-22T11:59:59Z"), "open");
    assert_eq!(said(&windows, "2026-11-22T12:00:00Z"), "closed by lunch until 2026-11-22T13:00:00Z");
}

#[test]
fn all_windows_have_to_be_open() {
    let early = window("early", "{allow: [{schedule: '0 8 * * *', duration: 4h}]}");
    let late = window("late", "{allow: [{schedule: '0 11 * * *', duration: 4h}]}");
    let windows = [early, late];
    assert_eq!(
        said(&windows, "2026-11-22T09:00:00Z"),
        "outside the times that late allows until 2026-11-22T11:00:00Z"
    );
    assert_eq!(said(&windows, "2026-11-22T11:30:00Z"), "open");
    assert_eq!(
        said(&windows, "2026-11-22T12:00:00Z"),
        "outside the times that early allows until 2026-11-23T11:00:00Z"
    );
}

#[test]
fn windows_that_never_open_together_say_so_and_end_the_search() {
    let never =
        "{allow: [{schedule: '0 9 * * *', duration: 1h}], deny: [{schedule: '*/10 * * * *', duration: 10m}]}";
    let state = window_state(&[window("never", never)], at("2026-11-22T09:30:00Z"));
    let WindowState::Closed(Closed { window: name, cause, opens, location }) = &state else {
        panic!("{state:?}")
    };
    assert_eq!((name.as_str(), cause, opens), ("never", &Cause::Denied(None), &None));
    assert_eq!(location.to_string(), "policies/p.yaml:4:63", "the rule that says so");
    let far = "{freezes: [{from: '2026-01-01T00:00:00Z', until: '2036-01-01T00:00:00Z', reason: sold}]}";
    assert_eq!(
        said(&[window("far", far)], "2026-11-22T09:30:00Z"),
        "frozen by far (sold) for more than a year"
    );
}

#[test]
fn times_that_overlap_each_other_and_themselves_are_one() {
    let twice = "{deny: [{schedule: '0 0 * * *', duration: 36h}]}";
    let state = said(&[window("twice", twice)], "2026-11-22T09:30:00Z");
    assert_eq!(state, "closed by twice for more than a year", "each begins before the last is over");
    let two = "{deny: [{schedule: '0 8 * * *', duration: 4h}, {schedule: '0 11 * * *', duration: 4h}]}";
    assert_eq!(
        said(&[window("two", two)], "2026-11-22T09:00:00Z"),
        "closed by two until 2026-11-22T15:00:00Z"
    );
}

#[test]
fn times_follow_the_clocks_of_their_zone_and_last_by_elapsed_time() {
    let windows = [window("office", &OFFICE.replace("1-5", "*"))];
    assert_eq!(
        said(&windows, "2026-03-28T07:30:00Z"),
        "outside the times that office allows until 2026-03-28T08:00:00Z"
    );
    assert_eq!(said(&windows, "2026-03-29T07:00:00Z"), "open", "a day later the clocks were moved");
    // Begins at 22:00 by the old clocks, and lasts 8 hours whatever clocks show.
    let night =
        [window("night", "{timeZone: Europe/Berlin, allow: [{schedule: '0 22 * * *', duration: 8h}]}")];
    assert_eq!(said(&night, "2026-03-29T04:59:59Z"), "open", "06:59 in Berlin");
    assert_eq!(
        said(&night, "2026-03-29T05:00:00Z"),
        "outside the times that night allows until 2026-03-29T20:00:00Z"
    );
    let own = [window(
        "own",
        "{timeZone: UTC, allow: [{schedule: '0 9 * * *', duration: 1h, timeZone: Asia/Tokyo}]}",
    )];
    assert_eq!(said(&own, "2026-11-22T00:30:00Z"), "open", "09:30 in Tokyo");
}

#[test]
fn every_mistake_of_a_window_is_named_at_its_place() {
    let cases = [
        ("{}", "4:1: the window says nothing: write allow, deny or freezes"),
        ("{allow: []}", "4:8: spec.allow must be a sequence of 1 to 64 items"),
        ("{alow: [{}]}", "4:8: unknown field spec.alow"),
        ("{timeZone: Europe/Berln, freezes: []}", "4:18: there is no time zone `Europe/Berln`"),
        (
            "{allow: [{schedule: '0 9 * *', duration: 1h}]}",
            "4:27: a schedule has five fields (minute, hour, day of the month, month, day of the week), not 4",
        ),
        (
            "{allow: [{schedule: '0 9 * * *', duration: 32d}]}",
            "4:50: spec.allow[0].duration must be a duration like 30s, 5m or 1h30m, from 1s to 744h",
        ),
        ("{allow: [{schedule: '0 9 * * *'}]}", "4:16: spec.allow[0].duration is missing"),
        (
            "{freezes: [{from: '2027-01-01T00:00:00Z', until: '2026-01-01T00:00:00Z', reason: a}]}",
            "4:18: the freeze ends before it begins",
        ),
        (
            "{freezes: [{from: '2027-01-01', until: '2028-01-01T00:00:00Z', reason: a}]}",
            "4:25: spec.freezes[0].from must be a time like 2026-12-20T00:00:00+01:00",
        ),
        (
            "{freezes: [{from: '2027-01-01T00:00:00Z', until: '2028-01-01T00:00:00Z'}]}",
            "4:18: spec.freezes[0].reason is missing",
        ),
    ];
    for (spec, expected) in cases {
        let found = found(&text("a", spec));
        assert_eq!(found.first().map(String::as_str), Some(expected), "{spec}: {found:?}");
    }
    let berlin = read(&text("a", "{timeZone: Europe/Berln, deny: [{schedule: '0 9 * * *', duration: 1h}]}"))
        .problems();
    assert_eq!(berlin[0].help.as_deref(), Some("did you mean `Europe/Berlin`?"));
}

#[test]
fn a_rollout_waits_for_the_windows_of_its_environment_and_of_its_gates() {
    let files = [
        ("policies/p.yaml", gate("name: hours\nwindow: [early]")),
        ("policies/early.yaml", text("early", "{allow: [{schedule: '0 8 * * *', duration: 4h}]}")),
        ("policies/late.yaml", text("late", "{allow: [{schedule: '0 11 * * *', duration: 4h}]}")),
    ];
    let folder = PolicyFolder::read(&files.iter().map(|(path, text)| (*path, text.as_bytes())).collect());
    let opens = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| named(name)).collect();
        let policies = folder.select(&names).expect("good policies");
        let rollout = policies.rollouts.first().expect("a rollout policy");
        let state = policies.window_state(rollout, at("2026-11-22T12:00:00Z"));
        match state {
            WindowState::Open => "open".to_owned(),
            WindowState::Closed(closed) => closed.opens.map(|opens| opens.to_string()).unwrap_or_default(),
        }
    };
    assert_eq!(opens(&["p"]), "2026-11-23T08:00:00Z", "the gate brings its window");
    assert_eq!(opens(&["p", "late"]), "2026-11-23T11:00:00Z");
}

#[test]
fn a_gate_waits_for_windows_and_for_nothing_else() {
    let text = format!(
        "{}---\n{}",
        gate("name: hours\nwindow: [q]"),
        super::policy("").replace("{name: p}", "{name: q}")
    );
    assert_eq!(found(&text), ["8:7: `q` is no ChangeWindow, and a gate waits for windows only"]);
}
