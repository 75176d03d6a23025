//! What concerns several environments of one cluster: objects that move between them, objects that two of them define.

use std::collections::BTreeMap;

use super::input::{Compared, Complete};
use super::{Action, Direction, EnvironmentReview, Moved};
use crate::location::Location;
use crate::object::ObjectId;
use crate::problem::{Code, Problem};

/// Where an object arrives: the environment's place in the list, and the place of the change in it.
type Arrival = (usize, usize);

/// Finds what leaves one environment and comes to another one, and says so on both sides.
pub(super) fn moves(environments: &mut [EnvironmentReview], compared: &[Compared]) {
    let mut arrivals: BTreeMap<ObjectId, Vec<Arrival>> = BTreeMap::new();
    for (at, review) in environments.iter().enumerate() {
        for (index, change) in review.changes.iter().enumerate() {
            if change.action == Action::Create {
                arrivals.entry(change.object.id()).or_default().push((at, index));
            }
        }
    }
    let mut found: Vec<(Arrival, Moved)> = Vec::new();
    for (at, review) in environments.iter().enumerate() {
        let Some(from) = compared.get(at).and_then(|compared| compared.base.complete()) else { continue };
        for (index, change) in review.changes.iter().enumerate() {
            let left = match change.action {
                Action::Delete | Action::Keep { .. } => true,
                Action::Replace { .. } | Action::Create | Action::Update => false,
            };
            let id = change.object.id();
            let here = arrivals.get(&id).filter(|_| left).into_iter().flatten();
            for (other, place) in here.filter(|(other, _)| *other != at) {
                let Some(to) = compared.get(*other).and_then(|compared| compared.head.complete()) else {
                    continue;
                };
                if to.environment.cluster.value != from.environment.cluster.value {
                    continue;
                }
                let adopted = to.environment.adopt.contains(&id);
                let name =
                    |at: usize| environments.get(at).map(|review| review.name.clone()).unwrap_or_default();
                let moved = |direction, at| Moved { direction, environment: name(at), adopted };
                found.push(((at, index), moved(Direction::To, *other)));
                found.push(((*other, *place), moved(Direction::From, at)));
            }
        }
    }
    for ((at, index), moved) in found {
        if let Some(change) = environments.get_mut(at).and_then(|review| review.changes.get_mut(index)) {
            change.moved = Some(moved);
        }
    }
}

/// Two environments of one cluster that define the same object would take it from each other.
pub(super) fn claims(environments: &mut [EnvironmentReview], compared: &[Compared]) {
    let mut owners: BTreeMap<ObjectId, Vec<(&Complete, &str, Location)>> = BTreeMap::new();
    for (review, compared) in environments.iter_mut().zip(compared) {
        let Some(head) = compared.head.complete() else { continue };
        for object in head.wanted() {
            let known = owners.entry(object.reference.id()).or_default();
            let place = head.place(object.location());
            let same = |(other, _, _): &&(&Complete, &str, Location)| {
                other.environment.cluster.value == head.environment.cluster.value
            };
            match known.iter().find(same) {
                None => known.push((head, compared.name.as_str(), place)),
                Some((_, other, first)) => {
                    let message = format!("environment `{other}` defines it too");
                    let problem = Problem::error(Code::Ownership, message)
                        .object(&object.reference)
                        .at(place)
                        .related(format!("in `{other}`"), first.clone())
                        .help("take it out of one of them, or give each a namespace of its own");
                    review.problems.push(problem);
                }
            }
        }
    }
}
