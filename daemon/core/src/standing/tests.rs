//! What comes of how the objects stand, of the time that it takes them, of what was seen and of what failed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::ids::{CommitId, Digest};
use crate::object::ObjectId;
use crate::outcome::Outcome;
use crate::plan::{Failure, Plan, Waiting, WaitingReason};
use crate::problem::{Code, Problem};
use crate::status::{EnvironmentStatus, ObjectCounts, State};

fn id(name: &str) -> ObjectId {
    ObjectId {
        group: "apps".into(),
        kind: "Deployment".into(),
        namespace: Some("shop".into()),
        name: name.into(),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn what_failed_weighs_more_than_what_is_sick_and_that_more_than_what_waits() {
    let state = |counts: ObjectCounts, plan: &Plan| Judgement { counts, ..Judgement::default() }.state(plan);
    let plan = Plan::default();
    let all = ObjectCounts { failed: 1, degraded: 1, waiting: 1, progressing: 1, ..ObjectCounts::default() };
    assert_eq!(state(all, &plan), State::Failed);
    assert_eq!(state(ObjectCounts { failed: 0, ..all }, &plan), State::Degraded);
    assert_eq!(state(ObjectCounts { failed: 0, degraded: 0, ..all }, &plan), State::Progressing);
    assert_eq!(state(ObjectCounts { failed: 0, degraded: 0, progressing: 0, ..all }, &plan), State::Waiting);
    assert_eq!(state(ObjectCounts { unknown: 1, ..ObjectCounts::default() }, &plan), State::Live);
    let error = Problem::error(Code::Rejected, "the plan cannot be carried out");
    let refused = Plan { problems: vec![error], ..Plan::default() };
    assert_eq!(state(ObjectCounts::default(), &refused), State::Failed);
}

#[test]
fn an_object_is_unwell_since_the_apply_until_it_was_live_and_then_since_it_was_seen() {
    let now = at("2026-11-21T12:10:00Z");
    let applied = at("2026-11-21T12:00:00Z");
    let known = BTreeMap::from([(id("old"), at("2026-11-21T12:05:00Z"))]);
    let sick = [id("new"), id("old")];
    let since = |progress: &Progress| -> Vec<Timestamp> {
        unwell_since(progress, &known, &sick, now).into_values().collect()
    };
    assert_eq!(since(&Progress::default()), [now, at("2026-11-21T12:05:00Z")], "something waits for it");
    let mut progress = Progress { applied: Some(applied), ..Progress::default() };
    assert_eq!(since(&progress), [applied, at("2026-11-21T12:05:00Z")]);
    progress.applied = Some(at("2026-11-21T12:07:00Z"));
    assert_eq!(since(&progress), [at("2026-11-21T12:07:00Z"); 2], "the last write begins the deadline");
    progress.applied = Some(applied);
    progress.live = Some(at("2026-11-21T12:01:00Z"));
    assert_eq!(since(&progress), [now, at("2026-11-21T12:05:00Z")]);
}

/// The deadline is 100 s, and what is unhealthy is so from the apply at second 0 on.
fn late_at(progress: &Progress, second: i64) -> bool {
    let since = unwell_since(progress, &BTreeMap::new(), &[id("web")], after(second));
    until_deadline(&since, DEADLINE, after(second)).is_none()
}

fn after(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

const DEADLINE: Duration = Duration::from_secs(100);

#[test]
fn a_deadline_that_went_on_while_nobody_looked_begins_anew_at_the_next_look() {
    let applied = Progress { applied: Some(after(0)), ..Progress::default() };
    let mut progress = applied.clone();
    progress.look(DEADLINE, after(40));
    assert!(
        progress.anew.is_none() && late_at(&progress, 101),
        "a restart with most of it left changes nothing"
    );
    let mut progress = applied.clone();
    progress.look(DEADLINE, after(300));
    assert_eq!(progress.anew.map(|anew| (anew.since, anew.count)), Some((after(300), 1)));
    assert!(!late_at(&progress, 400) && late_at(&progress, 401));
    progress.look(DEADLINE, after(399));
    assert!(late_at(&progress, 401), "somebody has looked since");
    // The same while it was suspended, out of reach, or behind another environment; a moment of that is none.
    let mut progress = applied.clone();
    progress.look(DEADLINE, after(60));
    let mut moment = Progress { anew: None, ..progress.clone() };
    progress.away = true;
    progress.look(DEADLINE, after(200));
    assert!(!late_at(&progress, 300) && late_at(&progress, 301));
    moment.away = true;
    moment.look(DEADLINE, after(90));
    assert!(moment.anew.is_none());
    // Of what missed it under somebody's eyes, enough was seen.
    let mut progress = applied.clone();
    for second in [10, 101] {
        progress.look(DEADLINE, after(second));
    }
    progress.away = true;
    progress.look(DEADLINE, after(300));
    assert!(progress.missed && progress.anew.is_none());
    // What was live is not sent back anyway, and what is new has all of its time.
    let mut progress = Progress { live: Some(after(10)), ..applied };
    progress.look(DEADLINE, after(300));
    assert!(progress.anew.is_none());
    let mut progress = Progress::default();
    progress.look(DEADLINE, after(300));
    assert!(progress.anew.is_none());
}

#[test]
fn what_waits_for_an_unhealthy_object_waits_anew_after_a_pause() {
    let mut progress = Progress::default();
    progress.look(DEADLINE, after(0));
    let known = unwell_since(&progress, &BTreeMap::new(), &[id("web")], after(0));
    progress.away = true;
    progress.look(DEADLINE, after(300));
    let since = unwell_since(&progress, &known, &[id("web")], after(301));
    assert_eq!(since[&id("web")], after(300));
}

#[test]
fn a_daemon_that_starts_again_and_again_comes_to_the_end_of_a_deadline() {
    let mut progress = Progress { applied: Some(after(0)), ..Progress::default() };
    for start in 1..=MAX_ANEW + 1 {
        // Of one start to the next only the record is kept.
        progress = Progress { looked: None, away: false, ..progress };
        progress.look(DEADLINE, after(1_000 * i64::from(start)));
        assert_eq!(late_at(&progress, 1_000 * i64::from(start)), start > MAX_ANEW, "start {start}");
    }
}

#[test]
fn a_failure_ends_when_a_settled_plan_finds_nothing_to_do_about_the_object_or_another_reason_to_wait() {
    let failure = |retry_at: &str| Failure {
        desired: None,
        uid: None,
        problem: Problem::error(Code::Rejected, "a timeout"),
        retry_at: retry_at.parse().ok(),
    };
    let (over, later) = ("2026-11-21T12:00:00Z", "2026-11-21T12:02:00Z");
    let failed: BTreeMap<ObjectId, Failure> =
        [("gone", later), ("kept", later), ("refused", over), ("unread", later), ("unread-since", over)]
            .iter()
            .map(|(name, retry_at)| (id(name), failure(retry_at)))
            .collect();
    let unread = || WaitingReason::Unread("the cluster serves no such kind".into());
    let waiting = vec![
        Waiting { object: id("kept"), reason: WaitingReason::PruneNotAllowed("it is marked".into()) },
        Waiting { object: id("refused"), reason: WaitingReason::Refused("a timeout".into()) },
        Waiting { object: id("unread"), reason: unread() },
        Waiting { object: id("unread-since"), reason: unread() },
    ];
    let plan = Plan { waiting, ..Plan::default() };
    let left = drop_overcome(failed, &plan, at("2026-11-21T12:01:00Z"));
    assert_eq!(left.into_keys().collect::<Vec<_>>(), [id("refused"), id("unread")]);
}

fn commit(digit: char) -> CommitId {
    std::iter::repeat_n(digit, 40).collect::<String>().parse().unwrap()
}

/// What claiming commit `b` comes to, when of the commits that decide it contains these.
fn claim(said: &Said<'_>, contained: &[CommitId]) -> Claim {
    let contained: BTreeSet<CommitId> =
        said.asks().into_iter().filter(|asked| contained.contains(asked)).collect();
    let to = commit('b');
    said.claim(Some(&to), to.as_str(), &Digest::of(b"b"), &contained, at("2026-11-21T12:00:00Z"))
}

#[test]
fn a_commit_is_claimed_once_and_never_behind_what_was_seen() {
    let (a, b) = (commit('a'), commit('b'));
    let write = Claim::Write { uses_rewind: false };
    assert_eq!(claim(&Said::default(), &[]), write);
    let seen = Said { seen: Some(a.as_str()), ..Said::default() };
    assert_eq!(claim(&seen, std::slice::from_ref(&a)), write);
    assert_eq!(claim(&seen, &[]), Claim::Behind);
    assert_eq!(claim(&Said { seen: Some(b.as_str()), ..seen }, &[]), Claim::Stands);
    let inputs = Digest::of(b"b");
    assert_eq!(claim(&Said { seen_inputs: Some(inputs.as_str()), ..seen }, &[]), Claim::Stands);
    let followed = Said { seen: Some("uncommitted-1"), ..Said::default() };
    assert_eq!(claim(&followed, &[]), write);
}

#[test]
fn a_mark_that_names_no_commit_lets_nothing_in_behind_what_the_others_name() {
    let (a, c) = (commit('a'), commit('c'));
    let lost = Said {
        seen: Some("garbage"),
        seen_inputs: Some("b"),
        applied: Some(a.as_str()),
        recorded: Some(c.as_str()),
        ..Said::default()
    };
    assert_eq!(claim(&lost, std::slice::from_ref(&a)), Claim::Behind);
    assert_eq!(claim(&lost, &[a.clone(), c.clone()]), Claim::Write { uses_rewind: false });
}

#[test]
fn a_rewind_is_used_up_by_what_it_allows_and_by_time() {
    let (a, b, c) = (commit('a'), commit('b'), commit('c'));
    let (fresh, old) = (at("2026-11-21T11:59:00Z"), at("2026-11-21T10:59:00Z"));
    let seen = Said { seen: Some(a.as_str()), ..Said::default() };
    let rewound = |commit, at| Said { rewind: Some((commit, at)), ..seen };
    assert_eq!(claim(&rewound(&b, fresh), &[]), Claim::Write { uses_rewind: true });
    assert_eq!(claim(&rewound(&c, fresh), std::slice::from_ref(&c)), Claim::Write { uses_rewind: true });
    assert_eq!(claim(&rewound(&c, fresh), &[]), Claim::Behind);
    assert_eq!(claim(&rewound(&c, fresh), std::slice::from_ref(&a)), Claim::Write { uses_rewind: false });
    assert_eq!(claim(&rewound(&c, old), std::slice::from_ref(&a)), Claim::Write { uses_rewind: true });
}

#[test]
fn conflicts_are_read_again_until_they_are_too_many() {
    assert_eq!(aftermath(Outcome::Conflict, 4), Aftermath::ReadAgain);
    let told = aftermath(Outcome::Conflict, 5);
    assert!(matches!(told, Aftermath::LeftAlone { code: Code::Conflict, .. }), "{told:?}");
    assert_eq!(aftermath(Outcome::Unchanged, 0), Aftermath::Over);
}

#[test]
fn what_is_refused_while_a_namespace_goes_is_tried_again_sooner() {
    let pause =
        |words: &str| match aftermath(Outcome::Refused(Box::new(Problem::error(Code::Rejected, words))), 0) {
            Aftermath::Refused { pause, .. } => pause.as_secs(),
            other => panic!("{other:?}"),
        };
    assert_eq!(pause("admission webhook says no"), 60);
    assert_eq!(pause("namespace shop is terminating"), 10);
}

#[test]
fn the_soonest_of_what_is_waited_for_wakes() {
    assert_eq!(next(&[]), SAFETY_INTERVAL);
    assert_eq!(next(&[Wait::Others, Wait::Health, Wait::Commit]).as_secs(), 5);
    assert_eq!(next(&[Wait::Time(2 * SAFETY_INTERVAL)]), SAFETY_INTERVAL);
}

/// What is left of the time in which nothing is recorded, so many seconds after the apply.
fn settling_after(seconds: i64, telling: &[ObjectId], live: bool) -> Option<u64> {
    let applied = at("2026-11-21T12:00:00Z");
    let now = applied + SignedDuration::from_secs(seconds);
    let progress = Progress { applied: Some(applied), live: live.then_some(applied), ..Progress::default() };
    let judgement = Judgement { sick: vec![id("web")], telling: telling.to_vec(), ..Judgement::default() };
    settling(&progress, &judgement, now).map(|left| left.as_secs())
}

#[test]
fn the_way_to_health_is_left_unsaid_for_a_moment_and_longer_while_controllers_have_not_looked() {
    let telling = [id("web")];
    assert_eq!(settling_after(1, &telling, false), Some(2));
    assert_eq!(settling_after(3, &telling, false), None);
    assert_eq!(settling_after(3, &[], false), Some(12));
    assert_eq!(settling_after(15, &[], false), None, "one that does not look at all is said");
    assert_eq!(settling_after(1, &telling, true), None, "what was live and is not any more is said at once");
    assert_eq!(settling(&Progress::default(), &Judgement::default(), at("2026-11-21T12:00:00Z")), None);
    let applied = Some(at("2026-11-21T12:00:00Z"));
    let rolling = Progress { applied, ..Progress::default() };
    let after = |seconds: &str| settling(&rolling, &Judgement::default(), at(seconds));
    assert!(after("2026-11-21T12:00:02Z").is_some());
    assert_eq!(after("2026-11-21T12:00:03Z"), None, "a rollout is told when it takes longer");
}

fn record(state: State) -> EnvironmentStatus {
    let zero = ObjectCounts::default();
    let text = serde_json::json!({
        "schema": "x", "environment": "dev", "cluster": "c", "replica": "r", "state": state, "reason": "",
        "since": "2026-11-21T12:00:00Z", "counts": zero, "problems": {"total": 0, "items": []},
        "objects": {"total": 0, "items": []}, "times": {}, "updated": "2026-11-21T12:00:00Z",
    });
    serde_json::from_value(text).expect("it is a record")
}

#[test]
fn a_record_that_comes_too_early_says_when_it_is_time() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let (on_its_way, live, failed) = (record(State::Progressing), record(State::Live), record(State::Failed));
    let before = Some(&live);
    assert_eq!(news(before, &live, None, None), News::Nothing);
    assert_eq!(news(before, &on_its_way, None, seconds(12)), News::Later(Duration::from_secs(12)));
    assert_eq!(news(before, &on_its_way, None, None), News::Now);
    assert_eq!(news(before, &failed, None, seconds(12)), News::Now, "trouble is said at once");
    let other = EnvironmentStatus { reason: "another".to_owned(), ..failed.clone() };
    let since = Some(Duration::from_millis(400));
    assert_eq!(news(Some(&failed), &other, since, None), News::Later(Duration::from_millis(600)));
    assert_eq!(news(Some(&failed), &other, seconds(1), None), News::Now);
}
