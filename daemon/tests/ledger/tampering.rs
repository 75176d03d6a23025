//! Whoever alters a log is found: every byte of it, every record that is dropped, swapped, repeated or cut off, every signature by
//! another key, every history that is written anew.

use gix::ObjectId;
use gix::objs::Commit;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tidegate_core::ledger::{Fault, Trust};
use tidegate_proptests::cases::{Cases, is_full};
use tidegate_proptests::ledger::outcomes;

use crate::forge::bytes;
use crate::scene::{Scene, fingerprints, generated, git, make_key, succeed};

/// Records of the logs whose every byte is changed.
fn length() -> usize {
    if is_full() { 12 } else { 2 }
}

#[test]
fn every_byte_of_every_object_that_is_changed_in_its_place_is_found() {
    let (scene, _) = Scene::of(&generated(length()));
    assert!(scene.check().is_ok());
    let mut count = 0;
    let objects = scene.objects();
    for (id, kind, whole) in &objects {
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            // Another bit at each place.
            changed[place] ^= 1 << (place % 8);
            scene.replace(*id, *kind, &changed);
            assert!(
                scene.check().is_err(),
                "byte {place} of the {kind} {id}: {}",
                String::from_utf8_lossy(&changed)
            );
            count += 1;
        }
        scene.replace(*id, *kind, whole);
    }
    assert!(scene.check().is_ok(), "as it was");
    println!("{count} changes of {} objects, all found", objects.len());
}

#[test]
fn every_byte_of_the_last_record_that_is_changed_in_a_commit_made_anew_is_found() {
    let (scene, written) = Scene::of(&generated(length()));
    let last = written.last().expect("a record").commit;
    let whole = bytes(&scene.commit(last));
    let text = String::from_utf8_lossy(&whole);
    let signature = text.find("gpgsig").expect("a signature")..text.find("-----END").expect("its end");
    let mut count = 0;
    for place in 0..whole.len() {
        // Of a signature more than one form may be of the same bytes: every bit of it.
        let bits = if is_full() || signature.contains(&place) { 0..8 } else { 0..1 };
        for bit in bits {
            let mut changed = whole.clone();
            changed[place] ^= 1 << ((place + bit) % 8);
            let anew = scene.put(gix::objs::Kind::Commit, &changed);
            // Nothing else is in the way: the branch is where the new commit is.
            let log = scene.store.logs().expect("branches").remove(0);
            let log = tidegate::ledger::Log { tips: [(0, vec![anew])].into(), ..log };
            let checked = tidegate::ledger::check(&scene.store, &log, scene.trust(), &[]);
            let is_found = !matches!(checked, Ok(Ok(_)));
            assert!(is_found, "byte {place}: {}", String::from_utf8_lossy(&changed));
            count += 1;
        }
    }
    println!("{count} changes of a commit of {} bytes, all found", whole.len());
}

/// What somebody does to the commits of a log.
#[derive(Debug, Clone, Copy)]
enum Alteration {
    Drop(usize),
    Swap(usize, usize),
    Repeat(usize),
    Reverse,
    Message(usize, usize),
}

impl Alteration {
    /// Nothing where it would leave the log as it was.
    fn of(self, commits: &[Commit]) -> Option<Vec<Commit>> {
        let mut altered = commits.to_vec();
        let count = commits.len();
        match self {
            // Without its last one it is cut off: another test.
            Self::Drop(at) => drop(altered.remove(at % (count - 1))),
            Self::Swap(one, other) => altered.swap(one % count, other % count),
            Self::Repeat(at) => altered.insert(at % count, commits[at % count].clone()),
            Self::Reverse => altered.reverse(),
            Self::Message(at, place) => {
                let message = &mut altered[at % count].message;
                let place = place % message.len();
                message[place] = if message[place] == b'x' { b'y' } else { b'x' };
            }
        }
        (altered != commits).then_some(altered)
    }
}

fn alteration() -> impl Strategy<Value = Alteration> {
    let at = 0_usize..1_000_000;
    prop_oneof![
        at.clone().prop_map(Alteration::Drop),
        (at.clone(), at.clone()).prop_map(|(one, other)| Alteration::Swap(one, other)),
        at.clone().prop_map(Alteration::Repeat),
        Just(Alteration::Reverse),
        (at.clone(), at).prop_map(|(record, place)| Alteration::Message(record, place)),
    ]
}

/// Who alters it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hand {
    /// Leaves the signatures as they are.
    Keyless,
    /// Signs anew with a key of their own.
    Stranger,
    /// Signs anew with the daemon's key.
    Thief,
}

