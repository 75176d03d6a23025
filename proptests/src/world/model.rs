//! A world so small that every way through it can be walked: one environment, one or two objects, two commits, one or two
//! replicas, and a few kills, late writes, lost replies, stale watches and hands, each at any moment between two requests.
//!
//! The lanes are those of [`super::history`]: the same decisions of the core, the same order of requests. A way is a list of
//! choices; the states it leads through are told apart by a digest of everything that what follows depends on, and a state that
//! was seen is not walked again. A lane cannot be copied in the middle of a request, so each way is walked from the beginning.
//!
//! Named bounds, beside each model's budget: a replica in the middle of a pass is interrupted by the other at most so often as
//! the budget says, and begins at most one pass before it hears that git has moved.
//!
//! Not here: time between requests (it passes only when nothing else can happen), Leases (both replicas take the environment
//! for theirs, as they do until Leases settle), the order of requests that a lane has under way side by side, rewinds.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use jiff::Timestamp;
use serde_json::json;
use tidegate_core::ids::EnvironmentName;
use tidegate_core::object::ObjectId;

use super::bugs::Bug;
use super::content::{Spec, item_id};
use super::git::Mirror;
use super::lane::Lane;
use super::replica::{Local, Shared};
use super::request::{Answer, CallError, Line, Reply, Request};
use super::server::World;
use super::trace::{short, shorter};
use super::truth::Violation;

/// A way longer than this runs in circles.
const LONGEST_WAY: usize = 1_500;
/// A replica begins so many passes at most before its next poll, once git has moved.
const MOST_BEHIND: u8 = 1;
/// After so many waits in a row everything is as it must be.
const MOST_WAITS: u32 = 40;

/// What a small world begins with, and what may happen in it.
#[derive(Debug, Clone)]
pub struct Model {
    /// What it is about.
    pub name: &'static str,
    /// What the first commit holds, and the one that git moves to at any moment; none: the folder is gone.
    pub commits: [Option<Spec>; 2],
    /// Replicas. Where there are two, git has moved before they begin, and each hears of it at any moment.
    pub replicas: usize,
    /// What may happen.
    pub budget: Budget,
}

/// How often what may happen.
#[derive(Debug, Clone, Copy, Default, Hash)]
pub struct Budget {
    /// A replica is killed and starts again.
    pub kills: u8,
    /// A write is carried out later, and never answered.
    pub late: u8,
    /// A write is carried out, and its reply is lost.
    pub lost: u8,
    /// A replica wakes without having heard what the watches tell.
    pub stale: u8,
    /// A hand edits the first object, or deletes it.
    pub hands: u8,
    /// Another replica goes on while one is in the middle of a pass.
    pub switches: u8,
}

/// What exploring a model came to.
#[derive(Debug, Default)]
pub struct Explored {
    /// States that were told apart.
    pub states: usize,
    /// Steps from a state to a state.
    pub transitions: usize,
    /// States at rest, in which everything was as it must be.
    pub ends: usize,
    /// Every way was walked.
    pub complete: bool,
    /// What did not hold, with the way that led there.
    pub violation: Option<(Violation, Vec<String>)>,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// The replica's next request is carried out and answered.
    Serve(usize),
    /// It is carried out later; the replica hears nothing.
    Late(usize),
    /// It is carried out; the replica hears nothing.
    Lose(usize),
    /// The replica is killed, and starts again.
    Kill(usize),
    /// The replica wakes, and has heard what watches tell.
    Wake(usize),
    /// The replica wakes, and has heard nothing.
    WakeStale(usize),
    /// The replica hears where git is.
    Poll(usize),
    /// A write that was late is carried out.
    Arrive(usize),
    /// Git moves.
    Move,
    /// A hand edits the first object.
    Edit,
    /// A hand deletes it.
    Delete,
    /// Nothing else can happen: time passes.
    Wait,
}

struct Replica {
    local: Rc<RefCell<Local>>,
    future: Pin<Box<dyn Future<Output = ()>>>,
    line: Line,
    starts: usize,
    /// Passes that it has begun while git was further than it knew.
    behind: u8,
    /// The replies since the lane slept last.
    heard: DefaultHasher,
}

/// One way through a model.
struct Way {
    model: Model,
    environment: EnvironmentName,
    world: Shared,
    replicas: Vec<Replica>,
    late: Vec<Request>,
    left: Budget,
    moved: bool,
    waits: u32,
    /// The replica that went on last.
    last: usize,
}

