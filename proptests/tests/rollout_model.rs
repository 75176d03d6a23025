//! Blue/green of one workload in a small world, explored to its end over the core's own decision function: kills between any two
//! requests, two daemons, late writes, looks that are old, pods that flap, gates that say anything, people who edit and order. Every
//! S-invariant is asked in every state and step (`src/rollout/invariants.rs` says where), liveness in every state or in one in so
//! many, as it is printed.
//!
//! The short form is what `make test` has time for; `make test-full` asks for liveness in every state of it, and explores the large
//! worlds too, with an optimised build and `TIDEGATE_TEST_MODELS=large`, each up to 2 hours or 16 GiB
//! (`TIDEGATE_TEST_MODELS_BOUNDS=<minutes>,<GiB>` for others). `TIDEGATE_TEST_SEED` takes the same sample again.

use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tidegate_proptests::cases::is_full;
use tidegate_proptests::rollout::{
    ALWAYS, Bounds, Bug, End, Explored, Found, Limits, World, explore, gates, liveness, recovers,
};

/// More states than this are not looked at.
const CAP: usize = 60_000_000;
/// A world of `make test` that is larger than this is a mistake.
const SMALL: Bounds = Bounds::states(CAP);
/// Where a large world is left, told how far it got.
const LARGE: Bounds = Bounds { states: usize::MAX, time: Duration::from_hours(2), resident: 16 << 30 };
/// In the large worlds liveness is asked in one state in so many.
const LARGE_ONE_IN: usize = 1_000;

/// Liveness is asked in the first state alone.
const NEVER: usize = usize::MAX;

const ONE: Limits = Limits::ONE;
const TWO: Limits = Limits { daemons: 2, ..ONE };

fn say(what: &str) {
    let test = std::thread::current().name().unwrap_or("a model").to_owned();
    let _ = writeln!(std::io::stderr(), "{test}: {what}");
}

fn told(found: &Found) -> String {
    format!("{}\n{}", found.what, found.trace.join("\n"))
}

