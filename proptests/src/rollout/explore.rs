//! All states that can be reached, each once. A state is remembered by 128 bits of hash: among a hundred million states two
//! that are taken for one are less likely than a fault of the memory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::world::{Limits, World, gates};

/// What an exploration saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Ways from one to another.
    pub transitions: usize,
    /// Nothing was left to look at; false when the cap was reached first.
    pub is_complete: bool,
}

/// A violation, and how the world came to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which rule.
    pub what: String,
    /// The steps from the beginning.
    pub trace: Vec<String>,
}

fn fingerprint(world: &World) -> u128 {
    let hash = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        world.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    hash(0) << 64 | hash(1)
}

/// Looks at every state up to `cap` of them; each is handed to `look` too. Ends at the first violation.
pub fn explore(
    limits: &Limits,
    cap: usize,
    mut look: impl FnMut(&World) -> Result<(), String>,
) -> Result<Explored, Found> {
    let gates = gates();
    let first = World::new(limits);
    let mut seen = HashSet::from([fingerprint(&first)]);
    let mut queue = VecDeque::from([first]);
    let mut transitions = 0;
    while let Some(world) = queue.pop_front() {
        if let Err(what) = look(&world) {
            return Err(Found { what, trace: trace(limits, fingerprint(&world), cap) });
        }
        for (step, next) in world.next(limits, &gates) {
            transitions += 1;
            let next = next.map_err(|violation| {
                let mut trace = trace(limits, fingerprint(&world), cap);
                trace.push(step);
                Found { what: violation.0.to_owned(), trace }
            })?;
            if seen.insert(fingerprint(&next)) {
                if seen.len() > cap {
                    return Ok(Explored { states: seen.len(), transitions, is_complete: false });
                }
                queue.push_back(next);
            }
        }
    }
    Ok(Explored { states: seen.len(), transitions, is_complete: true })
}

/// The shortest way to a state, by going the same ways again with the steps kept.
fn trace(limits: &Limits, goal: u128, cap: usize) -> Vec<String> {
    let gates = gates();
    let first = World::new(limits);
    let mut came: HashMap<u128, (u128, String)> = HashMap::new();
    let start = fingerprint(&first);
    let mut queue = VecDeque::from([first]);
    'search: while let Some(world) = queue.pop_front() {
        let here = fingerprint(&world);
        for (step, next) in world.next(limits, &gates) {
            let Ok(next) = next else { continue };
            let there = fingerprint(&next);
            if there == start || came.contains_key(&there) {
                continue;
            }
            came.insert(there, (here, step));
            if there == goal || came.len() > cap {
                break 'search;
            }
            queue.push_back(next);
        }
    }
    let mut steps = Vec::new();
    let mut at = goal;
    while let Some((before, step)) = came.get(&at) {
        steps.push(step.clone());
        at = *before;
    }
    steps.reverse();
    steps
}
