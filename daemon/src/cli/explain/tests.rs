//! Situations of the catalogue, made by the functions that report them.

use jiff::{SignedDuration, Timestamp};
use kube::core::Status;
use serde_json::json;
use tidegate_core::desired::{KindScopes, discover, load};
use tidegate_core::ids::Digest;
use tidegate_core::object::{DesiredObject, Gvk, ObjectId, Scope};
use tidegate_core::rollback::{GoodCommit, Held};
use tidegate_core::schema::Catalogue;
use tidegate_core::status::{CommitInfo, ObjectState, ObjectStatus};

use super::*;
use crate::cluster::call::CallError;
use crate::cluster::connect::Access;
use crate::cluster::failure;
use crate::ledger::Pushed;
use crate::reconcile::moved::moved;
use crate::reconcile::{log_problems, stuck};
use crate::rollout::board;
use crate::source::{Partial, Revision, SourceError};
use crate::world::{self, World};

/// What is told elsewhere: by the planner's own test, by a repository with a symlink (`daemon/tests/explain.rs`), and by
/// a cluster that does not become healthy (`daemon/tests/cluster/health.rs`), and by the core's tests of what is reported of a
/// rollout and refused of a workload.
const SHOWN_ELSEWHERE: [Code; 7] = [
    Code::PruneBudget,
    Code::TreeEntry,
    Code::HealthDeadline,
    Code::ApplyDeadline,
    Code::RolloutRejected,
    Code::RolloutHalted,
    Code::RolloutKind,
];

struct Bundled;

impl KindScopes for Bundled {
    fn scope(&self, gvk: &Gvk) -> Option<Scope> {
        Catalogue::kubernetes_1_35().scope(gvk)
    }
}

fn object() -> DesiredObject {
    let text = b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {}\n".as_slice();
    let tree = explain::tree(&[("environments/dev/web.yaml", text)]);
    let environment =
        discover(&tree).pop().expect("the example environment").environment.expect("it is good");
    DesiredObject::clone(&load(&tree, &environment, &Bundled).objects[0])
}

fn refusal(field: &str, message: &str) -> CallError {
    let status = json!({
        "status": "Failure", "message": "it is invalid", "reason": "Invalid", "code": 422,
        "details": { "causes": [{ "reason": "FieldValueInvalid", "field": field, "message": message }] },
    });
    CallError::Refused(Box::new(serde_json::from_value::<Status>(status).expect("a status")))
}

fn forbidden(message: &str) -> CallError {
    let status = json!({ "status": "Failure", "message": message, "reason": "Forbidden", "code": 403 });
    CallError::Forbidden(Box::new(serde_json::from_value::<Status>(status).expect("a status")))
}

/// A commit that is held because of the object of the examples.
fn held(words: &str) -> Held {
    let (_, reason) = words.split_once(": ").unwrap_or_default();
    let object = ObjectStatus {
        object: ObjectId { namespace: Some("shop".to_owned()), ..object().reference.id() },
        state: ObjectState::Progressing,
        reason: reason.to_owned(),
        location: Some(object().location()),
    };
    let now = Timestamp::UNIX_EPOCH;
    let commit = CommitInfo {
        id: format!("{:0<40}", "9b03d7e"),
        subject: String::new(),
        author: String::new(),
        time: now,
    };
    let to = GoodCommit { commit: format!("{:0<40}", "4f1c2aa"), inputs: Digest::of(b"good") };
    Held::new(commit, Digest::of(b"bad"), to, vec![object], now)
}

