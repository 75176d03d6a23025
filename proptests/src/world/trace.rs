//! Happenings in words, for people who look at a history that went wrong.

use std::cell::RefCell;
use std::rc::Rc;

use super::environments;
use super::replica::Local;
use super::request::{Reply, Request};
use super::server::World;

/// What git holds, and what each replica and each parent makes of it.
pub fn note_git(world: &mut World, replicas: &[Rc<RefCell<Local>>]) {
    for id in world.git.order().to_vec() {
        let parent = world.git.get(&id).and_then(|commit| commit.parent.clone());
        let shapes: Vec<String> = environments()
            .iter()
            .filter_map(|name| Some(format!("{name} {:?}", world.git.target(&id, name)?.spec.shape)))
            .collect();
        let parent = parent.map(|parent| parent.short().to_owned()).unwrap_or_default();
        world.note(|| format!("commit {} on {parent}: {}", id.short(), shapes.join(", ")));
    }
    for local in replicas {
        let local = local.borrow();
        let good = local.mirror.good.as_ref().map(|good| good.short().to_owned());
        world.note(|| format!("{} has {good:?}, refuses {:?}", local.name, local.rewound));
    }
    let stand = |parent: &super::request::Parent| {
        format!("{}: seen {:?}, rewind {:?}", parent.environment, parent.seen, parent.rewind)
    };
    let parents: Vec<String> = world.parents.values().map(stand).collect();
    world.note(|| parents.join("; "));
}

/// A request on one line.
pub fn short(request: &Request) -> String {
    match request {
        Request::Get(id) => format!("get {id}"),
        Request::Apply { id, dry_run, body, why } => {
            let uid = body.pointer("/metadata/uid").and_then(serde_json::Value::as_str).unwrap_or("no uid");
            let what = if *dry_run { "dry-run" } else { "apply" };
            format!("{what} {id} ({uid}) for {}", why.commit.short())
        }
        Request::Migrate { id, version, managed: _ } => format!("migrate {id} at {version}"),
        Request::Delete { id, uid, why } => format!("delete {id} ({uid:?}) for {}", why.commit.short()),
        Request::UpdateParent { known, change, why: _ } => {
            let state = change.status.as_ref().map(|status| status.state.as_str());
            let seen = change.seen.as_ref().map(|(seen, _)| seen.short());
            let applied = change.applied.as_ref().map(|(applied, _)| applied.short());
            format!("parent of {}: seen {seen:?}, applied {applied:?}, {state:?}", known.environment)
        }
        Request::DeleteParent { known, why: _ } => format!("delete parent of {}", known.environment),
        Request::WriteShard { environment, version, .. } => format!("shard of {environment} at {version:?}"),
        other => format!("{other:?}"),
    }
}

/// A reply in one word.
pub fn shorter(reply: &Reply) -> String {
    match reply {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}