#[test]
fn every_log_that_is_written_anew_with_its_records_dropped_swapped_repeated_or_changed_is_found() {
    let cases = Cases { sample: 48, full: 2_000 };
    let hand = prop_oneof![Just(Hand::Keyless), Just(Hand::Stranger), Just(Hand::Thief)];
    let strategy = (outcomes(2..7_usize), proptest::collection::vec((alteration(), hand), 12));
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..cases.config() });
    let found = std::cell::Cell::new([0_u32; 3]);
    let result = runner.run(&strategy, |(outcomes, alterations)| {
        let (scene, written) = Scene::of(&outcomes);
        let stranger = make_key(scene.folder.path(), "stranger");
        let tip = written.last().expect("a record").commit;
        let commits: Vec<Commit> = written.iter().map(|record| scene.commit(record.commit)).collect();
        prop_assert!(scene.check_with(scene.trust(), &[tip]).is_ok());
        for (alteration, hand) in alterations {
            let Some(altered) = alteration.of(&commits) else { continue };
            let key = match hand {
                Hand::Keyless => None,
                Hand::Stranger => Some(&stranger.signing),
                Hand::Thief => Some(&scene.key.signing),
            };
            scene.rewrite(altered, key);
            // A thief of the key can write a whole new end: then it takes a commit that somebody remembers.
            let known = if hand == Hand::Thief { vec![tip] } else { Vec::new() };
            let checked = scene.check_with(scene.trust(), &known);
            prop_assert!(checked.is_err(), "{alteration:?} by {hand:?}: {checked:?}");
            let mut counts = found.get();
            counts[hand as usize] += 1;
            found.set(counts);
        }
        scene.point(tip);
        prop_assert!(scene.check_with(scene.trust(), &[tip]).is_ok());
        Ok(())
    });
    result.expect("every alteration is found");
    let [keyless, stranger, thief] = found.get();
    println!(
        "found: {keyless} without a key, {stranger} with another key, {thief} with the daemon's own key"
    );
}

#[test]
fn a_signature_in_another_form_is_none() {
    use ssh_key::{HashAlg, LineEnding, Signature, SshSig};
    let (scene, written) = Scene::of(&generated(2));
    let last = scene.commit(written.last().expect("a record").commit);
    let armoured = last.extra_headers[0].1.to_string();
    let signature = SshSig::from_pem(armoured.trim_end()).expect("a signature");
    let raw = signature.signature_bytes();
    let algorithm =
        |name: &str| Signature::new(name.parse().expect("an algorithm"), raw).expect("a signature");
    let with =
        |hash, signature| SshSig::new(written_key(&scene), "git", hash, signature).expect("a signature");
    let mut others = vec![
        with(HashAlg::Sha256, algorithm("ssh-ed25519")),
        with(HashAlg::Sha512, algorithm("rsa-sha2-256")),
    ];
    others.push(
        SshSig::new(written_key(&scene), "file", HashAlg::Sha512, algorithm("ssh-ed25519"))
            .expect("a signature"),
    );
    let mut texts: Vec<String> =
        others.iter().map(|other| other.to_pem(LineEnding::LF).expect("PEM").trim_end().to_owned()).collect();
    // Version 0, which the format's parser takes: one bit.
    texts.push(armoured.trim_end().replacen("U1NIU0lHAAAAAQ", "U1NIU0lHAAAAAA", 1));
    assert!(texts.iter().all(|text| *text != armoured.trim_end()), "each is another text");
    for text in texts {
        let mut forged = last.clone();
        forged.extra_headers = vec![("gpgsig".into(), text.clone().into())];
        let anew = scene.put(gix::objs::Kind::Commit, &bytes(&forged));
        scene.point(anew);
        let bad = scene.check().expect_err("another form");
        assert!(matches!(bad.fault, Fault::Signature(_)), "{bad}: {text}");
    }
}

fn written_key(scene: &Scene) -> ssh_key::public::KeyData {
    ssh_key::PublicKey::from_openssh(&scene.key.public).expect("a key").key_data().clone()
}

#[test]
fn a_thief_of_the_key_who_only_moves_records_is_found_without_anything_remembered() {
    let (scene, written) = Scene::of(&generated(5));
    let commits: Vec<Commit> = written.iter().map(|record| scene.commit(record.commit)).collect();
    let number = |expected, found| Fault::Number { expected, found };
    for (alteration, seq, fault) in [
        (Alteration::Drop(1), 1, number(1, 2)),
        (Alteration::Swap(1, 3), 1, number(1, 3)),
        (Alteration::Repeat(2), 3, number(3, 2)),
        (Alteration::Reverse, 0, number(0, 4)),
    ] {
        let altered = alteration.of(&commits).expect("another log");
        scene.rewrite(altered, Some(&scene.key.signing));
        let bad = scene.check().expect_err("records were moved");
        assert_eq!((bad.seq, bad.fault), (seq, fault), "{alteration:?}");
    }
    // A record that is told otherwise: the next one names what it was.
    let mut told = commits.clone();
    let text = told[1].message.to_string();
    told[1].message = text.replacen("\"reason\":\"", "\"reason\":\"not \u{2014} ", 1).into();
    scene.rewrite(told, Some(&scene.key.signing));
    let bad = scene.check().expect_err("a record was told otherwise");
    assert_eq!((bad.seq, bad.fault), (2, Fault::Previous));
}

