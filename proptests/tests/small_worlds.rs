//! Small worlds, walked to the end: every way of two replicas, kills, late and lost writes, stale watches, hands and git through
//! one environment with one or two objects.

use std::time::Instant;

use tidegate_proptests::world::bugs::Bug;
use tidegate_proptests::world::model::{Explored, Model, explore};
use tidegate_proptests::world::models::models;

/// Planted bugs that a small world can express, and in which; the others need what is not in it (Leases, rewinds, reads that
/// fail, a budget, an object made anew by others).
const FOUND_HERE: [(Bug, &str); 12] = [
    (Bug::ForgottenBeforeDeleted, "another object, kills"),
    (Bug::InventoryAfterWrite, "another object, kills"),
    (Bug::LiveWithoutReadBack, "a change, hands"),
    (Bug::LastGoodDropped, "a broken commit"),
    (Bug::CommitNotClaimed, "a change, hands"),
    (Bug::MissingFolderDeletes, "a folder that goes"),
    (Bug::SuspensionIgnored, "a suspension"),
    (Bug::DeletionNotRepaired, "a change, hands"),
    (Bug::HoldForgotten, "a commit that goes back"),
    (Bug::HoldWrittenLate, "a commit that goes back"),
    (Bug::DeadlineIgnored, "a commit that goes back"),
    (Bug::GoodUnproven, "a commit that goes back"),
];

/// A model with more states than this is not small.
const MOST_STATES: usize = 400_000;

fn is_full() -> bool {
    std::env::var("TIDEGATE_TEST").is_ok_and(|amount| amount == "full")
}

fn tell(model: &Model, explored: &Explored) -> String {
    let Some((violation, way)) = &explored.violation else { return String::new() };
    format!("{}\n{}: invariant {}: {}", way.join("\n"), model.name, violation.invariant, violation.what)
}

#[test]
fn every_way_through_a_small_world_keeps_every_invariant_and_ends_as_git_asks() {
    let (mut states, mut transitions, mut ends, mut walked) = (0, 0, 0, 0);
    let begun = Instant::now();
    let chosen = models(is_full());
    let only = std::env::var("TIDEGATE_TEST_MODEL").unwrap_or_default();
    for model in chosen.iter().filter(|model| model.name.contains(&only)) {
        let begun = Instant::now();
        let explored = explore(model, None, MOST_STATES);
        println!(
            "{}: explored {} states, {} transitions, {} ends, {:.1} s",
            model.name,
            explored.states,
            explored.transitions,
            explored.ends,
            begun.elapsed().as_secs_f64()
        );
        assert!(explored.violation.is_none(), "{}", tell(model, &explored));
        assert!(explored.complete, "{}: not walked to the end", model.name);
        assert!(explored.ends > 0, "{}: it never came to rest", model.name);
        states += explored.states;
        transitions += explored.transitions;
        ends += explored.ends;
        walked += 1;
    }
    println!(
        "explored {states} states, {transitions} transitions, {ends} ends in {walked} of {} models, {:.1} s",
        models(true).len(),
        begun.elapsed().as_secs_f64()
    );
}

#[test]
fn planted_bugs_that_a_small_world_can_express_are_found_in_it() {
    let mut missed = Vec::new();
    for (bug, name) in FOUND_HERE {
        let mut models = models(true).into_iter().filter(|model| model.name == name);
        let found = models.find_map(|model| {
            let explored = explore(&model, Some(bug), MOST_STATES);
            explored.violation.map(|(violation, _)| (explored.states, violation))
        });
        match found {
            Some((states, violation)) => {
                let what: String = violation.what.chars().take(120).collect();
                println!("{bug}: {name}, after {states} states, invariant {}: {what}", violation.invariant);
            }
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
