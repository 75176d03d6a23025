//! Behaviour of the decision, one rule at a time.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::location::Position;
use crate::object::{Gvk, ObjectRef};
use crate::status::{CommitInfo, Listed, ObjectState};
use crate::yaml::Spans;

fn object(name: &str, text: &str) -> Arc<DesiredObject> {
    let gvk = Gvk::from_api_version("apps/v1", "Deployment");
    let reference = ObjectRef { gvk, namespace: Some("shop".into()), name: name.into() };
    let spans = Spans::new(Arc::from("environments/dev/all.yaml"), Position { line: 7, column: 1 });
    Arc::new(DesiredObject::new(reference, json!({ "text": text }), spans, 0))
}

fn id(name: &str) -> ObjectId {
    object(name, "").reference.id()
}

fn good() -> GoodCommit {
    GoodCommit { commit: "a".repeat(40), inputs: Digest::of(b"good") }
}

fn unhealthy(name: &str, patience: Patience) -> Unhealthy {
    let location = Some(object(name, "").location());
    let status =
        ObjectStatus { object: id(name), state: ObjectState::Progressing, reason: "0 of 1".into(), location };
    Unhealthy { status, patience }
}

fn held() -> Held {
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    let commit = CommitInfo { id: "b".repeat(40), subject: "two".into(), author: "Ada".into(), time: now };
    Held::new(commit, Digest::of(b"bad"), good(), vec![unhealthy("web", Patience::Over).status], now)
}

fn cluster(context: &str) -> Cluster {
    Cluster::Kubeconfig { path: None, context: Some(context.into()) }
}

/// A world in which `web` changed and is late, `db` was sick before, and `api` was healthy; all else is as a test says.
struct Case {
    inputs: Digest,
    on_failure: OnFailure,
    decommission: bool,
    cluster: Cluster,
    held: Option<Held>,
    before: Option<Before>,
    unhealthy: Vec<Unhealthy>,
}

fn case() -> Case {
    Case {
        inputs: Digest::of(b"bad"),
        on_failure: OnFailure::Rollback,
        decommission: false,
        cluster: cluster("one"),
        held: None,
        before: Some(Before::new(&good(), &BTreeSet::from([id("db")]))),
        unhealthy: vec![unhealthy("web", Patience::Over)],
    }
}

impl Case {
    fn decide_with(&self, good: LastGood<'_>) -> Decision {
        let objects = [object("api", "1"), object("db", "1"), object("new", "1"), object("web", "2")];
        let enforced = Enforced {
            inputs: &self.inputs,
            on_failure: self.on_failure,
            decommission: self.decommission,
            cluster: &self.cluster,
            objects: &objects,
        };
        let (held, before) = (self.held.as_ref(), self.before.as_ref());
        decide(&RollbackInput { enforced, held, good, before, unhealthy: &self.unhealthy })
    }

    fn decide(&self) -> Decision {
        let then = [object("api", "1"), object("db", "1"), object("gone", "1"), object("web", "1")];
        self.decide_with(LastGood::Loaded(&good(), &cluster("one"), &then))
    }

    /// The names of the objects because of which it goes back.
    fn blamed(&self) -> Vec<String> {
        match self.decide() {
            Decision::RollBack { to, because } => {
                assert_eq!(to, good());
                because.into_iter().map(|status| status.object.name).collect()
            }
            Decision::Stay(_) | Decision::Load(_) => Vec::new(),
        }
    }
}

#[test]
fn an_object_that_the_commit_changed_or_added_sends_the_environment_back() {
    assert_eq!(case().blamed(), ["web"]);
    let unhealthy = vec![unhealthy("new", Patience::Over)];
    assert_eq!(Case { unhealthy, before: None, ..case() }.blamed(), ["new"]);
}

#[test]
fn an_unchanged_object_counts_only_if_it_was_healthy_before() {
    let late = |name: &str| vec![unhealthy(name, Patience::Over)];
    assert_eq!(Case { unhealthy: late("api"), ..case() }.blamed(), ["api"]);
    let sick = Case { unhealthy: late("db"), ..case() };
    assert_eq!(sick.decide(), Decision::Stay(Stay::Untouched(good())));
    let both = [late("db"), late("web")].concat();
    assert_eq!(Case { unhealthy: both, ..case() }.blamed(), ["web"], "the sick one is not blamed");
}

