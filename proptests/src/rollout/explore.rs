//! All states that can be reached, each once. A state is remembered by 128 bits of hash: among a hundred million states two
//! that are taken for one are less likely than a fault of the memory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash as _, Hasher};
use std::time::{Duration, Instant};

use super::on_states::judge_state;
use super::world::{Limits, World, gates};

/// A trace is looked for among so many states: each keeps its step in words.
const TRACE_CAP: usize = 40_000_000;
/// Time and memory are looked at once in so many states.
const LOOK: usize = 1 << 14;

/// Where an exploration stops, however much is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Different states.
    pub states: usize,
    /// Since its beginning.
    pub time: Duration,
    /// Bytes that the whole process may hold.
    pub resident: u64,
}

impl Bounds {
    /// So many states, and nothing else.
    pub const fn states(states: usize) -> Self {
        Self { states, time: Duration::MAX, resident: u64::MAX }
    }

    fn trace(&self) -> usize {
        self.states.min(TRACE_CAP)
    }

    fn is_over(&self, begun: Instant) -> Option<End> {
        if begun.elapsed() > self.time {
            Some(End::Time)
        } else if self.resident < u64::MAX && resident() > self.resident {
            Some(End::Memory)
        } else {
            None
        }
    }
}

/// Bytes that this process holds; 0 where that is not to be read.
fn resident() -> u64 {
    const PAGE: u64 = 4096;
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default().saturating_mul(PAGE)
}

/// Why an exploration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing was left to look at.
    Complete,
    /// There are more states than were allowed.
    States,
    /// Its time was over.
    Time,
    /// The process held as much as it may.
    Memory,
}

/// What an exploration saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Those of them from which every way was gone.
    pub expanded: usize,
    /// Ways from one to another.
    pub transitions: usize,
    /// All states that are fewer steps than this from the beginning were expanded.
    pub depth: usize,
    /// Why it ended.
    pub end: End,
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

/// Looks at every state within the bounds; each is handed to `look` too. Ends at the first violation.
pub fn explore(
    limits: &Limits,
    bounds: &Bounds,
    mut look: impl FnMut(&World) -> Result<(), String>,
) -> Result<Explored, Found> {
    let gates = gates();
    let begun = Instant::now();
    let first = World::new(limits);
    let mut seen = HashSet::from([fingerprint(&first)]);
    let mut queue = VecDeque::from([first]);
    let mut explored = Explored { states: 1, expanded: 0, transitions: 0, depth: 0, end: End::Complete };
    // So many states are as far from the beginning as the one that comes next.
    let mut as_far = 1;
    while let Some(world) = queue.pop_front() {
        if explored.expanded.is_multiple_of(LOOK)
            && let Some(end) = bounds.is_over(begun)
        {
            return Ok(Explored { end, ..explored });
        }
        let judged = judge_state(&world).map_err(|violation| violation.0.to_owned());
        if let Err(what) = judged.and_then(|()| look(&world)) {
            return Err(Found { what, trace: trace(limits, fingerprint(&world), bounds.trace()) });
        }
        for (at, (_, next)) in world.next(limits, &gates, false).into_iter().enumerate() {
            explored.transitions += 1;
            let next = next.map_err(|violation| {
                let mut trace = trace(limits, fingerprint(&world), bounds.trace());
                let told = world.next(limits, &gates, true).into_iter().nth(at);
                trace.extend(told.map(|(step, _)| step));
                Found { what: violation.0.to_owned(), trace }
            })?;
            if seen.insert(fingerprint(&next)) {
                explored.states = seen.len();
                if explored.states > bounds.states {
                    return Ok(Explored { end: End::States, ..explored });
                }
                queue.push_back(next);
            }
        }
        explored.expanded += 1;
        as_far -= 1;
        if as_far == 0 {
            (as_far, explored.depth) = (queue.len(), explored.depth + 1);
        }
    }
    Ok(explored)
}

/// The shortest way to a state, by going the same ways again with each step's place kept, and then this one in words.
fn trace(limits: &Limits, goal: u128, cap: usize) -> Vec<String> {
    let gates = gates();
    let first = World::new(limits);
    let mut came: HashMap<u128, (u128, usize)> = HashMap::new();
    let start = fingerprint(&first);
    let mut queue = VecDeque::from([first.clone()]);
    'search: while let Some(world) = queue.pop_front() {
        let here = fingerprint(&world);
        for (at, (_, next)) in world.next(limits, &gates, false).into_iter().enumerate() {
            let Ok(next) = next else { continue };
            let there = fingerprint(&next);
            if there == start || came.contains_key(&there) {
                continue;
            }
            came.insert(there, (here, at));
            if there == goal || came.len() > cap {
                break 'search;
            }
            queue.push_back(next);
        }
    }
    let mut places = Vec::new();
    let mut here = goal;
    while let Some((before, at)) = came.get(&here) {
        places.push(*at);
        here = *before;
    }
    let mut world = first;
    let mut steps = Vec::new();
    for at in places.into_iter().rev() {
        let Some((step, Ok(next))) = world.next(limits, &gates, true).into_iter().nth(at) else { break };
        steps.push(step);
        world = next;
    }
    steps
}
