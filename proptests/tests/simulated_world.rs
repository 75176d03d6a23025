//! Seeded histories of the simulated world, in which every invariant must hold, and planted bugs, which must be found.
//!
//! `TIDEGATE_TEST_SEED=<n>` runs that one history (and `TIDEGATE_TEST_BUG=<name>` plants a bug in it); without it, a sample
//! runs, or, with `TIDEGATE_TEST=full`, many more.

use std::time::Instant;

use tidegate_proptests::world::bugs::Bug;
use tidegate_proptests::world::history::{History, Report};

fn is_full() -> bool {
    std::env::var("TIDEGATE_TEST").is_ok_and(|amount| amount == "full")
}

fn tell(seed: u64, report: &Report) -> String {
    let trace = report.trace.join("\n");
    let violation = report.violation.as_ref();
    let what = violation.map(|it| format!("invariant {}: {}", it.invariant, it.what)).unwrap_or_default();
    format!("{trace}\n{what}\nagain with TIDEGATE_TEST_SEED={seed}")
}

#[test]
fn every_invariant_holds_in_every_history() {
    if let Some(seed) = std::env::var("TIDEGATE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()) {
        let name = std::env::var("TIDEGATE_TEST_BUG").unwrap_or_default();
        let bug = Bug::ALL.into_iter().find(|bug| bug.to_string() == name);
        let report = History::new(seed, bug).run();
        assert!(report.violation.is_none(), "{}", tell(seed, &report));
        return;
    }
    let (most, seconds) = if is_full() { (6_000, 1_200) } else { (100, 40) };
    let begun = Instant::now();
    let mut all = Report::default();
    let mut histories = 0;
    for seed in 0..most {
        // A machine that is busy with other things sees fewer of them.
        if begun.elapsed().as_secs() > seconds {
            break;
        }
        histories += 1;
        let report = History::new(seed, None).run();
        assert!(report.violation.is_none(), "{}", tell(seed, &report));
        all.add(&report);
    }
    let Report { steps, requests, plans, kills, faults, moves, rollbacks, overtaken, strays, rest, .. } = all;
    println!(
        "{histories} histories, {steps} steps, {requests} requests, {plans} plans, {moves} moves of git and hands, {faults} faults, \
         {kills} kills, {rollbacks} rollbacks, {overtaken} writes of replicas that were overtaken ({strays} objects of which stay), longest way to rest {rest:#}, {:.1} s",
        begun.elapsed().as_secs_f64()
    );
}

/// So many histories at most are looked through for one planted bug.
const HISTORIES_PER_BUG: u64 = 400;

#[test]
fn every_planted_bug_is_found() {
    let begun = Instant::now();
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        let found = (0..HISTORIES_PER_BUG).find_map(|seed| {
            let report = History::new(seed, Some(bug)).run();
            Some((seed, report.violation?))
        });
        match found {
            Some((seed, violation)) => {
                let what: String = violation.what.chars().take(120).collect();
                println!("{bug}: history {seed}, invariant {}: {what}", violation.invariant);
            }
            None => missed.push(bug),
        }
    }
    println!("{} planted bugs, {:.1} s", Bug::ALL.len(), begun.elapsed().as_secs_f64());
    assert!(missed.is_empty(), "not found within {HISTORIES_PER_BUG} histories: {missed:?}");
}
