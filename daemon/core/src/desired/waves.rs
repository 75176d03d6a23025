//! Waves that could never come: a Namespace, or the definition of a kind, after the objects that need it to exist.
//!
//! Such objects are refused by the API server until it is there, and it would wait until they are healthy.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::load::{WAVE, WAVE_POINTER};
use crate::object::{DesiredObject, ObjectId};
use crate::plan::Definitions;
use crate::problem::{Code, Problem};

/// One problem for each Namespace and definition that comes after something that needs it.
pub(super) fn check(objects: &[Arc<DesiredObject>]) -> Vec<Problem> {
    let by_id: BTreeMap<ObjectId, &Arc<DesiredObject>> =
        objects.iter().map(|object| (object.reference.id(), object)).collect();
    let definitions = Definitions::of(objects);
    let mut too_early: BTreeMap<ObjectId, Vec<&DesiredObject>> = BTreeMap::new();
    for (id, object) in &by_id {
        let namespace = id.namespace.as_ref().map(|name| ObjectId {
            group: String::new(),
            kind: "Namespace".to_owned(),
            namespace: None,
            name: name.clone(),
        });
        for needed in namespace.into_iter().chain(definitions.of_kind(id).cloned()) {
            if by_id.get(&needed).is_some_and(|needed| needed.wave > object.wave) {
                too_early.entry(needed).or_default().push(object);
            }
        }
    }
    too_early.iter().filter_map(|(id, early)| Some(problem(by_id.get(id)?, early))).collect()
}

fn problem(needed: &DesiredObject, early: &[&DesiredObject]) -> Problem {
    let reference = &needed.reference;
    let wave = needed.wave;
    let first = early.iter().min_by_key(|object| object.wave);
    let lowest = first.map_or(wave, |object| object.wave);
    let objects = if early.len() == 1 { "1 object".to_owned() } else { format!("{} objects", early.len()) };
    let message = format!(
        "it comes in wave {wave}, after {objects} that cannot be made without it: neither would ever be applied"
    );
    let problem = Problem::error(Code::WaveOrder, message)
        .at(needed.spans.locate(WAVE_POINTER))
        .object(reference)
        .field(format!("metadata.annotations[{WAVE}]"))
        .help(format!("put {reference} into wave {lowest} or an earlier one, or what needs it into wave {wave} or a later one"));
    match first {
        Some(object) => {
            let note = format!("{} comes in wave {lowest}", object.reference);
            problem.related(note, object.spans.locate(WAVE_POINTER))
        }
        None => problem,
    }
}
