//! What one environment takes from another (invariant 9 of `reliability.md`), in virtual time: a replica works on two, a commit
//! changes both, and one of them is poisoned. How long the other one takes to become live is measured, with and without.
//!
//! Not here: the requests that an API server bears at a time, which environments of one cluster share
//! (`daemon/src/cluster/pace.rs`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use tidegate_core::ids::EnvironmentName;
use tidegate_core::status::State;

use super::bugs::Bug;
use super::chance::Chance;
use super::content::{NEVER_READY, Shape, Spec};
use super::environments;
use super::git::Mirror;
use super::replica::{Local, POLL_EVERY, Shared};
use super::request::{CallError, Reply, Request};
use super::server::World;
use super::tasks::{Task, tasks_of};

/// A call is given up after this time (`daemon/src/cluster/call.rs`).
const CALL_TIMEOUT: SignedDuration = SignedDuration::from_secs(30);
/// Longer than this the neighbour is not waited for.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);
/// More steps than this are a loop.
const MOST_STEPS: usize = 100_000;
/// The Deployment `web`, by its place in the items.
const WEB: usize = 3;

/// What is wrong with the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poison {
    /// Nothing.
    None,
    /// None of its requests is ever answered.
    Silence,
    /// Its API server fails.
    Failure,
    /// Every write of it meets a conflict.
    Conflict,
    /// Every write of it is refused.
    Refusal,
    /// Its files are broken.
    Broken,
    /// Its own file is broken.
    Unreadable,
    /// Its workload never becomes healthy.
    Sickness,
    /// Its folder is gone.
    Missing,
}

impl Poison {
    /// All that are wrong.
    pub const ALL: [Self; 8] = [
        Self::Silence,
        Self::Failure,
        Self::Conflict,
        Self::Refusal,
        Self::Broken,
        Self::Unreadable,
        Self::Sickness,
        Self::Missing,
    ];

    /// What the second commit asks of the poisoned environment.
    fn spec(self) -> Option<Spec> {
        match self {
            Self::None | Self::Silence | Self::Failure | Self::Conflict | Self::Refusal => {
                Some(spec(2, Shape::Good))
            }
            Self::Broken => Some(spec(2, Shape::Broken)),
            Self::Unreadable => Some(spec(2, Shape::Unreadable)),
            Self::Sickness => Some(spec(NEVER_READY, Shape::Good)),
            Self::Missing => None,
        }
    }

    /// What becomes of a request of the poisoned environment, where it is not carried out.
    fn answer(self, request: &Request) -> Option<CallError> {
        match self {
            Self::None | Self::Broken | Self::Unreadable | Self::Sickness | Self::Missing => None,
            Self::Silence => Some(CallError::Unreachable),
            Self::Failure => Some(CallError::Server),
            Self::Conflict => request.is_write().then_some(CallError::Conflict),
            Self::Refusal => request.is_write().then(|| CallError::Refused("no".to_owned())),
        }
    }
}

fn spec(text: u8, shape: Shape) -> Spec {
    Spec { objects: BTreeMap::from([(0, text), (WEB, text)]), shape, budget: 10 }
}

/// How much longer an environment takes to become live when its neighbour is poisoned than when it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// Without poison.
    pub usual: SignedDuration,
    /// With it.
    pub poisoned: SignedDuration,
}

/// Measures it.
pub fn delay(seed: u64, poison: Poison, bug: Option<Bug>) -> Delay {
    let time = |poison| Neighbours::new(seed, poison, bug).time_to_live();
    Delay { usual: time(Poison::None), poisoned: time(poison) }
}

/// 9. A poisoned environment delays no other beyond one interval.
pub fn invariant_9_the_neighbour_is_not_delayed(delay: Delay) -> Option<String> {
    let Delay { usual, poisoned } = delay;
    if usual >= PATIENCE {
        return Some(format!("it never became live, poison or not: {usual:#}"));
    }
    (poisoned > usual + POLL_EVERY).then(|| format!("live after {poisoned:#}, usually after {usual:#}"))
}

struct Neighbours {
    world: Shared,
    local: Rc<RefCell<Local>>,
    tasks: Vec<Task>,
    chance: Chance,
    poison: Poison,
    /// Requests that nobody answers, by task and ticket, and until when.
    silent: BTreeMap<(usize, u64), Timestamp>,
    sick: EnvironmentName,
    well: EnvironmentName,
}

impl Neighbours {
    fn new(seed: u64, poison: Poison, bug: Option<Bug>) -> Self {
        let mut chance = Chance::new(seed);
        let mut names = environments();
        let sick = names.remove(chance.below(names.len()));
        let well = names.remove(0);
        let mut world = World::new(bug);
        world.quiet = true;
        let folders = [&sick, &well].map(|name| (name.clone(), spec(1, Shape::Good)));
        world.git.commit(None, folders.into_iter().collect());
        let now = world.now;
        let world = Rc::new(RefCell::new(world));
        let local = Local::new(0, "replica-0-0".to_owned(), Mirror::default(), now);
        let local = Rc::new(RefCell::new(local));
        let tasks = tasks_of(&local, &world);
        let silent = BTreeMap::new();
        Self { world, local, tasks, chance, poison, silent, sick, well }
    }