#[test]
fn where_nobody_knows_how_an_unchanged_object_was_it_does_not_count() {
    let unhealthy = || vec![unhealthy("api", Patience::Over)];
    let untouched = Decision::Stay(Stay::Untouched(good()));
    assert_eq!(Case { unhealthy: unhealthy(), before: None, ..case() }.decide(), untouched);
    let other = GoodCommit { inputs: Digest::of(b"older"), ..good() };
    let before = Some(Before::new(&other, &BTreeSet::new()));
    assert_eq!(Case { unhealthy: unhealthy(), before, ..case() }.decide(), untouched);
    let many: BTreeSet<ObjectId> = (0..=MAX_SICK).map(|number| id(&format!("n{number}"))).collect();
    let before = Some(Before::new(&good(), &many));
    assert_eq!(Case { unhealthy: unhealthy(), before, ..case() }.decide(), untouched, "more than are named");
}

#[test]
fn an_object_that_still_has_time_does_not_count() {
    let unhealthy = vec![unhealthy("web", Patience::Left)];
    assert_eq!(Case { unhealthy, ..case() }.decide(), Decision::Stay(Stay::InTime(good())));
    let unhealthy = vec![self::unhealthy("web", Patience::Left), self::unhealthy("db", Patience::Over)];
    assert_eq!(
        Case { unhealthy, ..case() }.decide(),
        Decision::Stay(Stay::InTime(good())),
        "the late one was sick before"
    );
}

#[test]
fn an_environment_is_never_rolled_back_twice_for_one_change() {
    assert_eq!(Case { held: Some(held()), ..case() }.decide(), Decision::Stay(Stay::RolledBack));
}

#[test]
fn a_commit_that_was_live_itself_is_never_rolled_back() {
    assert_eq!(Case { inputs: good().inputs, ..case() }.decide(), Decision::Stay(Stay::WasGood));
}

#[test]
fn without_a_good_commit_or_without_its_objects_it_stays() {
    assert_eq!(case().decide_with(LastGood::Never), Decision::Stay(Stay::NeverGood));
    let lost = Stay::Lost(good(), "it is not in the repository any more".into());
    let why = "it is not in the repository any more";
    assert_eq!(case().decide_with(LastGood::Lost(&good(), why)), Decision::Stay(lost));
    assert_eq!(case().decide_with(LastGood::Named(&good())), Decision::Load(good()));
}

#[test]
fn the_good_commit_is_read_only_when_all_else_says_that_it_is_gone_back_to() {
    let named = |case: Case| case.decide_with(LastGood::Named(&good()));
    assert_eq!(named(Case { unhealthy: Vec::new(), ..case() }), Decision::Stay(Stay::Healthy));
    assert_eq!(named(Case { on_failure: OnFailure::Stay, ..case() }), Decision::Stay(Stay::Asked));
    assert_eq!(named(Case { decommission: true, ..case() }), Decision::Stay(Stay::Decommissioned));
}

#[test]
fn a_move_to_another_cluster_is_never_rolled_back() {
    assert_eq!(Case { cluster: cluster("two"), ..case() }.decide(), Decision::Stay(Stay::Moved(good())));
}

#[test]
fn a_held_commit_is_told_with_its_cause_and_every_place() {
    let mut held = held();
    held.because =
        Listed::all(vec![unhealthy("web", Patience::Over).status, unhealthy("api", Patience::Over).status]);
    let problem = held.problem();
    assert_eq!(
        problem.message,
        "bbbbbbb is held, aaaaaaa is enforced again: Deployment shop/web was not healthy in time (and 1 more): 0 of 1"
    );
    assert_eq!(problem.location, Some(object("web", "").location()));
    assert_eq!(problem.related[0].note, "Deployment shop/api was not healthy either");
    assert!(problem.help.is_some_and(|help| help.contains("revert bbbbbbb")));
}

#[test]
fn what_is_kept_is_bounded_and_read_as_it_was_written() {
    let long = ObjectStatus { reason: "x".repeat(10_000), ..unhealthy("web", Patience::Over).status };
    let held = Held { because: Listed::default(), ..held() };
    let Held { commit, inputs, to, since, because: _ } = held;
    let held = Held::new(commit, inputs, to, vec![long; 100], since);
    let text = serde_json::to_string(&held).unwrap();
    assert!(text.len() < 10_000, "{}", text.len());
    assert_eq!(held.because.total, 100);
    assert_eq!(serde_json::from_str::<Held>(&text).unwrap(), held);
    let many: BTreeSet<ObjectId> = (0..1_000).map(|number| id(&"n".repeat(number))).collect();
    let before = Before::new(&good(), &many);
    assert_eq!((before.sick.total, before.sick.items.len()), (1_000, MAX_SICK));
    assert_eq!(serde_json::from_str::<Before>(&serde_json::to_string(&before).unwrap()).unwrap(), before);
}
