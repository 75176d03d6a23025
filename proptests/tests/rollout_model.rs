//! Blue/green of one workload in a small world, explored to its end over the core's own decision function: kills between any two
//! requests, two daemons, late writes, looks that are old, pods that flap, gates that say anything, people who edit and order.
//!
//! The short form is what `make test` has time for; `make test-full` explores the large worlds too, with an optimised build and
//! `TIDEGATE_TEST_MODELS=large`.

use std::io::Write as _;
use std::time::{Duration, Instant};

use tidegate_proptests::cases::is_full;
use tidegate_proptests::rollout::{
    ALWAYS, Bounds, Bug, End, Explored, Found, Limits, World, explore, gates, recovers,
};

/// More states than this are not looked at.
const CAP: usize = 60_000_000;
/// A world of `make test` that is larger than this is a mistake.
const SMALL: Bounds = Bounds::states(CAP);
/// Where a large world is left, told how far it got: two at a time, all worlds within 2 hours and 16 GiB.
const LARGE: Bounds = Bounds { states: usize::MAX, time: Duration::from_mins(20), resident: 16 << 30 };

const ONE: Limits = Limits::ONE;
const TWO: Limits = Limits { daemons: 2, ..ONE };

fn say(what: &str) {
    let test = std::thread::current().name().unwrap_or("a model").to_owned();
    let _ = writeln!(std::io::stderr(), "{test}: {what}");
}

fn told(found: &Found) -> String {
    format!("{}\n{}", found.what, found.trace.join("\n"))
}

/// Looks at every state of a world within the bounds; any violation fails the test.
fn explored(limits: &Limits, bounds: &Bounds, look: impl FnMut(&World) -> Result<(), String>) -> End {
    let start = Instant::now();
    let explored = explore(limits, bounds, look);
    let broken = explored.as_ref().err().map(told).unwrap_or_default();
    assert!(broken.is_empty(), "{broken}");
    let Ok(Explored { states, expanded, transitions, end }) = explored else { return End::Complete };
    let far = match end {
        End::Complete => "to its end".to_owned(),
        End::States | End::Time | End::Memory => {
            let percent = expanded.saturating_mul(100) / states;
            format!("left at its bound ({end:?}), all ways gone from {expanded} states ({percent} %)")
        }
    };
    say(&format!("{states} states, {transitions} transitions, {far}, {:.1?}", start.elapsed()));
    end
}

/// Looks at every state of a small world, to its end.
fn explore_all(limits: &Limits, look: impl FnMut(&World) -> Result<(), String>) {
    assert_eq!(explored(limits, &SMALL, look), End::Complete, "the world is larger than {CAP} states");
}

/// Every state of this world keeps every rule.
fn keeps_every_rule(limits: &Limits) {
    explore_all(limits, |_| Ok(()));
}

/// And from every state a new good revision gets live.
fn recovers_from_anywhere(limits: &Limits) {
    let gates = gates();
    explore_all(limits, |world| recovers(world, limits, &gates));
}

/// Those of [`LARGE`], or other minutes and GiB: `TIDEGATE_TEST_MODELS_BOUNDS=15,8`.
fn large_bounds() -> Bounds {
    let Ok(text) = std::env::var("TIDEGATE_TEST_MODELS_BOUNDS") else { return LARGE };
    let numbers = text.split_once(',').map(|(minutes, gib)| (minutes.parse(), gib.parse::<u64>()));
    let Some((Ok(minutes), Ok(gib))) = numbers else {
        assert!(text.is_empty(), "TIDEGATE_TEST_MODELS_BOUNDS is MINUTES,GIB");
        return LARGE;
    };
    Bounds { time: Duration::from_mins(minutes), resident: gib << 30, ..LARGE }
}

/// A large world, which `make test` leaves out. It says how far it got; none where it was left out.
fn large(limits: &Limits) -> Option<End> {
    if std::env::var("TIDEGATE_TEST_MODELS").is_ok_and(|models| models == "large") {
        Some(explored(limits, &large_bounds(), |_| Ok(())))
    } else {
        say("left to `make test-full`");
        None
    }
}

/// One that the design counts among those that were explored completely.
fn large_to_its_end(limits: &Limits) {
    let end = large(limits);
    assert!(matches!(end, None | Some(End::Complete)), "there is more of it: {end:?}");
}

