//! Which unhealthy objects say something about the commit.

use super::*;
use crate::object::{Gvk, Scope};
use crate::plan::{Waiting, WaitingReason};
use crate::problem::{Code, Problem};
use crate::status::ObjectState;
use crate::summarize::{detail_of, id_of, summarize};
use serde_json::json;

const DEADLINE: Duration = Duration::from_mins(1);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).expect("a time")
}

fn id(name: &str) -> ObjectId {
    let namespace = Some("shop".to_owned());
    ObjectId { group: "apps".to_owned(), kind: "Deployment".to_owned(), namespace, name: name.to_owned() }
}

fn status(name: &str, state: ObjectState) -> ObjectStatus {
    ObjectStatus { object: id(name), state, reason: "0 of 1".to_owned(), location: None }
}

fn observed(names: &[&str]) -> Observed {
    let gvk = Gvk::from_api_version("apps/v1", "Deployment");
    let mut observed = Observed::default();
    for name in names {
        let object =
            json!({ "metadata": { "name": name, "namespace": "shop", "uid": "u", "resourceVersion": "1" } });
        let id = id_of(&gvk, Scope::Namespaced, &object).expect("it has a name");
        observed.objects.insert(id, std::sync::Arc::new(summarize(&gvk, detail_of(&gvk), &object)));
    }
    observed
}

#[test]
fn what_is_refused_waits_or_does_not_exist_says_nothing_about_the_commit() {
    let names = ["web", "waits", "fought", "refused", "kept"];
    let waiting = vec![
        Waiting { object: id("waits"), reason: WaitingReason::EarlierWave(0) },
        Waiting { object: id("fought"), reason: WaitingReason::FightingOver("a field flips".to_owned()) },
    ];
    let problem = Problem::error(Code::Rejected, "a webhook says no");
    let failure = Failure { desired: None, uid: None, problem, retry_at: None };
    let (observed, plan) = (observed(&names), Plan { waiting, ..Plan::default() });
    let failed = BTreeMap::from([(id("refused"), failure)]);
    let unwell = names.iter().map(|name| (id(name), at(0))).collect();
    let seen = Seen { observed: &observed, plan: &plan, failed: &failed, unwell: &unwell };
    let mut objects: Vec<ObjectStatus> = ["web", "waits", "fought", "refused", "absent"]
        .map(|name| status(name, ObjectState::Progressing))
        .into();
    objects.push(status("kept", ObjectState::Kept));
    let found = unhealthy(&objects, &seen, DEADLINE, at(61));
    let names: Vec<&str> = found.iter().map(|object| object.status.object.name.as_str()).collect();
    assert_eq!(names, ["web", "fought"], "a field that is fought over was applied");
    assert!(found.iter().all(|object| object.patience == Patience::Over));
    let early = unhealthy(&objects, &seen, DEADLINE, at(60));
    assert!(early.iter().all(|object| object.patience == Patience::Left));
    assert_eq!(until_deadline(&unwell, DEADLINE, at(40)), Some(Duration::from_secs(20)));
    assert_eq!(until_deadline(&unwell, DEADLINE, at(61)), None, "it is over");
}
