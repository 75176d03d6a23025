//! What runs, as it follows from records.

use super::builder::{app, change, deploy, record, running, time};
use crate::ledger::{At, Filter, Kind, Outcome, Result as How, State, Times};

#[test]
fn only_what_succeeded_changes_what_runs() {
    let mut state = State::default();
    let mut next = 0;
    let mut follow = |outcome: Outcome| {
        next += 1;
        let changes = state.follow(&record(next, None, outcome)).expect("JSON");
        let runs = state.get(&app("api")).map(|state| crate::ledger::version(&state.running));
        (changes.into_iter().map(|change| (change.path, change.text.is_some())).collect::<Vec<_>>(), runs)
    };
    let to = |tag: &str| vec![change("api", None, Some(running('9', tag)))];
    let file = "state/shop/api.json".to_owned();
    assert_eq!(follow(deploy(1, to("1"))), (vec![(file.clone(), true)], Some("1".to_owned())));
    for result in [How::Failed, How::RolledBack, How::Superseded] {
        let outcome = Outcome { result, ..deploy(2, to("2")) };
        assert_eq!(follow(outcome), (Vec::new(), Some("1".to_owned())), "{result}");
    }
    assert_eq!(follow(deploy(3, to("3"))), (vec![(file.clone(), true)], Some("3".to_owned())));
    assert_eq!(follow(deploy(4, vec![change("api", None, None)])), (vec![(file, false)], None));
    assert_eq!(follow(deploy(5, vec![change("api", None, None)])), (Vec::new(), None));
}

#[test]
fn a_file_says_what_runs_since_when_and_by_which_record() {
    let mut state = State::default();
    let outcome = deploy(1_000, vec![change("api", None, Some(running('9', "1")))]);
    let outcome = Outcome { times: Times { switched: Some(time(700)), ..outcome.times.clone() }, ..outcome };
    let changes = state.follow(&record(7, None, outcome)).expect("JSON");
    let [file] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(file.path, "state/shop/api.json");
    let json: serde_json::Value = serde_json::from_str(file.text.as_deref().expect("a text")).expect("JSON");
    assert_eq!((&json["app"], &json["seq"]), (&"shop/api".into(), &7.into()));
    assert_eq!(json["since"], time(700).to_string());
    assert_eq!(json["images"]["main"]["digest"], "sha256:1");
}

#[test]
fn what_ran_at_a_time_follows_from_what_was_over_and_names_what_was_under_way() {
    let records = [
        record(0, None, deploy(1_000, vec![change("api", None, Some(running('8', "1")))])),
        record(1, None, deploy(2_000, vec![change("api", None, Some(running('9', "2")))])),
    ];
    let at = |second| At::of(records.clone(), time(second)).expect("JSON");
    let runs = |second| at(second).state.get(&app("api")).map(|state| crate::ledger::version(&state.running));
    assert_eq!(runs(999), None);
    assert_eq!(runs(1_000).as_deref(), Some("1"));
    assert_eq!((runs(1_999).as_deref(), at(1_999).under_way.len()), (Some("1"), 1));
    assert_eq!(at(1_200).under_way.len(), 0, "not begun");
    assert_eq!((runs(2_000).as_deref(), at(2_000).under_way.len()), (Some("2"), 0));
}

#[test]
fn records_are_found_by_what_is_asked_for() {
    let one = record(0, None, deploy(1_000, vec![change("api", None, Some(running('9', "1")))]));
    let takes = |filter: Filter| filter.takes(&one);
    assert!(takes(Filter::default()));
    for (app, expected) in [("api", true), ("shop/api", true), ("shop", false), ("ap", false)] {
        assert_eq!(takes(Filter { app: Some(app.to_owned()), ..Filter::default() }), expected, "{app}");
    }
    for (since, until, expected) in [(1_000, 1_000, true), (1_001, 2_000, false), (0, 999, false)] {
        let filter = Filter { since: Some(time(since)), until: Some(time(until)), ..Filter::default() };
        assert_eq!(takes(filter), expected);
    }
    assert!(takes(Filter { commit: Some("9999".to_owned()), ..Filter::default() }));
    assert!(!takes(Filter { commit: Some("98".to_owned()), ..Filter::default() }));
    assert!(!takes(Filter { result: Some(How::Failed), ..Filter::default() }));
    assert!(!takes(Filter { env: Some("dev".parse().expect("a name")), ..Filter::default() }));
}

#[test]
fn what_nobody_knows_any_more_is_in_doubt_until_something_succeeds() {
    let mut state = State::default();
    let api = || vec![change("api", None, Some(running('9', "1")))];
    let mut follow = |seq, outcome: Outcome| {
        let record = record(seq, None, outcome);
        let changes = state.follow(&record).expect("JSON");
        (changes.len(), state.get(&app("api")).and_then(|state| state.doubt) == Some(record.id))
    };
    assert_eq!(follow(0, deploy(1, api())), (1, false));
    assert_eq!(follow(1, Outcome { result: How::Unknown, ..deploy(2, api()) }), (1, true));
    assert_eq!(follow(2, deploy(3, api())), (1, false));
    assert_eq!(follow(3, Outcome { kind: Kind::LedgerGap, ..deploy(4, Vec::new()) }), (1, true));
}

#[test]
fn what_got_traffic_ran_from_then_on_also_where_it_was_taken_back_later() {
    let moved = |second, at, result, tag: &str| {
        let outcome = deploy(second, vec![change("api", None, Some(running('9', tag)))]);
        Outcome { result, times: Times { switched: Some(time(at)), ..outcome.times.clone() }, ..outcome }
    };
    let records = [
        record(0, None, moved(1_000, 900, How::Succeeded, "1")),
        record(1, None, moved(2_000, 1_700, How::Succeeded, "2")),
        record(2, None, moved(3_000, 2_700, How::RolledBack, "3")),
        record(3, None, moved(4_000, 3_700, How::Failed, "4")),
    ];
    let runs = |second| {
        let at = At::of(records.clone(), time(second)).expect("JSON");
        at.state.get(&app("api")).map(|state| crate::ledger::version(&state.running))
    };
    for (second, expected) in [
        (899, None),
        (900, Some("1")),
        (1_699, Some("1")),
        (1_700, Some("2")),
        (2_699, Some("2")),
        (2_700, Some("3")),
        (2_999, Some("3")),
        (3_000, Some("2")),
        (3_800, Some("2")),
    ] {
        assert_eq!(runs(second).as_deref(), expected, "{second}");
    }
}

#[test]
fn the_parts_of_an_outcome_may_end_otherwise_than_the_whole() {
    let mut state = State::default();
    let mut apps = ["a", "b"].map(|name| change(name, None, Some(running('9', "1")))).to_vec();
    apps[1].result = Some(How::Failed);
    state.follow(&record(0, None, deploy(1, apps))).expect("JSON");
    assert!(state.get(&app("a")).is_some() && state.get(&app("b")).is_none());
}
