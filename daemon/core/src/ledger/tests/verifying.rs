//! A log that is held against itself. Every alteration of its bytes: `daemon/tests/ledger/tampering.rs`.

use std::collections::BTreeSet;

use super::builder::{change, commit_of, deploy, key, log, running};
use crate::ledger::{Bad, Branch, Fault, Found, Joint, NoRecord, Signer, Trust, Verifier};

fn three() -> Vec<Found> {
    let deploys = (1..4).map(|number| {
        deploy(number * 1_000, vec![change("api", None, Some(running('9', &number.to_string())))])
    });
    log(deploys.collect())
}

fn branch() -> Branch {
    "deploylog/prod-eks/prod/0".parse().expect("a branch")
}

fn check_with(trust: Trust, branch: Branch, log: &[Found]) -> Result<Verifier, Bad> {
    let mut verifier = Verifier::new(branch, trust);
    for found in log {
        verifier.take(found, Joint::Child).map_err(|bad| *bad)?;
    }
    Ok(verifier)
}

fn check(log: &[Found]) -> Result<Verifier, Bad> {
    check_with(Trust::Keys(BTreeSet::from([key("daemon")])), branch(), log)
}

/// The number of the first bad record, and why it is bad.
fn first_bad(change: impl FnOnce(&mut Vec<Found>)) -> (u64, Fault) {
    let mut log = three();
    change(&mut log);
    let Bad { seq, fault, .. } = check(&log).expect_err("it was altered");
    (seq, fault)
}

#[test]
fn what_was_written_is_whole() {
    let verifier = check(&three()).expect("whole");
    assert_eq!(verifier.next(), 3);
    assert_eq!(verifier.keys(), &BTreeSet::from([key("daemon")]));
    assert_eq!(verifier.state().apps().count(), 1);
    assert!(check(&[]).is_ok());
}

#[test]
fn a_record_that_is_missing_swapped_or_put_twice_is_named() {
    assert_eq!(first_bad(|log| drop(log.remove(1))), (1, Fault::Number { expected: 1, found: 2 }));
    assert_eq!(first_bad(|log| drop(log.remove(0))), (0, Fault::Number { expected: 0, found: 1 }));
    assert_eq!(first_bad(|log| log.swap(1, 2)), (1, Fault::Number { expected: 1, found: 2 }));
    assert_eq!(first_bad(|log| log.insert(1, log[0].clone())), (1, Fault::Number { expected: 1, found: 0 }));
}

#[test]
fn a_record_that_was_written_anew_breaks_the_next_one() {
    let rewritten = |log: &mut Vec<Found>| {
        log[1].message = log[1].message.replacen("\"reason\":\"live\"", "\"reason\":\"fine\"", 1);
    };
    assert_eq!(first_bad(rewritten), (2, Fault::Previous));
}

#[test]
fn who_signed_is_asked_of_every_record() {
    assert_eq!(first_bad(|log| log[1].signer = Signer::Nobody), (1, Fault::Unsigned));
    assert_eq!(
        first_bad(|log| log[2].signer = Signer::Key(key("thief"))),
        (2, Fault::Stranger(key("thief")))
    );
    assert_eq!(
        first_bad(|log| log[0].signer = Signer::Invalid("no".to_owned())),
        (0, Fault::Signature("no".to_owned()))
    );
}

#[test]
fn without_known_keys_one_hand_must_have_written_all() {
    assert!(check_with(Trust::First, branch(), &three()).is_ok());
    let mut log = three();
    log[2].signer = Signer::Key(key("thief"));
    let bad = check_with(Trust::First, branch(), &log).expect_err("two hands");
    assert_eq!((bad.seq, bad.fault), (2, Fault::Stranger(key("thief"))));
}

#[test]
fn the_commit_around_a_record_must_fit_it() {
    assert_eq!(first_bad(|log| log[1].parents = vec![commit_of(9)]), (1, Fault::Parent));
    assert_eq!(first_bad(|log| log[1].parents.push(commit_of(9))), (1, Fault::Parent));
    assert_eq!(first_bad(|log| log[0].parents.push(commit_of(9))), (0, Fault::Parent));
    assert_eq!(first_bad(|log| log[1].author_seconds += 1), (1, Fault::Times));
    assert_eq!(first_bad(|log| log[1].committer_seconds -= 1), (1, Fault::Times));
    assert_eq!(first_bad(|log| log[2].message.clear()), (2, Fault::Message(NoRecord::Missing)));
}

#[test]
fn records_of_another_environment_or_cluster_are_refused() {
    for other in ["deploylog/prod-eks/dev/0", "deploylog/other/prod/0"] {
        let trust = Trust::Keys(BTreeSet::from([key("daemon")]));
        let bad = check_with(trust, other.parse().expect("a branch"), &three()).expect_err("another one");
        assert_eq!((bad.seq, bad.fault), (0, Fault::Elsewhere("prod in prod-eks".to_owned())));
    }
}

