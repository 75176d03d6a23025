//! The local repository of a log: one daemon at a time, made again when damaged, and kept small.

use std::path::PathBuf;

use gix::ObjectId;
use gix::objs::Kind;
use tidegate::ledger::local::LOOSE;
use tidegate::ledger::{Adopted, Answer, Local, LocalError, RemoteError, Store, check};
use tidegate_core::ledger::Trust;

use crate::desk::{Bare, Desk};
use crate::scene::{Scene, generated, git, succeed};

fn loose(local: &Local, id: ObjectId) -> PathBuf {
    let hex = id.to_string();
    let (folder, file) = hex.split_at(2);
    local.folder().join("objects").join(folder).join(file)
}

fn damage(local: &Local, id: ObjectId) {
    let file = loose(local, id);
    std::fs::remove_file(&file).expect("a loose object");
    std::fs::write(&file, "nothing of use").expect("written");
}

#[tokio::test]
async fn two_daemons_do_not_write_in_one_folder() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let local = desk.open();
    let second = Local::open(desk.cache.path(), &desk.url, desk.log.clone()).expect_err("it is taken");
    assert!(matches!(second, LocalError::Held { .. }), "{second:?}");
    assert!(second.to_string().contains("another daemon"), "{second}");
    // Another environment's is another one.
    let other =
        tidegate::ledger::LogName { environment: "stage".parse().expect("a name"), ..desk.log.clone() };
    Local::open(desk.cache.path(), &desk.url, other).expect("it is free");
    drop(local);
    desk.open();
}

#[tokio::test]
async fn a_damaged_log_is_made_again_and_goes_on() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let outcomes = generated(5);
    let (local, mut pen, _) = desk.written(&outcomes[..3]).await;
    let lost = desk.append(&local, &mut pen, &outcomes[3..4]);
    damage(&local, lost[0]);
    drop(local);
    let (mut local, mut pen) = desk.begin().await;
    assert_eq!(pen.tip(), bare.tip(&desk.branch(0)), "what was pushed is there again");
    desk.append(&local, &mut pen, &outcomes[3..4]);
    assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
    // No repository any more, and an empty ref, as after a power cut.
    let head = local.folder().join("HEAD");
    let branch = local.folder().join("refs/heads").join(desk.branch(0).to_string());
    drop(local);
    for broken in [head, branch] {
        std::fs::write(&broken, "").expect("written");
        let (local, pen) = desk.begin().await;
        assert_eq!(pen.tip(), bare.tip(&desk.branch(0)), "{}", broken.display());
        drop(local);
    }
    let (mut local, mut pen) = desk.begin().await;
    desk.append(&local, &mut pen, &outcomes[4..]);
    assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
    assert_eq!(bare.check(&desk.log, desk.keys()).records, 5);
}

#[tokio::test]
async fn what_waits_and_cannot_be_read_is_told_as_damage_here_and_written_again() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let outcomes = generated(12);
    let (mut local, mut pen, commits) = desk.written(&outcomes[..2]).await;
    let pushed = Adopted::Ours { branch: desk.branch(0), remote: Some(commits[1]) };
    for kind in [Kind::Commit, Kind::Blob, Kind::Tree] {
        let objects = ["cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)"];
        // What the remote has already is not asked for again.
        let before = succeed(git(local.folder(), &objects));
        let waiting = desk.append(&local, &mut pen, &outcomes[2..]);
        let listed = succeed(git(local.folder(), &objects));
        let of_kind = listed.lines().filter_map(|line| line.strip_prefix(&format!("{kind} ")));
        let mut ids = of_kind.map(|id| ObjectId::from_hex(id.as_bytes()).expect("an id"));
        // The last one is read as soon as the branch is.
        let fits = |id: &ObjectId| {
            let is_new = !before.contains(&id.to_string());
            loose(&local, *id).exists() && Some(id) != waiting.last() && is_new
        };
        damage(&local, ids.find(fits).expect("one that waits"));
        let error = desk.push(&mut local, &pen).await.expect_err("it cannot be read");
        assert!(matches!(error, RemoteError::Damaged(_)), "{kind}: {error:?}");
        assert_eq!(bare.tip(&desk.branch(0)), Some(commits[1]), "nothing of it arrived");
        local.rebuild().expect("made again");
        assert_eq!(desk.adopt(&mut local).await, pushed);
        pen = local.pen(&pushed, Scene::cluster()).expect("the end of the log");
    }
    desk.append(&local, &mut pen, &outcomes[2..]);
    assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
    assert_eq!(bare.check(&desk.log, desk.keys()).records, 12);
}

