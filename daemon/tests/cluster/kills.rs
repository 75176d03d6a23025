//! Kills of a rollout by enumeration: a clean run of each scenario records the daemon's writes; then there is one run for every
//! write and every moment around it. After each the rollout ends as it would have without, no request has failed, and at no
//! moment in between did traffic go where it must not.
//!
//! `TIDEGATE_TEST=full` runs all of them, else a sample is taken. `TIDEGATE_TEST_SEED=<number>` takes the same sample
//! again; `TIDEGATE_TEST_FAULT=<text>` runs those whose name contains the text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::enumerated::{is_full, say, seed, shuffled};
use crate::kill_run::{Place, Ran, Scenario, Shape, Standing};
use crate::support::Fault;

/// Runs side by side: they mostly wait.
const PLACES: usize = 4;
/// Runs of a sample.
const SAMPLE: usize = 16;
/// Failures of which everything is told.
const TOLD: usize = 5;
/// How long a write is under way when it lands late: its daemon has a successor by then.
const LATE: Duration = Duration::from_millis(1_500);

const KILLS: [(&str, Fault); 4] = [
    ("before", Fault::KillBefore),
    ("during", Fault::KillAfter),
    ("during, and it lands late", Fault::KillLate(LATE)),
    ("after", Fault::KillAnswered),
];

/// One run to be done.
struct Case {
    scenario: Scenario,
    shape: Shape,
    kill: (&'static str, Fault),
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}: kill -9 {}", self.scenario, self.shape, self.kill.0)
    }
}

/// The scenarios that a place records; each begins with an installation and a release.
const RECORDED: [&[Scenario]; PLACES] = [
    &[Scenario::Install, Scenario::Release, Scenario::Gone],
    &[Scenario::Rejected],
    &[Scenario::Fails],
    &[Scenario::Revert],
];

/// The writes of each scenario, by clean runs side by side.
fn recorded(places: &mut [Place]) -> BTreeMap<Scenario, Ran> {
    let all = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for (place, scenarios) in places.iter_mut().zip(RECORDED) {
            let all = &all;
            scope.spawn(move || {
                for scenario in scenarios {
                    let ran = place.run(*scenario, None);
                    let ran = ran.unwrap_or_else(|complaint| panic!("{scenario:?}: {complaint}"));
                    all.lock().unwrap().insert(*scenario, ran);
                }
            });
        }
    });
    all.into_inner().unwrap()
}

/// What ends otherwise than a release begins like one: a beginning that is the same is the release's.
fn cases(recorded: &BTreeMap<Scenario, Ran>) -> Vec<Case> {
    let mut cases = Vec::new();
    for scenario in Scenario::ALL {
        let Ran { shapes, beside, hit: _, answered: _ } = &recorded[&scenario];
        let alike = match scenario {
            Scenario::Install | Scenario::Release | Scenario::Gone => 0,
            Scenario::Rejected | Scenario::Fails | Scenario::Revert => shapes
                .iter()
                .zip(&recorded[&Scenario::Release].shapes)
                .take_while(|(one, other)| one == other)
                .count(),
        };
        let own: BTreeSet<&Shape> = shapes[alike..].iter().chain(beside).collect();
        let first =
            if alike > 0 { format!(", the first {alike} of them a release's") } else { String::new() };
        say(&format!("kills of a rollout: {scenario:?} has {} writes{first}", shapes.len() + beside.len()));
        for shape in own {
            cases.extend(KILLS.map(|kill| Case { scenario, shape: shape.clone(), kill }));
        }
    }
    cases
}

fn chosen(cases: Vec<Case>, seed: u64) -> Vec<Case> {
    if let Ok(text) = std::env::var("TIDEGATE_TEST_FAULT") {
        return cases.into_iter().filter(|case| case.to_string().contains(&text)).collect();
    }
    let mut cases = shuffled(cases, seed);
    if !is_full() {
        cases.truncate(SAMPLE);
    }
    cases
}

/// The next case for a place: installations where there is no workload, and the first place makes room for them.
fn next(queue: &mut Vec<Case>, number: usize, standing: Standing) -> Option<Case> {
    let comes = |case: &Case| case.scenario == Scenario::Install;
    let goes = |case: &Case| case.scenario == Scenario::Gone;
    let fits = |case: &Case| match (standing, number) {
        (Standing::Absent, _) => comes(case),
        (Standing::Single | Standing::Both, 0) => goes(case),
        (Standing::Single | Standing::Both, _) => !comes(case) && !goes(case),
    };
    let at = queue.iter().position(fits).or_else(|| queue.len().checked_sub(1))?;
    Some(queue.swap_remove(at))
}

#[derive(Default)]
struct Results {
    failures: Vec<String>,
    counts: BTreeMap<&'static str, usize>,
    answered: u64,
}

fn run_all(places: Vec<Place>, chosen: Vec<Case>) -> Results {
    let queue = Mutex::new(chosen);
    let results: Mutex<Results> = Mutex::default();
    std::thread::scope(|scope| {
        for (number, mut place) in places.into_iter().enumerate() {
            let (queue, results) = (&queue, &results);
            scope.spawn(move || {
                loop {
                    let Some(case) = next(&mut queue.lock().unwrap(), number, place.standing()) else {
                        return;
                    };
                    let ran = place.run(case.scenario, Some((case.shape.clone(), case.kill.1.clone())));
                    let mut results = results.lock().unwrap();
                    let result = match ran {
                        Ok(ran) => {
                            results.answered += ran.answered;
                            if ran.hit {
                                "hit"
                            } else {
                                say(&format!("kills of a rollout: not reached: {case}"));
                                "not reached"
                            }
                        }
                        Err(complaint) => {
                            say(&format!("kills of a rollout: failed: {case}"));
                            results.failures.push(format!("{case}\n{complaint}"));
                            "failed"
                        }
                    };
                    *results.counts.entry(result).or_default() += 1;
                }
            });
        }
    });
    results.into_inner().unwrap()
}

#[test]
fn a_daemon_killed_at_any_write_of_a_rollout_ends_it_as_it_would_have_and_no_request_fails() {
    let (seed, start) = (seed(), Instant::now());
    let mut places: Vec<Place> = (0..PLACES).map(|number| Place::new(&format!("kill-{number}"))).collect();
    let cases = cases(&recorded(&mut places));
    let total = cases.len();
    let chosen = chosen(cases, seed);
    let count = chosen.len();
    let Results { failures, counts, answered } = run_all(places, chosen);
    say(&format!(
        "kills of a rollout: {count} of {total} (write x moment), {counts:?}, {answered} requests and none failed where it is not \
         said, in {} s; TIDEGATE_TEST_SEED={seed}",
        start.elapsed().as_secs()
    ));
    assert!(
        failures.is_empty(),
        "{} of {count} failed with TIDEGATE_TEST_SEED={seed}:\n{}",
        failures.len(),
        failures.iter().take(TOLD).cloned().collect::<Vec<_>>().join("\n\n")
    );
    let missed = counts.get("not reached").copied().unwrap_or_default();
    assert!(missed * 5 <= count, "{missed} of {count} kills never came to their write");
}