#[test]
fn a_new_epoch_says_which_log_it_goes_on_with() {
    let next: Branch = "deploylog/prod-eks/prod/1".parse().expect("a branch");
    let trust = || Trust::Keys(BTreeSet::from([key("daemon")]));
    let take = |epoch: u32, follows: Option<(&str, u64)>, joint: Joint| {
        let mut verifier = Verifier::new(next.clone(), trust());
        for found in &three()[..2] {
            verifier.take(found, Joint::Child).expect("whole");
        }
        let mut found = three().remove(2);
        let plain = format!("\"seq\":2,\"epoch\":0,\"prev\":\"{}\",\"kind\"", digest());
        assert!(found.message.contains(&plain), "{}", found.message);
        let follows = follows.map_or(String::new(), |(branch, tip)| {
            format!("\"follows\":{{\"branch\":\"{branch}\",\"tip\":\"{}\"}},", commit_of(tip))
        });
        let text = format!("\"seq\":2,\"epoch\":{epoch},\"prev\":\"{}\",{follows}\"kind\"", digest());
        found.message = found.message.replace(&plain, &text);
        if joint == Joint::Epoch {
            found.parents.clear();
        }
        verifier.take(&found, joint).map(|_| verifier.end())
    };
    let zero = "deploylog/prod-eks/prod/0";
    for joint in [Joint::Child, Joint::Epoch] {
        assert_eq!(take(1, Some((zero, 1)), joint).expect("it goes on"), Ok(()));
        for (epoch, follows) in [
            (1, None),
            (1, Some((zero, 7))),
            (1, Some(("deploylog/prod-eks/prod/5", 1))),
            (0, Some((zero, 1))),
            (2, Some((zero, 1))),
        ] {
            let bad = take(epoch, follows, joint).expect_err("it does not");
            assert_eq!(bad.fault, Fault::Epoch, "{epoch} {follows:?}");
        }
    }
    // The branch says that there is an epoch of which no record is there.
    assert_eq!(take(0, None, Joint::Child).expect("it goes on"), Err(Fault::Epoch));
}

#[test]
fn a_record_is_there_once_and_of_one_cluster() {
    let uid = |text: &str| format!("\"cluster\":{{\"name\":\"prod-eks\",\"uid\":\"{text}\"}}");
    let plain = "\"cluster\":{\"name\":\"prod-eks\"}";
    let mut log = three();
    log[0].message = log[0].message.replace(plain, &uid("one"));
    let rechained = |log: &mut Vec<Found>, at: usize| {
        let told = crate::ledger::read(&log[at].message).expect("a record");
        let next = &mut log[at + 1].message;
        let prev = crate::ledger::read(next).expect("a record").record.prev.expect("one before");
        *next = next.replace(prev.as_str(), told.digest.as_str());
    };
    rechained(&mut log, 0);
    rechained(&mut log, 1);
    assert!(check(&log).is_ok(), "later ones need not name it");
    log[2].message = log[2].message.replace(plain, &uid("two"));
    let bad = check(&log).expect_err("another cluster");
    assert_eq!((bad.seq, bad.fault), (2, Fault::Elsewhere("prod in prod-eks (two)".to_owned())));

    let mut log = three();
    let ids: Vec<String> = log
        .iter()
        .map(|found| crate::ledger::read(&found.message).expect("a record").record.id.to_string())
        .collect();
    log[2].message = log[2].message.replace(&ids[2], &ids[0]);
    let bad = check(&log).expect_err("twice");
    assert_eq!((bad.seq, bad.fault), (2, Fault::Twice));
}

/// What the third record of [`three`] names.
fn digest() -> String {
    let told = crate::ledger::read(&three()[1].message).expect("a record");
    told.digest.to_string()
}

#[test]
fn names_of_branches_are_read_exactly() {
    for text in ["deploylog/prod-eks/prod/0", "deploylog/a_b/x/12"] {
        assert_eq!(text.parse::<Branch>().expect("a branch").to_string(), text);
    }
    for text in [
        "deploylog/p/prod",
        "deploylog/p/prod/01",
        "deploylog/p/prod/+1",
        "deploylog//prod/0",
        "x/p/prod/0",
        "deploylog/A/prod/0",
        "deploylog/p/prod/0/1",
    ] {
        assert!(text.parse::<Branch>().is_err(), "{text}");
    }
    let label = |text| crate::ledger::ClusterLabel::from_any(text).to_string();
    assert_eq!(label("arn:aws:eks:eu-central-1:111122223333:cluster/prod-eks"), "prod-eks");
    assert_eq!(label("https://10.0.0.1:6443"), "https---10-0-0-1-6443");
    assert_eq!(label("..."), "cluster");
}