/// Walks every way through a model, at most to so many states.
pub fn explore(model: &Model, bug: Option<Bug>, most_states: usize) -> Explored {
    let mut found = Explored::default();
    let mut visited: BTreeSet<u64> = BTreeSet::new();
    let mut path: Vec<(Vec<Choice>, usize)> = Vec::new();
    loop {
        let mut way = Way::new(model.clone(), bug, true);
        for choice in path.iter().filter_map(|(choices, at)| choices.get(*at)) {
            way.step(*choice);
        }
        while way.violation().is_none() && path.len() <= LONGEST_WAY {
            if !visited.insert(way.digest()) {
                break;
            }
            let choices = way.choices(&mut found.ends);
            let Some(first) = choices.first().copied() else { break };
            found.transitions += choices.len();
            path.push((choices, 0));
            way.step(first);
        }
        if path.len() > LONGEST_WAY {
            way.world.borrow_mut().violate("11", format!("{LONGEST_WAY} steps did not come to rest"));
        }
        found.states = visited.len();
        if let Some(violation) = way.violation() {
            found.violation = Some((violation, told(model, bug, &path)));
            return found;
        }
        while path.last().is_some_and(|(choices, at)| at + 1 >= choices.len()) {
            path.pop();
        }
        let Some((_, at)) = path.last_mut() else {
            found.complete = true;
            return found;
        };
        *at += 1;
        if visited.len() >= most_states {
            return found;
        }
    }
}

/// A way once more, in words.
fn told(model: &Model, bug: Option<Bug>, path: &[(Vec<Choice>, usize)]) -> Vec<String> {
    let mut way = Way::new(model.clone(), bug, false);
    for choice in path.iter().filter_map(|(choices, at)| choices.get(*at)) {
        way.world.borrow_mut().note(|| format!("{choice:?}"));
        way.step(*choice);
    }
    let memories = way.replicas.iter().map(|replica| format!("{:?}", replica.local.borrow().remembers));
    way.world.borrow_mut().trace.extend(memories.collect::<Vec<_>>());
    way.world.borrow().trace.iter().cloned().collect()
}

impl Way {
    fn new(model: Model, bug: Option<Bug>, quiet: bool) -> Self {
        let environment: EnvironmentName = "dev".parse().expect("it is a name");
        let world = Rc::new(RefCell::new(World::new(bug)));
        world.borrow_mut().quiet = quiet;
        let first = model.commits.first().cloned().flatten();
        let folders = first.map(|spec| (environment.clone(), spec)).into_iter().collect();
        world.borrow_mut().git.commit(None, folders);
        let left = model.budget;
        let mut way = Self {
            model,
            environment,
            world,
            replicas: Vec::new(),
            late: Vec::new(),
            left,
            moved: false,
            waits: 0,
            last: 0,
        };
        for index in 0..way.model.replicas {
            let replica = way.start(index, 0, Mirror::default());
            way.replicas.push(replica);
            way.poll_git(index);
        }
        if way.model.replicas > 1 {
            way.move_git();
        }
        way
    }

    /// A replica whose watches have listed, and which has a Lease.
    fn start(&self, index: usize, starts: usize, mirror: Mirror) -> Replica {
        let name = format!("replica-{index}-{starts}");
        let mut local = Local::new(index, name, mirror, self.world.borrow().now);
        local.hear(&self.world.borrow(), usize::MAX);
        local.ready = true;
        local.remembers = Some(String::new());
        local.head.clone_from(&local.mirror.good);
        let (local, line) = (Rc::new(RefCell::new(local)), Line::default());
        let work = Lane::new(self.environment.clone(), local.clone(), self.world.clone(), line.clone());
        let mut replica = Replica {
            local,
            future: Box::pin(work.run()),
            line,
            starts,
            behind: 0,
            heard: DefaultHasher::new(),
        };
        replica.go_on();
        replica
    }

    fn violation(&self) -> Option<Violation> {
        self.world.borrow().truth.violation.clone()
    }

    /// What can happen next. At rest everything must be as git asks.
    fn choices(&mut self, ends: &mut usize) -> Vec<Choice> {
        let mut choices = Vec::new();
        for (index, replica) in self.replicas.iter().enumerate() {
            if self.is_switch(index) && self.left.switches == 0 {
                continue;
            }
            match replica.next() {
                Some((_, request)) if !matches!(request, Request::Sleep { .. }) => {
                    choices.push(Choice::Serve(index));
                    let write = request.is_write();
                    choices.extend((write && self.left.late > 0).then_some(Choice::Late(index)));
                    choices.extend((write && self.left.lost > 0).then_some(Choice::Lose(index)));
                    choices.extend((self.left.kills > 0).then_some(Choice::Kill(index)));
                }
                Some(_) | None => {
                    if self.is_awake(replica) {
                        choices.push(Choice::Wake(index));
                        choices.extend((self.left.stale > 0).then_some(Choice::WakeStale(index)));
                    }
                }
            }
            if replica.local.borrow().head.as_ref() != self.world.borrow().git.tip() {
                choices.push(Choice::Poll(index));
            }
        }
        choices.extend((0..self.late.len()).map(Choice::Arrive));
        if choices.is_empty() {
            choices.extend(self.at_rest(ends));
        }
        choices.extend((!self.moved).then_some(Choice::Move));
        if self.left.hands > 0 && self.world.borrow().objects.contains_key(&self.first_object()) {
            choices.extend([Choice::Edit, Choice::Delete]);
        }
        choices
    }

