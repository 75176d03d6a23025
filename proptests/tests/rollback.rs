//! What a rollback never does, whatever is enforced, was good, and is sick.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use tidegate_core::desired::{Cluster, OnFailure};
use tidegate_core::ids::Digest;
use tidegate_core::object::{DesiredObject, ObjectId};
use tidegate_core::rollback::{
    Before, Decision, Enforced, GoodCommit, Held, LastGood, Patience, RollbackInput, Unhealthy, decide,
};
use tidegate_core::status::{CommitInfo, ObjectState, ObjectStatus};
use tidegate_proptests::cases::Cases;
use tidegate_proptests::objects;

/// The kind of all objects, in the universe's list: a Deployment.
const KIND: usize = 10;

/// An environment that may be unhealthy.
#[derive(Debug, Clone)]
struct Case {
    enforced: Vec<Arc<DesiredObject>>,
    good: Vec<Arc<DesiredObject>>,
    sick_before: Option<BTreeSet<ObjectId>>,
    unhealthy: Vec<Unhealthy>,
    inputs: Digest,
    on_failure: OnFailure,
    decommission: bool,
    context: Option<String>,
    is_held: bool,
}

fn commit() -> GoodCommit {
    GoodCommit { commit: "a".repeat(40), inputs: Digest::of(b"good") }
}

fn cluster(context: Option<&str>) -> Cluster {
    Cluster::Kubeconfig { path: None, context: context.map(str::to_owned) }
}

impl Case {
    fn decide(&self) -> Decision {
        self.decide_about(&self.unhealthy)
    }

    fn decide_about(&self, unhealthy: &[Unhealthy]) -> Decision {
        let (here, there) = (cluster(self.context.as_deref()), cluster(None));
        let (commit, held) = (commit(), self.held());
        let before = self.sick_before.as_ref().map(|sick| Before::new(&commit, sick));
        let enforced = Enforced {
            inputs: &self.inputs,
            on_failure: self.on_failure,
            decommission: self.decommission,
            cluster: &here,
            objects: &self.enforced,
        };
        let good = LastGood::Loaded(&commit, &there, &self.good);
        decide(&RollbackInput { enforced, held: held.as_ref(), good, before: before.as_ref(), unhealthy })
    }

    fn held(&self) -> Option<Held> {
        let now = Timestamp::UNIX_EPOCH;
        let bad = CommitInfo { id: "b".repeat(40), subject: String::new(), author: String::new(), time: now };
        self.is_held.then(|| Held::new(bad, self.inputs.clone(), commit(), Vec::new(), now))
    }

    fn is_changed(&self, id: &ObjectId) -> bool {
        let digest = |objects: &[Arc<DesiredObject>]| {
            objects.iter().find(|object| object.reference.id() == *id).map(|object| object.digest())
        };
        digest(&self.enforced) != digest(&self.good)
    }

    fn was_healthy(&self, id: &ObjectId) -> bool {
        self.sick_before.as_ref().is_some_and(|sick| !sick.contains(id))
    }
}

/// Some of the objects, each with one of two texts.
fn any_set() -> impl Strategy<Value = Vec<Arc<DesiredObject>>> {
    proptest::collection::btree_map(0..objects::NAMES, 0..2_usize, 0..=objects::NAMES).prop_map(|names| {
        names.into_iter().map(|(name, text)| objects::object(KIND, name, text, 0)).collect()
    })
}

fn any_ids() -> impl Strategy<Value = BTreeSet<ObjectId>> {
    proptest::collection::btree_set(
        (0..objects::NAMES).prop_map(|name| objects::id(KIND, name)),
        0..=objects::NAMES,
    )
}

fn any_unhealthy() -> impl Strategy<Value = Vec<Unhealthy>> {
    let any_patience = prop_oneof![Just(Patience::Left), Just(Patience::Over)];
    proptest::collection::btree_map(0..objects::NAMES, any_patience, 0..=objects::NAMES).prop_map(|names| {
        let unhealthy = |(name, patience)| {
            let object = objects::id(KIND, name);
            let (state, reason) = (ObjectState::Progressing, "0 of 1 ready".to_owned());
            Unhealthy { status: ObjectStatus { object, state, reason, location: None }, patience }
        };
        names.into_iter().map(unhealthy).collect()
    })
}

fn any_case() -> impl Strategy<Value = Case> {
    let sets = (any_set(), any_set(), proptest::option::weighted(0.8, any_ids()), any_unhealthy());
    let rarely = || proptest::bool::weighted(0.1);
    let settings = (rarely(), rarely(), rarely(), rarely(), rarely());
    (sets, settings).prop_map(
        |((enforced, good, sick_before, unhealthy), (same, stay, down, moved, is_held))| Case {
            enforced,
            good,
            sick_before,
            unhealthy,
            inputs: Digest::of(if same { b"good" } else { b"bad" }),
            on_failure: if stay { OnFailure::Stay } else { OnFailure::Rollback },
            decommission: down,
            context: moved.then(|| "other".to_owned()),
            is_held,
        },
    )
}

proptest! {
    #![proptest_config(Cases::USUAL.config())]

    #[test]
    fn it_goes_back_exactly_because_of_late_objects_that_changed_or_were_healthy(case in any_case()) {
        let is_blamed = |object: &&Unhealthy| {
            let id = &object.status.object;
            object.patience == Patience::Over && (case.is_changed(id) || case.was_healthy(id))
        };
        let may = !case.is_held
            && !case.decommission
            && case.context.is_none()
            && case.on_failure == OnFailure::Rollback
            && case.inputs != commit().inputs;
        let blamed: Vec<ObjectStatus> =
            case.unhealthy.iter().filter(is_blamed).map(|object| object.status.clone()).collect();
        match case.decide() {
            Decision::RollBack { to, because } => {
                prop_assert!(may && !because.is_empty());
                prop_assert_eq!(to, commit());
                prop_assert_eq!(because, blamed);
            }
            Decision::Stay(_) => prop_assert!(!may || blamed.is_empty()),
            Decision::Load(_) => prop_assert!(false, "it is loaded"),
        }
    }

    #[test]
    fn what_was_sick_before_and_is_unchanged_makes_no_difference(case in any_case()) {
        let matters = |object: &&Unhealthy| {
            case.is_changed(&object.status.object) || case.was_healthy(&object.status.object)
        };
        let rest: Vec<Unhealthy> = case.unhealthy.iter().filter(matters).cloned().collect();
        let goes_back = |decision| matches!(decision, Decision::RollBack { .. });
        prop_assert_eq!(goes_back(case.decide()), goes_back(case.decide_about(&rest)));
    }

    #[test]
    fn after_a_rollback_whatever_is_sick_it_stays(case in any_case(), unhealthy in any_unhealthy()) {
        let after = Case { is_held: true, enforced: case.good.clone(), unhealthy, ..case };
        prop_assert!(matches!(after.decide(), Decision::Stay(_)));
    }

    #[test]
    fn a_commit_that_was_live_is_never_left(case in any_case()) {
        let live = Case { inputs: commit().inputs, ..case };
        prop_assert!(matches!(live.decide(), Decision::Stay(_)));
    }
}
