//! Entries, the queue and its bounds, what is written of an entry whose daemon ended.

use super::builder::{app, change, deploy, running, time};
use crate::ledger::{
    Capped, Change, CommitFacts, Entry, Kind, MAX_ENTRY_BYTES, ObjectOperation, Operation, Outcome, Put,
    Queue, RecordId, Repair, Result as How, RunId, Stage,
};
use crate::object::{Gvk, ObjectRef};

fn run(name: &str) -> RunId {
    RunId(name.to_owned())
}

fn id(number: u8) -> RecordId {
    RecordId::new(time(0), [number; 10])
}

fn object(name: &str) -> ObjectRef {
    let gvk = Gvk { group: String::new(), version: "v1".to_owned(), kind: "ConfigMap".to_owned() };
    ObjectRef { gvk, namespace: Some("shop".to_owned()), name: name.to_owned() }
}

fn entry(number: u8, second: i64) -> Entry {
    let apps = vec![change("api", None, Some(running('a', "2.4.0")))];
    Entry::begun(id(number), run("one"), deploy(second, apps))
}

/// Puts outcomes into a queue with room for three, as the shell does.
fn filled(count: u8) -> Queue {
    let mut queue = Queue::default().with_capacity(3);
    for number in 1..=count {
        let entry = entry(number, i64::from(number)).over();
        match queue.put(entry, id(100 + number), time(i64::from(number))) {
            Put::Keep(entry) | Put::Fold(entry) => queue.insert(entry),
        }
    }
    queue
}

#[test]
fn outcomes_wait_in_the_order_in_which_they_came_to_their_end() {
    let entries = [entry(1, 30).over(), entry(2, 10).over(), entry(3, 20), entry(4, 10).over()];
    let queue = Queue::of(entries);
    let waiting: Vec<RecordId> = queue.waiting().iter().map(|entry| entry.id).collect();
    assert_eq!(waiting, [id(2), id(4), id(1)]);
    assert_eq!(queue.under_way().map(|entry| entry.id).collect::<Vec<_>>(), [id(3)]);
}

#[test]
fn what_has_no_room_is_counted_in_one_gap_behind_the_rest() {
    let queue = filled(6);
    let waiting = queue.waiting();
    assert_eq!(waiting.len(), 4);
    let gap = waiting.last().unwrap();
    assert_eq!((gap.id, gap.outcome.kind), (id(104), Kind::LedgerGap));
    let gap = gap.outcome.gap.as_ref().unwrap();
    assert_eq!((gap.count, gap.since, gap.until), (3, time(4), time(6)));
    assert_ne!(gap.digest, filled(5).waiting().last().unwrap().outcome.gap.as_ref().unwrap().digest);
}

#[test]
fn once_there_is_room_again_outcomes_follow_the_gap() {
    let mut queue = filled(5);
    queue.remove(id(1));
    queue.remove(id(2));
    match queue.put(entry(9, 9).over(), id(200), time(9)) {
        Put::Keep(entry) => queue.insert(entry),
        Put::Fold(_) => panic!("there is room"),
    }
    let waiting: Vec<RecordId> = queue.waiting().iter().map(|entry| entry.id).collect();
    assert_eq!(waiting, [id(3), id(104), id(9)]);
}

#[test]
fn an_outcome_that_a_gap_has_counted_is_not_found_again_after_a_crash() {
    let queue = filled(4);
    let mut entries: Vec<Entry> = queue.waiting().into_iter().cloned().collect();
    // The daemon ended between the write of the gap and the deletion of the entry that it counts.
    entries.push(entry(4, 4));
    let again = Queue::of(entries);
    assert!(again.get(id(4)).is_none());
    assert_eq!(again.under_way().count(), 0);
}

#[test]
fn what_another_run_left_under_way_is_written_as_interrupted_with_what_was_found() {
    let pending = vec![ObjectOperation {
        object: object("prices"),
        uid: None,
        op: Operation::Change,
        fields: Capped::default(),
        times: 1,
    }];
    let left = Entry { stage: Stage::UnderWay { pending: Capped::all(pending) }, ..entry(1, 5) };
    let queue = Queue::of([left, entry(2, 6).over(), Entry { run: run("two"), ..entry(3, 7) }]);
    let left = queue.left_by_others(&run("two"));
    assert_eq!(left.iter().map(|entry| entry.id).collect::<Vec<_>>(), [id(1)]);
    let over = left[0].clone().interrupted("1 of 3 objects is to change", time(60));
    assert!(over.is_over());
    let outcome = &over.outcome;
    assert_eq!((outcome.kind, outcome.result), (Kind::Interrupted, How::Unknown));
    assert!(outcome.reason.ends_with("found then: 1 of 3 objects is to change"), "{}", outcome.reason);
    assert_eq!(outcome.times.finished, time(60));
    let told: Vec<&str> = outcome.evidence.items.iter().map(|evidence| evidence.kind.as_str()).collect();
    assert_eq!(told, ["was", "found", "pending"]);
    assert_eq!(outcome.apps[0].app, app("api"), "what it was about stays");
}

