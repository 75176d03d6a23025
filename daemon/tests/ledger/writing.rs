//! Logs that are written: one record after another, by whoever has the branch as they left it.

use tidegate::ledger::{KeyError, SigningKey, Store, trusted};
use tidegate_core::ledger::{RecordId, Trust};

use crate::scene::{Scene, fingerprints, generated, git, make_key, succeed};

#[test]
fn a_log_is_written_on_where_it_was_left_by_a_daemon_that_begins_anew() {
    let outcomes = generated(6);
    let (scene, mut written) = Scene::of(&outcomes[..3]);
    written.extend(scene.write(&outcomes[3..]));
    let checked = scene.check().expect("whole");
    assert_eq!(checked.records, 6);
    assert_eq!(checked.tip, written.last().map(|record| record.commit));
    assert_eq!(checked.last, written.last().map(|record| record.record.clone()));
    let pen = scene.pen();
    assert_eq!((pen.tip(), pen.state()), (checked.tip, &checked.state));
}

#[test]
fn whoever_finds_the_branch_moved_writes_nothing() {
    let outcomes = generated(3);
    let scene = Scene::new();
    let mut one = scene.pen();
    let mut other = scene.pen();
    let write = |pen: &mut tidegate::ledger::Pen, number: usize| {
        let outcome = outcomes[number].clone();
        let id = RecordId::new(outcome.times.finished, [1; 10]);
        pen.append(&scene.store, &scene.key.signing, id, outcome)
    };
    let first = write(&mut one, 0).expect("the first");
    let refused = write(&mut other, 1).expect_err("the branch is there by now");
    assert_eq!(refused.to_string(), "failed to move the branch of the log");
    assert_eq!(other.tip(), None);
    write(&mut one, 2).expect("the second");
    let checked = scene.check().expect("whole");
    assert_eq!(checked.records, 2);
    assert_ne!(checked.tip, Some(first.commit));
}

#[test]
fn a_log_that_somebody_else_wrote_on_goes_on_in_the_next_epoch_and_none_of_it_is_lost() {
    let outcomes = generated(6);
    let (scene, written) = Scene::of(&outcomes[..3]);
    // Somebody pushes a commit of theirs on top.
    let tree = succeed(git(&scene.bare(), &["rev-parse", &format!("{}^{{tree}}", scene.branch)]));
    let parent = written[2].commit.to_string();
    let identity = ["-c", "user.name=x", "-c", "user.email=x@example"];
    let arguments = [&identity[..], &["commit-tree", "-p", &parent, "-m", "theirs", tree.trim()]].concat();
    let theirs = succeed(git(&scene.bare(), &arguments));
    let theirs = gix::ObjectId::from_hex(theirs.trim().as_bytes()).expect("an id");
    let mut pen = scene.pen();
    scene.point(theirs);
    let refused = pen.append(
        &scene.store,
        &scene.key.signing,
        RecordId::new(outcomes[3].times.finished, [3; 10]),
        outcomes[3].clone(),
    );
    assert_eq!(refused.expect_err("the branch moved").to_string(), "failed to move the branch of the log");
    pen.leave(Some(theirs)).expect("another epoch");
    let later: Vec<_> = outcomes[3..].iter().map(|outcome| scene.append(&mut pen, outcome)).collect();
    let follows = later[0].record.follows.as_ref().expect("it says so");
    assert_eq!((&follows.tip, follows.found.as_ref()), (&parent, Some(&theirs.to_string())));
    assert!(later[1..].iter().all(|record| record.record.follows.is_none()));
    let checked = scene.check().expect("whole");
    assert_eq!((checked.records, checked.tip), (6, later.last().map(|record| record.commit)));
    let old: Vec<_> = checked.foreign.iter().map(|(branch, tip)| (branch.to_string(), *tip)).collect();
    assert_eq!(old, [(scene.branch.to_string(), theirs)]);
    // The old branch is pushed back to its first record: nothing of the log is lost with it.
    scene.point(written[0].commit);
    assert_eq!(scene.check().expect("whole").records, 6);
    // A daemon that begins anew goes on where it was left.
    let branch = "deploylog/prod-eks/prod/1".parse().expect("a branch");
    let again =
        tidegate::ledger::Pen::take(&scene.store, branch, Scene::cluster()).expect("the end of the log");
    assert_eq!(again.tip(), checked.tip);
}