    /// From the commit that changes both until the other one is live with it.
    fn time_to_live(mut self) -> SignedDuration {
        let poison = std::mem::replace(&mut self.poison, Poison::None);
        self.run(&[self.sick.clone(), self.well.clone()]);
        // At any moment between two polls.
        let pause = i64::try_from(self.chance.below(10_000)).unwrap_or_default();
        let end = self.later(SignedDuration::from_millis(pause));
        self.run_until(|world| world.now >= end);
        let folders = [(&self.sick, poison.spec()), (&self.well, Some(spec(2, Shape::Good)))];
        let folders = folders.into_iter().filter_map(|(name, spec)| Some((name.clone(), spec?))).collect();
        let tip = self.world.borrow().git.tip().cloned();
        self.world.borrow_mut().git.commit(tip, folders);
        self.poison = poison;
        let begun = self.now();
        self.run(&[self.well.clone()]);
        self.now().duration_since(begun)
    }

    fn now(&self) -> Timestamp {
        self.world.borrow().now
    }

    fn later(&self, time: SignedDuration) -> Timestamp {
        self.now().saturating_add(time).unwrap_or(Timestamp::MAX)
    }

    /// Until these are live with what git asks for.
    fn run(&mut self, names: &[EnvironmentName]) {
        let end = self.later(PATIENCE);
        let is_live = |world: &World, name: &EnvironmentName| {
            let wanted = world.git.tip().and_then(|tip| world.git.target(tip, name));
            let status = world.parents.get(name).and_then(|parent| parent.status.as_ref());
            let inputs = status.filter(|it| it.state == State::Live).and_then(|it| it.inputs.as_ref());
            wanted.is_some_and(|wanted| inputs == Some(&wanted.inputs))
        };
        self.run_until(|world| world.now > end || names.iter().all(|name| is_live(world, name)));
    }

    fn run_until(&mut self, holds: impl Fn(&World) -> bool) {
        for _ in 0..MOST_STEPS {
            if holds(&self.world.borrow()) {
                return;
            }
            self.local.borrow_mut().hear(&self.world.borrow(), usize::MAX / 2);
            self.step();
        }
    }

    /// One request, or time until there is one.
    fn step(&mut self) {
        let due = self.due();
        let Some((task, ticket)) = self.chance.pick(&due) else {
            let next = self.next_end();
            let wait = next.duration_since(self.now());
            self.world.borrow_mut().pass(wait);
            return;
        };
        let Some(line) = self.tasks.get(task).map(|task| task.line.clone()) else { return };
        let Some(request) = line.take(ticket) else { return };
        self.silent.remove(&(task, ticket));
        let reply = self.answer(task, &request);
        if !matches!(request, Request::Sleep { .. }) {
            let milliseconds = i64::try_from(1 + self.chance.below(9)).unwrap_or(1);
            self.world.borrow_mut().pass(SignedDuration::from_millis(milliseconds));
        }
        line.reply(ticket, reply);
        if let Some(task) = self.tasks.get_mut(task) {
            task.poll();
        }
    }

    fn is_poisoned(&self, task: usize) -> bool {
        let work = self.tasks.get(task).map(|task| &task.work);
        matches!(work, Some(super::tasks::Work::Lane(name)) if *name == self.sick)
    }

    fn answer(&self, task: usize, request: &Request) -> Reply {
        let sleeps = matches!(request, Request::Sleep { .. });
        match self.poison.answer(request).filter(|_| self.is_poisoned(task) && !sleeps) {
            Some(error) => Err(error),
            None => self.world.borrow_mut().serve(request),
        }
    }

    /// The requests that may be answered now; those that nobody answers are given up after their time.
    fn due(&mut self) -> Vec<(usize, u64)> {
        let (now, silence_ends) = (self.now(), self.later(CALL_TIMEOUT));
        let mut due = Vec::new();
        for (place, task) in self.tasks.iter().enumerate() {
            let silent = self.poison == Poison::Silence && self.is_poisoned(place);
            for (ticket, request) in &task.line.0.borrow().open {
                let may = task.work.is_due(&self.local.borrow(), request, now);
                let answered = if silent && !matches!(request, Request::Sleep { .. }) {
                    *self.silent.entry((place, *ticket)).or_insert(silence_ends) <= now
                } else {
                    may
                };
                due.extend(answered.then_some((place, *ticket)));
            }
        }
        due
    }

    /// When something is due next.
    fn next_end(&self) -> Timestamp {
        let mut ends: Vec<Timestamp> = self.silent.values().copied().collect();
        ends.extend(self.world.borrow().next_rollout());
        for task in &self.tasks {
            let wire = task.line.0.borrow();
            ends.extend(wire.open.values().filter_map(|request| match request {
                Request::Sleep { until, wake: _ } => Some(*until),
                _ => None,
            }));
        }
        let next = ends.into_iter().filter(|end| *end > self.now()).min();
        next.unwrap_or_else(|| self.later(SignedDuration::from_secs(1)))
    }
}
