//! What people and controllers of others do: they move git, and edit, delete and make objects.
#![allow(
    clippy::indexing_slicing,
    reason = "test material: an object without metadata is a bug and may say so"
)]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidegate_core::ids::{CommitId, EnvironmentName};
use tidegate_core::inventory::{ENVIRONMENT, PART_OF};
use tidegate_core::object::ObjectId;

use super::chance::Chance;
use super::content::{ITEMS, NEVER_READY, Shape, Spec, item_id, manifest};
use super::environments;
use super::request::Answer;
use super::server::World;

/// Texts of an object in git.
const TEXTS: usize = 3;

/// The first commit.
pub fn begin(world: &mut World, chance: &mut Chance) {
    let folders = environments().into_iter().map(|name| (name, spec(chance, Shape::Good))).collect();
    world.git.commit(None, folders);
}

/// The last move: a head that is fit to come to rest at, and hands off.
pub fn end(world: &mut World, chance: &mut Chance) {
    for name in environments() {
        world.annotate(&name, |parent| parent.suspended = false);
    }
    let Some(tip) = world.git.tip().cloned() else { return };
    let mut folders = world.git.get(&tip).map(|commit| commit.folders.clone()).unwrap_or_default();
    for name in environments() {
        let shape = chance.pick(&[Shape::Good, Shape::Good, Shape::Good, Shape::Broken, Shape::Decommission]);
        match chance.below(6) {
            0 => {}
            1 => drop(folders.remove(&name)),
            _ => drop(folders.insert(name, spec(chance, shape.unwrap_or(Shape::Good)))),
        }
    }
    for spec in folders.values_mut() {
        // Now and then the last commit is one that never becomes healthy: it must go back, where there is something to go to.
        let stays = chance.happens(500);
        for text in spec.objects.values_mut().filter(|text| **text == NEVER_READY && !stays) {
            *text = 1;
        }
    }
    let tip = world.git.commit(Some(tip), folders);
    world.note(|| format!("the last commit is {}", tip.short()));
    if chance.happens(500) {
        permit(world, &tip);
    }
    // Whatever else was done by hand comes last, so that it must be found and repaired.
    for _ in 0..chance.below(3) {
        edit(world, chance);
    }
    world.mend();
    for id in world.objects.keys().cloned().collect::<Vec<_>>() {
        release(world, &id);
    }
}

/// One move of git, or of a hand.
pub fn move_git_or_objects(world: &mut World, chance: &mut Chance) {
    if chance.happens(400) { move_git(world, chance) } else { edit(world, chance) }
}

fn spec(chance: &mut Chance, shape: Shape) -> Spec {
    let mut objects = BTreeMap::new();
    for (item, (kind, _, _)) in ITEMS.iter().enumerate() {
        if chance.happens(700) {
            let sick = *kind == "Deployment" && chance.happens(100);
            let text = u8::try_from(1 + chance.below(TEXTS)).unwrap_or(1);
            objects.insert(item, if sick { NEVER_READY } else { text });
        }
    }
    Spec { objects, shape, budget: if chance.happens(300) { 1 } else { 10 } }
}

fn move_git(world: &mut World, chance: &mut Chance) {
    let Some(tip) = world.git.tip().cloned() else { return };
    match chance.below(20) {
        0 => {
            // A force-push: back to an older commit, or to a new one beside the tip.
            let history = world.git.history(&tip);
            let back = history.get(chance.below(history.len().min(4))).cloned().unwrap_or(tip);
            world.git.force(back.clone());
            if chance.happens(500) {
                commit(world, chance, &back);
            }
        }
        1 => permit(world, &tip),
        2 => {
            let names = environments();
            let name = names.get(chance.below(names.len())).cloned();
            let on = chance.happens(400);
            if let Some(name) = name {
                world.annotate(&name, |parent| parent.suspended = on);
            }
        }
        3 | 4 => {
            // A revert: what the commit before the tip held, in a new commit.
            let parent = world.git.get(&tip).and_then(|commit| commit.parent.clone());
            let folders = parent.and_then(|id| world.git.get(&id)).map(|commit| commit.folders.clone());
            if let Some(folders) = folders {
                world.git.commit(Some(tip), folders);
            }
        }
        _ => commit(world, chance, &tip),
    }
    let tip = world.git.tip().map(|tip| tip.short().to_owned()).unwrap_or_default();
    world.note(|| format!("git moves: the tip is {tip}"));
}

fn commit(world: &mut World, chance: &mut Chance, parent: &CommitId) {
    let mut folders = world.git.get(parent).map(|commit| commit.folders.clone()).unwrap_or_default();
    let names = environments();
    let Some(name) = names.get(chance.below(names.len())).cloned() else { return };
    let before = folders.get(&name).cloned();
    match chance.below(16) {
        0 => change(&mut folders, &name, before, chance, |spec| spec.shape = Shape::Broken),
        1 => change(&mut folders, &name, before, chance, |spec| spec.shape = Shape::Unreadable),
        2 => drop(folders.remove(&name)),
        3 => change(&mut folders, &name, before, chance, |spec| spec.shape = Shape::Suspended),
        4 => change(&mut folders, &name, before, chance, |spec| spec.shape = Shape::Decommission),
        5 => drop(folders.insert(name, Spec { objects: BTreeMap::new(), shape: Shape::Good, budget: 10 })),
        6..10 => drop(folders.insert(name, spec(chance, Shape::Good))),
        _ => {
            let item = chance.below(ITEMS.len());
            let sick =
                ITEMS.get(item).is_some_and(|(kind, _, _)| *kind == "Deployment") && chance.happens(400);
            let text = if sick { NEVER_READY } else { u8::try_from(chance.below(TEXTS + 1)).unwrap_or(0) };
            change(&mut folders, &name, before, chance, |spec| {
                spec.shape = Shape::Good;
                if text == 0 {
                    spec.objects.remove(&item);
                } else {
                    spec.objects.insert(item, text);
                }
            });
        }
    }
    world.git.commit(Some(parent.clone()), folders);
}

