//! What stands in a commit's message.

use super::builder::{change, deploy, record, running, source, time};
use crate::ids::Digest;
use crate::ledger::{
    Capped, Change, Gap, GateAnswer, Glance, Image, Kind, MAX_RECORD_BYTES, NoRecord, ObjectOperation,
    Operation, Order, Outcome, Record, Repair, Result as How, line, message, read, subject,
};
use crate::object::{Gvk, ObjectRef};
use crate::rollout::Verdict;

fn gate(name: &str, result: Verdict) -> GateAnswer {
    GateAnswer {
        name: name.to_owned(),
        app: None,
        stage: "beforeSwitch".to_owned(),
        result,
        n: 20,
        value: Some("0".to_owned()),
        threshold: None,
        query: None,
        summary: "20 of 20 requests answered 200".to_owned(),
        t0: time(1),
        t1: time(2),
    }
}

fn object(name: &str) -> ObjectRef {
    ObjectRef {
        gvk: Gvk { group: "apps".to_owned(), version: "v1".to_owned(), kind: "Deployment".to_owned() },
        namespace: Some("shop".to_owned()),
        name: name.to_owned(),
    }
}

fn told(outcome: Outcome) -> String {
    subject(&record(3, None, outcome))
}

#[test]
fn a_message_has_a_subject_the_record_in_one_line_and_trailers_at_its_end() {
    let outcome = Outcome {
        gates: Capped::all(vec![gate("smoke", Verdict::Pass), gate("load", Verdict::Pass)]),
        ..deploy(1_000, vec![change("api", Some(running('8', "2.3.1")), Some(running('9', "2.4.0")))])
    };
    let record = record(3, None, outcome);
    let text = message(&record).expect("JSON");
    let paragraphs: Vec<&str> = text.split("\n\n").collect();
    let [subject, line, trailers] = paragraphs.as_slice() else { panic!("{text}") };
    assert_eq!(*subject, "prod/shop/api: succeeded 9999999 api 2.3.1->2.4.0 in 7m41s (2/2 gates)");
    assert!(line.starts_with("{\"v\":1,\"id\":\"") && !line.contains('\n'), "{line}");
    let expected = format!(
        "Deploy-Id: {}\nDeploy-Env: prod\nDeploy-App: shop/api\nDeploy-Kind: deploy\nDeploy-Result: succeeded\nDeploy-Seq: 3\nSource-Commit: {}\n",
        record.id,
        "9".repeat(40)
    );
    assert_eq!(*trailers, expected);
    assert_eq!(read(&text).expect("a record").record, record);
}

#[test]
fn subjects_say_what_happened() {
    let api = |from, to| change("api", from, to);
    let none = deploy(9, Vec::new());
    for (outcome, expected) in [
        (
            deploy(461, vec![api(None, Some(running('9', "1")))]),
            "prod/shop/api: succeeded 9999999 api 1 in 7m41s",
        ),
        (
            deploy(461, vec![api(Some(running('8', "1")), None)]),
            "prod/shop/api: succeeded 9999999 api 1 removed in 7m41s",
        ),
        (
            Outcome {
                result: How::RolledBack,
                ..deploy(461, vec![api(Some(running('8', "1")), Some(running('9', "2")))])
            },
            "prod/shop/api: rolled back 9999999 api 1->2 in 7m41s",
        ),
        (
            Outcome { kind: Kind::Drift, source: None, ..none.clone() },
            "prod: made 0 objects as they should be in 7m41s",
        ),
        (
            Outcome {
                kind: Kind::Drift,
                source: None,
                repairs: Capped::all(vec![Repair {
                    object: object("api"),
                    changes: Capped::all(vec!["spec.replicas: 5 -> 2".to_owned()]),
                    manager: Some("kubectl-scale".to_owned()),
                    seen: time(1),
                    times: 1,
                }]),
                ..none.clone()
            },
            "prod: undid a change of Deployment shop/api by kubectl-scale in 7m41s",
        ),
        (
            Outcome {
                kind: Kind::BreakGlass,
                order: Some(Order {
                    command: "abort".to_owned(),
                    by: "jane".to_owned(),
                    reason: "a bad\nday\u{1b}[2J".to_owned(),
                    at: time(1),
                }),
                times: crate::ledger::Times { started: None, ..none.times.clone() },
                source: Some(source('9')),
                ..none.clone()
            },
            "prod: abort by jane: a bad day [2J 9999999",
        ),
        (
            Outcome {
                kind: Kind::LedgerGap,
                source: None,
                gap: Some(Gap { count: 12, digest: Digest::of(b""), since: time(1), until: time(2) }),
                times: crate::ledger::Times { started: None, ..none.times.clone() },
                ..none.clone()
            },
            "prod: 12 records are missing",
        ),
    ] {
        assert_eq!(told(outcome), expected);
    }
    let many = ["a", "b", "c", "d", "e"].map(|name| change(name, None, Some(running('9', "1")))).to_vec();
    assert_eq!(told(deploy(461, many)), "prod: succeeded 9999999 a 1, b 1, c 1 and 2 more in 7m41s");
}

