//! Several gates in one bake: what they come to together, and which of them is asked next.

use super::super::{Asked, Bake, Phase, Reason, Slot, Stage, Step, Verdict, Write};
use super::scene::{NOW, Scene, ago, gate, later, minutes};

/// Two gates watch: `errors`, then `latency`.
fn watched_by_two() -> Scene {
    let mut scene = Scene::baking();
    scene.gates.while_baking = vec![gate("errors"), gate("latency")];
    scene
}

fn says(scene: &mut Scene, name: &str, verdict: Verdict) {
    let stage = Stage::Baking(scene.record().switched_at);
    scene.says(Slot::Green, name, stage, verdict);
}

/// This gate answered so many minutes ago, and is not asked again for so many from then on.
fn was_asked(scene: &mut Scene, name: &str, before: i64, every: i64) {
    let stage = Stage::Baking(scene.record().switched_at);
    let held = scene.held(Slot::Green);
    let (revision, attempt) = (held.revision, held.attempt);
    let at = ago(before);
    let again = at.checked_add(minutes(every)).expect("within the year");
    scene.asked.retain(|asked| asked.gate != gate(name));
    scene.asked.push(Asked { gate: gate(name), stage, revision, attempt, at, again });
}

fn asks(scene: &Scene, name: &str) {
    let Step::Ask(question) = scene.decide().step else { panic!("{:?}", scene.decide()) };
    assert_eq!(question.gate, gate(name), "{:?}", scene.asked);
}

fn is_rolled_back_for(scene: &Scene, name: &str) {
    assert_eq!(scene.phase(), Phase::RollBack);
    let reason = scene.pointed().rejected.map(|rejected| rejected.reason);
    assert_eq!(reason, Some(Reason::Gate(gate(name).name)));
}

#[test]
fn a_second_gate_that_fails_after_the_first_has_passed_moves_traffic_back() {
    let mut scene = watched_by_two();
    says(&mut scene, "errors", Verdict::Pass);
    asks(&scene, "latency");
    says(&mut scene, "latency", Verdict::Fail);
    is_rolled_back_for(&scene, "latency");
}

#[test]
fn a_gate_that_cannot_tell_does_not_hide_that_another_one_has_failed() {
    let mut scene = watched_by_two();
    says(&mut scene, "errors", Verdict::Unknown);
    assert_eq!(scene.phase(), Phase::Bake);
    says(&mut scene, "latency", Verdict::Fail);
    is_rolled_back_for(&scene, "latency");
}

#[test]
fn a_bake_is_closed_when_all_of_its_gates_have_passed_and_not_before() {
    let mut scene = watched_by_two();
    scene.record().bake = Bake::Open { until: ago(1), max: later(50) };
    says(&mut scene, "latency", Verdict::Pass);
    assert_eq!(scene.phase(), Phase::Bake, "nobody has said anything about errors");
    let mut unsure = scene.clone();
    says(&mut unsure, "errors", Verdict::Unknown);
    assert_eq!(unsure.phase(), Phase::Bake);
    unsure.record().bake = Bake::Open { until: ago(40), max: ago(1) };
    assert_eq!(unsure.phase(), Phase::Inconclusive);
    says(&mut scene, "errors", Verdict::Pass);
    assert_eq!(scene.phase(), Phase::Close);
}

#[test]
fn of_gates_that_were_never_asked_one_that_has_not_passed_comes_first() {
    let mut scene = watched_by_two();
    asks(&scene, "errors");
    says(&mut scene, "errors", Verdict::Pass);
    asks(&scene, "latency");
    says(&mut scene, "latency", Verdict::Pass);
    asks(&scene, "errors");
}

#[test]
fn the_gate_that_was_asked_longest_ago_is_asked_next_whatever_it_said() {
    let mut scene = watched_by_two();
    says(&mut scene, "errors", Verdict::Unknown);
    was_asked(&mut scene, "errors", 2, 1);
    asks(&scene, "latency");
    says(&mut scene, "latency", Verdict::Pass);
    was_asked(&mut scene, "latency", 1, 1);
    asks(&scene, "errors");
    was_asked(&mut scene, "errors", 0, 0);
    asks(&scene, "latency");
}

#[test]
fn a_gate_whose_pause_is_not_over_lets_others_go_first() {
    let mut scene = watched_by_two();
    was_asked(&mut scene, "errors", 3, 5);
    was_asked(&mut scene, "latency", 1, 1);
    asks(&scene, "latency");
    was_asked(&mut scene, "latency", 1, 10);
    asks(&scene, "errors");
}

#[test]
fn what_was_asked_in_a_bake_of_before_says_nothing_of_whose_turn_it_is() {
    let mut scene = watched_by_two();
    was_asked(&mut scene, "errors", 2, 1);
    for asked in &mut scene.asked {
        asked.stage = Stage::Baking(ago(30));
    }
    asks(&scene, "errors");
}

#[test]
fn gates_that_are_asked_at_different_paces_all_get_their_turn_until_one_of_them_fails() {
    let mut scene = watched_by_two();
    scene.gates.while_baking.push(gate("memory"));
    let pauses = [("errors", 1), ("latency", 5), ("memory", 2)];
    let mut asked = Vec::new();
    // The bake's time stands still, and each answer lies a minute further back with each question.
    for _ in 0..20 {
        for known in &mut scene.asked {
            known.at = known.at.checked_sub(minutes(1)).expect("within the hour");
            known.again = known.again.checked_sub(minutes(1)).expect("within the hour");
        }
        let Step::Ask(question) = scene.decide().step else { panic!("{:?}", scene.decide()) };
        let (name, every) =
            *pauses.iter().find(|(name, _)| gate(name) == question.gate).expect("it is one of the three");
        let is_due = scene.asked.iter().all(|known| known.gate != question.gate || known.again <= NOW);
        if is_due {
            asked.push(name);
            was_asked(&mut scene, name, 0, every);
        }
    }
    let count = |name: &str| asked.iter().filter(|known| **known == name).count();
    assert_eq!(asked.len(), 20, "one of them is always due: {asked:?}");
    assert!(count("latency") >= 3 && count("memory") >= 6 && count("errors") >= 8, "{asked:?}");
    says(&mut scene, "memory", Verdict::Fail);
    is_rolled_back_for(&scene, "memory");
    assert!(matches!(scene.writes().first(), Some(Write::Mark { slot: Slot::Blue, serves: true })));
}