    /// Nothing happens by itself but that time passes.
    fn at_rest(&mut self, ends: &mut usize) -> Option<Choice> {
        self.tell_goods();
        let missing = {
            let world = self.world.borrow();
            let plan = || world.invariant_2_second_plan_is_empty(&self.environment);
            world.ensure_liveness(&self.environment).or_else(plan)
        };
        match missing {
            None => {
                *ends += 1;
                None
            }
            Some(missing) if self.waits > MOST_WAITS => {
                self.world.borrow_mut().violate("1", format!("after {MOST_WAITS} waits, {missing}"));
                None
            }
            Some(_) => Some(Choice::Wait),
        }
    }

    fn tell_goods(&self) {
        let goods =
            self.replicas.iter().filter_map(|replica| replica.local.borrow().mirror.good.clone()).collect();
        self.world.borrow_mut().truth.goods = goods;
    }

    /// It was woken, or its time is over, or its watches would wake it.
    fn is_awake(&self, replica: &Replica) -> bool {
        let Some((_, Request::Sleep { until, .. })) = replica.next() else { return false };
        let (local, world) = (replica.local.borrow(), self.world.borrow());
        if local.head.as_ref() != world.git.tip() && replica.behind >= MOST_BEHIND {
            return false;
        }
        until <= world.now || local.woken.contains(&self.environment) || local.told < world.events.len()
    }

    /// The replica that went on last is in the middle of a pass, and is not this one.
    fn is_switch(&self, index: usize) -> bool {
        let last = self.replicas.get(self.last).and_then(Replica::next);
        let busy = last.is_some_and(|(_, request)| !matches!(request, Request::Sleep { .. }));
        busy && index != self.last
    }

    fn go_on_with(&mut self, index: usize) {
        if self.is_switch(index) {
            self.left.switches -= 1;
        }
        self.last = index;
    }

    fn step(&mut self, choice: Choice) {
        match choice {
            Choice::Serve(index)
            | Choice::Late(index)
            | Choice::Lose(index)
            | Choice::Kill(index)
            | Choice::Wake(index)
            | Choice::WakeStale(index)
            | Choice::Poll(index) => self.go_on_with(index),
            Choice::Arrive(_) | Choice::Move | Choice::Edit | Choice::Delete | Choice::Wait => {}
        }
        let by_itself = matches!(choice, Choice::Wait | Choice::Wake(_) | Choice::Serve(_));
        if !by_itself {
            self.waits = 0;
        }
        match choice {
            Choice::Serve(index) => self.answer(index, World::serve),
            Choice::Lose(index) => {
                self.left.lost -= 1;
                self.answer(index, |world, request| {
                    drop(world.serve(request));
                    Err(CallError::Unreachable)
                });
            }
            Choice::Late(index) => {
                self.left.late -= 1;
                let request = self.replicas.get(index).and_then(Replica::next).map(|(_, request)| request);
                self.late.extend(request);
                self.answer(index, |_, _| Err(CallError::Unreachable));
            }
            Choice::Kill(index) => self.kill(index),
            Choice::Wake(index) => self.wake(index, true),
            Choice::WakeStale(index) => {
                self.left.stale -= 1;
                self.wake(index, false);
            }
            Choice::Poll(index) => self.poll_git(index),
            Choice::Arrive(index) => {
                let request = self.late.remove(index);
                let mut world = self.world.borrow_mut();
                let reply = world.serve(&request);
                world.note(|| format!("late: {} -> {}", short(&request), shorter(&reply)));
            }
            Choice::Move => self.move_git(),
            Choice::Edit | Choice::Delete => self.touch(choice == Choice::Delete),
            Choice::Wait => self.wait(),
        }
    }

    fn answer(&mut self, index: usize, serve: impl FnOnce(&mut World, &Request) -> Reply) {
        let Some(replica) = self.replicas.get_mut(index) else { return };
        let Some((ticket, _)) = replica.next() else { return };
        let Some(request) = replica.line.take(ticket) else { return };
        let reply = {
            let mut world = self.world.borrow_mut();
            let reply = serve(&mut world, &request);
            world.note(|| format!("{index}: {} -> {}", short(&request), shorter(&reply)));
            reply
        };
        hash_reply(&reply, &mut replica.heard);
        replica.line.reply(ticket, reply);
        replica.go_on();
    }

