//! Blue/green in a small world, explored to its end over the real decision function.

use std::io::Write as _;
use std::time::Instant;

use tidegate_core::rollout::{Phase, Verdict};
use tidegate_proptests::rollout::{Bug, Explored, Limits, World, explore, gates, rest};

const ONE: Limits = Limits {
    revisions: 2,
    unknown: false,
    retries: 0,
    moves: 2,
    daemons: 1,
    late: 0,
    flaps: 0,
    edits: 0,
    unknowns: 0,
    bug: None,
};

fn say(text: &str) {
    let test = std::thread::current().name().unwrap_or("a model").to_owned();
    let _ = writeln!(std::io::stderr(), "{test}: {text}");
}

fn explored(limits: &Limits) -> Explored {
    let start = Instant::now();
    let explored = explore(limits, 3_000_000, |_| Ok(())).unwrap_or_else(|found| {
        panic!("{}\n{}", found.what, found.trace.join("\n"));
    });
    say(&format!("{explored:?} in {:.1?}", start.elapsed()));
    explored
}

#[test]
fn one_daemon_breaks_no_rule() {
    assert!(explored(&ONE).is_complete);
}