fn change(
    folders: &mut BTreeMap<EnvironmentName, Spec>,
    name: &EnvironmentName,
    before: Option<Spec>,
    chance: &mut Chance,
    write: impl FnOnce(&mut Spec),
) {
    let mut spec = before.unwrap_or_else(|| spec(chance, Shape::Good));
    write(&mut spec);
    folders.insert(name.clone(), spec);
}

/// A person records that the branch may be where it is (`tidegate sync --rewind`).
fn permit(world: &mut World, tip: &CommitId) {
    let seen = world.parents.values().filter_map(|parent| parent.seen.as_ref());
    let needed = world.truth.goods.iter().chain(seen).any(|from| !world.git.is_ancestor(from, tip));
    // It is recorded on parents: where there is none, there is nothing that could be rewound.
    if !needed || environments().iter().any(|name| !world.parents.contains_key(name)) {
        return;
    }
    for name in environments() {
        world.annotate(&name, |parent| parent.rewind = Some(tip.clone()));
    }
    world.truth.permitted.push(tip.clone());
    world.note(|| format!("a rewind to {} is recorded", tip.short()));
}

/// A hand on one object.
fn edit(world: &mut World, chance: &mut Chance) {
    let names = environments();
    let Some(name) = names.get(chance.below(names.len())).cloned() else { return };
    let item = chance.below(ITEMS.len());
    let Some(id) = item_id(&name, item) else { return };
    *world.truth.edits.entry(id.clone()).or_default() += 1;
    let what = chance.below(14);
    world.note(|| format!("a hand ({what}) on {id}"));
    let Some(live) = world.objects.get(&id).cloned() else {
        if what < 3 {
            make(world, &name, item, &id, what == 0);
        }
        return;
    };
    let mut after = live.clone();
    match what {
        0..3 => {
            after["metadata"]["labels"]["text"] = json!("hand");
            world.update(&id, after, "kubectl-edit", "");
        }
        3 => {
            after["metadata"]["labels"]["added"] = json!("hand");
            world.update(&id, after, "kubectl-patch", "");
        }
        4 => {
            after["metadata"]["annotations"]["operator.example.com/note"] = json!("theirs");
            world.update(&id, after, "operator", "");
        }
        5 => {
            after["metadata"]["labels"]["text"] = json!("operator");
            world.update(&id, after, "operator", "");
        }
        6 => drop(world.end(&id)),
        7 => {
            world.end(&id);
            make(world, &name, item, &id, false);
        }
        8 => {
            // A copy with our labels: `kubectl get -o yaml | kubectl apply -f -` after a delete.
            world.end(&id);
            make_marked(world, &name, item, &id, &live);
        }
        9 => {
            if let Some(labels) = after["metadata"]["labels"].as_object_mut() {
                labels.remove(PART_OF);
                labels.remove(ENVIRONMENT);
            }
            world.update(&id, after, "kubectl-label", "");
        }
        10 => {
            after["metadata"]["finalizers"] = json!(["example.com/wait"]);
            world.put(&id, after);
        }
        11 => world.break_down(&id),
        12 => world.mend(),
        _ => release(world, &id),
    }
}

fn make(world: &mut World, name: &EnvironmentName, item: usize, id: &ObjectId, helm: bool) {
    let mut value = manifest(name, item, 2);
    if helm {
        value["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("Helm");
    }
    create(world, id, &value);
}

fn make_marked(world: &mut World, name: &EnvironmentName, item: usize, id: &ObjectId, live: &Value) {
    let mut value = manifest(name, item, 2);
    for label in [PART_OF, ENVIRONMENT] {
        value["metadata"]["labels"][label] = live["metadata"]["labels"][label].clone();
    }
    create(world, id, &value);
}

fn create(world: &mut World, id: &ObjectId, value: &Value) {
    if let Ok(Answer::Written(made)) = world.create_as(id, value, "somebody") {
        let uid = made["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        world.truth.foreign.insert(uid);
    }
}

/// Takes finalizers away; what was being deleted goes.
fn release(world: &mut World, id: &ObjectId) {
    let Some(mut live) = world.objects.get(id).cloned() else { return };
    if live["metadata"].get("finalizers").is_none() {
        return;
    }
    let ends = live["metadata"]["deletionTimestamp"].is_string();
    if let Some(metadata) = live["metadata"].as_object_mut() {
        metadata.remove("finalizers");
    }
    world.put(id, live);
    if ends {
        world.end(id);
    }
}