    fn kill(&mut self, index: usize) {
        self.left.kills -= 1;
        let Some(old) = self.replicas.get(index) else { return };
        let (starts, mirror) = (old.starts + 1, old.local.borrow().mirror.clone());
        self.world.borrow_mut().note(|| format!("replica {index} is killed and starts again"));
        let replica = self.start(index, starts, mirror);
        if let Some(slot) = self.replicas.get_mut(index) {
            *slot = replica;
        }
    }

    fn wake(&mut self, index: usize, hears: bool) {
        let Some(replica) = self.replicas.get_mut(index) else { return };
        let behind = replica.local.borrow().head.as_ref() != self.world.borrow().git.tip();
        replica.behind = if behind { replica.behind + 1 } else { 0 };
        if hears {
            replica.local.borrow_mut().hear(&self.world.borrow(), usize::MAX / 2);
        }
        let Some((ticket, _)) = replica.next() else { return };
        drop(replica.line.take(ticket));
        replica.line.reply(ticket, Ok(Answer::Done));
        replica.heard = DefaultHasher::new();
        replica.go_on();
    }

    fn poll_git(&mut self, index: usize) {
        let Some(replica) = self.replicas.get(index) else { return };
        let (mut local, world) = (replica.local.borrow_mut(), self.world.borrow());
        let local = &mut *local;
        if let Some(tip) = world.git.tip() {
            local.mirror.take(&world.git, tip, false);
            local.head.clone_from(&local.mirror.good);
            local.woken.insert(self.environment.clone());
        }
    }

    fn move_git(&mut self) {
        self.moved = true;
        let spec = self.model.commits.last().cloned().flatten();
        let folders = spec.map(|spec| (self.environment.clone(), spec)).into_iter().collect();
        let mut world = self.world.borrow_mut();
        let tip = world.git.tip().cloned();
        let tip = world.git.commit(tip, folders);
        world.note(|| format!("git moves to {}", tip.short()));
    }

    fn first_object(&self) -> ObjectId {
        item_id(&self.environment, 0).expect("there is a first item")
    }

    fn touch(&mut self, delete: bool) {
        self.left.hands -= 1;
        let id = self.first_object();
        let mut world = self.world.borrow_mut();
        *world.truth.edits.entry(id.clone()).or_default() += 1;
        world.note(|| format!("a hand {} {id}", if delete { "deletes" } else { "edits" }));
        if delete {
            world.end(&id);
        } else if let Some(mut after) = world.objects.get(&id).cloned() {
            super::fields::put(&mut after, &super::fields::path(&["data", "text"]), json!("hand"));
            world.update(&id, after, "kubectl-edit", "");
        }
    }

    fn wait(&mut self) {
        self.waits += 1;
        let ends = self.replicas.iter().filter_map(|replica| match replica.next() {
            Some((_, Request::Sleep { until, .. })) => Some(until),
            Some(_) | None => None,
        });
        let next: Option<Timestamp> = ends.min();
        let mut world = self.world.borrow_mut();
        let now = world.now;
        world.pass(next.map_or(jiff::SignedDuration::from_secs(1), |next| next.duration_since(now)));
    }

    /// Everything that what follows depends on.
    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let world = self.world.borrow();
        let World { now, objects, parents, shards, truth, git, .. } = &*world;
        let truth = (&truth.owned, &truth.strays, &truth.unseen, &truth.claims, truth.deletes());
        objects.hash(&mut hasher);
        format!("{now} {parents:?} {shards:?} {truth:?} {:?}", git.tip()).hash(&mut hasher);
        (self.left, self.moved, self.waits, self.last, format!("{:?}", self.late)).hash(&mut hasher);
        for replica in &self.replicas {
            let local = replica.local.borrow();
            let pending = world.events.get(local.told..).unwrap_or_default();
            let heard = (&local.store, &local.parents, &local.woken, &local.head, &local.remembers);
            format!("{heard:?} {pending:?} {:?}", replica.line.0.borrow().open).hash(&mut hasher);
            (replica.heard.finish(), replica.behind).hash(&mut hasher);
        }
        hasher.finish()
    }
}

impl Replica {
    /// The oldest request that is under way.
    fn next(&self) -> Option<(u64, Request)> {
        let wire = self.line.0.borrow();
        wire.open.iter().next().map(|(ticket, request)| (*ticket, request.clone()))
    }

    /// To the next request; short sleeps are over at once.
    fn go_on(&mut self) {
        loop {
            // Lanes run for ever; they end by being killed.
            let _ = self.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            let Some((ticket, Request::Sleep { wake: None, .. })) = self.next() else { return };
            drop(self.line.take(ticket));
            self.line.reply(ticket, Ok(Answer::Done));
        }
    }
}

fn hash_reply(reply: &Reply, hasher: &mut DefaultHasher) {
    match reply {
        Ok(Answer::Object(Some(object)) | Answer::Written(object)) => object.hash(hasher),
        other => format!("{other:?}").hash(hasher),
    }
}