#[test]
fn a_log_whose_end_is_moved_back_by_a_further_branch_is_found_without_anything_remembered() {
    let (scene, written) = Scene::of(&generated(5));
    let early = written[2].commit.to_string();
    for (name, fault) in [
        ("refs/heads/deploylog/prod-eks/prod/1", Fault::Epoch),
        ("refs/remotes/origin/deploylog/prod-eks/prod/0", Fault::Fork(String::new())),
    ] {
        succeed(git(&scene.bare(), &["update-ref", name, &early]));
        let checked = scene.check();
        match fault {
            // What the clone itself holds is more than the remote says: the longer one counts.
            Fault::Fork(_) => assert_eq!(checked.expect("the longer one").records, 5),
            fault => assert_eq!(checked.expect_err("no record is of that epoch").fault, fault),
        }
        succeed(git(&scene.bare(), &["update-ref", "-d", name]));
    }
    // Another end than ours, by our own key: two daemons that wrote at once, or a thief.
    let mut others: Vec<Commit> = written[..3].iter().map(|record| scene.commit(record.commit)).collect();
    others[2].message = format!("{} ", others[2].message).into();
    let ids = scene.rewrite(others, Some(&scene.key.signing));
    scene.point(written[4].commit);
    let name = "refs/remotes/other/team/deploylog/prod-eks/prod/0";
    succeed(git(&scene.bare(), &["update-ref", name, &ids[2].to_string()]));
    assert!(scene.check().is_err());
}

#[test]
fn a_log_whose_end_is_cut_off_is_found_by_any_commit_that_somebody_remembers() {
    let (scene, written) = Scene::of(&generated(5));
    let ids: Vec<ObjectId> = written.iter().map(|record| record.commit).collect();
    for end in 0..ids.len() - 1 {
        scene.point(ids[end]);
        // What is left is a log, as far as it can tell by itself.
        assert!(scene.check().is_ok());
        for known in &ids[end + 1..] {
            let bad = scene.check_with(scene.trust(), &[*known]).expect_err("it was cut off");
            assert_eq!(bad.fault, Fault::Cut(known.to_string()));
        }
        assert!(scene.check_with(scene.trust(), &ids[..=end]).is_ok());
    }
}

#[test]
fn a_log_that_somebody_else_signed_whole_is_found_by_the_key_alone() {
    let (scene, written) = Scene::of(&generated(4));
    let stranger = make_key(scene.folder.path(), "stranger");
    let commits: Vec<Commit> = written.iter().map(|record| scene.commit(record.commit)).collect();
    scene.rewrite(commits.clone(), Some(&stranger.signing));
    let bad = scene.check().expect_err("another key");
    assert_eq!((bad.seq, bad.fault), (0, Fault::Stranger(stranger.signing.fingerprint())));
    // Without a key that is known one hand has written all of it.
    let checked = scene.check_with(Trust::First, &[]).expect("one hand");
    assert_eq!(checked.keys, fingerprints(&[&stranger]));
    // A second hand from the third record on.
    let kept = commits[..2].iter().cloned();
    let ids = scene.rewrite(kept.collect(), Some(&scene.key.signing));
    let mut others = commits[2..].to_vec();
    let mut parent = *ids.last().expect("a commit");
    for commit in &mut others {
        commit.parents = [parent].into_iter().collect();
        commit.extra_headers.clear();
        let signature = stranger.signing.sign(&bytes(commit)).expect("a signature");
        commit.extra_headers.push(("gpgsig".into(), signature.into()));
        parent = scene.put(gix::objs::Kind::Commit, &bytes(commit));
    }
    scene.point(parent);
    for trust in [scene.trust(), Trust::First] {
        let bad = scene.check_with(trust, &[]).expect_err("a second hand");
        assert_eq!((bad.seq, bad.fault), (2, Fault::Stranger(stranger.signing.fingerprint())));
    }
}

#[test]
fn files_that_say_something_else_than_the_records_are_found_whoever_signed_them() {
    let (scene, written) = Scene::of(&generated(3));
    let commits: Vec<Commit> = written.iter().map(|record| scene.commit(record.commit)).collect();
    for at in 0..commits.len() {
        let mut altered = commits.clone();
        let blob = scene.put(gix::objs::Kind::Blob, b"{}\n");
        let mut tree = format!("100644 README{}", '\0').into_bytes();
        tree.extend_from_slice(blob.as_slice());
        altered[at].tree = scene.put(gix::objs::Kind::Tree, &tree);
        scene.rewrite(altered, Some(&scene.key.signing));
        let bad = scene.check().expect_err("other files");
        assert_eq!((bad.seq, bad.fault), (at as u64, Fault::Tree));
    }
}

#[test]
fn a_clone_that_lacks_objects_is_not_taken_for_a_whole_log() {
    let (scene, written) = Scene::of(&generated(3));
    // Git knows the empty tree without having it.
    let empty = ObjectId::empty_tree(gix::hash::Kind::Sha1);
    for (id, kind, whole) in scene.objects().into_iter().filter(|(id, ..)| *id != empty) {
        let hex = id.to_string();
        let (folder, file) = hex.split_at(2);
        let path = scene.bare().join("objects").join(folder).join(file);
        std::fs::remove_file(&path).expect("a file");
        assert!(scene.check().is_err(), "without the {kind} {id}");
        scene.replace(id, kind, &whole);
    }
    assert_eq!(scene.check().expect("whole again").records, written.len() as u64);
}
