//! All states that can be reached, each once. A state is remembered by 128 bits of hash: among a hundred million states two
//! that are taken for one are less likely than a fault of the memory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash as _, Hasher};

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

/// A hasher of 128 bits, made for many short values: two multiplications for each word.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprint(u64, u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f)
    }
}

impl Fingerprint {
    fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.1 = (self.1.rotate_left(31) ^ word).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    }

    fn both(self) -> u128 {
        let mix = |half: u64| (half ^ (half >> 29)).wrapping_mul(0x1656_67b1_9e37_79f9);
        let mix = |half: u64| mix(half) ^ (mix(half) >> 32);
        u128::from(mix(self.0)) << 64 | u128::from(mix(self.1))
    }
}

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        self.0 ^ self.1.rotate_left(32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.word(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.word(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.word(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.word(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.word(value as u64);
    }
}

fn fingerprint(world: &World) -> u128 {
    let mut hasher = Fingerprint::default();
    world.hash(&mut hasher);
    hasher.both()
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