#[test]
fn a_message_that_was_written_otherwise_is_no_record() {
    let text = message(&record(0, None, deploy(1_000, vec![change("api", None, Some(running('9', "1")))])))
        .expect("JSON");
    let cases = [
        ("a message\n".to_owned(), NoRecord::Missing),
        (text.replace("{\"v\":1", "{\"v\":7"), NoRecord::Version(7)),
        (text.replace("Deploy-Seq: 0", "Deploy-Seq: 1"), NoRecord::Trailers),
        (text.replace("Deploy-App: shop/api\n", ""), NoRecord::Trailers),
        (format!("{text}\nSigned-off-by: x\n"), NoRecord::Trailers),
    ];
    for (text, expected) in cases {
        assert_eq!(read(&text), Err(expected), "{text}");
    }
    for broken in ["\"seq\":", "\"kind\":\"deploy\"", "\"finished\":\""] {
        let refused = read(&text.replacen(broken, "\"x\":\"", 1));
        assert!(matches!(refused, Err(NoRecord::Unreadable(_))), "{broken}: {refused:?}");
    }
}

/// Sizes of a record's text before and after it is cut.
fn shrunk(record: &mut Record) -> (usize, usize) {
    let size = |record: &Record| line(record).expect("JSON").len();
    let before = size(record);
    record.shrink().expect("it can be cut");
    (before, size(record))
}

#[test]
fn a_record_is_cut_to_its_limit_and_says_how_much_there_was() {
    let operation = |number: usize| ObjectOperation {
        object: object(&format!("o{number}")),
        uid: Some("u".repeat(36)),
        op: Operation::Change,
        fields: Capped::all(
            (0..10)
                .map(|field| format!("spec.field{field}: {} -> {}", "ä".repeat(2_500), "b".repeat(300)))
                .collect(),
        ),
        times: 1,
    };
    let mut large = record(
        0,
        None,
        Outcome {
            objects: Capped::all((0..300).map(operation).collect()),
            gates: Capped::all((0..100).map(|number| gate(&format!("g{number}"), Verdict::Fail)).collect()),
            reason: "x".repeat(100_000),
            ..deploy(
                1_000,
                (0..16)
                    .map(|number| {
                        change(&format!("a{number}"), Some(running('8', "1")), Some(running('9', "2")))
                    })
                    .collect(),
            )
        },
    );
    let (before, after) = shrunk(&mut large);
    assert!(before > 10_000_000 && after <= MAX_RECORD_BYTES, "{before} {after}");
    assert_eq!((large.outcome.objects.total, large.outcome.apps.len()), (300, 16));
    assert!(large.outcome.objects.digest.is_some());
    assert_eq!(read(&message(&large).expect("JSON")).expect("a record").record, large);
    let mut small = record(0, None, deploy(1_000, Vec::new()));
    let (before, after) = shrunk(&mut small);
    assert_eq!(before, after);
}