#[test]
fn one_daemon_recovers_from_anywhere() {
    recovers_from_anywhere(&ONE);
}

#[test]
fn a_new_try_of_a_revision_recovers_from_anywhere() {
    recovers_from_anywhere(&Limits { revisions: 1, retries: 1, moves: 1, ..ONE });
}

#[test]
fn two_daemons_keep_every_rule() {
    keeps_every_rule(&TWO);
}

#[test]
fn writes_that_land_late_keep_every_rule() {
    keeps_every_rule(&Limits { late: 1, ..ONE });
}

#[test]
fn looks_that_are_old_keep_every_rule() {
    keeps_every_rule(&Limits { stale: true, ..ONE });
}

#[test]
fn followers_of_the_pointer_keep_every_rule() {
    keeps_every_rule(&Limits { followers: true, ..ONE });
}

#[test]
fn taking_over_leaving_and_removing_keep_every_rule() {
    recovers_from_anywhere(&Limits { adopts: true, ends: true, ..ONE });
}

#[test]
fn two_daemons_that_take_over_leave_and_remove_keep_every_rule() {
    keeps_every_rule(&Limits { adopts: true, ends: true, ..TWO });
}

#[test]
fn orders_keep_every_rule() {
    keeps_every_rule(&Limits { orders: 1, revisions: 2, ..ONE });
}

#[test]
fn every_planted_bug_is_found() {
    let gates = gates();
    let mut missed = Vec::new();
    let mut found = 0;
    let sample = Bug::ALL.into_iter().enumerate().filter(|(at, _)| is_full() || at % SAMPLE == 0);
    for (_, bug) in sample {
        let limits = bug.world();
        let look = |world: &World| {
            if bug.shows_at_rest() { recovers(world, &limits, &gates) } else { Ok(()) }
        };
        match explore(&limits, &SMALL, look) {
            Ok(explored) => missed.push(format!("{bug:?} ({explored:?})")),
            Err(trace) => {
                found += 1;
                say(&format!("{bug:?}: {:.60}, after {} steps", trace.what, trace.trace.len()));
            }
        }
    }
    assert!(missed.is_empty(), "not found: {}", missed.join(", "));
    say(&format!("{found} of {} planted bugs looked for and found", Bug::ALL.len()));
}

/// One planted bug in so many is looked for where time is short.
const SAMPLE: usize = 3;

#[test]
fn large_one_daemon_with_three_revisions_and_retries() {
    large_to_its_end(&Limits { revisions: 3, retries: 1, moves: 3, unknown: true, unknowns: ALWAYS, ..ONE });
}

#[test]
fn large_two_daemons_with_gates_that_do_not_know() {
    large_to_its_end(&Limits { moves: ALWAYS, unknowns: ALWAYS, ..TWO });
}

#[test]
fn large_two_daemons_with_old_looks() {
    large_to_its_end(&Limits { stale: true, ..TWO });
}

#[test]
fn large_two_daemons_that_install() {
    large_to_its_end(&Limits { revisions: 1, moves: 0, flaps: ALWAYS, unknowns: ALWAYS, late: 1, ..TWO });
}

#[test]
fn large_followers_with_late_writes() {
    large_to_its_end(&Limits { followers: true, late: 2, ..ONE });
}

#[test]
fn large_two_daemons_with_flapping_and_one_commit() {
    large_to_its_end(&Limits { flaps: ALWAYS, ..TWO });
}

#[test]
fn large_edits_with_a_late_write() {
    large(&Limits { edits: 1, late: 1, ..ONE });
}

#[test]
fn large_taking_over_with_edits_and_orders() {
    large(&Limits { adopts: true, ends: true, edits: 1, orders: 1, ..ONE });
}

#[test]
fn large_autoscalers() {
    large(&Limits { autoscales: true, scales: ALWAYS, ..ONE });
}

#[test]
fn large_two_daemons_that_take_over_and_leave_with_late_writes() {
    large(&Limits { adopts: true, ends: true, late: 1, ..TWO });
}

#[test]
fn large_two_daemons_with_autoscalers() {
    large(&Limits { autoscales: true, scales: 1, ..TWO });
}

#[test]
fn large_two_daemons_with_three_revisions_and_flapping() {
    large(&Limits { revisions: 3, moves: 2, flaps: ALWAYS, unknowns: ALWAYS, ..TWO });
}
