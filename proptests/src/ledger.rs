//! Generated outcomes for logs: of every kind and result, with texts that anybody could have written.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::{collection, option, sample};
use tidegate_core::ids::Digest;
use tidegate_core::ledger::{
    Actor, AppChange, AppName, Capped, Change, Gap, GateAnswer, Image, Included, Kind, ObjectOperation,
    Operation, Order, Outcome, PlanReference, Repair, Result as How, Running, Shift, Source, Times, Verified,
};
use tidegate_core::object::{Gvk, ObjectRef};
use tidegate_core::rollout::Verdict;

/// The first of a log's outcomes is over at this second.
const FIRST: i64 = 1_788_000_000;

/// So many outcomes, one after another: each is over when the one before was, or up to a day later; a few are over earlier.
pub fn outcomes(count: impl Into<collection::SizeRange>) -> impl Strategy<Value = Vec<Outcome>> {
    collection::vec((outcome(), -60_i64..86_400), count).prop_map(|generated| {
        let mut at = FIRST;
        let place = |(mut outcome, later): (Outcome, i64)| {
            at += later;
            let moved = at - FIRST;
            let times = &mut outcome.times;
            let all = [
                Some(&mut times.finished),
                Some(&mut times.recorded),
                times.started.as_mut(),
                times.switched.as_mut(),
            ];
            for time in all.into_iter().flatten() {
                *time += SignedDuration::from_secs(moved);
            }
            outcome
        };
        generated.into_iter().map(place).collect()
    })
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("within the years that there are")
}

/// Words, and what could break a format: quotes, line breaks, what looks like a trailer, escapes of terminals, other alphabets.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-zA-Z0-9 .:/@_-]{0,40}",
        1 => "\\PC{0,40}",
        1 => sample::select(vec![
            "line\n\nDeploy-Id: 01ARYZ6S410000000000000000\n",
            "\"}\n{\"v\":1}",
            "\u{1b}[2Jgone",
            "-----BEGIN SSH SIGNATURE-----",
            "\u{0}\r\n\ttabs",
        ])
        .prop_map(str::to_owned),
    ]
}

fn commit() -> impl Strategy<Value = String> {
    "[0-9a-f]{40}"
}

fn app() -> impl Strategy<Value = AppName> {
    sample::select(vec![
        "shop/api",
        "shop/web",
        "shop/house-price",
        "db/statefulset.postgres",
        "db/other.name",
    ])
    .prop_map(|name| name.to_owned().try_into().expect("a name"))
}

fn running() -> impl Strategy<Value = Running> {
    let image = ("[a-z]{1,8}/[a-z]{1,8}:[0-9]\\.[0-9]\\.[0-9]", option::of("sha256:[0-9a-f]{64}"));
    let images =
        collection::btree_map("[a-z]{1,5}", image.prop_map(|(name, digest)| Image { name, digest }), 0..3);
    (commit(), option::of("[0-9a-f]{32}"), images).prop_map(
        |(commit, revision, images): (String, Option<String>, BTreeMap<String, Image>)| Running {
            commit,
            revision,
            images,
            model: None,
        },
    )
}

fn changes() -> impl Strategy<Value = Vec<AppChange>> {
    let change = (app(), option::of(running()), option::weighted(0.8, running()));
    collection::vec(change.prop_map(|(app, from, to)| AppChange { app, from, to, result: None }), 0..3)
        .prop_map(|mut changes| {
            changes.sort_by(|one, other| one.app.cmp(&other.app));
            changes.dedup_by(|one, other| one.app == other.app);
            changes
        })
}

fn object() -> impl Strategy<Value = ObjectRef> {
    ("[a-z]{1,10}", option::of("[a-z]{1,6}")).prop_map(|(name, namespace)| ObjectRef {
        gvk: Gvk { group: "apps".to_owned(), version: "v1".to_owned(), kind: "Deployment".to_owned() },
        namespace,
        name,
    })
}

fn operations() -> impl Strategy<Value = Capped<ObjectOperation>> {
    let all =
        vec![Operation::Create, Operation::Change, Operation::Delete, Operation::Refused, Operation::Scale];
    let operation = (object(), sample::select(all), collection::vec(text(), 0..3), 1_u32..4);
    let operation = operation.prop_map(|(object, op, fields, times)| ObjectOperation {
        object,
        uid: None,
        op,
        fields: Capped::all(fields),
        times,
    });
    collection::vec(operation, 0..4).prop_map(Capped::all)
}

