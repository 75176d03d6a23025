//! Whose the commits are that a remote has: ours, a deputy's with the same key, or somebody else's.

use tidegate::ledger::{Adopted, Answer};

use crate::desk::{Bare, Desk, log};
use crate::scene::{Scene, generated, make_key};

#[tokio::test]
async fn a_daemon_that_lost_its_disk_goes_on_where_the_remote_stands() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let outcomes = generated(4);
    let (_, before, _) = desk.written(&outcomes[..3]).await;
    let again = desk.elsewhere();
    let mut local = again.open();
    let adopted = again.adopt(&mut local).await;
    assert_eq!(adopted, Adopted::Ours { branch: desk.branch(0), remote: before.tip() });
    let mut pen = local.pen(&adopted, Scene::cluster()).expect("the end of the log");
    assert_eq!((pen.tip(), pen.state()), (before.tip(), before.state()));
    again.append(&local, &mut pen, &outcomes[3..]);
    assert_eq!(again.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
    assert_eq!(bare.check(&desk.log, desk.keys()).records, 4);
}

#[tokio::test]
async fn what_a_deputy_wrote_with_the_same_key_is_ours_and_what_was_not_pushed_is_written_behind_it() {
    let bare = Bare::new();
    let one = Desk::new(&bare.url());
    let outcomes = generated(5);
    let (mut local, mut pen, _) = one.written(&outcomes[..2]).await;
    let deputy = one.elsewhere();
    let (_, theirs, _) = deputy.written(&outcomes[2..4]).await;
    one.append(&local, &mut pen, &outcomes[4..]);
    let answer = one.push(&mut local, &pen).await.expect("an answer");
    assert_eq!(answer, Answer::Moved { found: theirs.tip() });
    let adopted = one.adopt(&mut local).await;
    assert_eq!(adopted, Adopted::Ours { branch: one.branch(0), remote: theirs.tip() });
    let mut pen = local.pen(&adopted, Scene::cluster()).expect("the end of the log");
    assert_eq!(pen.tip(), theirs.tip(), "what was not pushed is gone from here");
    one.append(&local, &mut pen, &outcomes[4..]);
    assert_eq!(one.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
    assert_eq!(bare.check(&one.log, one.keys()).records, 5);
}

#[tokio::test]
async fn records_that_were_not_pushed_stay_when_the_remote_has_nothing_new() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let outcomes = generated(4);
    let (mut local, mut pen, commits) = desk.written(&outcomes[..2]).await;
    desk.append(&local, &mut pen, &outcomes[2..]);
    let adopted = desk.adopt(&mut local).await;
    assert_eq!(adopted, Adopted::Ours { branch: desk.branch(0), remote: Some(commits[1]) });
    assert_eq!(local.pen(&adopted, Scene::cluster()).expect("the end").tip(), pen.tip());
    assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
}

/// Begins with an empty disk where somebody else has written on top of two records: theirs are not taken for ours.
async fn foreign_for_one_without_a_disk(bare: &Bare, desk: &Desk, fault: &str) {
    let found = bare.tip(&desk.branch(0));
    let again = desk.elsewhere();
    let mut local = again.open();
    let adopted = again.adopt(&mut local).await;
    let Adopted::Foreign { branch, found: told, next, reason } = &adopted else { panic!("{adopted:?}") };
    assert_eq!((branch, *told, next), (&desk.branch(0), found, &desk.branch(1)));
    assert!(reason.contains(fault), "{reason}");
    let mut pen = local.pen(&adopted, Scene::cluster()).expect("the next epoch");
    again.append(&local, &mut pen, &generated(1));
    assert_eq!(again.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
    assert_eq!(bare.tip(&desk.branch(0)), found, "theirs stands");
    let checked = bare.check(&desk.log, desk.keys());
    assert_eq!((checked.records, checked.tip), (3, pen.tip()), "ours goes on behind our own last record");
}

#[tokio::test]
async fn an_unsigned_commit_on_top_is_not_ours_though_the_disk_was_lost() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    desk.written(&generated(2)).await;
    bare.theirs(&desk.branch(0));
    foreign_for_one_without_a_disk(&bare, &desk, "it is not signed").await;
}

#[tokio::test]
async fn a_record_of_another_key_on_top_is_not_ours_though_the_disk_was_lost() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    desk.written(&generated(2)).await;
    // Somebody has our pen and the right to push, and another key.
    let mut thief = desk.elsewhere();
    let (mut local, mut pen) = thief.begin().await;
    thief.key = make_key(thief.cache.path(), "thief");
    thief.append(&local, &mut pen, &generated(1));
    assert_eq!(thief.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
    foreign_for_one_without_a_disk(&bare, &desk, "none of those that may").await;
}