#[test]
fn a_record_is_written_once_and_one_that_is_too_large_not_at_all() {
    let outcomes = generated(2);
    let (scene, written) = Scene::of(&outcomes[..1]);
    let mut pen = scene.pen();
    let again = pen.append(&scene.store, &scene.key.signing, written[0].record.id, outcomes[1].clone());
    assert!(again.is_err(), "its id is taken");
    let app = |number: usize| tidegate_core::ledger::AppChange {
        app: format!("shop/a{number}").try_into().expect("a name"),
        from: None,
        to: None,
        result: None,
    };
    let many = tidegate_core::ledger::Outcome { apps: (0..17).map(app).collect(), ..outcomes[1].clone() };
    let id = RecordId::new(many.times.finished, [9; 10]);
    assert!(pen.append(&scene.store, &scene.key.signing, id, many).is_err(), "it is told in parts");
    assert_eq!(scene.check().expect("whole").records, 1);
}

#[test]
fn a_clone_of_the_log_is_checked_as_the_log_itself() {
    let (scene, written) = Scene::of(&generated(4));
    let bare = scene.bare();
    let folder = scene.folder.path();
    succeed(git(folder, &["clone", "--quiet", "--no-checkout", bare.to_str().expect("a path"), "clone"]));
    let clone = Store::open(&folder.join("clone")).expect("a repository");
    let logs = clone.logs().expect("branches");
    assert_eq!(logs.len(), 1);
    let checked = tidegate::ledger::check(&clone, &logs[0], scene.trust(), &[]);
    let checked = checked.expect("readable").expect("whole");
    assert_eq!(checked.records, written.len() as u64);
    // Packed, as after a clone from a server.
    succeed(git(&folder.join("clone"), &["repack", "-q", "-a", "-d", "-f"]));
    let packed = Store::open(&folder.join("clone")).expect("a repository");
    let checked = tidegate::ledger::check(&packed, &logs[0], scene.trust(), &[]).expect("readable");
    assert_eq!(checked.expect("whole").tip, written.last().map(|record| record.commit));
}

#[test]
fn a_shallow_clone_is_refused_with_what_to_do() {
    let (scene, _) = Scene::of(&generated(4));
    let folder = scene.folder.path();
    let url = format!("file://{}", scene.bare().display());
    succeed(git(
        folder,
        &["clone", "--quiet", "--no-checkout", "--depth=2", "--no-single-branch", &url, "shallow"],
    ));
    let shallow = Store::open(&folder.join("shallow")).expect("a repository");
    let log = shallow.logs().expect("branches").remove(0);
    let bad =
        tidegate::ledger::check(&shallow, &log, Trust::First, &[]).expect("readable").expect_err("not whole");
    assert!(bad.to_string().contains("git fetch --unshallow"), "{bad}");
}

#[test]
fn keys_that_cannot_be_used_say_what_to_do() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let make = |name: &str, arguments: &[&str]| {
        let file = folder.path().join(name);
        let mut command = std::process::Command::new("ssh-keygen");
        command.args(["-q", "-C", "x", "-f"]).arg(&file).args(arguments);
        succeed(command.output().expect("ssh-keygen runs"));
        SigningKey::read(&std::fs::read_to_string(&file).expect("a key"))
    };
    let protected =
        make("protected", &["-t", "ed25519", "-N", "secret words"]).expect_err("nobody enters it");
    assert!(
        matches!(protected, KeyError::Encrypted) && protected.to_string().contains("ssh-keygen -p"),
        "{protected}"
    );
    let other = make("rsa", &["-t", "rsa", "-b", "2048", "-N", ""]).expect_err("another sort");
    assert!(other.to_string().contains("ssh-rsa") && other.to_string().contains("-t ed25519"), "{other}");
    for text in [
        "",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-ed25519 AAAA x",
    ] {
        let refused = SigningKey::read(text).expect_err("no key").to_string();
        assert!(refused.contains("ssh-keygen -t ed25519"), "{refused}");
    }
    // What is printed of a key says nothing of its private half.
    let key = make_key(folder.path(), "shown");
    assert_eq!(format!("{:?}", key.signing), format!("SigningKey({})", key.signing.fingerprint()));
}

#[test]
fn trusted_keys_are_read_as_git_and_people_write_them() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let key = make_key(folder.path(), "daemon");
    let known = fingerprints(&[&key]);
    let [one, two, three, four] = [
        key.public.clone(),
        format!("# the daemon\n\nprod@example,x@example namespaces=\"git\" {}\n", key.public),
        format!("* {}", key.public),
        key.signing.fingerprint().to_string(),
    ];
    for text in [one, two, three, four] {
        assert_eq!(trusted(&text).expect("a key"), known, "{text}");
    }
    for options in ["cert-authority", "valid-before=\"20200101\"", "namespaces=\"file\""] {
        let refused = trusted(&format!("x@example {options} {}", key.public));
        assert!(matches!(refused, Err(KeyError::Line { line: 1 })), "{options}: {refused:?}");
    }
    let refused = trusted(&format!("{}\nnonsense\n", key.public)).expect_err("no key");
    assert!(refused.to_string().starts_with("line 2 is no key"), "{refused}");
    assert!(trusted("").expect("nothing").is_empty());
}
