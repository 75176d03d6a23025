//! Logs for tests: records of a made-up environment, with the commits that would hold them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::ids::Digest;
use crate::ledger::{
    Actor, AppChange, Capped, ClusterName, Fingerprint, Found, Image, Kind, Outcome, Record, RecordId,
    Result as How, Running, Signer, Source, Times, VERSION, Verified, line, message,
};

pub fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_788_000_000 + second).expect("a time")
}

pub fn app(name: &str) -> crate::ledger::AppName {
    format!("shop/{name}").try_into().expect("a name")
}

pub fn running(commit: char, tag: &str) -> Running {
    let image =
        Image { name: format!("registry.example/shop/api:{tag}"), digest: Some(format!("sha256:{tag}")) };
    Running {
        commit: String::from(commit).repeat(40),
        revision: None,
        images: BTreeMap::from([("main".to_owned(), image)]),
        model: None,
    }
}

pub fn source(commit: char) -> Source {
    Source {
        repo: "https://git.example/shop.git".to_owned(),
        commit: String::from(commit).repeat(40),
        subject: "a new version".to_owned(),
        tree: None,
        path: "environments/prod".to_owned(),
        signer: None,
        verified: Verified::NotChecked,
    }
}

/// A deploy that took 461 seconds and was over at this second.
pub fn deploy(second: i64, apps: Vec<AppChange>) -> Outcome {
    Outcome {
        kind: Kind::Deploy,
        result: How::Succeeded,
        code: None,
        reason: "live".to_owned(),
        part: None,
        apps,
        source: Some(source('9')),
        change: None,
        order: None,
        plan: None,
        includes: Capped::default(),
        objects: Capped::default(),
        policy: None,
        gates: Capped::default(),
        traffic: Capped::default(),
        repairs: Capped::default(),
        gap: None,
        evidence: Capped::default(),
        actor: Actor { version: "0.1.0".to_owned(), replica: "one".to_owned(), image: None },
        times: Times {
            committed: None,
            merged: None,
            seen: None,
            started: Some(time(second - 461)),
            switched: None,
            finished: time(second),
            recorded: time(second),
        },
    }
}

pub fn change(name: &str, from: Option<Running>, to: Option<Running>) -> AppChange {
    AppChange { app: app(name), from, to, result: None }
}

pub fn record(seq: u64, prev: Option<Digest>, outcome: Outcome) -> Record {
    let [.., high, low] = seq.to_be_bytes();
    let random = [0, 0, 0, 0, 0, 0, 0, 0, high, low];
    Record {
        v: VERSION,
        id: RecordId::new(outcome.times.finished, random),
        seq,
        epoch: 0,
        prev,
        follows: None,
        outcome,
        cluster: ClusterName { name: "prod-eks".to_owned(), uid: None, arn: None },
        env: "prod".parse().expect("a name"),
    }
}

/// The id that a commit of these tests has.
pub fn commit_of(seq: u64) -> String {
    format!("{seq:040x}")
}

pub fn key(name: &str) -> Fingerprint {
    Fingerprint(format!("SHA256:{name}"))
}

/// A log of these outcomes, one commit for each.
pub fn log(outcomes: Vec<Outcome>) -> Vec<Found> {
    let mut prev = None;
    let mut found: Vec<Found> = Vec::new();
    for (seq, outcome) in (0_u64..).zip(outcomes) {
        let record = record(seq, prev, outcome);
        let finished = record.outcome.times.finished.as_second();
        let least = found.last().map_or(finished, |last| last.committer_seconds);
        found.push(Found {
            commit: commit_of(seq),
            parents: found.last().map(|last| last.commit.clone()).into_iter().collect(),
            author_seconds: finished,
            committer_seconds: finished.max(least),
            message: message(&record).expect("JSON"),
            signer: Signer::Key(key("daemon")),
        });
        prev = Some(crate::ledger::digest(&line(&record).expect("JSON")));
    }
    found
}