/// What is really reported where a catalogue entry tells of a situation.
fn reported(code: Code, says: &str) -> Option<Problem> {
    let told = |error: &CallError| failure::problems(&object(), error).pop();
    let cause = says.split_once(": ");
    match code {
        Code::Rejected | Code::Immutable => cause.and_then(|(field, words)| told(&refusal(field, words))),
        Code::Forbidden => told(&forbidden(says)),
        Code::ClusterUnreachable => told(&CallError::Unreachable("connection refused".to_owned())),
        Code::SourceUnreachable => {
            let url = "https://git.example.com/acme/environments.git".to_owned();
            Some(SourceError::Unauthorized { url, status: 401, with_token: true }.problem())
        }
        Code::SourceRewound => {
            let id = |begin: &str| format!("{begin:0<40}").parse().expect("an id");
            let url = "https://git.example.com/acme/environments.git".to_owned();
            let (from, to) = (id("9b03d7e"), id("4f1c2aa"));
            Some(SourceError::Rewound { url, branch: "main".to_owned(), from, to }.problem())
        }
        Code::ClusterMoved => {
            let from = Access::Kubeconfig { path: None, context: Some("old".to_owned()) };
            Some(moved(&"staging".parse().expect("a name"), &from.to_string()))
        }
        Code::LedgerBehind => {
            let since: Timestamp = "2026-11-22T10:15:00Z".parse().expect("a time");
            let trouble = Some("connection refused".to_owned());
            let pushed = Pushed { waiting: 2, since: Some(since), trouble, ..Pushed::default() };
            log_problems(&pushed, Timestamp::now().max(since + SignedDuration::from_mins(2))).pop()
        }
        Code::LedgerAltered => {
            let pushed = Pushed { alarm: Some(says.to_owned()), ..Pushed::default() };
            log_problems(&pushed, Timestamp::now()).pop()
        }
        Code::RolloutStuck => {
            let why = says.split_once("refused: ").map_or("", |(_, why)| why);
            Some(stuck(&board::refusal(tidegate_core::rollout::Phase::Prepare, why)))
        }
        Code::RolledBack => Some(held(cause.map_or("", |(_, words)| words)).problem()),
        Code::EnvironmentMissing => {
            let revision = Revision::Commit(format!("{:0<40}", "9b03d7e").parse().expect("an id"));
            Some(world::unknown_environment("prodution", &World::new(revision, None, Partial::default())))
        }
        _ => None,
    }
}

#[test]
fn situations_are_told_in_the_words_that_are_really_used() {
    for code in Code::ALL {
        let Example::Situation { when: _, says } = explain::explain(*code).example else { continue };
        if SHOWN_ELSEWHERE.contains(code) {
            continue;
        }
        let problem = reported(*code, says).unwrap_or_else(|| panic!("{code}: nothing reports it"));
        assert_eq!((problem.code, problem.message.as_str()), (*code, says));
    }
}

#[test]
fn a_code_is_found_in_any_case_and_without_its_letter() {
    for text in ["E0301", "e0301", "0301", " E0301 "] {
        assert_eq!(find(text).ok(), Some(Code::UnknownField), "{text}");
    }
    for text in ["E9999", "", "E", "E301", "\u{1b}[31m"] {
        let failure = find(text).expect_err(text);
        assert_eq!(failure.exit, Exit::Usage, "{text}");
        assert!(!failure.message.contains('\u{1b}'), "{failure}");
    }
}

#[test]
fn a_listing_points_to_the_explanation_of_each_code_once() {
    assert_eq!(further("all is well: error [E0301]"), None);
    assert_eq!(further("error[E0000]: x"), None);
    let one = further("\u{1b}[31merror[E0301]\u{1b}[0m: a\nerror[E0301]: b").expect("a code");
    assert_eq!(one, "`tidegate explain E0301` says more");
    let two = further("warning[E0307]: a\n  error[E0301]: b").expect("two codes");
    assert_eq!(two, "`tidegate explain CODE` says more of E0301, E0307");
}

#[test]
fn each_explanation_shows_what_its_example_says() {
    for code in Code::ALL {
        let text = text(*code, Style::plain());
        let says = match explain::explain(*code).example {
            Example::Files(_) => {
                text.contains(&format!("rror[{code}]: ")) || text.contains(&format!("warning[{code}]: "))
            }
            Example::Situation { .. } | Example::Unused(_) => true,
        };
        assert!(says && text.contains("\nWhat to do:\n"), "{text}");
        assert!(text.lines().all(|line| !line.ends_with(' ')), "{text}");
    }
}