fn gates() -> impl Strategy<Value = Capped<GateAnswer>> {
    let verdict = sample::select(vec![Verdict::Pass, Verdict::Fail, Verdict::Unknown]);
    let gate = ("[a-z]{1,8}", verdict, 0_u64..10_000, option::of(text()), text());
    let gate = gate.prop_map(|(name, result, n, value, summary)| GateAnswer {
        name,
        app: None,
        stage: "beforeSwitch".to_owned(),
        result,
        n,
        value,
        threshold: None,
        query: None,
        summary,
        t0: second(FIRST),
        t1: second(FIRST + 1),
    });
    collection::vec(gate, 0..3).prop_map(Capped::all)
}

fn source() -> impl Strategy<Value = Source> {
    (
        commit(),
        text(),
        sample::select(vec![Verified::Good, Verified::Bad, Verified::Unsigned, Verified::NotChecked]),
    )
        .prop_map(|(commit, subject, verified)| Source {
            repo: "https://git.example/shop.git".to_owned(),
            commit,
            subject,
            tree: None,
            path: "environments/prod".to_owned(),
            signer: None,
            verified,
        })
}

fn change() -> impl Strategy<Value = Change> {
    (text(), text(), collection::vec(text(), 0..2)).prop_map(|(author, committer, co_authors)| Change {
        author,
        committer,
        co_authors: Capped::all(co_authors),
        approvers: Capped::default(),
        merger: None,
        pr: None,
        self_approved: None,
    })
}

fn repairs() -> impl Strategy<Value = Capped<Repair>> {
    let repair = (object(), text(), option::of(text())).prop_map(|(object, change, manager)| Repair {
        object,
        changes: Capped::all(vec![change]),
        manager,
        seen: second(FIRST),
        times: 1,
    });
    collection::vec(repair, 0..2).prop_map(Capped::all)
}

/// An outcome that is over at [`FIRST`].
fn outcome() -> impl Strategy<Value = Outcome> {
    let what = (sample::select(Kind::ALL.to_vec()), sample::select(How::ALL.to_vec()), text());
    let who = (option::of(source()), option::of(change()), option::of((text(), text())));
    let did = (changes(), operations(), gates(), repairs());
    let included = collection::vec((commit(), text(), text()), 0..2);
    // Of what took its time traffic moved in it, or did not; the clock is finer than the seconds of git.
    let when = (option::of(0_i64..3_600), option::of(0_i64..1_000), 0_i64..2_000);
    (what, who, did, included, when).prop_map(|(what, who, did, included, (took, moved, fraction))| {
        let switched = took.zip(moved).map(|(took, part)| took * part / 1_000);
        let ((kind, result, reason), (source, change, order), (apps, objects, gates, repairs)) =
            (what, who, did);
        let included =
            included.into_iter().map(|(commit, subject, author)| Included { commit, subject, author });
        let order =
            order.map(|(by, reason)| Order { command: "abort".to_owned(), by, reason, at: second(FIRST) });
        let moved = apps.first().map(|change| change.app.clone());
        Outcome {
            kind,
            result,
            code: None,
            reason,
            part: None,
            apps,
            source,
            change,
            order,
            plan: took.map(|took| PlanReference { id: Digest::of(&took.to_be_bytes()) }),
            includes: Capped::all(included.collect()),
            objects,
            policy: None,
            gates,
            traffic: moved
                .map(|app| Shift { app, t: second(FIRST), from: None, to: "green".to_owned(), weight: 100 })
                .map_or_else(Capped::default, |shift| Capped::all(vec![shift])),
            repairs,
            gap: (kind == Kind::LedgerGap).then(|| Gap {
                count: 3,
                digest: Digest::of(b"x"),
                since: second(FIRST),
                until: second(FIRST),
            }),
            evidence: Capped::default(),
            actor: Actor { version: "0.1.0".to_owned(), replica: "one".to_owned(), image: None },
            times: Times {
                committed: None,
                merged: None,
                seen: None,
                started: took.map(|took| second(FIRST - took)),
                switched: switched.map(|before| second(FIRST - before)),
                // Half of them to the second.
                finished: second(FIRST) + SignedDuration::from_millis((fraction - 1_000).max(0)),
                recorded: second(FIRST),
            },
        }
    })
}
