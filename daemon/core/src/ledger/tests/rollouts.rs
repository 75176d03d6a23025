//! Which operation the writes of a workload in colours belong to, and how it ends.

use crate::ledger::{Aim, Kind, Result as How, Stand, gives_way, kind_of, rollout_end};
use crate::rollout::{Phase, Revision, Waiting};

const OLD: Option<Revision> = Some(Revision::new(1));
const NEW: Option<Revision> = Some(Revision::new(2));
const NEWER: Option<Revision> = Some(Revision::new(3));

/// A deploy of the new revision.
const DEPLOY: Aim = Aim { kind: Kind::Deploy, revision: NEW, has_moved: false };

/// The old revision serves, git asks for the new one.
fn stand(phase: Phase, waits: Option<Waiting>) -> Stand {
    Stand { phase, waits, desired: NEW, serves: OLD, is_baking: false }
}

#[test]
fn a_deploy_goes_on_until_its_revision_is_live_and_its_bake_closed() {
    let on_the_way = [
        stand(Phase::Warm, Some(Waiting::Pods)),
        stand(Phase::Hold, Some(Waiting::People)),
        Stand { serves: NEW, is_baking: true, ..stand(Phase::Bake, Some(Waiting::Time)) },
        Stand { serves: NEW, is_baking: true, ..stand(Phase::Steady, Some(Waiting::Git)) },
        Stand { serves: NEW, ..stand(Phase::Retire, None) },
    ];
    for stand in on_the_way {
        assert_eq!((rollout_end(DEPLOY, stand), gives_way(DEPLOY, stand)), (None, None), "{stand:?}");
    }
    let live = Stand { serves: NEW, ..stand(Phase::Steady, Some(Waiting::Git)) };
    assert_eq!(rollout_end(DEPLOY, live), Some(How::Succeeded));
    let standby = Stand { waits: Some(Waiting::Time), ..live };
    assert_eq!(rollout_end(DEPLOY, standby), Some(How::Succeeded), "the standby goes in its time");
}

#[test]
fn what_is_turned_down_failed_before_its_switch_and_was_rolled_back_after_it() {
    let rejected = stand(Phase::Rejected, Some(Waiting::Time));
    assert_eq!(rollout_end(DEPLOY, rejected), Some(How::Failed));
    assert_eq!(rollout_end(Aim { has_moved: true, ..DEPLOY }, rejected), Some(How::RolledBack));
}

#[test]
fn what_people_have_to_look_at_failed() {
    for phase in [Phase::Halted, Phase::Stranded] {
        assert_eq!(rollout_end(DEPLOY, stand(phase, Some(Waiting::People))), Some(How::Failed), "{phase:?}");
        assert_eq!(rollout_end(DEPLOY, stand(phase, Some(Waiting::Time))), None, "{phase:?}");
    }
}

#[test]
fn a_newer_revision_takes_the_place_of_one_that_was_never_live() {
    for phase in [Phase::Empty, Phase::Prepare] {
        let newer = Stand { desired: NEWER, ..stand(phase, None) };
        assert_eq!(gives_way(DEPLOY, newer), Some(How::Superseded), "{phase:?}");
        let live = Stand { serves: NEW, ..newer };
        assert_eq!(gives_way(DEPLOY, live), Some(How::Succeeded), "{phase:?}: it was live");
    }
    let back = Stand { desired: OLD, ..stand(Phase::Steady, Some(Waiting::Git)) };
    assert_eq!(rollout_end(DEPLOY, back), Some(How::Superseded), "git went back before the switch");
}

#[test]
fn git_that_goes_back_while_baking_ends_the_deploy_and_begins_a_rollback() {
    let back = Stand { desired: OLD, serves: NEW, is_baking: true, ..stand(Phase::FastRollBack, None) };
    assert_eq!(gives_way(Aim { has_moved: true, ..DEPLOY }, back), Some(How::RolledBack));
    assert_eq!(kind_of(Phase::FastRollBack, true), Kind::Rollback);
    // Gates that fail take the traffic back within the deploy.
    let failed = Stand { serves: NEW, is_baking: true, ..stand(Phase::RollBack, None) };
    assert_eq!(gives_way(DEPLOY, failed), None);
    let rollback = Aim { kind: Kind::Rollback, revision: OLD, has_moved: true };
    let rest = Stand { desired: OLD, ..stand(Phase::Steady, Some(Waiting::Git)) };
    assert_eq!(rollout_end(rollback, rest), Some(How::Succeeded));
}

#[test]
fn what_was_undone_by_hand_is_told_apart_from_the_deploy_that_follows() {
    let drift = Aim { kind: Kind::Drift, revision: OLD, has_moved: false };
    assert_eq!(gives_way(drift, stand(Phase::Prepare, None)), Some(How::Succeeded));
    assert_eq!(gives_way(drift, stand(Phase::Torn, None)), None);
    assert_eq!((kind_of(Phase::Repair, false), kind_of(Phase::Repair, true)), (Kind::Drift, Kind::Deploy));
    let turned_down = stand(Phase::Rejected, Some(Waiting::Time));
    assert_eq!(rollout_end(drift, turned_down), Some(How::Succeeded), "however long that is kept");
    assert_eq!(rollout_end(drift, stand(Phase::Repair, Some(Waiting::Pods))), None);
    let put_away = Aim { kind: Kind::Prune, ..drift };
    assert_eq!(gives_way(put_away, stand(Phase::Empty, None)), Some(How::Succeeded));
}