/// What is sampled, and nothing else, hangs on it; `TIDEGATE_TEST_SEED` takes the same sample again.
fn seed() -> usize {
    if let Ok(text) = std::env::var("TIDEGATE_TEST_SEED") {
        return text.parse().expect("TIDEGATE_TEST_SEED is a number");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    usize::try_from(now.as_secs()).unwrap_or_default()
}

/// Looks at every state of a world within the bounds, and asks for liveness in one in so many; any violation fails the test.
fn explored(limits: &Limits, bounds: &Bounds, one_in: usize) -> End {
    let (start, gates, seed) = (Instant::now(), gates(), seed());
    let (mut looked, mut asked) = (0_usize, 0_usize);
    let look = |world: &World| {
        looked += 1;
        // The first state always: a world in which nothing gets live says so at once.
        if looked > 1 && looked.wrapping_add(seed) % one_in != 0 {
            return Ok(());
        }
        asked += 1;
        liveness(world, limits, &gates)
    };
    let explored = explore(limits, bounds, look);
    let broken = explored.as_ref().err().map(told).unwrap_or_default();
    assert!(broken.is_empty(), "TIDEGATE_TEST_SEED={seed}, liveness in 1 of {one_in}: {broken}");
    let Ok(Explored { states, expanded, transitions, depth, end }) = explored else { return End::Complete };
    let far = match end {
        End::Complete => "to its end".to_owned(),
        End::States | End::Time | End::Memory => {
            let percent = expanded.saturating_mul(100) / states;
            format!("left at its bound ({end:?}), all ways gone from {expanded} states ({percent} %)")
        }
    };
    let liveness = match one_in {
        NEVER => "no liveness".to_owned(),
        _ => format!("liveness in {asked} states (1 of {one_in})"),
    };
    let took = start.elapsed();
    say(&format!(
        "{states} states, {transitions} transitions, {far}, {depth} steps from the beginning; {liveness}; {took:.1?}"
    ));
    end
}

/// Looks at every state of a small world, to its end: every rule in all of them, liveness in one in so many.
fn explore_all(limits: &Limits, one_in: usize) {
    let one_in = if is_full() { 1 } else { one_in };
    assert_eq!(explored(limits, &SMALL, one_in), End::Complete, "the world is larger than {CAP} states");
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
        Some(explored(limits, &large_bounds(), LARGE_ONE_IN))
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
fn one_daemon_keeps_every_rule_and_recovers() {
    explore_all(&ONE, 1);
}

#[test]
fn a_new_try_of_a_revision_keeps_every_rule_and_recovers() {
    explore_all(&Limits { revisions: 1, retries: 1, ..ONE }, 1);
}

#[test]
fn two_daemons_keep_every_rule_and_recover() {
    explore_all(&TWO, 4);
}

#[test]
fn writes_that_land_late_keep_every_rule_and_recover() {
    explore_all(&Limits { late: 1, ..ONE }, 4);
}

#[test]
fn looks_that_are_old_keep_every_rule_and_recover() {
    explore_all(&Limits { stale: true, ..ONE }, 2);
}

#[test]
fn followers_of_the_pointer_keep_every_rule_and_recover() {
    explore_all(&Limits { followers: true, ..ONE }, 2);
}

#[test]
fn taking_over_leaving_and_removing_keep_every_rule_and_recover() {
    explore_all(&Limits { adopts: true, ends: true, ..ONE }, 1);
}

/// Liveness is not asked: SHORTCOMINGS says what stays when git changes its mind in the middle of a removal.
#[test]
fn taking_over_leaving_and_removing_keep_every_rule_when_git_changes_its_mind() {
    let limits = Limits { adopts: true, ends: true, moves: 2, ..ONE };
    assert_eq!(explored(&limits, &SMALL, NEVER), End::Complete);
}

#[test]
fn two_daemons_that_take_over_leave_and_remove_keep_every_rule_and_recover() {
    explore_all(&Limits { adopts: true, ends: true, ..TWO }, 2);
}

#[test]
fn orders_keep_every_rule_and_recover() {
    explore_all(&Limits { orders: 1, ..ONE }, 20);
}

#[test]
fn pods_that_flap_keep_every_rule_and_recover() {
    explore_all(&Limits { flaps: 1, ..ONE }, 10);
}

#[test]
fn gates_that_do_not_know_keep_every_rule_and_recover() {
    explore_all(&Limits { unknowns: 1, ..ONE }, 3);
}

#[test]
fn git_that_cannot_be_read_keeps_every_rule_and_recovers() {
    explore_all(&Limits { unknown: true, ..ONE }, 2);
}

#[test]
fn edits_keep_every_rule_and_recover() {
    explore_all(&Limits { edits: 1, ..ONE }, 100);
}

#[test]
fn autoscalers_keep_every_rule_and_recover() {
    explore_all(&Limits { autoscales: true, scales: 1, ..ONE }, 30);
}

/// Looks for a planted bug by what it comes to; none where it is not found.
fn found(bug: Bug) -> Result<Found, Explored> {
    let (limits, gates) = (bug.world(), gates());
    let look = |world: &World| {
        let asked = if bug.shows_at_rest() { recovers(world, &limits, &gates) } else { Ok(()) };
        asked.map_err(|why| format!("liveness: {why}"))
    };
    match explore(&limits, &SMALL, look) {
        Ok(explored) => Err(explored),
        Err(found) => Ok(found),
    }
}

#[test]
fn every_planted_bug_is_found() {
    let (start, mut missed, mut count) = (Instant::now(), Vec::new(), 0);
    for bug in Bug::ALL {
        match found(bug) {
            Ok(Found { what, trace }) if what.starts_with(bug.breaks()) => {
                count += 1;
                say(&format!("{bug:?}: {what:.70}, after {} steps", trace.len()));
            }
            Ok(found) => {
                missed.push(format!("{bug:?} breaks another rule than {}: {}", bug.breaks(), told(&found)));
            }
            Err(explored) => missed.push(format!("{bug:?} ({explored:?})")),
        }
    }
    assert!(missed.is_empty(), "not found: {}", missed.join("\n"));
    say(&format!("{count} planted bugs looked for and found, in {:.1?}", start.elapsed()));
}

#[test]
fn a_step_that_leaves_a_side_out_is_seen_in_its_form() {
    for bug in Bug::ALL.into_iter().filter(|bug| bug.shows_in_form()) {
        let limits = Limits { judges_steps: true, daemons: 1, ..bug.world() };
        let found = explore(&limits, &SMALL, |_| Ok(())).err();
        let what = found.map(|found| found.what).unwrap_or_default();
        assert!(what.starts_with("S9:"), "{bug:?}: {what}");
    }
}

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

#[test]
fn large_two_daemons_that_take_over_and_leave_with_edits() {
    large(&Limits { adopts: true, ends: true, edits: 1, ..TWO });
}

#[test]
fn large_two_daemons_that_take_over_and_leave_with_orders() {
    large(&Limits { adopts: true, ends: true, orders: 1, ..TWO });
}