#[tokio::test]
async fn our_records_of_another_environment_are_not_this_log() {
    let bare = Bare::new();
    let stage = Desk { log: log("stage"), ..Desk::new(&bare.url()) };
    let (_, pen, _) = stage.written(&generated(2)).await;
    let desk = Desk { log: log("prod"), ..stage.elsewhere() };
    bare.point(&desk.branch(0), pen.tip());
    let mut local = desk.open();
    let adopted = desk.adopt(&mut local).await;
    let Adopted::Foreign { branch, found, next, .. } = &adopted else { panic!("{adopted:?}") };
    assert_eq!((branch, *found, next), (&desk.branch(0), pen.tip(), &desk.branch(1)));
    let own = local.pen(&adopted, Scene::cluster()).expect("a new log");
    assert_eq!((own.branch(), own.tip()), (&desk.branch(1), None));
}

#[tokio::test]
async fn branches_that_somebody_makes_above_ours_are_passed_over() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let outcomes = generated(3);
    let (mut local, _, commits) = desk.written(&outcomes[..2]).await;
    let junk = bare.theirs(&desk.branch(1));
    // So far above that numbers would run out.
    bare.theirs(&desk.branch(4_000_000_000));
    let other = desk.elsewhere();
    let mut without_disk = other.open();
    for (desk, local) in [(&desk, &mut local), (&other, &mut without_disk)] {
        let adopted = desk.adopt(local).await;
        let Adopted::Foreign { branch, next, .. } = &adopted else { panic!("{adopted:?}") };
        assert_eq!((branch, next), (&desk.branch(0), &desk.branch(2)));
        let pen = local.pen(&adopted, Scene::cluster()).expect("a later epoch");
        assert_eq!((pen.branch(), pen.tip()), (&desk.branch(2), Some(commits[1])));
    }
    bare.point(&desk.branch(4_000_000_000), None);
    let adopted = desk.adopt(&mut local).await;
    let mut pen = local.pen(&adopted, Scene::cluster()).expect("a later epoch");
    desk.append(&local, &mut pen, &outcomes[2..]);
    assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
    let checked = bare.check(&desk.log, desk.keys());
    assert_eq!((checked.records, checked.foreign), (3, vec![(desk.branch(1), junk)]));
}

#[tokio::test]
async fn a_deputy_that_has_left_for_the_next_epoch_is_followed() {
    let bare = Bare::new();
    let one = Desk::new(&bare.url());
    let outcomes = generated(4);
    let (mut local, ..) = one.written(&outcomes[..2]).await;
    bare.theirs(&one.branch(0));
    let deputy = one.elsewhere();
    let (_, theirs, _) = deputy.written(&outcomes[2..3]).await;
    assert_eq!(theirs.branch(), &one.branch(1));
    let adopted = one.adopt(&mut local).await;
    assert_eq!(adopted, Adopted::Ours { branch: one.branch(1), remote: theirs.tip() });
    let mut pen = local.pen(&adopted, Scene::cluster()).expect("the end of the log");
    one.append(&local, &mut pen, &outcomes[3..]);
    assert_eq!(one.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
    assert_eq!(bare.check(&one.log, one.keys()).records, 4);
}

#[tokio::test]
async fn a_rewind_is_noticed_without_the_disk_by_whoever_is_told_what_was_pushed() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let (_, _, commits) = desk.written(&generated(3)).await;
    bare.point(&desk.branch(0), Some(commits[1]));
    for (back_to, known) in [(Some(commits[1]), commits[2]), (None, commits[2])] {
        bare.point(&desk.branch(0), back_to);
        let again = desk.elsewhere();
        let mut local = again.open();
        let adopted = local.adopt(&again.remote, &again.keys(), Some(known)).await.expect("an answer");
        let Adopted::Foreign { found, next, .. } = &adopted else { panic!("{adopted:?}") };
        assert_eq!((*found, next), (back_to, &desk.branch(1)));
        assert_eq!(local.pen(&adopted, Scene::cluster()).expect("the next epoch").tip(), back_to);
    }
    // Told what still stands there, nothing is wrong.
    bare.point(&desk.branch(0), Some(commits[2]));
    let again = desk.elsewhere();
    let adopted =
        again.open().adopt(&again.remote, &again.keys(), Some(commits[1])).await.expect("an answer");
    assert_eq!(adopted, Adopted::Ours { branch: desk.branch(0), remote: Some(commits[2]) });
}
