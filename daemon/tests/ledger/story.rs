//! A log that reads like one: a few days of an environment, with everything that an auditor asks about.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use tidegate_core::ids::Digest;
use tidegate_core::ledger::{
    Actor, AppChange, Capped, Change, Evidence, GateAnswer, Image, Included, Kind, ObjectOperation,
    Operation, Order, Outcome, PlanReference, PolicyReference, Repair, Result as How, Running, Shift, Source,
    Times, Verified,
};
use tidegate_core::object::{Gvk, ObjectRef};
use tidegate_core::rollout::Verdict;

/// 1 September 2026, 09:00 UTC, and so many seconds.
pub fn second(seconds: i64) -> Timestamp {
    let begin: Timestamp = "2026-09-01T09:00:00Z".parse().expect("a time");
    begin + SignedDuration::from_secs(seconds)
}

const DAY: i64 = 86_400;

/// Two workloads installed; one released; one release stopped by a gate; a change by hand undone; a release that was taken back;
/// and an abort by a person.
pub fn story() -> Vec<Outcome> {
    let one = |app: &str, from: Option<Running>, to: Option<Running>| AppChange {
        app: format!("shop/{app}").try_into().expect("a name"),
        from,
        to,
        result: None,
    };
    let api = |version: &str, commit: char| running("api", version, commit);
    vec![
        deploy(0, 'a', "api: the first release", vec![one("api", None, Some(api("2.3.0", 'a')))]),
        deploy(DAY, 'b', "api: 2.3.1", vec![one("api", Some(api("2.3.0", 'a')), Some(api("2.3.1", 'b')))]),
        deploy(DAY + 5_000, 'd', "web: 1.0.0", vec![one("web", None, Some(running("web", "1.0.0", 'd')))]),
        failed(2 * DAY, one("api", Some(api("2.3.1", 'b')), Some(api("2.4.0", 'c')))),
        drift(3 * DAY),
        rolled_back(4 * DAY + 10_800, one("api", Some(api("2.3.1", 'b')), Some(api("2.4.1", 'e')))),
        ordered(5 * DAY, one("api", Some(api("2.3.1", 'b')), Some(api("2.4.2", 'f')))),
    ]
}

fn running(app: &str, version: &str, commit: char) -> Running {
    let digest = Digest::of(format!("{app}{version}").as_bytes());
    let name = format!("registry.example/shop/{app}:{version}");
    let digest = Some(format!("sha256:{}", digest.as_str().trim_start_matches("sha256:")));
    Running {
        commit: commit.to_string().repeat(40),
        revision: Some(Digest::of(version.as_bytes()).as_str().chars().rev().take(32).collect()),
        images: BTreeMap::from([(app.to_owned(), Image { name, digest })]),
        model: None,
    }
}

fn object(kind: &str, name: &str) -> ObjectRef {
    let group = if kind == "Deployment" { "apps" } else { "" };
    ObjectRef {
        gvk: Gvk { group: group.to_owned(), version: "v1".to_owned(), kind: kind.to_owned() },
        namespace: Some("shop".to_owned()),
        name: name.to_owned(),
    }
}

fn operation(op: Operation, object: ObjectRef, field: &str) -> ObjectOperation {
    ObjectOperation { object, uid: None, op, fields: Capped::all(vec![field.to_owned()]), times: 1 }
}

fn gate(result: Verdict, value: &str, summary: &str, at: i64) -> GateAnswer {
    GateAnswer {
        name: "errors".to_owned(),
        app: None,
        stage: "beforeSwitch".to_owned(),
        result,
        n: 240,
        value: Some(value.to_owned()),
        threshold: Some("at most 0.01".to_owned()),
        query: Some("sum(rate(http_requests_total{code=~\"5..\"}[1m]))".to_owned()),
        summary: summary.to_owned(),
        t0: second(at - 120),
        t1: second(at - 60),
    }
}

