//! Kills of a rollout by enumeration: a clean run of each scenario records the daemon's writes; then there is one run for every
//! write and every moment around it. After each the rollout ends as it would have without, no request has failed, and at no
//! moment in between did traffic go where it must not.
//!
//! `TIDEGATE_TEST=full` runs all of them, else a sample is taken. `TIDEGATE_TEST_SEED=<number>` takes the same sample
//! again; `TIDEGATE_TEST_FAULT=<text>` runs those whose name contains the text, `TIDEGATE_TEST_SCENARIOS=<names>` those of some
//! scenarios alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Instant;

use crate::enumerated::{is_full, say, seed, shuffled};
use crate::fault_run::Shape;
use crate::kill_run::{Place, Pods, Ran};
use crate::kill_scenario::{Kill, Scenario, Standing};

/// Runs side by side: they mostly wait.
const PLACES: usize = 5;
/// The one of them where running pods are taken over and let go; of all cases another one does some of them, since these pods
/// take their time to end.
const TAKING_OVER: usize = PLACES - 1;
/// Runs of a sample, and those of them in which running pods are taken over or let go.
const SAMPLE: usize = 18;
const SAMPLE_OF_TAKING_OVER: usize = 2;
/// After so many runs it is told how they went.
const TOLD_EVERY: usize = 50;
/// Failures of which everything is told.
const TOLD: usize = 5;
/// One run to be done.
struct Case {
    scenario: Scenario,
    shape: Shape,
    kill: Kill,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}: {}", self.scenario, self.shape, self.kill)
    }
}

/// The scenarios that a place records; each begins with an installation and a release.
const RECORDED: [&[Scenario]; PLACES] = [
    &[Scenario::Install, Scenario::Release, Scenario::Gone],
    &[Scenario::Rejected],
    &[Scenario::Fails],
    &[Scenario::Revert],
    &[Scenario::Leave, Scenario::Adopt, Scenario::Return],
];

fn scenarios_of(number: usize) -> &'static [Scenario] {
    RECORDED.get(number).copied().unwrap_or_default()
}

/// True for a scenario that is to be looked at.
fn is_asked(scenario: Scenario) -> bool {
    let name = format!("{scenario:?}");
    std::env::var("TIDEGATE_TEST_SCENARIOS").map_or(true, |names| names.split(',').any(|of| of == name))
}