#[test]
fn an_outcome_of_more_workloads_than_one_record_holds_is_told_in_several() {
    let apps: Vec<_> =
        (0..70).map(|number| change(&format!("a{number}"), None, Some(running('9', "2")))).collect();
    let whole =
        Outcome { gates: Capped::all(vec![gate("smoke", Verdict::Pass)]), ..deploy(1_000, apps.clone()) };
    let parts = whole.clone().parts();
    let numbers: Vec<_> = parts.iter().map(|part| part.part.map(|part| (part.number, part.of))).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5].map(|number| Some((number, 5))));
    assert_eq!(parts.iter().flat_map(|part| part.apps.clone()).collect::<Vec<_>>(), apps);
    assert_eq!(parts.iter().filter(|part| !part.gates.is_empty()).count(), 1);
    let few = Outcome { apps: apps.into_iter().take(16).collect(), ..whole };
    assert_eq!(few.clone().parts(), [few]);
}

#[test]
fn texts_of_any_length_in_any_field_leave_a_record_within_its_limit() {
    let long = || "x".repeat(30_000);
    let mut source = source('9');
    source.repo = long();
    source.path = long();
    source.signer = Some(long());
    let mut apps: Vec<_> = (0..16)
        .map(|number| change(&format!("a{number}"), Some(running('8', "1")), Some(running('9', "2"))))
        .collect();
    for running in apps.iter_mut().flat_map(|app| [&mut app.from, &mut app.to]).flatten() {
        let image = Image { name: long(), digest: Some(long()) };
        running.images = (0..9).map(|number| (format!("c{number}"), image.clone())).collect();
        running.revision = Some(long());
    }
    let people = || Capped::all(vec![long(), long()]);
    let outcome = Outcome {
        code: Some(long()),
        source: Some(source),
        change: Some(Change {
            author: long(),
            committer: long(),
            co_authors: people(),
            approvers: people(),
            merger: Some(long()),
            pr: Some(long()),
            self_approved: None,
        }),
        order: Some(Order { command: long(), by: long(), reason: long(), at: time(1) }),
        gates: Capped::all(vec![GateAnswer { name: long(), summary: long(), ..gate("g", Verdict::Pass) }]),
        ..deploy(1_000, apps)
    };
    let mut record = record(0, None, outcome);
    let digest = {
        let co_authors = record.outcome.change.as_ref().map(|change| &change.co_authors.items);
        Digest::of(&serde_json::to_vec(&co_authors).expect("JSON"))
    };
    let (before, after) = shrunk(&mut record);
    assert!(before > 10_000_000 && after <= MAX_RECORD_BYTES, "{before} {after}");
    // The digest is of what there was before anything was cut.
    let change = record.outcome.change.expect("it is there");
    assert_eq!((change.co_authors.total, change.co_authors.digest), (2, Some(digest)));
}

#[test]
fn a_glance_sees_what_the_whole_record_says_whatever_its_texts_hold() {
    let words = "\"times\":{\"finished\":1} \n\n{\"v\":1,\"id\":\"";
    let mut outcome = deploy(1_000, vec![change("api", None, Some(running('9', "1")))]);
    outcome.reason = words.to_owned();
    outcome.actor.replica = words.to_owned();
    for outcome in [deploy(1_000, Vec::new()), outcome] {
        let record = record(17, Some(Digest::of(b"x")), outcome);
        let seen = Glance::of(&message(&record).expect("JSON")).expect("a record");
        assert_eq!((seen.id, seen.seq, seen.times), (record.id, 17, record.outcome.times));
    }
    for text in ["", "a\n\nb", "a\n\n{\"v\":1,\"seq\":1}\n\nDeploy-Seq: 1\n"] {
        assert_eq!(Glance::of(text), None, "{text}");
    }
}
