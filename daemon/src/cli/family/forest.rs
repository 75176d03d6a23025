//! Objects put below their owners. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tidegate_core::health::{Health, HealthState, assess};
use tidegate_core::object::{Gvk, ObjectId};

/// Levels below an object; Kubernetes' own kinds have three.
const MAX_DEPTH: usize = 10;

/// An object, how it is, and what it owns.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The object.
    pub id: ObjectId,
    /// Its uid; none when it does not exist.
    pub uid: Option<String>,
    /// How it is.
    pub health: Health,
    /// What it owns, by kind and name.
    pub children: Vec<Self>,
}

/// The objects of an environment with what they own. ReplicaSets of old revisions, which own nothing, are left out.
pub fn forest(roots: Vec<(ObjectId, Option<Value>)>, owned: Vec<Value>) -> Vec<Member> {
    let known: BTreeSet<String> =
        roots.iter().filter_map(|(_, live)| uid(live.as_ref()?)).map(str::to_owned).collect();
    let mut below: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for object in owned {
        // An object that git asks for stands on its own, whoever else says that he owns it.
        if uid(&object).is_some_and(|uid| known.contains(uid)) {
            continue;
        }
        if let Some(owner) = owner(&object) {
            below.entry(owner.to_owned()).or_default().push(object);
        }
    }
    let root = |(id, live): (ObjectId, Option<Value>)| {
        if let Some(live) = live {
            return Member { id, ..member(&live, &below, MAX_DEPTH) };
        }
        let health = Health::new(HealthState::Degraded, "it does not exist");
        Member { id, uid: None, health, children: Vec::new() }
    };
    roots.into_iter().map(root).collect()
}

fn member(live: &Value, below: &BTreeMap<String, Vec<Value>>, depth: usize) -> Member {
    let uid = uid(live);
    let owned =
        uid.filter(|_| depth > 0).and_then(|uid| below.get(uid)).map(Vec::as_slice).unwrap_or_default();
    let mut children: Vec<Member> = owned.iter().map(|live| member(live, below, depth - 1)).collect();
    children.retain(|child| child.id.kind != "ReplicaSet" || !child.children.is_empty() || child.is_unwell());
    children.sort_by(|one, other| one.id.cmp(&other.id));
    Member { id: id_of(live), uid: uid.map(str::to_owned), health: assess(live), children }
}

impl Member {
    fn is_unwell(&self) -> bool {
        match self.health.state {
            HealthState::Degraded | HealthState::Progressing => true,
            HealthState::Healthy | HealthState::Suspended | HealthState::Unknown => false,
        }
    }

    /// This object and everything below it.
    pub fn all(&self) -> Vec<&Self> {
        let mut all = vec![self];
        all.extend(self.children.iter().flat_map(Self::all));
        all
    }
}

/// What to look at first: of what has failed, or else of what is on its way, the object that is furthest down.
pub fn first_failing(members: &[Member]) -> Option<&Member> {
    let in_state = |state| members.iter().find_map(|member| deepest(member, state));
    in_state(HealthState::Degraded).or_else(|| in_state(HealthState::Progressing))
}

fn deepest(member: &Member, state: HealthState) -> Option<&Member> {
    let below = member.children.iter().find_map(|child| deepest(child, state));
    below.or_else(|| (member.health.state == state).then_some(member))
}

fn uid(object: &Value) -> Option<&str> {
    object.pointer("/metadata/uid").and_then(Value::as_str)
}

/// The owner that controls an object, else the first one.
fn owner(object: &Value) -> Option<&str> {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array)?;
    let controls = |owner: &&Value| owner.get("controller").and_then(Value::as_bool) == Some(true);
    owners.iter().find(controls).or(owners.first())?.get("uid").and_then(Value::as_str)
}

/// Which object it is.
pub fn id_of(object: &Value) -> ObjectId {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let Gvk { group, version: _, kind } = Gvk::from_api_version(&text("/apiVersion"), &text("/kind"));
    let namespace = Some(text("/metadata/namespace")).filter(|namespace| !namespace.is_empty());
    ObjectId { group, kind, namespace, name: text("/metadata/name") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(api_version: &str, kind: &str, name: &str, owner: Option<&str>) -> Value {
        let owners: Vec<Value> =
            owner.map(|uid| json!({ "uid": uid, "controller": true })).into_iter().collect();
        json!({
            "apiVersion": api_version, "kind": kind,
            "metadata": { "name": name, "namespace": "shop", "uid": format!("uid-{name}"), "ownerReferences": owners },
        })
    }

    fn with(mut object: Value, status: Value) -> Value {
        object["status"] = status;
        object
    }

    fn told(members: &[Member], depth: usize) -> String {
        let line = |member: &Member| {
            format!(
                "{}{} {}\n{}",
                " ".repeat(depth),
                member.id.kind,
                member.id.name,
                told(&member.children, depth + 1)
            )
        };
        members.iter().map(line).collect::<Vec<_>>().concat()
    }

    #[test]
    fn objects_stand_below_their_owners_down_to_pods() {
        let web = object("apps/v1", "Deployment", "web", None);
        let gone =
            ObjectId { group: String::new(), kind: "Service".into(), namespace: None, name: "gone".into() };
        let owned = vec![
            object("v1", "Pod", "web-2-b", Some("uid-web-2")),
            object("apps/v1", "ReplicaSet", "web-2", Some("uid-web")),
            with(
                object("apps/v1", "ReplicaSet", "web-1", Some("uid-web")),
                json!({ "observedGeneration": 1 }),
            ),
            object("v1", "Pod", "web-2-a", Some("uid-web-2")),
            object("v1", "Pod", "stranger", Some("uid-other")),
            object("v1", "Pod", "nobody", None),
            web.clone(),
        ];
        let mut owned = owned;
        owned[2]["spec"] = json!({ "replicas": 0 });
        owned[2]["metadata"]["generation"] = json!(1);
        let members = forest(vec![(id_of(&web), Some(web)), (gone, None)], owned);
        assert_eq!(
            told(&members, 0),
            "Deployment web\n ReplicaSet web-2\n  Pod web-2-a\n  Pod web-2-b\nService gone\n"
        );
        assert_eq!(members[1].health.reason, "it does not exist");
        assert_eq!(members[0].all().len(), 4);
    }

    #[test]
    fn what_failed_furthest_down_is_what_to_look_at() {
        let web = object("apps/v1", "Deployment", "web", None);
        let failed = json!({ "phase": "Failed", "reason": "Evicted", "message": "no room" });
        let owned = vec![
            object("apps/v1", "ReplicaSet", "web-2", Some("uid-web")),
            object("v1", "Pod", "a", Some("uid-web-2")),
            with(object("v1", "Pod", "b", Some("uid-web-2")), failed),
        ];
        let members = forest(vec![(id_of(&web), Some(web))], owned);
        assert_eq!(first_failing(&members).map(|member| member.id.name.as_str()), Some("b"));
        let quiet = forest(vec![(id_of(&json!({})), Some(object("v1", "ConfigMap", "c", None)))], Vec::new());
        assert_eq!(first_failing(&quiet), None);
    }

    #[test]
    fn owners_in_a_circle_end_somewhere() {
        let a = object("v1", "Pod", "a", None);
        let owned = vec![object("v1", "Pod", "b", Some("uid-a")), object("v1", "Pod", "b", Some("uid-b"))];
        assert!(forest(vec![(id_of(&a), Some(a))], owned)[0].all().len() < 2_usize.pow(12));
    }
}
