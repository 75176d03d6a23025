//! Faults by enumeration: a clean run of each scenario records the daemon's calls; then there is one run for every call
//! and every fault. After each the environment converges, with no orphan, nothing made twice, and no delete of what is not
//! ours.
//!
//! `TIDEGATE_TEST=full` runs all of them, else a sample is taken. `TIDEGATE_TEST_SEED=<number>` takes the same sample
//! again; `TIDEGATE_TEST_FAULT=<text>` runs those whose name contains the text.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::fault_run::{Place, Scenario, Shape};
use crate::request_order;
use crate::support::Fault;

/// Runs side by side: they mostly wait.
const PLACES: usize = 6;
/// Runs of a sample.
const SAMPLE: usize = 60;
/// Failures of which everything is told.
const TOLD: usize = 5;

const FAULTS: [(&str, Fault); 7] = [
    ("lost reply", Fault::LostReply),
    ("lost request", Fault::LostRequest),
    ("409", Fault::Status(409)),
    ("429", Fault::Status(429)),
    ("500", Fault::Status(500)),
    ("kill -9 before", Fault::KillBefore),
    ("kill -9 after", Fault::KillAfter),
];

/// One run to be done.
struct Case {
    scenario: Scenario,
    shape: Shape,
    fault: (&'static str, Fault),
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}: {}", self.scenario, self.shape, self.fault.0)
    }
}

/// Says it even where the output of tests is captured.
pub fn say(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

fn enumerate(place: &mut Place) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut compared = 0;
    for scenario in Scenario::ALL {
        let ran = place.run(scenario, None).unwrap_or_else(|complaint| panic!("{scenario:?}: {complaint}"));
        let mut shapes = ran.shapes;
        let listed =
            request_order::compare(scenario, &shapes).unwrap_or_else(|complaint| panic!("{complaint}"));
        compared += u32::from(listed.is_some());
        let listed = listed.map(|count| format!(", {count} of them those of the simulated daemon, in order"));
        shapes.sort();
        let count = shapes.len();
        say(&format!("enumerated faults: {scenario:?} has {count} calls{}", listed.unwrap_or_default()));
        for shape in shapes {
            for fault in FAULTS {
                cases.push(Case { scenario, shape: shape.clone(), fault });
            }
        }
    }
    assert_eq!(compared, 4, "install, update, prune and repair are held to the list");
    cases
}

/// The cases of a seed, in an order that is the same for the same seed: Fisher and Yates, with a multiplicative generator.
pub fn shuffled<T>(mut cases: Vec<T>, seed: u64) -> Vec<T> {
    let mut state = seed % 2_147_483_646 + 1;
    for last in (1..cases.len()).rev() {
        state = state * 48_271 % 2_147_483_647;
        cases.swap(last, usize::try_from(state).unwrap() % (last + 1));
    }
    cases
}

fn chosen(cases: Vec<Case>, seed: u64) -> Vec<Case> {
    if let Ok(text) = std::env::var("TIDEGATE_TEST_FAULT") {
        return cases.into_iter().filter(|case| case.to_string().contains(&text)).collect();
    }
    let mut cases = shuffled(cases, seed);
    if is_full() {
        return cases;
    }
    cases.truncate(SAMPLE);
    cases
}

/// All cases are to be run, not a sample of them.
pub fn is_full() -> bool {
    std::env::var("TIDEGATE_TEST").is_ok_and(|amount| amount == "full")
}

pub fn seed() -> u64 {
    match std::env::var("TIDEGATE_TEST_SEED") {
        Ok(text) => text.parse().expect("TIDEGATE_TEST_SEED is a number"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs(),
    }
}

#[test]
fn after_any_fault_in_any_call_it_converges_without_orphans_duplicates_or_wrong_deletes() {
    let (seed, start) = (seed(), Instant::now());
    let mut first = Place::new("enu-0");
    let cases = enumerate(&mut first);
    let total = cases.len();
    let chosen = chosen(cases, seed);
    let count = chosen.len();
    let queue = Mutex::new(chosen);
    let results: Mutex<(Vec<String>, BTreeMap<&str, usize>)> = Mutex::default();
    std::thread::scope(|scope| {
        let mut places = vec![first];
        places.extend((1..PLACES).map(|number| Place::new(&format!("enu-{number}"))));
        for mut place in places {
            let (queue, results) = (&queue, &results);
            scope.spawn(move || {
                loop {
                    let Some(case) = queue.lock().unwrap().pop() else { return };
                    let target = (case.shape.clone(), case.fault.1.clone());
                    let ran = place.run(case.scenario, Some(target));
                    let mut results = results.lock().unwrap();
                    let result = match ran {
                        Ok(ran) if ran.hit => "hit",
                        // The order of calls that run side by side is not always the same.
                        Ok(_) => "not reached",
                        Err(complaint) => {
                            results.0.push(format!("{case}\n{complaint}"));
                            "failed"
                        }
                    };
                    *results.1.entry(result).or_default() += 1;
                }
            });
        }
    });
    let (failures, counts) = results.into_inner().unwrap();
    say(&format!(
        "enumerated faults: {count} of {total} (call x fault), {counts:?}, in {} s; TIDEGATE_TEST_SEED={seed}",
        start.elapsed().as_secs()
    ));
    assert!(
        failures.is_empty(),
        "{} of {count} failed with TIDEGATE_TEST_SEED={seed}:\n{}",
        failures.len(),
        failures.iter().take(TOLD).cloned().collect::<Vec<_>>().join("\n\n")
    );
    let missed = counts.get("not reached").copied().unwrap_or_default();
    assert!(missed * 5 <= count, "{missed} of {count} faults never came to their call");
}
