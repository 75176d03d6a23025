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
    let refused = trusted(&format!("{}\nnonsense\n", key.public)).expect_err("no key");
    assert!(refused.to_string().starts_with("line 2 is no key"), "{refused}");
    assert!(trusted("").expect("nothing").is_empty());
}
