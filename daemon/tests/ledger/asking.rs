//! What is asked of a log: what ran at a time, without all of its records being read; one record of many.

use gix::ObjectId;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tidegate::ledger::{Inscribed, Log, at, find};
use tidegate_core::ledger::{At, Outcome};
use tidegate_proptests::cases::Cases;
use tidegate_proptests::ledger::outcomes;

use crate::scene::{Scene, generated};

fn log(scene: &Scene) -> Log {
    scene.store.logs().expect("branches").remove(0)
}

/// Every time at which an answer could change, and what lies beside it.
fn moments(outcomes: &[Outcome]) -> Vec<Timestamp> {
    let times = outcomes.iter().flat_map(|outcome| {
        let times = &outcome.times;
        [Some(times.finished), times.started, times.switched].into_iter().flatten()
    });
    let beside = [-1_000_000_000, -1_000_000, -1, 0, 1, 1_000_000, 1_000_000_000];
    times.flat_map(|time| beside.map(|nanos| time + SignedDuration::from_nanos(nanos))).collect()
}

#[test]
fn what_ran_is_answered_by_the_files_as_by_all_records_at_any_time() {
    let cases = Cases { sample: 12, full: 400 };
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..cases.config() });
    let logs = (outcomes(1..14), any::<prop::sample::Index>());
    runner
        .run(&logs, |(outcomes, anywhere)| {
            let (scene, written) = Scene::of(&outcomes);
            let records: Vec<_> = written.iter().map(|inscribed| inscribed.record.clone()).collect();
            let mut moments = moments(&outcomes);
            // Some of many; those about one record each time.
            let start = anywhere.index(moments.len());
            moments.rotate_left(start);
            for time in moments.into_iter().take(60) {
                let slow = At::of(records.clone(), time).expect("JSON");
                let fast = at(&scene.store, &log(&scene), time).expect("readable");
                prop_assert_eq!(&fast.at, &slow, "{}", time);
                let last = slow.last.map(|last| last.seq);
                let commit = last.and_then(|seq| written.get(usize::try_from(seq).expect("few")));
                prop_assert_eq!(fast.commit, commit.map(|inscribed| inscribed.commit));
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_ran_is_answered_from_all_epochs_of_a_log() {
    let outcomes = generated(6);
    let (scene, written) = Scene::of(&outcomes[..3]);
    let mut pen = scene.pen();
    pen.leave(None).expect("another epoch");
    let later: Vec<_> = outcomes[3..].iter().map(|outcome| scene.append(&mut pen, outcome)).collect();
    let records: Vec<_> = written.iter().chain(&later).map(|inscribed| inscribed.record.clone()).collect();
    for time in moments(&outcomes) {
        let fast = at(&scene.store, &log(&scene), time).expect("readable");
        assert_eq!(fast.at, At::of(records.clone(), time).expect("JSON"), "{time}");
    }
}

#[test]
fn a_record_is_found_by_its_id_its_number_and_its_commit() {
    let (scene, written) = Scene::of(&generated(6));
    let log = log(&scene);
    let find = |text: &str| find(&scene.store, &[&log], text).expect("readable");
    for Inscribed { record, commit } in &written {
        let id = record.id.to_string();
        let names = [
            id.clone(),
            id.to_lowercase(),
            format!("#{}", record.seq),
            record.seq.to_string(),
            commit.to_string(),
            commit.to_hex_with_len(12).to_string(),
            id.chars().take(25).collect(),
        ];
        for name in names {
            let hits = find(&name);
            assert_eq!((hits.total, hits.hits[0].commit), (1, *commit), "{name}");
            assert_eq!(&hits.hits[0].record, record);
        }
    }
    let all: Vec<ObjectId> = find("01").hits.iter().map(|hit| hit.commit).collect();
    assert_eq!(all, written.iter().rev().map(|inscribed| inscribed.commit).collect::<Vec<_>>());
    for text in ["", "6", "#", "#x", "zzzz", "0123456789abcdef0123456789abcdef01234567"] {
        assert_eq!(find(text).total, 0, "{text}");
    }
}