#[tokio::test]
async fn a_repository_that_git_does_not_take_is_damage_here_and_not_trouble_there() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let (mut local, mut pen) = desk.begin().await;
    desk.append(&local, &mut pen, &generated(1));
    std::fs::write(local.folder().join("HEAD"), "").expect("written");
    let error = desk.push(&mut local, &pen).await.expect_err("there is no repository");
    assert!(matches!(error, RemoteError::Damaged(_)), "{error:?}");
}

#[tokio::test]
async fn a_pen_is_not_taken_from_a_log_with_a_hole_and_a_rebuild_fills_it() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let (mut local, pen, commits) = desk.written(&generated(3)).await;
    let adopted = desk.adopt(&mut local).await;
    damage(&local, commits[0]);
    local.pen(&adopted, Scene::cluster()).expect_err("a record cannot be read");
    local.rebuild().expect("made again");
    let adopted = desk.adopt(&mut local).await;
    assert_eq!(local.pen(&adopted, Scene::cluster()).expect("the end").tip(), pen.tip());
}

#[tokio::test]
async fn what_a_killed_daemon_left_is_removed() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let outcomes = generated(2);
    let (local, ..) = desk.written(&outcomes[..1]).await;
    let folder = local.folder().to_owned();
    drop(local);
    let tracked = folder.join("refs/remotes/origin").join(desk.branch(0).to_string());
    let left = [
        folder.join("refs/heads").join(format!("{}.lock", desk.branch(0))),
        tracked.with_extension("lock"),
        folder.join("packed-refs.lock"),
        folder.join("objects/pack/tmp_pack_xyz"),
        folder.with_extension("new"),
        folder.with_extension("old"),
    ];
    std::fs::create_dir_all(tracked.parent().expect("a folder")).expect("made");
    for path in &left {
        if path.extension().is_some_and(|name| name == "new" || name == "old") {
            std::fs::create_dir(path).expect("made");
        } else {
            std::fs::write(path, "").expect("written");
        }
    }
    let (mut local, mut pen) = desk.begin().await;
    assert!(left.iter().all(|path| !path.exists()));
    desk.append(&local, &mut pen, &outcomes[1..]);
    assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
}

#[tokio::test]
async fn loose_objects_are_packed_in_time_and_packs_stay_few() {
    const ROUNDS: usize = 6;
    const EACH: usize = 10;
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let outcomes = generated(ROUNDS * EACH);
    let (mut local, mut pen) = desk.begin().await;
    let count = |local: &Local| {
        let counted = succeed(git(local.folder(), &["count-objects", "-v"]));
        let of = |name: &str| {
            let line = counted.lines().find_map(|line| line.strip_prefix(name)).expect("a count");
            line.trim().parse::<usize>().expect("a number")
        };
        (of("count:"), of("packs:"))
    };
    for part in outcomes.chunks(EACH) {
        desk.append(&local, &mut pen, part);
        let (loose, _) = count(&local);
        assert!(loose > EACH, "each record has more than one object: {loose}");
        assert!(!local.tend(loose).await.expect("nothing to do"), "so many may lie there");
        assert!(local.tend(loose - 1).await.expect("git repacks"));
        assert_eq!(count(&local).0, 0);
    }
    let (_, packs) = count(&local);
    println!("{} records, {packs} packs", outcomes.len());
    assert!(packs < ROUNDS, "{packs} packs");
    assert!(!local.tend(LOOSE).await.expect("nothing to do"));
    let store = Store::open(local.folder()).expect("a repository");
    let log = store.logs().expect("branches").remove(0);
    let whole = check(&store, &log, Trust::Keys(desk.keys()), &[]).expect("readable").expect("whole");
    assert_eq!(whole.records, outcomes.len() as u64);
    assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
}
