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
    let mut verifier = check(&three()[..2]).expect("whole");
    let mut found = three().remove(2);
    found.parents.clear();
    let bad = verifier.take(&found, Joint::Epoch).expect_err("it does not say");
    assert_eq!(bad.fault, Fault::Follows);
    let follows = |tip: String| {
        format!(
            "\"seq\":2,\"prev\":\"{}\",\"follows\":{{\"branch\":\"{}\",\"tip\":\"{tip}\"}},\"kind\"",
            digest(),
            branch()
        )
    };
    let plain = format!("\"seq\":2,\"prev\":\"{}\",\"kind\"", digest());
    let text = found.message.clone();
    assert!(text.contains(&plain), "{text}");
    found.message = text.replace(&plain, &follows(commit_of(7)));
    assert_eq!(verifier.take(&found, Joint::Epoch).expect_err("another one").fault, Fault::Follows);
    found.message = text.replace(&plain, &follows(commit_of(1)));
    assert!(verifier.take(&found, Joint::Epoch).is_ok());
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