#[test]
fn repairs_that_were_all_done_are_no_interruption() {
    let repair = Repair {
        object: object("prices"),
        changes: Capped::all(vec!["data.price: 1 -> 2".to_owned()]),
        manager: Some("kubectl-edit".to_owned()),
        seen: time(1),
        times: 1,
    };
    let drift = Outcome { kind: Kind::Drift, repairs: Capped::all(vec![repair]), ..deploy(2, Vec::new()) };
    let left = Entry::begun(id(1), run("one"), drift);
    let over = left.interrupted("nothing is to change", time(9));
    assert_eq!((over.outcome.kind, over.outcome.result), (Kind::Drift, How::Succeeded));
    let cut_short = Entry { stage: Stage::UnderWay { pending: pending(1) }, ..left_with_repairs() };
    assert_eq!(cut_short.interrupted("?", time(9)).outcome.kind, Kind::Interrupted);
}

fn left_with_repairs() -> Entry {
    Entry::begun(id(2), run("one"), Outcome { kind: Kind::Drift, ..deploy(2, Vec::new()) })
}

fn pending(count: u32) -> Capped<ObjectOperation> {
    let one = |number| ObjectOperation {
        object: object(&format!("c{number}")),
        uid: None,
        op: Operation::Repair,
        fields: Capped::default(),
        times: 1,
    };
    Capped::all((0..count).map(one).collect())
}

#[test]
fn an_entry_is_read_as_it_was_written_and_has_a_largest_size() {
    let mut large = Entry { stage: Stage::UnderWay { pending: pending(5_000) }, ..entry(1, 5) };
    large.outcome.objects = pending(5_000);
    large.outcome.reason = "because ".repeat(20_000);
    large.shrink().unwrap();
    let text = serde_json::to_string(&large).unwrap();
    assert!(text.len() <= MAX_ENTRY_BYTES, "{}", text.len());
    assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), large);
    assert_eq!(large.outcome.objects.total, 5_000, "the count stays");
}

#[test]
fn a_merge_names_the_author_of_what_it_brings_in_and_who_merged_it() {
    let facts = CommitFacts {
        author: "Jane <jane@shop.example>".to_owned(),
        committer: "Git Host <host@shop.example>".to_owned(),
        message:
            "Merge pull request #812 from raj/price\n\nA new price\n\nReviewed-by: Jane <jane@shop.example>\n"
                .to_owned(),
        merged: Some((
            "Raj <raj@shop.example>".to_owned(),
            "price: new\n\nCo-Authored-By: Kim <kim@shop.example>\nCo-authored-by: Kim <kim@shop.example>\n"
                .to_owned(),
        )),
    };
    let change = Change::of(&facts);
    assert_eq!(change.author, "Raj <raj@shop.example>");
    assert_eq!(change.merger.as_deref(), Some("Git Host <host@shop.example>"));
    assert_eq!(change.pr.as_deref(), Some("#812"));
    assert_eq!(change.co_authors.items, ["Kim <kim@shop.example>"]);
    assert_eq!(change.approvers.items, ["Jane <jane@shop.example>"]);
    assert_eq!(change.self_approved, Some(false));
}

#[test]
fn whoever_vouches_only_for_own_work_is_told_as_such_and_nobody_as_nobody() {
    let commit = |message: &str| CommitFacts {
        author: "Raj <raj@shop.example>".to_owned(),
        committer: "Raj <raj@shop.example>".to_owned(),
        message: message.to_owned(),
        merged: None,
    };
    let change = |message: &str| Change::of(&commit(message));
    assert_eq!(change("price: new (#9)\n\nAcked-by: Raj <raj@shop.example>").self_approved, Some(true));
    assert_eq!(change("price: new (#9)").pr.as_deref(), Some("#9"));
    let plain = change("price: new\n\nReviewed-by: in the text above: nobody\n\nthe end, see (#7)");
    assert_eq!((plain.self_approved, plain.pr, plain.merger), (None, None, None));
    assert_eq!(change("(#) (#x) (#12345678901234)").pr, None);
}
