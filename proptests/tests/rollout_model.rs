//! Blue/green of one workload in a small world, explored to its end over the core's own decision function: kills between any two
//! requests, two daemons, late writes, looks that are old, pods that flap, gates that say anything, people who edit and order.
//!
//! The short form is what `make test` has time for; `make test-full` explores the large worlds too, with an optimised build and
//! `TIDEGATE_TEST_MODELS=large`.

use std::io::Write as _;
use std::time::Instant;

use tidegate_proptests::cases::is_full;
use tidegate_proptests::rollout::{ALWAYS, Bug, Explored, Found, Limits, World, explore, gates, recovers};

/// More states than this are not looked at.
const CAP: usize = 60_000_000;

const ONE: Limits = Limits::ONE;
const TWO: Limits = Limits { daemons: 2, ..ONE };

fn say(what: &str) {
    let test = std::thread::current().name().unwrap_or("a model").to_owned();
    let _ = writeln!(std::io::stderr(), "{test}: {what}");
}

fn told(found: &Found) -> String {
    format!("{}\n{}", found.what, found.trace.join("\n"))
}

/// Looks at every state of a world, to its end.
fn explore_all(limits: &Limits, look: impl FnMut(&World) -> Result<(), String>) {
    let start = Instant::now();
    let explored = explore(limits, CAP, look);
    let broken = explored.as_ref().err().map(told).unwrap_or_default();
    assert!(broken.is_empty(), "{broken}");
    let Ok(Explored { states, transitions, is_complete }) = explored else { return };
    say(&format!("{states} states, {transitions} transitions, {:.1?}", start.elapsed()));
    assert!(is_complete, "the world is larger than {CAP} states");
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

/// The large worlds, by name; `make test` leaves them out.
fn large(limits: &Limits) {
    if std::env::var("TIDEGATE_TEST_MODELS").is_ok_and(|models| models == "large") {
        keeps_every_rule(limits);
    } else {
        say("left to `make test-full`");
    }
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
        match explore(&limits, CAP, look) {
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
    large(&Limits { revisions: 3, retries: 1, moves: 3, unknown: true, unknowns: ALWAYS, ..ONE });
}

#[test]
fn large_two_daemons_with_gates_that_do_not_know() {
    large(&Limits { moves: ALWAYS, unknowns: ALWAYS, ..TWO });
}

#[test]
fn large_two_daemons_with_old_looks() {
    large(&Limits { stale: true, ..TWO });
}

#[test]
fn large_two_daemons_that_install() {
    large(&Limits { revisions: 1, moves: 0, flaps: ALWAYS, unknowns: ALWAYS, late: 1, ..TWO });
}

#[test]
fn large_followers_with_late_writes() {
    large(&Limits { followers: true, late: 2, ..ONE });
}

#[test]
fn large_two_daemons_with_flapping_and_one_commit() {
    large(&Limits { flaps: ALWAYS, ..TWO });
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