/// The writes of each scenario, by clean runs side by side.
fn recorded(places: &mut BTreeMap<usize, Place>) -> BTreeMap<Scenario, Ran> {
    let all = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for (number, place) in places {
            let all = &all;
            scope.spawn(move || {
                for scenario in scenarios_of(*number).iter().filter(|scenario| is_asked(**scenario)) {
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
    let of_release = recorded.get(&Scenario::Release).map_or(&[][..], |ran| &ran.shapes);
    for (&scenario, Ran { shapes, beside, hit: _, answered: _, guarded: _ }) in recorded {
        let alike = match scenario {
            Scenario::Install
            | Scenario::Release
            | Scenario::Gone
            | Scenario::Adopt
            | Scenario::Return
            | Scenario::Leave => 0,
            Scenario::Rejected | Scenario::Fails | Scenario::Revert => {
                shapes.iter().zip(of_release).take_while(|(one, other)| one == other).count()
            }
        };
        let own: BTreeSet<&Shape> = shapes[alike..].iter().chain(beside).collect();
        let first =
            if alike > 0 { format!(", the first {alike} of them a release's") } else { String::new() };
        say(&format!("kills of a rollout: {scenario:?} has {} writes{first}", shapes.len() + beside.len()));
        for shape in own {
            cases.extend(Kill::ALL.map(|kill| Case { scenario, shape: shape.clone(), kill }));
        }
    }
    cases
}

fn chosen(cases: Vec<Case>, seed: u64) -> Vec<Case> {
    if let Ok(text) = std::env::var("TIDEGATE_TEST_FAULT") {
        return cases.into_iter().filter(|case| case.to_string().contains(&text)).collect();
    }
    let cases = shuffled(cases, seed);
    if is_full() {
        return cases;
    }
    let (taking, mut rest): (Vec<Case>, Vec<Case>) =
        cases.into_iter().partition(|case| case.scenario.is_of_taking_over());
    rest.truncate(SAMPLE - SAMPLE_OF_TAKING_OVER);
    rest.extend(taking.into_iter().take(SAMPLE_OF_TAKING_OVER));
    rest
}

/// The next case for a place: installations where there is no workload, and the first place makes room for them. What takes over
/// running pods, and what lets them go, has a place of its own, and takes from what stands there what it can.
fn next(queue: &mut Vec<Case>, number: usize, standing: Standing) -> Option<Case> {
    let at_hand = |case: &Case| match standing {
        Standing::Plain => case.scenario == Scenario::Adopt,
        Standing::Adopted => case.scenario == Scenario::Return,
        Standing::Absent | Standing::Single | Standing::Both => case.scenario == Scenario::Leave,
    };
    if number >= TAKING_OVER {
        let at = queue.iter().position(at_hand);
        let any = || queue.iter().position(|case| case.scenario.is_of_taking_over());
        return at.or_else(any).map(|at| queue.swap_remove(at));
    }
    let comes = |case: &Case| case.scenario == Scenario::Install;
    let goes = |case: &Case| case.scenario == Scenario::Gone;
    let fits = |case: &Case| match (standing, number) {
        (Standing::Absent, _) => comes(case),
        (_, 0) => goes(case),
        (_, _) => !comes(case) && !goes(case) && !case.scenario.is_of_taking_over(),
    };
    let any = || queue.iter().position(|case| !case.scenario.is_of_taking_over());
    let at = queue.iter().position(fits).or_else(any)?;
    Some(queue.swap_remove(at))
}

#[derive(Default)]
struct Results {
    failures: Vec<String>,
    counts: BTreeMap<&'static str, usize>,
    answered: u64,
    guarded: usize,
}

fn run_all(places: BTreeMap<usize, Place>, chosen: Vec<Case>) -> Results {
    let queue = Mutex::new(chosen);
    let results: Mutex<Results> = Mutex::default();
    std::thread::scope(|scope| {
        for (number, mut place) in places {
            let (queue, results) = (&queue, &results);
            scope.spawn(move || {
                loop {
                    let Some(case) = next(&mut queue.lock().unwrap(), number, place.standing()) else {
                        return;
                    };
                    let ran = place.run(case.scenario, Some((case.shape.clone(), case.kill)));
                    let mut results = results.lock().unwrap();
                    let result = match ran {
                        Ok(ran) => {
                            results.answered += ran.answered;
                            results.guarded += ran.guarded;
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
                    let done: usize = results.counts.values().sum();
                    if done.is_multiple_of(TOLD_EVERY) {
                        say(&format!("kills of a rollout: {done} done, {:?}", results.counts));
                    }
                }
            });
        }
    });
    results.into_inner().unwrap()
}

#[test]
fn a_daemon_killed_at_any_write_of_a_rollout_ends_it_as_it_would_have_and_no_request_fails() {
    let (seed, start) = (seed(), Instant::now());
    let place = |number| {
        let pods = if number >= TAKING_OVER { Pods::Paused } else { Pods::AtOnce };
        (number, Place::new(&format!("kill-{number}"), pods))
    };
    let asked = (0..PLACES).filter(|number| scenarios_of(*number).iter().copied().any(is_asked));
    let mut places: BTreeMap<usize, Place> = asked.map(place).collect();
    let recorded = recorded(&mut places);
    let of_recordings: usize = recorded.values().map(|ran| ran.guarded).sum();
    let cases = cases(&recorded);
    if is_full() && places.contains_key(&TAKING_OVER) {
        places.extend([place(PLACES)]);
    }
    say(&format!("kills of a rollout: recorded in {} s", start.elapsed().as_secs()));
    let total = cases.len();
    let chosen = chosen(cases, seed);
    let count = chosen.len();
    let Results { failures, counts, answered, guarded } = run_all(places, chosen);
    say(&format!(
        "kills of a rollout: {count} of {total} (write x moment), {counts:?}, {answered} requests and none failed where it is not \
         said, {} writes of rollouts and each guarded by what was read, in {} s; TIDEGATE_TEST_SEED={seed}",
        of_recordings + guarded,
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