fn deploy(at: i64, commit: char, subject: &str, apps: Vec<AppChange>) -> Outcome {
    let name = apps[0].app.name().to_owned();
    let app = apps[0].app.clone();
    Outcome {
        kind: Kind::Deploy,
        result: How::Succeeded,
        code: None,
        reason: "all gates have passed; the bake closed".to_owned(),
        part: None,
        source: Some(Source {
            repo: "https://git.example/shop.git".to_owned(),
            commit: commit.to_string().repeat(40),
            subject: subject.to_owned(),
            tree: None,
            path: "environments/prod".to_owned(),
            signer: None,
            verified: Verified::NotChecked,
        }),
        change: Some(Change {
            author: "Raj Patel <raj@example.com>".to_owned(),
            committer: "GitHub <noreply@example.com>".to_owned(),
            co_authors: Capped::default(),
            approvers: Capped::all(vec!["Jane Doe <jane@example.com>".to_owned()]),
            merger: Some("Jane Doe <jane@example.com>".to_owned()),
            pr: Some("#801".to_owned()),
            self_approved: Some(false),
        }),
        order: None,
        plan: Some(PlanReference { id: Digest::of(subject.as_bytes()) }),
        includes: Capped::default(),
        objects: Capped::all(vec![operation(
            Operation::Change,
            object("Deployment", &format!("{name}-green")),
            "spec.template.spec.containers[main].image",
        )]),
        policy: Some(PolicyReference {
            name: "blue-green".to_owned(),
            path: "policies/blue-green.yaml".to_owned(),
            blob: None,
        }),
        gates: Capped::all(vec![gate(
            Verdict::Pass,
            "0.0012",
            "240 of 240 samples were within the bound",
            at,
        )]),
        traffic: Capped::all(vec![Shift {
            app,
            t: second(at - 60),
            from: Some("blue".to_owned()),
            to: "green".to_owned(),
            weight: 100,
        }]),
        repairs: Capped::default(),
        gap: None,
        evidence: Capped::default(),
        actor: Actor { version: "0.1.0".to_owned(), replica: "tidegate-0".to_owned(), image: None },
        times: Times {
            committed: Some(second(at - 900)),
            merged: Some(second(at - 600)),
            seen: Some(second(at - 590)),
            started: Some(second(at - 461)),
            switched: Some(second(at - 60)),
            finished: second(at),
            recorded: second(at + 1),
        },
        apps,
    }
}

fn failed(at: i64, app: AppChange) -> Outcome {
    let outcome = deploy(at, 'c', "api: 2.4.0", vec![app]);
    Outcome {
        result: How::Failed,
        code: Some("E0407".to_owned()),
        reason: "gate `errors` failed (0.31, at most 0.01); traffic never left blue".to_owned(),
        includes: Capped::all(vec![Included {
            commit: "9".repeat(40),
            subject: "api: a faster index".to_owned(),
            author: "Ada <ada@example.com>".to_owned(),
        }]),
        gates: Capped::all(vec![gate(Verdict::Fail, "0.31", "74 of 240 requests failed", at)]),
        traffic: Capped::default(),
        evidence: Capped::all(vec![Evidence {
            kind: "log".to_owned(),
            of: "pod api-green-x7".to_owned(),
            text: "loads\nKeyError: 'model_v' (x 74)".to_owned(),
        }]),
        times: Times { switched: None, ..outcome.times.clone() },
        ..outcome
    }
}

fn drift(at: i64) -> Outcome {
    let outcome = deploy(
        at,
        'b',
        "",
        vec![AppChange {
            app: "shop/api".to_owned().try_into().expect("a name"),
            from: None,
            to: None,
            result: None,
        }],
    );
    Outcome {
        kind: Kind::Drift,
        reason: "what was changed by hand is as git says again".to_owned(),
        apps: Vec::new(),
        source: None,
        change: None,
        plan: None,
        policy: None,
        gates: Capped::default(),
        traffic: Capped::default(),
        objects: Capped::default(),
        repairs: Capped::all(vec![Repair {
            object: object("Deployment", "web"),
            changes: Capped::all(vec!["spec.replicas: 5 -> 2".to_owned()]),
            manager: Some("kubectl-edit".to_owned()),
            seen: second(at - 1),
            times: 3,
        }]),
        times: Times {
            committed: None,
            merged: None,
            seen: None,
            started: None,
            switched: None,
            ..outcome.times.clone()
        },
        ..outcome
    }
}

fn rolled_back(at: i64, app: AppChange) -> Outcome {
    let outcome = deploy(at, 'e', "api: 2.4.1", vec![app]);
    Outcome {
        result: How::RolledBack,
        code: Some("E0408".to_owned()),
        reason: "gate `errors` failed in the bake; traffic went back to blue".to_owned(),
        gates: Capped::all(vec![gate(Verdict::Fail, "0.22", "53 of 240 requests failed", at)]),
        times: Times {
            started: Some(second(at - 400)),
            switched: Some(second(at - 200)),
            ..outcome.times.clone()
        },
        ..outcome
    }
}

fn ordered(at: i64, app: AppChange) -> Outcome {
    let outcome = deploy(at, 'f', "api: 2.4.2", vec![app]);
    Outcome {
        kind: Kind::BreakGlass,
        result: How::Failed,
        reason: "turned down by a person".to_owned(),
        order: Some(Order {
            command: "abort".to_owned(),
            by: "Jane Doe (jane)".to_owned(),
            reason: "wrong prices".to_owned(),
            at: second(at - 5),
        }),
        gates: Capped::default(),
        traffic: Capped::default(),
        times: Times { switched: None, ..outcome.times.clone() },
        ..outcome
    }
}
